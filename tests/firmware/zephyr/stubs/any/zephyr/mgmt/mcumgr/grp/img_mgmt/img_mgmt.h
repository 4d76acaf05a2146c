/* Ours. Read in include/zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt.h [A] [I] [J] [F]. */
#ifndef STUB_IMG_MGMT_H
#define STUB_IMG_MGMT_H

#include <stdbool.h>
#include <stddef.h>

#include <bootutil/image.h>
#include <zcbor_common.h>
#include <zephyr/sys/util_macro.h>

#define IMG_MGMT_VER_MAX_STR_LEN (sizeof("255.255.65535.4294967295"))
#define IMG_MGMT_ID_STATE 0
#define IMG_MGMT_ID_UPLOAD 1
#define IMG_MGMT_ID_ERASE 5
enum img_mgmt_err_code_t {
	IMG_MGMT_ERR_OK = 0,
	IMG_MGMT_ERR_HASH_NOT_FOUND = 8,
	IMG_MGMT_ERR_NO_FREE_SLOT = 9,
	IMG_MGMT_ERR_FLASH_OPEN_FAILED = 10,
	IMG_MGMT_ERR_FLASH_WRITE_FAILED = 12,
	IMG_MGMT_ERR_INVALID_IMAGE_HEADER_MAGIC = 23,
	IMG_MGMT_ERR_INVALID_HASH = 24,
	IMG_MGMT_ERR_VERSION_GET_FAILED = 26,
	IMG_MGMT_ERR_CURRENT_VERSION_IS_NEWER = 27,
	IMG_MGMT_ERR_IMAGE_ALREADY_PENDING = 28,
	IMG_MGMT_ERR_INVALID_IMAGE_TOO_LARGE = 30,
	IMG_MGMT_ERR_IMAGE_SETTING_TEST_TO_ACTIVE_DENIED = 33,
};
struct img_mgmt_upload_req {
	uint32_t image;
	size_t off;
	size_t size;
	struct zcbor_string img_data;
	struct zcbor_string data_sha;
	bool upgrade;
};
struct img_mgmt_upload_action {
	unsigned long long size;
	int write_bytes;
	int area_id;
	bool proceed;
	bool erase;
#if defined(CONFIG_MCUMGR_GRP_IMG_VERBOSE_ERR)
	const char *rc_rsn;
#endif
};
int img_mgmt_read_info(int image_slot, struct image_version *ver, uint8_t *hash, uint32_t *flags);
int img_mgmt_ver_str(const struct image_version *ver, char *dst);
int img_mgmt_vercmp(const struct image_version *a, const struct image_version *b);
#if IS_ENABLED(CONFIG_MCUMGR_GRP_IMG_MUTEX)
void img_mgmt_reset_upload(void);
#endif

#endif
