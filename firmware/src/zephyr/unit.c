/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this unit is: the partition `keyswitch_unit` that `keyswitch unit make` has written, if the devicetree has one; else
 * what settings hold (record.c). Which of the two is decided when the firmware is built: an erased partition is a unit without
 * a secret, and not one whose secret is looked for elsewhere.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/storage/flash_map.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#if KS_UNIT_PARTITION

/* Bytes 6 and 7 of the head: how many there are in all. */
#define HEAD_SIZE 8u
#define SIZE_AT 6u

static uint8_t bytes[CONFIG_KEYSWITCH_UNIT_SIZE];
static struct ks_unit unit;

void ks_unit_load(void)
{
	const struct flash_area *area;
	size_t size = 0u;

	if (flash_area_open(KS_PARTITION_ID(keyswitch_unit), &area) == 0) {
		if (flash_area_read(area, 0, bytes, HEAD_SIZE) == 0) {
			size = (size_t)bytes[SIZE_AT] | ((size_t)bytes[SIZE_AT + 1u] << 8);
		}
		if ((size < HEAD_SIZE) || (size > sizeof(bytes)) || (size > area->fa_size) ||
		    (flash_area_read(area, 0, bytes, size) != 0)) {
			size = 0u;
		}
		flash_area_close(area);
	}
	if (!ks_unit_read(bytes, size, &unit)) {
		LOG_WRN("no unit data: no challenge is answered right, no permit opens anything");
	}
}

const struct ks_unit *ks_unit_now(void)
{
	return &unit;
}

bool ks_unit_secret(uint8_t secret[KS_UNIT_SECRET_SIZE])
{
	if (unit.secret == NULL) {
		return false;
	}
	(void)memcpy(secret, unit.secret, KS_UNIT_SECRET_SIZE);
	return true;
}

#else

void ks_unit_load(void)
{
}

#if KS_HAS_PERMIT
const struct ks_unit *ks_unit_now(void)
{
	return ks_record_unit();
}
#endif

bool ks_unit_secret(uint8_t secret[KS_UNIT_SECRET_SIZE])
{
	return ks_record_secret(secret);
}

#endif
