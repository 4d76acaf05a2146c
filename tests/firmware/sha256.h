/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 and HMAC (FIPS 180-4, FIPS 198-1) for the tests alone: products bring their own. Slow, plain, and compared with
 * Python's by the proofs that the tests make with it. Included by whatever stands in for a product's cryptography.
 */
#ifndef KEYSWITCH_TESTS_SHA256_H_
#define KEYSWITCH_TESTS_SHA256_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const uint32_t SHA_K[64] = {
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

static uint32_t sha_rotated(uint32_t value, unsigned int bits)
{
	return (value >> bits) | (value << (32u - bits));
}

static void sha_block(uint32_t h[8], const uint8_t *data)
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

		w[t] = w[t - 16u] + (sha_rotated(a, 7) ^ sha_rotated(a, 18) ^ (a >> 3)) + w[t - 7u] +
		       (sha_rotated(b, 17) ^ sha_rotated(b, 19) ^ (b >> 10));
	}
	(void)memcpy(v, h, sizeof(v));
	for (unsigned int t = 0; t < 64u; t++) {
		uint32_t one = v[7] + (sha_rotated(v[4], 6) ^ sha_rotated(v[4], 11) ^ sha_rotated(v[4], 25)) +
			       ((v[4] & v[5]) ^ (~v[4] & v[6])) + SHA_K[t] + w[t];
		uint32_t two = (sha_rotated(v[0], 2) ^ sha_rotated(v[0], 13) ^ sha_rotated(v[0], 22)) +
			       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

		(void)memmove(&v[1], &v[0], 7u * sizeof(v[0]));
		v[4] += one;
		v[0] = one + two;
	}
	for (unsigned int place = 0; place < 8u; place++) {
		h[place] += v[place];
	}
}

static void sha_begin(struct sha *sha)
{
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	(void)memset(sha, 0, sizeof(*sha));
	(void)memcpy(sha->h, first, sizeof(first));
}

static void sha_add(struct sha *sha, const uint8_t *bytes, size_t size)
{
	for (size_t place = 0; place < size; place++) {
		sha->held[sha->size % 64u] = bytes[place];
		sha->size++;
		if ((sha->size % 64u) == 0u) {
			sha_block(sha->h, sha->held);
		}
	}
}

static void sha_end(struct sha *sha, uint8_t digest[32])
{
	static const uint8_t one = 0x80;
	static const uint8_t zero;
	uint64_t bits = sha->size * 8u;
	uint8_t length[8];

	for (unsigned int place = 0; place < 8u; place++) {
		length[7u - place] = (uint8_t)(bits >> (8u * place));
	}
	sha_add(sha, &one, 1u);
	while ((sha->size % 64u) != 56u) {
		sha_add(sha, &zero, 1u);
	}
	sha_add(sha, length, sizeof(length));
	for (unsigned int place = 0; place < 32u; place++) {
		digest[place] = (uint8_t)(sha->h[place / 4u] >> (24u - 8u * (place % 4u)));
	}
}

static void sha256(const uint8_t *bytes, size_t size, uint8_t digest[32])
{
	struct sha sha;

	sha_begin(&sha);
	sha_add(&sha, bytes, size);
	sha_end(&sha, digest);
}

/* With a key of 32 bytes. */
static void hmac_sha256(const uint8_t key[32], const uint8_t *message, size_t size, uint8_t mac[32])
{
	uint8_t inner[64] = {0};
	uint8_t outer[64] = {0};
	struct sha sha;

	for (size_t place = 0; place < 64u; place++) {
		uint8_t byte = (place < 32u) ? key[place] : 0u;

		inner[place] = byte ^ 0x36u;
		outer[place] = byte ^ 0x5cu;
	}
	sha_begin(&sha);
	sha_add(&sha, inner, sizeof(inner));
	sha_add(&sha, message, size);
	sha_end(&sha, mac);
	sha_begin(&sha);
	sha_add(&sha, outer, sizeof(outer));
	sha_add(&sha, mac, 32u);
	sha_end(&sha, mac);
}

#endif
