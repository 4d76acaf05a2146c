/* Ours. Read in ext/tinycrypt/lib/include/tinycrypt/hmac.h [C]. */
#ifndef STUB_TC_HMAC_H
#define STUB_TC_HMAC_H

#include <tinycrypt/sha256.h>

struct tc_hmac_state_struct {
	struct tc_sha256_state_struct hash_state;
	uint8_t key[2 * 64];
};
typedef struct tc_hmac_state_struct *TCHmacState_t;
int tc_hmac_set_key(TCHmacState_t ctx, const uint8_t *key, unsigned int key_size);
int tc_hmac_init(TCHmacState_t ctx);
int tc_hmac_update(TCHmacState_t ctx, const void *data, unsigned int data_length);
int tc_hmac_final(uint8_t *tag, unsigned int taglen, TCHmacState_t ctx);

#endif
