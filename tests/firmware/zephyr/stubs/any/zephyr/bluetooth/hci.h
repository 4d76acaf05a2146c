/* Ours. Read in include/zephyr/bluetooth/{hci.h, hci_types.h} [A] [I] [J]. */
#define BT_HCI_ERR_REMOTE_USER_TERM_CONN 0x13
