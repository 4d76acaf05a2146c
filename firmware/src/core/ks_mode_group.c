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
#define POLICY_SIZE 8u

/* The words of proofs, by enum ks_proof. Those that do not travel in requests have none. */
static const char *const PROOF_WORDS[] = {"", "sequence", "challenge", "permit"};
#define PROOF_WORD_COUNT (sizeof(PROOF_WORDS) / sizeof(PROOF_WORDS[0]))

enum field {
	FIELD_TO = 0,
	FIELD_PROOF,
	FIELD_MAC,
	FIELD_STEP,
#if KS_HAS_PERMIT
	FIELD_PERMIT,
	FIELD_SIGNATURE,
#endif
	FIELD_COUNT,
};
static const char *const FIELDS[FIELD_COUNT] = {
	"to", "proof", "mac", "step",
#if KS_HAS_PERMIT
	"permit", "sig",
#endif
};

/* How a request can come to a mode from where the device is. */
struct ways {
	uint8_t kinds[KS_PROOF_KINDS]; /* of proof that open it, or that the session there takes from others */
	uint8_t count;
	bool leads; /* there is a transition, or the session there is the one asked about */
	bool unproved; /* a transition takes none; entering a session that is there always takes one */
};

/* One request on its way. */
struct call {
	struct ks_device *device;
	const struct ks_peer *peer;
	struct ks_step *step;
	uint64_t now_ms;
	struct ks_writer writer;
	uint8_t pairs; /* of the answer's map, as far as it is written */
	struct ks_answer answer;
	struct ks_event event; /* what the request asks of the machine */
	struct ks_cbor_value fields[FIELD_COUNT];
	struct ways ways; /* to the mode that it is about */
	uint8_t to; /* that mode */
#if KS_HAS_PERMIT
	struct ks_permit permit; /* what was proved by, if it was a permit */
#endif
};

/* --- answers --- */

/* An empty map, in place of what was written before. Its head is put right when all pairs are there. */
static void begin(struct call *call)
{
	call->writer.used = KS_SMP_HEADER;
	call->writer.full = false;
	call->pairs = 0u;
	ks_cbor_head(&call->writer, KS_CBOR_MAJOR_MAP, 0u);
}

static void put_key(struct call *call, const char *key)
{
	call->pairs++;
	ks_cbor_text(&call->writer, key);
}

static void put_text(struct call *call, const char *key, const char *text)
{
	put_key(call, key);
	ks_cbor_text(&call->writer, text);
}

static void put_bytes(struct call *call, const char *key, const uint8_t *bytes, size_t size)
{
	put_key(call, key);
	ks_cbor_bytes(&call->writer, bytes, size);
}

static void put_unsigned(struct call *call, const char *key, uint32_t value)
{
	put_key(call, key);
	ks_cbor_unsigned(&call->writer, value);
}

static void put_bool(struct call *call, const char *key, bool value)
{
	put_key(call, key);
	ks_cbor_bool(&call->writer, value);
}

static void put_mode(struct call *call)
{
	put_text(call, "mode", call->device->policy->modes[call->device->state.mode].name);
}

static void put_device(struct call *call)
{
	put_text(call, "device", ks_device_id(call->device));
}

static void put_reason(struct call *call, const char *key, const struct ks_refusal *refusal, bool without_now)
{
	char text[KS_REFUSAL_TEXT];

	(void)ks_refusal_text(call->device->policy, refusal, without_now, text, sizeof(text));
	put_text(call, key, text);
}

/* {rc, rsn}: false, as whoever refuses says. */
static bool refuse(struct call *call, const struct ks_refusal *refusal)
{
	begin(call);
	put_unsigned(call, "rc", ks_refusal_rc(refusal));
	put_reason(call, "rsn", refusal, false);
	return false;
}

/* The same for what is said of the mode now, or of nothing. */
static bool refuse_why(struct call *call, uint8_t why)
{
	struct ks_refusal refusal;

	ks_refuse(&refusal, why, call->device->state.mode);
	return refuse(call, &refusal);
}

/* {rc} */
static bool fail(struct call *call, uint32_t rc)
{
	begin(call);
	put_unsigned(call, "rc", rc);
	return false;
}

