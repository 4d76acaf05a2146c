/* SPDX-License-Identifier: Apache-2.0 */
/* What can change the mode: connections, inputs, button, entry, leaving, time limits. */
#include "ks_internal.h"

static bool refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg)
{
	ks_refuse(refusal, why, arg);
	return true;
}

/* Take the first transition of this trigger whose guards hold; whether there was one. */
static bool take_first(struct ks_change *change, uint8_t trigger)
{
	static const struct ks_opening nobody = {NULL, KS_NO_PEER, KS_PROOF_NONE, false};
	const struct ks_policy *policy = change->policy;
	uint16_t failing;

	if (change->state->first_trial) {
		return false;
	}
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (ks_may_take(policy, index, change->state->mode, trigger) &&
		    !ks_failing(policy, change->state, index, &failing)) {
			ks_enter_mode(change, policy->transitions[index].target, index, &nobody);
			return true;
		}
	}
	return false;
}

/* A central came. While a table waits to be shown, it has to go again: else it could hold maintenance off. */
bool ks_connected(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool first = ks_connected_mask(state, KS_NO_PEER) == 0u;
	uint8_t place = 0;

	for (uint8_t each = 0; each < (uint8_t)KS_MAX_CONNECTIONS; each++) {
		if (state->connections[each] == event->peer.id) {
			place = each;
			break;
		}
		if ((state->connections[each] == KS_NO_PEER) && (state->connections[place] != KS_NO_PEER)) {
			place = each;
		}
	}
	if ((state->connections[place] != KS_NO_PEER) && (state->connections[place] != event->peer.id)) {
		return !refuse(&change->step->refusal, KS_WHY_TOO_MANY_CONNECTIONS, 0u);
	}
	state->connections[place] = event->peer.id;
	if (ks_waits_for_table(change->policy, state)) {
		ks_do(change, KS_END_CONNECTIONS, 0u, (uint32_t)1u << place);
	}
	if (first) {
		(void)take_first(change, KS_ON_CONNECT);
	}
	return true;
}

/* A peer has gone: what it owned is nobody's now; whoever proves it may go on with it. */
void ks_disconnected(struct ks_change *change, const struct ks_event *event)
{
	struct ks_state *state = change->state;
	bool was_connected = ks_is_connected(state, event->peer.id);

	if (state->has_session && (state->session.owner == event->peer.id)) {
		state->session.owner = KS_NO_PEER;
	}
	if (state->uploading && (state->upload_owner == event->peer.id)) {
		state->upload_owner = KS_NO_PEER;
	}
	for (uint8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if (state->connections[place] == event->peer.id) {
			state->connections[place] = KS_NO_PEER;
		}
	}
	if (was_connected && !state->down && (ks_connected_mask(state, KS_NO_PEER) == 0u)) {
		(void)take_first(change, KS_ON_DISCONNECT);
	}
}

bool ks_input_changed(struct ks_change *change, const struct ks_event *event)
{
	const struct ks_policy *policy = change->policy;
	bool fits = event->input < policy->input_count;

	if (fits && event->value.known && ((policy->inputs[event->input].flags & KS_INPUT_BOOL) != 0u)) {
		fits = (event->value.value == 0) || (event->value.value == 1);
	}
	if (!fits) {
		return !refuse(&change->step->refusal, KS_WHY_NO_SUCH_INPUT, 0u);
	}
	change->state->inputs[event->input] = event->value;
	return true;
}

/* The longest hold that was reached counts; a shorter one is not taken in its place. */
bool ks_button_held(struct ks_change *change, const struct ks_event *event)
{
	static const struct ks_opening button = {NULL, KS_NO_PEER, KS_PROOF_BUTTON, false};
	const struct ks_policy *policy = change->policy;
	uint32_t longest = 0u;
	bool reached = false;
	bool shut = false;
	uint16_t failing;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		uint32_t hold_ms = policy->transitions[index].hold_ms;

		if (ks_may_take(policy, index, change->state->mode, KS_ON_BUTTON) && (hold_ms <= event->hold_ms) &&
		    (!reached || (hold_ms > longest))) {
			reached = true;
			longest = hold_ms;
		}
	}
	if (!reached) {
		return !refuse(&change->step->refusal, KS_WHY_WRONG_MODE, change->state->mode);
	}
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (!ks_may_take(policy, index, change->state->mode, KS_ON_BUTTON) ||
		    (policy->transitions[index].hold_ms != longest)) {
			continue;
		}
		if (!ks_failing(policy, change->state, index, &failing)) {
			ks_refuse(&change->step->refusal, KS_NOT_REFUSED, 0u);
			ks_enter_mode(change, policy->transitions[index].target, index, &button);
			return true;
		}
		if (!shut) {
			shut = true;
			ks_refuse_guard(&change->step->refusal, policy, change->state, failing);
		}
	}
	return false;
}

/* --- entering --- */

static bool takes(const struct ks_transition *transition, uint8_t proof)
{
	return (transition->proofs == 0u) ||
	       ((proof != (uint8_t)KS_PROOF_NONE) && (((transition->proofs >> proof) & 1u) != 0u));
}

/* What is asked of the peer besides the guards of the transition that is open. */
static bool may_enter(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		      const struct ks_transition *transition, struct ks_refusal *refusal)
{
	bool alone = (transition->flags & KS_TRANSITION_DISCONNECT_OTHERS) == 0u;

	if (peer->security < transition->security) {
		return !refuse(refusal, KS_WHY_SECURITY, transition->security);
	}
	if (state->has_session && state->trial) {
		return !refuse(refusal, KS_WHY_TRIAL_AT_ENTRY, 0u);
	}
	if (ks_is_maintenance(policy, transition->target) && alone && (ks_connected_mask(state, peer->id) != 0u)) {
		return !refuse(refusal, KS_WHY_OTHER_CENTRAL, 0u);
	}
	return true;
}

