/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <string.h>
#include <unistd.h>

#include <bootutil/bootutil_public.h>
#include <bootutil/image.h>
#include <keyswitch/ks_tables.h>
#include <zephyr/dfu/mcuboot.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/settings/settings.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/reboot.h>

struct fake_store *fake_store;
int64_t fake_erase_ms;
int64_t fake_read_ms;
bool fake_no_entropy;
int fake_dead_slot;
const char *fake_cut_after;

extern const struct ks_policy ks_policy;

static const struct device chip = {.name = "flash"};
static const struct flash_area areas[] = {
	{.fa_id = stub_area_slot0_partition, .fa_off = 0x10000, .fa_size = SLOT_SIZE, .fa_dev = &chip},
	{.fa_id = stub_area_slot1_partition, .fa_off = 0x20000, .fa_size = SLOT_SIZE, .fa_dev = &chip},
#if KS_POLICY_PAIRS > 1
	{.fa_id = stub_area_slot2_partition, .fa_off = 0x30000, .fa_size = FURTHER_SLOT_SIZE, .fa_dev = &chip},
	{.fa_id = stub_area_slot3_partition, .fa_off = 0x38000, .fa_size = FURTHER_SLOT_SIZE, .fa_dev = &chip},
#endif
#if KS_POLICY_PAIRS > 2
	{.fa_id = stub_area_slot4_partition, .fa_off = 0x40000, .fa_size = FURTHER_SLOT_SIZE, .fa_dev = &chip},
	{.fa_id = stub_area_slot5_partition, .fa_off = 0x48000, .fa_size = FURTHER_SLOT_SIZE, .fa_dev = &chip},
#endif
};
#define ERASED 0xFFu

static bool is_dead(int slot)
{
	return ((fake_dead_slot != 0) && (slot == fake_dead_slot)) || (((slot % 2) == 0) && fake_is_copied(slot / 2));
}

static int slot_of(const struct flash_area *fa)
{
	return (int)(fa - areas);
}

static uint8_t *bytes_of(const struct flash_area *fa)
{
	return fake_store->flash[slot_of(fa)];
}

/* What a slot's trailer asks for. */
static uint8_t *asks_of(int slot)
{
	return &fake_store->flash[slot][areas[slot].fa_size - 1u];
}

bool fake_is_copied(int image)
{
	return ((ks_policy.copied >> image) & 1u) != 0u;
}

static void must_fit(const struct flash_area *fa, off_t off, size_t len)
{
	CHECK((off >= 0) && ((size_t)off <= fa->fa_size) && (len <= fa->fa_size - (size_t)off));
}

int flash_area_open(uint8_t id, const struct flash_area **fa)
{
	fake_thread_only("flash_area_open()");
	for (int slot = 0; slot < FAKE_SLOTS; slot++) {
		if (areas[slot].fa_id != id) {
			continue;
		}
		if (is_dead(slot)) {
			return -ENODEV;
		}
		*fa = &areas[slot];
		return 0;
	}
	fake_fail("no flash area %u", id);
}

void flash_area_close(const struct flash_area *fa)
{
	(void)fa;
}

int flash_area_read(const struct flash_area *fa, off_t off, void *dst, size_t len)
{
	fake_waits("flash_area_read()");
	must_fit(fa, off, len);
	(void)memcpy(dst, bytes_of(fa) + off, len);
	fake_busy(fake_read_ms);
	return 0;
}

int flash_area_write(const struct flash_area *fa, off_t off, const void *src, size_t len)
{
	fake_waits("flash_area_write()");
	must_fit(fa, off, len);
	(void)memcpy(bytes_of(fa) + off, src, len);
	return 0;
}

int flash_area_erase(const struct flash_area *fa, off_t off, size_t len)
{
	fake_waits("flash_area_erase()");
	must_fit(fa, off, len);
	CHECK((((size_t)off | len) % PAGE_SIZE) == 0u);
	CHECK((slot_of(fa) % 2) == 1); /* never what runs */
	(void)memset(bytes_of(fa) + off, (int)ERASED, len);
	fake_busy(fake_erase_ms * (int64_t)(len / PAGE_SIZE));
	return 0;
}

