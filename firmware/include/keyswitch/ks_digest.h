/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash that an image is known by, in pieces. It is the one that MCUmgr's image group lists: SHA-512 where the build says
 * CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512 (images for pure Ed25519 signatures carry that one too), else SHA-256. The glue
 * needs it, the core does not. Bring your own, or take one of the module's backends.
 */
#ifndef KEYSWITCH_KS_DIGEST_H_
#define KEYSWITCH_KS_DIGEST_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
#define KS_DIGEST_SIZE 64u
#else
#define KS_DIGEST_SIZE 32u
#endif

/* Room for one hash under way, aligned for any type. The module's backends say what they need. */
#ifndef KS_DIGEST_STATE_SIZE
#define KS_DIGEST_STATE_SIZE 256u
#endif

struct ks_digest {
	union {
		uint64_t align;
		uint8_t bytes[KS_DIGEST_STATE_SIZE];
	} state;
};

/* Each false: it cannot be had; nothing may be made of what was computed. */
bool ks_digest_begin(struct ks_digest *digest);
bool ks_digest_update(struct ks_digest *digest, const uint8_t *bytes, size_t size);
bool ks_digest_end(struct ks_digest *digest, uint8_t hash[KS_DIGEST_SIZE]);
/* Give up what was begun. */
void ks_digest_abort(struct ks_digest *digest);

#endif
