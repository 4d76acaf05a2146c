/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of mode consists of, whatever brought it about.
 *
 * - Leaving maintenance cleans up first: queue, reassembly, upload, arming, granted reset, session record.
 * - A trial that nobody confirmed is reverted before maintenance is left: the session is marked as ending, the device
 *   resets, and KS_BOOTED then leaves.
 * - The GATT table follows the session as the policy's strategy says.
 */
#include <string.h>

#include "ks_internal.h"

static const struct ks_opening NOBODY = {NULL, KS_NO_PEER, KS_PROOF_NONE, false};

void ks_do(struct ks_change *change, uint8_t kind, uint8_t arg, uint32_t value)
{
	struct ks_step *step = change->step;

	if (step->count >= (uint16_t)KS_MAX_EFFECTS) {
		step->overflow = true;
		return;
	}
	step->effects[step->count].kind = kind;
	step->effects[step->count].arg = arg;
	step->effects[step->count].value = value;
	step->count++;
}

void ks_do_nothing_waits(struct ks_change *change)
{
	ks_do(change, KS_DROP_QUEUED, 0u, 0u);
	ks_do(change, KS_DROP_REASSEMBLY, 0u, 0u);
}

static void stop_timer(struct ks_change *change, uint8_t timer)
{
	ks_do(change, KS_STOP_TIMER, timer, 0u);
}

/* --- time limits --- */

bool ks_limit_get(const struct ks_time_limits *limits, uint8_t timer, uint32_t *ms)
{
	for (uint8_t place = 0; place < limits->count; place++) {
		if (limits->timer[place] == timer) {
			*ms = limits->ms[place];
			return true;
		}
	}
	return false;
}

void ks_limit_set(struct ks_time_limits *limits, uint8_t timer, uint32_t ms)
{
	for (uint8_t place = 0; place < limits->count; place++) {
		if (limits->timer[place] == timer) {
			limits->ms[place] = ms;
			return;
		}
	}
	limits->timer[limits->count] = timer;
	limits->ms[limits->count] = ms;
	limits->count++;
}

void ks_mode_limits(const struct ks_mode *mode, struct ks_time_limits *limits)
{
	(void)memset(limits, 0, sizeof(*limits));
	if (mode->timeout_ms != KS_NO_LIMIT) {
		ks_limit_set(limits, KS_TIMER_TIMEOUT, mode->timeout_ms);
	}
	if (mode->lease_ms != KS_NO_LIMIT) {
		ks_limit_set(limits, KS_TIMER_LEASE, mode->lease_ms);
	}
	if ((mode->lease_max_ms != KS_NO_LIMIT) && (mode->lease_max_ms != mode->lease_ms)) {
		ks_limit_set(limits, KS_TIMER_LEASE_MAX, mode->lease_max_ms);
	}
	if (mode->idle_ms != KS_NO_LIMIT) {
		ks_limit_set(limits, KS_TIMER_IDLE, mode->idle_ms);
	}
}

uint32_t ks_idle_limit_ms(const struct ks_policy *policy, const struct ks_state *state)
{
	uint32_t own = policy->modes[state->mode].idle_ms;

	return state->has_session ? ks_least(own, state->session.idle_ms) : own;
}

/* --- changing mode --- */

/* before: the mode before; KS_NO_MODE at boot, when the caller knows nothing yet. */
void ks_arrive(struct ks_change *change, uint8_t before, const struct ks_time_limits *limits)
{
	const struct ks_policy *policy = change->policy;
	uint8_t now = change->state->mode;
	const struct ks_mode *mode = ks_mode_at(policy, now);
	bool outlives = ks_has_transition(policy, now, KS_ON_RESET);
	bool inhibit = true;
	bool persist = outlives;
	uint32_t ms;

	if (before != KS_NO_MODE) {
		const struct ks_mode *was = ks_mode_at(policy, before);
		struct ks_time_limits ran;

		ks_mode_limits(was, &ran);
		for (uint8_t place = 0; place < ran.count; place++) {
			if (!ks_limit_get(limits, ran.timer[place], &ms)) {
				stop_timer(change, ran.timer[place]);
			}
		}
		inhibit = mode->inhibits != was->inhibits;
		persist = outlives || ks_has_transition(policy, before, KS_ON_RESET);
	}
	for (uint8_t place = 0; place < limits->count; place++) {
		ks_do(change, KS_START_TIMER, limits->timer[place], limits->ms[place]);
	}
	if (inhibit) {
		ks_do(change, KS_INHIBIT, 0u, mode->inhibits);
	}
	if (persist) {
		ks_do(change, KS_PERSIST_MODE, outlives ? now : (uint8_t)KS_NO_MODE, 0u);
	}
	ks_do(change, KS_MODE_CHANGED, now, 0u);
}

