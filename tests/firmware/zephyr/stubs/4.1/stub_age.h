/* Zephyr 4.1, NCS 3.1. A handler may have data of its own; net_buf.h has moved; the service's own symbol. */
#define STUB_AGE 40100
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
#define STUB_ADV_CONN_FAST 1