static void put_lease(struct call *call)
{
	uint32_t lease_ms;

	if (ks_device_lease_ms(call->device, call->now_ms, &lease_ms)) {
		put_unsigned(call, "lease_ms", lease_ms);
	}
}

/* {lease_ms?} */
static void answer_lease(struct call *call)
{
	begin(call);
	put_lease(call);
}

/* {session, lease_ms?, reconnect} */
static void answer_entered(struct call *call)
{
	const struct ks_device *device = call->device;
	uint32_t others = ks_connected_mask(&device->state, call->peer->id);
	uint32_t own = ks_connected_mask(&device->state, KS_NO_PEER) & ~others;

	begin(call);
	put_bytes(call, "session", device->token, KS_TOKEN_SIZE);
	put_lease(call);
	put_bool(call, "reconnect", (device->ending & own) != 0u);
}

/* --- the events --- */

/* Tell the machine that the peer asks for this; what it refuses is answered. */
static bool tell(struct call *call, uint8_t kind)
{
	call->event.kind = kind;
	if (!ks_device_tell(call->device, &call->event, call->now_ms, call->step)) {
		return refuse(call, &call->step->refusal);
	}
	call->answer.stepped = true;
	return true;
}

/* --- proofs --- */

static void add_kind(struct ways *ways, uint8_t kind)
{
	for (uint_fast8_t place = 0; place < ways->count; place++) {
		if (ways->kinds[place] == kind) {
			return;
		}
	}
	if ((kind != (uint8_t)KS_PROOF_NONE) && (ways->count < KS_PROOF_KINDS)) {
		ways->kinds[ways->count] = kind;
		ways->count++;
	}
}

static bool here(const struct ks_device *device, uint8_t to)
{
	return device->state.has_session && (device->state.mode == to);
}

/* Into mode `to`, which the request is about from now on. */
static void find_ways(struct call *call, uint8_t to)
{
	const struct ks_device *device = call->device;
	const struct ks_policy *policy = device->policy;
	struct ways *ways = &call->ways;
	bool is_here = here(device, to);

	call->to = to;
	ways->leads = is_here;
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		const struct ks_transition *transition = &policy->transitions[index];
		bool starts = ks_starts_in(transition, device->state.mode, KS_ON_ENTER);

		if ((transition->target != to) || (transition->trigger != (uint8_t)KS_ON_ENTER)) {
			continue;
		}
		ways->leads = ways->leads || starts;
		ways->unproved = ways->unproved || (KS_HAS_UNPROVED && starts && (transition->proofs == 0u));
		for (uint_fast8_t place = 0; (starts || is_here) && (place < KS_PROOF_KINDS); place++) {
			add_kind(ways, transition->proof_list[place]);
		}
	}
}

#if KS_HAS_CHALLENGE || KS_HAS_PERMIT
static bool is_bytes(const struct ks_cbor_value *value)
{
	return value->kind == (uint8_t)KS_CBOR_BYTES;
}
#endif

static uint8_t proof_asked(const struct call *call)
{
	const struct ways *ways = &call->ways;

	for (uint_fast8_t place = 0; place < ways->count; place++) {
		if (ks_cbor_is_text(&call->fields[FIELD_PROOF], PROOF_WORDS[ways->kinds[place]])) {
			return ways->kinds[place];
		}
	}
	return KS_PROOF_NONE;
}

enum judged {
	JUDGED_WRONG,
	JUDGED_ANSWERED, /* neither right nor to be counted */
	JUDGED_RIGHT,
};

#if KS_HAS_CHALLENGE || KS_HAS_PERMIT
/* What a proof of this peer has to cover now; the nonce is gone from now on. 0: none was out. */
static size_t message_of(struct call *call, uint8_t proof, uint8_t purpose, uint8_t *message, size_t size)
{
	struct ks_device *device = call->device;
	uint8_t nonce[KS_NONCE_SIZE];

	if (!ks_nonces_take(&device->nonces, call->peer->id, call->to, call->now_ms, nonce)) {
		return 0u;
	}
	return ks_proof_message(proof, ks_device_id(device), device->policy->modes[call->to].name, purpose, nonce,
				device->token, message, size);
}
#endif

