/* SPDX-License-Identifier: Apache-2.0 */
/* Proofs of entry: what a challenge is answered with, nonces, sequences, and what wrong proofs cost. */
#ifndef KEYSWITCH_KS_PROOF_H_
#define KEYSWITCH_KS_PROOF_H_

#include <keyswitch/ks_gate.h>
#include <keyswitch/ks_record.h>

#define KS_NONCE_SIZE 16u

/* What a proof is for. */
enum ks_purpose {
	KS_PURPOSE_ENTER = 0,
	KS_PURPOSE_ATTACH = 1,
};

/* The most bytes that a proof covers: seven parts with their lengths, an identity of 64 bytes among them. */
#define KS_PROOF_MESSAGE_MAX (7u * 2u + 17u + 9u + 6u + KS_NONCE_SIZE + 64u + 32u + KS_TOKEN_SIZE)

/*
 * The bytes that a proof of this kind (enum ks_proof: challenge or permit) covers: what it is for, by whom, here, now.
 * mode: its name. `token` is looked at for KS_PURPOSE_ATTACH alone. Returns their number; 0: there is no room.
 */
size_t ks_proof_message(uint8_t proof, const char *device_id, const char *mode, uint8_t purpose,
			const uint8_t nonce[KS_NONCE_SIZE], const uint8_t token[KS_TOKEN_SIZE], uint8_t *bytes,
			size_t size);

/* --- nonces: one for each peer, used once, for one mode, for a short time --- */

/* Time for a person to unlock a key; longer only helps a relay. */
#define KS_NONCE_LIFETIME_MS 30000u

struct ks_nonce {
	uint32_t peer;
	uint32_t until_low_ms; /* 48 bits of a time since boot: 8,925 years */
	uint16_t until_high;
	uint8_t mode;
	uint8_t nonce[KS_NONCE_SIZE];
};

/* The oldest first. */
struct ks_nonces {
	struct ks_nonce given[KS_MAX_NONCES];
	uint8_t count;
};

/* Remember these random bytes as the peer's nonce for `mode`; the peer's old one, or the oldest of all, goes. */
void ks_nonces_give(struct ks_nonces *nonces, uint32_t peer, uint8_t mode, const uint8_t nonce[KS_NONCE_SIZE],
		    uint64_t now_ms);
/* The peer's nonce for `mode`, forgotten from now on; false: it has none, for this mode, in time. */
bool ks_nonces_take(struct ks_nonces *nonces, uint32_t peer, uint8_t mode, uint64_t now_ms,
		    uint8_t nonce[KS_NONCE_SIZE]);
void ks_nonces_forget(struct ks_nonces *nonces, uint32_t peer);

/* --- lock-out: each wrong proof of a kind makes the next one of that kind wait longer --- */

/* Kinds that can be wrong: sequence, challenge, permit. The button is never locked. */
#define KS_LOCKOUT_KINDS 3u

struct ks_lockout {
	uint64_t until_ms[KS_LOCKOUT_KINDS];
	uint32_t failures[KS_LOCKOUT_KINDS]; /* keep them across a reset, before the answer to a wrong proof is sent */
};

/* After a reset, from what was kept: the wait starts again in full. NULL: nothing was kept. */
void ks_lockout_restore(const struct ks_policy *policy, struct ks_lockout *lockout,
			const uint32_t failures[KS_LOCKOUT_KINDS], uint64_t now_ms);
/* How long this kind of proof is not heard; 0: it is. */
uint32_t ks_lockout_remaining_ms(const struct ks_lockout *lockout, uint8_t proof, uint64_t now_ms);
/* One more wrong proof of this kind. */
void ks_lockout_wrong(const struct ks_policy *policy, struct ks_lockout *lockout, uint8_t proof, uint64_t now_ms);
/* A right one: the count starts again. Whether that changed anything. */
bool ks_lockout_right(struct ks_lockout *lockout, uint8_t proof);

/* --- sequences: numbered steps in order, within a time window --- */

struct ks_sequence {
	uint64_t until_ms;
	uint32_t peer;
	uint8_t mode;
	uint8_t purpose;
	uint8_t done;
};

/* The oldest first. */
struct ks_sequences {
	struct ks_sequence going[KS_MAX_SEQUENCES];
	uint8_t count;
};

enum ks_sequence_result {
	KS_SEQUENCE_GOES_ON = 0,
	KS_SEQUENCE_OPENS = 1,
	KS_SEQUENCE_WRONG = 2,
};

/* What this step of the peer does; *left: steps still to come. A step that is no number is step 0. */
enum ks_sequence_result ks_sequences_advance(const struct ks_policy *policy, struct ks_sequences *sequences,
					     uint32_t peer, uint8_t mode, uint8_t purpose, uint32_t step,
					     uint64_t now_ms, uint8_t *left);
void ks_sequences_forget(struct ks_sequences *sequences, uint32_t peer);

#endif
