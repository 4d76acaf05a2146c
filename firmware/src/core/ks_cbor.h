/* SPDX-License-Identifier: Apache-2.0 */
/* The CBOR (RFC 8949) of the mode group's frames, and no more of it. */
#ifndef KEYSWITCH_KS_CBOR_H_
#define KEYSWITCH_KS_CBOR_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	uint64_t number;
	uint8_t kind; /* enum ks_cbor_kind */
};

/* A key that somebody looks for, and where its value goes. */
struct ks_cbor_field {
	const char *key;
	struct ks_cbor_value value;
};

/*
 * Read the map that `bytes` begins with; what lies behind it is not read. false: it is none, or one that no request may be.
 * Fields that the map has not are KS_CBOR_ABSENT; keys that nobody looks for are passed over.
 */
bool ks_cbor_read_map(const uint8_t *bytes, size_t size, struct ks_cbor_field *fields, size_t field_count);

/* Writes what fits; `full` says that something did not, and then nothing that was written counts. */
struct ks_cbor_writer {
	uint8_t *bytes;
	size_t size;
	size_t used;
	bool full;
};

void ks_cbor_map(struct ks_cbor_writer *writer, uint8_t pairs);
void ks_cbor_list(struct ks_cbor_writer *writer, uint8_t count);
void ks_cbor_text(struct ks_cbor_writer *writer, const char *text);
void ks_cbor_bytes(struct ks_cbor_writer *writer, const uint8_t *bytes, size_t size);
void ks_cbor_unsigned(struct ks_cbor_writer *writer, uint32_t value);
void ks_cbor_bool(struct ks_cbor_writer *writer, bool value);

#endif