const struct device *flash_area_get_device(const struct flash_area *fa)
{
	return fa->fa_dev;
}

int flash_get_page_info_by_offs(const struct device *dev, off_t offset, struct flash_pages_info *info)
{
	CHECK(dev == &chip);
	info->size = PAGE_SIZE;
	info->index = (uint32_t)((size_t)offset / PAGE_SIZE);
	info->start_offset = (off_t)(info->index * PAGE_SIZE);
	return 0;
}

/* --- the bootloader --- */

int fake_armed(int image)
{
	uint8_t asks = *asks_of(2 * image + 1);

	if (fake_store->trial[image]) {
		return BOOT_SWAP_TYPE_REVERT;
	}
	return (asks == 1u) ? BOOT_SWAP_TYPE_TEST : (asks == 2u) ? BOOT_SWAP_TYPE_PERM : BOOT_SWAP_TYPE_NONE;
}

size_t fake_image_begins(int slot)
{
	return (((slot % 2) == 1) && (fake_armed(slot / 2) != BOOT_SWAP_TYPE_REVERT)) ? UPLOAD_BEGINS : 0u;
}

#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
size_t boot_get_image_start_offset(uint8_t area_id)
{
	fake_waits("boot_get_image_start_offset()");
	for (int slot = 1; slot < FAKE_SLOTS; slot += 2) {
		if (areas[slot].fa_id == area_id) {
			return fake_image_begins(slot);
		}
	}
	return 0u;
}
#endif

static void swap(int image, int armed)
{
	static uint8_t held[SLOT_SIZE];
	uint8_t *runs = fake_store->flash[2 * image];
	uint8_t *other = fake_store->flash[2 * image + 1];
	/* With an offset the image to go back to lies at the very beginning, and what was gone back from behind it. */
	size_t from = fake_image_begins(2 * image + 1);
	size_t to = (armed == BOOT_SWAP_TYPE_REVERT) ? UPLOAD_BEGINS : 0u;

	(void)memcpy(held, runs, SLOT_SIZE);
	(void)memset(runs, (int)ERASED, SLOT_SIZE);
	(void)memcpy(runs, other + from, SLOT_SIZE - from);
	(void)memset(other, (int)ERASED, SLOT_SIZE);
	(void)memcpy(other + to, held, SLOT_SIZE - to);
	*asks_of(2 * image) = ERASED;
	*asks_of(2 * image + 1) = ERASED;
	fake_store->trial[image] = armed == BOOT_SWAP_TYPE_TEST;
}

/* docs/decisions/image-that-is-copied-cannot-be-read.md: to the other core, and header and trailer are erased. */
static void copy(int image)
{
	uint8_t *other = fake_store->flash[2 * image + 1];

	fake_store->other_core = other[32];
	(void)memset(other, (int)ERASED, PAGE_SIZE);
	*asks_of(2 * image + 1) = ERASED;
}

void fake_bootloader(void)
{
	for (int image = 0; image < KS_POLICY_PAIRS; image++) {
		int armed = fake_armed(image);

		if ((armed == BOOT_SWAP_TYPE_NONE) || (armed == BOOT_SWAP_TYPE_FAIL)) {
			continue;
		}
		if (fake_is_copied(image)) {
			copy(image);
		} else {
			swap(image, armed);
		}
	}
}

bool boot_is_img_confirmed(void)
{
	return !fake_store->trial[0];
}

int boot_write_img_confirmed_multi(int image_index)
{
	CHECK((image_index >= 0) && (image_index < KS_POLICY_PAIRS) && !fake_is_copied(image_index));
	fake_waits("boot_write_img_confirmed_multi()");
	fake_store->trial[image_index] = false;
	fake_note((image_index == 0) ? "confirm" : "confirm further");
	return 0;
}

