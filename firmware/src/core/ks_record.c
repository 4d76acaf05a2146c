/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session record's bytes (docs/session-record.md). Little-endian; what is there is said by flags, in their order.
 *
 *     offset  size  field
 *     0       1     version, 2
 *     1       1     proof: 0 nobody's, 1 sequence, 2 challenge, 3 permit, 4 button
 *     2       2     flags
 *     4       32    SHA-256 of the policy
 *     36      1     N, bytes of the mode's name, 1 to 32
 *     37      N     the mode's name
 *     ...           entry 8, token 4, images, expected, five times of 4 bytes each
 *     end-4   4     CRC-32 of all before
 *
 * A hash is its size (32 or 64) and its bytes; images are a count and hashes in rising order, each once.
 */
#include <string.h>

#include <keyswitch/ks_record.h>

#include "ks_internal.h"

#define FLAG_ENDING 0x0001u
#define FLAG_ENTRY 0x0002u
#define FLAG_TOKEN 0x0004u
#define FLAG_IMAGES 0x0008u
#define FLAG_EXPECTED 0x0010u
#define FLAG_LEASE 0x0020u
#define FLAG_LEASE_MAX 0x0040u
#define FLAG_TIMEOUT 0x0080u
#define FLAG_IDLE 0x0100u
#define FLAG_TRIAL 0x0200u
#define FLAGS_KNOWN 0x03FFu

#define CRC_SIZE 4u
#define MAX_NAME 32u
#define TIMES 5u

/* CRC-32 as in zlib and ISO 3309: reflected, polynomial 0x04C11DB7. */
static uint32_t crc32(const uint8_t *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t place = 0; place < size; place++) {
		crc ^= bytes[place];
		for (uint8_t bit = 0; bit < 8u; bit++) {
			crc = (crc >> 1) ^ (((crc & 1u) != 0u) ? 0xEDB88320u : 0u);
		}
	}
	return ~crc;
}

static int hash_order(const struct ks_hash *one, const struct ks_hash *other)
{
	uint8_t shared = (one->size < other->size) ? one->size : other->size;
	int order = memcmp(one->bytes, other->bytes, shared);

	return (order != 0) ? order : ((int)one->size - (int)other->size);
}

/* --- writing --- */

struct writer {
	uint8_t *bytes;
	size_t size;
	size_t used;
	bool full;
};

static void put(struct writer *writer, const void *bytes, size_t size)
{
	if (writer->full || ((writer->size - writer->used) < size)) {
		writer->full = true;
	} else {
		(void)memcpy(&writer->bytes[writer->used], bytes, size);
		writer->used += size;
	}
}

static void put_number(struct writer *writer, uint32_t value, uint8_t size)
{
	uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

	put(writer, bytes, size);
}

static void put_hash(struct writer *writer, const struct ks_hash *hash)
{
	put_number(writer, hash->size, 1u);
	put(writer, hash->bytes, hash->size);
}

static void put_images(struct writer *writer, const struct ks_images *images)
{
	const struct ks_hash *last = NULL;

	put_number(writer, images->count, 1u);
	for (uint8_t turn = 0; turn < images->count; turn++) {
		const struct ks_hash *next = NULL;

		for (uint8_t place = 0; place < images->count; place++) {
			const struct ks_hash *each = &images->hash[place];

			if (((last == NULL) || (hash_order(each, last) > 0)) &&
			    ((next == NULL) || (hash_order(each, next) < 0))) {
				next = each;
			}
		}
		if (next == NULL) {
			writer->full = true; /* one of them twice: no set */
			return;
		}
		put_hash(writer, next);
		last = next;
	}
}

size_t ks_record_write(const struct ks_policy *policy, const struct ks_state *state, bool expects,
		       const uint8_t token[KS_TOKEN_SIZE], const struct ks_record_times *times, uint8_t *bytes,
		       size_t size)
{
	const struct ks_session *session = &state->session;
	const char *name = policy->modes[state->mode].name;
	struct writer writer = {bytes, size, 0u, false};
	/* Where a lease is not extended, its limit is the lease. The trial begins with the boot, and idle time anew. */
	const uint32_t left_ms[TIMES] = {
		times->lease_ms,
		(times->lease_max_ms == KS_NO_LIMIT) ? times->lease_ms : times->lease_max_ms,
		times->timeout_ms,
		ks_idle_limit_ms(policy, state),
		policy->trial_deadline_ms,
	};
	uint32_t flags = FLAG_TOKEN;

	if (!state->has_session) {
		return 0u;
	}
	flags |= session->ending ? FLAG_ENDING : 0u;
	flags |= (session->transition != KS_NO_TRANSITION) ? FLAG_ENTRY : 0u;
	flags |= session->images.limited ? FLAG_IMAGES : 0u;
	flags |= expects ? FLAG_EXPECTED : 0u;
	for (uint8_t place = 0; place < TIMES; place++) {
		flags |= (left_ms[place] != KS_NO_LIMIT) ? ((uint32_t)FLAG_LEASE << place) : 0u;
	}
	put_number(&writer, KS_RECORD_VERSION, 1u);
	put_number(&writer, session->proof, 1u);
	put_number(&writer, flags, 2u);
	put(&writer, policy->digest, KS_POLICY_DIGEST_SIZE);
	put_number(&writer, (uint32_t)strlen(name), 1u);
	put(&writer, name, strlen(name));
	if (session->transition != KS_NO_TRANSITION) {
		put(&writer, policy->transitions[session->transition].entry, KS_ENTRY_SIZE);
	}
	put(&writer, token, KS_TOKEN_SIZE);
	if (session->images.limited) {
		put_images(&writer, &session->images);
	}
	if (expects) {
		put_hash(&writer, &state->armed);
	}
	for (uint8_t place = 0; place < TIMES; place++) {
		if (left_ms[place] != KS_NO_LIMIT) {
			put_number(&writer, left_ms[place], 4u);
		}
	}
	put_number(&writer, crc32(bytes, writer.used), CRC_SIZE);
	return writer.full ? 0u : writer.used;
}