#if KS_HAS_CHALLENGE
static enum judged judge_challenge(struct call *call, uint8_t purpose)
{
	const struct ks_cbor_value *mac = &call->fields[FIELD_MAC];
	uint8_t message[KS_PROOF_MESSAGE_MAX];
	size_t size = message_of(call, KS_PROOF_CHALLENGE, purpose, message, sizeof(message));

	return ((size != 0u) && is_bytes(mac) && (mac->size == KS_MAC_SIZE) &&
		ks_hmac_sha256_verify(message, size, mac->bytes))
		       ? JUDGED_RIGHT
		       : JUDGED_WRONG;
}
#endif

#if KS_HAS_PERMIT
/* Whether a use of the permit is left, and there is room to count it. */
static bool is_use_left(const struct ks_policy *policy, const struct ks_permit *permit, uint32_t used, uint32_t known)
{
	return (used < permit->uses) && ((used != 0u) || (known < policy->max_permits));
}

static enum judged judge_permit(struct call *call, uint8_t purpose)
{
	const struct ks_policy *policy = call->device->policy;
	const struct ks_cbor_value *permit = &call->fields[FIELD_PERMIT];
	const struct ks_cbor_value *signature = &call->fields[FIELD_SIGNATURE];
	uint8_t message[KS_PROOF_MESSAGE_MAX + KS_HASH_SIZE];
	struct ks_permit_proof proof;
	uint32_t used = 0u;
	uint32_t known = 0u;

	proof.message_size = message_of(call, KS_PROOF_PERMIT, purpose, message, KS_PROOF_MESSAGE_MAX);
	proof.message = message;
	proof.permit = permit->bytes;
	proof.permit_size = permit->size;
	proof.signature = signature->bytes;
	proof.device_id = ks_device_id(call->device);
	/* Nothing of the answer is written yet. */
	proof.scratch = call->writer.bytes;
	proof.scratch_size = call->writer.size;
	proof.trusts_clock = (ks_flags(policy) & KS_POLICY_TRUSTED_CLOCK) != 0u;
	proof.now_s = 0u;
	if ((proof.message_size == 0u) || (call->device->unit == NULL) || !is_bytes(permit) || !is_bytes(signature) ||
	    (signature->size != KS_SIGNATURE_SIZE) || (proof.trusts_clock && !ks_clock_s(&proof.now_s))) {
		return JUDGED_WRONG;
	}
	proof.mode = policy->modes[call->to].name;
	switch (ks_permit_judge(call->device->unit, &proof, &call->permit)) {
	case KS_PERMIT_EXPIRED:
		(void)refuse_why(call, KS_WHY_EXPIRED);
		return JUDGED_ANSWERED;
	case KS_PERMIT_RIGHT:
		break;
	default:
		return JUDGED_WRONG;
	}
	if (proof.trusts_clock) {
		return JUDGED_RIGHT;
	}
	if (!ks_permit_uses(call->permit.id, &used, &known)) {
		return JUDGED_WRONG;
	}
	if ((purpose == (uint8_t)KS_PURPOSE_ENTER) && !is_use_left(policy, &call->permit, used, known)) {
		(void)refuse_why(call, KS_WHY_USED_UP);
		return JUDGED_ANSWERED;
	}
	return JUDGED_RIGHT;
}

/* Count the use of the permit before the session opens; false: it is not on the medium, which is answered. */
static bool spend(struct call *call)
{
	uint32_t used = 0u;
	uint32_t known = 0u;

	if ((ks_flags(call->device->policy) & KS_POLICY_TRUSTED_CLOCK) != 0u) {
		return true;
	}
	return (ks_permit_uses(call->permit.id, &used, &known) && ks_permit_keep_use(call->permit.id, used + 1u))
		       ? true
		       : refuse_why(call, KS_WHY_PROOF);
}
#endif

#if KS_HAS_SEQUENCE
static enum judged judge_sequence(struct call *call, uint8_t purpose)
{
	const struct ks_cbor_value *step = &call->fields[FIELD_STEP];
	bool counts = step->kind == (uint8_t)KS_CBOR_UNSIGNED;
	uint32_t number = (counts && (step->number <= UINT8_MAX)) ? step->number : 0u; /* no step has this number */
	uint8_t left = 0u;

