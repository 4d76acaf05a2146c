/* Ours. */
#include <zephyr/sys/util_macro.h>
