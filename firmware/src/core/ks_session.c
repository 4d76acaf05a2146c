/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to firmware (upload, arming, reset, confirmation) and to the session (attaching, its lease).
 *
 * Outside a session the policy is asked once more whether the mode serves it, so that a broken door alone changes no
 * firmware.
 */
#include "ks_internal.h"

/* Sets the refusal and says so. */
static bool refuse(struct ks_change *change, uint8_t why, uint8_t arg)
{
	ks_refuse(&change->step->refusal, why, arg);
	return true;
}

static bool mode_allows(const struct ks_change *change, uint16_t group, uint8_t id)
{
	return ks_mode_allows(ks_mode_at(change->policy, change->state->mode), group, id, KS_OP_WRITE);
}

/* Outside a session, unless the mode itself serves it. */
static bool stray(struct ks_change *change, bool served)
{
	if (change->state->has_session) {
		return false;
	}
	if (ks_is_maintenance(change->policy, change->state->mode)) {
		return refuse(change, KS_WHY_NOBODY_ENTERED, 0u);
	}
	return served ? false : refuse(change, KS_WHY_WRONG_MODE, change->state->mode);
}

static bool stray_state_write(struct ks_change *change)
{
	return stray(change, mode_allows(change, KS_GROUP_IMAGE, KS_IMAGE_STATE));
}

static bool stray_reset(struct ks_change *change)
{
	return stray(change, mode_allows(change, KS_GROUP_OS, KS_OS_RESET));
}

static bool no_session(struct ks_change *change)
{
	return change->state->has_session ? false : refuse(change, KS_WHY_WRONG_MODE, change->state->mode);
}

/* While a guard of the entry does not hold, a session goes on only for its upload's sake. */
static bool guard_shut(struct ks_change *change)
{
	uint16_t failing;

	if (!change->state->has_session || !ks_session_failing(change->policy, change->state, &failing)) {
		return false;
	}
	ks_refuse_guard(&change->step->refusal, change->policy, change->state, failing);
	return true;
}

/* The other slot holds what the trial would go back to. */
static bool trial_runs(struct ks_change *change)
{
	return change->state->trial ? refuse(change, KS_WHY_TRIAL_RUNS, 0u) : false;
}

bool ks_too_insecure(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		     struct ks_refusal *refusal)
{
	uint8_t needed = ks_session_security(policy, state);

	if (peer->security >= needed) {
		return false;
	}
	ks_refuse(refusal, KS_WHY_SECURITY, needed);
	return true;
}

/* Whether an owner who is still connected keeps this peer out. */
bool ks_owned_by_other(const struct ks_policy *policy, const struct ks_state *state, uint32_t peer)
{
	uint32_t owner = state->session.owner;
	bool exclusive = (policy->modes[state->mode].flags & KS_MODE_OWNED) != 0u;

	return exclusive && (owner != KS_NO_PEER) && (owner != peer) && ks_is_connected(state, owner);
}

/* --- what happens; false: refused, and nothing has changed --- */

bool ks_attach_proved(struct ks_change *change, const struct ks_event *event)
{
	struct ks_refusal *refusal = &change->step->refusal;

	if (no_session(change) || ks_too_insecure(change->policy, change->state, &event->peer, refusal)) {
		return false;
	}
	if (ks_owned_by_other(change->policy, change->state, event->peer.id)) {
		return !refuse(change, KS_WHY_OWNER, 0u);
	}
	change->state->session.owner = event->peer.id;
	return true;
}

bool ks_extend_asked(struct ks_change *change)
{
	const struct ks_mode *mode = ks_mode_at(change->policy, change->state->mode);

	if (no_session(change)) {
		return false;
	}
	/* A lease that is as long as the limit of all extensions has none. */
	if ((mode->lease_ms == KS_NO_LIMIT) || (mode->lease_ms == mode->lease_max_ms)) {
		return !refuse(change, KS_WHY_NOT_EXTENDED, 0u);
	}
	ks_do(change, KS_START_TIMER, KS_TIMER_LEASE, mode->lease_ms);
	return true;
}

bool ks_upload_started(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool served = mode_allows(change, KS_GROUP_IMAGE, KS_IMAGE_UPLOAD) ||
		      mode_allows(change, KS_GROUP_IMAGE, KS_IMAGE_ERASE);

	if (stray(change, served) || trial_runs(change)) {
		return false;
	}
	if (state->uploading && (state->upload_owner != KS_NO_PEER) && (state->upload_owner != event->peer.id)) {
		return !refuse(change, KS_WHY_OTHER_UPLOAD, 0u);
	}
	/* What was armed is not any more: its slot is about to change. */
	if (state->arming && state->armed_written) {
		ks_do(change, KS_DISARM, 0u, 0u);
	}
	state->uploading = true;
	state->upload_owner = event->peer.id;
	state->arming = false;
	return true;
}

bool ks_upload_ended(struct ks_change *change)
{
	change->state->uploading = false;
	return true;
}