int mcuboot_swap_type_multi(int image_index)
{
	CHECK((image_index >= 0) && (image_index < KS_POLICY_PAIRS));
	return is_dead(2 * image_index) ? BOOT_SWAP_TYPE_PANIC : fake_armed(image_index);
}

static void cut_after(const char *what)
{
	if ((fake_cut_after != NULL) && (strcmp(fake_cut_after, what) == 0)) {
		fake_store->resets++;
		_exit(0);
	}
}

int boot_request_upgrade_multi(int image_index, int permanent)
{
	CHECK((image_index >= 0) && (image_index < KS_POLICY_PAIRS));
	fake_waits("boot_request_upgrade_multi()");
	*asks_of(2 * image_index + 1) = (permanent != 0) ? 2u : 1u;
	fake_note((image_index == 0) ? "trailer" : "trailer further");
	cut_after((image_index == 0) ? "trailer" : "trailer further");
	return 0;
}

int boot_read_swap_state_by_id(int flash_area_id, struct boot_swap_state *state)
{
	const struct flash_area *area;
	int slot;

	fake_waits("boot_read_swap_state_by_id()");
	if (flash_area_open((uint8_t)flash_area_id, &area) != 0) {
		return 1; /* BOOT_EFLASH */
	}
	slot = slot_of(area);
	(void)memset(state, 0, sizeof(*state));
	state->magic = BOOT_MAGIC_UNSET;
	state->copy_done = BOOT_FLAG_UNSET;
	state->image_ok = BOOT_FLAG_UNSET;
	if ((slot % 2) == 0) {
		if (fake_store->trial[slot / 2]) {
			state->magic = BOOT_MAGIC_GOOD;
			state->copy_done = BOOT_FLAG_SET;
		}
	} else if (*asks_of(slot) != ERASED) {
		state->magic = BOOT_MAGIC_GOOD;
		state->image_ok = (*asks_of(slot) == 2u) ? BOOT_FLAG_SET : BOOT_FLAG_UNSET;
	} else {
		/* nothing is asked for */
	}
	return 0;
}

ssize_t boot_get_trailer_status_offset(size_t area_size)
{
	CHECK((area_size == SLOT_SIZE) || (area_size == FURTHER_SLOT_SIZE));
	/* dfu/boot/mcuboot.c: copy done, image ok, magic; not what is before */
	return (ssize_t)(area_size - 16u - 2u * 8u);
}

void sys_reboot(int type)
{
	CHECK(type == SYS_REBOOT_WARM);
	fake_note("reboot");
	fake_store->resets++;
	fake_store->reset_at_ms = fake_now_ms;
	_exit(0);
}

void fake_lengthen(uint8_t hash[HASH_SIZE])
{
	for (size_t place = 32; place < HASH_SIZE; place++) {
		hash[place] = (uint8_t)~hash[place - 32u];
	}
}

void fake_put_image(int slot, uint8_t fill, size_t size, uint8_t hash[HASH_SIZE])
{
	uint8_t *flash = fake_store->flash[slot] + fake_image_begins(slot);
	struct image_header header = {.ih_magic = IMAGE_MAGIC, .ih_hdr_size = 32u, .ih_img_size = (uint32_t)size};
	struct image_tlv_info info = {.it_magic = IMAGE_TLV_INFO_MAGIC, .it_tlv_tot = sizeof(info) + 4u + HASH_SIZE};
	struct image_tlv tlv = {.it_type = (HASH_SIZE == 64u) ? IMAGE_TLV_SHA512 : IMAGE_TLV_SHA256, .it_len = HASH_SIZE};
	uint8_t *end = flash + 32u + size;

	header.ih_ver.iv_major = 1u + (fill & 7u);
	(void)memset(fake_store->flash[slot], (int)ERASED, SLOT_SIZE);
	(void)memset(flash, 0, 32u);
	(void)memcpy(flash, &header, sizeof(header));
	(void)memset(flash + 32u, fill, size);
	fake_sha256(flash, 32u + size, hash);
	fake_lengthen(hash);
	(void)memcpy(end, &info, sizeof(info));
	(void)memcpy(end + sizeof(info), &tlv, sizeof(tlv));
	(void)memcpy(end + sizeof(info) + sizeof(tlv), hash, HASH_SIZE);
}

