/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode group's six commands, from bytes to bytes.
 *
 * Rules kept here:
 * - A nonce is gone once it was tried, whether the proof was right or wrong.
 * - A wrong proof is counted, and the count has to reach the medium, before anybody hears that it was wrong.
 * - A refusal says `proof` and no more: not which part of it was wrong.
 * - While a kind is locked out, its proofs are not looked at; `locked out` says how long, which helps nobody to guess.
 */
#include <string.h>

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_mode_group.h>

#include "ks_cbor.h"
#include "ks_internal.h"

#define RC_EINVAL 3u
#define RC_EBADSTATE 6u
#define RC_EMSGSIZE 7u
#define RC_ENOTSUP 8u
#define RC_ECORRUPT 9u
#define RC_TOO_NEW 13u

#define VERSION_V2 1u
#define OP_READ_RESPONSE 1u
#define OP_WRITE_RESPONSE 3u
#define POLICY_SIZE 8u

/* The words of proofs, by enum ks_proof. Those that do not travel in requests have none. */
static const char *const PROOF_WORDS[] = {NULL, "sequence", "challenge", "permit"};
#define PROOF_WORD_COUNT (sizeof(PROOF_WORDS) / sizeof(PROOF_WORDS[0]))

enum field {
	FIELD_TO = 0,
	FIELD_PROOF = 1,
	FIELD_MAC = 2,
	FIELD_STEP = 3,
	FIELD_COUNT = 4,
};

/* One request on its way. */
struct call {
	struct ks_device *device;
	const struct ks_peer *peer;
	struct ks_step *step;
	struct ks_answer *answer;
	struct ks_cbor_writer *writer;
	uint64_t now_ms;
	struct ks_cbor_field fields[FIELD_COUNT];
};

/* --- answers --- */

/* {rc, rsn} */
static void refuse(const struct call *call, const struct ks_refusal *refusal)
{
	char text[KS_REFUSAL_TEXT];

	(void)ks_refusal_text(call->device->policy, refusal, false, text, sizeof(text));
	call->writer->used = KS_SMP_HEADER;
	ks_cbor_map(call->writer, 2u);
	ks_cbor_text(call->writer, "rc");
	ks_cbor_unsigned(call->writer, ks_refusal_rc(refusal));
	ks_cbor_text(call->writer, "rsn");
	ks_cbor_text(call->writer, text);
}

static void refuse_why(const struct call *call, uint8_t why, uint8_t arg)
{
	struct ks_refusal refusal;

	ks_refuse(&refusal, why, arg);
	refuse(call, &refusal);
}

/* {rc} */
static void fail(struct ks_cbor_writer *writer, uint32_t rc)
{
	writer->used = KS_SMP_HEADER;
	writer->full = false;
	ks_cbor_map(writer, 1u);
	ks_cbor_text(writer, "rc");
	ks_cbor_unsigned(writer, rc);
}

static void put_lease(const struct call *call, bool leased, uint32_t lease_ms)
{
	if (leased) {
		ks_cbor_text(call->writer, "lease_ms");
		ks_cbor_unsigned(call->writer, lease_ms);
	}
}

/* {lease_ms?} */
static void answer_lease(const struct call *call)
{
	uint32_t lease_ms;
	bool leased = ks_device_lease_ms(call->device, call->now_ms, &lease_ms);

	ks_cbor_map(call->writer, leased ? 1u : 0u);
	put_lease(call, leased, lease_ms);
}

/* {session, lease_ms?, reconnect} */
static void answer_entered(const struct call *call)
{
	const struct ks_device *device = call->device;
	uint32_t lease_ms;
	bool leased = ks_device_lease_ms(device, call->now_ms, &lease_ms);
	bool reconnect = false;

	for (uint8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if ((device->state.connections[place] == call->peer->id) && (((device->ending >> place) & 1u) != 0u)) {
			reconnect = true;
		}
	}
	ks_cbor_map(call->writer, leased ? 3u : 2u);
	ks_cbor_text(call->writer, "session");
	ks_cbor_bytes(call->writer, device->token, KS_TOKEN_SIZE);
	put_lease(call, leased, lease_ms);
	ks_cbor_text(call->writer, "reconnect");
	ks_cbor_bool(call->writer, reconnect);
}

