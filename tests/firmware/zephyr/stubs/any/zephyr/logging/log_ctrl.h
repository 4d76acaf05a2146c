/* Ours. Read in include/zephyr/logging/log_ctrl.h [A] [I] [J]. */
#ifndef STUB_LOG_CTRL_H
#define STUB_LOG_CTRL_H
#define LOG_PANIC() ((void)0)
#endif