/* --- reading --- */

struct reader {
	const uint8_t *bytes;
	size_t left;
	bool wrong;
};

/* The next bytes; NULL, and from there on everything is wrong, if there are not so many. */
static const uint8_t *take(struct reader *reader, size_t size)
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

static uint32_t number_at(const uint8_t *bytes, uint8_t size)
{
	uint32_t value = 0u;

	for (uint8_t place = 0; place < size; place++) {
		value |= (uint32_t)bytes[place] << (8u * place);
	}
	return value;
}

static uint32_t take_number(struct reader *reader, uint8_t size)
{
	const uint8_t *bytes = take(reader, size);

	return (bytes != NULL) ? number_at(bytes, size) : 0u;
}

static void take_into(struct reader *reader, uint8_t *into, size_t size)
{
	const uint8_t *bytes = take(reader, size);

	if (bytes != NULL) {
		(void)memcpy(into, bytes, size);
	}
}

static void take_hash(struct reader *reader, struct ks_hash *hash)
{
	hash->size = (uint8_t)take_number(reader, 1u);
	if ((hash->size != 32u) && (hash->size != 64u)) {
		hash->size = 0u;
		reader->wrong = true;
	}
	take_into(reader, hash->bytes, hash->size);
}

static void take_images(struct reader *reader, struct ks_images *images)
{
	uint8_t count = (uint8_t)take_number(reader, 1u);

	if (count > (uint8_t)KS_MAX_IMAGES) {
		reader->wrong = true;
		return;
	}
	images->limited = true;
	images->count = count;
	for (uint8_t place = 0; place < count; place++) {
		take_hash(reader, &images->hash[place]);
		if ((place > 0u) && (hash_order(&images->hash[place], &images->hash[place - 1u]) <= 0)) {
			reader->wrong = true;
		}
	}
}

/* A name as policies have them: a lower-case letter, then letters, digits, - and _. */
static bool is_name(const uint8_t *name, size_t size)
{
	for (size_t place = 0; place < size; place++) {
		bool letter = (name[place] >= (uint8_t)'a') && (name[place] <= (uint8_t)'z');
		bool digit = (name[place] >= (uint8_t)'0') && (name[place] <= (uint8_t)'9');
		bool line = (name[place] == (uint8_t)'-') || (name[place] == (uint8_t)'_');

		if (!letter && ((place == 0u) || (!digit && !line))) {
			return false;
		}
	}
	return (size >= 1u) && (size <= MAX_NAME);
}

static void take_mode(struct reader *reader, const struct ks_policy *policy, struct ks_record *record)
{
	uint8_t size = (uint8_t)take_number(reader, 1u);
	const uint8_t *name = take(reader, size);

	if ((name == NULL) || !is_name(name, size)) {
		reader->wrong = true;
		return;
	}
	record->mode = ks_mode_by_name(policy, (const char *)name, size);
}

bool ks_record_read(const struct ks_policy *policy, const uint8_t *bytes, size_t size, struct ks_record *record)
{
	struct reader reader = {bytes, 0u, false};
	uint32_t *times[TIMES];
	const uint8_t *digest;
	uint32_t flags;

	(void)memset(record, 0, sizeof(*record));
	times[0] = &record->lease_ms;
	times[1] = &record->lease_max_ms;
	times[2] = &record->timeout_ms;
	times[3] = &record->idle_ms;
	times[4] = &record->trial_ms;
	if ((size < CRC_SIZE) || (crc32(bytes, size - CRC_SIZE) != number_at(&bytes[size - CRC_SIZE], CRC_SIZE))) {
		return false;
	}
	reader.left = size - CRC_SIZE;
	if (take_number(&reader, 1u) != KS_RECORD_VERSION) {
		return false;
	}
	record->proof = (uint8_t)take_number(&reader, 1u);
	flags = take_number(&reader, 2u);
	digest = take(&reader, KS_POLICY_DIGEST_SIZE);
	if ((digest == NULL) || (record->proof > (uint8_t)KS_PROOF_BUTTON) || ((flags & ~FLAGS_KNOWN) != 0u)) {
		return false;
	}
	record->own_policy = memcmp(digest, policy->digest, KS_POLICY_DIGEST_SIZE) == 0;
	record->ending = (flags & FLAG_ENDING) != 0u;
	record->has_entry = (flags & FLAG_ENTRY) != 0u;
	record->has_token = (flags & FLAG_TOKEN) != 0u;
	record->has_expected = (flags & FLAG_EXPECTED) != 0u;
	take_mode(&reader, policy, record);
	take_into(&reader, record->entry, record->has_entry ? KS_ENTRY_SIZE : 0u);
	take_into(&reader, record->token, record->has_token ? KS_TOKEN_SIZE : 0u);
	if ((flags & FLAG_IMAGES) != 0u) {
		take_images(&reader, &record->images);
	}
	if (record->has_expected) {
		take_hash(&reader, &record->expected);
	}
	for (uint8_t place = 0; place < TIMES; place++) {
		bool has = (flags & ((uint32_t)FLAG_LEASE << place)) != 0u;
		uint32_t ms = has ? take_number(&reader, 4u) : KS_NO_LIMIT;

		*times[place] = ms;
		if (has && (ms == KS_NO_LIMIT)) {
			reader.wrong = true; /* no time that anybody writes */
		}
	}
	return !reader.wrong && (reader.left == 0u);
}
