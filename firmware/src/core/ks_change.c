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

void ks_do(struct ks_change *change, uint_fast8_t kind, uint_fast8_t arg, uint32_t value)
{
	struct ks_step *step = change->step;
	struct ks_effect *effect = &step->effects[step->count];

	if (step->count >= (uint16_t)KS_MAX_EFFECTS) {
		step->overflow = true;
		return;
	}
	effect->kind = (uint8_t)kind;
	effect->arg = (uint8_t)arg;
	effect->value = value;
	step->count++;
}

void ks_do_plain(struct ks_change *change, uint_fast8_t kind)
{
	ks_do(change, kind, 0u, 0u);
}

#if KS_POLICY_PAIRS > 1
void ks_do_for_pairs(struct ks_change *change, uint_fast8_t kind, ks_pairs pairs)
{
	for (uint_fast8_t pair = 0; pair < (uint8_t)KS_POLICY_PAIRS; pair++) {
		if (ks_holds_pair(pairs, pair)) {
			uint_fast8_t permanent = 0u;

			if (kind == (uint8_t)KS_WRITE_TRAILER) {
				permanent = ks_holds_pair(change->state->armed_permanent, pair) ? 1u : 0u;
			}
			ks_do(change, kind, permanent, pair);
		}
	}
}
#endif

void ks_do_nothing_waits(struct ks_change *change)
{
	ks_do_plain(change, KS_DROP_QUEUED);
	ks_do_plain(change, KS_DROP_REASSEMBLY);
}

void ks_start_timer(struct ks_change *change, uint_fast8_t timer, uint32_t ms)
{
	if (ms != KS_NO_LIMIT) {
		ks_do(change, KS_START_TIMER, timer, ms);
	}
}

static void stop_timer(struct ks_change *change, uint_fast8_t timer)
{
	ks_do(change, KS_STOP_TIMER, timer, 0u);
}

/* --- time limits --- */

uint32_t ks_idle_limit_ms(const struct ks_policy *policy, const struct ks_state *state)
{
	uint32_t own = policy->modes[state->mode].limit_ms[KS_TIMER_IDLE];

	return state->has_session ? ks_least(own, state->session.idle_ms) : own;
}

void ks_start_idle(struct ks_change *change)
{
	ks_start_timer(change, KS_TIMER_IDLE, ks_idle_limit_ms(change->policy, change->state));
}

/* --- what stays inhibited --- */

/* What stays inhibited already does so at least as long: the machine knows no clock, and lets nothing go too early. */
void ks_keep_quiet(struct ks_change *change, uint_fast8_t mode)
{
#if KS_HAS_QUIET
	const struct ks_mode *worked_on = &change->policy->modes[mode];
	struct ks_state *state = change->state;

	if (worked_on->quiet_ms == 0u) {
		return;
	}
	if (worked_on->quiet_ms > state->quiet_ms) {
		state->quiet_ms = worked_on->quiet_ms;
	}
	state->quiet |= worked_on->inhibits;
	ks_start_timer(change, KS_TIMER_QUIET, state->quiet_ms);
#else
	(void)change;
	(void)mode;
#endif
}

static uint32_t quiet(const struct ks_state *state)
{
#if KS_HAS_QUIET
	return state->quiet;
#else
	(void)state;
	return 0u;
#endif
}

#if KS_HAS_QUIET
/* From here on the mode alone says what is inhibited. */
void ks_end_quiet(struct ks_change *change)
{
	struct ks_state *state = change->state;
	uint32_t inhibits = change->policy->modes[state->mode].inhibits;
	bool more = (state->quiet & ~inhibits) != 0u;

	state->quiet = 0u;
	state->quiet_ms = 0u;
	if (more) {
		ks_do(change, KS_INHIBIT, 0u, inhibits);
	}
}
#endif

/* --- changing mode --- */

