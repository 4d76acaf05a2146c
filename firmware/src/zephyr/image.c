/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr's image group behind the gate: state, upload and erase, and what leaving does to the slots.
 *
 * With arm = "late" a state write is remembered by the machine and listed as pending; the trailer is written as the last
 * act before the session's own reset, when the image's hash has been computed once more. MCUboot knows no modes: a trailer
 * that was written earlier would start the image at the next power-up, whatever has happened since.
 *
 * Up to three images, each a pair of slots, by MCUboot's numbers. Of a pair that is only copied (ks_policy.copied) the slot
 * that runs is nowhere for the application: its device is not there. So it is never opened, MCUboot's own answer about such
 * a pair, which is made of both slots, is never asked, and the list is never MCUmgr's.
 */
#include <string.h>

#include <zephyr/dfu/mcuboot.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt.h>
#include <zephyr/mgmt/mcumgr/mgmt/callbacks.h>
#include <zephyr/storage/flash_map.h>

#include <bootutil/bootutil_public.h>
#include <bootutil/image.h>
#include <zcbor_common.h>
#include <zcbor_decode.h>
#include <zcbor_encode.h>

#if __has_include(<mgmt/mcumgr/util/zcbor_bulk.h>)
#include <mgmt/mcumgr/util/zcbor_bulk.h>
#else
#include <zephyr/mgmt/mcumgr/util/zcbor_bulk.h>
#endif

#include "glue.h"
#include "image_hash.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#if !defined(CONFIG_MCUMGR_GRP_IMG_UPLOAD_CHECK_HOOK) || !defined(CONFIG_MCUMGR_GRP_IMG_STATUS_HOOKS)
#error "Keyswitch needs CONFIG_MCUMGR_GRP_IMG_UPLOAD_CHECK_HOOK=y and CONFIG_MCUMGR_GRP_IMG_STATUS_HOOKS=y"
#endif
#if !defined(CONFIG_MCUMGR_GRP_IMG_MUTEX)
#error "Keyswitch needs CONFIG_MCUMGR_GRP_IMG_MUTEX=y: without it an upload cannot be dropped from outside"
#endif
#if CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER != KS_POLICY_PAIRS
#error "Keyswitch needs CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER to be the number of images of the policy: see its ks.conf"
#endif
#if KS_POLICY_PAIRS > 1
#if KS_POLICY_PAIRS > 3
#error "Keyswitch's glue gates three images at most: MCUmgr knows no more (CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER)"
#endif
#if CONFIG_UPDATEABLE_IMAGE_NUMBER != KS_POLICY_PAIRS
#error "Keyswitch needs CONFIG_UPDATEABLE_IMAGE_NUMBER to be the number of images of the policy: see its ks.conf"
#endif
#if (KS_POLICY_COPIED != 0) && !defined(CONFIG_MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING)
#error "Keyswitch needs CONFIG_MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING=y: without it MCUmgr takes no upload of an image that is copied"
#endif
#if (KS_POLICY_COPIED != 0) && defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
#error "Keyswitch's glue does not know where an image that is copied lies with swap using offset"
#endif
#endif
#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP) || defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP_WITH_REVERT) || \
	defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_RAM_LOAD)
#error "Keyswitch's glue does not arm images for this mode of MCUboot yet"
#endif

/* Slots by MCUmgr's numbers (img_mgmt_flash_area_id()): two of each image, first the one that runs. */
#define SLOTS (2 * KS_POLICY_PAIRS)
static const uint8_t areas[SLOTS] = {
	KS_PARTITION_ID(slot0_partition), KS_PARTITION_ID(slot1_partition),
#if KS_POLICY_PAIRS > 1
	KS_PARTITION_ID(slot2_partition), KS_PARTITION_ID(slot3_partition),
#endif
#if KS_POLICY_PAIRS > 2
	KS_PARTITION_ID(slot4_partition), KS_PARTITION_ID(slot5_partition),
#endif
};
/* The keys of one entry of the list: with several images its number; slot, version, hash, five flags. */
#define ENTRY_KEYS ((KS_POLICY_PAIRS > 1) ? 18 : 16)
#if KS_POLICY_PAIRS > 1
/* The longest list, in a packet with its header; keyswitch/export/limits.py, LIST_AROUND and LIST_ENTRY, is the same. */
#define LIST_AROUND 32
#define LIST_ENTRY 105
BUILD_ASSERT(CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE >= LIST_AROUND + (SLOTS * (LIST_ENTRY + KS_DIGEST_SIZE)),
	     "CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE: too small for the list of these images");