	if ((call->device->policy->sequence_steps == 0u) || (!counts && (step->kind != (uint8_t)KS_CBOR_NEGATIVE))) {
		return JUDGED_WRONG;
	}
	switch (ks_sequences_advance(call->device->policy, &call->device->sequences, call->peer->id, call->to, purpose,
				     number, call->now_ms, &left)) {
	case KS_SEQUENCE_OPENS:
		return JUDGED_RIGHT;
	case KS_SEQUENCE_GOES_ON:
		begin(call);
		put_unsigned(call, "left", left);
		return JUDGED_ANSWERED;
	default:
		return JUDGED_WRONG;
	}
}
#endif

/* Whether the proof in the request holds; what does not is answered, and counted if it was wrong. */
static bool check(struct call *call, uint8_t purpose)
{
	struct ks_device *device = call->device;
	enum judged judged = JUDGED_WRONG;
	uint8_t proof = proof_asked(call);
	struct ks_refusal refusal;

	(void)purpose; /* where the policy takes no proof */
	if (proof == (uint8_t)KS_PROOF_NONE) {
		/* Nobody guesses at what is not asked for, so it is not counted either. */
		return refuse_why(call, KS_WHY_PROOF);
	}
	call->event.proof = proof;
	ks_refuse(&refusal, KS_WHY_LOCKED_OUT, 0u);
	refusal.ms = ks_lockout_remaining_ms(&device->lockout, proof, call->now_ms);
	if (refusal.ms != 0u) {
		return refuse(call, &refusal);
	}
#if KS_HAS_CHALLENGE
	if (proof == (uint8_t)KS_PROOF_CHALLENGE) {
		judged = judge_challenge(call, purpose);
	}
#endif
#if KS_HAS_PERMIT
	if (proof == (uint8_t)KS_PROOF_PERMIT) {
		judged = judge_permit(call, purpose);
	}
#endif
#if KS_HAS_SEQUENCE
	if (proof == (uint8_t)KS_PROOF_SEQUENCE) {
		judged = judge_sequence(call, purpose);
	}
#endif
	if (judged == JUDGED_RIGHT) {
		call->answer.store_lockout = ks_lockout_right(&device->lockout, proof);
	} else if (judged == JUDGED_WRONG) {
		ks_lockout_wrong(device->policy, &device->lockout, proof, call->now_ms);
		call->answer.store_lockout = true;
		(void)refuse_why(call, KS_WHY_PROOF);
	} else {
		/* answered */
	}
	return judged == JUDGED_RIGHT;
}

/* --- the commands --- */

