/* Ours. Read in zcbor's include/zcbor_decode.h [B]. */
#ifndef STUB_ZCBOR_DECODE_H
#define STUB_ZCBOR_DECODE_H

#include <zcbor_common.h>

bool zcbor_bool_decode(zcbor_state_t *state, bool *result);
bool zcbor_uint32_decode(zcbor_state_t *state, uint32_t *result);
bool zcbor_bstr_decode(zcbor_state_t *state, struct zcbor_string *result);

#endif