bool ks_arm_asked(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool early = (change->policy->flags & KS_POLICY_ARM_EARLY) != 0u;
	bool same = state->arming && ks_hash_equal(&state->armed, event->image) &&
		    (state->armed_permanent == event->permanent);

	if (stray_state_write(change) || guard_shut(change) || trial_runs(change)) {
		return false;
	}
	if (state->uploading) {
		return !refuse(change, KS_WHY_UPLOAD_RUNS, 0u);
	}
	if (state->has_session && state->session.images.limited &&
	    !ks_images_hold(&state->session.images, event->image)) {
		return !refuse(change, KS_WHY_NOT_IN_PERMIT, 0u);
	}
	/* To arm without a trial is to confirm. */
	if (event->permanent && (change->policy->confirm == (uint8_t)KS_CONFIRM_SELF)) {
		return !refuse(change, KS_WHY_APPLICATION_CONFIRMS, 0u);
	}
	if (state->arming && !same) {
		return !refuse(change, KS_WHY_OTHER_PENDING, 0u);
	}
	if (same && (state->armed_written == early)) {
		return true;
	}
	if (early) {
		ks_do(change, KS_WRITE_TRAILER, event->permanent ? 1u : 0u, 0u);
	}
	state->arming = true;
	state->armed = *event->image;
	state->armed_permanent = event->permanent;
	state->armed_written = early;
	return true;
}

/* The slot is not what was armed: nothing is pending, and a reset that was to follow does not. */
bool ks_arm_failed(struct ks_change *change)
{
	if (change->state->arming) {
		ks_do(change, KS_CLEAR_SESSION_RECORD, 0u, 0u);
		change->state->arming = false;
		change->state->down = false;
	}
	return true;
}

bool ks_reset_asked(struct ks_change *change)
{
	if (stray_reset(change) || guard_shut(change)) {
		return false;
	}
	if (!change->state->reset_pending) {
		ks_do(change, KS_START_TIMER, KS_TIMER_RESET, KS_RESET_DELAY_MS);
		change->state->reset_pending = true;
	}
	return true;
}

/* The granted reset. The record is in flash before the trailer is: no new image starts without its session. */
void ks_reset_due(struct ks_change *change)
{
	struct ks_state *state = change->state;

	if (!state->reset_pending) {
		return;
	}
	state->reset_pending = false;
	if (stray_reset(change) || guard_shut(change)) {
		ks_refuse(&change->step->refusal, KS_NOT_REFUSED, 0u); /* the reset is off; the event was none to refuse */
		return;
	}
	if (state->arming) {
		if (state->has_session) {
			ks_do(change, KS_WRITE_SESSION_RECORD, 1u, 0u);
		}
		if (!state->armed_written) {
			ks_do(change, KS_WRITE_TRAILER, state->armed_permanent ? 1u : 0u, 0u);
		}
	} else if (state->trial && state->has_session) {
		/* The bootloader reverts now; the session sees it through. */
		ks_do(change, KS_WRITE_SESSION_RECORD, 0u, 0u);
	} else {
		/* nothing is carried across it */
	}
	ks_do_nothing_waits(change);
	ks_do(change, KS_RESET_NOW, 0u, 0u);
	state->down = true;
}

static void confirm(struct ks_change *change)
{
	struct ks_state *state = change->state;
	bool first = state->first_trial;

	if (!state->trial) {
		return;
	}
	ks_do(change, KS_CONFIRM_IMAGE, 0u, 0u);
	ks_do(change, KS_STOP_TIMER, KS_TIMER_TRIAL, 0u);
	state->trial = false;
	state->first_trial = false;
	if (first) {
		struct ks_time_limits limits;

		ks_mode_limits(ks_mode_at(change->policy, state->mode), &limits);
		ks_arrive(change, KS_NO_MODE, &limits); /* from here on, a device like any other */
	}
}

bool ks_confirm_asked(struct ks_change *change)
{
	/* The first image with this gate is confirmed without a session. */
	if (!change->state->first_trial && stray_state_write(change)) {
		return false;
	}
	if (change->policy->confirm == (uint8_t)KS_CONFIRM_SELF) {
		return !refuse(change, KS_WHY_APPLICATION_CONFIRMS, 0u);
	}
	confirm(change);
	return true;
}

bool ks_self_confirmed(struct ks_change *change)
{
	if (change->policy->confirm == (uint8_t)KS_CONFIRM_OPERATOR) {
		return !refuse(change, KS_WHY_OPERATOR_CONFIRMS, 0u);
	}
	confirm(change);
	return true;
}

/* Somebody is at work: in an owned session its owner, else anybody. */
void ks_command_served(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_state *state = change->state;
	uint32_t idle_ms = ks_idle_limit_ms(change->policy, state);
	bool owned = state->has_session && ((change->policy->modes[state->mode].flags & KS_MODE_OWNED) != 0u);

	if ((idle_ms != KS_NO_LIMIT) && (!owned || (state->session.owner == event->peer.id))) {
		ks_do(change, KS_START_TIMER, KS_TIMER_IDLE, idle_ms);
	}
}
