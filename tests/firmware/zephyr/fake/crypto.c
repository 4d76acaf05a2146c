/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' SHA-256 and HMAC behind the names of PSA Crypto and of TinyCrypt. */
#include "fake.h"

#include <string.h>

#include <psa/crypto.h>
#include <tinycrypt/constants.h>
#include <tinycrypt/hmac.h>

#include <zephyr/kernel.h>

#include "../../sha256.h"

BUILD_ASSERT(sizeof(struct sha) <= sizeof(psa_hash_operation_t));
BUILD_ASSERT(sizeof(struct sha) <= sizeof(struct tc_sha256_state_struct));

void fake_sha256(const uint8_t *bytes, size_t size, uint8_t digest[32])
{
	sha256(bytes, size, digest);
}

void fake_hmac(const uint8_t key[32], const uint8_t *message, size_t size, uint8_t mac[32])
{
	hmac_sha256(key, message, size, mac);
}

/* --- PSA Crypto: one volatile key at a time --- */

static struct {
	uint8_t bytes[32];
	psa_key_attributes_t attributes;
	bool there;
} key;

psa_status_t psa_crypto_init(void)
{
	fake_waits("psa_crypto_init()");
	return PSA_SUCCESS;
}

void psa_set_key_type(psa_key_attributes_t *attributes, psa_key_type_t type)
{
	attributes->type = type;
}

void psa_set_key_usage_flags(psa_key_attributes_t *attributes, psa_key_usage_t usage_flags)
{
	attributes->usage = usage_flags;
}

void psa_set_key_algorithm(psa_key_attributes_t *attributes, psa_algorithm_t alg)
{
	attributes->algorithm = alg;
}

void psa_set_key_lifetime(psa_key_attributes_t *attributes, psa_key_lifetime_t lifetime)
{
	attributes->lifetime = lifetime;
}

psa_status_t psa_import_key(const psa_key_attributes_t *attributes, const uint8_t *data, size_t data_length,
			    psa_key_id_t *id)
{
	CHECK((attributes->type == PSA_KEY_TYPE_HMAC) && (attributes->usage == PSA_KEY_USAGE_VERIFY_MESSAGE));
	CHECK((attributes->algorithm == PSA_ALG_HMAC(PSA_ALG_SHA_256)) && (data_length == 32u) && !key.there);
	(void)memcpy(key.bytes, data, 32u);
	key.attributes = *attributes;
	key.there = true;
	*id = 7u;
	return PSA_SUCCESS;
}

psa_status_t psa_destroy_key(psa_key_id_t id)
{
	CHECK(key.there && (id == 7u));
	key.there = false;
	return PSA_SUCCESS;
}

psa_status_t psa_mac_verify(psa_key_id_t id, psa_algorithm_t alg, const uint8_t *input, size_t input_length,
			    const uint8_t *mac, size_t mac_length)
{
	uint8_t right[32];

	CHECK(key.there && (id == 7u) && (alg == PSA_ALG_HMAC(PSA_ALG_SHA_256)) && (mac_length == 32u));
	fake_hmac(key.bytes, input, input_length, right);
	return (memcmp(right, mac, sizeof(right)) == 0) ? PSA_SUCCESS : PSA_ERROR_INVALID_SIGNATURE;
}

psa_status_t psa_hash_setup(psa_hash_operation_t *operation, psa_algorithm_t alg)
{
	CHECK(alg == FAKE_IMAGE_HASH);
	sha_begin((struct sha *)(void *)operation);
	return PSA_SUCCESS;
}

psa_status_t psa_hash_update(psa_hash_operation_t *operation, const uint8_t *input, size_t input_length)
{
	sha_add((struct sha *)(void *)operation, input, input_length);
	return PSA_SUCCESS;
}

psa_status_t psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t hash_size, size_t *hash_length)
{
	CHECK(hash_size >= HASH_SIZE);
	sha_end((struct sha *)(void *)operation, hash);
	fake_lengthen(hash);
	*hash_length = HASH_SIZE;
	return PSA_SUCCESS;
}

psa_status_t psa_hash_abort(psa_hash_operation_t *operation)
{
	(void)memset(operation, 0, sizeof(*operation));
	return PSA_SUCCESS;
}

/* --- TinyCrypt --- */

int tc_sha256_init(TCSha256State_t s)
{
	sha_begin((struct sha *)(void *)s);
	return TC_CRYPTO_SUCCESS;
}

int tc_sha256_update(TCSha256State_t s, const uint8_t *data, size_t datalen)
{
	sha_add((struct sha *)(void *)s, data, datalen);
	return TC_CRYPTO_SUCCESS;
}

int tc_sha256_final(uint8_t *digest, TCSha256State_t s)
{
	sha_end((struct sha *)(void *)s, digest);
	return TC_CRYPTO_SUCCESS;
}

static uint8_t message[1024];
static size_t message_size;

int tc_hmac_set_key(TCHmacState_t ctx, const uint8_t *bytes, unsigned int key_size)
{
	CHECK(key_size == 32u);
	(void)memcpy(ctx->key, bytes, key_size);
	return TC_CRYPTO_SUCCESS;
}

int tc_hmac_init(TCHmacState_t ctx)
{
	(void)ctx;
	message_size = 0u;
	return TC_CRYPTO_SUCCESS;
}

int tc_hmac_update(TCHmacState_t ctx, const void *data, unsigned int data_length)
{
	(void)ctx;
	CHECK(message_size + data_length <= sizeof(message));
	(void)memcpy(message + message_size, data, data_length);
	message_size += data_length;
	return TC_CRYPTO_SUCCESS;
}

int tc_hmac_final(uint8_t *tag, unsigned int taglen, TCHmacState_t ctx)
{
	CHECK(taglen == 32u);
	fake_hmac(ctx->key, message, message_size, tag);
	return TC_CRYPTO_SUCCESS;
}
