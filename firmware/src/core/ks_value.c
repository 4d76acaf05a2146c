/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and sets of hashes. */
#include <string.h>

#include "ks_internal.h"

bool ks_hash_equal(const struct ks_hash *one, const struct ks_hash *other)
{
	return (one->size == other->size) && (memcmp(one->bytes, other->bytes, one->size) == 0);
}

bool ks_images_hold(const struct ks_images *images, const struct ks_hash *hash)
{
	for (uint8_t place = 0; place < images->count; place++) {
		if (ks_hash_equal(&images->hash[place], hash)) {
			return true;
		}
	}
	return false;
}

/* As sets: no hash stands in one of them twice. */
bool ks_images_equal(const struct ks_images *one, const struct ks_images *other)
{
	if ((one->limited != other->limited) || (one->limited && (one->count != other->count))) {
		return false;
	}
	for (uint8_t place = 0; one->limited && (place < one->count); place++) {
		if (!ks_images_hold(other, &one->hash[place])) {
			return false;
		}
	}
	return true;
}
