/* Zephyr's main, NCS 3.4. A transport can prepare its requests, and be bridged; the CCC's struct is renamed. */
#define STUB_AGE 49900
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
#define STUB_ADV_CONN_FAST 1
#define STUB_TRANSPORT_INIT 1
#define STUB_CCC_RENAMED 1
