/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC-SHA256 and the hash of images by PSA Crypto. The secret is a persistent key that may verify and nothing else
 * (CONFIG_KEYSWITCH_PSA_KEY_ID), or that of the unit's data, imported for each use.
 *
 * Run with Mbed TLS 3.4.0 as its provider, the secret from the unit's data (docs/zephyr.md); a persistent key and Ed25519 were
 * not run.
 */
#include <string.h>

#include <psa/crypto.h>

#include <keyswitch/ks_crypto.h>

#include "digest.h"
#include "glue.h"

#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
#define IMAGE_HASH PSA_ALG_SHA_512
#else
#define IMAGE_HASH PSA_ALG_SHA_256
#endif

/*
 * What PSA was built without is declared all the same, and fails when it is asked for: no proof would ever be right. What the
 * other side of TF-M has is not told here.
 */
#if !defined(CONFIG_BUILD_WITH_TFM)
#if (!defined(PSA_WANT_ALG_HMAC) && !defined(CONFIG_PSA_WANT_ALG_HMAC)) || \
	(!defined(PSA_WANT_KEY_TYPE_HMAC) && !defined(CONFIG_PSA_WANT_KEY_TYPE_HMAC)) || \
	(!defined(PSA_WANT_ALG_SHA_256) && !defined(CONFIG_PSA_WANT_ALG_SHA_256))
#error "PSA Crypto is built without HMAC or SHA-256: CONFIG_PSA_WANT_ALG_HMAC, _KEY_TYPE_HMAC, _ALG_SHA_256"
#endif
#if defined(CONFIG_KEYSWITCH_PERMIT) && !defined(PSA_WANT_ALG_PURE_EDDSA) && !defined(CONFIG_PSA_WANT_ALG_PURE_EDDSA)
#error "permits need Ed25519, and this PSA Crypto has none (Mbed TLS never has): CONFIG_KEYSWITCH_CRYPTO_OWN"
#endif
#endif

static psa_status_t import(psa_key_id_t *key)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t secret[32];
	psa_status_t status;

	if (!ks_unit_secret(secret)) {
		return PSA_ERROR_DOES_NOT_EXIST; /* a unit without a secret: the button works */
	}
	psa_set_key_type(&attributes, PSA_KEY_TYPE_HMAC);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HMAC(PSA_ALG_SHA_256));
	psa_set_key_lifetime(&attributes, PSA_KEY_LIFETIME_VOLATILE);
	status = psa_import_key(&attributes, secret, sizeof(secret), key);
	(void)memset(secret, 0, sizeof(secret));
	return status;
}

bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE])
{
	psa_key_id_t key = (psa_key_id_t)CONFIG_KEYSWITCH_PSA_KEY_ID;
	bool right;

	if (psa_crypto_init() != PSA_SUCCESS) {
		return false;
	}
	if ((CONFIG_KEYSWITCH_PSA_KEY_ID == 0) && (import(&key) != PSA_SUCCESS)) {
		return false;
	}
	right = psa_mac_verify(key, PSA_ALG_HMAC(PSA_ALG_SHA_256), message, size, mac, KS_MAC_SIZE) == PSA_SUCCESS;
	if (CONFIG_KEYSWITCH_PSA_KEY_ID == 0) {
		(void)psa_destroy_key(key);
	}
	return right;
}

static psa_hash_operation_t *state_of(struct ks_digest *digest)
{
	return (psa_hash_operation_t *)(void *)digest->state.bytes;
}

bool ks_digest_begin(struct ks_digest *digest)
{
	psa_hash_operation_t fresh = PSA_HASH_OPERATION_INIT;

	(void)memcpy(digest->state.bytes, &fresh, sizeof(fresh));
	return (psa_crypto_init() == PSA_SUCCESS) && (psa_hash_setup(state_of(digest), IMAGE_HASH) == PSA_SUCCESS);
}

bool ks_digest_update(struct ks_digest *digest, const uint8_t *bytes, size_t size)
{
	return psa_hash_update(state_of(digest), bytes, size) == PSA_SUCCESS;
}

bool ks_digest_end(struct ks_digest *digest, uint8_t hash[KS_DIGEST_SIZE])
{
	size_t size;

	return (psa_hash_finish(state_of(digest), hash, KS_DIGEST_SIZE, &size) == PSA_SUCCESS) && (size == KS_DIGEST_SIZE);
}

void ks_digest_abort(struct ks_digest *digest)
{
	(void)psa_hash_abort(state_of(digest));
}

#if defined(CONFIG_KEYSWITCH_PERMIT)

bool ks_ed25519_verify(const uint8_t key[KS_KEY_SIZE], const uint8_t *message, size_t size,
		       const uint8_t signature[KS_SIGNATURE_SIZE])
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id;
	bool right;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_TWISTED_EDWARDS));
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_MESSAGE);
	psa_set_key_algorithm(&attributes, PSA_ALG_PURE_EDDSA);
	psa_set_key_lifetime(&attributes, PSA_KEY_LIFETIME_VOLATILE);
	if ((psa_crypto_init() != PSA_SUCCESS) || (psa_import_key(&attributes, key, KS_KEY_SIZE, &id) != PSA_SUCCESS)) {
		return false;
	}
	right = psa_verify_message(id, PSA_ALG_PURE_EDDSA, message, size, signature, KS_SIGNATURE_SIZE) == PSA_SUCCESS;
	(void)psa_destroy_key(id);
	return right;
}

bool ks_sha256(const uint8_t *bytes, size_t size, uint8_t hash[KS_HASH_SIZE])
{
	size_t written;

	return (psa_crypto_init() == PSA_SUCCESS) &&
	       (psa_hash_compute(PSA_ALG_SHA_256, bytes, size, hash, KS_HASH_SIZE, &written) == PSA_SUCCESS) &&
	       (written == KS_HASH_SIZE);
}

#endif
