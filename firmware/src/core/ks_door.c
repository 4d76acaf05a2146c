/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door: asked for every frame, on every transport, at the moment of execution. Rules in this order; the first
 * one that decides counts.
 *
 * a command of another group came by the mode service              no
 * a reset was ordered, or the device has not come up yet           no
 * the first image with this gate is on trial                       no, or yes
 * the mode does not list the command                               no
 * the command proves itself                                        yes
 * the link is protected less than the mode asks for                no
 * a maintenance mode is on without a session                       no
 * the session is its owner's alone, and this peer is another       no
 * else                                                             yes
 */
#include "ks_internal.h"

static bool refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg)
{
	ks_refuse(refusal, why, arg);
	return false;
}

/* Asking is served to everybody; the slots to whoever could confirm in the least protected maintenance mode. */
static bool on_first_trial(const struct ks_policy *policy, const struct ks_peer *peer, uint16_t group, uint8_t id,
			   uint8_t op, struct ks_refusal *refusal)
{
	bool state_of_mode = (group == KS_GROUP_MODE) && (id == KS_MODE_STATE) && (op == KS_OP_READ);
	bool state_of_images = (group == KS_GROUP_IMAGE) && (id == KS_IMAGE_STATE) &&
			       ((op == KS_OP_READ) || (op == KS_OP_WRITE));
	uint8_t least = UINT8_MAX;

	if (state_of_mode) {
		return true;
	}
	for (uint_fast8_t mode = 0; mode < ks_mode_count(policy); mode++) {
		const struct ks_mode *each = &policy->modes[mode];

		if (ks_is_maintenance(policy, mode) && (ks_security_of_mode(each) < least) &&
		    ks_mode_allows(each, KS_GROUP_IMAGE, KS_IMAGE_STATE, KS_OP_WRITE)) {
			least = ks_security_of_mode(each);
		}
	}
	if (!state_of_images || (least == UINT8_MAX)) {
		return refuse(refusal, KS_WHY_FIRST_TRIAL, 0u);
	}
	return (peer->security >= least) ? true : refuse(refusal, KS_WHY_SECURITY, least);
}

/* Whom a mode, or the session in it, is open to: what is asked of the peer, whatever the command is. */
static bool open_to(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		    struct ks_refusal *refusal)
{
	uint8_t security = ks_security_of_mode(&policy->modes[state->mode]);

	if (peer->security < security) {
		return refuse(refusal, KS_WHY_SECURITY, security);
	}
	if (ks_is_maintenance(policy, state->mode) && !state->has_session) {
		return refuse(refusal, KS_WHY_NOBODY_ENTERED, 0u);
	}
	if (state->has_session && ks_is_owned(policy, state->mode) && (state->session.owner != peer->id)) {
		return refuse(refusal, KS_WHY_OWNER, 0u);
	}
	return true;
}

bool ks_authorise(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		  uint16_t group, uint8_t id, uint8_t op, struct ks_refusal *refusal)
{
	ks_refuse(refusal, KS_NOT_REFUSED, 0u);
	if ((peer->service == (uint8_t)KS_SERVICE_MODE) && (group != KS_GROUP_MODE)) {
		return refuse(refusal, KS_WHY_NOT_ON_THIS_SERVICE, 0u);
	}
	if (state->down) {
		return refuse(refusal, KS_WHY_RESETTING, 0u);
	}
	if (state->first_trial) {
		return on_first_trial(policy, peer, group, id, op, refusal);
	}
	if (!ks_mode_allows(&policy->modes[state->mode], group, id, op)) {
		return refuse(refusal, KS_WHY_WRONG_MODE, state->mode);
	}
	if ((group == KS_GROUP_MODE) && (id <= KS_MODE_ATTACH)) {
		return true; /* state, challenge, enter and attach prove themselves */
	}
	return open_to(policy, state, peer, refusal);
}

bool ks_may_access_smp(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer)
{
	struct ks_refusal refusal;

	if (ks_service(policy) != (uint8_t)KS_SERVICE_AUTHORIZE) {
		return true;
	}
	if (state->down) {
		return false;
	}
	if (state->first_trial) {
		return on_first_trial(policy, peer, KS_GROUP_IMAGE, KS_IMAGE_STATE, KS_OP_READ, &refusal);
	}
	return state->has_session && open_to(policy, state, peer, &refusal);
}