/* --- the events --- */

/* Tell the machine; what it refuses is answered. */
static bool tell(const struct call *call, const struct ks_event *event)
{
	if (!ks_device_tell(call->device, event, call->now_ms, call->step)) {
		refuse(call, &call->step->refusal);
		return false;
	}
	call->answer->stepped = true;
	return true;
}

static void event_of(const struct call *call, uint8_t kind, struct ks_event *event)
{
	(void)memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->peer = *call->peer;
}

/* --- proofs --- */

static bool here(const struct ks_device *device, uint8_t to)
{
	return device->state.has_session && (device->state.mode == to);
}

/* Whether transition `index` is one by which a request can come to `to` from where the device is. */
static bool leads_by(const struct ks_device *device, uint8_t index, uint8_t to)
{
	const struct ks_transition *transition = &device->policy->transitions[index];

	return (transition->target == to) && ks_starts_in(transition, device->state.mode, KS_ON_ENTER);
}

/* Whether a request can lead to `to` at all, or the session there is the one asked about. */
static bool leads(const struct ks_device *device, uint8_t to)
{
	for (uint8_t index = 0; index < device->policy->transition_count; index++) {
		if (leads_by(device, index, to)) {
			return true;
		}
	}
	return here(device, to);
}

/* Whether every transition into `to` from here takes a proof; entering a session that is there always does. */
static bool needs_proof(const struct ks_device *device, uint8_t to)
{
	for (uint8_t index = 0; index < device->policy->transition_count; index++) {
		if (leads_by(device, index, to) && (device->policy->transitions[index].proofs == 0u)) {
			return false;
		}
	}
	return true;
}

/* The kinds of proof that open `to` from here, or that the session there takes from others; returns how many. */
static uint8_t kinds_into(const struct ks_device *device, uint8_t to, uint8_t kinds[KS_PROOF_KINDS])
{
	const struct ks_policy *policy = device->policy;
	uint32_t seen = 0u;
	uint8_t count = 0u;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		const struct ks_transition *transition = &policy->transitions[index];
		bool asked = here(device, to) ? ((transition->target == to) &&
						 (transition->trigger == (uint8_t)KS_ON_ENTER))
					      : leads_by(device, index, to);

		for (uint8_t place = 0; asked && (place < KS_PROOF_KINDS); place++) {
			uint8_t kind = transition->proof_list[place];

			if ((kind != (uint8_t)KS_PROOF_NONE) && (((seen >> kind) & 1u) == 0u) &&
			    (count < KS_PROOF_KINDS)) {
				seen |= (uint32_t)1u << kind;
				kinds[count] = kind;
				count++;
			}
		}
	}
	return count;
}

static uint8_t proof_asked(const struct call *call)
{
	const struct ks_cbor_value *word = &call->fields[FIELD_PROOF].value;

	for (uint8_t kind = 1; (word->kind == (uint8_t)KS_CBOR_TEXT) && (kind < PROOF_WORD_COUNT); kind++) {
		size_t size = strlen(PROOF_WORDS[kind]);

		if ((word->size == size) && (memcmp(word->bytes, PROOF_WORDS[kind], size) == 0)) {
			return kind;
		}
	}
	return KS_PROOF_NONE;
}

enum judged {
	JUDGED_WRONG,
	JUDGED_HALFWAY,
	JUDGED_RIGHT,
};

static enum judged judge_challenge(const struct call *call, uint8_t to, uint8_t purpose)
{
	struct ks_device *device = call->device;
	const struct ks_cbor_value *mac = &call->fields[FIELD_MAC].value;
	uint8_t message[KS_PROOF_MESSAGE_MAX];
	uint8_t nonce[KS_NONCE_SIZE];
	size_t size;