/* Nothing that began in the session continues: queue, half frames, upload, granted reset, arming, record. */
static void clean_up(struct ks_change *change)
{
	struct ks_state *state = change->state;
	bool discard = state->uploading && ((change->policy->flags & KS_POLICY_KEEP_UPLOAD) == 0u);
	struct ks_time_limits own;
	uint32_t ms;

	ks_do_nothing_waits(change);
	ks_do(change, KS_DROP_UPLOAD, discard ? 1u : 0u, 0u);
	if (state->reset_pending) {
		stop_timer(change, KS_TIMER_RESET);
	}
	if (state->arming && state->armed_written) {
		ks_do(change, KS_DISARM, 0u, 0u);
	}
	/* A session of another revision of the policy may have limits that the mode has not. */
	ks_mode_limits(ks_mode_at(change->policy, state->mode), &own);
	if (!ks_limit_get(&own, KS_TIMER_LEASE, &ms)) {
		stop_timer(change, KS_TIMER_LEASE);
	}
	if (!ks_limit_get(&own, KS_TIMER_IDLE, &ms)) {
		stop_timer(change, KS_TIMER_IDLE);
	}
	stop_timer(change, KS_TIMER_TRIAL);
	ks_do(change, KS_CLEAR_SESSION_RECORD, 0u, 0u);
	state->has_session = false;
	state->uploading = false;
	state->arming = false;
	state->reset_pending = false;
}

/* Send an unconfirmed trial back, still in maintenance: by a reset that the session (or its end) survives. */
void ks_revert(struct ks_change *change, bool ending)
{
	clean_up(change);
	stop_timer(change, KS_TIMER_TIMEOUT);
	stop_timer(change, KS_TIMER_LEASE);
	stop_timer(change, KS_TIMER_LEASE_MAX);
	stop_timer(change, KS_TIMER_IDLE);
	ks_do(change, KS_WRITE_SESSION_RECORD, 0u, 0u);
	ks_do(change, KS_RESET_NOW, 0u, 0u);
	/* clean_up() has only said that there is none; what it was is still there. */
	change->state->has_session = true;
	change->state->session.ending = ending;
	change->state->down = true;
}