#endif

/* One hash is under way at most, of the image in an other slot. Whoever begins one ends the one before. */
static struct ks_image_hash hashing_now;
/* What it is computed for. MCUmgr's queue arms, one image at a time; the gate's own queue resets. */
static enum hashing_for {
	FOR_NOTHING = 0, /* none is under way */
	FOR_ARMING = 1,
	FOR_RESET = 2,
} hashing_for;
/* An other slot was changed since the image that is to be armed was begun to be hashed. */
static bool slot_changed;
/* The images that wait for their reset: whose slots have been found to hold what is armed. */
static ks_pairs again_found;
static bool again_fresh; /* begun since the reset was granted, and the slots are as they were then */

#if KS_POLICY_PAIRS > 1
/* Whose image is hashed, and into whose slot the last upload or erasure went. */
static uint8_t hashed_pair;
static uint8_t upload_pair;
#define KEEP_PAIR(variable, pair) ((variable) = (uint8_t)(pair))
#else
#define hashed_pair 0u
#define upload_pair 0u
#define KEEP_PAIR(variable, pair) ((void)(pair))
#define KS_POLICY_COPIED 0u
#endif

/* --- what is there --- */

static uint8_t running_area(uint_fast8_t pair)
{
	return areas[2u * pair];
}

static uint8_t other_area(uint_fast8_t pair)
{
	return areas[(2u * pair) + 1u];
}

/* What runs of it cannot be read; of a pair that there is not, nothing can. */
static bool is_copied(uint_fast8_t pair)
{
	return (KS_POLICY_COPIED != 0u) && ((pair >= (uint_fast8_t)KS_POLICY_PAIRS) || (((KS_POLICY_COPIED >> pair) & 1u) != 0u));
}

/* What the bootloader would do with this pair: BOOT_SWAP_TYPE_*. */
static int swap_type(uint_fast8_t pair)
{
	struct boot_swap_state asked;

	if (!is_copied(pair)) {
		return mcuboot_swap_type_multi((int)pair);
	}
	/* Such a pair is not taken back, so what it asks for stands in the trailer of the other slot alone. */
	if ((boot_read_swap_state_by_id(other_area(pair), &asked) != 0) || (asked.magic != BOOT_MAGIC_GOOD)) {
		return BOOT_SWAP_TYPE_NONE;
	}
	return (asked.image_ok == BOOT_FLAG_SET) ? BOOT_SWAP_TYPE_PERM : BOOT_SWAP_TYPE_TEST;
}

/* Whether what runs is taken back unless it is confirmed: of image 0, Zephyr says so, of others by the same rule. */
static bool on_trial(uint_fast8_t pair)
{
	struct boot_swap_state running;

	if ((KS_POLICY_PAIRS == 1) || (pair == 0u)) {
		return !boot_is_img_confirmed();
	}
	if (is_copied(pair)) {
		return false;
	}
	if (boot_read_swap_state_by_id(running_area(pair), &running) != 0) {
		/* The bootloader takes back nothing that it cannot read, and to reset because of it would never end. */
		LOG_ERR("image %u cannot be read: bootloader.images of the policy is not this product's", (unsigned int)pair);
		ks_report(KS_LOG_FAULT, "an image cannot be read");
		return false;
	}
	return (running.magic != BOOT_MAGIC_UNSET) && (running.image_ok != BOOT_FLAG_SET);
}

void ks_image_found(struct ks_boot *boot)
{
	for (uint_fast8_t pair = 0; pair < (uint_fast8_t)KS_POLICY_PAIRS; pair++) {
		uint8_t area = is_copied(pair) ? other_area(pair) : running_area(pair);

		(void)ks_image_hash_listed(area, &boot->running[pair]);
		if (on_trial(pair)) {
			boot->trial = ks_pairs_with(boot->trial, pair);
		}
#if KS_POLICY_PAIRS > 1
		/* What is gone from there counts as taken by the bootloader: not so what cannot be looked for. */
		if (is_copied(pair) && !ks_image_readable(area)) {
			LOG_ERR("slot %u cannot be read: no session goes on", (unsigned int)(2u * pair) + 1u);
			boot->record = NULL;
		}
#endif
	}
}

static const struct ks_state *state_now(void)
{
	return &ks_the_device()->state;
}

static bool is_hash(const struct ks_hash *hash, const uint8_t *bytes, size_t size)
{
	return (hash->size == size) && (memcmp(hash->bytes, bytes, size) == 0);
}

