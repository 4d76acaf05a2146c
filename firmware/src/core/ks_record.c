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
 *     ...           entry 8, token 4, images, expected, five times of 4 bytes each, others
 *     end-4   4     CRC-32 of all before
 *
 * A hash is its size (32, 48 or 64) and its bytes; images are a count and hashes in rising order, each once. `expected` is
 * the image of pair 0; others are a count and, in rising order of their numbers, each pair's number and its image.
 */
#include <string.h>

#include <keyswitch/ks_record.h>

#include "ks_bytes.h"
#include "ks_internal.h"

#define FLAG_ENDING 0x0001u
#define FLAG_ENTRY 0x0002u
#define FLAG_TOKEN 0x0004u
#define FLAG_IMAGES 0x0008u
#define FLAG_EXPECTED 0x0010u
#define FLAG_TIMES 0x0020u /* the first of them */
#define FLAG_OTHERS 0x0400u
#define FLAGS_OF_ONE_PAIR 0x03FFu

#define CRC_SIZE 4u
#define MAX_NAME 32u

/* Times in their order in the bytes. */
static const uint8_t TIMES[KS_RECORD_TIMES] = {KS_TIMER_LEASE, KS_TIMER_LEASE_MAX, KS_TIMER_TIMEOUT, KS_TIMER_IDLE,
					       KS_TIMER_TRIAL};

/* --- writing --- */

static void put_number(struct ks_writer *writer, uint32_t value, uint8_t size)
{
	const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};

	ks_put(writer, bytes, size);
}

static void put_hash(struct ks_writer *writer, const struct ks_hash *hash)
{
	put_number(writer, hash->size, 1u);
	ks_put(writer, hash->bytes, hash->size);
}

static void put_others(struct ks_writer *writer, const struct ks_state *state, ks_pairs pairs)
{
#if KS_POLICY_PAIRS > 1
	uint32_t count = 0u;

	for (uint_fast8_t pair = 0; pair < (uint8_t)KS_POLICY_PAIRS; pair++) {
		count += ks_holds_pair(pairs, pair) ? 1u : 0u;
	}
	if (count == 0u) {
		return;
	}
	put_number(writer, count, 1u);
	for (uint_fast8_t pair = 0; pair < (uint8_t)KS_POLICY_PAIRS; pair++) {
		if (ks_holds_pair(pairs, pair)) {
			put_number(writer, pair, 1u);
			put_hash(writer, &state->armed[pair]);
		}
	}
#else
	(void)writer;
	(void)state;
	(void)pairs;
#endif
}

size_t ks_record_write(const struct ks_policy *policy, const struct ks_state *state, ks_pairs expects,
		       const uint8_t token[KS_TOKEN_SIZE], const struct ks_record_times *times, uint8_t *bytes,
		       size_t size)
{
	const struct ks_session *session = &state->session;
	const char *name = policy->modes[state->mode].name;
	struct ks_writer writer = {bytes, size, 0u, false};
	uint32_t left_ms[KS_RECORD_TIMES];
	uint32_t flags = FLAG_TOKEN;

	if (!state->has_session) {
		return 0u;
	}
	(void)memcpy(left_ms, times->left_ms, sizeof(times->left_ms));
	if (left_ms[KS_TIMER_LEASE_MAX] == KS_NO_LIMIT) {
		left_ms[KS_TIMER_LEASE_MAX] = left_ms[KS_TIMER_LEASE]; /* where it is not extended, it is its own limit */
	}
	/* The trial begins with the boot, and idle time anew. */
	left_ms[KS_TIMER_IDLE] = ks_idle_limit_ms(policy, state);
	left_ms[KS_TIMER_TRIAL] = policy->trial_deadline_ms;
	flags |= session->ending ? FLAG_ENDING : 0u;
	flags |= (session->transition != KS_NO_TRANSITION) ? FLAG_ENTRY : 0u;
	flags |= session->images.limited ? FLAG_IMAGES : 0u;
	flags |= ks_holds_pair(expects, 0u) ? FLAG_EXPECTED : 0u;
	flags |= (ks_without_pair(expects, 0u) != 0u) ? FLAG_OTHERS : 0u;
	for (uint_fast8_t place = 0; place < KS_RECORD_TIMES; place++) {
		flags |= (left_ms[TIMES[place]] != KS_NO_LIMIT) ? ((uint32_t)FLAG_TIMES << place) : 0u;
	}
	put_number(&writer, KS_RECORD_VERSION | ((uint32_t)session->proof << 8) | (flags << 16), 4u);
	ks_put(&writer, policy->digest, KS_POLICY_DIGEST_SIZE);
	put_number(&writer, (uint32_t)strlen(name), 1u);
	ks_put(&writer, name, strlen(name));
	if (session->transition != KS_NO_TRANSITION) {
		ks_put(&writer, policy->transitions[session->transition].entry, KS_ENTRY_SIZE);
	}
	ks_put(&writer, token, KS_TOKEN_SIZE);
	if (session->images.limited) {
		put_number(&writer, session->images.count, 1u);
		for (uint_fast8_t place = 0; place < session->images.count; place++) {
			put_hash(&writer, &session->images.hash[place]);
		}
	}
	if (ks_holds_pair(expects, 0u)) {
		put_hash(&writer, &state->armed[0]);
	}
	for (uint_fast8_t place = 0; place < KS_RECORD_TIMES; place++) {
		if (left_ms[TIMES[place]] != KS_NO_LIMIT) {
			put_number(&writer, left_ms[TIMES[place]], 4u);
		}
	}
	put_others(&writer, state, ks_without_pair(expects, 0u));
	put_number(&writer, ks_crc32(bytes, writer.used), CRC_SIZE);
	return writer.full ? 0u : writer.used;
}

