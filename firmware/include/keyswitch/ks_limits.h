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

/* Sequences that are under way at once; none, where the policy takes none. */
#ifndef KS_MAX_SEQUENCES
#define KS_MAX_SEQUENCES ((KS_POLICY_SEQUENCES != 0) ? KS_MAX_NONCES : 1)
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
