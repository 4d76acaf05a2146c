/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the core over a file of questions and writes a file of answers, so that Python can compare them with its own.
 * tests/firmware/wire.py writes and reads these bytes; both sides are little-endian and packed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_gate.h>
#include <keyswitch/ks_mode_group.h>
#include <keyswitch/ks_permit.h>
#include <keyswitch/ks_record.h>

#include "ks_cbor.h"
#include "ks_internal.h"

#include "harness.h"

#if defined(TEST_VALGRIND)
#include <valgrind/memcheck.h>
#endif
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#endif
#endif

extern const struct ks_policy *const TEST_POLICIES[];
extern const size_t TEST_POLICY_COUNT;
/* As many effects as the exporter has worked out for each. */
extern const unsigned TEST_POLICY_EFFECTS[];
extern const uint8_t TEST_ISSUERS[][KS_KEY_SIZE];

/* --- reading and writing --- */

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

void must(bool held, const char *what)
{
	if (!held) {
		(void)fprintf(stderr, "harness: %s\n", what);
		exit(70);
	}
}

static const uint8_t *take(struct input *in, size_t size)
{
	const uint8_t *at = in->at;

	must((size_t)(in->end - in->at) >= size, "a question ends too early");
	in->at += size;
	return at;
}

static uint8_t get8(struct input *in)
{
	return *take(in, 1);
}

static uint16_t get16(struct input *in)
{
	const uint8_t *at = take(in, 2);

	return (uint16_t)(at[0] | (at[1] << 8));
}