/* --- reading --- */

static uint32_t take_number(struct ks_reader *reader, uint8_t size)
{
	const uint8_t *bytes = ks_take(reader, size);

	return (bytes != NULL) ? ks_number_at(bytes, size) : 0u;
}

static void take_into(struct ks_reader *reader, uint8_t *into, size_t size)
{
	const uint8_t *bytes = ks_take(reader, size);

	if (bytes != NULL) {
		(void)memcpy(into, bytes, size);
	}
}

static void take_hash(struct ks_reader *reader, struct ks_hash *hash)
{
	uint32_t size = take_number(reader, 1u);

	if (!ks_is_hash_size(size)) {
		reader->wrong = true;
		return;
	}
	hash->size = (uint8_t)size;
	take_into(reader, hash->bytes, size);
}

static void take_images(struct ks_reader *reader, struct ks_images *images)
{
	uint32_t count = take_number(reader, 1u);

	if (count > (uint32_t)KS_MAX_IMAGES) {
		reader->wrong = true;
		return;
	}
	images->limited = true;
	images->count = (uint8_t)count;
	for (uint_fast8_t place = 0; place < count; place++) {
		take_hash(reader, &images->hash[place]);
		if ((place > 0u) && (ks_hash_order(&images->hash[place], &images->hash[place - 1u]) <= 0)) {
			reader->wrong = true;
		}
	}
}

/* Images of the other pairs. */
static void take_others(struct ks_reader *reader, const struct ks_policy *policy, struct ks_record *record)
{
#if KS_POLICY_PAIRS > 1
	uint32_t count = take_number(reader, 1u);
	uint32_t last = 0u;

	if (count == 0u) {
		reader->wrong = true;
	}
	for (uint32_t place = 0; (place < count) && !reader->wrong; place++) {
		uint32_t pair = take_number(reader, 1u);

		if ((pair <= last) || (pair >= policy->pair_count) || (pair >= (uint32_t)KS_POLICY_PAIRS)) {
			reader->wrong = true;
			return;
		}
		take_hash(reader, &record->expected[pair]);
		record->has_expected |= ks_pair_bit((uint_fast8_t)pair);
		last = pair;
	}
#else
	(void)reader;
	(void)policy;
	(void)record;
#endif
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

bool ks_record_read(const struct ks_policy *policy, const uint8_t *bytes, size_t size, struct ks_record *record)
{
	const uint32_t known = FLAGS_OF_ONE_PAIR | ((KS_POLICY_PAIRS > 1) ? FLAG_OTHERS : 0u);
	struct ks_reader reader = {bytes, size - CRC_SIZE, false};
	const uint8_t *digest;
	const uint8_t *name;
	uint32_t head;
	uint32_t flags;
	size_t name_size;

	(void)memset(record, 0, sizeof(*record));
	if ((size < CRC_SIZE) || (ks_crc32(bytes, size - CRC_SIZE) != ks_number_at(&bytes[size - CRC_SIZE], CRC_SIZE))) {
		return false;
	}
	head = take_number(&reader, 4u);
	record->proof = (uint8_t)(head >> 8);
	flags = head >> 16;
	digest = ks_take(&reader, KS_POLICY_DIGEST_SIZE);
	name_size = take_number(&reader, 1u);
	name = ks_take(&reader, name_size);
	if ((digest == NULL) || (name == NULL) || !is_name(name, name_size) || ((uint8_t)head != KS_RECORD_VERSION) ||
	    (record->proof > (uint8_t)KS_PROOF_BUTTON) || ((flags & ~known) != 0u)) {
		return false;
	}
	record->own_policy = memcmp(digest, policy->digest, KS_POLICY_DIGEST_SIZE) == 0;
	record->mode = ks_mode_by_name(policy, (const char *)name, name_size);
	record->ending = (flags & FLAG_ENDING) != 0u;
	record->has_entry = (flags & FLAG_ENTRY) != 0u;
	record->has_token = (flags & FLAG_TOKEN) != 0u;
	record->has_expected = (flags & FLAG_EXPECTED) != 0u;
	take_into(&reader, record->entry, record->has_entry ? KS_ENTRY_SIZE : 0u);
	take_into(&reader, record->token, record->has_token ? KS_TOKEN_SIZE : 0u);
	if ((flags & FLAG_IMAGES) != 0u) {
		take_images(&reader, &record->images);
	}
	if (record->has_expected != 0u) {
		take_hash(&reader, &record->expected[0]);
	}
	for (uint_fast8_t place = 0; place < KS_RECORD_TIMES; place++) {
		uint32_t *left_ms = &record->left_ms[TIMES[place]];

		*left_ms = KS_NO_LIMIT;
		if ((flags & ((uint32_t)FLAG_TIMES << place)) != 0u) {
			*left_ms = take_number(&reader, 4u);
			if (*left_ms == KS_NO_LIMIT) {
				reader.wrong = true; /* no time that anybody writes */
			}
		}
	}
	if ((flags & FLAG_OTHERS) != 0u) {
		take_others(&reader, policy, record);
	}
	return !reader.wrong && (reader.left == 0u);
}
