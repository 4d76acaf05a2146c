/* SPDX-License-Identifier: Apache-2.0 */
/* Which transitions may be taken: where they lead, whether their guards hold, and which guards bind a session. */
#include "ks_internal.h"

const struct ks_mode *ks_mode_at(const struct ks_policy *policy, uint8_t mode)
{
	return &policy->modes[mode];
}

bool ks_is_maintenance(const struct ks_policy *policy, uint8_t mode)
{
	return (policy->modes[mode].flags & KS_MODE_MAINTENANCE) != 0u;
}

bool ks_mode_allows(const struct ks_mode *mode, uint16_t group, uint8_t id, uint8_t op)
{
	if (id > 31u) {
		return false;
	}
	for (uint8_t row = 0; row < mode->allow_count; row++) {
		const struct ks_allow *allow = &mode->allow[row];

		if (allow->group == group) {
			uint32_t ids = (op == KS_OP_READ) ? allow->reads : ((op == KS_OP_WRITE) ? allow->writes : 0u);

			return ((ids >> id) & 1u) != 0u;
		}
	}
	return false;
}

bool ks_guard_holds(const struct ks_guard *guard, const struct ks_value *value)
{
	if (!value->known) {
		return false;
	}
	switch (guard->compare) {
	case KS_EQUAL:
		return value->value == guard->value;
	case KS_UNEQUAL:
		return value->value != guard->value;
	case KS_LESS:
		return value->value < guard->value;
	case KS_AT_MOST:
		return value->value <= guard->value;
	case KS_MORE:
		return value->value > guard->value;
	case KS_AT_LEAST:
		return value->value >= guard->value;
	default:
		return false;
	}
}

bool ks_starts_in(const struct ks_transition *transition, uint8_t mode, uint8_t trigger)
{
	return (transition->trigger == trigger) && (((transition->sources >> mode) & 1u) != 0u);
}

bool ks_may_take(const struct ks_policy *policy, uint8_t index, uint8_t mode, uint8_t trigger)
{
	const struct ks_transition *transition = &policy->transitions[index];

	/*
	 * None leads from one maintenance mode into another: it would make a new session, without the first one's limits.
	 * The loader refuses such a policy; the machine does not rely on that.
	 */
	return ks_starts_in(transition, mode, trigger) &&
	       !(ks_is_maintenance(policy, mode) && ks_is_maintenance(policy, transition->target));
}

bool ks_has_transition(const struct ks_policy *policy, uint8_t mode, uint8_t trigger)
{
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (ks_starts_in(&policy->transitions[index], mode, trigger)) {
			return true;
		}
	}
	return false;
}

/* The first guard of a transition that is false. only_safety: look at those over safety inputs alone. */
static bool first_false(const struct ks_policy *policy, const struct ks_state *state,
			const struct ks_transition *transition, bool only_safety, uint16_t *failing)
{
	for (uint8_t place = 0; place < transition->guard_count; place++) {
		uint16_t at = (uint16_t)(transition->guard + place);
		const struct ks_guard *guard = &policy->guards[at];
		bool asked = !only_safety || ((policy->inputs[guard->input].flags & KS_INPUT_SAFETY) != 0u);

		if (asked && !ks_guard_holds(guard, &state->inputs[guard->input])) {
			*failing = at;
			return true;
		}
	}
	return false;
}

bool ks_failing(const struct ks_policy *policy, const struct ks_state *state, uint8_t index, uint16_t *failing)
{
	return first_false(policy, state, &policy->transitions[index], false, failing);
}

bool ks_opens(const struct ks_transition *transition, uint8_t proof)
{
	if (transition->trigger == (uint8_t)KS_ON_ENTER) {
		return (transition->proofs != 0u) ? (((transition->proofs >> proof) & 1u) != 0u)
						  : (proof == (uint8_t)KS_PROOF_NONE);
	}
	return proof == ((transition->trigger == (uint8_t)KS_ON_BUTTON) ? (uint8_t)KS_PROOF_BUTTON
									 : (uint8_t)KS_PROOF_NONE);
}

/* Whether some transition into the mode is opened by this proof. */
static bool any_opens(const struct ks_policy *policy, uint8_t mode, uint8_t proof)
{
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		const struct ks_transition *transition = &policy->transitions[index];

		if ((transition->target == mode) && ks_opens(transition, proof)) {
			return true;
		}
	}
	return false;
}

/*
 * A session of another policy is bound by all that could have opened it: each transition into the mode that this proof
 * opens (each one into it, if the proof opens none), and the guards over safety inputs of every transition into it.
 */