bool fake_has_image(int slot)
{
	struct image_header header;

	(void)memcpy(&header, fake_store->flash[slot] + fake_image_begins(slot), sizeof(header));
	return header.ih_magic == IMAGE_MAGIC;
}

void fake_other_hash(int slot, size_t size)
{
	struct image_tlv tlv = {.it_type = (HASH_SIZE == 64u) ? IMAGE_TLV_SHA256 : IMAGE_TLV_SHA512, .it_len = HASH_SIZE};

	(void)memcpy(fake_store->flash[slot] + fake_image_begins(slot) + 32u + size + sizeof(struct image_tlv_info), &tlv,
		     sizeof(tlv));
}

/* --- settings --- */

static const struct settings_handler_static *handler;

void stub_settings_handler(const struct settings_handler_static *given)
{
	handler = given;
}

struct fake_setting *fake_setting(const char *name)
{
	for (size_t place = 0; place < ARRAY_SIZE(fake_store->settings); place++) {
		struct fake_setting *each = &fake_store->settings[place];

		if (each->there && (strcmp(each->name, name) == 0)) {
			return each;
		}
	}
	return NULL;
}

void fake_set(const char *name, const void *bytes, size_t size)
{
	struct fake_setting *found = fake_setting(name);

	for (size_t place = 0; (found == NULL) && (place < ARRAY_SIZE(fake_store->settings)); place++) {
		if (!fake_store->settings[place].there) {
			found = &fake_store->settings[place];
		}
	}
	CHECK((found != NULL) && (strlen(name) < sizeof(found->name)) && (size <= sizeof(found->bytes)));
	(void)memset(found, 0, sizeof(*found));
	(void)memcpy(found->name, name, strlen(name));
	(void)memcpy(found->bytes, bytes, size);
	found->size = size;
	found->there = true;
}

static ssize_t read_setting(void *from, void *data, size_t len)
{
	const struct fake_setting *setting = from;
	size_t size = MIN(len, setting->size);

	(void)memcpy(data, setting->bytes, size);
	return (ssize_t)size;
}

int settings_subsys_init(void)
{
	fake_waits("settings_subsys_init()");
	return 0;
}

int settings_load_subtree(const char *subtree)
{
	fake_waits("settings_load_subtree()");
	CHECK((handler != NULL) && (strcmp(subtree, handler->name) == 0));
	for (size_t place = 0; place < ARRAY_SIZE(fake_store->settings); place++) {
		struct fake_setting *each = &fake_store->settings[place];
		size_t prefix = strlen(subtree);

		if (each->there && (strncmp(each->name, subtree, prefix) == 0) && (each->name[prefix] == '/')) {
			(void)handler->h_set(each->name + prefix + 1, each->size, read_setting, each);
		}
	}
	return 0;
}

int settings_save_one(const char *name, const void *value, size_t val_len)
{
	fake_waits("settings_save_one()");
	fake_set(name, value, val_len);
	fake_note((strcmp(name, "ks/session") == 0) ? "record" : "setting");
	return 0;
}

int settings_delete(const char *name)
{
	struct fake_setting *found = fake_setting(name);

	fake_waits("settings_delete()");
	if (found != NULL) {
		found->there = false;
	}
	return 0;
}

int settings_name_steq(const char *name, const char *key, const char **next)
{
	CHECK(next == NULL);
	return (strcmp(name, key) == 0) ? 1 : 0;
}

/* --- chance: not random, but never the same --- */

int sys_csrand_get(void *dst, size_t len)
{
	static uint32_t seed = 12345u;
	uint8_t *bytes = dst;

	if (fake_no_entropy) {
		return -EIO;
	}
	for (size_t place = 0; place < len; place++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[place] = (uint8_t)(seed >> 24);
	}
	return 0;
}
