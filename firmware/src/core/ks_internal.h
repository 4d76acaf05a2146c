/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the core share. Nobody else includes it. */
#ifndef KEYSWITCH_KS_INTERNAL_H_
#define KEYSWITCH_KS_INTERNAL_H_

#include <keyswitch/ks_gate.h>

/* Commands that the machine itself knows (SMP group, id, op). */
#define KS_OP_READ 0u
#define KS_OP_WRITE 2u
#define KS_GROUP_OS 0u
#define KS_OS_RESET 5u
#define KS_GROUP_IMAGE 1u
#define KS_IMAGE_STATE 0u
#define KS_IMAGE_UPLOAD 1u
#define KS_IMAGE_ERASE 5u
#define KS_GROUP_MODE 0x4B53u
#define KS_MODE_STATE 0u
#define KS_MODE_CHALLENGE 1u
#define KS_MODE_ENTER 2u
#define KS_MODE_ATTACH 3u
#define KS_MODE_EXTEND 4u
#define KS_MODE_LEAVE 5u

/* The answer to a reset leaves first (Zephyr CONFIG_MCUMGR_GRP_OS_RESET_MS). */
#define KS_RESET_DELAY_MS 250u

/* A step in the making. */
struct ks_change {
	const struct ks_policy *policy;
	struct ks_state *state;
	struct ks_step *step;
	bool left; /* it has ended a session */
};

/* By whom a session is opened. */
struct ks_opening {
	const struct ks_images *images;
	uint32_t owner;
	uint8_t proof;
	bool answering;
};

/* --- what the tables say; where the generated ks_policy.h says it too, the compiler knows it --- */
static inline uint8_t ks_service(const struct ks_policy *policy)
{
#ifdef KS_POLICY_SERVICE
	(void)policy;
	return KS_POLICY_SERVICE;
#else
	return policy->service;
#endif
}

static inline uint8_t ks_confirm(const struct ks_policy *policy)
{
#ifdef KS_POLICY_CONFIRM
	(void)policy;
	return KS_POLICY_CONFIRM;
#else
	return policy->confirm;
#endif
}

static inline uint8_t ks_flags(const struct ks_policy *policy)
{
#ifdef KS_POLICY_FLAGS
	(void)policy;
	return KS_POLICY_FLAGS;
#else
	return policy->flags;
#endif
}

static inline uint8_t ks_mode_count(const struct ks_policy *policy)
{
#ifdef KS_COUNT_MODES
	(void)policy;
	return KS_COUNT_MODES;
#else
	return policy->mode_count;
#endif
}

static inline uint8_t ks_transition_count(const struct ks_policy *policy)
{
#ifdef KS_COUNT_TRANSITIONS
	(void)policy;
	return KS_COUNT_TRANSITIONS;
#else
	return policy->transition_count;
#endif
}

static inline uint8_t ks_input_count(const struct ks_policy *policy)
{
#ifdef KS_COUNT_INPUTS
	(void)policy;
	return KS_COUNT_INPUTS;
#else
	return policy->input_count;
#endif
}

/* --- image pairs: with one, the compiler knows all of this --- */
static inline uint_fast8_t ks_pair(const struct ks_event *event)
{
	return (KS_POLICY_PAIRS > 1) ? event->pair : 0u;
}

static inline ks_pairs ks_pair_bit(uint_fast8_t pair)
{
	return (ks_pairs)(1u << pair);
}

static inline bool ks_holds_pair(ks_pairs pairs, uint_fast8_t pair)
{
	return ((pairs >> pair) & 1u) != 0u;
}

static inline ks_pairs ks_without(ks_pairs pairs, ks_pairs others)
{
	return (ks_pairs)(pairs & (0xFFu ^ others));
}

static inline ks_pairs ks_without_pair(ks_pairs pairs, uint_fast8_t pair)
{
	return ks_without(pairs, ks_pair_bit(pair));
}