	if (!ks_nonces_take(&device->nonces, call->peer->id, to, call->now_ms, nonce) ||
	    (mac->kind != (uint8_t)KS_CBOR_BYTES) || (mac->size != KS_MAC_SIZE)) {
		return JUDGED_WRONG;
	}
	size = ks_proof_message(device->policy, to, purpose, nonce, device->token, message, sizeof(message));
	if ((size == 0u) || !ks_hmac_sha256_verify(message, size, mac->bytes)) {
		return JUDGED_WRONG;
	}
	return JUDGED_RIGHT;
}

static enum judged judge_sequence(const struct call *call, uint8_t to, uint8_t purpose, uint8_t *left)
{
	const struct ks_cbor_value *step = &call->fields[FIELD_STEP].value;
	bool counts = (step->kind == (uint8_t)KS_CBOR_UNSIGNED) && (step->number <= UINT8_MAX);
	uint32_t number = counts ? (uint32_t)step->number : 0u; /* no step has this number */

	if ((call->device->policy->sequence_steps == 0u) ||
	    ((step->kind != (uint8_t)KS_CBOR_UNSIGNED) && (step->kind != (uint8_t)KS_CBOR_NEGATIVE))) {
		return JUDGED_WRONG;
	}
	switch (ks_sequences_advance(call->device->policy, &call->device->sequences, call->peer->id, to, purpose,
				     number, call->now_ms, left)) {
	case KS_SEQUENCE_OPENS:
		return JUDGED_RIGHT;
	case KS_SEQUENCE_GOES_ON:
		return JUDGED_HALFWAY;
	default:
		return JUDGED_WRONG;
	}
}

/* Whether the proof in the request holds; what does not is answered, and counted if it was wrong. */
static bool check(const struct call *call, uint8_t to, uint8_t purpose, uint8_t *proof)
{
	struct ks_device *device = call->device;
	uint8_t kinds[KS_PROOF_KINDS] = {0};
	uint8_t count = kinds_into(device, to, kinds);
	enum judged judged = JUDGED_WRONG;
	struct ks_refusal refusal;
	uint8_t left = 0u;
	bool asked = false;

	*proof = proof_asked(call);
	for (uint8_t place = 0; place < count; place++) {
		asked = asked || (kinds[place] == *proof);
	}
	if (!asked) {
		/* Nobody guesses at what is not asked for, so it is not counted either. */
		refuse_why(call, KS_WHY_PROOF, 0u);
		return false;
	}
	ks_refuse(&refusal, KS_WHY_LOCKED_OUT, 0u);
	refusal.ms = ks_lockout_remaining_ms(&device->lockout, *proof, call->now_ms);
	if (refusal.ms != 0u) {
		refuse(call, &refusal);
		return false;
	}
	if (*proof == (uint8_t)KS_PROOF_CHALLENGE) {
		judged = judge_challenge(call, to, purpose);
	} else if (*proof == (uint8_t)KS_PROOF_SEQUENCE) {
		judged = judge_sequence(call, to, purpose, &left);
	} else {
		/* permits are not judged here: the exporter refuses a policy that asks for one */
	}
	switch (judged) {
	case JUDGED_RIGHT:
		call->answer->store_lockout = ks_lockout_right(&device->lockout, *proof);
		return true;
	case JUDGED_HALFWAY:
		ks_cbor_map(call->writer, 1u);
		ks_cbor_text(call->writer, "left");
		ks_cbor_unsigned(call->writer, left);
		return false;
	default:
		ks_lockout_wrong(device->policy, &device->lockout, *proof, call->now_ms);
		call->answer->store_lockout = true;
		refuse_why(call, KS_WHY_PROOF, 0u);
		return false;
	}
}

/* --- the commands --- */

