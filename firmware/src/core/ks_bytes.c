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
