/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong proofs cost time: for each kind of proof the wait doubles with each further one, up to a maximum. The count
 * survives a reset, and the wait then starts again in full, so that a power cycle never shortens it.
 */
#include <string.h>

#include <keyswitch/ks_proof.h>

#include "ks_internal.h"

static uint32_t wait_ms(const struct ks_policy *policy, uint32_t failures)
{
	uint32_t most_ms = policy->lockout_max_ms;
	uint32_t ms = policy->lockout_first_ms;

	if (failures <= policy->lockout_free_tries) {
		return 0u;
	}
	/* It doubles: after 32 rounds at most there is no more to wait. */
	for (uint32_t each = failures - policy->lockout_free_tries; (each > 1u) && (ms < most_ms); each--) {
		ms = (ms > (most_ms / 2u)) ? most_ms : (ms * 2u);
	}
	return ks_least(ms, most_ms);
}

/* Its place; false: this kind is never locked. */
static bool place_of(uint8_t proof, uint8_t *place)
{
	*place = (uint8_t)(proof - (uint8_t)KS_PROOF_SEQUENCE);
	return (proof >= (uint8_t)KS_PROOF_SEQUENCE) && (*place < KS_LOCKOUT_KINDS);
}

void ks_lockout_restore(const struct ks_policy *policy, struct ks_lockout *lockout,
			const uint32_t failures[KS_LOCKOUT_KINDS], uint64_t now_ms)
{
	(void)memset(lockout, 0, sizeof(*lockout));
	for (uint_fast8_t place = 0; (failures != NULL) && (place < KS_LOCKOUT_KINDS); place++) {
		lockout->failures[place] = failures[place];
		lockout->until_ms[place] = now_ms + wait_ms(policy, failures[place]);
	}
}

uint32_t ks_lockout_remaining_ms(const struct ks_lockout *lockout, uint8_t proof, uint64_t now_ms)
{
	uint8_t place;

	if (!place_of(proof, &place) || (lockout->until_ms[place] <= now_ms)) {
		return 0u;
	}
	return (uint32_t)(lockout->until_ms[place] - now_ms);
}

void ks_lockout_wrong(const struct ks_policy *policy, struct ks_lockout *lockout, uint8_t proof, uint64_t now_ms)
{
	uint8_t place;

	if (!place_of(proof, &place)) {
		return;
	}
	if (lockout->failures[place] < UINT32_MAX) {
		lockout->failures[place]++;
	}
	lockout->until_ms[place] = now_ms + wait_ms(policy, lockout->failures[place]);
}

bool ks_lockout_right(struct ks_lockout *lockout, uint8_t proof)
{
	uint8_t place;

	if (!place_of(proof, &place) || (lockout->failures[place] == 0u)) {
		return false;
	}
	lockout->failures[place] = 0u;
	lockout->until_ms[place] = 0u;
	return true;
}
