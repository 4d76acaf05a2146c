/* SPDX-License-Identifier: Apache-2.0 */
/* Which transitions may be taken: where they lead, whether their guards hold, and which guards bind a session. */
#include "ks_internal.h"

bool ks_is_maintenance(const struct ks_policy *policy, uint_fast8_t mode)
{
	return (policy->modes[mode].flags & KS_MODE_MAINTENANCE) != 0u;
}

bool ks_mode_allows(const struct ks_mode *mode, uint16_t group, uint8_t id, uint8_t op)
{
	if (id > 31u) {
		return false;
	}
	for (uint_fast8_t row = 0; row < mode->allow_count; row++) {
		const struct ks_allow *allow = &mode->allow[row];

		if (allow->group == group) {
			uint32_t ids = (op == KS_OP_READ) ? allow->reads : ((op == KS_OP_WRITE) ? allow->writes : 0u);

			return ((ids >> id) & 1u) != 0u;
		}
	}
	return false;
}

static bool holds(const struct ks_guard *guard, const struct ks_value *value)
{
	uint8_t is = (value->value == guard->value) ? (uint8_t)KS_EQUAL : (uint8_t)KS_MORE;

	if (value->value < guard->value) {
		is = (uint8_t)KS_LESS;
	}
	return value->known && ((guard->compare & is) != 0u);
}

bool ks_starts_in(const struct ks_transition *transition, uint_fast8_t mode, uint_fast8_t trigger)
{
	return (transition->trigger == trigger) && (((transition->sources >> mode) & 1u) != 0u);
}

bool ks_may_take(const struct ks_policy *policy, uint_fast8_t index, uint_fast8_t mode, uint_fast8_t trigger)
{
	const struct ks_transition *transition = &policy->transitions[index];

	/*
	 * None leads from one maintenance mode into another: it would make a new session, without the first one's limits.
	 * The loader refuses such a policy; the machine does not rely on that.
	 */
	return ks_starts_in(transition, mode, trigger) &&
	       !(ks_is_maintenance(policy, mode) && ks_is_maintenance(policy, transition->target));
}

bool ks_has_transition(const struct ks_policy *policy, uint_fast8_t mode, uint_fast8_t trigger)
{
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		if (ks_starts_in(&policy->transitions[index], mode, trigger)) {
			return true;
		}
	}
	return false;
}

/* The first guard of a transition that is false. only_safety: look at those over safety inputs alone. */
static uint16_t first_false(const struct ks_policy *policy, const struct ks_state *state, uint_fast8_t index,
			    bool only_safety)
{
	const struct ks_transition *transition = &policy->transitions[index];

	for (uint_fast8_t place = 0; place < transition->guard_count; place++) {
		uint16_t at = (uint16_t)(transition->guard + place);
		const struct ks_guard *guard = &policy->guards[at];
		bool asked = !only_safety || ((policy->inputs[guard->input].flags & KS_INPUT_SAFETY) != 0u);

		if (asked && !holds(guard, &state->inputs[guard->input])) {
			return at;
		}
	}
	return KS_NO_GUARD;
}

uint16_t ks_failing(const struct ks_policy *policy, const struct ks_state *state, uint_fast8_t index)
{
	return first_false(policy, state, index, false);
}

uint_fast8_t ks_first_open(const struct ks_change *change, uint_fast8_t mode, uint_fast8_t trigger)
{
	const struct ks_policy *policy = change->policy;

	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		/* A step that has ended a session begins none. */
		bool again = (trigger == (uint8_t)KS_ON_INPUT) && change->left &&
			     ks_is_maintenance(policy, policy->transitions[index].target);

		if (ks_may_take(policy, index, mode, trigger) && !again &&
		    (ks_failing(policy, change->state, index) == KS_NO_GUARD)) {
			return index;
		}
	}
	return KS_NO_TRANSITION;
}

bool ks_opens(const struct ks_transition *transition, uint8_t proof)
{
	uint8_t needs = KS_PROOF_NONE;

	if (transition->proofs != 0u) {
		return ((transition->proofs >> proof) & 1u) != 0u;
	}
	if (transition->trigger == (uint8_t)KS_ON_BUTTON) {
		needs = KS_PROOF_BUTTON;
	}
	return proof == needs;
}

/*
 * What binds a session: the transition that opened it. One of another policy is bound by all that could have opened it:
 * each transition into the mode that this proof opens (each one into it, if the proof opens none), and the guards over
 * safety inputs of every transition into it.
 */
struct binding {
	const struct ks_policy *policy;
	uint8_t transition;
	uint8_t mode;
	uint8_t proof;
	bool any; /* some transition into the mode is opened by this proof */
};

