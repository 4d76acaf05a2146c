/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 and SHA-256 by TinyCrypt, for trees that have nothing else. The secret is the unit's. */
#include <string.h>

#include <tinycrypt/constants.h>
#include <tinycrypt/hmac.h>
#include <tinycrypt/sha256.h>

#include <keyswitch/ks_crypto.h>

#include "digest.h"
#include "glue.h"

#if defined(CONFIG_KEYSWITCH_PERMIT)
#error "TinyCrypt has no Ed25519: permits need CONFIG_KEYSWITCH_CRYPTO_PSA, or the application's own"
#endif

#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
#error "TinyCrypt has no SHA-512: images of this build need CONFIG_KEYSWITCH_CRYPTO_PSA, or the application's own"
#endif

bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE])
{
	struct tc_hmac_state_struct state;
	uint8_t secret[32];
	uint8_t right[KS_MAC_SIZE];
	uint8_t wrong = 0u;
	bool computed;

	if (!ks_unit_secret(secret)) {
		return false; /* a unit without a secret: the button works */
	}
	(void)memset(&state, 0, sizeof(state));
	computed = (tc_hmac_set_key(&state, secret, sizeof(secret)) == TC_CRYPTO_SUCCESS) &&
		   (tc_hmac_init(&state) == TC_CRYPTO_SUCCESS) &&
		   (tc_hmac_update(&state, message, (unsigned int)size) == TC_CRYPTO_SUCCESS) &&
		   (tc_hmac_final(right, sizeof(right), &state) == TC_CRYPTO_SUCCESS);
	(void)memset(secret, 0, sizeof(secret));
	for (size_t place = 0; place < sizeof(right); place++) {
		wrong |= right[place] ^ mac[place]; /* as long for every wrong one */
	}
	return computed && (wrong == 0u);
}

static struct tc_sha256_state_struct *state_of(struct ks_digest *digest)
{
	return (struct tc_sha256_state_struct *)(void *)digest->state.bytes;
}

bool ks_digest_begin(struct ks_digest *digest)
{
	return tc_sha256_init(state_of(digest)) == TC_CRYPTO_SUCCESS;
}

bool ks_digest_update(struct ks_digest *digest, const uint8_t *bytes, size_t size)
{
	return tc_sha256_update(state_of(digest), bytes, size) == TC_CRYPTO_SUCCESS;
}

bool ks_digest_end(struct ks_digest *digest, uint8_t hash[KS_DIGEST_SIZE])
{
	return tc_sha256_final(hash, state_of(digest)) == TC_CRYPTO_SUCCESS;
}

void ks_digest_abort(struct ks_digest *digest)
{
	ARG_UNUSED(digest);
}
