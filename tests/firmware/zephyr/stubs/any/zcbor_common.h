/* Ours: an encoder and a decoder of a few items. Read in zcbor's include/zcbor_common.h [B]. */
#ifndef STUB_ZCBOR_COMMON_H
#define STUB_ZCBOR_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zcbor_string {
	const uint8_t *value;
	size_t len;
};
typedef struct {
	union {
		uint8_t *payload_mut;
		const uint8_t *payload;
	};
	const uint8_t *payload_bak;
	size_t elem_count;
	const uint8_t *payload_end;
} zcbor_state_t;
typedef bool(zcbor_encoder_t)(zcbor_state_t *, const void *);
typedef bool(zcbor_decoder_t)(zcbor_state_t *, void *);

#endif