/* What keeps this peer from entering maintenance now, before any proof; false: nothing, or nothing that is told. */
static bool why_shut(const struct ks_device *device, const struct ks_peer *peer, struct ks_refusal *refusal)
{
	const struct ks_policy *policy = device->policy;
	bool shut = false;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if (!ks_starts_in(transition, device->state.mode, KS_ON_ENTER) ||
		    !ks_is_maintenance(policy, transition->target)) {
			continue;
		}
		for (uint8_t place = 0; place < KS_PROOF_KINDS; place++) {
			uint8_t proof = transition->proof_list[place];
			struct ks_refusal found;

			if ((proof == (uint8_t)KS_PROOF_NONE) && (place > 0u)) {
				break;
			}
			if (ks_entry_transition(policy, &device->state, peer, transition->target, proof, &found) !=
			    KS_NO_TRANSITION) {
				return false;
			}
			if (!shut) {
				shut = true;
				*refusal = found;
			}
		}
	}
	return shut;
}

/* {gate, mode, device?, policy, reason?, boot_id, lease_ms?} */
static void put_state(const struct call *call, const struct ks_refusal *reason, bool without_now, bool with_device)
{
	const struct ks_device *device = call->device;
	const struct ks_policy *policy = device->policy;
	char text[KS_REFUSAL_TEXT];
	uint32_t lease_ms;
	bool leased = ks_device_lease_ms(device, call->now_ms, &lease_ms);
	bool shut = reason->why != (uint8_t)KS_NOT_REFUSED;

	call->writer->used = KS_SMP_HEADER;
	call->writer->full = false;
	ks_cbor_map(call->writer, (uint8_t)(4u + (with_device ? 1u : 0u) + (shut ? 1u : 0u) + (leased ? 1u : 0u)));
	ks_cbor_text(call->writer, "gate");
	ks_cbor_bool(call->writer, !shut);
	ks_cbor_text(call->writer, "mode");
	ks_cbor_text(call->writer, policy->modes[device->state.mode].name);
	if (with_device) {
		ks_cbor_text(call->writer, "device");
		ks_cbor_text(call->writer, policy->device_id);
	}
	ks_cbor_text(call->writer, "policy");
	ks_cbor_bytes(call->writer, policy->digest, POLICY_SIZE);
	if (shut) {
		(void)ks_refusal_text(policy, reason, without_now, text, sizeof(text));
		ks_cbor_text(call->writer, "reason");
		ks_cbor_text(call->writer, text);
	}
	ks_cbor_text(call->writer, "boot_id");
	ks_cbor_bytes(call->writer, device->boot_id, KS_BOOT_ID_SIZE);
	put_lease(call, leased, lease_ms);
}

static void state(const struct call *call)
{
	const struct ks_device *device = call->device;
	struct ks_peer by_smp = *call->peer;
	struct ks_refusal reason;
	bool without_now = false;

	by_smp.service = KS_SERVICE_SMP;
	if (!ks_authorise(device->policy, &device->state, &by_smp, KS_GROUP_IMAGE, KS_IMAGE_UPLOAD, KS_OP_WRITE,
			  &reason) &&
	    !device->state.has_session && !device->state.first_trial) {
		struct ks_refusal shut;

		if (why_shut(device, call->peer, &shut)) {
			reason = shut;
		}
	}
	/* What is only good to know is left out where it does not fit: the device's identity, then an input's value. */
	put_state(call, &reason, false, false);
	if (call->writer->full) {
		without_now = true;
	}
	put_state(call, &reason, without_now, true);
	if (call->writer->full) {
		put_state(call, &reason, without_now, false);
	}
}

/* The mode that the request names; false: it names none, which is answered. */
static bool to_of(const struct call *call, uint8_t *to)
{
	const struct ks_cbor_value *name = &call->fields[FIELD_TO].value;

	if (name->kind != (uint8_t)KS_CBOR_TEXT) {
		fail(call->writer, RC_EINVAL);
		return false;
	}
	*to = ks_mode_by_name(call->device->policy, (const char *)name->bytes, name->size);
	return true;
}

