/* SPDX-License-Identifier: Apache-2.0 */
/* What can change the mode: connections, inputs, button, entry, leaving, time limits. */
#include "ks_internal.h"

static bool refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg)
{
	ks_refuse(refusal, why, arg);
	return true;
}

/* Take the first transition of this trigger whose guards hold; whether there was one. */
static bool take_first(struct ks_change *change, uint_fast8_t trigger)
{
	uint_fast8_t index = ks_first_open(change, change->state->mode, trigger);

	if (change->state->first_trial || (index == KS_NO_TRANSITION)) {
		return false;
	}
	ks_enter_mode(change, index, NULL);
	return true;
}

/* A central came. While a table waits to be shown, it has to go again: else it could hold maintenance off. */
bool ks_connected(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool first = ks_connected_mask(state, KS_NO_PEER) == 0u;
	uint8_t place = 0;

	for (uint_fast8_t each = 0; each < (uint8_t)KS_MAX_CONNECTIONS; each++) {
		if (state->connections[each] == event->peer.id) {
			place = (uint8_t)each;
			break;
		}
		if ((state->connections[each] == KS_NO_PEER) && (state->connections[place] != KS_NO_PEER)) {
			place = (uint8_t)each;
		}
	}
	if ((state->connections[place] != KS_NO_PEER) && (state->connections[place] != event->peer.id)) {
		return !refuse(&change->step->refusal, KS_WHY_TOO_MANY_CONNECTIONS, 0u);
	}
	state->connections[place] = event->peer.id;
	if (ks_waits_for_table(change->policy, state)) {
		ks_end_connections(change, (uint32_t)1u << place, false);
	}
	if (KS_HAS_ON_CONNECT && first) {
		(void)take_first(change, KS_ON_CONNECT);
	}
	return true;
}

/* A peer has gone: what it owned is nobody's now; whoever proves it may go on with it. */
bool ks_disconnected(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool was_connected = ks_is_connected(state, event->peer.id);

	if (state->has_session && (state->session.owner == event->peer.id)) {
		state->session.owner = KS_NO_PEER;
	}
	if (state->uploading && (state->upload_owner == event->peer.id)) {
		state->upload_owner = KS_NO_PEER;
	}
	for (uint_fast8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if (state->connections[place] == event->peer.id) {
			state->connections[place] = KS_NO_PEER;
		}
	}
	if (KS_HAS_ON_DISCONNECT && was_connected && !state->down && (ks_connected_mask(state, KS_NO_PEER) == 0u)) {
		(void)take_first(change, KS_ON_DISCONNECT);
	}
	return true;
}

bool ks_input_changed(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_policy *policy = change->policy;
	bool fits = event->input < ks_input_count(policy);

	if (fits && event->value.known && ((policy->inputs[event->input].flags & KS_INPUT_BOOL) != 0u)) {
		fits = (event->value.value == 0) || (event->value.value == 1);
	}
	if (!fits) {
		return !refuse(&change->step->refusal, KS_WHY_NO_SUCH_INPUT, 0u);
	}
	change->state->inputs[event->input] = event->value;
	return true;
}

/* Of several transitions, the first that is open; where all are shut, the first one speaks. */
struct choice {
	uint16_t failing; /* what shuts it; KS_NO_GUARD: nothing, or there is none */
	uint_fast8_t index; /* KS_NO_TRANSITION: none is open */
};

static void choose_none(struct choice *choice)
{
	choice->failing = KS_NO_GUARD;
	choice->index = KS_NO_TRANSITION;
}

static void choose(struct choice *choice, const struct ks_policy *policy, const struct ks_state *state, uint_fast8_t index)
{
	uint16_t failing = ks_failing(policy, state, index);

	if (choice->index != KS_NO_TRANSITION) {
		return;
	}
	if (failing == KS_NO_GUARD) {
		choice->index = index;
	} else if (choice->failing == KS_NO_GUARD) {
		choice->failing = failing;
	} else {
		/* an earlier one speaks */
	}
}

