/* Ours. Read in include/zephyr/mgmt/mcumgr/transport/smp_bt.h [A] [I] [J]. */
#ifndef STUB_SMP_BT_H
#define STUB_SMP_BT_H
int smp_bt_register(void);
int smp_bt_unregister(void);
#endif