uint8_t ks_entry_transition(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
			    uint8_t to, uint8_t proof, struct ks_refusal *refusal)
{
	bool led = false;
	bool taken = false;
	uint16_t failing;

	ks_refuse(refusal, KS_NOT_REFUSED, 0u);
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if (!ks_may_take(policy, index, state->mode, KS_ON_ENTER) || (transition->target != to)) {
			continue;
		}
		led = true;
		if (!takes(transition, proof)) {
			continue;
		}
		if (!ks_failing(policy, state, index, &failing)) {
			ks_refuse(refusal, KS_NOT_REFUSED, 0u); /* an earlier one may have been shut */
			return may_enter(policy, state, peer, transition, refusal) ? index : (uint8_t)KS_NO_TRANSITION;
		}
		if (!taken) {
			taken = true; /* of several that are shut, the first one speaks */
			ks_refuse_guard(refusal, policy, state, failing);
		}
	}
	if (!led) {
		ks_refuse(refusal, KS_WHY_WRONG_MODE, state->mode);
	} else if (!taken) {
		ks_refuse(refusal, KS_WHY_PROOF, 0u);
	} else {
		/* a guard has spoken */
	}
	return KS_NO_TRANSITION;
}

static bool proof_leads_into(const struct ks_policy *policy, uint8_t mode, uint8_t proof)
{
	for (uint8_t index = 0; index < policy->transition_count; index++) {
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
	static const struct ks_images any = {0};

	if (!state->has_session) {
		return false;
	}
	if (!proof_leads_into(policy, event->mode, event->proof)) {
		return refuse(refusal, KS_WHY_PROOF, 0u);
	}
	if (ks_too_insecure(policy, state, &event->peer, refusal)) {
		return true;
	}
	if (!ks_images_equal((event->images == NULL) ? &any : event->images, &state->session.images)) {
		return refuse(refusal, KS_WHY_OTHER_LIMIT, 0u);
	}
	return ks_owned_by_other(policy, state, event->peer.id) ? refuse(refusal, KS_WHY_OWNER, 0u) : false;
}

static bool enter_again(struct ks_change *change, const struct ks_event *event)
{
	uint32_t idle_ms;

	if (refused_again(change->policy, change->state, event, &change->step->refusal)) {
		return false;
	}
	if (change->state->has_session) {
		change->state->session.owner = event->peer.id;
		idle_ms = ks_idle_limit_ms(change->policy, change->state);
		if (idle_ms != KS_NO_LIMIT) {
			ks_do(change, KS_START_TIMER, KS_TIMER_IDLE, idle_ms);
		}
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
	ks_enter_mode(change, policy->transitions[index].target, index, &opening);
	if ((others != 0u) && !ks_waits_for_table(policy, state) &&
	    ((policy->transitions[index].flags & KS_TRANSITION_DISCONNECT_OTHERS) != 0u)) {
		ks_do(change, KS_END_CONNECTIONS, 0u, others);
	}
	return true;
}

bool ks_would_refuse_enter(const struct ks_policy *policy, const struct ks_state *state, const struct ks_event *event,
			   struct ks_refusal *refusal)
{
	ks_refuse(refusal, KS_NOT_REFUSED, 0u);
	if (state->down) {
		return refuse(refusal, KS_WHY_RESETTING, 0u);
	}
	if (state->first_trial) {
		return refuse(refusal, KS_WHY_FIRST_TRIAL, 0u);
	}
	if (event->mode == state->mode) {
		return refused_again(policy, state, event, refusal);
	}
	return ks_entry_transition(policy, state, &event->peer, event->mode, event->proof, refusal) ==
	       KS_NO_TRANSITION;
}

/* Leave; having left already is as good. */
void ks_leave_asked(struct ks_change *change)
{
	if (change->state->has_session || ks_has_transition(change->policy, change->state->mode, KS_ON_LEAVE)) {
		ks_leave(change);
	}
}

/* --- time limits --- */

/* One that the mode does not have (it was stopped too late) means nothing. */
static void limit_reached(struct ks_change *change, uint8_t timer)
{
	struct ks_state *state = change->state;
	const struct ks_mode *mode = ks_mode_at(change->policy, state->mode);

	switch (timer) {
	case KS_TIMER_TIMEOUT:
		if ((mode->timeout_ms != KS_NO_LIMIT) && !take_first(change, KS_ON_TIMEOUT)) {
			ks_do(change, KS_START_TIMER, KS_TIMER_TIMEOUT, mode->timeout_ms);
		}
		break;
	case KS_TIMER_LEASE:
	case KS_TIMER_LEASE_MAX:
		/* A session of another revision of the policy has a lease although its mode has none here. */
		if ((mode->lease_ms != KS_NO_LIMIT) || state->has_session) {
			ks_leave(change);
		}
		break;
	case KS_TIMER_IDLE:
		if (ks_idle_limit_ms(change->policy, state) != KS_NO_LIMIT) {
			ks_leave(change);
		}
		break;
	case KS_TIMER_TRIAL:
		if (state->has_session && state->trial) {
			ks_revert(change, false);
		}
		break;
	case KS_TIMER_RESET:
		ks_reset_due(change);
		break;
	default:
		break;
	}
}

void ks_expired(struct ks_change *change, const struct ks_event *event)
{
	if (!change->state->first_trial) {
		limit_reached(change, event->timer);
	} else if (event->timer == (uint8_t)KS_TIMER_TRIAL) {
		ks_do_nothing_waits(change);
		ks_do(change, KS_RESET_NOW, 0u, 0u);
		change->state->first_trial = false;
		change->state->down = true;
	} else {
		/* nothing else runs on the first trial */
	}
}