static uint32_t get32(struct input *in)
{
	const uint8_t *at = take(in, 4);

	return at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

/*
 * What does not count (a session that is none, a field that the event has not) must not matter: nonsense stands there, and the
 * memory sanitizer, or valgrind, hears of every read of it.
 */
static void nonsense(void *bytes, size_t size)
{
	memset(bytes, 0xA5, size);
#if defined(TEST_VALGRIND)
	(void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, size);
#endif
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
	__msan_poison(bytes, size);
#endif
#endif
}

static struct {
	uint8_t *bytes;
	size_t used;
	size_t size;
} answers;

static uint8_t *room_for(size_t size)
{
	uint8_t *at;

	if (answers.size - answers.used < size) {
		answers.size = 2 * answers.size + size;
		answers.bytes = realloc(answers.bytes, answers.size);
		must(answers.bytes != NULL, "no memory");
	}
	at = answers.bytes + answers.used;
	answers.used += size;
	return at;
}

static void put8(uint32_t value)
{
	*room_for(1) = (uint8_t)value;
}

static void put16(uint32_t value)
{
	put8(value);
	put8(value >> 8);
}

static void put32(uint32_t value)
{
	put16(value);
	put16(value >> 16);
}

static void put_bytes(const void *bytes, size_t size)
{
	if (size != 0) {
		memcpy(room_for(size), bytes, size);
	}
}

/* --- values --- */

static void get_hash(struct input *in, struct ks_hash *hash)
{
	nonsense(hash, sizeof(*hash)); /* what lies behind the hash must not matter */
	hash->size = get8(in);
	must(hash->size <= KS_MAX_HASH, "a hash is too long");
	memcpy(hash->bytes, take(in, hash->size), hash->size);
}

static void put_hash(const struct ks_hash *hash)
{
	put8(hash->size);
	put_bytes(hash->bytes, hash->size);
}

static void get_images(struct input *in, struct ks_images *images)
{
	nonsense(images, sizeof(*images));
	images->limited = get8(in) != 0;
	images->count = get8(in);
	must(images->count <= KS_MAX_IMAGES, "too many images");
	for (uint8_t place = 0; place < images->count; place++) {
		get_hash(in, &images->hash[place]);
	}
}

static void put_images(const struct ks_images *images)
{
	uint8_t count = images->limited ? images->count : 0;

	put8(images->limited);
	put8(count);
	for (uint8_t place = 0; place < count; place++) {
		put_hash(&images->hash[place]);
	}
}

static void get_value(struct input *in, struct ks_value *value)
{
	value->known = get8(in) != 0;
	value->value = (int32_t)get32(in);
}

static void put_value(const struct ks_value *value)
{
	put8(value->known);
	put32(value->known ? (uint32_t)value->value : 0u);
}

static int by_number(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one;
	uint32_t b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

static void put_peers(const struct ks_state *state, uint32_t mask)
{
	uint32_t peers[KS_MAX_CONNECTIONS];
	uint8_t count = 0;

	for (uint8_t place = 0; place < KS_MAX_CONNECTIONS; place++) {
		if (((mask >> place) & 1u) != 0 && state->connections[place] != KS_NO_PEER) {
			peers[count++] = state->connections[place];
		}
	}
	qsort(peers, count, sizeof(peers[0]), by_number);
	put8(count);
	for (uint8_t place = 0; place < count; place++) {
		put32(peers[place]);
	}
}

#define FLAGS(X)                                                                                                       \
	X(0, has_session)                                                                                              \
	X(1, session.ending)                                                                                           \
	X(2, uploading)                                                                                                \
	X(3, first_trial)                                                                                              \
	X(4, reset_pending)                                                                                            \
	X(5, service_shown)                                                                                            \
	X(6, down)

/* Of which image pairs; a build with one pair has no others. */
static uint8_t get_pairs(struct input *in)
{
	uint8_t pairs = get8(in);

	must((pairs >> KS_POLICY_PAIRS) == 0, "a pair that this build has not");
	return pairs;
}

static uint8_t get_pair(struct input *in)
{
	uint8_t pair = get8(in);

	must(pair < KS_POLICY_PAIRS, "a pair that this build has not");
	return pair;
}

static void get_state(struct input *in, const struct ks_policy *policy, struct ks_state *state)
{
	uint16_t flags;
	uint8_t count;

	nonsense(state, sizeof(*state));
	memset(state->connections, 0, sizeof(state->connections));
	state->mode = get8(in);
	flags = get16(in);
#define GET(bit, field) state->field = ((flags >> (bit)) & 1u) != 0;
	FLAGS(GET)
#undef GET
	state->arming = get_pairs(in);
	state->armed_permanent = get_pairs(in);
	state->armed_written = get_pairs(in);
	state->trial = get_pairs(in);
	state->upload_owner = get32(in);
#if KS_HAS_QUIET
	state->quiet = get32(in);
	state->quiet_ms = get32(in);
#else
	must(get32(in) == 0 && get32(in) == 0, "no quiet time");
#endif
	state->session.transition = get8(in);
	state->session.proof = get8(in);
	state->session.owner = get32(in);
	state->session.idle_ms = get32(in);
	get_images(in, &state->session.images);
	for (uint8_t pair = 0; pair < KS_POLICY_PAIRS; pair++) {
		if (((state->arming >> pair) & 1u) != 0) {
			get_hash(in, &state->armed[pair]);
		}
	}
	count = get8(in);
	must(count <= KS_MAX_CONNECTIONS, "too many connections");
	for (uint8_t place = 0; place < count; place++) {
		/* From the far end, and with a hole, as connections come and go. */
		state->connections[(KS_MAX_CONNECTIONS - 1 - place)] = get32(in);
	}
	count = get8(in);
	must(count == policy->input_count, "another number of inputs");
	for (uint8_t place = 0; place < count; place++) {
		get_value(in, &state->inputs[place]);
	}
}

static void put_armed(const struct ks_state *state, uint8_t pairs)
{
	for (uint8_t pair = 0; pair < KS_POLICY_PAIRS; pair++) {
		if (((pairs >> pair) & 1u) != 0) {
			put_hash(&state->armed[pair]);
		}
	}
}

static void put_state(const struct ks_policy *policy, const struct ks_state *state)
{
	uint16_t flags = 0;

	put8(state->mode);
#define PUT(bit, field) flags = (uint16_t)(flags | ((state->field ? 1u : 0u) << (bit)));
	FLAGS(PUT)
#undef PUT
	if (!state->has_session) {
		flags = (uint16_t)(flags & ~2u);
	}
	put16(flags);
	put8(state->arming);
	put8(state->armed_permanent & state->arming);
	put8(state->armed_written & state->arming);
	put8(state->trial);
	put32(state->uploading ? state->upload_owner : 0);
#if KS_HAS_QUIET
	put32(state->quiet);
	put32(state->quiet_ms);
#else
	put32(0);
	put32(0);
#endif
	if (state->has_session) {
		put8(state->session.transition);
		put8(state->session.proof);
		put32(state->session.owner);
		put32(state->session.idle_ms);
		put_images(&state->session.images);
	}
	put_armed(state, state->arming);
	put_peers(state, UINT32_MAX);
	for (uint8_t place = 0; place < policy->input_count; place++) {
		put_value(&state->inputs[place]);
	}
}

/* --- questions --- */

struct told {
	struct ks_event event;
	struct ks_boot boot;
	struct ks_record record;
	struct ks_images images;
	struct ks_hash image;
	struct ks_value inputs[KS_INPUT_SLOTS];
};

static void get_record(struct input *in, struct ks_record *record)
{
	nonsense(record, sizeof(*record));
	record->mode = get8(in);
	record->proof = get8(in);
	record->own_policy = get8(in) != 0;
	record->has_entry = get8(in) != 0;
	memcpy(record->entry, take(in, KS_ENTRY_SIZE), KS_ENTRY_SIZE);
	get_images(in, &record->images);
	record->has_expected = get_pairs(in);
	for (uint8_t pair = 0; pair < KS_POLICY_PAIRS; pair++) {
		if (((record->has_expected >> pair) & 1u) != 0) {
			get_hash(in, &record->expected[pair]);
		}
	}
	record->ending = get8(in) != 0;
	for (uint8_t timer = 0; timer < KS_RECORD_TIMES; timer++) {
		record->left_ms[timer] = get32(in);
	}
}

static void get_peer(struct input *in, struct ks_peer *peer)
{
	peer->id = get32(in);
	peer->security = get8(in);
	peer->service = get8(in);
}

static void get_event(struct input *in, const struct ks_policy *policy, struct told *told)
{
	struct ks_event *event = &told->event;

	nonsense(told, sizeof(*told));
	event->boot = NULL;
	event->images = NULL;
	event->image = NULL;
	event->kind = get8(in);
	event->pair = 0; /* where it means nothing */
	switch (event->kind) {
	case KS_BOOTED:
		event->boot = &told->boot;
		told->boot.record = NULL;
		if (get8(in) != 0) {
			get_record(in, &told->record);
			told->boot.record = &told->record;
		}
		for (uint8_t count = get8(in), pair = 0; pair < count; pair++) {
			must(pair < KS_POLICY_PAIRS, "a pair that this build has not");
			get_hash(in, &told->boot.running[pair]);
		}
		told->boot.mode_before = get8(in);
		told->boot.trial = get_pairs(in);
		told->boot.blank = get8(in) != 0;
		told->boot.inputs = told->inputs;
		for (uint8_t place = 0; place < policy->input_count; place++) {
			get_value(in, &told->inputs[place]);
		}
		break;
	case KS_ENTER_PROVED:
		event->holder = NULL;
		get_peer(in, &event->peer);
		event->mode = get8(in);
		event->proof = get8(in);
		get_images(in, &told->images);
		event->images = told->images.limited ? &told->images : NULL;
		break;
	case KS_INPUT_CHANGED:
		event->input = get8(in);
		get_value(in, &event->value);
		break;
	case KS_BUTTON_HELD:
		event->hold_ms = get32(in);
		break;
	case KS_EXPIRED:
		event->timer = get8(in);
		break;
	case KS_ARM_ASKED:
		get_peer(in, &event->peer);
		get_hash(in, &told->image);
		event->image = &told->image;
		event->permanent = get8(in) != 0;
		event->pair = get_pair(in);
		break;
	case KS_UPLOAD_STARTED:
	case KS_CONFIRM_ASKED:
		get_peer(in, &event->peer);
		event->pair = get_pair(in);
		break;
	case KS_ARM_FAILED:
		event->pair = get_pair(in);
		break;
	case KS_UPLOAD_ENDED:
	case KS_SELF_CONFIRMED:
		break;
	default:
		get_peer(in, &event->peer);
		break;
	}
}

static void put_refusal(const struct ks_policy *policy, const struct ks_refusal *refusal)
{
	char text[KS_REFUSAL_TEXT];
	size_t size = ks_refusal_text(policy, refusal, false, text, sizeof(text));

	must(size == strlen(text) && size + 1 < sizeof(text), "a refusal's text does not fit");
	put8(ks_refusal_rc(refusal));
	put8((uint32_t)size);
	put_bytes(text, size);
}

static unsigned most_effects;
static unsigned room_for_effects;

/* What a step did: refusal, effects, state afterwards. token, left: to write the record by, where there are some. */
static void put_step(const struct ks_policy *policy, const struct ks_state *state, const struct ks_step *step,
		     const struct ks_device *device)
{
	must(!step->overflow, "more effects than there is room for");
	must(step->count <= room_for_effects, "more effects than the exporter has worked out");
	most_effects = step->count > most_effects ? step->count : most_effects;
	put_refusal(policy, &step->refusal);
	put16(step->count);
	for (uint16_t place = 0; place < step->count; place++) {
		const struct ks_effect *effect = &step->effects[place];

		put8(effect->kind);
		put8(effect->arg);
		if (effect->kind == KS_END_CONNECTIONS) {
			put_peers(state, effect->value);
		} else if (effect->kind == KS_WRITE_TRAILER) {
			must(effect->value < KS_POLICY_PAIRS, "a pair that this build has not");
			put8(effect->value);
			put_hash(&state->armed[effect->value]);
		} else if (effect->kind == KS_WRITE_SESSION_RECORD) {
			put_armed(state, effect->arg);
		} else {
			put32(effect->value);
		}
		if (effect->kind == KS_WRITE_SESSION_RECORD && device != NULL) {
			uint8_t bytes[KS_RECORD_MAX];
			size_t size = ks_record_write(policy, state, effect->arg,
						      device->token, &device->left, bytes, sizeof(bytes));

			must(size != 0 && ks_record_write(policy, state, effect->arg,
							  device->token, &device->left, bytes, size - 1) == 0,
			     "a record's size");
			put16((uint32_t)size);
			put_bytes(bytes, size);
		}
	}
	put_state(policy, state);
}

/* One step from a state. */
static void answer_step(struct input *in, const struct ks_policy *policy)
{
	struct ks_state state;
	struct told told;
	struct ks_step step;
#if KS_HAS_PERMIT
	struct ks_refusal foreseen;
#endif

	get_state(in, policy, &state);
	get_event(in, policy, &told);
	nonsense(&step, sizeof(step));
#if KS_HAS_PERMIT
	if (told.event.kind == KS_ENTER_PROVED) {
		must(ks_would_refuse_enter(policy, &state, &told.event, &foreseen) ==
			     (foreseen.why != KS_NOT_REFUSED),
		     "a foreseen refusal and its reason differ");
	}
#endif
	ks_step(policy, &state, &told.event, &step);
#if KS_HAS_PERMIT
	if (told.event.kind == KS_ENTER_PROVED) {
		must(foreseen.why == step.refusal.why && foreseen.arg == step.refusal.arg &&
			     foreseen.guard == step.refusal.guard,
		     "an entry was foreseen otherwise");
	}
#endif
	put_step(policy, &state, &step, NULL);
}

/*
 * The door in one state for one peer: each command of a list.
 */
static void answer_door(struct input *in, const struct ks_policy *policy)
{
	struct ks_state state;
	struct ks_peer peer;
	uint16_t count;

	get_state(in, policy, &state);
	get_peer(in, &peer);
	count = get16(in);
	for (uint16_t place = 0; place < count; place++) {
		struct ks_refusal refusal;
		uint16_t group = get16(in);
		uint8_t id = get8(in);
		uint8_t op = get8(in);
		bool allowed = ks_authorise(policy, &state, &peer, group, id, op, &refusal);

		must(allowed == (refusal.why == KS_NOT_REFUSED), "a decision and its reason differ");
		put_refusal(policy, &refusal);
	}
	put8(ks_may_access_smp(policy, &state, &peer));
}

/* A record's bytes: whether they can be read, and what they say. */
static void answer_record(struct input *in, const struct ks_policy *policy)
{
	struct ks_record record;
	uint16_t size = get16(in);
	/* A copy of exactly this size, so that a sanitizer sees a byte too many. */
	uint8_t *bytes = malloc(size == 0 ? 1 : size);

	must(bytes != NULL, "no memory");
	memcpy(bytes, take(in, size), size);
	nonsense(&record, sizeof(record));
	put8(ks_record_read(policy, bytes, size, &record));
	if (ks_record_read(policy, bytes, size, &record)) {
		put8(record.mode);
		put8(record.proof);
		put8(record.own_policy);
		put8(record.has_entry);
		put_bytes(record.entry, record.has_entry ? KS_ENTRY_SIZE : 0);
		put8(record.has_token);
		put_bytes(record.token, record.has_token ? KS_TOKEN_SIZE : 0);
		put_images(&record.images);
		put8(record.has_expected);
		for (uint8_t pair = 0; pair < KS_POLICY_PAIRS; pair++) {
			if (((record.has_expected >> pair) & 1u) != 0) {
				put_hash(&record.expected[pair]);
			}
		}
		put8(record.ending);
		for (uint8_t timer = 0; timer < KS_RECORD_TIMES; timer++) {
			put32(record.left_ms[timer]);
		}
	}
	free(bytes);
}

/* What a proof covers, and whether this is the right answer. */
static void answer_proof(struct input *in, const struct ks_policy *policy)
{
	uint8_t message[KS_PROOF_MESSAGE_MAX];
	const char *mode = policy->modes[get8(in)].name;
	uint8_t purpose = get8(in);
	const uint8_t *nonce = take(in, KS_NONCE_SIZE);
	const uint8_t *token = take(in, KS_TOKEN_SIZE);
	const uint8_t *mac = take(in, KS_MAC_SIZE);
	size_t size = ks_proof_message(KS_PROOF_CHALLENGE, policy->device_id, mode, purpose, nonce, token, message,
				       sizeof(message));

	put16((uint32_t)size);
	put_bytes(message, size);
	put8(ks_hmac_sha256_verify(message, size, mac));
	must(ks_proof_message(KS_PROOF_CHALLENGE, policy->device_id, mode, purpose, nonce, token, message, size - 1) == 0,
	     "a message's size");
}

static void get_text(struct input *in, char text[UINT8_MAX + 1])
{
	uint8_t size = get8(in);

	memcpy(text, take(in, size), size);
	text[size] = '\0';
}

/* What a challenge's MAC covers, of any device and mode. */
static void answer_message(struct input *in)
{
	uint8_t message[KS_PROOF_MESSAGE_MAX];
	char device_id[UINT8_MAX + 1];
	char mode[UINT8_MAX + 1];
	uint8_t purpose;
	const uint8_t *nonce;

	get_text(in, device_id);
	get_text(in, mode);
	purpose = get8(in);
	nonce = take(in, KS_NONCE_SIZE);
	put_bytes(message, ks_proof_message(KS_PROOF_CHALLENGE, device_id, mode, purpose, nonce,
					    take(in, KS_TOKEN_SIZE), message, sizeof(message)));
}

/* The Ed25519 that a question brings with it. */
static void get_signatures(struct input *in)
{
	uint16_t count = get16(in);

	test_signatures(take(in, (size_t)count * KS_HASH_SIZE), count);
}

#if KS_HAS_PERMIT
static uint8_t *copy_of(struct input *in, uint16_t *size)
{
	uint8_t *bytes;

	*size = get16(in);
	bytes = malloc(*size == 0 ? 1 : *size);
	must(bytes != NULL, "no memory");
	memcpy(bytes, take(in, *size), *size);
	return bytes;
}

/* A permit and its holder's signature. */
static void answer_permit(struct input *in, const struct ks_policy *policy, const struct ks_unit *unit)
{
	uint8_t message[KS_PROOF_MESSAGE_MAX + KS_HASH_SIZE];
	struct ks_permit_proof proof;
	struct ks_permit permit;
	uint8_t purpose;
	uint8_t signature[KS_SIGNATURE_SIZE];
	const uint8_t *nonce;
	uint16_t size;
	uint8_t *bytes;
	enum ks_permit_result result;

	get_signatures(in);
	bytes = copy_of(in, &size);
	proof.permit = bytes;
	proof.permit_size = size;
	memcpy(signature, take(in, sizeof(signature)), sizeof(signature));
	proof.signature = signature;
	proof.device_id = policy->device_id;
	proof.mode = policy->modes[get8(in)].name;
	purpose = get8(in);
	nonce = take(in, KS_NONCE_SIZE);
	proof.message_size = ks_proof_message(KS_PROOF_PERMIT, proof.device_id, proof.mode, purpose, nonce,
					      take(in, KS_TOKEN_SIZE), message, KS_PROOF_MESSAGE_MAX);
	proof.message = message;
	proof.scratch_size = (size_t)size + KS_PERMIT_SIGNED_HEAD;
	proof.scratch = malloc(proof.scratch_size);
	must(proof.scratch != NULL, "no memory");
	proof.trusts_clock = get8(in) != 0;
	proof.now_s = get32(in);
	nonsense(&permit, sizeof(permit));
	result = ks_permit_judge(unit, &proof, &permit);
	put8(result);
	if (result == KS_PERMIT_RIGHT) {
		put_bytes(permit.id, KS_PERMIT_ID_SIZE);
		put_bytes(permit.holder, KS_KEY_SIZE);
		put32(permit.uses);
		put_images(&permit.images);
	}
	free(proof.scratch);
	free(bytes);
}
#endif

#if KS_HAS_SEQUENCE
static bool is_zero(const void *bytes, size_t size)
{
	for (size_t place = 0; place < size; place++) {
		if (((const uint8_t *)bytes)[place] != 0) {
			return false;
		}
	}
	return true;
}

/* Lock-out, nonces and sequences by themselves: one operation after the other. */
static void answer_memory(struct input *in, const struct ks_policy *policy)
{
	struct ks_lockout lockout;
	struct ks_nonces nonces;
	struct ks_sequences sequences;
	uint16_t operations = get16(in);

	memset(&nonces, 0, sizeof(nonces));
	memset(&sequences, 0, sizeof(sequences));
	ks_lockout_restore(policy, &lockout, NULL, 0);
	for (uint16_t operation = 0; operation < operations; operation++) {
		uint8_t kind = get8(in);
		uint64_t now_ms = get32(in);
		uint32_t failures[KS_LOCKOUT_KINDS];
		uint8_t nonce[KS_NONCE_SIZE] = {0};
		uint8_t first;
		uint8_t second;
		uint8_t left = 0xA5; /* each answer sets it */

		now_ms |= (uint64_t)get32(in) << 32;
		first = get8(in);
		second = get8(in);
		switch (kind) {
		case 0:
			for (uint8_t place = 0; place < KS_LOCKOUT_KINDS; place++) {
				failures[place] = get32(in);
			}
			ks_lockout_restore(policy, &lockout, failures, now_ms);
			break;
		case 1:
			ks_lockout_wrong(policy, &lockout, first, now_ms);
			break;
		case 2:
			put8(ks_lockout_right(&lockout, first));
			break;
		case 3:
			ks_nonces_give(&nonces, first, second, take(in, KS_NONCE_SIZE), now_ms);
			break;
		case 4:
			put8(ks_nonces_take(&nonces, first, second, now_ms, nonce));
			put_bytes(nonce, sizeof(nonce));
			break;
		case 5:
			ks_nonces_forget(&nonces, first);
			ks_sequences_forget(&sequences, first);
			break;
		default:
			put8((uint32_t)ks_sequences_advance(policy, &sequences, first, second & 0x7Fu, second >> 7,
							    get8(in), now_ms, &left));
			put8(left);
			break;
		}
		for (uint8_t proof = 0; proof <= KS_PROOF_BUTTON + 1; proof++) {
			put32(ks_lockout_remaining_ms(&lockout, proof, now_ms));
		}
		for (uint8_t place = 0; place < KS_LOCKOUT_KINDS; place++) {
			put32(lockout.failures[place]);
		}
		put8(nonces.count);
		put8(sequences.count);
		must(is_zero(&nonces.given[nonces.count], sizeof(nonces.given[0]) * (size_t)(KS_MAX_NONCES - nonces.count)),
		     "a nonce that is gone is left in memory");
	}
}
#endif

/* A request's map as the mode group reads it, or a number as it writes it. */
static void answer_cbor(struct input *in)
{
	static const char *const names[] = {"to", "proof", "mac", "step"};
	struct ks_cbor_value fields[4];
	uint16_t size = get16(in);
	uint8_t *bytes = malloc(size == 0 ? 1 : size);
	uint8_t written[5];
	struct ks_writer writer = {written, sizeof(written), 0, false};
	bool read;

	must(bytes != NULL, "no memory");
	memcpy(bytes, take(in, size), size);
	read = ks_cbor_read_map(bytes, size, names, fields, 4);
	put8(read);
	for (unsigned place = 0; read && place < 4; place++) {
		const struct ks_cbor_value *value = &fields[place];

		put8(value->kind);
		if (value->kind == KS_CBOR_UNSIGNED) {
			put32(value->number);
		} else if (value->kind == KS_CBOR_BYTES || value->kind == KS_CBOR_TEXT) {
			put16((uint32_t)value->size);
			put_bytes(value->bytes, value->size);
		}
	}
	free(bytes);
	ks_cbor_unsigned(&writer, get32(in));
	must(!writer.full, "a number's size");
	put8((uint32_t)writer.used);
	put_bytes(written, writer.used);
	writer.size = writer.used - 1;
	writer.used = 0;
	ks_cbor_unsigned(&writer, 0);
	must(writer.full == (writer.size == 0), "what does not fit is not written");
}

/* --- a life --- */

static void put_failures(const struct ks_device *device)
{
	for (uint8_t place = 0; place < KS_LOCKOUT_KINDS; place++) {
		put32(device->lockout.failures[place]);
	}
}

static void live_boot(struct input *in, const struct ks_policy *policy, const struct ks_unit *unit,
		      struct ks_device *device, uint64_t now_ms)
{
	struct told told;
	struct ks_record record;
	struct ks_step step;
	uint32_t failures[KS_LOCKOUT_KINDS];
	uint16_t size = get16(in);
	const uint8_t *bytes = take(in, size);
	bool has_holder = get8(in) != 0;
	const uint8_t *holder = take(in, has_holder ? KS_KEY_SIZE : 0);

	for (uint8_t place = 0; place < KS_LOCKOUT_KINDS; place++) {
		failures[place] = get32(in);
	}
	get_event(in, policy, &told);
	must(told.event.kind == KS_BOOTED && told.boot.record == NULL, "a life begins with a boot");
	if (size != 0) {
		must(ks_record_read(policy, bytes, size, &record), "a record cannot be read");
		told.boot.record = &record;
	}
	told.boot.unit = unit;
	told.boot.holder = has_holder ? holder : NULL;
	nonsense(device, sizeof(*device));
	ks_device_boot(device, policy, &told.boot, failures, now_ms, &step);
	put_step(policy, &device->state, &step, device);
}

static void live_frame(struct input *in, const struct ks_policy *policy, struct ks_device *device, uint64_t now_ms)
{
	struct ks_peer peer;
	struct ks_step step;
	struct ks_answer answer;
	uint8_t *out = malloc(policy->buf_size);
	uint8_t *packet;
	uint16_t size;

	get_peer(in, &peer);
	size = get16(in);
	packet = malloc(size == 0 ? 1 : size);
	must(out != NULL && packet != NULL, "no memory");
	memcpy(packet, take(in, size), size);
	memset(&step, 0, sizeof(step));
	answer = ks_mode_group_frame(device, &peer, packet, size, now_ms, out, policy->buf_size, &step);
	put16((uint32_t)answer.size);
	put_bytes(out, answer.size);
	put8(answer.store_lockout);
	if (answer.stepped) {
		put_step(policy, &device->state, &step, device);
	}
	if (answer.served) {
		struct ks_event event = {0};

		event.kind = KS_COMMAND_SERVED;
		event.peer = peer;
		if (ks_device_tell(device, &event, now_ms, &step)) {
			put_step(policy, &device->state, &step, device);
		}
	}
	put_failures(device);
	free(packet);
	free(out);
}

static void live_look(const struct ks_policy *policy, const struct ks_device *device, uint64_t now_ms)
{
	uint8_t value[KS_STATE_VALUE_SIZE];
	uint8_t data[KS_ADVERTISEMENT_SIZE];
	uint8_t name[KS_SCAN_RESPONSE_MAX];
	uint64_t due_ms = ks_device_next_due_ms(device);

	ks_device_state_value(device, now_ms, value);
	put_bytes(value, sizeof(value));
	ks_device_advertisement(device, data);
	put_bytes(data, sizeof(data));
	put_bytes(name, ks_device_scan_response(policy, name));
	put32(due_ms == KS_NEVER ? UINT32_MAX : (uint32_t)due_ms);
}

#define NO_UNIT 0xFFu

/* Actions in time, each with what came of it. */
static void answer_life(struct input *in, const struct ks_policy *policy)
{
	struct ks_device device;
	struct ks_step step;
	struct told told;
	uint16_t actions;
	char id[65] = {0};
	struct ks_unit unit = {NULL, NULL, TEST_ISSUERS, 2};
	const struct ks_unit *own = &unit;
	uint8_t id_size;

	test_chance_seed(get32(in));
	test_permits_forget();
	get_signatures(in);
	id_size = get8(in);
	if (id_size == NO_UNIT) {
		own = NULL;
		id_size = 0;
	}
	memcpy(id, take(in, id_size), id_size);
	unit.device_id = id_size == 0 ? NULL : id;
	actions = get16(in);
	for (uint16_t action = 0; action < actions; action++) {
		uint8_t kind = get8(in);
		uint64_t now_ms = get32(in);

		switch (kind) {
		case 0:
			live_boot(in, policy, own, &device, now_ms);
			break;
		case 1:
			get_event(in, policy, &told);
			(void)ks_device_tell(&device, &told.event, now_ms, &step);
			put_step(policy, &device.state, &step, &device);
			break;
		case 2:
			live_frame(in, policy, &device, now_ms);
			break;
		case 3:
			for (uint8_t turn = 0; turn < 16 && ks_device_fire(&device, now_ms, &step); turn++) {
				if (step.refusal.why == KS_NOT_REFUSED) {
					put_step(policy, &device.state, &step, &device);
				}
			}
			break;
		default:
			live_look(policy, &device, now_ms);
			break;
		}
	}
}

/* A unit's bytes: whether there is one, and who. */
static void answer_unit(struct input *in)
{
	struct ks_unit unit;
	uint16_t size = get16(in);
	uint8_t *bytes = malloc(size == 0 ? 1 : size);
	bool read;

	must(bytes != NULL, "no memory");
	memcpy(bytes, take(in, size), size);
	nonsense(&unit, sizeof(unit));
	read = ks_unit_read(bytes, size, &unit);
	put8(read);
	must(read || (unit.device_id == NULL && unit.secret == NULL && unit.issuer_count == 0), "a damaged unit");
	if (read) {
		put8((uint32_t)strlen(unit.device_id));
		put_bytes(unit.device_id, strlen(unit.device_id));
		put8(unit.secret != NULL);
		put_bytes(unit.secret, unit.secret != NULL ? KS_SECRET_SIZE : 0);
		put8(unit.issuer_count);
		put_bytes(unit.issuers, (size_t)unit.issuer_count * KS_KEY_SIZE);
	}
	free(bytes);
}

/* --- what no device of Python's meets --- */

static struct ks_answer ask_frame(struct ks_device *device, uint8_t op, uint8_t id, const char *to, uint8_t *out,
				  size_t out_size)
{
	uint8_t packet[64] = {op, 0, 0, 0, 0x4B, 0x53, 0, id};
	struct ks_writer writer = {packet, sizeof(packet), KS_SMP_HEADER, false};
	struct ks_peer peer = {1, KS_SECURITY_AUTHENTICATED, KS_SERVICE_MODE};
	struct ks_step step;

	ks_cbor_head(&writer, KS_CBOR_MAJOR_MAP, 1u);
	ks_cbor_text(&writer, "to");
	ks_cbor_text(&writer, to);
	must(!writer.full, "a request's size");
	packet[3] = (uint8_t)(writer.used - KS_SMP_HEADER);
	return ks_mode_group_frame(device, &peer, packet, writer.used, 0, out, out_size, &step);
}

static uint8_t any_target(const struct ks_policy *policy, uint8_t mode)
{
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		const struct ks_transition *each = &policy->transitions[index];

		if (each->trigger == KS_ON_ENTER && ((each->sources >> mode) & 1u) != 0) {
			return each->target;
		}
	}
	return KS_NO_MODE;
}

static bool connects(const struct ks_policy *policy, struct ks_state *state, uint8_t kind, uint32_t peer)
{
	struct ks_event event = {0};
	struct ks_step step;

	event.kind = kind;
	event.peer.id = peer;
	ks_step(policy, state, &event, &step);
	must(step.refusal.why == KS_NOT_REFUSED || step.refusal.why == KS_WHY_TOO_MANY_CONNECTIONS, "a connection");
	return step.refusal.why == KS_NOT_REFUSED;
}

/* Every place is taken, by each central once, and given back. */
static void check_connections(const struct ks_policy *policy, struct ks_state *state)
{
	char text[KS_REFUSAL_TEXT];

	for (uint32_t peer = 1; peer <= KS_MAX_CONNECTIONS; peer++) {
		must(connects(policy, state, KS_CONNECTED, peer), "there is a place");
		must(connects(policy, state, KS_CONNECTED, peer), "the same central again");
	}
	must(!connects(policy, state, KS_CONNECTED, KS_MAX_CONNECTIONS + 1), "there is no place");
	for (uint32_t peer = 1; peer <= KS_MAX_CONNECTIONS; peer += KS_MAX_CONNECTIONS - 1) {
		must(connects(policy, state, KS_DISCONNECTED, peer), "one goes");
		must(connects(policy, state, KS_CONNECTED, 100 + peer), "another comes in its place");
	}
	must(!connects(policy, state, KS_CONNECTED, KS_MAX_CONNECTIONS + 1), "there is no place again");
	(void)ks_refusal_text(policy, &(struct ks_refusal){.why = KS_WHY_TOO_MANY_CONNECTIONS}, false, text, sizeof(text));
	must(strcmp(text, "busy: too many connections") == 0, "why there is no place");
}

static bool initial(const struct ks_policy *policy, const struct ks_state *state)
{
	for (uint8_t input = 0; input < policy->input_count; input++) {
		const struct ks_input *each = &policy->inputs[input];

		if (state->inputs[input].known != ((each->flags & KS_INPUT_KNOWN) != 0) ||
		    state->inputs[input].value != each->initial) {
			return false;
		}
	}
	return true;
}

/* Before it has come up, a device serves nobody, and its inputs read what the policy says. */
static void check_before_boot(const struct ks_policy *policy)
{
	struct ks_peer peer = {1, KS_SECURITY_AUTHENTICATED, KS_SERVICE_SMP};
	struct ks_record_times times = {{0, 0, 0}};
	uint8_t token[KS_TOKEN_SIZE] = {0};
	uint8_t bytes[KS_RECORD_MAX];
	struct ks_refusal refusal;
	struct ks_state state;

	nonsense(&state, sizeof(state));
	ks_state_init(policy, &state);
	must(state.down && initial(policy, &state), "a device that has not come up");
	must(!ks_authorise(policy, &state, &peer, 0x4B53, 0, 0, &refusal) && refusal.why == KS_WHY_RESETTING,
	     "it serves nobody");
	must(ks_record_write(policy, &state, false, token, &times, bytes, sizeof(bytes)) == 0, "a record of no session");
}

/* What the gate lets pass is no command of this group all the same: others execute it. */
static void check_other_groups(const struct ks_policy *policy, struct ks_device *device)
{
	static const uint8_t fails[] = {0xa1, 0x62, 'r', 'c', 8};
	struct ks_peer peer = {1, KS_SECURITY_AUTHENTICATED, KS_SERVICE_SMP};

	for (unsigned which = 0; which < 128; which++) {
		uint8_t packet[] = {0, 0, 0, 1, 0, (uint8_t)((which >> 1) & 1u), 0, (uint8_t)(which >> 2), 0xa0};
		struct ks_refusal refusal;
		struct ks_step step;
		uint8_t out[64];

		packet[0] = (which & 1u) != 0 ? 2 : 0;
		if (ks_authorise(policy, &device->state, &peer, packet[5], packet[7], packet[0], &refusal)) {
			size_t size = ks_mode_group_frame(device, &peer, packet, sizeof(packet), 0, out, sizeof(out), &step).size;

			must(size == KS_SMP_HEADER + sizeof(fails) &&
				     memcmp(out + KS_SMP_HEADER, fails, sizeof(fails)) == 0,
			     "a command of another group");
		}
	}
}

/* Inputs that the policy does not have, and numbers that are no bool, change nothing. */
static void check_inputs(const struct ks_policy *policy, struct ks_state *state)
{
	struct ks_state before = *state;
	char text[KS_REFUSAL_TEXT];

	for (unsigned input = 0; input <= policy->input_count; input++) {
		struct ks_event event = {0};
		struct ks_step step;

		event.kind = KS_INPUT_CHANGED;
		event.input = (uint8_t)input;
		event.value.known = true;
		event.value.value = 2;
		if (input < policy->input_count && (policy->inputs[input].flags & KS_INPUT_BOOL) == 0) {
			continue;
		}
		ks_step(policy, state, &event, &step);
		must(step.refusal.why == KS_WHY_NO_SUCH_INPUT && step.count == 0, "no such input");
		must(memcmp(&before, state, sizeof(before)) == 0, "it changed something");
		(void)ks_refusal_text(policy, &step.refusal, false, text, sizeof(text));
		must(strcmp(text, "guard: no such input") == 0, "why there is no such input");
	}
}

/* An event of another version, no entropy, no room for an answer or a text: each is refused or cut, and nothing more. */
static void check_edges(const struct ks_policy *policy)
{
	static const uint8_t fails[] = {0xa1, 0x62, 'r', 'c', 6};
	static const uint8_t too_large[] = {0xa1, 0x62, 'r', 'c', 7};
	struct ks_boot boot = {0};
	struct ks_device device;
	struct ks_step step;
	struct ks_state before;
	uint8_t out[512];
	uint8_t whole[512];
	size_t size;
	char text[KS_REFUSAL_TEXT];
	char cut[KS_REFUSAL_TEXT];
	uint8_t target;

	check_before_boot(policy);
	boot.mode_before = KS_NO_MODE;
	test_chance_fails(true);
	memset(&device, 0xA5, sizeof(device));
	ks_device_boot(&device, policy, &boot, NULL, 0, &step);
	must(initial(policy, &device.state), "inputs that nobody has read at boot");
	for (size_t place = 0; place < KS_BOOT_ID_SIZE; place++) {
		must(device.boot_id[place] == 0, "a boot id without entropy");
	}
	for (size_t place = 0; place < KS_TOKEN_SIZE; place++) {
		must(device.token[place] == 0, "a token without entropy");
	}
	target = any_target(policy, device.state.mode);
	if (target != KS_NO_MODE && ks_mode_allows(&policy->modes[device.state.mode], 0x4B53, 1, 0)) {
		size = ask_frame(&device, 0, 1, policy->modes[target].name, out, sizeof(out)).size;
		must(size == KS_SMP_HEADER + sizeof(fails) && memcmp(out + KS_SMP_HEADER, fails, sizeof(fails)) == 0,
		     "a nonce without entropy");
		must(device.nonces.count == 0, "a nonce is kept that nobody has");
	}
	test_chance_fails(false);
	before = device.state;
	for (unsigned kind = KS_FIRMWARE_COMMAND + 1; kind <= UINT8_MAX; kind++) {
		struct ks_event event = {0};

		event.kind = (uint8_t)kind;
		ks_step(policy, &device.state, &event, &step);
		must(step.refusal.why == KS_WHY_WRONG_MODE && step.refusal.arg == before.mode && step.count == 0,
		     "an event of another version");
		must(memcmp(&before, &device.state, sizeof(before)) == 0, "it changed something");
	}
	for (unsigned pair = KS_POLICY_PAIRS; KS_POLICY_PAIRS > 1 && pair <= UINT8_MAX; pair++) {
		struct ks_event event = {0};

		event.kind = KS_CONFIRM_ASKED;
		event.pair = (uint8_t)pair;
		ks_step(policy, &device.state, &event, &step);
		must(step.refusal.why == KS_WHY_WRONG_MODE && step.count == 0, "a pair of another version");
		must(memcmp(&before, &device.state, sizeof(before)) == 0, "it changed something");
	}
	check_other_groups(policy, &device);
	check_inputs(policy, &device.state);
	check_connections(policy, &before);
	size = ask_frame(&device, 0, 0, "", whole, sizeof(whole)).size;
	for (size_t room = 0; room <= size; room++) {
		uint8_t *exact = malloc(room == 0 ? 1 : room);
		size_t used = ask_frame(&device, 0, 0, "", exact, room).size;

		must(used <= room && (used == 0) == (room < KS_SMP_HEADER + 5u), "an answer's room");
		must(used == 0 || (exact[2] << 8 | exact[3]) == (int)(used - KS_SMP_HEADER), "an answer's length");
		must(used == 0 || room == size || memcmp(exact + KS_SMP_HEADER, too_large, sizeof(too_large)) == 0 ||
			     used > KS_SMP_HEADER + sizeof(too_large),
		     "{rc} where there is no room for more");
		must(room != size || memcmp(exact, whole, size) == 0, "the whole answer where there is room");
		free(exact);
	}
	for (unsigned why = KS_WHY_OTHER_PAIR + 1; why <= UINT8_MAX; why++) {
		struct ks_refusal refusal = {.why = (uint8_t)why};

		must(ks_refusal_text(policy, &refusal, false, text, sizeof(text)) == 0 && text[0] == 0 &&
			     ks_refusal_rc(&refusal) == 11,
		     "a reason of another version");
	}
	for (uint8_t why = 0; why <= KS_WHY_USED_UP; why++) {
		struct ks_refusal refusal = {0};

		if (why == KS_WHY_GUARD) {
			continue; /* of a guard: in the steps */
		}
		refusal.why = why;
		size = ks_refusal_text(policy, &refusal, false, text, sizeof(text));
		for (size_t room = 0; room <= size + 1; room++) {
			size_t used;

			cut[0] = 'x';
			used = ks_refusal_text(policy, &refusal, false, cut, room);
			must(room != 0 || cut[0] == 'x', "there was no room");
			must(used == (room == 0 ? 0 : room - 1 < size ? room - 1 : size), "a text that is cut");
			must(room == 0 || (memcmp(cut, text, used) == 0 && cut[used] == 0), "a text's beginning");
		}
	}
}

/* Answers every question, one after the other; returns how many there were. */
static unsigned long answer_all(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	unsigned long count = 0;

	answers.size = 256;
	answers.used = 0;
	answers.bytes = malloc(answers.size);
	must(answers.bytes != NULL, "no memory");
	while (in.at < in.end) {
		uint8_t kind = get8(&in);
		uint16_t number = get16(&in);
		const struct ks_policy *policy;

		must(number < TEST_POLICY_COUNT, "no such policy");
		policy = TEST_POLICIES[number];
		room_for_effects = TEST_POLICY_EFFECTS[number];
		switch (kind) {
		case 0:
			answer_step(&in, policy);
			break;
		case 1:
			answer_door(&in, policy);
			break;
		case 2:
			answer_record(&in, policy);
			break;
		case 3:
			answer_life(&in, policy);
			break;
		case 4:
			answer_proof(&in, policy);
			break;
#if KS_HAS_PERMIT
		case 7: {
			struct ks_unit unit = {NULL, NULL, TEST_ISSUERS, 2};

			answer_permit(&in, policy, &unit);
			break;
		}
#endif
#if KS_HAS_SEQUENCE
		case 5:
			answer_memory(&in, policy);
			break;
#endif
		case 6:
			answer_cbor(&in);
			break;
		case 8:
			check_edges(policy);
			break;
		case 9:
			answer_unit(&in);
			break;
		case 10:
			answer_message(&in);
			break;
		default:
			must(false, "no such question");
		}
		count++;
	}
	return count;
}

size_t harness_ask(const uint8_t *questions, size_t size, uint8_t **told)
{
	(void)answer_all(questions, size);
	*told = answers.bytes;
	return answers.used;
}

int main(int argc, char **argv)
{
	FILE *questions;
	FILE *to;
	uint8_t *data;
	long size;
	unsigned long count;

	must(argc == 3, "usage: harness QUESTIONS ANSWERS");
	questions = fopen(argv[1], "rb");
	must(questions != NULL, "no questions");
	must(fseek(questions, 0, SEEK_END) == 0, "no questions");
	size = ftell(questions);
	must(size >= 0 && fseek(questions, 0, SEEK_SET) == 0, "no questions");
	data = malloc((size_t)size + 1);
	must(data != NULL && fread(data, 1, (size_t)size, questions) == (size_t)size, "no questions");
	(void)fclose(questions);
	to = fopen(argv[2], "wb");
	must(to != NULL, "no answers");
	count = answer_all(data, (size_t)size);
	must(fwrite(answers.bytes, 1, answers.used, to) == answers.used && fclose(to) == 0, "answers cannot be written");
	free(answers.bytes);
	(void)printf("%lu answers, at most %u effects\n", count, most_effects);
	free(data);
	return 0;
}
