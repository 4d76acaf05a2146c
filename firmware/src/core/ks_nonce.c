/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nonces that were given out. Taking one removes it, whether the proof is right or wrong; a new one replaces the peer's
 * old one; where there is no room, the oldest goes first.
 */
#include <string.h>

#include <keyswitch/ks_proof.h>

static void remove_at(struct ks_nonces *nonces, uint8_t place)
{
	for (uint_fast8_t next = (uint8_t)(place + 1u); next < nonces->count; next++) {
		nonces->given[next - 1u] = nonces->given[next];
	}
	nonces->count--;
	/* What was given out once is not left lying in memory. */
	(void)memset(&nonces->given[nonces->count], 0, sizeof(nonces->given[0]));
}

static bool find(const struct ks_nonces *nonces, uint32_t peer, uint8_t *place)
{
	for (uint_fast8_t each = 0; each < nonces->count; each++) {
		if (nonces->given[each].peer == peer) {
			*place = (uint8_t)each;
			return true;
		}
	}
	return false;
}

void ks_nonces_forget(struct ks_nonces *nonces, uint32_t peer)
{
	uint8_t place;

	if (find(nonces, peer, &place)) {
		remove_at(nonces, place);
	}
}

void ks_nonces_give(struct ks_nonces *nonces, uint32_t peer, uint8_t mode, const uint8_t nonce[KS_NONCE_SIZE],
		    uint64_t now_ms)
{
	struct ks_nonce *given;

	ks_nonces_forget(nonces, peer);
	if (nonces->count >= (uint8_t)KS_MAX_NONCES) {
		remove_at(nonces, 0u);
	}
	given = &nonces->given[nonces->count];
	nonces->count++;
	given->peer = peer;
	given->mode = mode;
	given->until_low_ms = (uint32_t)(now_ms + KS_NONCE_LIFETIME_MS);
	given->until_high = (uint16_t)((now_ms + KS_NONCE_LIFETIME_MS) >> 32);
	(void)memcpy(given->nonce, nonce, KS_NONCE_SIZE);
}

bool ks_nonces_take(struct ks_nonces *nonces, uint32_t peer, uint8_t mode, uint64_t now_ms,
		    uint8_t nonce[KS_NONCE_SIZE])
{
	uint8_t place;
	bool valid;

	if (!find(nonces, peer, &place)) {
		return false;
	}
	valid = (nonces->given[place].mode == mode) &&
		(now_ms < (((uint64_t)nonces->given[place].until_high << 32) | nonces->given[place].until_low_ms));
	if (valid) {
		(void)memcpy(nonce, nonces->given[place].nonce, KS_NONCE_SIZE);
	}
	remove_at(nonces, place);
	return valid;
}
