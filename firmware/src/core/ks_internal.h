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

/* Time limits in the order in which they start. */
struct ks_time_limits {
	uint32_t ms[KS_TIMERS];
	uint8_t timer[KS_TIMERS];
	uint8_t count;
};

/* By whom a session is opened. */
struct ks_opening {
	const struct ks_images *images;
	uint32_t owner;
	uint8_t proof;
	bool answering;
};

/* --- ks_guard.c --- */
const struct ks_mode *ks_mode_at(const struct ks_policy *policy, uint8_t mode);
bool ks_is_maintenance(const struct ks_policy *policy, uint8_t mode);
bool ks_mode_allows(const struct ks_mode *mode, uint16_t group, uint8_t id, uint8_t op);
bool ks_guard_holds(const struct ks_guard *guard, const struct ks_value *value);
/* Whether transition `index` starts in `mode` by `trigger`, and may be taken (none between two maintenance modes). */
bool ks_may_take(const struct ks_policy *policy, uint8_t index, uint8_t mode, uint8_t trigger);
/* The same without that rule: whether the policy has it. */
bool ks_starts_in(const struct ks_transition *transition, uint8_t mode, uint8_t trigger);
bool ks_has_transition(const struct ks_policy *policy, uint8_t mode, uint8_t trigger);
/* The first guard of a transition that does not hold now: its place in ks_policy.guards, *failing; false: all hold. */
bool ks_failing(const struct ks_policy *policy, const struct ks_state *state, uint8_t index, uint16_t *failing);
bool ks_session_failing(const struct ks_policy *policy, const struct ks_state *state, uint16_t *failing);
bool ks_must_leave(const struct ks_policy *policy, const struct ks_state *state);
/* The least security of a peer that takes the session as its own. */
uint8_t ks_session_security(const struct ks_policy *policy, const struct ks_state *state);
bool ks_opens(const struct ks_transition *transition, uint8_t proof);
/* Whether this transition asks for all that binds a session of its target that `proof` opened. */
bool ks_as_strict(const struct ks_policy *policy, uint8_t index, uint8_t proof);

/* --- ks_refusal.c --- */
void ks_refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg);
void ks_refuse_guard(struct ks_refusal *refusal, const struct ks_policy *policy, const struct ks_state *state,
		     uint16_t guard);

/* --- ks_change.c --- */
void ks_do(struct ks_change *change, uint8_t kind, uint8_t arg, uint32_t value);
void ks_do_nothing_waits(struct ks_change *change);
void ks_limit_set(struct ks_time_limits *limits, uint8_t timer, uint32_t ms);
bool ks_limit_get(const struct ks_time_limits *limits, uint8_t timer, uint32_t *ms);
void ks_mode_limits(const struct ks_mode *mode, struct ks_time_limits *limits);
void ks_arrive(struct ks_change *change, uint8_t before, const struct ks_time_limits *limits);
void ks_leave(struct ks_change *change);
uint8_t ks_leave_transition(const struct ks_policy *policy, const struct ks_state *state, uint8_t mode);
void ks_enter_mode(struct ks_change *change, uint8_t target, uint8_t transition, const struct ks_opening *opening);
void ks_revert(struct ks_change *change, bool ending);
bool ks_service_wanted(const struct ks_policy *policy, const struct ks_state *state);
bool ks_waits_for_table(const struct ks_policy *policy, const struct ks_state *state);
void ks_sync_gatt_table(struct ks_change *change);
void ks_apply_input_transitions(struct ks_change *change);
uint32_t ks_connected_mask(const struct ks_state *state, uint32_t but);
bool ks_is_connected(const struct ks_state *state, uint32_t peer);

/* --- ks_session.c: each returns false after it has set step->refusal --- */
bool ks_attach_proved(struct ks_change *change, const struct ks_event *event);
bool ks_extend_asked(struct ks_change *change);
bool ks_upload_started(struct ks_change *change, const struct ks_event *event);
bool ks_upload_ended(struct ks_change *change);
bool ks_arm_asked(struct ks_change *change, const struct ks_event *event);
bool ks_arm_failed(struct ks_change *change);
bool ks_reset_asked(struct ks_change *change);
void ks_reset_due(struct ks_change *change);
bool ks_confirm_asked(struct ks_change *change);
bool ks_self_confirmed(struct ks_change *change);
void ks_command_served(struct ks_change *change, const struct ks_event *event);
bool ks_too_insecure(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		     struct ks_refusal *refusal);
bool ks_owned_by_other(const struct ks_policy *policy, const struct ks_state *state, uint32_t peer);

/* --- ks_transition.c --- */
bool ks_connected(struct ks_change *change, const struct ks_event *event);
void ks_disconnected(struct ks_change *change, const struct ks_event *event);
bool ks_input_changed(struct ks_change *change, const struct ks_event *event);
bool ks_button_held(struct ks_change *change, const struct ks_event *event);
bool ks_enter_proved(struct ks_change *change, const struct ks_event *event);
void ks_leave_asked(struct ks_change *change);
void ks_expired(struct ks_change *change, const struct ks_event *event);

/* --- ks_boot.c --- */
void ks_booted(struct ks_change *change, const struct ks_boot *boot);

/* --- small values --- */
bool ks_hash_equal(const struct ks_hash *one, const struct ks_hash *other);
bool ks_images_hold(const struct ks_images *images, const struct ks_hash *hash);
bool ks_images_equal(const struct ks_images *one, const struct ks_images *other);

static inline uint32_t ks_least(uint32_t one, uint32_t other)
{
	return (one < other) ? one : other;
}

#endif