/* The longest hold that was reached counts; a shorter one is not taken in its place. */
bool ks_button_held(struct ks_change *change, const struct ks_event *event)
{
	static const struct ks_opening button = {NULL, KS_NO_PEER, KS_PROOF_BUTTON, false};
	const struct ks_policy *policy = change->policy;
	struct choice choice;
	uint32_t longest = 0u;

	choose_none(&choice);
	for (uint_fast8_t index = 0; KS_HAS_ON_BUTTON && (index < ks_transition_count(policy)); index++) {
		uint32_t hold_ms = policy->transitions[index].hold_ms;

		if (ks_may_take(policy, index, change->state->mode, KS_ON_BUTTON) && (hold_ms <= event->hold_ms) &&
		    (hold_ms >= longest)) {
			if (hold_ms > longest) {
				choose_none(&choice);
			}
			longest = hold_ms;
			choose(&choice, policy, change->state, index);
		}
	}
	if (choice.index != KS_NO_TRANSITION) {
		ks_enter_mode(change, choice.index, &button);
		return true;
	}
	if (choice.failing != KS_NO_GUARD) {
		ks_refuse_guard(&change->step->refusal, policy, change->state, choice.failing);
		return false;
	}
	return !refuse(&change->step->refusal, KS_WHY_WRONG_MODE, change->state->mode);
}

/* --- entering --- */

static bool disconnects_others(const struct ks_transition *transition)
{
	return KS_HAS_DISCONNECT_OTHERS && ((transition->flags & KS_TRANSITION_DISCONNECT_OTHERS) != 0u);
}

static bool takes(const struct ks_transition *transition, uint8_t proof)
{
	return (transition->proofs == 0u) ||
	       ((proof != (uint8_t)KS_PROOF_NONE) && (((transition->proofs >> proof) & 1u) != 0u));
}

/* What is asked of the peer besides the guards of the transition that is open; *arg: the level that it needs. */
static uint8_t why_kept_out(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
			    const struct ks_transition *transition, uint8_t *arg)
{
	if (KS_HAS_SECURITY && (peer->security < transition->security)) {
		*arg = transition->security;
		return KS_WHY_SECURITY;
	}
	if (state->has_session && (state->trial != 0u)) {
		return KS_WHY_TRIAL_AT_ENTRY;
	}
	if (ks_is_maintenance(policy, transition->target) && !disconnects_others(transition) &&
	    (ks_connected_mask(state, peer->id) != 0u)) {
		return KS_WHY_OTHER_CENTRAL;
	}
	return KS_NOT_REFUSED;
}

uint8_t ks_entry_transition(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
			    uint8_t to, uint8_t proof, struct ks_refusal *refusal)
{
	struct choice choice;
	uint8_t why = KS_WHY_WRONG_MODE;
	uint8_t arg = state->mode;

	choose_none(&choice);
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if (ks_may_take(policy, index, state->mode, KS_ON_ENTER) && (transition->target == to)) {
			why = KS_WHY_PROOF;
			if (takes(transition, proof)) {
				choose(&choice, policy, state, index);
			}
		}
	}
	if (choice.index != KS_NO_TRANSITION) {
		why = why_kept_out(policy, state, peer, &policy->transitions[choice.index], &arg);
	} else if (choice.failing != KS_NO_GUARD) {
		ks_refuse_guard(refusal, policy, state, choice.failing);
		return KS_NO_TRANSITION;
	} else {
		/* no transition leads there, or none by this proof */
	}
	ks_refuse(refusal, why, arg);
	return (why == (uint8_t)KS_NOT_REFUSED) ? (uint8_t)choice.index : (uint8_t)KS_NO_TRANSITION;
}

static bool proof_leads_into(const struct ks_policy *policy, uint_fast8_t mode, uint8_t proof)
{
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if ((transition->target == mode) && (transition->trigger == (uint8_t)KS_ON_ENTER) &&
		    (((transition->proofs >> proof) & 1u) != 0u)) {
			return true;
		}
	}
	return false;
}

/* Entering the mode that lasts already changes nothing but whose session it is. */
static bool refused_again(const struct ks_policy *policy, const struct ks_state *state, const struct ks_event *event,
			  struct ks_refusal *refusal)
{
	bool limited = (event->images != NULL) && event->images->limited;

	if (!state->has_session) {
		return false;
	}
	if (!proof_leads_into(policy, event->mode, event->proof)) {
		return refuse(refusal, KS_WHY_PROOF, 0u);
	}
	if (ks_too_insecure(policy, state, &event->peer, refusal)) {
		return true;
	}
	if (limited ? !ks_images_equal(event->images, &state->session.images) : state->session.images.limited) {
		return refuse(refusal, KS_WHY_OTHER_LIMIT, 0u);
	}
	return ks_owned_by_other(policy, state, event->peer.id) ? refuse(refusal, KS_WHY_OWNER, 0u) : false;
}

