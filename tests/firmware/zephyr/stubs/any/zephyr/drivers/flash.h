/* Ours. Read in include/zephyr/drivers/flash.h [A] [I] [J]. */
#ifndef STUB_FLASH_H
#define STUB_FLASH_H

#include <zephyr/kernel.h>

struct device {
	const char *name;
};
struct flash_pages_info {
	off_t start_offset;
	size_t size;
	uint32_t index;
};
int flash_get_page_info_by_offs(const struct device *dev, off_t offset, struct flash_pages_info *info);

#endif
