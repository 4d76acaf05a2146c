/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are written where there is room, and read as far as there are some. */
#ifndef KEYSWITCH_KS_BYTES_H_
#define KEYSWITCH_KS_BYTES_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes what fits; `full` says that something did not, and then nothing that was written counts. */
struct ks_writer {
	uint8_t *bytes;
	size_t size;
	size_t used;
	bool full;
};

void ks_put(struct ks_writer *writer, const void *bytes, size_t size);

struct ks_reader {
	const uint8_t *bytes;
	size_t left;
	bool wrong; /* there were not as many as somebody asked for */
};

/* The next bytes; NULL, and from there on everything is wrong, if there are not so many. */
const uint8_t *ks_take(struct ks_reader *reader, size_t size);

/* A little-endian number of 1 to 4 bytes. */
uint32_t ks_number_at(const uint8_t *bytes, uint8_t size);

/* CRC-32 as in zlib and ISO 3309: reflected, polynomial 0x04C11DB7. */
uint32_t ks_crc32(const uint8_t *bytes, size_t size);

#endif
