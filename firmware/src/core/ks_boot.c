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

/* The transition that the record says has opened the session; it can say so under its own policy alone. */
static uint_fast8_t transition_of(const struct ks_policy *policy, const struct ks_record *record)
{
	for (uint_fast8_t index = 0; record->own_policy && record->has_entry && (index < ks_transition_count(policy)); index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if ((transition->target == record->mode) && ks_opens(transition, record->proof) &&
		    (memcmp(transition->entry, record->entry, KS_ENTRY_SIZE) == 0)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

static bool led_into(const struct ks_policy *policy, uint_fast8_t mode)
{
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		if (policy->transitions[index].target == mode) {
			return true;
		}
	}
	return false;
}

/*
 * Whether each image that the record names runs, and nothing else is on trial. Of a pair that is only copied nobody can
 * read what runs: there the image must be gone from the other slot, so that the bootloader has taken it.
 */
static bool began(const struct ks_policy *policy, const struct ks_boot *boot)
{
	const struct ks_record *record = boot->record;

	for (uint_fast8_t pair = 0; pair < (uint8_t)KS_POLICY_PAIRS; pair++) {
		bool is_copied = (KS_POLICY_PAIRS > 1) && ks_holds_pair((ks_pairs)policy->copied, pair);

		if ((KS_POLICY_PAIRS > 1) && !ks_holds_pair(record->has_expected, pair)) {
			if (ks_holds_pair(boot->trial, pair)) {
				return false;
			}
		} else if (ks_hash_equal(&boot->running[pair], &record->expected[pair]) == is_copied) {
			return false;
		} else {
			/* it has begun */
		}
	}
	return true;
}

/* Whether the record is for this policy, and the boot it expected is the one that happened. */
static bool fits(const struct ks_policy *policy, const struct ks_boot *boot)
{
	const struct ks_record *record = boot->record;

	if ((record == NULL) || (record->mode >= ks_mode_count(policy)) || !ks_is_maintenance(policy, record->mode) ||
	    !led_into(policy, record->mode)) {
		return false;
	}
	if (record->own_policy && record->has_entry && (transition_of(policy, record) == KS_NO_TRANSITION)) {
		return false; /* it names a mode that its transition does not lead into */
	}
	if (record->has_expected == 0u) {
		return record->own_policy && (boot->trial == 0u);
	}
	return began(policy, boot);
}

/* The transition that opened the session; under another policy, one that asks for all that binds it, if there is one. */
static uint_fast8_t binding_transition(const struct ks_policy *policy, const struct ks_record *record)
{
	uint_fast8_t found = transition_of(policy, record);

	/* First those that its proof opens. */
	for (uint_fast8_t opens = 2u; opens > 0u; opens--) {
		for (uint_fast8_t index = 0; (found == KS_NO_TRANSITION) && (index < ks_transition_count(policy)); index++) {
			const struct ks_transition *transition = &policy->transitions[index];

			if ((transition->target == record->mode) &&
			    (ks_opens(transition, record->proof) == (opens == 2u)) &&
			    ks_as_strict(policy, index, record->proof)) {
				found = index;
			}
		}
	}
	return found;
}

/*
 * The mode's time limits, each shortened to what the record says was left: a record cannot lengthen one. Under another
 * policy a limit that either side has counts; what was left of a time limit of the mode's own, where the mode has none any
 * more, counts as the lease.
 */
static void remaining_limits(const struct ks_mode *mode, const struct ks_record *record,
			     uint32_t limit_ms[KS_MODE_LIMITS])
{
	uint32_t lease_ms = record->left_ms[KS_TIMER_LEASE];

	if (!record->own_policy && (mode->limit_ms[KS_TIMER_TIMEOUT] == KS_NO_LIMIT)) {
		lease_ms = ks_least(lease_ms, record->left_ms[KS_TIMER_TIMEOUT]);
	}
	for (uint_fast8_t timer = 0; timer < KS_MODE_LIMITS; timer++) {
		uint32_t own_ms = mode->limit_ms[timer];
		uint32_t left_ms = (timer == (uint8_t)KS_TIMER_LEASE) ? lease_ms : record->left_ms[timer];
		bool counts = (own_ms != KS_NO_LIMIT) || (timer == (uint8_t)KS_TIMER_IDLE) ||
			      (!record->own_policy && (timer == (uint8_t)KS_TIMER_LEASE));

		if (record->own_policy && (left_ms == KS_NO_LIMIT) && (timer != (uint8_t)KS_TIMER_IDLE)) {
			left_ms = 0u; /* a record that does not say what is left of it is not trusted with any */
		}
		limit_ms[timer] = counts ? ks_least(own_ms, left_ms) : KS_NO_LIMIT;
	}
}

static void go_on(struct ks_change *change, const struct ks_record *record)
{
	struct ks_state *state = change->state;
	const struct ks_mode *mode = &change->policy->modes[record->mode];
	uint32_t limit_ms[KS_MODE_LIMITS];

	remaining_limits(mode, record, limit_ms);
	state->mode = record->mode;
	state->has_session = true;
	state->session.transition = (uint8_t)binding_transition(change->policy, record);
	state->session.proof = record->proof;
	state->session.images = record->images;
	if (limit_ms[KS_TIMER_IDLE] != mode->limit_ms[KS_TIMER_IDLE]) {
		state->session.idle_ms = limit_ms[KS_TIMER_IDLE];
	}
	if (state->trial != 0u) {
		ks_start_timer(change, KS_TIMER_TRIAL,
			       ks_least(change->policy->trial_deadline_ms, record->left_ms[KS_TIMER_TRIAL]));
	}
	ks_arrive(change, KS_NO_MODE, limit_ms);
}

/* The image may be looked at and confirmed; the application must not do what any maintenance forbids it. */
static void first_trial(struct ks_change *change)
{
	const struct ks_policy *policy = change->policy;
	uint_fast8_t now = change->state->mode;
	uint32_t inhibits = 0u;

	for (uint_fast8_t mode = 0; mode < ks_mode_count(policy); mode++) {
		if ((mode == now) || ks_is_maintenance(policy, mode)) {
			inhibits |= policy->modes[mode].inhibits;
		}
	}
	ks_start_timer(change, KS_TIMER_TRIAL, policy->trial_deadline_ms);
	ks_do(change, KS_INHIBIT, 0u, inhibits);
	ks_do(change, KS_MODE_CHANGED, now, 0u);
	change->state->first_trial = true;
}

static void come_up(struct ks_change *change, const struct ks_record *ended, uint8_t mode_before)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	uint_fast8_t index = KS_NO_TRANSITION;

	if (ended != NULL) {
		change->left = true;
		index = ks_leave_transition(change, ended->mode);
	} else if (KS_HAS_ON_RESET && (mode_before < ks_mode_count(policy))) {
		index = ks_first_open(change, mode_before, KS_ON_RESET);
	} else {
		/* the initial mode */
	}
	if (index != KS_NO_TRANSITION) {
		state->mode = policy->transitions[index].target;
		state->has_session = ks_is_maintenance(policy, state->mode);
		state->session.transition = (uint8_t)index;
	}
	ks_arrive_as_new(change);
}

bool ks_booted(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_boot *boot = event->boot;
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	const struct ks_record *record = fits(policy, boot) ? boot->record : NULL;

	/* Nothing of the state before counts. */
	ks_state_init(policy, state);
	state->down = false;
	state->trial = boot->trial;
	if (boot->inputs != NULL) {
		(void)memcpy(state->inputs, boot->inputs, ks_input_count(policy) * sizeof(state->inputs[0]));
	}
	if (boot->blank) {
		ks_do_plain(change, KS_MARK_STORE);
	}
	if (record != NULL) {
		ks_keep_quiet(change, record->mode); /* the reset was a command of it, or its revert */
	}
	if ((record != NULL) && !record->ending) {
		go_on(change, record);
	} else if (boot->trial == 0u) {
		come_up(change, record, boot->mode_before);
	} else if (boot->blank && (boot->record == NULL) && (policy->trial_deadline_ms != KS_NO_LIMIT)) {
		first_trial(change);
	} else {
		/* Started outside a session (an image that armed itself, a power cut after early arming): it does not stay. */
		ks_reset_now(change);
	}
	return true;
}
