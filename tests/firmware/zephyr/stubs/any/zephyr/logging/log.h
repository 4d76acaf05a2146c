/* Ours: the format strings are checked, and what is logged can be asked for. Read in include/zephyr/logging/log.h [A] [I] [J]. */
#ifndef STUB_LOG_H
#define STUB_LOG_H

void stub_log(char level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define LOG_MODULE_REGISTER(...) extern int stub_log_module
#define LOG_MODULE_DECLARE(...) extern int stub_log_module
/* What is weighed says how much is logged; else everything is. */
#if !defined(STUB_LOG_LEVEL)
#define STUB_LOG_LEVEL 4
#endif
#define STUB_LOG(least, level, ...)                                                                                    \
	do {                                                                                                           \
		if (STUB_LOG_LEVEL >= (least)) {                                                                       \
			stub_log(level, __VA_ARGS__);                                                                  \
		}                                                                                                      \
	} while (0)
#define LOG_ERR(...) STUB_LOG(1, 'E', __VA_ARGS__)
#define LOG_WRN(...) STUB_LOG(2, 'W', __VA_ARGS__)
#define LOG_INF(...) STUB_LOG(3, 'I', __VA_ARGS__)
#define LOG_DBG(...) STUB_LOG(4, 'D', __VA_ARGS__)

#endif
