/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coming up. Only here does a session go on that began before a reset.
 *
 * what was found                                    where the device comes up
 * a record that fits, and it was not ending         the record's mode: the session goes on
 * a record that fits, ending                        where that session leaves to, never into another maintenance mode
 * a trial, and a store that was never written       the initial mode, in the first trial: once, if it has a deadline
 * anything else, the running image on trial         nowhere: it resets, and the bootloader reverts
 * anything else                                     where a transition on reset leads, else the initial mode
 */
#include <string.h>

#include <keyswitch/ks_record.h>

#include "ks_internal.h"

/* The transition that the record says has opened the session; means something under the record's own policy alone. */
static uint8_t transition_of(const struct ks_policy *policy, const struct ks_record *record)
{
	for (uint8_t index = 0; record->has_entry && (index < policy->transition_count); index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if ((transition->target == record->mode) && ks_opens(transition, record->proof) &&
		    (memcmp(transition->entry, record->entry, KS_ENTRY_SIZE) == 0)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

static bool led_into(const struct ks_policy *policy, uint8_t mode)
{
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (policy->transitions[index].target == mode) {
			return true;
		}
	}
	return false;
}

/* Whether the record is for this policy, and the boot it expected is the one that happened. */
static bool fits(const struct ks_policy *policy, const struct ks_boot *boot)
{
	const struct ks_record *record = boot->record;

	if ((record == NULL) || (record->mode >= policy->mode_count) || !ks_is_maintenance(policy, record->mode) ||
	    !led_into(policy, record->mode)) {
		return false;
	}
	if (record->own_policy && record->has_entry && (transition_of(policy, record) == KS_NO_TRANSITION)) {
		return false; /* it names a mode that its transition does not lead into */
	}
	if (!record->has_expected) {
		return record->own_policy && !boot->trial;
	}
	return ks_hash_equal(&boot->running, &record->expected);
}

/* The transition that opened the session; under another policy, one that asks for all that binds it, if there is one. */
static uint8_t binding_transition(const struct ks_policy *policy, const struct ks_record *record)
{
	if (record->own_policy) {
		uint8_t known = transition_of(policy, record);

		if (known != KS_NO_TRANSITION) {
			return known;
		}
	}
	for (uint8_t turn = 0; turn < 2u; turn++) {
		for (uint8_t index = 0; index < policy->transition_count; index++) {
			const struct ks_transition *transition = &policy->transitions[index];

			if ((transition->target == record->mode) &&
			    (ks_opens(transition, record->proof) == (turn == 0u)) &&
			    ks_as_strict(policy, index, record->proof)) {
				return index;
			}
		}
	}
	return KS_NO_TRANSITION;
}

static void shorten(struct ks_time_limits *limits, uint8_t timer, uint32_t left_ms)
{
	uint32_t ms = KS_NO_LIMIT;

	(void)ks_limit_get(limits, timer, &ms);
	ks_limit_set(limits, timer, ks_least(ms, left_ms));
}

/* The mode's time limits, each shortened to what the record says was left: a record cannot lengthen one. */
static void remaining_limits(const struct ks_change *change, const struct ks_record *record,
			     struct ks_time_limits *limits)
{
	const struct ks_mode *mode = ks_mode_at(change->policy, change->state->mode);
	const uint8_t timers[] = {KS_TIMER_LEASE, KS_TIMER_LEASE_MAX, KS_TIMER_TIMEOUT};
	uint32_t left_ms[] = {record->lease_ms, record->lease_max_ms, record->timeout_ms};
	uint32_t idle_ms = ks_least(mode->idle_ms, record->idle_ms);
	uint32_t trial_ms = ks_least(change->policy->trial_deadline_ms, record->trial_ms);
	uint32_t ms;

	ks_mode_limits(mode, limits);
	if (!record->own_policy && !ks_limit_get(limits, KS_TIMER_TIMEOUT, &ms)) {
		/* What was left of a time limit that the mode has not any more counts as the lease. */
		left_ms[0] = ks_least(left_ms[0], left_ms[2]);
	}
	for (uint8_t place = 0; place < 3u; place++) {
		bool has = ks_limit_get(limits, timers[place], &ms);
		bool known = left_ms[place] != KS_NO_LIMIT;

		if (record->own_policy) {
			if (has) {
				/* A record that does not say what is left of it is not trusted with any. */
				shorten(limits, timers[place], known ? left_ms[place] : 0u);
			}
		} else if (known && (has || (timers[place] == (uint8_t)KS_TIMER_LEASE))) {
			shorten(limits, timers[place], left_ms[place]);
		} else {
			/* neither side has it */
		}
	}
	if (idle_ms != KS_NO_LIMIT) {
		ks_limit_set(limits, KS_TIMER_IDLE, idle_ms);
	}
	if (change->state->trial && (trial_ms != KS_NO_LIMIT)) {
		ks_limit_set(limits, KS_TIMER_TRIAL, trial_ms);
	}
}

static void go_on(struct ks_change *change, const struct ks_record *record)
{
	struct ks_state *state = change->state;
	uint32_t own_ms = change->policy->modes[record->mode].idle_ms;
	uint32_t idle_ms = ks_least(own_ms, record->idle_ms);
	struct ks_time_limits limits;

	state->mode = record->mode;
	state->has_session = true;
	state->session.transition = binding_transition(change->policy, record);
	state->session.proof = record->proof;
	state->session.images = record->images;
	state->session.idle_ms = (idle_ms == own_ms) ? KS_NO_LIMIT : idle_ms;
	remaining_limits(change, record, &limits);
	ks_arrive(change, KS_NO_MODE, &limits);
}

/* The image may be looked at and confirmed; the application must not do what any maintenance forbids it. */
static void first_trial(struct ks_change *change)
{
	const struct ks_policy *policy = change->policy;
	uint32_t inhibits = policy->modes[change->state->mode].inhibits;

	for (uint8_t mode = 0; mode < policy->mode_count; mode++) {
		if (ks_is_maintenance(policy, mode)) {
			inhibits |= policy->modes[mode].inhibits;
		}
	}
	ks_do(change, KS_START_TIMER, KS_TIMER_TRIAL, policy->trial_deadline_ms);
	ks_do(change, KS_INHIBIT, 0u, inhibits);
	ks_do(change, KS_MODE_CHANGED, change->state->mode, 0u);
	change->state->first_trial = true;
}

static uint8_t transition_on_reset(const struct ks_policy *policy, const struct ks_state *state, uint8_t mode_before)
{
	uint16_t failing;

	for (uint8_t index = 0; (mode_before < policy->mode_count) && (index < policy->transition_count); index++) {
		if (ks_may_take(policy, index, mode_before, KS_ON_RESET) &&
		    !ks_failing(policy, state, index, &failing)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

static void come_up(struct ks_change *change, const struct ks_record *ended, uint8_t mode_before)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	struct ks_time_limits limits;
	uint8_t index;

	if (ended != NULL) {
		change->left = true;
		index = ks_leave_transition(policy, state, ended->mode);
	} else {
		index = transition_on_reset(policy, state, mode_before);
	}
	if (index != KS_NO_TRANSITION) {
		state->mode = policy->transitions[index].target;
		if (ks_is_maintenance(policy, state->mode)) {
			state->has_session = true;
			state->session.transition = index;
		}
	}
	ks_mode_limits(ks_mode_at(policy, state->mode), &limits);
	ks_arrive(change, KS_NO_MODE, &limits);
}

void ks_booted(struct ks_change *change, const struct ks_boot *boot)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	const struct ks_record *record = fits(policy, boot) ? boot->record : NULL;

	/* Nothing of the state before counts. */
	ks_state_init(policy, state);
	state->down = false;
	state->trial = boot->trial;
	for (uint8_t input = 0; (boot->inputs != NULL) && (input < policy->input_count); input++) {
		state->inputs[input] = boot->inputs[input];
	}
	if (boot->blank) {
		ks_do(change, KS_MARK_STORE, 0u, 0u);
	}
	if ((record != NULL) && !record->ending) {
		go_on(change, record);
	} else if (boot->trial && boot->blank && (boot->record == NULL) && (policy->trial_deadline_ms != KS_NO_LIMIT)) {
		first_trial(change);
	} else if (boot->trial) {
		/* Started outside a session (an image that armed itself, a power cut after early arming): it does not stay. */
		ks_do(change, KS_RESET_NOW, 0u, 0u);
		state->down = true;
	} else {
		come_up(change, record, boot->mode_before);
	}
}
