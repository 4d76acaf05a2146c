/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr's image group behind the gate: state, upload and erase, and what leaving does to the slots.
 *
 * With arm = "late" a state write is remembered by the machine and listed as pending; the trailer is written as the last
 * act before the session's own reset, when the image's hash has been computed once more. MCUboot knows no modes: a trailer
 * that was written earlier would start the image at the next power-up, whatever has happened since.
 *
 * One image with two slots. Several images: not here yet, and a build error.
 */
#include <string.h>

#include <zephyr/dfu/mcuboot.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt.h>
#include <zephyr/mgmt/mcumgr/mgmt/callbacks.h>
#include <zephyr/storage/flash_map.h>

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
#if (CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER != 1) || (KS_POLICY_PAIRS != 1)
#error "Keyswitch gates one image with two slots: CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER=1"
#endif
#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP) || defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP_WITH_REVERT) || \
	defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_RAM_LOAD)
#error "Keyswitch's glue does not arm images for this mode of MCUboot yet"
#endif

#define RUNNING_SLOT 0
#define OTHER_SLOT 1
#define RUNNING_AREA KS_PARTITION_ID(slot0_partition)
#define OTHER_AREA KS_PARTITION_ID(slot1_partition)
/* The keys of one entry of the list: slot, version, hash, five flags. */
#define ENTRY_KEYS 16

/* One hash is under way at most, of the image in the other slot. Whoever begins one ends the one before. */
static struct ks_image_hash hashing_now;
/* What it is computed for. MCUmgr's queue arms, one image at a time; the gate's own queue resets. */
static enum hashing_for {
	FOR_NOTHING = 0, /* none is under way */
	FOR_ARMING = 1,
	FOR_RESET = 2,
} hashing_for;
/* The other slot was changed since the image that is to be armed was begun to be hashed. */
static bool slot_changed;
/* The image that waits for its reset: its slot has been found to hold what is armed. */
static bool again_found;
static bool again_fresh; /* begun since the reset was granted, and the slot is as it was then */

/* --- what is there --- */

bool ks_image_on_trial(void)
{
	return !boot_is_img_confirmed();
}

