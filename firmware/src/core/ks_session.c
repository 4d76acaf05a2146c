/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to firmware (upload, arming, reset, confirmation) and to the session (attaching, its lease).
 *
 * Outside a session the policy is asked once more whether the mode serves it, so that a broken door alone changes no
 * firmware.
 */
#include "ks_internal.h"

/* Refuses, and says so. */
static bool refused(struct ks_change *change, uint8_t why)
{
	ks_refuse(&change->step->refusal, why, change->state->mode);
	return true;
}

static bool mode_allows(const struct ks_change *change, uint16_t group, uint8_t id)
{
	return ks_mode_allows(&change->policy->modes[change->state->mode], group, id, KS_OP_WRITE);
}

/* Outside a session, unless the mode itself serves it. */
static bool stray(struct ks_change *change, uint16_t group, uint8_t id)
{
	if (change->state->has_session) {
		return false;
	}
	if (ks_is_maintenance(change->policy, change->state->mode)) {
		return refused(change, KS_WHY_NOBODY_ENTERED);
	}
	return mode_allows(change, group, id) ? false : refused(change, KS_WHY_WRONG_MODE);
}

static bool no_session(struct ks_change *change)
{
	return change->state->has_session ? false : refused(change, KS_WHY_WRONG_MODE);
}

/* While a guard of the entry does not hold, a session goes on only for its upload's sake. */
static bool guard_shut(struct ks_change *change)
{
	uint16_t failing = KS_NO_GUARD;

	if (change->state->has_session) {
		failing = ks_session_failing(change->policy, change->state);
	}
	if (failing == KS_NO_GUARD) {
		return false;
	}
	ks_refuse_guard(&change->step->refusal, change->policy, change->state, failing);
	return true;
}

static bool stray_reset(struct ks_change *change)
{
	return stray(change, KS_GROUP_OS, KS_OS_RESET) || guard_shut(change);
}

/* The other slot holds what the trial would go back to. */
static bool trial_runs(struct ks_change *change)
{
	return (change->state->trial != 0u) ? refused(change, KS_WHY_TRIAL_RUNS) : false;
}

static bool application_confirms(struct ks_change *change)
{
	return (ks_confirm(change->policy) == (uint8_t)KS_CONFIRM_SELF) ? refused(change, KS_WHY_APPLICATION_CONFIRMS)
									: false;
}

static void keep_quiet(struct ks_change *change)
{
	ks_keep_quiet(change, change->state->mode);
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

	return ks_is_owned(policy, state->mode) && (owner != peer) && ks_is_connected(state, owner);
}

/* --- what happens --- */

bool ks_attach_proved(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;

	if (no_session(change) || ks_too_insecure(change->policy, state, &event->peer, &change->step->refusal)) {
		return false;
	}
	if (ks_owned_by_other(change->policy, state, event->peer.id)) {
		return !refused(change, KS_WHY_OWNER);
	}
	state->session.owner = event->peer.id;
	return true;
}

bool ks_extend_asked(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_mode *mode = &change->policy->modes[change->state->mode];

	(void)event;
	if (no_session(change)) {
		return false;
	}
	if ((mode->flags & KS_MODE_EXTENDED) == 0u) {
		return !refused(change, KS_WHY_NOT_EXTENDED);
	}
	ks_start_timer(change, KS_TIMER_LEASE, mode->limit_ms[KS_TIMER_LEASE]);
	return true;
}

bool ks_upload_started(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	uint_fast8_t pair = ks_pair(event);
	uint8_t served = mode_allows(change, KS_GROUP_IMAGE, KS_IMAGE_UPLOAD) ? KS_IMAGE_UPLOAD : KS_IMAGE_ERASE;

	if (stray(change, KS_GROUP_IMAGE, served) || trial_runs(change)) {
		return false;
	}
	if (state->uploading && (state->upload_owner != KS_NO_PEER) && (state->upload_owner != event->peer.id)) {
		return !refused(change, KS_WHY_OTHER_UPLOAD);
	}
	keep_quiet(change);
	/* What was armed is not any more: its slot is about to change. */
	if (ks_holds_pair(state->arming, pair) && ks_holds_pair(state->armed_written, pair)) {
		ks_do(change, KS_DISARM, 0u, pair);
	}
	state->uploading = true;
	state->upload_owner = event->peer.id;
	state->arming = ks_without_pair(state->arming, pair);
	return true;
}

