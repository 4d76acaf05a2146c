/* Zephyr 3.7, NCS 2.9. The hook sees the operation; GATT authorization. */
#define STUB_AGE 30700
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
