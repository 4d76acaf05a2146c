/* Ours. Read in zcbor's include/zcbor_encode.h [B]. */
#ifndef STUB_ZCBOR_ENCODE_H
#define STUB_ZCBOR_ENCODE_H

#include <zcbor_common.h>

bool zcbor_bool_put(zcbor_state_t *state, bool input);
bool zcbor_int32_put(zcbor_state_t *state, int32_t input);
bool zcbor_uint32_put(zcbor_state_t *state, uint32_t input);
bool zcbor_bstr_encode(zcbor_state_t *state, const struct zcbor_string *input);
bool zcbor_tstr_encode_ptr(zcbor_state_t *state, const char *str, size_t len);
#define zcbor_tstr_put_lit(state, string) zcbor_tstr_encode_ptr(state, string, sizeof(string) - 1)
bool zcbor_map_start_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_map_end_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_list_start_encode(zcbor_state_t *state, size_t max_num);
bool zcbor_list_end_encode(zcbor_state_t *state, size_t max_num);

#endif
