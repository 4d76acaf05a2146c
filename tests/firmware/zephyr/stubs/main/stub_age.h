/*
 * Zephyr's main, NCS 3.4. A transport can prepare its requests, and be bridged; the CCC's struct is renamed; partitions are found
 * by another macro; a connection's interval is told in microseconds; PSA Crypto has a symbol of its own.
 */
#define STUB_AGE 49900
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
#define STUB_FIRST_GROUP 1
#define STUB_SENT_TO_CONTROLLER 1
#define STUB_ADV_CONN_FAST 1
#define STUB_ADV_TX_POWER 1
#define STUB_ATTRIBUTE_HAS_FLAG 1
#define STUB_TRANSPORT_INIT 1
#define STUB_CCC_RENAMED 1
#define STUB_PARTITION 1
#define STUB_INTERVAL_US 1
#define STUB_CONST const
