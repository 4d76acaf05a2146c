/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <string.h>
#include <unistd.h>

#include <bootutil/image.h>
#include <zephyr/dfu/mcuboot.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/settings/settings.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/reboot.h>

struct fake_store *fake_store;
int64_t fake_erase_ms;
int64_t fake_read_ms;
bool fake_no_entropy;

static const struct device chip = {.name = "flash"};
static const struct flash_area areas[2] = {
	{.fa_id = stub_area_slot0_partition, .fa_off = 0x10000, .fa_size = SLOT_SIZE, .fa_dev = &chip},
	{.fa_id = stub_area_slot1_partition, .fa_off = 0x20000, .fa_size = SLOT_SIZE, .fa_dev = &chip},
};
#define ASKS (SLOT_SIZE - 1u)
#define ERASED 0xFFu

static uint8_t *bytes_of(const struct flash_area *fa)
{
	return fake_store->flash[(fa == &areas[0]) ? 0 : 1];
}

static void must_fit(const struct flash_area *fa, off_t off, size_t len)
{
	CHECK((off >= 0) && ((size_t)off <= fa->fa_size) && (len <= fa->fa_size - (size_t)off));
}

int flash_area_open(uint8_t id, const struct flash_area **fa)
{
	fake_thread_only("flash_area_open()");
	CHECK((id == areas[0].fa_id) || (id == areas[1].fa_id));
	*fa = (id == areas[0].fa_id) ? &areas[0] : &areas[1];
	return 0;
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
	CHECK(fa == &areas[1]); /* never what runs */
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

int fake_armed(void)
{
	uint8_t asks = fake_store->flash[1][ASKS];

	if (fake_store->trial) {
		return BOOT_SWAP_TYPE_REVERT;
	}
	return (asks == 1u) ? BOOT_SWAP_TYPE_TEST : (asks == 2u) ? BOOT_SWAP_TYPE_PERM : BOOT_SWAP_TYPE_NONE;
}

size_t fake_image_begins(int slot)
{
	return ((slot == 1) && (fake_armed() != BOOT_SWAP_TYPE_REVERT)) ? UPLOAD_BEGINS : 0u;
}

#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
size_t boot_get_image_start_offset(uint8_t area_id)
{
	fake_waits("boot_get_image_start_offset()");
	return fake_image_begins((area_id == areas[1].fa_id) ? 1 : 0);
}
#endif

void fake_bootloader(void)
{
	static uint8_t held[SLOT_SIZE];
	int armed = fake_armed();
	size_t from;
	size_t to;

	if ((armed == BOOT_SWAP_TYPE_NONE) || (armed == BOOT_SWAP_TYPE_FAIL)) {
		return;
	}
	(void)memcpy(held, fake_store->flash[0], SLOT_SIZE);
	/* With an offset the image to go back to lies at the very beginning, and what was gone back from behind it. */
	from = fake_image_begins(1);
	to = (armed == BOOT_SWAP_TYPE_REVERT) ? UPLOAD_BEGINS : 0u;
	(void)memset(fake_store->flash[0], (int)ERASED, SLOT_SIZE);
	(void)memcpy(fake_store->flash[0], fake_store->flash[1] + from, SLOT_SIZE - from);
	(void)memset(fake_store->flash[1], (int)ERASED, SLOT_SIZE);
	(void)memcpy(fake_store->flash[1] + to, held, SLOT_SIZE - to);
	fake_store->flash[0][ASKS] = ERASED;
	fake_store->flash[1][ASKS] = ERASED;
	fake_store->trial = armed == BOOT_SWAP_TYPE_TEST;
}

bool boot_is_img_confirmed(void)
{
	return !fake_store->trial;
}

int boot_write_img_confirmed_multi(int image_index)
{
	CHECK(image_index == 0);
	fake_waits("boot_write_img_confirmed_multi()");
	fake_store->trial = false;
	fake_note("confirm");
	return 0;
}

int mcuboot_swap_type_multi(int image_index)
{
	CHECK(image_index == 0);
	return fake_armed();
}

int boot_request_upgrade_multi(int image_index, int permanent)
{
	CHECK(image_index == 0);
	fake_waits("boot_request_upgrade_multi()");
	fake_store->flash[1][ASKS] = (permanent != 0) ? 2u : 1u;
	fake_note("trailer");
	return 0;
}

ssize_t boot_get_trailer_status_offset(size_t area_size)
{
	CHECK(area_size == SLOT_SIZE);
	return (ssize_t)(SLOT_SIZE - 16u - 2u * 8u); /* dfu/boot/mcuboot.c: copy done, image ok, magic; not what is before */
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
