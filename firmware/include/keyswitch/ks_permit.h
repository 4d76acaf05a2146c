/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry by permit: a signed permission (COSE_Sign1, RFC 9052 4.2, Ed25519) over CWT claims, and its holder's signature over
 * a fresh nonce. Built where the policy takes permits (KS_HAS_PERMIT; CONFIG_KEYSWITCH_PERMIT).
 *
 * A permit has one form (claims in their order, everything as short as it can be): it is read in place, from front to back.
 * Nothing in it is believed before its issuer's signature was verified.
 */
#ifndef KEYSWITCH_KS_PERMIT_H_
#define KEYSWITCH_KS_PERMIT_H_

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_gate.h>
#include <keyswitch/ks_unit.h>

#if KS_HAS_PERMIT && defined(CONFIG_KEYSWITCH) && !defined(CONFIG_KEYSWITCH_PERMIT)
#error "The policy takes permits: CONFIG_KEYSWITCH_PERMIT=y (ks.conf has it)"
#endif

/* The most bytes of a permit. */
#define KS_PERMIT_MAX 1024u
#define KS_PERMIT_ID_SIZE 16u
/* Bytes in front of the claims, of what the issuer has signed. */
#define KS_PERMIT_SIGNED_HEAD 20u

/* A permit that holds. */
struct ks_permit {
	const uint8_t *id; /* KS_PERMIT_ID_SIZE bytes of the request */
	const uint8_t *holder; /* KS_KEY_SIZE bytes of the request */
	uint32_t uses; /* that it allows, where the clock is not trusted */
	struct ks_images images;
};

enum ks_permit_result {
	KS_PERMIT_WRONG = 0,
	KS_PERMIT_EXPIRED = 1, /* all of it is right but the time */
	KS_PERMIT_RIGHT = 2,
};

/* A permit, its holder's signature, and what was asked of this peer. */
struct ks_permit_proof {
	const uint8_t *permit;
	size_t permit_size;
	const uint8_t *signature; /* KS_SIGNATURE_SIZE bytes */
	const char *device_id;
	const char *mode; /* its name */
	/* What ks_proof_message() gives for KS_PROOF_PERMIT, and room behind it for KS_HASH_SIZE bytes. */
	uint8_t *message;
	size_t message_size;
	/* Room for what the issuer has signed: KS_PERMIT_SIGNED_HEAD bytes and the claims. Less, and the permit is wrong. */
	uint8_t *scratch;
	size_t scratch_size;
	bool trusts_clock;
	uint32_t now_s; /* since 1970, where the clock is trusted */
};

/* Whether the permit and its holder's signature are right. *permit points into the proof's bytes. */
enum ks_permit_result ks_permit_judge(const struct ks_unit *unit, const struct ks_permit_proof *proof,
				      struct ks_permit *permit);

/* --- what a product brings besides ks_crypto.h; the module's glue keeps the uses in settings --- */

/*
 * How often this permit was used (0: never), and of how many permits the uses are kept. false: that cannot be read, or is
 * damaged: then no permit is accepted.
 */
bool ks_permit_uses(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t *used, uint32_t *known);
/* Keep on the medium that it was used so often, before this returns; false: it is not there, and the permit opens nothing. */
bool ks_permit_keep_use(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t used);
/* Seconds since 1970 of a clock that nobody can set from outside; false: there is none now. Asked where clock = "trusted". */
bool ks_clock_s(uint32_t *now_s);

#endif
