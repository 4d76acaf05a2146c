/* SPDX-License-Identifier: Apache-2.0 */
/* What the harness and its stand-ins for a product's cryptography share. */
#ifndef KEYSWITCH_TESTS_HARNESS_H_
#define KEYSWITCH_TESTS_HARNESS_H_

#include <stdbool.h>
#include <stdint.h>

/* The secret of the tests: 32 bytes that count up from here. */
#define TEST_SECRET_FIRST 0x40

void must(bool held, const char *what);
void test_chance_seed(uint32_t seed);

#endif