static bool enter_again(struct ks_change *change, const struct ks_event *event)
{
	if (refused_again(change->policy, change->state, event, &change->step->refusal)) {
		return false;
	}
	if (change->state->has_session) {
		change->state->session.owner = event->peer.id;
		ks_start_idle(change);
	}
	return true;
}

bool ks_enter_proved(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_policy *policy = change->policy;
	struct ks_state *state = change->state;
	struct ks_opening opening;
	uint32_t others;
	uint8_t index;

	if (event->mode == state->mode) {
		return enter_again(change, event);
	}
	index = ks_entry_transition(policy, state, &event->peer, event->mode, event->proof, &change->step->refusal);
	if (index == KS_NO_TRANSITION) {
		return false;
	}
	others = ks_connected_mask(state, event->peer.id);
	opening.images = event->images;
	opening.owner = event->peer.id;
	opening.proof = event->proof;
	opening.answering = ks_is_connected(state, event->peer.id);
	ks_enter_mode(change, index, &opening);
	if (disconnects_others(&policy->transitions[index]) && !ks_waits_for_table(policy, state)) {
		ks_end_connections(change, others, false);
	}
	return true;
}

#if KS_HAS_PERMIT
bool ks_would_refuse_enter(const struct ks_policy *policy, const struct ks_state *state, const struct ks_event *event,
			   struct ks_refusal *refusal)
{
	uint8_t why = ks_why_deaf(state, KS_ENTER_PROVED);

	ks_refuse(refusal, why, state->mode);
	if (why != (uint8_t)KS_NOT_REFUSED) {
		return true;
	}
	if (event->mode == state->mode) {
		return refused_again(policy, state, event, refusal);
	}
	return ks_entry_transition(policy, state, &event->peer, event->mode, event->proof, refusal) ==
	       KS_NO_TRANSITION;
}
#endif

/* Leave; having left already is as good. */
bool ks_leave_asked(struct ks_change *change, const struct ks_event *event)
{
	(void)event;
	if (change->state->has_session ||
	    (KS_HAS_ON_LEAVE && ks_has_transition(change->policy, change->state->mode, KS_ON_LEAVE))) {
		ks_leave(change);
	}
	return true;
}

/* --- time limits --- */

/* One that the mode does not have (it was stopped too late) means nothing. */
static void limit_reached(struct ks_change *change, uint_fast8_t timer)
{
	struct ks_state *state = change->state;
	const uint32_t *limit_ms = change->policy->modes[state->mode].limit_ms;
	bool over = false;

	switch (timer) {
	case KS_TIMER_TIMEOUT:
		if ((limit_ms[KS_TIMER_TIMEOUT] != KS_NO_LIMIT) &&
		    (!KS_HAS_ON_TIMEOUT || !take_first(change, KS_ON_TIMEOUT))) {
			ks_start_timer(change, KS_TIMER_TIMEOUT, limit_ms[KS_TIMER_TIMEOUT]);
		}
		break;
	case KS_TIMER_LEASE:
	case KS_TIMER_LEASE_MAX:
		/* A session of another revision of the policy has a lease although its mode has none here. */
		over = (limit_ms[KS_TIMER_LEASE] != KS_NO_LIMIT) || state->has_session;
		break;
	case KS_TIMER_IDLE:
		over = ks_idle_limit_ms(change->policy, state) != KS_NO_LIMIT;
		break;
	case KS_TIMER_TRIAL:
		if (state->has_session && (state->trial != 0u)) {
			ks_revert(change, false);
		}
		break;
	case KS_TIMER_RESET:
		ks_reset_due(change);
		break;
#if KS_HAS_QUIET
	case KS_TIMER_QUIET:
		ks_end_quiet(change);
		break;
#endif
	default:
		break;
	}
	if (over) {
		ks_leave(change);
	}
}

bool ks_expired(struct ks_change *change, const struct ks_event *event)
{
	if (!change->state->first_trial) {
		limit_reached(change, event->timer);
	} else if (event->timer == (uint8_t)KS_TIMER_TRIAL) {
		ks_do_nothing_waits(change);
		ks_reset_now(change);
		change->state->first_trial = false;
	} else {
		/* nothing else runs on the first trial */
	}
	return true;
}
