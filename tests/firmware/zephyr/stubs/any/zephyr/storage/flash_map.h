/* Ours. Read in include/zephyr/storage/flash_map.h [A] [I] [J] [F]. */
#ifndef STUB_FLASH_MAP_H
#define STUB_FLASH_MAP_H

#include <zephyr/kernel.h>

struct device;
struct flash_area {
	uint8_t fa_id;
	uint16_t pad16;
	off_t fa_off;
	size_t fa_size;
	const struct device *fa_dev;
};
/* There the devicetree's. No board here has a partition for the unit. */
#if defined(STUB_PARTITION)
#define PARTITION_ID(label) stub_area_##label
#define PARTITION_EXISTS(label) stub_there_is_##label
#define FIXED_PARTITION_ID(label) PARTITION_ID(label) _Pragma("GCC warning \"Macro is deprecated\"")
#define FIXED_PARTITION_EXISTS(label) PARTITION_EXISTS(label)
#else
#define FIXED_PARTITION_ID(label) stub_area_##label
#define FIXED_PARTITION_EXISTS(label) stub_there_is_##label
#endif
#define stub_there_is_slot0_partition 1
#define stub_there_is_slot1_partition 1
#define stub_there_is_slot2_partition 1
#define stub_there_is_slot3_partition 1
#define stub_there_is_slot4_partition 1
#define stub_there_is_slot5_partition 1
#define stub_there_is_keyswitch_unit 0
enum {
	stub_area_slot0_partition = 1,
	stub_area_slot1_partition = 2,
	stub_area_slot2_partition = 3,
	stub_area_slot3_partition = 4,
	stub_area_slot4_partition = 5,
	stub_area_slot5_partition = 6,
};
int flash_area_open(uint8_t id, const struct flash_area **fa);
void flash_area_close(const struct flash_area *fa);
int flash_area_read(const struct flash_area *fa, off_t off, void *dst, size_t len);
int flash_area_write(const struct flash_area *fa, off_t off, const void *src, size_t len);
int flash_area_erase(const struct flash_area *fa, off_t off, size_t len);
const struct device *flash_area_get_device(const struct flash_area *fa);

#endif