/* What the bootloader would do next, the remembered image included. */
enum next {
	NEXT_KEEP = 0,
	NEXT_TEST = 1,
	NEXT_PERM = 2,
	NEXT_REVERT = 3,
};

/* Armed, and remembered alone. */
static ks_pairs unwritten(const struct ks_state *state)
{
	return ks_pairs_but(state->arming, state->armed_written);
}

static enum next next_boot(uint_fast8_t pair)
{
	const struct ks_state *state = state_now();
	int swap = swap_type(pair);

	if (swap == BOOT_SWAP_TYPE_REVERT) {
		return NEXT_REVERT;
	}
	if (ks_pair_in(unwritten(state), pair)) {
		return ks_pair_in(state->armed_permanent, pair) ? NEXT_PERM : NEXT_TEST;
	}
	if (swap == BOOT_SWAP_TYPE_TEST) {
		return NEXT_TEST;
	}
	return (swap == BOOT_SWAP_TYPE_PERM) ? NEXT_PERM : NEXT_KEEP;
}

/* --- the list --- */

static bool put_key(zcbor_state_t *state, const char *key)
{
	return zcbor_tstr_encode_ptr(state, key, strlen(key));
}

/* What the list says of a slot: by these words, in this order. */
static const char *const flag_names[] = {"bootable", "pending", "confirmed", "active", "permanent"};
#define BOOTABLE 0x01u
#define PENDING 0x02u
#define CONFIRMED 0x04u
#define ACTIVE 0x08u
#define PERMANENT 0x10u

static const uint8_t flags_of[4][2] = {
	/* the slot that runs, the other one */
	[NEXT_KEEP] = {ACTIVE | CONFIRMED, 0u},
	[NEXT_TEST] = {ACTIVE | CONFIRMED, PENDING},
	[NEXT_PERM] = {ACTIVE | CONFIRMED, PENDING | PERMANENT},
	[NEXT_REVERT] = {ACTIVE, CONFIRMED},
};

static bool put_flags(zcbor_state_t *state, uint8_t flags)
{
	bool fits = true;

	for (size_t flag = 0; fits && (flag < ARRAY_SIZE(flag_names)); flag++) {
		bool is = ((flags >> flag) & 1u) != 0u;

		if (is || !IS_ENABLED(CONFIG_MCUMGR_GRP_IMG_FRUGAL_LIST)) {
			fits = put_key(state, flag_names[flag]) && zcbor_bool_put(state, is);
		}
	}
	return fits;
}

/* slot: 0, the one that runs, or 1. */
static bool put_slot(zcbor_state_t *state, uint_fast8_t pair, uint_fast8_t slot, enum next next)
{
	uint_fast8_t number = (uint_fast8_t)((2u * pair) + slot);
	char version_text[IMG_MGMT_VER_MAX_STR_LEN];
	struct image_version version;
	struct ks_hash hash;
	struct zcbor_string bytes;
	uint32_t flags;

	/* MCUmgr decides what is listed: the flags, and the hash from the same bytes. */
	if ((img_mgmt_read_info((int)number, &version, NULL, &flags) != 0) || !ks_image_hash_listed(areas[number], &hash)) {
		return true;
	}
	bytes.value = hash.bytes;
	bytes.len = hash.size;
	if (img_mgmt_ver_str(&version, version_text) < 0) {
		(void)strcpy(version_text, "<?" "?" "?>");
	}
	return zcbor_map_start_encode(state, ENTRY_KEYS) &&
	       ((KS_POLICY_PAIRS == 1) || (put_key(state, "image") && zcbor_uint32_put(state, pair))) &&
	       put_key(state, "slot") && zcbor_uint32_put(state, slot) && put_key(state, "version") &&
	       zcbor_tstr_encode_ptr(state, version_text, strlen(version_text)) && put_key(state, "hash") &&
	       zcbor_bstr_encode(state, &bytes) &&
	       put_flags(state, flags_of[next][slot] | (((flags & IMAGE_F_NON_BOOTABLE) == 0u) ? BOOTABLE : 0u)) &&
	       zcbor_map_end_encode(state, ENTRY_KEYS);
}

static bool put_slots(zcbor_state_t *state)
{
	for (uint_fast8_t pair = 0; pair < (uint_fast8_t)KS_POLICY_PAIRS; pair++) {
		enum next next = next_boot(pair);

		if ((!is_copied(pair) && !put_slot(state, pair, 0u, next)) || !put_slot(state, pair, 1u, next)) {
			return false;
		}
	}
	return true;
}

