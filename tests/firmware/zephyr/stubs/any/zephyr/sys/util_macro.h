/* Ours. Read in include/zephyr/sys/{util.h, util_macro.h}, include/zephyr/toolchain/gcc.h [A] [I] [J]. */
#ifndef STUB_UTIL_MACRO_H
#define STUB_UTIL_MACRO_H

#include <stddef.h>
#include <stdint.h>

#define BIT(n) (1UL << (n))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) (((a) < (b)) ? (a) : (b))
#define MAX(a, b) (((a) > (b)) ? (a) : (b))
#define ARG_UNUSED(x) (void)(x)
#define CONTAINER_OF(ptr, type, field) ((type *)(void *)(((char *)(ptr)) - offsetof(type, field)))
#define BUILD_ASSERT(expression, ...) _Static_assert(expression, "" __VA_ARGS__)
size_t bin2hex(const uint8_t *buf, size_t buflen, char *hex, size_t hexlen);
#define __weak __attribute__((__weak__))
#define FUNC_NORETURN __attribute__((__noreturn__))
/* 1 for an option that is defined as 1, else 0; in the preprocessor too. */
#define IS_ENABLED(option) STUB_ENABLED_1(option)
#define STUB_ENABLED_1(option) STUB_ENABLED_2(STUB_SHIFT_##option)
#define STUB_SHIFT_1 0,
#define STUB_ENABLED_2(shifted) STUB_ENABLED_3(shifted 1, 0, 0)
#define STUB_ENABLED_3(ignored, value, ...) value

#endif
