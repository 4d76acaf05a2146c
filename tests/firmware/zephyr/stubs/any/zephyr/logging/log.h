/* Ours: the format strings are checked, and what is logged can be asked for. Read in include/zephyr/logging/log.h [A] [I] [J]. */
#ifndef STUB_LOG_H
#define STUB_LOG_H

void stub_log(char level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define LOG_MODULE_REGISTER(...) extern int stub_log_module
#define LOG_MODULE_DECLARE(...) extern int stub_log_module
#define LOG_ERR(...) stub_log('E', __VA_ARGS__)
#define LOG_WRN(...) stub_log('W', __VA_ARGS__)
#define LOG_INF(...) stub_log('I', __VA_ARGS__)
#define LOG_DBG(...) stub_log('D', __VA_ARGS__)

#endif
