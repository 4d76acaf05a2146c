/* Ours. Read in include/zephyr/sys/reboot.h [A] [I] [J]. */
#ifndef STUB_REBOOT_H
#define STUB_REBOOT_H

#include <zephyr/sys/util_macro.h>

#define SYS_REBOOT_WARM 0
#define SYS_REBOOT_COLD 1
extern FUNC_NORETURN void sys_reboot(int type);

#endif
