/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong proofs cost time: for each kind of proof the wait doubles with each further one, up to a maximum. The count
 * survives a reset, and the wait then starts again in full, so that a power cycle never shortens it.
 */
#include <string.h>

#include <keyswitch/ks_proof.h>

/* One doubling more than a 32-bit maximum can be away from 1 ms; the shift stays small whatever the count is. */
#define MOST_DOUBLINGS 32u

static uint32_t wait_ms(const struct ks_policy *policy, uint32_t failures)
{
	uint32_t over;
	uint64_t wait;

	if (failures <= policy->lockout_free_tries) {
		return 0u;
	}
	over = failures - policy->lockout_free_tries - 1u;
	wait = (uint64_t)policy->lockout_first_ms << ((over < MOST_DOUBLINGS) ? over : MOST_DOUBLINGS);
	return (wait < policy->lockout_max_ms) ? (uint32_t)wait : policy->lockout_max_ms;
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
	for (uint8_t place = 0; (failures != NULL) && (place < KS_LOCKOUT_KINDS); place++) {
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
