/* Ours. Read in boot/bootutil/include/bootutil/image.h [C]. */
#ifndef STUB_IMAGE_H
#define STUB_IMAGE_H

#include <stdint.h>

#define IMAGE_MAGIC 0x96f3b83d
#define IMAGE_TLV_INFO_MAGIC 0x6907
#define IMAGE_TLV_PROT_INFO_MAGIC 0x6908
#define IMAGE_TLV_SHA256 0x10
#define IMAGE_TLV_SHA512 0x12
#define IMAGE_F_NON_BOOTABLE 0x00000010
struct image_version {
	uint8_t iv_major;
	uint8_t iv_minor;
	uint16_t iv_revision;
	uint32_t iv_build_num;
} __attribute__((packed));
struct image_header {
	uint32_t ih_magic;
	uint32_t ih_load_addr;
	uint16_t ih_hdr_size;
	uint16_t ih_protect_tlv_size;
	uint32_t ih_img_size;
	uint32_t ih_flags;
	struct image_version ih_ver;
	uint32_t _pad1;
} __attribute__((packed));
struct image_tlv_info {
	uint16_t it_magic;
	uint16_t it_tlv_tot;
} __attribute__((packed));
struct image_tlv {
	uint16_t it_type;
	uint16_t it_len;
} __attribute__((packed));

#endif
