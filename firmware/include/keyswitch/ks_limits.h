/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the tables in RAM are. The generated ks_policy.h says what its policy needs; a product may say more.
 */
#ifndef KEYSWITCH_KS_LIMITS_H_
#define KEYSWITCH_KS_LIMITS_H_

#include "ks_policy.h"

/* Bluetooth LE centrals at once: at least CONFIG_BT_MAX_CONN. At most 32: they are bits of a word. */
#ifndef KS_MAX_CONNECTIONS
#define KS_MAX_CONNECTIONS 4
#endif
/* Inputs of the policy. */
#ifndef KS_MAX_INPUTS
#define KS_MAX_INPUTS KS_POLICY_INPUTS
#endif
/* Effects of one step. The exporter works out the most that its policy can ask for. */
#ifndef KS_MAX_EFFECTS
#define KS_MAX_EFFECTS KS_POLICY_EFFECTS
#endif
/* Images that a session may be limited to. A session record that names more is worth nothing. */
#ifndef KS_MAX_IMAGES
#define KS_MAX_IMAGES 2
#endif
/* Nonces that are out at once: one for each central, and two for peers on other transports. */
#ifndef KS_MAX_NONCES
#define KS_MAX_NONCES (KS_MAX_CONNECTIONS + 2)
#endif

/*
 * What the policy uses: the generated ks_policy.h says 0 for what it does not, and the core leaves that out. It decides the
 * same without: the tests compare each policy's own build with the one that has everything. Where nothing is said, all is in.
 */
#ifndef KS_HAS_QUIET
#define KS_HAS_QUIET 1 /* a mode with quiet_after_s */
#endif
#ifndef KS_HAS_SECURITY
#define KS_HAS_SECURITY 1 /* a mode or transition that asks for a protected link */
#endif
#ifndef KS_HAS_OWNED
#define KS_HAS_OWNED 1 /* session = "owner" */
#endif
#ifndef KS_HAS_HOLD
#define KS_HAS_HOLD 1 /* when_false = "hold" */
#endif
#ifndef KS_HAS_DISCONNECT_OTHERS
#define KS_HAS_DISCONNECT_OTHERS 1 /* others = "disconnect" */
#endif
#ifndef KS_HAS_UNPROVED
#define KS_HAS_UNPROVED 1 /* on = "enter" without proofs */
#endif
#ifndef KS_HAS_SEQUENCE
#define KS_HAS_SEQUENCE 1 /* these: kinds of proof */
#endif
#ifndef KS_HAS_CHALLENGE
#define KS_HAS_CHALLENGE 1
#endif
#ifndef KS_HAS_PERMIT
#define KS_HAS_PERMIT 1
#endif
#ifndef KS_HAS_ON_BUTTON
#define KS_HAS_ON_BUTTON 1 /* these: what sets a transition off */
#endif
#ifndef KS_HAS_ON_CONNECT
#define KS_HAS_ON_CONNECT 1
#endif
#ifndef KS_HAS_ON_DISCONNECT
#define KS_HAS_ON_DISCONNECT 1
#endif
#ifndef KS_HAS_ON_LEAVE
#define KS_HAS_ON_LEAVE 1
#endif
#ifndef KS_HAS_ON_RESET
#define KS_HAS_ON_RESET 1
#endif
#ifndef KS_HAS_ON_TIMEOUT
#define KS_HAS_ON_TIMEOUT 1
#endif

/* Pairs of image slots: MCUboot's images. With one, nothing of several is built in. */
#ifndef KS_POLICY_PAIRS
#define KS_POLICY_PAIRS 4
#endif
#if KS_POLICY_PAIRS < 1 || KS_POLICY_PAIRS > 4
#error "KS_POLICY_PAIRS must be 1 to 4"
#endif

/* A refusal says more than its reason: which guard, which mode, how long. Without, the reason alone. */
#ifndef KS_REFUSAL_TEXTS
#define KS_REFUSAL_TEXTS 1
#endif

/* Sequences that are under way at once. */
#ifndef KS_MAX_SEQUENCES
#define KS_MAX_SEQUENCES KS_MAX_NONCES
#endif

/* The longest hash of an image: SHA-512 (MCUboot IMAGE_HASH_SIZE). */
#define KS_MAX_HASH 64u

/* An array of no elements is no C. */
#if KS_MAX_INPUTS < 1
#define KS_INPUT_SLOTS 1
#else
#define KS_INPUT_SLOTS KS_MAX_INPUTS
#endif

#if KS_MAX_CONNECTIONS < 1 || KS_MAX_CONNECTIONS > 32
#error "KS_MAX_CONNECTIONS must be 1 to 32"
#endif

#endif
