/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two things that the core needs of a product's cryptography. Bring your own, or take one of the module's backends.
 */
#ifndef KEYSWITCH_KS_CRYPTO_H_
#define KEYSWITCH_KS_CRYPTO_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KS_MAC_SIZE 32u

/*
 * Whether `mac` is HMAC-SHA256 of the message under this unit's own secret. It takes the same time for every wrong one.
 * A unit without a secret answers false to everything: it has no default key.
 */
bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE]);

/* Random bytes of cryptographic quality; false: there is not enough entropy, and nothing may be made of `bytes`. */
bool ks_random(uint8_t *bytes, size_t size);

#endif
