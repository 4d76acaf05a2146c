/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session record: what carries a maintenance session across the update's own reset. Single use, versioned.
 *
 * The new firmware reads what the old one wrote, and may bring another revision of the policy: so the bytes hold names,
 * hashes and times, and no place in a table. docs/session-record.md has the format; Python writes the same bytes.
 */
#ifndef KEYSWITCH_KS_RECORD_H_
#define KEYSWITCH_KS_RECORD_H_

#include <keyswitch/ks_gate.h>

#define KS_RECORD_VERSION 2u
#define KS_TOKEN_SIZE 4u
/* Times that a record may have: enum ks_timer, from KS_TIMER_TIMEOUT to KS_TIMER_TRIAL. */
#define KS_RECORD_TIMES 5u

/* A record as it was read under this policy. */
struct ks_record {
	uint32_t left_ms[KS_RECORD_TIMES]; /* by enum ks_timer; KS_NO_LIMIT: it has none */
	struct ks_images images;
	struct ks_hash expected[KS_POLICY_PAIRS]; /* by image pair; means something while has_expected */
	uint8_t entry[KS_ENTRY_SIZE]; /* means something while has_entry */
	uint8_t token[KS_TOKEN_SIZE];
	uint8_t mode; /* KS_NO_MODE: of another policy, not of this one */
	uint8_t proof;
	bool own_policy; /* it was written under this very policy */
	bool has_entry;
	ks_pairs has_expected; /* those that must run what is named here */
	bool has_token;
	bool ending;
};

/* The most bytes that a record of this build's limits has. */
#define KS_RECORD_MAX (4u + 32u + 1u + 32u + 8u + 4u + 20u + 4u + (1u + (KS_MAX_IMAGES * (1u + KS_MAX_HASH))) + \
		       (1u + KS_MAX_HASH) + ((KS_POLICY_PAIRS > 1) ? (1u + ((KS_POLICY_PAIRS - 1u) * (2u + KS_MAX_HASH))) : 0u))

/* What only the caller knows of a session that is carried across a reset: what is left of its time limits. */
struct ks_record_times {
	uint32_t left_ms[3]; /* KS_TIMER_TIMEOUT, KS_TIMER_LEASE, KS_TIMER_LEASE_MAX; KS_NO_LIMIT: it does not run */
};

/*
 * The record of the session in `state`, for KS_WRITE_SESSION_RECORD: `state` is the one after the step that asked for it,
 * `expects` is the effect's arg: the image pairs whose ks_state.armed must run afterwards. Returns its size; 0: there is no session, or no room.
 */
size_t ks_record_write(const struct ks_policy *policy, const struct ks_state *state, ks_pairs expects,
		       const uint8_t token[KS_TOKEN_SIZE], const struct ks_record_times *times, uint8_t *bytes,
		       size_t size);

/*
 * Read a record under this policy. false: it is none, damaged, of another version, names more images than this build
 * holds, or an image pair that the policy has not; then it is worth nothing, and the device comes up outside maintenance.
 */
bool ks_record_read(const struct ks_policy *policy, const uint8_t *bytes, size_t size, struct ks_record *record);

#endif
