/* Ours. Read in include/zephyr/sys/byteorder.h [A] [I] [J]. */
#ifndef STUB_BYTEORDER_H
#define STUB_BYTEORDER_H

#include <stdint.h>

static inline void sys_put_le32(uint32_t value, uint8_t bytes[4])
{
	for (unsigned int place = 0; place < 4u; place++) {
		bytes[place] = (uint8_t)(value >> (8u * place));
	}
}
static inline uint32_t sys_get_le32(const uint8_t bytes[4])
{
	return (uint32_t)bytes[0] | ((uint32_t)bytes[1] << 8) | ((uint32_t)bytes[2] << 16) | ((uint32_t)bytes[3] << 24);
}

#endif
