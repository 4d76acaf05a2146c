/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <keyswitch/ks_mode_group.h>

#include "ks_cbor.h"

/* RFC 8949 section 3: the initial byte is three bits of major type and five bits of additional information. */
#define INFO_DIRECT 24u /* below: the argument itself; from here on: it follows in 1, 2, 4, 8 bytes */
#define INFO_RESERVED 28u
#define INFO_INDEFINITE 31u
#define BREAK 0xFFu
/* RFC 8949 3.3: a simple value in a byte of its own is at least this. */
#define LEAST_SIMPLE 32u

/* --- reading --- */

struct head {
	uint32_t argument; /* UINT32_MAX: that, or more */
	uint8_t major;
	uint8_t info;
#if KS_HAS_PERMIT
	bool shortest; /* of a definite length, and in no fewer bytes */
#endif
};

static bool take_head(struct ks_reader *reader, struct head *head)
{
	const uint8_t *at = ks_take(reader, 1u);
	uint32_t size;

	if (at == NULL) {
		return false;
	}
	head->major = (uint8_t)(*at >> 5);
	head->info = *at & 0x1Fu;
	head->argument = head->info;
#if KS_HAS_PERMIT
	head->shortest = head->info < INFO_DIRECT;
#endif
	if ((head->info < INFO_DIRECT) || (head->info == INFO_INDEFINITE)) {
		return true;
	}
	if (head->info >= INFO_RESERVED) {
		return false;
	}
	size = (uint32_t)1u << (head->info - INFO_DIRECT);
	at = ks_take(reader, size);
	if (at == NULL) {
		return false;
	}
	head->argument = 0u;
	for (uint32_t place = 0; place < size; place++) {
		head->argument = (head->argument > (UINT32_MAX >> 8)) ? UINT32_MAX : ((head->argument << 8) | at[place]);
#if KS_HAS_PERMIT
		/* The upper half of a number that needs so many bytes is not zero. */
		head->shortest = head->shortest || ((place < (size / 2u)) && (at[place] != 0u));
	}
	if (size == 1u) {
		head->shortest = head->argument >= INFO_DIRECT;
#endif
	}
	return true;
}

/* The bytes of one character of UTF-8 (RFC 3629): 1 to 4; 0: it is none. */
static uint8_t character(const uint8_t *text, size_t left)
{
	uint8_t first = text[0];
	uint8_t low = 0x80u;
	uint8_t high = 0xBFu;
	uint8_t size;

	if (first < 0x80u) {
		return 1u;
	}
	if ((first >= 0xC2u) && (first <= 0xDFu)) {
		size = 2u;
	} else if ((first >= 0xE0u) && (first <= 0xEFu)) {
		size = 3u;
		low = (first == 0xE0u) ? 0xA0u : low; /* no longer form than needed */
		high = (first == 0xEDu) ? 0x9Fu : high; /* no surrogates */
	} else if ((first >= 0xF0u) && (first <= 0xF4u)) {
		size = 4u;
		low = (first == 0xF0u) ? 0x90u : low;
		high = (first == 0xF4u) ? 0x8Fu : high; /* nothing beyond U+10FFFF */
	} else {
		return 0u;
	}
	if (left < size) {
		return 0u;
	}
	for (uint_fast8_t place = 1; place < size; place++) {
		if ((text[place] < low) || (text[place] > high)) {
			return 0u;
		}
		low = 0x80u;
		high = 0xBFu;
	}
	return size;
}

bool ks_is_utf8(const uint8_t *text, size_t size)
{
	size_t at = 0u;

	while (at < size) {
		uint8_t step = character(&text[at], size - at);

		if (step == 0u) {
			return false;
		}
		at += step;
	}
	return true;
}

static bool take_string(struct ks_reader *reader, const struct head *head, struct ks_cbor_value *value)
{
	if ((head->info == INFO_INDEFINITE) || (head->argument > reader->left)) {
		return false;
	}
	value->size = head->argument;
	value->bytes = ks_take(reader, value->size);
	value->kind = (head->major == KS_CBOR_MAJOR_TEXT) ? (uint8_t)KS_CBOR_TEXT : (uint8_t)KS_CBOR_BYTES;
	return (head->major != KS_CBOR_MAJOR_TEXT) || ks_is_utf8(value->bytes, value->size);
}

static bool take_value(struct ks_reader *reader, struct ks_cbor_value *value)
{
	struct head head;

	(void)memset(value, 0, sizeof(*value));
	if (!take_head(reader, &head)) {
		return false;
	}
	switch (head.major) {
	case KS_CBOR_MAJOR_UNSIGNED:
		value->kind = KS_CBOR_UNSIGNED;
		value->number = head.argument;
		return head.info != INFO_INDEFINITE;
	case KS_CBOR_MAJOR_NEGATIVE:
		value->kind = KS_CBOR_NEGATIVE;
		return head.info != INFO_INDEFINITE;
	case KS_CBOR_MAJOR_BYTES:
	case KS_CBOR_MAJOR_TEXT:
		return take_string(reader, &head, value);
	case KS_CBOR_MAJOR_SIMPLE:
		value->kind = KS_CBOR_OTHER;
		return (head.info != INFO_INDEFINITE) &&
		       ((head.info != INFO_DIRECT) || (head.argument >= LEAST_SIMPLE));
	default:
		return false; /* maps and lists inside, and tags, are in no request */
	}
}

