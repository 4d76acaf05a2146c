/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry without a key. It guards against accident, not against anybody.
 *
 * so far      step received    within the window    then
 * nothing     1                                     step 1 is done, the window begins
 * n steps     n + 1            yes                  step n + 1 is done; the last one opens
 * n steps     n                yes                  nothing: the answer was lost and the step repeated
 * otherwise                                         wrong, and nothing is done any more
 */
#include <keyswitch/ks_proof.h>

#if KS_HAS_SEQUENCE
static void remove_at(struct ks_sequences *sequences, uint8_t place)
{
	for (uint_fast8_t next = (uint8_t)(place + 1u); next < sequences->count; next++) {
		sequences->going[next - 1u] = sequences->going[next];
	}
	sequences->count--;
}

void ks_sequences_forget(struct ks_sequences *sequences, uint32_t peer)
{
	uint8_t place = 0;

	for (uint_fast8_t turn = sequences->count; turn > 0u; turn--) {
		if (sequences->going[place].peer == peer) {
			remove_at(sequences, place);
		} else {
			place++;
		}
	}
}

/* Take the peer's progress out; false: it has none. */
static bool take(struct ks_sequences *sequences, uint32_t peer, uint_fast8_t mode, uint8_t purpose,
		 struct ks_sequence *found)
{
	for (uint_fast8_t place = 0; place < sequences->count; place++) {
		const struct ks_sequence *each = &sequences->going[place];

		if ((each->peer == peer) && (each->mode == mode) && (each->purpose == purpose)) {
			*found = *each;
			remove_at(sequences, place);
			return true;
		}
	}
	return false;
}

static void keep(struct ks_sequences *sequences, const struct ks_sequence *progress)
{
	if (sequences->count >= (uint8_t)KS_MAX_SEQUENCES) {
		/* The oldest goes: its peer begins anew. */
		remove_at(sequences, 0u);
	}
	sequences->going[sequences->count] = *progress;
	sequences->count++;
}

enum ks_sequence_result ks_sequences_advance(const struct ks_policy *policy, struct ks_sequences *sequences,
					     uint32_t peer, uint_fast8_t mode, uint8_t purpose, uint32_t step,
					     uint64_t now_ms, uint8_t *left)
{
	struct ks_sequence progress = {0};
	bool going = take(sequences, peer, mode, purpose, &progress);

	*left = 0u;
	if (step == 1u) {
		progress.peer = peer;
		progress.mode = mode;
		progress.purpose = purpose;
		progress.done = 1u;
		progress.until_ms = now_ms + policy->sequence_window_ms;
	} else if (!going || (now_ms >= progress.until_ms)) {
		return KS_SEQUENCE_WRONG;
	} else if (step == ((uint32_t)progress.done + 1u)) {
		if (step == policy->sequence_steps) {
			return KS_SEQUENCE_OPENS;
		}
		progress.done = (uint8_t)step;
	} else if (step != progress.done) {
		return KS_SEQUENCE_WRONG;
	} else {
		/* the answer was lost: said again */
	}
	keep(sequences, &progress);
	*left = (uint8_t)(policy->sequence_steps - progress.done);
	return KS_SEQUENCE_GOES_ON;
}
#endif
