/* Ours. Read in ext/tinycrypt/lib/include/tinycrypt/sha256.h [C]. */
#ifndef STUB_TC_SHA256_H
#define STUB_TC_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct tc_sha256_state_struct {
	unsigned int iv[8];
	uint64_t bits_hashed;
	uint8_t leftover[64];
	size_t leftover_offset;
};
typedef struct tc_sha256_state_struct *TCSha256State_t;
int tc_sha256_init(TCSha256State_t s);
int tc_sha256_update(TCSha256State_t s, const uint8_t *data, size_t datalen);
int tc_sha256_final(uint8_t *digest, TCSha256State_t s);

#endif
