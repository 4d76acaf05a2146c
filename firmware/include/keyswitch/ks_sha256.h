/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 in pieces, for the hash of an image. The glue needs it, the core does not. Bring your own, or take one of the
 * module's backends.
 */
#ifndef KEYSWITCH_KS_SHA256_H_
#define KEYSWITCH_KS_SHA256_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KS_SHA256_SIZE 32u
/* Room for one hash under way, aligned for any type. The backend asserts that it is enough. */
#define KS_SHA256_STATE_SIZE 256u

struct ks_sha256 {
	union {
		uint64_t align;
		uint8_t bytes[KS_SHA256_STATE_SIZE];
	} state;
};

/* Each false: it cannot be had; nothing may be made of what was computed. */
bool ks_sha256_begin(struct ks_sha256 *hash);
bool ks_sha256_update(struct ks_sha256 *hash, const uint8_t *bytes, size_t size);
bool ks_sha256_end(struct ks_sha256 *hash, uint8_t digest[KS_SHA256_SIZE]);
/* Give up what was begun. */
void ks_sha256_abort(struct ks_sha256 *hash);

#endif