static inline ks_pairs ks_with_pair(ks_pairs pairs, uint_fast8_t pair, bool holds)
{
	return (ks_pairs)(ks_without_pair(pairs, pair) | (holds ? ks_pair_bit(pair) : 0u));
}

static inline uint8_t ks_security_of_mode(const struct ks_mode *mode)
{
	return KS_HAS_SECURITY ? mode->security : (uint8_t)KS_SECURITY_NONE;
}

static inline bool ks_is_owned(const struct ks_policy *policy, uint_fast8_t mode)
{
	return KS_HAS_OWNED && ((policy->modes[mode].flags & KS_MODE_OWNED) != 0u);
}

/* --- ks_guard.c --- */
bool ks_is_maintenance(const struct ks_policy *policy, uint_fast8_t mode);
bool ks_mode_allows(const struct ks_mode *mode, uint16_t group, uint8_t id, uint8_t op);
/* Whether transition `index` starts in `mode` by `trigger`, and may be taken (none between two maintenance modes). */
bool ks_may_take(const struct ks_policy *policy, uint_fast8_t index, uint_fast8_t mode, uint_fast8_t trigger);
/* The same without that rule: whether the policy has it. */
bool ks_starts_in(const struct ks_transition *transition, uint_fast8_t mode, uint_fast8_t trigger);
bool ks_has_transition(const struct ks_policy *policy, uint_fast8_t mode, uint_fast8_t trigger);
/* The first guard of a transition that does not hold now: its place in ks_policy.guards, or KS_NO_GUARD. */
uint16_t ks_failing(const struct ks_policy *policy, const struct ks_state *state, uint_fast8_t index);
/* The first transition of this trigger in `mode` whose guards hold, or KS_NO_TRANSITION. */
uint_fast8_t ks_first_open(const struct ks_change *change, uint_fast8_t mode, uint_fast8_t trigger);
/* The same of what binds the session. */
uint16_t ks_session_failing(const struct ks_policy *policy, const struct ks_state *state);
bool ks_must_leave(const struct ks_policy *policy, const struct ks_state *state);
/* The least security of a peer that takes the session as its own. */
uint8_t ks_session_security(const struct ks_policy *policy, const struct ks_state *state);
bool ks_opens(const struct ks_transition *transition, uint8_t proof);
/* Whether this transition asks for all that binds a session of its target that `proof` opened. */
bool ks_as_strict(const struct ks_policy *policy, uint_fast8_t index, uint8_t proof);

/* --- ks_refusal.c --- */
void ks_refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg);
void ks_refuse_guard(struct ks_refusal *refusal, const struct ks_policy *policy, const struct ks_state *state,
		     uint16_t guard);

