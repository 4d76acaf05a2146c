/* SPDX-License-Identifier: Apache-2.0 */
/* ks_digest.h with the room that this build's backend needs: a driver of hardware takes much more than software does. */
#ifndef KEYSWITCH_ZEPHYR_DIGEST_H_
#define KEYSWITCH_ZEPHYR_DIGEST_H_

#if defined(CONFIG_KEYSWITCH_CRYPTO_PSA)
#include <psa/crypto.h>
#define KS_DIGEST_STATE_SIZE sizeof(psa_hash_operation_t)
#elif defined(CONFIG_KEYSWITCH_CRYPTO_TINYCRYPT)
#include <tinycrypt/sha256.h>
#define KS_DIGEST_STATE_SIZE sizeof(struct tc_sha256_state_struct)
#endif

#include <keyswitch/ks_digest.h>

#endif