static int put_list(struct smp_streamer *streamer)
{
	zcbor_state_t *state = streamer->writer->zs;
	bool fits = put_key(state, "images") && zcbor_list_start_encode(state, SLOTS) && put_slots(state) &&
		    zcbor_list_end_encode(state, SLOTS);

	if (!IS_ENABLED(CONFIG_MCUMGR_GRP_IMG_FRUGAL_LIST)) {
		fits = fits && put_key(state, "splitStatus") && zcbor_int32_put(state, 0);
	}
	return fits ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

int ks_image_state_read(const struct ks_call *call, mgmt_handler_fn original)
{
	/* What is not remembered alone, MCUmgr lists. Of several images the list is ours: its own is wrong about a copied one. */
	return ((KS_POLICY_PAIRS > 1) || (unwritten(state_now()) != 0u)) ? put_list(call->streamer) : original(call->streamer);
}

/* --- state write --- */

static int fail(const struct ks_call *call, enum img_mgmt_err_code_t error)
{
	return smp_add_cmd_err(call->streamer->writer->zs, MGMT_GROUP_ID_IMAGE, (uint16_t)error) ? MGMT_ERR_EOK
											       : MGMT_ERR_EMSGSIZE;
}

/* What a state write does: Zephyr's sixteen decisions (img_mgmt_state.c). */
enum act {
	ACT_ARM,
	ACT_CONFIRM,
	ACT_NOTHING,
	ACT_FAIL_PENDING,
	ACT_FAIL_ACTIVE,
};

static const uint8_t acts[4][4] = {
	/* test running, confirm running, test other, confirm other */
	[NEXT_KEEP] = {ACT_FAIL_ACTIVE, ACT_CONFIRM, ACT_ARM, ACT_ARM},
	[NEXT_TEST] = {ACT_FAIL_ACTIVE, ACT_FAIL_PENDING, ACT_NOTHING, ACT_FAIL_PENDING},
	[NEXT_PERM] = {ACT_FAIL_ACTIVE, ACT_FAIL_PENDING, ACT_FAIL_PENDING, ACT_NOTHING},
	[NEXT_REVERT] = {ACT_FAIL_ACTIVE, ACT_CONFIRM, ACT_FAIL_PENDING, ACT_NOTHING},
};

static void change_slot(void)
{
	slot_changed = true;
	again_fresh = false;
}

static void give_up_hashing(void)
{
	if (hashing_for != FOR_NOTHING) {
		ks_image_hash_give_up(&hashing_now);
	}
	hashing_for = FOR_NOTHING;
}

/* Under the lock. false: there is no image. */
static bool begin_hashing(enum hashing_for what, uint_fast8_t pair)
{
	give_up_hashing();
	if (ks_image_hash_begin(&hashing_now, other_area(pair))) {
		hashing_for = what;
		KEEP_PAIR(hashed_pair, pair);
	}
	return hashing_for != FOR_NOTHING;
}

static enum ks_hashing go_on_hashing(struct ks_hash *computed)
{
	enum ks_hashing hashing = ks_image_hash_go_on(&hashing_now, computed);

	if (hashing != KS_HASHING_MORE) {
		hashing_for = FOR_NOTHING;
	}
	return hashing;
}

static bool still_served(const struct ks_call *call)
{
	struct ks_refusal refusal;

	return ks_authorise(&ks_policy, state_now(), &call->peer, call->group, call->id, call->op, &refusal);
}

/*
 * Compute the hash of a pair's other slot. The lock is given back between pieces: a guard, a time limit or leaving comes in
 * between and ends it, and the door is asked again afterwards.
 */
static enum ks_hashing hash_other_slot(const struct ks_call *call, uint_fast8_t pair, struct ks_hash *computed)
{
	enum ks_hashing hashing = KS_HASHING_FAILED;

	slot_changed = false;
	if (begin_hashing(FOR_ARMING, pair)) {
		do {
			hashing = go_on_hashing(computed);
			ks_unlock();
			ks_lock();
		} while ((hashing_for == FOR_ARMING) && !slot_changed && still_served(call));
		if (hashing_for == FOR_ARMING) {
			give_up_hashing();
		}
	}
	return ((hashing == KS_HASHING_DONE) && slot_changed) ? KS_HASHING_MORE : hashing;
}

static int arm(const struct ks_call *call, uint_fast8_t pair, bool permanent)
{
	struct ks_event event = {.kind = KS_ARM_ASKED, .peer = call->peer, .permanent = permanent, .pair = (uint8_t)pair};
	struct ks_refusal refusal;
	enum ks_hashing hashing;
	struct ks_hash computed;
	int rc;

	hashing = hash_other_slot(call, pair, &computed);
	rc = ks_gate_ask(call);
	if (rc != 0) {
		return rc;
	}
	if (hashing == KS_HASHING_MORE) {
		return MGMT_ERR_EBUSY; /* the slot has changed meanwhile */
	}
	if (hashing == KS_HASHING_FAILED) {
		static const char changed[] = "image: its content is not what its hash says";

		MGMT_CTXT_SET_RC_RSN(call->streamer, changed);
		return MGMT_ERR_EACCESSDENIED;
	}
	event.image = &computed;
	again_found = ks_pairs_with(again_found, pair); /* for a trailer that is written at once: arm = "early" */
	again_fresh = false;
	if (!ks_tell(&event, &refusal)) {
		return ks_gate_refuse(call, &refusal);
	}
	/* With arm = "early" the trailer may have been refused by the bootloader's own code. */
	return ks_pair_in(state_now()->arming, pair) ? put_list(call->streamer)
						     : fail(call, IMG_MGMT_ERR_INVALID_IMAGE_HEADER_MAGIC);
}

/* Tell an event that is about its peer and an image; 0, or it is refused. */
static int tell_of_pair(const struct ks_call *call, uint8_t kind, uint_fast8_t pair)
{
#if KS_POLICY_PAIRS > 1
	struct ks_event event = {.kind = kind, .peer = call->peer, .pair = (uint8_t)pair};
	struct ks_refusal refusal;

	return ks_tell(&event, &refusal) ? MGMT_ERR_EOK : ks_gate_refuse(call, &refusal);
#else
	ARG_UNUSED(pair);
	return ks_gate_tell(call, kind);
#endif
}

static int confirm(const struct ks_call *call, uint_fast8_t pair)
{
	int rc = tell_of_pair(call, KS_CONFIRM_ASKED, pair);

	if (rc != 0) {
		return rc;
	}
	return on_trial(pair) ? fail(call, IMG_MGMT_ERR_FLASH_WRITE_FAILED) : put_list(call->streamer);
}

/* The first slot whose image carries this hash; 0, where the application runs, if none is named; -1: there is none. */
static int find_slot(const struct zcbor_string *wanted)
{
	for (int slot = 0; slot < SLOTS; slot++) {
		bool can_be_read = ((slot % 2) != 0) || !is_copied((uint_fast8_t)(slot / 2));
		struct ks_hash listed;

		if ((wanted->len == 0u) || (can_be_read && ks_image_hash_listed(areas[slot], &listed) &&
					    is_hash(&listed, wanted->value, wanted->len))) {
			return slot;
		}
	}
	return -1;
}

int ks_image_state_write(const struct ks_call *call, mgmt_handler_fn original)
{
	struct zcbor_string wanted = {0};
	bool permanent = false;
	size_t decoded = 0;
	struct zcbor_map_decode_key_val keys[] = {
		ZCBOR_MAP_DECODE_KEY_DECODER("hash", zcbor_bstr_decode, &wanted),
		ZCBOR_MAP_DECODE_KEY_DECODER("confirm", zcbor_bool_decode, &permanent),
	};
	uint_fast8_t pair;
	enum act act;
	int slot;

	ARG_UNUSED(original);
	if (zcbor_map_decode_bulk(call->streamer->reader->zs, keys, ARRAY_SIZE(keys), &decoded) != 0) {
		return MGMT_ERR_EINVAL;
	}
	if (((wanted.len == 0u) && !permanent) || ((wanted.len != 0u) && (wanted.len != KS_DIGEST_SIZE))) {
		return fail(call, IMG_MGMT_ERR_INVALID_HASH);
	}
	slot = find_slot(&wanted);
	if (slot < 0) {
		return fail(call, IMG_MGMT_ERR_HASH_NOT_FOUND);
	}
	pair = (uint_fast8_t)(slot / 2);
	act = (enum act)acts[next_boot(pair)][((slot % 2) * 2) + (permanent ? 1 : 0)];
	switch (act) {
	case ACT_ARM:
		return arm(call, pair, permanent);
	case ACT_CONFIRM:
		return confirm(call, pair);
	case ACT_NOTHING:
		return put_list(call->streamer);
	case ACT_FAIL_PENDING:
		return fail(call, IMG_MGMT_ERR_IMAGE_ALREADY_PENDING);
	default:
		return fail(call, IMG_MGMT_ERR_IMAGE_SETTING_TEST_TO_ACTIVE_DENIED);
	}
}

/* --- upload and erase --- */

/* The command whose handler runs now: MCUmgr's hooks are not told. */
static const struct ks_call *uploading;
/* What the hook refused it with, 0: nothing. MCUmgr puts that into the answer as a value, without a reason, and is content. */
static int chunk_refused;

static bool is_anothers(const struct ks_call *call)
{
	const struct ks_state *state = state_now();

	return state->uploading && (state->upload_owner != KS_NO_PEER) && (state->upload_owner != call->peer.id);
}

/*
 * No upload is longer, so that no file brings its own trailer and arms itself. What Zephyr calls the trailer's offset is that
 * of its last fields (copy done, image ok, magic: dfu/boot/mcuboot.c); swap info and swap size in front of them have room in
 * as much again (boot_trailer_info_sz() of MCUboot).
 */
static size_t usable_size(uint8_t id)
{
	const struct flash_area *area;
	size_t size = 0u;

	if (flash_area_open(id, &area) == 0) {
		ssize_t last_fields = boot_get_trailer_status_offset(area->fa_size);

		if (2 * last_fields > (ssize_t)area->fa_size) {
			size = (size_t)(2 * last_fields) - area->fa_size;
		}
		flash_area_close(area);
	}
	return size;
}

static bool is_too_large(size_t size, uint_fast8_t pair)
{
	uint8_t id = other_area(pair);
	size_t usable = usable_size(id);
	size_t begin = ks_image_begins(id);

	return (usable < begin) || (size > usable - begin);
}

/* Read what these keys say, and leave it to be read again: by the original. */
static bool peek(const struct ks_call *call, struct zcbor_map_decode_key_val *keys, size_t count)
{
	struct cbor_nb_reader *reader = call->streamer->reader;
	struct cbor_nb_reader before = *reader;
	size_t decoded = 0;
	bool read = zcbor_map_decode_bulk(reader->zs, keys, count, &decoded) == 0;

	*reader = before;
	return read;
}

#if KS_POLICY_PAIRS > 1

/* The pair into whose other slot MCUmgr is about to write; KS_POLICY_PAIRS: it is nobody's. */
static uint_fast8_t pair_of_area(int id)
{
	uint_fast8_t pair = 0u;

	while ((pair < (uint_fast8_t)KS_POLICY_PAIRS) && (id != (int)other_area(pair))) {
		pair++;
	}
	return pair;
}

/* Whether the number of the image is one that there is: MCUmgr reckons a slot from any. What it cannot read it refuses. */
static bool names_an_image(const struct ks_call *call)
{
	uint32_t image = 0;
	struct zcbor_map_decode_key_val keys[] = {ZCBOR_MAP_DECODE_KEY_DECODER("image", zcbor_uint32_decode, &image)};

	return !peek(call, keys, ARRAY_SIZE(keys)) || (image < (uint32_t)KS_POLICY_PAIRS);
}

/*
 * "Only if it is newer" is meant of the same image. MCUmgr has compared with the application, whichever image it is
 * (img_mgmt_my_version()), so what it lets through is asked again.
 */
static enum img_mgmt_err_code_t why_not_newer(const struct img_mgmt_upload_req *req, uint_fast8_t pair)
{
	struct image_version running;
	struct image_version asked;

	if (!req->upgrade || (req->img_data.len < sizeof(struct image_header))) {
		return IMG_MGMT_ERR_OK;
	}
	if (is_copied(pair) || (img_mgmt_read_info((int)(2u * pair), &running, NULL, NULL) != 0)) {
		return IMG_MGMT_ERR_VERSION_GET_FAILED;
	}
	(void)memcpy(&asked, &req->img_data.value[offsetof(struct image_header, ih_ver)], sizeof(asked));
	return (img_mgmt_vercmp(&running, &asked) < 0) ? IMG_MGMT_ERR_OK : IMG_MGMT_ERR_CURRENT_VERSION_IS_NEWER;
}

#endif

int ks_image_upload(const struct ks_call *call, mgmt_handler_fn original)
{
	int rc;

	/* Nobody else's packet or mistake touches an upload: to MCUmgr there is one, and any error ends it. */
	if (is_anothers(call)) {
		struct ks_refusal refusal = {.why = KS_WHY_OTHER_UPLOAD};

		return ks_gate_refuse(call, &refusal);
	}
#if KS_POLICY_PAIRS > 1
	if (!names_an_image(call)) {
		return fail(call, IMG_MGMT_ERR_NO_FREE_SLOT);
	}
#endif
	uploading = call;
	chunk_refused = 0;
	rc = original(call->streamer);
	uploading = NULL;
	return (chunk_refused != 0) ? chunk_refused : rc;
}

int ks_image_erase(const struct ks_call *call, mgmt_handler_fn original)
{
	uint32_t slot = 1u; /* what MCUmgr erases where none is named */
	struct zcbor_map_decode_key_val keys[] = {ZCBOR_MAP_DECODE_KEY_DECODER("slot", zcbor_uint32_decode, &slot)};
	uint_fast8_t pair;
	int rc;

	if (!peek(call, keys, ARRAY_SIZE(keys))) {
		return MGMT_ERR_EINVAL;
	}
	if (slot >= (uint32_t)SLOTS) {
		return fail(call, IMG_MGMT_ERR_FLASH_OPEN_FAILED);
	}
	if (((slot % 2u) == 0u) || (state_now()->trial != 0u)) {
		return fail(call, IMG_MGMT_ERR_NO_FREE_SLOT);
	}
	pair = (uint_fast8_t)(slot / 2u);
	rc = tell_of_pair(call, KS_UPLOAD_STARTED, pair);
	if (rc == 0) {
		KEEP_PAIR(upload_pair, pair);
		change_slot();
		rc = original(call->streamer);
		(void)ks_tell_of(KS_UPLOAD_ENDED, NULL, NULL);
	}
	return rc;
}

/* MCUmgr refuses it, and says this. */
static enum mgmt_cb_return refuse_chunk(int32_t *rc, uint16_t *group, enum img_mgmt_err_code_t error)
{
	*group = MGMT_GROUP_ID_IMAGE;
	*rc = (int32_t)error;
	return MGMT_CB_ERROR_ERR;
}

/* MCUmgr's hooks run within the upload's handler, under the lock. */
static enum mgmt_cb_return on_image(uint32_t event, enum mgmt_cb_return before, int32_t *rc, uint16_t *group,
				    bool *abort_more, void *data, size_t size)
{
	ARG_UNUSED(before);
	ARG_UNUSED(abort_more);
	ARG_UNUSED(size);
	if (event == MGMT_EVT_OP_IMG_MGMT_DFU_CHUNK) {
		const struct img_mgmt_upload_check *check = data;
		uint_fast8_t pair = 0u;

		if (uploading == NULL) {
			*rc = MGMT_ERR_EACCESSDENIED; /* not through the door */
			return MGMT_CB_ERROR_RC;
		}
#if KS_POLICY_PAIRS > 1
		pair = pair_of_area(check->action->area_id);
		if (pair >= (uint_fast8_t)KS_POLICY_PAIRS) {
			return refuse_chunk(rc, group, IMG_MGMT_ERR_NO_FREE_SLOT);
		}
		if (check->req->off == 0u) {
			enum img_mgmt_err_code_t error = why_not_newer(check->req, pair);

			if (error != IMG_MGMT_ERR_OK) {
				return refuse_chunk(rc, group, error);
			}
		}
#endif
		if ((check->req->off == 0u) && is_too_large(check->req->size, pair)) {
			return refuse_chunk(rc, group, IMG_MGMT_ERR_INVALID_IMAGE_TOO_LARGE);
		}
		change_slot();
		chunk_refused = tell_of_pair(uploading, KS_UPLOAD_STARTED, pair);
		*rc = chunk_refused;
		if (chunk_refused != MGMT_ERR_EOK) {
			return MGMT_CB_ERROR_RC;
		}
		KEEP_PAIR(upload_pair, pair);
		return MGMT_CB_OK;
	}
	if ((event == MGMT_EVT_OP_IMG_MGMT_DFU_PENDING) || (event == MGMT_EVT_OP_IMG_MGMT_DFU_STOPPED)) {
		if (state_now()->uploading) {
			(void)ks_tell_of(KS_UPLOAD_ENDED, NULL, NULL);
		}
	}
	return MGMT_CB_OK;
}

static struct mgmt_callback image_hook = {
	.callback = on_image,
	.event_id = (MGMT_EVT_OP_IMG_MGMT_DFU_CHUNK | MGMT_EVT_OP_IMG_MGMT_DFU_PENDING | MGMT_EVT_OP_IMG_MGMT_DFU_STOPPED),
};

void ks_image_init(void)
{
	mgmt_callback_register(&image_hook);
}

/* --- effects, under the lock --- */

static void erase_in_other_slot(const struct flash_area *area, size_t from, size_t size)
{
	if (flash_area_erase(area, (off_t)from, size) != 0) {
		LOG_ERR("the other slot cannot be erased at %zu", from);
		ks_report(KS_LOG_FAULT, "flash cannot be erased");
	}
}

static size_t page_size(const struct flash_area *area, size_t at, size_t *start)
{
	struct flash_pages_info page;

	if (flash_get_page_info_by_offs(flash_area_get_device(area), area->fa_off + (off_t)at, &page) != 0) {
		*start = at;
		return 0u;
	}
	*start = (size_t)(page.start_offset - area->fa_off);
	return page.size;
}

void ks_image_drop_upload(bool make_unusable)
{
	const struct flash_area *area;
	size_t start;
	size_t size;

	img_mgmt_reset_upload();
	if (!make_unusable || (flash_area_open(other_area(upload_pair), &area) != 0)) {
		return;
	}
	/* Without its header it is no image, to MCUmgr and to MCUboot alike. */
	size = page_size(area, ks_image_begins(other_area(upload_pair)), &start);
	change_slot();
	if (size != 0u) {
		erase_in_other_slot(area, start, size);
	}
	flash_area_close(area);
}

BUILD_ASSERT((BOOT_UPGRADE_TEST == 0) && (BOOT_UPGRADE_PERMANENT == 1), "what KS_WRITE_TRAILER has as its argument");

bool ks_image_write_trailer(const struct ks_effect *effect)
{
	uint_fast8_t pair = ks_pair_of(effect);
	bool found = ks_pair_in(again_found, pair);

	again_found = ks_pairs_but(again_found, ks_pairs_with(0u, pair));
	if (!found) {
		LOG_ERR("the slot does not hold what was to be armed");
		return false;
	}
	if (boot_request_upgrade_multi((int)pair, (int)effect->arg) != 0) {
		LOG_ERR("the trailer cannot be written");
		return false;
	}
	return true;
}

void ks_image_disarm(const struct ks_effect *effect)
{
	const struct flash_area *area;
	uint_fast8_t pair = ks_pair_of(effect);
	int swap = swap_type(pair);
	ssize_t trailer;
	size_t start;

	if (((swap != BOOT_SWAP_TYPE_TEST) && (swap != BOOT_SWAP_TYPE_PERM)) ||
	    (flash_area_open(other_area(pair), &area) != 0)) {
		return;
	}
	trailer = boot_get_trailer_status_offset(area->fa_size);
	if ((trailer > 0) && (page_size(area, (size_t)trailer, &start) != 0u)) {
		erase_in_other_slot(area, start, area->fa_size - start);
	}
	flash_area_close(area);
	if (swap_type(pair) != BOOT_SWAP_TYPE_NONE) {
		LOG_ERR("still armed");
		ks_report(KS_LOG_FAULT, "an armed image cannot be disarmed");
	}
}

void ks_image_confirm(const struct ks_effect *effect)
{
	if (boot_write_img_confirmed_multi((int)ks_pair_of(effect)) != 0) {
		LOG_ERR("the running image cannot be confirmed");
		ks_report(KS_LOG_FAULT, "the running image cannot be confirmed");
	}
}

/* false: none of these images from this pair on is there to be hashed. */
static bool begin_next(ks_pairs waiting, uint_fast8_t pair)
{
	while (pair < (uint_fast8_t)KS_POLICY_PAIRS) {
		if (ks_pair_in(waiting, pair) && begin_hashing(FOR_RESET, pair)) {
			return true;
		}
		pair++;
	}
	return false;
}

bool ks_image_ready_for_reset(void)
{
	const struct ks_state *state = state_now();
	ks_pairs waiting = unwritten(state);
	struct ks_hash computed;

	if (!state->reset_pending || (waiting == 0u)) {
		return true;
	}
	if (again_fresh && (hashing_for == FOR_RESET)) {
		if ((go_on_hashing(&computed) == KS_HASHING_DONE) &&
		    is_hash(&state->armed[hashed_pair], computed.bytes, computed.size)) {
			again_found = ks_pairs_with(again_found, hashed_pair);
		}
		return (hashing_for != FOR_RESET) && !begin_next(waiting, hashed_pair + 1u);
	}
	if (!again_fresh || (ks_pairs_but(waiting, again_found) != 0u)) {
		/* What was computed when it was asked for is not enough: it is computed once more, now. */
		again_found = 0u;
		again_fresh = true;
		return !begin_next(waiting, 0u);
	}
	return true;
}

void ks_image_reset_is_off(void)
{
	again_fresh = false;
}
