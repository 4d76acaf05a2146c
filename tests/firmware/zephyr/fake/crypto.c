/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and HMAC (FIPS 180-4, FIPS 198-1) behind the names of PSA Crypto and of TinyCrypt. */
#include "fake.h"

#include <string.h>

#include <psa/crypto.h>
#include <tinycrypt/constants.h>
#include <tinycrypt/hmac.h>

#include <zephyr/kernel.h>

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct sha {
	uint32_t h[8];
	uint64_t size;
	uint8_t held[64];
};
BUILD_ASSERT(sizeof(struct sha) <= sizeof(psa_hash_operation_t));
BUILD_ASSERT(sizeof(struct sha) <= sizeof(struct tc_sha256_state_struct));

static uint32_t rotated(uint32_t value, unsigned int bits)
{
	return (value >> bits) | (value << (32u - bits));
}

static void block(uint32_t h[8], const uint8_t *data)
{
	uint32_t w[64];
	uint32_t v[8];

	for (unsigned int t = 0; t < 16u; t++) {
		w[t] = ((uint32_t)data[4u * t] << 24) | ((uint32_t)data[4u * t + 1u] << 16) |
		       ((uint32_t)data[4u * t + 2u] << 8) | data[4u * t + 3u];
	}
	for (unsigned int t = 16; t < 64u; t++) {
		uint32_t a = w[t - 15u];
		uint32_t b = w[t - 2u];

		w[t] = w[t - 16u] + (rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)) + w[t - 7u] +
		       (rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10));
	}
	(void)memcpy(v, h, sizeof(v));
	for (unsigned int t = 0; t < 64u; t++) {
		uint32_t one = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) +
			       ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[t] + w[t];
		uint32_t two = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) +
			       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		(void)memmove(&v[1], &v[0], 7u * sizeof(v[0]));
		v[4] += one;
		v[0] = one + two;
	}
	for (unsigned int place = 0; place < 8u; place++) {
		h[place] += v[place];
	}
}

static void begin(struct sha *sha)
{
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	(void)memset(sha, 0, sizeof(*sha));
	(void)memcpy(sha->h, first, sizeof(first));
}

static void add(struct sha *sha, const uint8_t *bytes, size_t size)
{
	for (size_t place = 0; place < size; place++) {
		sha->held[sha->size % 64u] = bytes[place];
		sha->size++;
		if ((sha->size % 64u) == 0u) {
			block(sha->h, sha->held);
		}
	}
}

static void end(struct sha *sha, uint8_t digest[32])
{
	static const uint8_t one = 0x80;
	static const uint8_t zero;
	uint64_t bits = sha->size * 8u;
	uint8_t length[8];

	for (unsigned int place = 0; place < 8u; place++) {
		length[7u - place] = (uint8_t)(bits >> (8u * place));
	}
	add(sha, &one, 1u);
	while ((sha->size % 64u) != 56u) {
		add(sha, &zero, 1u);
	}
	add(sha, length, sizeof(length));
	for (unsigned int place = 0; place < 32u; place++) {
		digest[place] = (uint8_t)(sha->h[place / 4u] >> (24u - 8u * (place % 4u)));
	}
}

void fake_sha256(const uint8_t *bytes, size_t size, uint8_t digest[32])
{
	struct sha sha;

	begin(&sha);
	add(&sha, bytes, size);
	end(&sha, digest);
}

void fake_hmac(const uint8_t key[32], const uint8_t *message, size_t size, uint8_t mac[32])
{
	uint8_t inner[64] = {0};
	uint8_t outer[64] = {0};
	struct sha sha;

	for (size_t place = 0; place < 64u; place++) {
		uint8_t byte = (place < 32u) ? key[place] : 0u;

		inner[place] = byte ^ 0x36u;
		outer[place] = byte ^ 0x5cu;
	}
	begin(&sha);
	add(&sha, inner, sizeof(inner));
	add(&sha, message, size);
	end(&sha, mac);
	begin(&sha);
	add(&sha, outer, sizeof(outer));
	add(&sha, mac, 32u);
	end(&sha, mac);
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
	begin((struct sha *)(void *)operation);
	return PSA_SUCCESS;
}

psa_status_t psa_hash_update(psa_hash_operation_t *operation, const uint8_t *input, size_t input_length)
{
	add((struct sha *)(void *)operation, input, input_length);
	return PSA_SUCCESS;
}

psa_status_t psa_hash_finish(psa_hash_operation_t *operation, uint8_t *hash, size_t hash_size, size_t *hash_length)
{
	CHECK(hash_size >= HASH_SIZE);
	end((struct sha *)(void *)operation, hash);
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
	begin((struct sha *)(void *)s);
	return TC_CRYPTO_SUCCESS;
}

int tc_sha256_update(TCSha256State_t s, const uint8_t *data, size_t datalen)
{
	add((struct sha *)(void *)s, data, datalen);
	return TC_CRYPTO_SUCCESS;
}

int tc_sha256_final(uint8_t *digest, TCSha256State_t s)
{
	end((struct sha *)(void *)s, digest);
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