/* {nonce, device, proofs} */
static void challenge(const struct call *call)
{
	struct ks_device *device = call->device;
	uint8_t kinds[KS_PROOF_KINDS] = {0};
	uint8_t nonce[KS_NONCE_SIZE];
	uint8_t count;
	uint8_t to;

	if (!to_of(call, &to)) {
		return;
	}
	if (!leads(device, to)) {
		refuse_why(call, KS_WHY_WRONG_MODE, device->state.mode);
		return;
	}
	if (!ks_random(nonce, sizeof(nonce))) {
		fail(call->writer, RC_EBADSTATE); /* not enough entropy: no nonce */
		return;
	}
	ks_nonces_give(&device->nonces, call->peer->id, to, nonce, call->now_ms);
	count = kinds_into(device, to, kinds);
	ks_cbor_map(call->writer, 3u);
	ks_cbor_text(call->writer, "nonce");
	ks_cbor_bytes(call->writer, nonce, sizeof(nonce));
	ks_cbor_text(call->writer, "device");
	ks_cbor_text(call->writer, device->policy->device_id);
	ks_cbor_text(call->writer, "proofs");
	ks_cbor_list(call->writer, count);
	for (uint8_t place = 0; place < count; place++) {
		ks_cbor_text(call->writer, PROOF_WORDS[kinds[place]]);
	}
}

/* Enter `to`. A peer that has entered and asks again, because its answer was lost, is told the same again. */
static void enter(const struct call *call)
{
	struct ks_device *device = call->device;
	struct ks_event event;
	uint8_t proof = KS_PROOF_NONE;
	uint8_t to;

	if (!to_of(call, &to)) {
		return;
	}
	if (here(device, to) && (device->state.session.owner == call->peer->id)) {
		answer_entered(call);
		return;
	}
	if (!leads(device, to)) {
		refuse_why(call, KS_WHY_WRONG_MODE, device->state.mode);
		return;
	}
	if (needs_proof(device, to) && !check(call, to, KS_PURPOSE_ENTER, &proof)) {
		return;
	}
	event_of(call, KS_ENTER_PROVED, &event);
	event.mode = to;
	event.proof = proof;
	if (tell(call, &event)) {
		answer_entered(call);
	}
}

/* The session's owner proves itself on a new connection. */
static void attach(const struct call *call)
{
	struct ks_device *device = call->device;
	struct ks_event event;
	uint8_t proof;

	if (!device->state.has_session) {
		refuse_why(call, KS_WHY_WRONG_MODE, device->state.mode);
		return;
	}
	if (!check(call, device->state.mode, KS_PURPOSE_ATTACH, &proof)) {
		return;
	}
	if ((proof != device->state.session.proof) || device->state.session.images.limited) {
		refuse_why(call, KS_WHY_PROOF, 0u); /* the session was opened in another way */
		return;
	}
	event_of(call, KS_ATTACH_PROVED, &event);
	if (tell(call, &event)) {
		answer_lease(call);
	}
}

static void extend(const struct call *call)
{
	struct ks_event event;

	event_of(call, KS_EXTEND_ASKED, &event);
	if (tell(call, &event)) {
		answer_lease(call);
		call->answer->served = true;
	}
}

/* {mode} */
static void leave(const struct call *call)
{
	struct ks_event event;

	event_of(call, KS_LEAVE_ASKED, &event);
	if (tell(call, &event)) {
		ks_cbor_map(call->writer, 1u);
		ks_cbor_text(call->writer, "mode");
		ks_cbor_text(call->writer, call->device->policy->modes[call->device->state.mode].name);
		call->answer->served = true;
	}
}

/* --- one frame --- */

struct request {
	uint16_t length;
	uint16_t group;
	uint8_t op;
	uint8_t version;
	uint8_t id;
};

static bool is_known(const struct request *request)
{
	bool reads = (request->id == KS_MODE_STATE) || (request->id == KS_MODE_CHALLENGE);

	return (request->id <= KS_MODE_LEAVE) && (request->op == (reads ? KS_OP_READ : KS_OP_WRITE));
}

