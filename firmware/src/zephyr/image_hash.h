/* SPDX-License-Identifier: Apache-2.0 */
/* The hash of the image in a slot, computed over what lies there, in pieces. */
#ifndef KEYSWITCH_ZEPHYR_IMAGE_HASH_H_
#define KEYSWITCH_ZEPHYR_IMAGE_HASH_H_

#include <stdbool.h>
#include <stdint.h>

#include <keyswitch/ks_gate.h>

#include "digest.h"

#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
#include <zephyr/dfu/mcuboot.h>
#endif

enum ks_hashing {
	KS_HASHING_MORE = 0,
	KS_HASHING_DONE = 1,
	KS_HASHING_FAILED = 2, /* no image that could be started, or flash cannot be read */
};

struct ks_image_hash {
	struct ks_digest digest;
	uint32_t at;
	uint32_t end; /* where the image's TLVs begin */
	uint8_t area;
};

/*
 * Where the image in this flash area begins. With swap using offset an image that was uploaded lies behind the first sector of
 * the other slot; during a trial the image to go back to lies at that slot's very beginning.
 */
static inline uint32_t ks_image_begins(uint8_t area)
{
#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
	return (uint32_t)boot_get_image_start_offset(area);
#else
	(void)area;
	return 0u;
#endif
}

/* Read the header of the image in this flash area; false: there is none. */
bool ks_image_hash_begin(struct ks_image_hash *hash, uint8_t area);
/* Hash the next piece. KS_HASHING_DONE: *computed is the hash, and it is what the image's TLV says. */
enum ks_hashing ks_image_hash_go_on(struct ks_image_hash *hash, struct ks_hash *computed);
void ks_image_hash_give_up(struct ks_image_hash *hash);

/* The hash that the image in this area carries, not computed; false: there is no image. */
bool ks_image_hash_listed(uint8_t area, struct ks_hash *listed);
#if KS_POLICY_PAIRS > 1
/* Whether it can be told if an image is there. */
bool ks_image_readable(uint8_t area);
#endif

#endif