uint8_t ks_leave_transition(const struct ks_policy *policy, const struct ks_state *state, uint8_t mode)
{
	uint16_t failing;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (ks_may_take(policy, index, mode, KS_ON_LEAVE) && !ks_failing(policy, state, index, &failing)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

void ks_leave(struct ks_change *change)
{
	uint8_t index = ks_leave_transition(change->policy, change->state, change->state->mode);
	uint8_t target = change->policy->initial_mode;

	if (index != KS_NO_TRANSITION) {
		target = change->policy->transitions[index].target;
	}
	ks_enter_mode(change, target, index, &NOBODY);
}

static void open_session(struct ks_change *change, uint8_t transition, const struct ks_opening *opening)
{
	struct ks_session *session = &change->state->session;

	(void)memset(session, 0, sizeof(*session));
	session->transition = transition;
	session->proof = opening->proof;
	session->owner = opening->owner;
	session->idle_ms = KS_NO_LIMIT;
	if (opening->images != NULL) {
		session->images = *opening->images;
	}
	change->state->has_session = true;
}

void ks_enter_mode(struct ks_change *change, uint8_t target, uint8_t transition, const struct ks_opening *opening)
{
	struct ks_state *state = change->state;
	uint8_t before = state->mode;
	struct ks_time_limits limits;

	if (!state->has_session) {
		ks_do_nothing_waits(change);
	} else if (state->trial) {
		ks_revert(change, true);
		return;
	} else {
		clean_up(change);
		change->left = true;
	}
	if (ks_is_maintenance(change->policy, target) && (transition != KS_NO_TRANSITION)) {
		if (state->uploading || state->arming || state->reset_pending) {
			clean_up(change); /* what an unsound policy let begin outside does not continue inside */
		}
		open_session(change, transition, opening);
	}
	state->mode = target;
	ks_mode_limits(ks_mode_at(change->policy, target), &limits);
	ks_arrive(change, before, &limits);
	if (state->has_session && (change->policy->service == (uint8_t)KS_SERVICE_RECONNECT) &&
	    !state->service_shown) {
		/* Everybody must go before the table can change. */
		uint32_t connected = ks_connected_mask(state, KS_NO_PEER);

		if (connected != 0u) {
			ks_do(change, KS_END_CONNECTIONS, opening->answering ? 1u : 0u, connected);
		}
	}
}

/* --- the GATT table --- */

uint32_t ks_connected_mask(const struct ks_state *state, uint32_t but)
{
	uint32_t mask = 0u;

	for (uint8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if ((state->connections[place] != KS_NO_PEER) && (state->connections[place] != but)) {
			mask |= (uint32_t)1u << place;
		}
	}
	return mask;
}

bool ks_is_connected(const struct ks_state *state, uint32_t peer)
{
	for (uint8_t place = 0; (peer != KS_NO_PEER) && (place < (uint8_t)KS_MAX_CONNECTIONS); place++) {
		if (state->connections[place] == peer) {
			return true;
		}
	}
	return false;
}

bool ks_service_wanted(const struct ks_policy *policy, const struct ks_state *state)
{
	return state->has_session || state->first_trial || (policy->service == (uint8_t)KS_SERVICE_ALWAYS);
}

/* Everybody who is connected has to go before the service can be shown. */
bool ks_waits_for_table(const struct ks_policy *policy, const struct ks_state *state)
{
	return (policy->service == (uint8_t)KS_SERVICE_RECONNECT) && ks_service_wanted(policy, state) &&
	       !state->service_shown;
}

void ks_sync_gatt_table(struct ks_change *change)
{
	struct ks_state *state = change->state;
	bool wanted = ks_service_wanted(change->policy, state);

	if ((wanted == state->service_shown) || state->down) {
		return;
	}
	if ((change->policy->service == (uint8_t)KS_SERVICE_RECONNECT) &&
	    (ks_connected_mask(state, KS_NO_PEER) != 0u)) {
		return;
	}
	ks_do(change, KS_SHOW_SERVICE, wanted ? 1u : 0u, 0u);
	state->service_shown = wanted;
}

/* --- what inputs make true --- */

static uint8_t input_transition(const struct ks_change *change)
{
	const struct ks_policy *policy = change->policy;
	uint16_t failing;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		bool again = change->left && ks_is_maintenance(policy, policy->transitions[index].target);

		if (ks_may_take(policy, index, change->state->mode, KS_ON_INPUT) && !again &&
		    !ks_failing(policy, change->state, index, &failing)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

void ks_apply_input_transitions(struct ks_change *change)
{
	struct ks_state *state = change->state;
	uint32_t seen = (uint32_t)1u << state->mode;

	/*
	 * A mode is not entered twice in one step, and a step that has ended a session begins none: so there are at most
	 * as many rounds as modes, and one more for the session that ends.
	 */
	for (uint8_t round = 0; (round <= change->policy->mode_count) && !state->down && !state->first_trial; round++) {
		if (state->has_session && ks_must_leave(change->policy, state)) {
			ks_leave(change);
		} else {
			uint8_t index = input_transition(change);
			uint8_t target;

			if (index == KS_NO_TRANSITION) {
				return;
			}
			target = change->policy->transitions[index].target;
			if (((seen >> target) & 1u) != 0u) {
				return;
			}
			ks_enter_mode(change, target, index, &NOBODY);
		}
		seen |= (uint32_t)1u << state->mode;
	}
}