/* --- ks_change.c --- */
void ks_do(struct ks_change *change, uint_fast8_t kind, uint_fast8_t arg, uint32_t value);
void ks_do_plain(struct ks_change *change, uint_fast8_t kind);
/* For each of these image pairs, in the order of their numbers. */
#if KS_POLICY_PAIRS > 1
void ks_do_for_pairs(struct ks_change *change, uint_fast8_t kind, ks_pairs pairs);
#else
static inline void ks_do_for_pairs(struct ks_change *change, uint_fast8_t kind, ks_pairs pairs)
{
	if (pairs) {
		ks_do(change, kind, ((kind == (uint8_t)KS_WRITE_TRAILER) && change->state->armed_permanent) ? 1u : 0u, 0u);
	}
}
#endif
void ks_do_nothing_waits(struct ks_change *change);
void ks_end_connections(struct ks_change *change, uint32_t places, bool after_answer);
void ks_reset_now(struct ks_change *change);
/* Not one of KS_NO_LIMIT. */
void ks_start_timer(struct ks_change *change, uint_fast8_t timer, uint32_t ms);
void ks_start_idle(struct ks_change *change);
/* Firmware is worked on in `mode`: what it inhibits stays inhibited for its quiet time from now on. */
void ks_keep_quiet(struct ks_change *change, uint_fast8_t mode);
void ks_end_quiet(struct ks_change *change);
/* before: the mode before; KS_NO_MODE at boot, when the caller knows nothing yet. */
void ks_arrive(struct ks_change *change, uint_fast8_t before, const uint32_t limit_ms[KS_MODE_LIMITS]);
/* In the mode that it is in, as if it had just come up. */
void ks_arrive_as_new(struct ks_change *change);
void ks_leave(struct ks_change *change);
uint_fast8_t ks_leave_transition(const struct ks_change *change, uint_fast8_t mode);
void ks_session_init(struct ks_session *session, uint_fast8_t transition);
/* By this transition; KS_NO_TRANSITION: into the initial mode. opening: NULL: nobody had to prove anything. */
void ks_enter_mode(struct ks_change *change, uint_fast8_t transition, const struct ks_opening *opening);
void ks_revert(struct ks_change *change, bool ending);
bool ks_waits_for_table(const struct ks_policy *policy, const struct ks_state *state);
void ks_sync_gatt_table(struct ks_change *change);
void ks_apply_input_transitions(struct ks_change *change);
uint32_t ks_connected_mask(const struct ks_state *state, uint32_t but);
bool ks_is_connected(const struct ks_state *state, uint32_t peer);

/* --- ks_gate.c --- */
/* Why no such event is heard in this state, whatever it is about; KS_NOT_REFUSED: it is. */
uint8_t ks_why_deaf(const struct ks_state *state, uint8_t kind);

/*
 * --- the events: each returns whether inputs are to be asked and the table is to follow; false: there is no need to, or
 * step->refusal says why it was refused, and then nothing has changed ---
 */
/* ks_boot.c */
bool ks_booted(struct ks_change *change, const struct ks_event *event);
/* ks_transition.c */
bool ks_connected(struct ks_change *change, const struct ks_event *event);
bool ks_disconnected(struct ks_change *change, const struct ks_event *event);
bool ks_input_changed(struct ks_change *change, const struct ks_event *event);
bool ks_button_held(struct ks_change *change, const struct ks_event *event);
bool ks_enter_proved(struct ks_change *change, const struct ks_event *event);
bool ks_leave_asked(struct ks_change *change, const struct ks_event *event);
bool ks_expired(struct ks_change *change, const struct ks_event *event);
/* ks_session.c */
bool ks_attach_proved(struct ks_change *change, const struct ks_event *event);
bool ks_extend_asked(struct ks_change *change, const struct ks_event *event);
bool ks_upload_started(struct ks_change *change, const struct ks_event *event);
bool ks_arm_asked(struct ks_change *change, const struct ks_event *event);
bool ks_arm_failed(struct ks_change *change, const struct ks_event *event);
bool ks_reset_asked(struct ks_change *change, const struct ks_event *event);
bool ks_confirm_asked(struct ks_change *change, const struct ks_event *event);
bool ks_self_confirmed(struct ks_change *change, const struct ks_event *event);
bool ks_command_served(struct ks_change *change, const struct ks_event *event);

void ks_reset_due(struct ks_change *change);
bool ks_too_insecure(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		     struct ks_refusal *refusal);
bool ks_owned_by_other(const struct ks_policy *policy, const struct ks_state *state, uint32_t peer);

/* --- small values --- */
bool ks_is_hash_size(uint32_t size);
int ks_hash_order(const struct ks_hash *one, const struct ks_hash *other);
bool ks_hash_equal(const struct ks_hash *one, const struct ks_hash *other);
bool ks_images_hold(const struct ks_images *images, const struct ks_hash *hash);
bool ks_images_equal(const struct ks_images *one, const struct ks_images *other);

static inline uint32_t ks_least(uint32_t one, uint32_t other)
{
	return (one < other) ? one : other;
}

#endif
