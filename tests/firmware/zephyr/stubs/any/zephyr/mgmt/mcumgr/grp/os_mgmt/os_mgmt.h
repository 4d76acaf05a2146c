/* Ours. Read in include/zephyr/mgmt/mcumgr/grp/os_mgmt/os_mgmt.h [A] [I] [J]. */
#ifndef STUB_OS_MGMT_H
#define STUB_OS_MGMT_H
#define OS_MGMT_ID_ECHO 0
#define OS_MGMT_ID_RESET 5
#define OS_MGMT_ID_MCUMGR_PARAMS 6
#endif
