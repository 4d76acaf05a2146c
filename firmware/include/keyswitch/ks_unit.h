/* SPDX-License-Identifier: Apache-2.0 */
/* Who this unit is: what `keyswitch unit make` has written into a partition of its own (docs/unit-data.md has the bytes). */
#ifndef KEYSWITCH_KS_UNIT_H_
#define KEYSWITCH_KS_UNIT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <keyswitch/ks_crypto.h>

struct ks_unit {
	const char *device_id; /* what proofs and permits are bound to; NULL: the policy's */
	const uint8_t *secret; /* of challenges, KS_SECRET_SIZE bytes; NULL: there is none */
	const uint8_t (*issuers)[KS_KEY_SIZE]; /* Ed25519 public keys that may sign permits */
	uint8_t issuer_count; /* 0: no permit opens anything */
};

/*
 * Read the unit that `bytes` begins with. Nothing is copied: *unit points into them, so they stay where they are while the
 * device runs. false: there is none, or it is damaged; *unit then is a unit without a secret and without issuers.
 */
bool ks_unit_read(const uint8_t *bytes, size_t size, struct ks_unit *unit);

#endif
