/* Ours. Read in include/zephyr/random/rand32.h [A]; random.h: not compared [-]. */
#ifndef STUB_RANDOM_H
#define STUB_RANDOM_H
#include <stddef.h>
int sys_csrand_get(void *dst, size_t len);
#endif
