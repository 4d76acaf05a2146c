/* Ours. Read in include/zephyr/dfu/mcuboot.h [A] [I] [J] [F]. */
#ifndef STUB_MCUBOOT_H
#define STUB_MCUBOOT_H

#include <zephyr/kernel.h>

#define BOOT_SWAP_TYPE_NONE 1
#define BOOT_SWAP_TYPE_TEST 2
#define BOOT_SWAP_TYPE_PERM 3
#define BOOT_SWAP_TYPE_REVERT 4
#define BOOT_SWAP_TYPE_FAIL 5
#define BOOT_UPGRADE_TEST 0
#define BOOT_UPGRADE_PERMANENT 1
bool boot_is_img_confirmed(void);
int boot_write_img_confirmed_multi(int image_index);
int mcuboot_swap_type_multi(int image_index);
int boot_request_upgrade_multi(int image_index, int permanent);
ssize_t boot_get_trailer_status_offset(size_t area_size);
#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
size_t boot_get_image_start_offset(uint8_t area_id);
#endif

#endif
