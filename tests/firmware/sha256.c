/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 and HMAC (FIPS 180-4, FIPS 198-1) for the tests alone: products bring their own. Slow, plain, and compared with
 * Python's by the proofs that the tests make with it.
 */
#include <string.h>

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_permit.h>

#include "harness.h"

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotated(uint32_t value, unsigned bits)
{
	return (value >> bits) | (value << (32u - bits));
}

static void block(uint32_t h[8], const uint8_t *data)
{
	uint32_t w[64];
	uint32_t v[8];

	for (unsigned t = 0; t < 16; t++) {
		w[t] = ((uint32_t)data[4 * t] << 24) | ((uint32_t)data[4 * t + 1] << 16) |
		       ((uint32_t)data[4 * t + 2] << 8) | data[4 * t + 3];
	}
	for (unsigned t = 16; t < 64; t++) {
		uint32_t a = w[t - 15];
		uint32_t b = w[t - 2];

		w[t] = w[t - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)) + w[t - 7] +
		       (rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10));
	}
	memcpy(v, h, sizeof(v));
	for (unsigned t = 0; t < 64; t++) {
		uint32_t one = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) +
			       ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[t] + w[t];
		uint32_t two = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) +
			       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		memmove(&v[1], &v[0], 7 * sizeof(v[0]));
		v[4] += one;
		v[0] = one + two;
	}
	for (unsigned place = 0; place < 8; place++) {
		h[place] += v[place];
	}
}

static void sha256(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t digest[32])
{
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	uint8_t data[2048] = {0};
	size_t size = one_size + two_size;
	size_t padded = ((size + 8) / 64 + 1) * 64;
	uint64_t bits = (uint64_t)size * 8;

	must(padded <= sizeof(data), "a message is too long for the tests' SHA-256");
	memcpy(data, one, one_size);
	if (two_size != 0) {
		memcpy(data + one_size, two, two_size);
	}
	data[size] = 0x80;
	for (unsigned place = 0; place < 8; place++) {
		data[padded - 1 - place] = (uint8_t)(bits >> (8 * place));
	}
	for (size_t at = 0; at < padded; at += 64) {
		block(h, data + at);
	}
	for (unsigned place = 0; place < 32; place++) {
		digest[place] = (uint8_t)(h[place / 4] >> (24 - 8 * (place % 4)));
	}
}

bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE])
{
	uint8_t inner[64];
	uint8_t outer[64];
	uint8_t digest[32];
	uint8_t wrong = 0;

	for (unsigned place = 0; place < 64; place++) {
		uint8_t key = place < 32 ? (uint8_t)(TEST_SECRET_FIRST + place) : 0;

		inner[place] = key ^ 0x36;
		outer[place] = key ^ 0x5c;
	}
	sha256(inner, sizeof(inner), message, size, digest);
	sha256(outer, sizeof(outer), digest, sizeof(digest), digest);
	for (unsigned place = 0; place < 32; place++) {
		wrong |= (uint8_t)(digest[place] ^ mac[place]);
	}
	return wrong == 0;
}

/* --- permits --- */

bool ks_sha256(const uint8_t *bytes, size_t size, uint8_t hash[KS_HASH_SIZE])
{
	sha256(bytes, size, NULL, 0, hash);
	return true;
}

static const uint8_t *signatures;
static size_t signature_count;

void test_signatures(const uint8_t *right, size_t count)
{
	signatures = right;
	signature_count = count;
}

bool ks_ed25519_verify(const uint8_t key[KS_KEY_SIZE], const uint8_t *message, size_t size,
		       const uint8_t signature[KS_SIGNATURE_SIZE])
{
	uint8_t all[KS_KEY_SIZE + 1536];
	uint8_t digest[KS_HASH_SIZE];

	must(size <= sizeof(all) - KS_KEY_SIZE, "a message is too long for the tests");
	memcpy(all, key, KS_KEY_SIZE);
	memcpy(all + KS_KEY_SIZE, message, size);
	sha256(all, KS_KEY_SIZE + size, signature, KS_SIGNATURE_SIZE, digest);
	if (signatures == NULL) {
		return (signature[0] & 1u) != 0;
	}
	for (size_t place = 0; place < signature_count; place++) {
		if (memcmp(signatures + place * KS_HASH_SIZE, digest, KS_HASH_SIZE) == 0) {
			return true;
		}
	}
	return false;
}

#define TEST_PERMITS 16u
static struct {
	uint8_t id[KS_PERMIT_ID_SIZE];
	uint32_t used;
} permits[TEST_PERMITS];
static uint32_t permit_count;

void test_permits_forget(void)
{
	permit_count = 0;
}

bool ks_permit_uses(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t *used, uint32_t *known)
{
	*used = 0;
	*known = permit_count;
	for (uint32_t place = 0; place < permit_count; place++) {
		if (memcmp(permits[place].id, id, KS_PERMIT_ID_SIZE) == 0) {
			*used = permits[place].used;
		}
	}
	return true;
}

bool ks_permit_keep_use(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t used)
{
	uint32_t place = 0;

	while (place < permit_count && memcmp(permits[place].id, id, KS_PERMIT_ID_SIZE) != 0) {
		place++;
	}
	must(place < TEST_PERMITS, "more permits than the policies of the tests have room for");
	permit_count = place == permit_count ? permit_count + 1 : permit_count;
	memcpy(permits[place].id, id, KS_PERMIT_ID_SIZE);
	permits[place].used = used;
	return true;
}

bool ks_clock_s(uint32_t *now_s)
{
	*now_s = TEST_CLOCK_S;
	return true;
}

/* --- chance that Python can repeat --- */

static uint32_t chance;

void test_chance_seed(uint32_t seed)
{
	chance = seed;
}

static bool chance_fails;

void test_chance_fails(bool fails)
{
	chance_fails = fails;
}

bool ks_random(uint8_t *bytes, size_t size)
{
	if (chance_fails) {
		memset(bytes, 0xA5, size);
		return false;
	}
	for (size_t place = 0; place < size; place++) {
		chance = chance * 1103515245u + 12345u;
		bytes[place] = (uint8_t)(chance >> 16);
	}
	return true;
}
