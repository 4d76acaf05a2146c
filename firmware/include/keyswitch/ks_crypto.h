/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core needs of a product's cryptography: two functions, and two more where the policy takes permits. Bring your
 * own, or take one of the module's backends.
 */
#ifndef KEYSWITCH_KS_CRYPTO_H_
#define KEYSWITCH_KS_CRYPTO_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KS_MAC_SIZE 32u
#define KS_SECRET_SIZE 32u
#define KS_HASH_SIZE 32u
#define KS_KEY_SIZE 32u
#define KS_SIGNATURE_SIZE 64u

/*
 * Whether `mac` is HMAC-SHA256 of the message under this unit's own secret. It takes the same time for every wrong one.
 * A unit without a secret answers false to everything: it has no default key.
 */
bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE]);

/* Random bytes of cryptographic quality; false: there is not enough entropy, and nothing may be made of `bytes`. */
bool ks_random(uint8_t *bytes, size_t size);

/* --- with permits --- */

/* Whether it is the Ed25519 signature (RFC 8032 5.1.7) of the message by the owner of this public key. */
bool ks_ed25519_verify(const uint8_t key[KS_KEY_SIZE], const uint8_t *message, size_t size,
		       const uint8_t signature[KS_SIGNATURE_SIZE]);

/* SHA-256; false: it cannot be computed now. */
bool ks_sha256(const uint8_t *bytes, size_t size, uint8_t hash[KS_HASH_SIZE]);

#endif
