/* Ours. Read in subsys/mgmt/mcumgr/util/include/mgmt/mcumgr/util/zcbor_bulk.h [A] [K] [L]. */
#ifndef STUB_ZCBOR_BULK_H
#define STUB_ZCBOR_BULK_H

#include <zcbor_common.h>

struct zcbor_map_decode_key_val {
	struct zcbor_string key;
	zcbor_decoder_t *decoder;
	void *value_ptr;
	bool found;
};
#define ZCBOR_MAP_DECODE_KEY_DECODER(k, dec, vp)                                                                       \
	{                                                                                                              \
		{(const uint8_t *)(k), sizeof(k) - 1}, (zcbor_decoder_t *)(void *)(dec), vp, false                     \
	}
int zcbor_map_decode_bulk(zcbor_state_t *zsd, struct zcbor_map_decode_key_val *map, size_t map_size, size_t *matched);

#endif