void ks_image_running(struct ks_hash *hash)
{
	(void)ks_image_hash_listed(RUNNING_AREA, hash);
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

static enum next next_boot(void)
{
	const struct ks_state *state = state_now();
	int swap = mcuboot_swap_type_multi(0);

	if (swap == BOOT_SWAP_TYPE_REVERT) {
		return NEXT_REVERT;
	}
	if ((state->arming != 0u) && (state->armed_written == 0u)) {
		return (state->armed_permanent != 0u) ? NEXT_PERM : NEXT_TEST;
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
	/* the running slot, the other one */
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

static bool put_slot(zcbor_state_t *state, int slot, enum next next)
{
	char version_text[IMG_MGMT_VER_MAX_STR_LEN];
	struct image_version version;
	struct ks_hash hash;
	struct zcbor_string bytes;
	uint32_t flags;

	/* MCUmgr decides what is listed: the flags, and the hash from the same bytes. */
	if ((img_mgmt_read_info(slot, &version, NULL, &flags) != 0) ||
	    !ks_image_hash_listed((slot == RUNNING_SLOT) ? RUNNING_AREA : OTHER_AREA, &hash)) {
		return true;
	}
	bytes.value = hash.bytes;
	bytes.len = hash.size;
	if (img_mgmt_ver_str(&version, version_text) < 0) {
		(void)strcpy(version_text, "<?" "?" "?>");
	}
	return zcbor_map_start_encode(state, ENTRY_KEYS) && put_key(state, "slot") &&
	       zcbor_uint32_put(state, (uint32_t)slot) && put_key(state, "version") &&
	       zcbor_tstr_encode_ptr(state, version_text, strlen(version_text)) && put_key(state, "hash") &&
	       zcbor_bstr_encode(state, &bytes) &&
	       put_flags(state, flags_of[next][slot] | (((flags & IMAGE_F_NON_BOOTABLE) == 0u) ? BOOTABLE : 0u)) &&
	       zcbor_map_end_encode(state, ENTRY_KEYS);
}

static int put_list(struct smp_streamer *streamer)
{
	zcbor_state_t *state = streamer->writer->zs;
	enum next next = next_boot();
	bool fits = put_key(state, "images") && zcbor_list_start_encode(state, 2) &&
		    put_slot(state, RUNNING_SLOT, next) && put_slot(state, OTHER_SLOT, next) &&
		    zcbor_list_end_encode(state, 2);

	if (!IS_ENABLED(CONFIG_MCUMGR_GRP_IMG_FRUGAL_LIST)) {
		fits = fits && put_key(state, "splitStatus") && zcbor_int32_put(state, 0);
	}
	return fits ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

int ks_image_state_read(const struct ks_call *call, mgmt_handler_fn original)
{
	const struct ks_state *state = state_now();

	/* Whatever is not remembered alone, MCUmgr lists. */
	return ((state->arming != 0u) && (state->armed_written == 0u)) ? put_list(call->streamer) : original(call->streamer);
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
	[NEXT_TEST] = {ACT_FAIL_ACTIVE, ACT_FAIL_PENDING, ACT_ARM, ACT_FAIL_PENDING},
	[NEXT_PERM] = {ACT_FAIL_ACTIVE, ACT_FAIL_PENDING, ACT_FAIL_PENDING, ACT_ARM},
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
static bool begin_hashing(enum hashing_for what)
{
	give_up_hashing();
	if (ks_image_hash_begin(&hashing_now, OTHER_AREA)) {
		hashing_for = what;
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
 * Compute the hash of the other slot. The lock is given back between pieces: a guard, a time limit or leaving comes in
 * between and ends it, and the door is asked again afterwards.
 */
static enum ks_hashing hash_other_slot(const struct ks_call *call, struct ks_hash *computed)
{
	enum ks_hashing hashing = KS_HASHING_FAILED;

	slot_changed = false;
	if (begin_hashing(FOR_ARMING)) {
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

static int arm(const struct ks_call *call, bool permanent)
{
	struct ks_event event = {.kind = KS_ARM_ASKED, .peer = call->peer, .permanent = permanent};
	struct ks_refusal refusal;
	enum ks_hashing hashing;
	struct ks_hash computed;
	int rc;

	if (next_boot() == (permanent ? NEXT_PERM : NEXT_TEST)) {
		return put_list(call->streamer); /* armed already */
	}
	hashing = hash_other_slot(call, &computed);
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
	again_found = true; /* for a trailer that is written at once: arm = "early" */
	again_fresh = false;
	if (!ks_tell(&event, &refusal)) {
		return ks_gate_refuse(call, &refusal);
	}
	/* With arm = "early" the trailer may have been refused by the bootloader's own code. */
	return (state_now()->arming != 0u) ? put_list(call->streamer) : fail(call, IMG_MGMT_ERR_INVALID_IMAGE_HEADER_MAGIC);
}

static int confirm(const struct ks_call *call)
{
	int rc = ks_gate_tell(call, KS_CONFIRM_ASKED);

	if (rc != 0) {
		return rc;
	}
	return ks_image_on_trial() ? fail(call, IMG_MGMT_ERR_FLASH_WRITE_FAILED) : put_list(call->streamer);
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
	struct ks_hash running;
	struct ks_hash other;
	bool is_running;
	enum act act;

	ARG_UNUSED(original);
	if (zcbor_map_decode_bulk(call->streamer->reader->zs, keys, ARRAY_SIZE(keys), &decoded) != 0) {
		return MGMT_ERR_EINVAL;
	}
	if (((wanted.len == 0u) && !permanent) || ((wanted.len != 0u) && (wanted.len != KS_DIGEST_SIZE))) {
		return fail(call, IMG_MGMT_ERR_INVALID_HASH);
	}
	(void)ks_image_hash_listed(RUNNING_AREA, &running);
	(void)ks_image_hash_listed(OTHER_AREA, &other);
	is_running = (wanted.len == 0u) || is_hash(&running, wanted.value, wanted.len);
	if (!is_running && !is_hash(&other, wanted.value, wanted.len)) {
		return fail(call, IMG_MGMT_ERR_HASH_NOT_FOUND);
	}
	act = (enum act)acts[next_boot()][(is_running ? 0 : 2) + (permanent ? 1 : 0)];
	switch (act) {
	case ACT_ARM:
		return arm(call, permanent);
	case ACT_CONFIRM:
		return confirm(call);
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
static size_t usable_size(void)
{
	const struct flash_area *area;
	size_t size = 0u;

	if (flash_area_open(OTHER_AREA, &area) == 0) {
		ssize_t last_fields = boot_get_trailer_status_offset(area->fa_size);

		if (2 * last_fields > (ssize_t)area->fa_size) {
			size = (size_t)(2 * last_fields) - area->fa_size;
		}
		flash_area_close(area);
	}
	return size;
}

static bool is_too_large(size_t size)
{
	size_t usable = usable_size();
	size_t begin = ks_image_begins(OTHER_AREA);

	return (usable < begin) || (size > usable - begin);
}

int ks_image_upload(const struct ks_call *call, mgmt_handler_fn original)
{
	int rc;

	/* Nobody else's packet or mistake touches an upload: to MCUmgr there is one, and any error ends it. */
	if (is_anothers(call)) {
		struct ks_refusal refusal = {.why = KS_WHY_OTHER_UPLOAD};

		return ks_gate_refuse(call, &refusal);
	}
	uploading = call;
	chunk_refused = 0;
	rc = original(call->streamer);
	uploading = NULL;
	return (chunk_refused != 0) ? chunk_refused : rc;
}

int ks_image_erase(const struct ks_call *call, mgmt_handler_fn original)
{
	struct cbor_nb_reader *reader = call->streamer->reader;
	struct cbor_nb_reader before = *reader;
	uint32_t slot = OTHER_SLOT;
	size_t decoded = 0;
	struct zcbor_map_decode_key_val keys[] = {ZCBOR_MAP_DECODE_KEY_DECODER("slot", zcbor_uint32_decode, &slot)};
	int rc;

	if (zcbor_map_decode_bulk(reader->zs, keys, ARRAY_SIZE(keys), &decoded) != 0) {
		return MGMT_ERR_EINVAL;
	}
	*reader = before; /* the original reads it again */
	if (slot > OTHER_SLOT) {
		return fail(call, IMG_MGMT_ERR_FLASH_OPEN_FAILED);
	}
	if ((slot != OTHER_SLOT) || (state_now()->trial != 0u)) {
		return fail(call, IMG_MGMT_ERR_NO_FREE_SLOT);
	}
	rc = ks_gate_tell(call, KS_UPLOAD_STARTED);
	if (rc == 0) {
		change_slot();
		rc = original(call->streamer);
		(void)ks_tell_of(KS_UPLOAD_ENDED, NULL, NULL);
	}
	return rc;
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

		if (uploading == NULL) {
			*rc = MGMT_ERR_EACCESSDENIED; /* not through the door */
			return MGMT_CB_ERROR_RC;
		}
		if ((check->req->off == 0u) && is_too_large(check->req->size)) {
			*group = MGMT_GROUP_ID_IMAGE;
			*rc = IMG_MGMT_ERR_INVALID_IMAGE_TOO_LARGE;
			return MGMT_CB_ERROR_ERR;
		}
		change_slot();
		chunk_refused = ks_gate_tell(uploading, KS_UPLOAD_STARTED);
		*rc = chunk_refused;
		return (chunk_refused == MGMT_ERR_EOK) ? MGMT_CB_OK : MGMT_CB_ERROR_RC;
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
	if (!make_unusable || (flash_area_open(OTHER_AREA, &area) != 0)) {
		return;
	}
	/* Without its header it is no image, to MCUmgr and to MCUboot alike. */
	size = page_size(area, ks_image_begins(OTHER_AREA), &start);
	change_slot();
	if (size != 0u) {
		erase_in_other_slot(area, start, size);
	}
	flash_area_close(area);
}

bool ks_image_write_trailer(bool permanent)
{
	bool found = again_found;

	again_found = false;
	if (!found) {
		LOG_ERR("the slot does not hold what was to be armed");
		return false;
	}
	if (boot_request_upgrade_multi(0, permanent ? BOOT_UPGRADE_PERMANENT : BOOT_UPGRADE_TEST) != 0) {
		LOG_ERR("the trailer cannot be written");
		return false;
	}
	return true;
}

void ks_image_disarm(void)
{
	const struct flash_area *area;
	int swap = mcuboot_swap_type_multi(0);
	ssize_t trailer;
	size_t start;

	if (((swap != BOOT_SWAP_TYPE_TEST) && (swap != BOOT_SWAP_TYPE_PERM)) || (flash_area_open(OTHER_AREA, &area) != 0)) {
		return;
	}
	trailer = boot_get_trailer_status_offset(area->fa_size);
	if ((trailer > 0) && (page_size(area, (size_t)trailer, &start) != 0u)) {
		erase_in_other_slot(area, start, area->fa_size - start);
	}
	flash_area_close(area);
	if (mcuboot_swap_type_multi(0) != BOOT_SWAP_TYPE_NONE) {
		LOG_ERR("still armed");
		ks_report(KS_LOG_FAULT, "an armed image cannot be disarmed");
	}
}

void ks_image_confirm(void)
{
	if (boot_write_img_confirmed_multi(0) != 0) {
		LOG_ERR("the running image cannot be confirmed");
		ks_report(KS_LOG_FAULT, "the running image cannot be confirmed");
	}
}

bool ks_image_ready_for_reset(void)
{
	const struct ks_state *state = state_now();
	struct ks_hash computed;

	if (!state->reset_pending || (state->arming == 0u) || (state->armed_written != 0u)) {
		return true;
	}
	if (again_fresh && (hashing_for == FOR_RESET)) {
		again_found = (go_on_hashing(&computed) == KS_HASHING_DONE) &&
			      is_hash(&state->armed[0], computed.bytes, computed.size);
	} else if (!again_fresh || !again_found) {
		/* What was computed when it was asked for is not enough: it is computed once more, now. */
		again_found = false;
		again_fresh = true;
		return !begin_hashing(FOR_RESET);
	} else {
		/* done */
	}
	return hashing_for != FOR_RESET;
}

void ks_image_reset_is_off(void)
{
	again_fresh = false;
}
