/* Ours. Read in include/zephyr/random/{rand32.h [A], random.h [I] [J] [F]}. */
#ifndef STUB_RANDOM_H
#define STUB_RANDOM_H
#include <stddef.h>
int sys_csrand_get(void *dst, size_t len);
#endif