static bool same(const struct ks_cbor_value *one, const struct ks_cbor_value *other)
{
	return (one->size == other->size) && (memcmp(one->bytes, other->bytes, one->size) == 0);
}

bool ks_cbor_is_text(const struct ks_cbor_value *value, const char *text)
{
	size_t size = strlen(text);

	return (value->kind == (uint8_t)KS_CBOR_TEXT) && (value->size == size) &&
	       (memcmp(value->bytes, text, size) == 0);
}

/* The next pair, whose key none of those before has. */
static bool take_pair(struct ks_reader *reader, struct ks_cbor_value keys[KS_MAX_KEYS], uint8_t count,
		      const char *const *names, struct ks_cbor_value *fields, uint8_t field_count)
{
	struct ks_cbor_value *key = &keys[count];
	struct ks_cbor_value value;

	if ((count >= KS_MAX_KEYS) || !take_value(reader, key) || (key->kind != (uint8_t)KS_CBOR_TEXT) ||
	    !take_value(reader, &value)) {
		return false;
	}
	for (uint_fast8_t before = 0; before < count; before++) {
		if (same(&keys[before], key)) {
			return false; /* two readers could see two requests in the same bytes */
		}
	}
	for (uint_fast8_t place = 0; place < field_count; place++) {
		if (ks_cbor_is_text(key, names[place])) {
			fields[place] = value;
		}
	}
	return true;
}

bool ks_cbor_read_map(const uint8_t *bytes, size_t size, const char *const *names, struct ks_cbor_value *fields,
		      uint8_t field_count)
{
	struct ks_reader reader = {bytes, size, false};
	struct ks_cbor_value keys[KS_MAX_KEYS];
	struct head head;
	bool indefinite;

	(void)memset(fields, 0, field_count * sizeof(*fields));
	if (!take_head(&reader, &head) || (head.major != KS_CBOR_MAJOR_MAP)) {
		return false;
	}
	indefinite = head.info == INFO_INDEFINITE;
	for (uint_fast8_t count = 0; count <= KS_MAX_KEYS; count++) {
		if (indefinite ? ((reader.left > 0u) && (reader.bytes[0] == BREAK)) : (count == head.argument)) {
			return true;
		}
		if (!take_pair(&reader, keys, (uint8_t)count, names, fields, field_count)) {
			return false;
		}
	}
	return false;
}

#if KS_HAS_PERMIT
uint32_t ks_cbor_take_head(struct ks_reader *reader, uint8_t major)
{
	struct head head;

	if (!take_head(reader, &head) || (head.major != major) || !head.shortest) {
		reader->wrong = true;
		return 0u;
	}
	return head.argument;
}

void ks_cbor_pass_plain(struct ks_reader *reader, bool or_bytes)
{
	struct head head;

	if (!take_head(reader, &head) || !head.shortest || (head.major > KS_CBOR_MAJOR_TEXT) ||
	    ((head.major == KS_CBOR_MAJOR_BYTES) && !or_bytes)) {
		reader->wrong = true;
	} else if (head.major >= KS_CBOR_MAJOR_BYTES) {
		const uint8_t *bytes = ks_take(reader, head.argument);

		if ((bytes != NULL) && (head.major == KS_CBOR_MAJOR_TEXT) && !ks_is_utf8(bytes, head.argument)) {
			reader->wrong = true;
		}
	} else {
		/* a number */
	}
}
#endif

/* --- writing --- */

void ks_cbor_head(struct ks_writer *writer, uint8_t major, uint32_t argument)
{
	uint8_t head[5] = {0};
	uint8_t size;
	uint8_t info;

	if (argument < INFO_DIRECT) {
		size = 0u;
		info = (uint8_t)argument;
	} else if (argument <= UINT8_MAX) {
		size = 1u;
		info = INFO_DIRECT;
	} else if (argument <= UINT16_MAX) {
		size = 2u;
		info = INFO_DIRECT + 1u;
	} else {
		size = 4u;
		info = INFO_DIRECT + 2u;
	}
	head[0] = (uint8_t)((uint8_t)(major << 5) | info);
	for (uint_fast8_t place = 0; place < size; place++) {
		head[size - place] = (uint8_t)(argument >> (8u * place));
	}
	ks_put(writer, head, (size_t)size + 1u);
}

void ks_cbor_text(struct ks_writer *writer, const char *text)
{
	size_t size = strlen(text);

	ks_cbor_head(writer, KS_CBOR_MAJOR_TEXT, (uint32_t)size);
	ks_put(writer, text, size);
}

void ks_cbor_bytes(struct ks_writer *writer, const uint8_t *bytes, size_t size)
{
	ks_cbor_head(writer, KS_CBOR_MAJOR_BYTES, (uint32_t)size);
	ks_put(writer, bytes, size);
}

void ks_cbor_unsigned(struct ks_writer *writer, uint32_t value)
{
	ks_cbor_head(writer, KS_CBOR_MAJOR_UNSIGNED, value);
}

void ks_cbor_bool(struct ks_writer *writer, bool value)
{
	ks_cbor_head(writer, KS_CBOR_MAJOR_SIMPLE, value ? 21u : 20u);
}
