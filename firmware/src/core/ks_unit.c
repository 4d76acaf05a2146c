/* SPDX-License-Identifier: Apache-2.0 */
/* The unit's data, read in place. A storage erase does not reach it, and no key of it is a default. */
#include <string.h>

#include <keyswitch/ks_unit.h>

#include "ks_bytes.h"
#include "ks_cbor.h"

#define VERSION 1u
#define HAS_SECRET 0x01u
#define HEAD_SIZE 10u
#define CRC_SIZE 4u
#define MAX_ID 64u
#define MAX_ISSUERS 16u

bool ks_unit_read(const uint8_t *bytes, size_t size, struct ks_unit *unit)
{
	const uint8_t *keys;
	size_t secret_size;
	size_t told;

	(void)memset(unit, 0, sizeof(*unit));
	if ((size < HEAD_SIZE) || (memcmp(bytes, "KSUN", 4u) != 0) || (bytes[4] != VERSION) ||
	    ((bytes[5] & ~HAS_SECRET) != 0u) || (bytes[8] < 1u) || (bytes[8] > MAX_ID) || (bytes[9] > MAX_ISSUERS)) {
		return false;
	}
	secret_size = ((bytes[5] & HAS_SECRET) != 0u) ? KS_SECRET_SIZE : 0u;
	told = HEAD_SIZE + bytes[8] + 1u + secret_size + ((size_t)bytes[9] * KS_KEY_SIZE) + CRC_SIZE;
	if ((size < told) || (ks_number_at(&bytes[6], 2u) != told) ||
	    (ks_crc32(bytes, told - CRC_SIZE) != ks_number_at(&bytes[told - CRC_SIZE], CRC_SIZE)) ||
	    (memchr(&bytes[HEAD_SIZE], 0, bytes[8] + 1u) != &bytes[HEAD_SIZE + bytes[8]]) ||
	    !ks_is_utf8(&bytes[HEAD_SIZE], bytes[8])) {
		return false;
	}
	unit->device_id = (const char *)&bytes[HEAD_SIZE];
	keys = &bytes[HEAD_SIZE + bytes[8] + 1u];
	unit->secret = (secret_size != 0u) ? keys : NULL;
	unit->issuers = (const uint8_t(*)[KS_KEY_SIZE])(const void *)&keys[secret_size];
	unit->issuer_count = bytes[9];
	return true;
}