/* What keeps this peer from entering maintenance now, before any proof; false: nothing, or nothing that is told. */
static bool why_shut(const struct ks_device *device, const struct ks_peer *peer, struct ks_refusal *refusal)
{
	const struct ks_policy *policy = device->policy;
	bool shut = false;

	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if (!ks_starts_in(transition, device->state.mode, KS_ON_ENTER) ||
		    !ks_is_maintenance(policy, transition->target)) {
			continue;
		}
		for (uint_fast8_t place = 0; place < KS_PROOF_KINDS; place++) {
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
static void put_state(struct call *call, const struct ks_refusal *reason, bool without_now, bool with_device)
{
	const struct ks_device *device = call->device;
	bool shut = reason->why != (uint8_t)KS_NOT_REFUSED;

	begin(call);
	put_bool(call, "gate", !shut);
	put_mode(call);
	if (with_device) {
		put_device(call);
	}
	put_bytes(call, "policy", device->policy->digest, POLICY_SIZE);
	if (shut) {
		put_reason(call, "reason", reason, without_now);
	}
	put_bytes(call, "boot_id", device->boot_id, KS_BOOT_ID_SIZE);
	put_lease(call);
}

static void state(struct call *call)
{
	const struct ks_device *device = call->device;
	struct ks_peer by_smp = *call->peer;
	struct ks_refusal reason;
	struct ks_refusal shut;

	by_smp.service = KS_SERVICE_SMP;
	if (!ks_authorise(device->policy, &device->state, &by_smp, KS_GROUP_IMAGE, KS_IMAGE_UPLOAD, KS_OP_WRITE,
			  &reason) &&
	    !device->state.has_session && !device->state.first_trial && why_shut(device, call->peer, &shut)) {
		reason = shut;
	}
	/* What is only good to know is left out where it does not fit: the device's identity, then an input's value. */
	for (uint_fast8_t left_out = 0; left_out < 4u; left_out++) {
		put_state(call, &reason, (left_out & 2u) != 0u, (left_out & 1u) == 0u);
		if (!call->writer.full) {
			break;
		}
	}
}

/* The mode that the request names, and how it is come to; false: that is answered. */
static bool find_target(struct call *call)
{
	const struct ks_cbor_value *name = &call->fields[FIELD_TO];

	if (name->kind != (uint8_t)KS_CBOR_TEXT) {
		return fail(call, RC_EINVAL);
	}
	find_ways(call, ks_mode_by_name(call->device->policy, (const char *)name->bytes, name->size));
	return call->ways.leads ? true : refuse_why(call, KS_WHY_WRONG_MODE);
}

/* {nonce, device, proofs} */
static void challenge(struct call *call)
{
	const struct ways *ways = &call->ways;
	uint8_t nonce[KS_NONCE_SIZE];

	if (!find_target(call)) {
		return;
	}
	if (!ks_random(nonce, sizeof(nonce))) {
		(void)fail(call, RC_EBADSTATE); /* not enough entropy: no nonce */
		return;
	}
	ks_nonces_give(&call->device->nonces, call->peer->id, call->to, nonce, call->now_ms);
	begin(call);
	put_bytes(call, "nonce", nonce, sizeof(nonce));
	put_device(call);
	put_key(call, "proofs");
	ks_cbor_head(&call->writer, KS_CBOR_MAJOR_LIST, ways->count);
	for (uint_fast8_t place = 0; place < ways->count; place++) {
		ks_cbor_text(&call->writer, PROOF_WORDS[ways->kinds[place]]);
	}
}

/* Where a permit was shown: what it limits goes with the event, and its use is counted, unless the entry is refused anyway. */
static bool is_paid(struct call *call)
{
#if KS_HAS_PERMIT
	struct ks_event *event = &call->event;
	struct ks_refusal refusal;

	if (event->proof != (uint8_t)KS_PROOF_PERMIT) {
		return true;
	}
	event->images = &call->permit.images;
	event->holder = call->permit.holder;
	if (ks_would_refuse_enter(call->device->policy, &call->device->state, event, &refusal)) {
		return refuse(call, &refusal);
	}
	return spend(call);
#else
	(void)call;
	return true;
#endif
}

/* Enter the mode that is named. A peer that has entered and asks again, because its answer was lost, is told the same again. */
static void enter(struct call *call)
{
	const struct ks_device *device = call->device;

	if (!find_target(call)) {
		return;
	}
	call->event.mode = call->to;
	if ((here(device, call->to) && (device->state.session.owner == call->peer->id)) ||
	    ((call->ways.unproved || check(call, KS_PURPOSE_ENTER)) && is_paid(call) && tell(call, KS_ENTER_PROVED))) {
		answer_entered(call);
	}
}

/* Whether the session is the prover's own: opened by such a proof, with the same limit, for the same holder. */
static bool is_own(const struct call *call)
{
	const struct ks_session *session = &call->device->state.session;
	uint8_t proof = call->event.proof;
#if KS_HAS_PERMIT
	const struct ks_permit *permit = &call->permit; /* all zero, if it was none */
	bool by_permit = proof == (uint8_t)KS_PROOF_PERMIT;

	return (proof == session->proof) && ks_images_equal(&permit->images, &session->images) &&
	       (by_permit == call->device->has_holder) &&
	       (!by_permit || (memcmp(permit->holder, call->device->holder, KS_KEY_SIZE) == 0));
#else
	return (proof == session->proof) && !session->images.limited;
#endif
}

/* The session's owner proves itself on a new connection. */
static void attach(struct call *call)
{
	const struct ks_state *state = &call->device->state;

	if (!state->has_session) {
		(void)refuse_why(call, KS_WHY_WRONG_MODE);
		return;
	}
	find_ways(call, state->mode);
	if (!check(call, KS_PURPOSE_ATTACH)) {
		return;
	}
	if (!is_own(call)) {
		(void)refuse_why(call, KS_WHY_PROOF); /* the session was opened in another way */
		return;
	}
	if (tell(call, KS_ATTACH_PROVED)) {
		answer_lease(call);
	}
}

static void extend(struct call *call)
{
	call->answer.served = tell(call, KS_EXTEND_ASKED);
	if (call->answer.served) {
		answer_lease(call);
	}
}

/* {mode} */
static void leave(struct call *call)
{
	call->answer.served = tell(call, KS_LEAVE_ASKED);
	if (call->answer.served) {
		begin(call);
		put_mode(call);
	}
}

/* --- one frame --- */

static uint16_t word_at(const uint8_t *bytes)
{
	return (uint16_t)(((uint16_t)bytes[0] << 8) | bytes[1]);
}

static void execute(struct call *call, uint8_t id, const uint8_t *payload, size_t payload_size)
{
	bool takes_map = (id >= KS_MODE_CHALLENGE) && (id <= KS_MODE_ATTACH);

	if (takes_map && !ks_cbor_read_map(payload, payload_size, FIELDS, call->fields, FIELD_COUNT)) {
		(void)fail(call, RC_EINVAL);
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

static bool is_known(uint8_t id, uint8_t op)
{
	return (id <= KS_MODE_LEAVE) && (op == ((id <= KS_MODE_CHALLENGE) ? KS_OP_READ : KS_OP_WRITE));
}

/* What every frame has to pass before the gate is asked, then the gate, then the command. */
static void answer_frame(struct call *call, const uint8_t *packet, size_t payload_size)
{
	const struct ks_device *device = call->device;
	uint16_t group = word_at(&packet[4]);
	uint8_t version = (packet[0] >> 3) & 0x03u;
	uint8_t op = packet[0] & 0x07u;
	uint8_t id = packet[7];
	struct ks_refusal refusal;
	uint32_t rc = 0u;

	if (payload_size < word_at(&packet[2])) {
		rc = RC_ECORRUPT; /* the header's length is a lower bound */
	} else if ((op != KS_OP_READ) && (op != KS_OP_WRITE)) {
		rc = RC_ENOTSUP;
	} else if (version > VERSION_V2) {
		rc = RC_TOO_NEW;
	} else if ((group == KS_MODE_GROUP) && !is_known(id, op)) {
		rc = RC_ENOTSUP;
	} else if (!ks_authorise(device->policy, &device->state, call->peer, group, id, op, &refusal)) {
		(void)refuse(call, &refusal);
	} else if (group != KS_MODE_GROUP) {
		rc = RC_ENOTSUP; /* its own handler executes it, not this one */
	} else {
		execute(call, id, &packet[KS_SMP_HEADER], payload_size);
	}
	if (rc != 0u) {
		(void)fail(call, rc);
	}
}

struct ks_answer ks_mode_group_frame(struct ks_device *device, const struct ks_peer *peer, const uint8_t *packet,
				     size_t packet_size, uint64_t now_ms, uint8_t *out, size_t out_size,
				     struct ks_step *step)
{
	struct call call;
	size_t answered;

	(void)memset(&call, 0, sizeof(call));
	if ((packet_size < KS_SMP_HEADER) || (out_size < KS_SMP_HEADER)) {
		return call.answer;
	}
	call.device = device;
	call.peer = peer;
	call.step = step;
	call.now_ms = now_ms;
	call.event.peer = *peer;
	call.writer.bytes = out;
	call.writer.size = out_size;
	answer_frame(&call, packet, packet_size - KS_SMP_HEADER);
	if (call.writer.full) {
		(void)fail(&call, RC_EMSGSIZE);
	}
	if (call.writer.full) {
		return call.answer; /* not even {rc} fits */
	}
	answered = call.writer.used - KS_SMP_HEADER;
	out[KS_SMP_HEADER] = (uint8_t)((KS_CBOR_MAJOR_MAP << 5) | call.pairs); /* fewer than 24: in the head's own byte */
	(void)memcpy(out, packet, KS_SMP_HEADER);
	/* The version asked by, but none beyond what is known; the op's answer: 1 of a read, 3 of a write. */
	out[0] = (uint8_t)((((packet[0] >> 3) & 0x03u) == 0u) ? 0u : (VERSION_V2 << 3));
	out[0] |= ((packet[0] & 0x07u) == KS_OP_READ) ? 1u : 3u;
	out[1] = 0u;
	out[2] = (uint8_t)(answered >> 8);
	out[3] = (uint8_t)answered;
	call.answer.size = call.writer.used;
	return call.answer;
}
