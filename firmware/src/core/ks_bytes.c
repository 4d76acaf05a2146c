/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ks_bytes.h"

void ks_put(struct ks_writer *writer, const void *bytes, size_t size)
{
	if (writer->full || ((writer->size - writer->used) < size)) {
		writer->full = true;
	} else {
		(void)memcpy(&writer->bytes[writer->used], bytes, size);
		writer->used += size;
	}
}

const uint8_t *ks_take(struct ks_reader *reader, size_t size)
{
	const uint8_t *bytes = reader->bytes;

	if (reader->wrong || (reader->left < size)) {
		reader->wrong = true;
		return NULL;
	}
	reader->bytes += size;
	reader->left -= size;
	return bytes;
}

uint32_t ks_number_at(const uint8_t *bytes, uint8_t size)
{
	uint32_t value = 0u;

	for (uint_fast8_t place = size; place > 0u; place--) {
		value = (value << 8) | bytes[place - 1u];
	}
	return value;
}

/* CRC-32 as in zlib and ISO 3309: reflected, polynomial 0x04C11DB7. */
uint32_t ks_crc32(const uint8_t *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t place = 0; place < size; place++) {
		crc ^= bytes[place];
		for (uint_fast8_t bit = 0; bit < 8u; bit++) {
			crc = (crc >> 1) ^ (((crc & 1u) != 0u) ? 0xEDB88320u : 0u);
		}
	}
	return ~crc;
}
