/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and sets of hashes. */
#include <string.h>

#include "ks_internal.h"

/* SHA-256, SHA-384, SHA-512. */
bool ks_is_hash_size(uint32_t size)
{
	return (size == 32u) || (size == 48u) || (size == KS_MAX_HASH);
}

/* As their bytes are ordered, a shorter one before a longer one that begins with it. */
int ks_hash_order(const struct ks_hash *one, const struct ks_hash *other)
{
	int order = memcmp(one->bytes, other->bytes, (one->size < other->size) ? one->size : other->size);

	return (order != 0) ? order : ((int)one->size - (int)other->size);
}

bool ks_hash_equal(const struct ks_hash *one, const struct ks_hash *other)
{
	return ks_hash_order(one, other) == 0;
}

bool ks_images_hold(const struct ks_images *images, const struct ks_hash *hash)
{
	for (uint_fast8_t place = 0; place < images->count; place++) {
		if (ks_hash_equal(&images->hash[place], hash)) {
			return true;
		}
	}
	return false;
}

bool ks_images_equal(const struct ks_images *one, const struct ks_images *other)
{
	if (!one->limited || !other->limited || (one->count != other->count)) {
		return !one->limited && !other->limited;
	}
	for (uint_fast8_t place = 0; place < one->count; place++) {
		if (!ks_hash_equal(&one->hash[place], &other->hash[place])) {
			return false;
		}
	}
	return true;
}
