/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUboot's hash covers header, payload and protected TLVs, which lie one behind the other. The bootloader checks the
 * signature over the same bytes; this tells whether what is armed is what was named.
 */
#include <string.h>

#include <zephyr/storage/flash_map.h>

#include <bootutil/image.h>

#include "glue.h"
#include "image_hash.h"

/* One piece: a guard, the lease or a leave is heard after each. About a millisecond on a Cortex-M4. */
#define PIECE 1024u

/* The TLV that MCUmgr lists images by (img_mgmt_priv.h, IMAGE_TLV_SHA): it knows these two. */
#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
#define HASH_TLV IMAGE_TLV_SHA512
#else
#define HASH_TLV IMAGE_TLV_SHA256
#endif

BUILD_ASSERT(KS_DIGEST_SIZE <= KS_MAX_HASH, "a hash has room");

static bool read_at(uint8_t area, uint32_t at, void *bytes, size_t size)
{
	const struct flash_area *opened;
	bool read = false;

	if (flash_area_open(area, &opened) != 0) {
		return false;
	}
	if ((at <= opened->fa_size) && (size <= opened->fa_size - at)) {
		read = flash_area_read(opened, (off_t)at, bytes, size) == 0;
	}
	flash_area_close(opened);
	return read;
}

/* End of what is hashed of the image that begins there, and so where the unprotected TLVs begin; 0: there is no image. */
static uint32_t hashed_end(uint8_t area, uint32_t begin)
{
	struct image_header header;
	uint64_t end;

	if (!read_at(area, begin, &header, sizeof(header)) || (header.ih_magic != IMAGE_MAGIC)) {
		return 0u;
	}
	end = (uint64_t)begin + header.ih_hdr_size + header.ih_img_size + header.ih_protect_tlv_size;
	return (end <= INT32_MAX) ? (uint32_t)end : 0u;
}

static bool find_listed(uint8_t area, uint32_t tlvs, struct ks_hash *listed)
{
	struct image_tlv_info info;
	struct image_tlv tlv;
	uint32_t end;
	uint32_t at;

	listed->size = 0u;
	if (!read_at(area, tlvs, &info, sizeof(info)) || (info.it_magic != IMAGE_TLV_INFO_MAGIC)) {
		return false;
	}
	end = tlvs + info.it_tlv_tot;
	/* Each turn goes on by four bytes at least, and a TLV area has at most 65,535. */
	for (at = tlvs + sizeof(info); at + sizeof(tlv) <= end; at += (uint32_t)sizeof(tlv) + tlv.it_len) {
		if (!read_at(area, at, &tlv, sizeof(tlv))) {
			return false;
		}
		if ((tlv.it_type == HASH_TLV) && (tlv.it_len == KS_DIGEST_SIZE)) {
			if ((listed->size != 0u) || !read_at(area, at + sizeof(tlv), listed->bytes, KS_DIGEST_SIZE)) {
				return false; /* MCUmgr lists no image with two */
			}
			listed->size = KS_DIGEST_SIZE;
		}
	}
	return listed->size != 0u;
}

bool ks_image_hash_listed(uint8_t area, struct ks_hash *listed)
{
	uint32_t tlvs = hashed_end(area, ks_image_begins(area));

	listed->size = 0u;
	return (tlvs != 0u) && find_listed(area, tlvs, listed);
}

#if KS_POLICY_PAIRS > 1
bool ks_image_readable(uint8_t area)
{
	struct image_header header;

	return read_at(area, ks_image_begins(area), &header, sizeof(header));
}
#endif

bool ks_image_hash_begin(struct ks_image_hash *hash, uint8_t area)
{
	struct ks_hash listed;

	hash->area = area;
	hash->at = ks_image_begins(area);
	hash->end = hashed_end(area, hash->at);
	return (hash->end != 0u) && find_listed(area, hash->end, &listed) && ks_digest_begin(&hash->digest);
}

enum ks_hashing ks_image_hash_go_on(struct ks_image_hash *hash, struct ks_hash *computed)
{
	uint8_t piece[PIECE / 4u];
	struct ks_hash listed;

	for (uint8_t part = 0; (part < 4u) && (hash->at < hash->end); part++) {
		size_t size = MIN(sizeof(piece), hash->end - hash->at);

		if (!read_at(hash->area, hash->at, piece, size) || !ks_digest_update(&hash->digest, piece, size)) {
			ks_digest_abort(&hash->digest);
			return KS_HASHING_FAILED;
		}
		hash->at += (uint32_t)size;
	}
	if (hash->at < hash->end) {
		return KS_HASHING_MORE;
	}
	computed->size = KS_DIGEST_SIZE;
	if (!ks_digest_end(&hash->digest, computed->bytes) || !find_listed(hash->area, hash->end, &listed) ||
	    (memcmp(computed->bytes, listed.bytes, KS_DIGEST_SIZE) != 0)) {
		return KS_HASHING_FAILED;
	}
	return KS_HASHING_DONE;
}

void ks_image_hash_give_up(struct ks_image_hash *hash)
{
	ks_digest_abort(&hash->digest);
}
