/* Zephyr 4.1, NCS 3.1. net_buf.h has moved; old advertising options are deprecated; an attribute has a flag more. */
#define STUB_AGE 40100
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
#define STUB_FIRST_GROUP 1
#define STUB_SENT_TO_CONTROLLER 1
#define STUB_ADV_CONN_FAST 1
#define STUB_ATTRIBUTE_HAS_FLAG 1
#define STUB_CONST const
