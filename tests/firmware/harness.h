/* SPDX-License-Identifier: Apache-2.0 */
/* What the harness and its stand-ins for a product's cryptography share. */
#ifndef KEYSWITCH_TESTS_HARNESS_H_
#define KEYSWITCH_TESTS_HARNESS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The secret of the tests: 32 bytes that count up from here. */
#define TEST_SECRET_FIRST 0x40

void must(bool held, const char *what);
/* The answers to these questions, in the form of the files of main(). *told: give it back to free(). */
size_t harness_ask(const uint8_t *questions, size_t size, uint8_t **told);
void test_chance_seed(uint32_t seed);
/* From now on there is no entropy, or there is. */
void test_chance_fails(bool fails);

/* Seconds since 1970 of the tests' clock. */
#define TEST_CLOCK_S 1500u
/*
 * What the tests' Ed25519 says yes to: SHA-256 of key, message and signature of each that Python's verifier has said yes to.
 * NULL: to every signature that begins with an odd byte, so that a fuzzer gets on.
 */
void test_signatures(const uint8_t *right, size_t count);
/* Permits whose uses are kept, from now on none. */
void test_permits_forget(void);

#endif