static bool binds(const struct binding *binding, uint_fast8_t index)
{
	const struct ks_transition *transition = &binding->policy->transitions[index];

	if (binding->transition != KS_NO_TRANSITION) {
		return index == binding->transition;
	}
	return (transition->target == binding->mode) && (!binding->any || ks_opens(transition, binding->proof));
}

static void bind(struct binding *binding, const struct ks_policy *policy, uint_fast8_t mode, uint8_t proof)
{
	binding->policy = policy;
	binding->transition = KS_NO_TRANSITION;
	binding->mode = (uint8_t)mode;
	binding->proof = proof;
	binding->any = true;
	for (uint_fast8_t index = 0; index < ks_transition_count(policy); index++) {
		if (binds(binding, index)) {
			return;
		}
	}
	binding->any = false;
}

static void bind_session(struct binding *binding, const struct ks_policy *policy, const struct ks_state *state)
{
	bind(binding, policy, state->mode, state->session.proof);
	binding->transition = state->session.transition;
}

static uint16_t false_guard(const struct binding *binding, const struct ks_state *state, bool only_safety)
{
	const struct ks_policy *policy = binding->policy;
	uint16_t failing = KS_NO_GUARD;

	for (uint_fast8_t index = 0; (failing == KS_NO_GUARD) && (index < ks_transition_count(policy)); index++) {
		if (binds(binding, index)) {
			failing = first_false(policy, state, index, only_safety);
		}
	}
	for (uint_fast8_t index = 0; (failing == KS_NO_GUARD) && (index < ks_transition_count(policy)); index++) {
		if ((binding->transition == KS_NO_TRANSITION) &&
		    (policy->transitions[index].target == binding->mode)) {
			failing = first_false(policy, state, index, true);
		}
	}
	return failing;
}

/* Whether a guard that fails leaves the session on, while an upload runs. */
static bool holds_on(const struct binding *binding)
{
	bool some = false;

	for (uint_fast8_t index = 0; KS_HAS_HOLD && (index < ks_transition_count(binding->policy)); index++) {
		if (binds(binding, index)) {
			some = true;
			if ((binding->policy->transitions[index].flags & KS_TRANSITION_HOLD) == 0u) {
				return false;
			}
		}
	}
	return some;
}

static uint8_t security_of(const struct binding *binding)
{
	uint8_t most = KS_SECURITY_NONE;

	for (uint_fast8_t index = 0; KS_HAS_SECURITY && (index < ks_transition_count(binding->policy)); index++) {
		uint8_t asked = binding->policy->transitions[index].security;

		if (binds(binding, index) && (asked > most)) {
			most = asked;
		}
	}
	return most;
}

uint16_t ks_session_failing(const struct ks_policy *policy, const struct ks_state *state)
{
	struct binding binding;

	bind_session(&binding, policy, state);
	return false_guard(&binding, state, false);
}

bool ks_must_leave(const struct ks_policy *policy, const struct ks_state *state)
{
	struct binding binding;

	bind_session(&binding, policy, state);
	/* A safety input is never held back by an upload, whatever the policy says. */
	return false_guard(&binding, state, state->uploading && holds_on(&binding)) != KS_NO_GUARD;
}

uint8_t ks_session_security(const struct ks_policy *policy, const struct ks_state *state)
{
	struct binding binding;

	if (!KS_HAS_SECURITY) {
		return KS_SECURITY_NONE;
	}
	bind_session(&binding, policy, state);
	return security_of(&binding);
}

static bool asks_for(const struct ks_policy *policy, const struct ks_transition *transition,
		     const struct ks_guard *guard)
{
	for (uint_fast8_t place = 0; place < transition->guard_count; place++) {
		const struct ks_guard *own = &policy->guards[transition->guard + place];

		if ((own->input == guard->input) && (own->compare == guard->compare) && (own->value == guard->value)) {
			return true;
		}
	}
	return false;
}

bool ks_as_strict(const struct ks_policy *policy, uint_fast8_t index, uint8_t proof)
{
	const struct ks_transition *transition = &policy->transitions[index];
	struct binding binding;

	bind(&binding, policy, transition->target, proof);
	if ((((transition->flags & KS_TRANSITION_HOLD) != 0u) && !holds_on(&binding)) ||
	    (transition->security < security_of(&binding))) {
		return false;
	}
	for (uint_fast8_t other = 0; other < ks_transition_count(policy); other++) {
		const struct ks_transition *into = &policy->transitions[other];

		for (uint_fast8_t place = 0; (into->target == binding.mode) && (place < into->guard_count); place++) {
			const struct ks_guard *guard = &policy->guards[into->guard + place];
			bool asked = binds(&binding, other) ||
				     ((policy->inputs[guard->input].flags & KS_INPUT_SAFETY) != 0u);

			if (asked && !asks_for(policy, transition, guard)) {
				return false;
			}
		}
	}
	return true;
}