void ks_arrive(struct ks_change *change, uint_fast8_t before, const uint32_t limit_ms[KS_MODE_LIMITS])
{
	const struct ks_policy *policy = change->policy;
	uint_fast8_t now = change->state->mode;
	uint32_t inhibits = policy->modes[now].inhibits | quiet(change->state);
	bool inhibit = true;

	if (before != KS_NO_MODE) {
		const struct ks_mode *was = &policy->modes[before];

		for (uint_fast8_t timer = 0; timer < KS_MODE_LIMITS; timer++) {
			if ((was->limit_ms[timer] != KS_NO_LIMIT) && (limit_ms[timer] == KS_NO_LIMIT)) {
				stop_timer(change, timer);
			}
		}
		inhibit = inhibits != (was->inhibits | quiet(change->state));
	}
	for (uint_fast8_t timer = 0; timer < KS_MODE_LIMITS; timer++) {
		ks_start_timer(change, timer, limit_ms[timer]);
	}
	if (inhibit) {
		ks_do(change, KS_INHIBIT, 0u, inhibits);
	}
	if (KS_HAS_ON_RESET) {
		bool outlives = ks_has_transition(policy, now, KS_ON_RESET);

		if (outlives || ((before != KS_NO_MODE) && ks_has_transition(policy, before, KS_ON_RESET))) {
			ks_do(change, KS_PERSIST_MODE, outlives ? now : (uint_fast8_t)KS_NO_MODE, 0u);
		}
	}
	ks_do(change, KS_MODE_CHANGED, now, 0u);
}

void ks_arrive_as_new(struct ks_change *change)
{
	ks_arrive(change, KS_NO_MODE, change->policy->modes[change->state->mode].limit_ms);
}

/* Nothing that began in the session continues: queue, half frames, upload, granted reset, arming, record. */
static void clean_up(struct ks_change *change)
{
	struct ks_state *state = change->state;
	const uint32_t *own_ms = change->policy->modes[state->mode].limit_ms;
	bool discard = state->uploading && ((ks_flags(change->policy) & KS_POLICY_KEEP_UPLOAD) == 0u);

	ks_do_nothing_waits(change);
	ks_do(change, KS_DROP_UPLOAD, discard ? 1u : 0u, 0u);
	if (state->reset_pending) {
		stop_timer(change, KS_TIMER_RESET);
	}
	ks_do_for_pairs(change, KS_DISARM, (ks_pairs)(state->arming & state->armed_written));
	/* A session of another revision of the policy may have limits that the mode has not. */
	for (uint_fast8_t timer = KS_TIMER_LEASE; timer <= (uint8_t)KS_TIMER_IDLE; timer += KS_TIMER_IDLE - KS_TIMER_LEASE) {
		if (own_ms[timer] == KS_NO_LIMIT) {
			stop_timer(change, timer);
		}
	}
	stop_timer(change, KS_TIMER_TRIAL);
	ks_do_plain(change, KS_CLEAR_SESSION_RECORD);
	state->has_session = false;
	state->uploading = false;
	state->arming = 0u;
	state->reset_pending = false;
}

void ks_reset_now(struct ks_change *change)
{
	ks_do_plain(change, KS_RESET_NOW);
	change->state->down = true;
}

/* Send an unconfirmed trial back, still in maintenance: by a reset that the session (or its end) survives. */
void ks_revert(struct ks_change *change, bool ending)
{
	clean_up(change);
	for (uint_fast8_t timer = 0; timer < KS_MODE_LIMITS; timer++) {
		stop_timer(change, timer);
	}
	ks_do_plain(change, KS_WRITE_SESSION_RECORD);
	ks_reset_now(change);
	/* clean_up() has only said that there is none; what it was is still there. */
	change->state->has_session = true;
	change->state->session.ending = ending;
}

void ks_leave(struct ks_change *change)
{
	ks_enter_mode(change, ks_leave_transition(change, change->state->mode), NULL);
}

uint_fast8_t ks_leave_transition(const struct ks_change *change, uint_fast8_t mode)
{
	return KS_HAS_ON_LEAVE ? ks_first_open(change, mode, KS_ON_LEAVE) : (uint8_t)KS_NO_TRANSITION;
}

void ks_session_init(struct ks_session *session, uint_fast8_t transition)
{
	(void)memset(session, 0, sizeof(*session));
	session->transition = (uint8_t)transition;
	session->idle_ms = KS_NO_LIMIT;
}

