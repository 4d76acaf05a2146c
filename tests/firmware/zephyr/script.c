/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyswitch/ks_mode_group.h>

/* --- a device --- */

uint32_t inhibited;
int64_t left_at_ms;
int refusals;

static void on_inhibit(uint32_t inhibits)
{
	inhibited = inhibits;
}

static void on_mode(uint8_t mode)
{
	if (mode == KS_POLICY_MODE_NORMAL) {
		left_at_ms = fake_now_ms;
		fake_note("left");
	} else {
		fake_note("entered");
	}
}

static void on_log(const struct ks_log *log)
{
	refusals += (log->kind == (uint8_t)KS_LOG_REFUSED) ? 1 : 0;
	if (log->kind == (uint8_t)KS_LOG_FAULT) {
		fake_note("fault");
	}
}

const struct ks_application application = {.inhibit = on_inhibit, .mode_changed = on_mode, .log = on_log};

void device_boots(void)
{
	fake_bluetooth_boot();
	fake_mcumgr_boot();
	CHECK(ks_start(&application) == 0);
	fake_run(50);
}

void presses(void *data)
{
	ks_button(data != NULL);
}

void enter_by_button(void)
{
	fake_in(INTERRUPT, presses, "down");
	fake_run(1200);
	fake_in(INTERRUPT, presses, NULL);
	fake_run(50);
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
}

void moves(void *data)
{
	ks_input_set(KS_POLICY_INPUT_MOTION, (data != NULL) ? 1 : 0);
}

/* --- frames --- */

size_t frame(uint8_t *bytes, uint8_t version, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size)
{
	static uint8_t sequence;

	sequence++;
	bytes[0] = (uint8_t)((version << 3) | op);
	bytes[1] = 0u;
	bytes[2] = (uint8_t)(size >> 8);
	bytes[3] = (uint8_t)size;
	bytes[4] = (uint8_t)(group >> 8);
	bytes[5] = (uint8_t)group;
	bytes[6] = sequence;
	bytes[7] = id;
	(void)memcpy(&bytes[8], map, size);
	return 8u + size;
}

/* The number behind a key of one of these lengths; -1: the key is not there. */
long number_of(const uint8_t *bytes, size_t size, const char *key)
{
	size_t length = strlen(key);

	for (size_t at = 8; at + length + 1u < size; at++) {
		if ((bytes[at] == 0x60u + length) && (memcmp(&bytes[at + 1u], key, length) == 0)) {
			const uint8_t *value = &bytes[at + 1u + length];

			if (value[0] < 24u) {
				return value[0];
			}
			if (value[0] == 24u) {
				return value[1];
			}
			return (long)(((uint32_t)value[1] << 24) | ((uint32_t)value[2] << 16) | ((uint32_t)value[3] << 8) |
				      value[4]);
		}
	}
	return -1;
}

bool says(const uint8_t *bytes, size_t size, const char *words)
{
	size_t length = strlen(words);

	for (size_t at = 0; at + length <= size; at++) {
		if (memcmp(&bytes[at], words, length) == 0) {
			return true;
		}
	}
	return false;
}

uint8_t heard[FAKE_PACKET];

/* Send over SMP and hear: the answer's rc, 0 where it has none; -1: no answer. */
long asks_version(int central, uint8_t version, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size)
{
	uint8_t bytes[256];
	size_t count = frame(bytes, version, op, group, id, map, size);
	long rc;

	CHECK(central_writes_smp(central, bytes, count, true) == 0u);
	fake_run(20);
	count = central_hears_smp(central, heard);
	if (count == 0u) {
		return -1;
	}
	rc = number_of(heard, count, "rc");
	return (rc < 0) ? 0 : rc;
}

long asks(int central, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size)
{
	return asks_version(central, 1u, op, group, id, map, size);
}

long asks_mode(int central, uint8_t op, uint8_t id, const char *map, size_t size)
{
	uint8_t bytes[256];
	size_t count = frame(bytes, 1u, op, KS_MODE_GROUP, id, map, size);
	long rc;

	CHECK(central_writes_mode(central, bytes, count) == 0u);
	fake_run(20);
	count = central_hears_mode(central, heard);
	if (count == 0u) {
		return -1;
	}
	rc = number_of(heard, count, "rc");
	if (getenv("FAKE_LOG") != NULL) {
		for (size_t at = 0; at < count; at++) {
			(void)fprintf(stderr, ((heard[at] >= 32u) && (heard[at] < 127u)) ? "%c" : "<%02x>", heard[at]);
		}
		(void)fprintf(stderr, "\n");
	}
	return (rc < 0) ? 0 : rc;
}

/* The central is there for SMP: with the strategies that end connections it connects anew. */
int central_in_maintenance(void)
{
	int central;

	enter_by_button();
	fake_run(200);
	central = central_connects(2);
	fake_run(20);
	CHECK(central != NO_CENTRAL);
	return central;
}