static bool could_have_opened(const struct ks_policy *policy, uint8_t index, uint8_t mode, uint8_t proof, bool any)
{
	const struct ks_transition *transition = &policy->transitions[index];

	return (transition->target == mode) && (!any || ks_opens(transition, proof));
}

static bool strictest_false(const struct ks_policy *policy, const struct ks_state *state, bool only_safety,
			    uint16_t *failing)
{
	uint8_t proof = state->session.proof;
	bool any = any_opens(policy, state->mode, proof);

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (could_have_opened(policy, index, state->mode, proof, any) &&
		    first_false(policy, state, &policy->transitions[index], only_safety, failing)) {
			return true;
		}
	}
	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if ((policy->transitions[index].target == state->mode) &&
		    first_false(policy, state, &policy->transitions[index], true, failing)) {
			return true;
		}
	}
	return false;
}

static bool strictest_holds_on(const struct ks_policy *policy, uint8_t mode, uint8_t proof)
{
	bool any = any_opens(policy, mode, proof);
	bool some = false;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		if (could_have_opened(policy, index, mode, proof, any)) {
			some = true;
			if ((policy->transitions[index].flags & KS_TRANSITION_HOLD) == 0u) {
				return false;
			}
		}
	}
	return some;
}

static uint8_t strictest_security(const struct ks_policy *policy, uint8_t mode, uint8_t proof)
{
	bool any = any_opens(policy, mode, proof);
	uint8_t most = KS_SECURITY_NONE;

	for (uint8_t index = 0; index < policy->transition_count; index++) {
		uint8_t asked = policy->transitions[index].security;

		if (could_have_opened(policy, index, mode, proof, any) && (asked > most)) {
			most = asked;
		}
	}
	return most;
}

static bool binding_false(const struct ks_policy *policy, const struct ks_state *state, bool only_safety,
			  uint16_t *failing)
{
	uint8_t index = state->session.transition;

	if (index == KS_NO_TRANSITION) {
		return strictest_false(policy, state, only_safety, failing);
	}
	return first_false(policy, state, &policy->transitions[index], only_safety, failing);
}

bool ks_session_failing(const struct ks_policy *policy, const struct ks_state *state, uint16_t *failing)
{
	return binding_false(policy, state, false, failing);
}

bool ks_must_leave(const struct ks_policy *policy, const struct ks_state *state)
{
	uint8_t index = state->session.transition;
	bool held = false;
	uint16_t failing;

	if (state->uploading) {
		held = (index == KS_NO_TRANSITION)
			       ? strictest_holds_on(policy, state->mode, state->session.proof)
			       : ((policy->transitions[index].flags & KS_TRANSITION_HOLD) != 0u);
	}
	/* A safety input is never held back by an upload, whatever the policy says. */
	return binding_false(policy, state, held, &failing);
}

uint8_t ks_session_security(const struct ks_policy *policy, const struct ks_state *state)
{
	uint8_t index = state->session.transition;

	if (index == KS_NO_TRANSITION) {
		return strictest_security(policy, state->mode, state->session.proof);
	}
	return policy->transitions[index].security;
}

static bool asks_for(const struct ks_policy *policy, const struct ks_transition *transition,
		     const struct ks_guard *guard)
{
	for (uint8_t place = 0; place < transition->guard_count; place++) {
		const struct ks_guard *own = &policy->guards[transition->guard + place];

		if ((own->input == guard->input) && (own->compare == guard->compare) && (own->value == guard->value)) {
			return true;
		}
	}
	return false;
}

bool ks_as_strict(const struct ks_policy *policy, uint8_t index, uint8_t proof)
{
	const struct ks_transition *transition = &policy->transitions[index];
	uint8_t mode = transition->target;
	bool any = any_opens(policy, mode, proof);

	if (((transition->flags & KS_TRANSITION_HOLD) != 0u) && !strictest_holds_on(policy, mode, proof)) {
		return false;
	}
	if (transition->security < strictest_security(policy, mode, proof)) {
		return false;
	}
	for (uint8_t other = 0; other < policy->transition_count; other++) {
		const struct ks_transition *into = &policy->transitions[other];
		bool opens = could_have_opened(policy, other, mode, proof, any);

		for (uint8_t place = 0; (into->target == mode) && (place < into->guard_count); place++) {
			const struct ks_guard *guard = &policy->guards[into->guard + place];
			bool binds = opens || ((policy->inputs[guard->input].flags & KS_INPUT_SAFETY) != 0u);

			if (binds && !asks_for(policy, transition, guard)) {
				return false;
			}
		}
	}
	return true;
}