/* What every frame has to pass before the gate is asked; 0: it has. */
static uint8_t frame_error(const struct request *request, size_t payload_size)
{
	if (payload_size < request->length) {
		return RC_ECORRUPT; /* the header's length is a lower bound */
	}
	if ((request->op != KS_OP_READ) && (request->op != KS_OP_WRITE)) {
		return RC_ENOTSUP;
	}
	return (request->version > VERSION_V2) ? RC_TOO_NEW : 0u;
}

static void execute(struct call *call, uint8_t id, const uint8_t *payload, size_t payload_size)
{
	bool takes_map = (id == KS_MODE_CHALLENGE) || (id == KS_MODE_ENTER) || (id == KS_MODE_ATTACH);

	if (takes_map && !ks_cbor_read_map(payload, payload_size, call->fields, FIELD_COUNT)) {
		fail(call->writer, RC_EINVAL);
		return;
	}
	switch (id) {
	case KS_MODE_STATE:
		state(call);
		break;
	case KS_MODE_CHALLENGE:
		challenge(call);
		break;
	case KS_MODE_ENTER:
		enter(call);
		break;
	case KS_MODE_ATTACH:
		attach(call);
		break;
	case KS_MODE_EXTEND:
		extend(call);
		break;
	default:
		leave(call);
		break;
	}
}

struct ks_answer ks_mode_group_frame(struct ks_device *device, const struct ks_peer *peer, const uint8_t *packet,
				     size_t packet_size, uint64_t now_ms, uint8_t *out, size_t out_size,
				     struct ks_step *step)
{
	struct ks_answer answer = {0};
	struct ks_cbor_writer writer = {out, out_size, KS_SMP_HEADER, false};
	struct call call = {device,
			    peer,
			    step,
			    &answer,
			    &writer,
			    now_ms,
			    {{"to", {0}}, {"proof", {0}}, {"mac", {0}}, {"step", {0}}}};
	struct ks_refusal refusal;
	struct request request;
	size_t payload_size;
	uint8_t rc;

	if ((packet_size < KS_SMP_HEADER) || (out_size < KS_SMP_HEADER)) {
		return answer;
	}
	payload_size = packet_size - KS_SMP_HEADER;
	request.op = packet[0] & 0x07u;
	request.version = (uint8_t)((packet[0] >> 3) & 0x03u);
	request.length = (uint16_t)(((uint16_t)packet[2] << 8) | packet[3]);
	request.group = (uint16_t)(((uint16_t)packet[4] << 8) | packet[5]);
	request.id = packet[7];
	rc = frame_error(&request, payload_size);
	if ((rc == 0u) && (request.group == KS_MODE_GROUP) && !is_known(&request)) {
		rc = RC_ENOTSUP;
	}
	if (rc != 0u) {
		fail(&writer, rc);
	} else if (!ks_authorise(device->policy, &device->state, peer, request.group, request.id, request.op,
				 &refusal)) {
		refuse(&call, &refusal);
	} else if (request.group != KS_MODE_GROUP) {
		fail(&writer, RC_ENOTSUP); /* its own handler executes it, not this one */
	} else {
		execute(&call, request.id, &packet[KS_SMP_HEADER], payload_size);
	}
	if (writer.full) {
		fail(&writer, RC_EMSGSIZE);
	}
	if (writer.full) {
		return answer; /* not even {rc} fits */
	}
	out[0] = (uint8_t)((uint8_t)(((request.version < VERSION_V2) ? request.version : VERSION_V2) << 3) |
			   ((request.op == KS_OP_READ) ? OP_READ_RESPONSE : OP_WRITE_RESPONSE));
	out[1] = 0u;
	out[2] = (uint8_t)((writer.used - KS_SMP_HEADER) >> 8);
	out[3] = (uint8_t)(writer.used - KS_SMP_HEADER);
	out[4] = packet[4];
	out[5] = packet[5];
	out[6] = packet[6];
	out[7] = packet[7];
	answer.size = writer.used;
	return answer;
}
