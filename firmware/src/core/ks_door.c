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
	for (uint8_t mode = 0; mode < policy->mode_count; mode++) {
		const struct ks_mode *each = ks_mode_at(policy, mode);

		if (ks_is_maintenance(policy, mode) && (each->security < least) &&
		    ks_mode_allows(each, KS_GROUP_IMAGE, KS_IMAGE_STATE, KS_OP_WRITE)) {
			least = each->security;
		}
	}
	if (!state_of_images || (least == UINT8_MAX)) {
		return refuse(refusal, KS_WHY_FIRST_TRIAL, 0u);
	}
	return (peer->security >= least) ? true : refuse(refusal, KS_WHY_SECURITY, least);
}

bool ks_authorise(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		  uint16_t group, uint8_t id, uint8_t op, struct ks_refusal *refusal)
{
	const struct ks_mode *now = ks_mode_at(policy, state->mode);

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
	if (!ks_mode_allows(now, group, id, op)) {
		return refuse(refusal, KS_WHY_WRONG_MODE, state->mode);
	}
	if ((group == KS_GROUP_MODE) && (id <= KS_MODE_ATTACH)) {
		return true; /* state, challenge, enter and attach prove themselves */
	}
	if (peer->security < now->security) {
		return refuse(refusal, KS_WHY_SECURITY, now->security);
	}
	if (ks_is_maintenance(policy, state->mode) && !state->has_session) {
		return refuse(refusal, KS_WHY_NOBODY_ENTERED, 0u);
	}
	if (state->has_session && ((now->flags & KS_MODE_OWNED) != 0u) && (state->session.owner != peer->id)) {
		return refuse(refusal, KS_WHY_OWNER, 0u);
	}
	return true;
}