static void open_session(struct ks_change *change, uint_fast8_t transition, const struct ks_opening *opening)
{
	struct ks_session *session = &change->state->session;

	ks_session_init(session, transition);
	change->state->has_session = true;
	if (opening != NULL) {
		session->proof = opening->proof;
		session->owner = opening->owner;
		if (opening->images != NULL) {
			session->images = *opening->images;
		}
	}
}

void ks_enter_mode(struct ks_change *change, uint_fast8_t transition, const struct ks_opening *opening)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	uint_fast8_t before = state->mode;
	uint_fast8_t target = policy->initial_mode;

	if (transition != KS_NO_TRANSITION) {
		target = policy->transitions[transition].target;
	}
	if (!state->has_session) {
		ks_do_nothing_waits(change);
	} else if (state->trial != 0u) {
		ks_revert(change, true);
		return;
	} else {
		clean_up(change);
		change->left = true;
	}
	if (ks_is_maintenance(policy, target) && (transition != KS_NO_TRANSITION)) {
		if (state->uploading || (state->arming != 0u) || state->reset_pending) {
			clean_up(change); /* what an unsound policy let begin outside does not continue inside */
		}
		open_session(change, transition, opening);
	}
	state->mode = (uint8_t)target;
	ks_arrive(change, before, policy->modes[target].limit_ms);
	if (state->has_session && ks_waits_for_table(policy, state)) {
		/* Everybody must go before the table can change. */
		ks_end_connections(change, ks_connected_mask(state, KS_NO_PEER), (opening != NULL) && opening->answering);
	}
}

/* --- the GATT table --- */

void ks_end_connections(struct ks_change *change, uint32_t places, bool after_answer)
{
	if (places != 0u) {
		ks_do(change, KS_END_CONNECTIONS, after_answer ? 1u : 0u, places);
	}
}

uint32_t ks_connected_mask(const struct ks_state *state, uint32_t but)
{
	uint32_t mask = 0u;

	for (uint_fast8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if ((state->connections[place] != KS_NO_PEER) && (state->connections[place] != but)) {
			mask |= (uint32_t)1u << place;
		}
	}
	return mask;
}

bool ks_is_connected(const struct ks_state *state, uint32_t peer)
{
	return ks_connected_mask(state, peer) != ks_connected_mask(state, KS_NO_PEER);
}

static bool service_wanted(const struct ks_policy *policy, const struct ks_state *state)
{
	return state->has_session || state->first_trial || (ks_service(policy) == (uint8_t)KS_SERVICE_ALWAYS) ||
	       (ks_service(policy) == (uint8_t)KS_SERVICE_AUTHORIZE);
}

/* Everybody who is connected has to go before the service can be shown. */
bool ks_waits_for_table(const struct ks_policy *policy, const struct ks_state *state)
{
	return (ks_service(policy) == (uint8_t)KS_SERVICE_RECONNECT) && service_wanted(policy, state) &&
	       !state->service_shown;
}

void ks_sync_gatt_table(struct ks_change *change)
{
	struct ks_state *state = change->state;
	bool wanted = service_wanted(change->policy, state);
	bool waits = (ks_service(change->policy) == (uint8_t)KS_SERVICE_RECONNECT) &&
		     (ks_connected_mask(state, KS_NO_PEER) != 0u);

	if ((wanted != state->service_shown) && !state->down && !waits) {
		ks_do(change, KS_SHOW_SERVICE, wanted ? 1u : 0u, 0u);
		state->service_shown = wanted;
	}
}

/* --- what inputs make true --- */

void ks_apply_input_transitions(struct ks_change *change)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	uint32_t seen = (uint32_t)1u << state->mode;

	/*
	 * A mode is not entered twice in one step, and a step that has ended a session begins none: so there are at most
	 * as many rounds as modes, and one more for the session that ends.
	 */
	for (uint_fast8_t round = 0; (round <= ks_mode_count(policy)) && !state->down && !state->first_trial; round++) {
		if (state->has_session && ks_must_leave(policy, state)) {
			ks_leave(change);
		} else {
			uint_fast8_t index = ks_first_open(change, state->mode, KS_ON_INPUT);

			if ((index == KS_NO_TRANSITION) ||
			    (((seen >> policy->transitions[index].target) & 1u) != 0u)) {
				return;
			}
			ks_enter_mode(change, index, NULL);
		}
		seen |= (uint32_t)1u << state->mode;
	}
}