bool ks_arm_asked(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool early = (ks_flags(change->policy) & KS_POLICY_ARM_EARLY) != 0u;
	uint_fast8_t pair = ks_pair(event);
	bool same = ks_holds_pair(state->arming, pair) && ks_hash_equal(&state->armed[pair], event->image) &&
		    (ks_holds_pair(state->armed_permanent, pair) == event->permanent);

	if (stray(change, KS_GROUP_IMAGE, KS_IMAGE_STATE) || guard_shut(change) || trial_runs(change)) {
		return false;
	}
	if (state->uploading) {
		return !refused(change, KS_WHY_UPLOAD_RUNS);
	}
	if (state->has_session && state->session.images.limited &&
	    !ks_images_hold(&state->session.images, event->image)) {
		return !refused(change, KS_WHY_NOT_IN_PERMIT);
	}
	/* To arm without a trial is to confirm. */
	if (event->permanent && application_confirms(change)) {
		return false;
	}
	if (ks_holds_pair(state->arming, pair) && !same) {
		return !refused(change, KS_WHY_OTHER_PENDING);
	}
	if ((KS_POLICY_PAIRS > 1) && ((ks_flags(change->policy) & KS_POLICY_ONE_BY_ONE) != 0u) &&
	    (ks_without_pair(state->arming, pair) != 0u)) {
		return !refused(change, KS_WHY_OTHER_PAIR);
	}
	keep_quiet(change);
	if (same && (ks_holds_pair(state->armed_written, pair) == early)) {
		return true;
	}
	state->arming = ks_with_pair(state->arming, pair, true);
	state->armed[pair] = *event->image;
	state->armed_permanent = ks_with_pair(state->armed_permanent, pair, event->permanent);
	state->armed_written = ks_with_pair(state->armed_written, pair, early);
	if (early) {
		ks_do(change, KS_WRITE_TRAILER, event->permanent ? 1u : 0u, pair);
	}
	return true;
}

/*
 * A slot is not what was armed: nothing is pending, of no pair, and a reset that was to follow does not. What was armed
 * beside it may be in flash already, and is taken back before the record is.
 */
bool ks_arm_failed(struct ks_change *change, const struct ks_event *event)
{
	if (change->state->arming != 0u) {
		ks_do_for_pairs(change, KS_DISARM, ks_without_pair(change->state->arming, ks_pair(event)));
		ks_do_plain(change, KS_CLEAR_SESSION_RECORD);
		change->state->arming = 0u;
		change->state->down = false;
	}
	return true;
}

bool ks_reset_asked(struct ks_change *change, const struct ks_event *event)
{
	(void)event;
	if (stray_reset(change)) {
		return false;
	}
	keep_quiet(change);
	if (!change->state->reset_pending) {
		ks_start_timer(change, KS_TIMER_RESET, KS_RESET_DELAY_MS);
		change->state->reset_pending = true;
	}
	return true;
}

/* The granted reset. The record is in flash before any trailer is: no new image starts without its session. */
void ks_reset_due(struct ks_change *change)
{
	struct ks_state *state = change->state;

	if (!state->reset_pending) {
		return;
	}
	state->reset_pending = false;
	if (stray_reset(change)) {
		ks_refuse(&change->step->refusal, KS_NOT_REFUSED, 0u); /* the reset is off; the event was none to refuse */
		return;
	}
	/* Without an image that was armed, the bootloader reverts a trial now; the session sees it through. */
	if (state->has_session && ((state->arming | state->trial) != 0u)) {
		ks_do(change, KS_WRITE_SESSION_RECORD, state->arming, 0u);
	}
	ks_do_for_pairs(change, KS_WRITE_TRAILER, ks_without(state->arming, state->armed_written));
	ks_do_nothing_waits(change);
	ks_reset_now(change);
}

/* These stay. The trial is over when nothing is on trial any more; until then its deadline runs on. */
static void confirm(struct ks_change *change, ks_pairs pairs)
{
	struct ks_state *state = change->state;
	bool first = state->first_trial;

	pairs &= state->trial;
	if (pairs == 0u) {
		return;
	}
	ks_do_for_pairs(change, KS_CONFIRM_IMAGE, pairs);
	state->trial = ks_without(state->trial, pairs);
	if (state->trial != 0u) {
		return;
	}
	ks_do(change, KS_STOP_TIMER, KS_TIMER_TRIAL, 0u);
	state->first_trial = false;
	if (first) {
		ks_arrive_as_new(change); /* from here on, a device like any other */
	}
}

bool ks_confirm_asked(struct ks_change *change, const struct ks_event *event)
{
	/* The first image with this gate is confirmed without a session. */
	if ((!change->state->first_trial && stray(change, KS_GROUP_IMAGE, KS_IMAGE_STATE)) ||
	    application_confirms(change)) {
		return false;
	}
	keep_quiet(change);
	confirm(change, ks_pair_bit(ks_pair(event)));
	return true;
}

bool ks_self_confirmed(struct ks_change *change, const struct ks_event *event)
{
	(void)event;
	if (ks_confirm(change->policy) == (uint8_t)KS_CONFIRM_OPERATOR) {
		return !refused(change, KS_WHY_OPERATOR_CONFIRMS);
	}
	confirm(change, (ks_pairs)0xFFu);
	return true;
}

/* Somebody is at work: in an owned session its owner, else anybody. */
bool ks_command_served(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_state *state = change->state;

	if (!state->has_session || !ks_is_owned(change->policy, state->mode) ||
	    (state->session.owner == event->peer.id)) {
		ks_start_idle(change);
	}
	return false;
}
