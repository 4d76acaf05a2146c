/* Zephyr 3.7, NCS 2.9. The hook sees the operation; GATT authorization; the first group of an id is the only one;
 * a notification counts as sent when the controller has it. */
#define STUB_AGE 30700
#define STUB_COMMAND_HAS_OP 1
#define STUB_GATT_AUTHORIZATION 1
#define STUB_FIRST_GROUP 1
#define STUB_SENT_TO_CONTROLLER 1
#define STUB_CONST const
