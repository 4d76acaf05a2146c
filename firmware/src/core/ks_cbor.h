/* SPDX-License-Identifier: Apache-2.0 */
/* The CBOR (RFC 8949) of the mode group's frames, and no more of it. */
#ifndef KEYSWITCH_KS_CBOR_H_
#define KEYSWITCH_KS_CBOR_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ks_bytes.h"

/* RFC 8949 section 3.1. */
#define KS_CBOR_MAJOR_UNSIGNED 0u
#define KS_CBOR_MAJOR_NEGATIVE 1u
#define KS_CBOR_MAJOR_BYTES 2u
#define KS_CBOR_MAJOR_TEXT 3u
#define KS_CBOR_MAJOR_LIST 4u
#define KS_CBOR_MAJOR_MAP 5u
#define KS_CBOR_MAJOR_TAG 6u
#define KS_CBOR_MAJOR_SIMPLE 7u

enum ks_cbor_kind {
	KS_CBOR_ABSENT = 0,
	KS_CBOR_UNSIGNED, /* number */
	KS_CBOR_BYTES, /* bytes, size */
	KS_CBOR_TEXT, /* bytes, size: valid UTF-8 */
	KS_CBOR_NEGATIVE,
	KS_CBOR_OTHER, /* a simple value, a float */
};

struct ks_cbor_value {
	const uint8_t *bytes;
	size_t size;
	uint32_t number; /* UINT32_MAX: that, or more */
	uint8_t kind; /* enum ks_cbor_kind */
};

/*
 * Read the map that `bytes` begins with; what lies behind it is not read. false: it is none, or one that no request may be.
 * Where a key is one of `names`, its value goes to the same place in `fields`; what the map has not is KS_CBOR_ABSENT there,
 * and keys that nobody looks for are passed over.
 */
bool ks_cbor_read_map(const uint8_t *bytes, size_t size, const char *const *names, struct ks_cbor_value *fields,
		      uint8_t field_count);

/* Whether it is this text. */
bool ks_cbor_is_text(const struct ks_cbor_value *value, const char *text);

/* --- of what has one form (permits): everything as short as it can be --- */

/* The number, size or count of the next item, which has to be of this kind, else the reader is wrong. UINT32_MAX: or more. */
uint32_t ks_cbor_take_head(struct ks_reader *reader, uint8_t major);
/* Pass over a number or a text; or_bytes: or a byte string. */
void ks_cbor_pass_plain(struct ks_reader *reader, bool or_bytes);

/* Whether it is UTF-8 (RFC 3629). */
bool ks_is_utf8(const uint8_t *text, size_t size);

/* --- writing --- */

/* What an item begins with: KS_CBOR_MAJOR_…, and its number, size or count, in the shortest form. */
void ks_cbor_head(struct ks_writer *writer, uint8_t major, uint32_t argument);
void ks_cbor_text(struct ks_writer *writer, const char *text);
void ks_cbor_bytes(struct ks_writer *writer, const uint8_t *bytes, size_t size);
void ks_cbor_unsigned(struct ks_writer *writer, uint32_t value);
void ks_cbor_bool(struct ks_writer *writer, bool value);

#endif
