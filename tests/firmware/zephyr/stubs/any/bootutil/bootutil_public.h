/* Ours. Read in boot/bootutil/include/bootutil/bootutil_public.h [C]. */
#ifndef STUB_BOOTUTIL_PUBLIC_H
#define STUB_BOOTUTIL_PUBLIC_H

#include <stdint.h>

#define BOOT_MAGIC_GOOD 1
#define BOOT_MAGIC_BAD 2
#define BOOT_MAGIC_UNSET 3
#define BOOT_FLAG_SET 1
#define BOOT_FLAG_BAD 2
#define BOOT_FLAG_UNSET 3
#define BOOT_SWAP_TYPE_PANIC 0xff
struct boot_swap_state {
	uint8_t magic;
	uint8_t swap_type;
	uint8_t copy_done;
	uint8_t image_ok;
	uint8_t image_num;
};
int boot_read_swap_state_by_id(int flash_area_id, struct boot_swap_state *state);

#endif
