/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in for a product's cryptography, permits' uses, clock and chance: Python can repeat all of it. */
#include <string.h>

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_permit.h>

#include "harness.h"
#include "sha256.h"

bool ks_hmac_sha256_verify(const uint8_t *message, size_t size, const uint8_t mac[KS_MAC_SIZE])
{
	uint8_t secret[KS_SECRET_SIZE];
	uint8_t right[KS_MAC_SIZE];
	uint8_t wrong = 0;

	for (unsigned place = 0; place < sizeof(secret); place++) {
		secret[place] = (uint8_t)(TEST_SECRET_FIRST + place);
	}
	hmac_sha256(secret, message, size, right);
	for (unsigned place = 0; place < 32; place++) {
		wrong |= (uint8_t)(right[place] ^ mac[place]);
	}
	return wrong == 0;
}

/* --- permits --- */

bool ks_sha256(const uint8_t *bytes, size_t size, uint8_t hash[KS_HASH_SIZE])
{
	sha256(bytes, size, hash);
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
	uint8_t digest[KS_HASH_SIZE];
	struct sha all;

	if (signatures == NULL) {
		return (signature[0] & 1u) != 0;
	}
	sha_begin(&all);
	sha_add(&all, key, KS_KEY_SIZE);
	sha_add(&all, message, size);
	sha_add(&all, signature, KS_SIGNATURE_SIZE);
	sha_end(&all, digest);
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
