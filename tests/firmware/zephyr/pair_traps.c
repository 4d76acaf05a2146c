/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps of several images: one that is swapped beside another, and one that is only copied, as nRF5340's network core is. What
 * is asked of image 1 here is asked of the last image that the build has.
 */
#include "script.h"

#if KS_POLICY_PAIRS > 1

#include <string.h>

#include <zephyr/dfu/mcuboot.h>
#include <zephyr/kernel.h>
#include <zephyr/storage/flash_map.h>

#define LAST (KS_POLICY_PAIRS - 1)
#define RUNS (2 * LAST)
#define OTHER (RUNS + 1)
#define OTHER_AREA ((KS_POLICY_PAIRS == 2) ? stub_area_slot3_partition : stub_area_slot5_partition)
#define LARGEST (FURTHER_SLOT_SIZE - 64u - UPLOAD_BEGINS)
/* Versions 2 and 3 of image 0, which traps.c has put there; of the others 6 runs and 7 waits. */
#define RUNNING_FILL 0x45u
#define WAITING_FILL 0x56u

static uint8_t hash_of_app[HASH_SIZE];
static uint8_t hash_of_last[HASH_SIZE];
static uint8_t hash_of_running[HASH_SIZE];

void put_further_images(void)
{
	fake_put_image(1, 0x22u, 9000u, hash_of_app);
	for (int image = 1; image < KS_POLICY_PAIRS; image++) {
		if (!fake_is_copied(image)) {
			fake_put_image(2 * image, RUNNING_FILL, 2000u, hash_of_running);
		}
		fake_put_image((2 * image) + 1, WAITING_FILL, 5000u + (size_t)image, hash_of_last);
	}
}

/* --- frames --- */

static long state_write(int central, const uint8_t hash[HASH_SIZE], bool confirm)
{
	char map[96] = "\xA2\x64hash";
	char rest[] = "\x67"
		      "confirm\xF4";

	rest[8] = confirm ? '\xF5' : '\xF4';
	(void)memcpy(&map[6], (HASH_SIZE == 64u) ? "\x58\x40" : "\x58\x20", 2u);
	(void)memcpy(&map[8], hash, HASH_SIZE);
	(void)memcpy(&map[8u + HASH_SIZE], rest, sizeof(rest) - 1u);
	return asks(central, WRITE, IMAGE, 0u, map, 8u + HASH_SIZE + sizeof(rest) - 1u);
}

static long confirms_app(int central)
{
	static const char confirm[] = "\xA1\x67"
				      "confirm\xF5";

	return asks(central, WRITE, IMAGE, 0u, confirm, sizeof(confirm) - 1u);
}

/* The first piece of an upload: the header of an image, as far as it is read. */
static long uploads(int central, uint8_t image, size_t size, uint8_t version, bool upgrade)
{
	char map[96] = "\xA5\x65image\x00\x63off\x00\x63len\x19..\x67upgrade\xF4\x64"
		       "data\x58\x20";
	const size_t data = 36u;

	map[7] = (char)image;
	map[18] = (char)(size >> 8);
	map[19] = (char)size;
	map[28] = upgrade ? '\xF5' : '\xF4';
	map[data + 20u] = (char)version;
	return asks(central, WRITE, IMAGE, 1u, map, data + 32u);
}

static long erases(int central, uint8_t slot)
{
	char map[] = "\xA1\x64slot\x00";

	map[6] = (char)slot;
	return asks(central, WRITE, IMAGE, 5u, map, sizeof(map) - 1u);
}

/* --- the list --- */

#define LISTED 0x01u
#define PENDING 0x02u
#define CONFIRMED 0x04u
#define ACTIVE 0x08u
#define PERMANENT 0x10u

static bool is_at(size_t at, const char *bytes, size_t size)
{
	return (at + size <= sizeof(heard)) && (memcmp(&heard[at], bytes, size) == 0);
}

static unsigned int flag_between(size_t from, size_t to, const char *key, unsigned int flag)
{
	size_t length = strlen(key);

	for (size_t at = from; at < to; at++) {
		if (is_at(at, key, length) && (heard[at + length] == 0xF5u)) {
			return flag;
		}
	}
	return 0u;
}

/* What the last answer lists of a slot; 0: it does not. */
static unsigned int listed(int image, int slot)
{
	for (size_t at = 8; at < sizeof(heard); at++) {
		size_t end = at + 1u;

		if (!is_at(at, "\x65image", 6u) || !is_at(at + 7u, "\x64slot", 5u) || (heard[at + 6u] != (uint8_t)image) ||
		    (heard[at + 12u] != (uint8_t)slot)) {
			continue;
		}
		while ((end < sizeof(heard)) && !is_at(end, "\x65image", 6u) && !is_at(end, "splitStatus", 11u)) {
			end++;
		}
		return LISTED | flag_between(at, end, "pending", PENDING) | flag_between(at, end, "confirmed", CONFIRMED) |
		       flag_between(at, end, "active", ACTIVE) | flag_between(at, end, "permanent", PERMANENT);
	}
	return 0u;
}

static void reads_list(int central)
{
	(void)memset(heard, 0, sizeof(heard));
	CHECK(asks(central, READ, IMAGE, 0u, NOTHING) == 0);
	CHECK(says(heard, sizeof(heard), "splitStatus"));
}

/* What the slot that runs of the last image is listed as: not at all where it cannot be read. */
static unsigned int of_last(unsigned int flags)
{
	return fake_is_copied(LAST) ? 0u : (LISTED | flags);
}

static void all_are_listed(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	fake_long_versions = true;
	reads_list(central);
	for (int image = 0; image < KS_POLICY_PAIRS; image++) {
		CHECK(listed(image, 0) == (fake_is_copied(image) ? 0u : (LISTED | ACTIVE | CONFIRMED)));
		CHECK(listed(image, 1) == LISTED);
	}
	CHECK(listed(KS_POLICY_PAIRS, 0) == 0u);
}

/* --- arming --- */

static int both_are_armed(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(state_write(central, hash_of_app, false) == 0);
	CHECK(state_write(central, hash_of_last, true) == 0); /* for good, that flags are not mixed up */
	CHECK(listed(0, 1) == (LISTED | PENDING));
	CHECK(listed(LAST, 1) == (LISTED | PENDING | PERMANENT));
	CHECK(listed(LAST, 0) == of_last(ACTIVE | CONFIRMED));
	CHECK((fake_armed(0) == BOOT_SWAP_TYPE_NONE) && (fake_armed(LAST) == BOOT_SWAP_TYPE_NONE));
	return central;
}

static void both_start(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(state_write(central, hash_of_last, false) == 0);
	CHECK(state_write(central, hash_of_app, false) == 0);
	CHECK(state_write(central, hash_of_last, false) == 0); /* as it is already */
	CHECK(asks(central, RESET_) == 0);
	fake_run(20000);
	fake_fail("it has not reset");
}

static int central_in_the_session(void)
{
	int central;

	device_boots();
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE); /* the session goes on */
	CHECK(fake_setting("ks/session") == NULL);
	CHECK(!boot_is_img_confirmed());
	fake_run(200);
	central = central_connects(2);
	fake_run(20);
	return central;
}

static void leaves_and_stays(int central)
{
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(200000);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
}

static void both_are_confirmed(void)
{
	int central = central_in_the_session();
	bool copied = fake_is_copied(LAST);

	reads_list(central);
	CHECK((listed(0, 0) == (LISTED | ACTIVE)) && (listed(0, 1) == (LISTED | CONFIRMED)));
	CHECK(listed(LAST, 0) == of_last(ACTIVE));
	CHECK(listed(LAST, 1) == (copied ? 0u : (LISTED | CONFIRMED))); /* taken: what there was is gone */
	CHECK(uploads(central, 1u, 4096u, 7u, false) == 10);             /* what a trial goes back to is not written over */
	CHECK(erases(central, (uint8_t)OTHER) == 9);
	if (copied) {
		CHECK(fake_store->other_core == WAITING_FILL);
		CHECK(state_write(central, hash_of_last, true) == 8); /* nobody can say that it runs */
	} else {
		CHECK(fake_store->trial[LAST]);
		CHECK(state_write(central, hash_of_last, true) == 0);
		CHECK(!fake_store->trial[LAST] && fake_store->trial[0]);
		CHECK(listed(LAST, 0) == of_last(ACTIVE | CONFIRMED));
		CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
	}
	CHECK(confirms_app(central) == 0);
	CHECK(boot_is_img_confirmed());
	leaves_and_stays(central);
}

/* What was confirmed stays, what was not goes back. */
static void one_is_confirmed(void)
{
	int central = central_in_the_session();

	if (!fake_is_copied(LAST)) {
		CHECK(state_write(central, hash_of_last, true) == 0);
	}
	fake_run(100000);
	fake_fail("it has not reset");
}

static void the_other_is_back(void)
{
	device_boots();
	CHECK(fake_store->flash[0][40] == 0x11u);
	CHECK(fake_is_copied(LAST) ? (fake_store->other_core == WAITING_FILL) : (fake_store->flash[RUNS][40] == WAITING_FILL));
	for (int image = 0; image < KS_POLICY_PAIRS; image++) {
		CHECK(!fake_store->trial[image]);
	}
}

static void they_start_in_order(void)
{
	int central = both_are_armed();

	CHECK(asks(central, RESET_) == 0);
	fake_run(150);
	CHECK(fake_noted("record", 0) < 0); /* not before its time */
	fake_run(20000);
	fake_fail("it has not reset");
}

/* Cut between two trailers: the record names both, and only one has started. */
static void cut_between_trailers(void)
{
	int central = both_are_armed();

	fake_cut_after = "trailer";
	CHECK(asks(central, RESET_) == 0);
	fake_run(20000);
	fake_fail("the power was not cut");
}

static void half_of_it_is_given_up(void)
{
	CHECK((fake_store->trial[0]) && (fake_armed(LAST) == BOOT_SWAP_TYPE_NONE));
	device_boots();
	fake_run(5000);
	fake_fail("it has not reset");
}

static void session_was_given_up(void)
{
	device_boots();
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK(boot_is_img_confirmed() && (fake_store->flash[0][40] == 0x11u));
}

static void all_as_before(void)
{
	session_was_given_up();
	CHECK(fake_has_image(OTHER) && (fake_store->other_core == 0u));
}

/* What cannot be looked for is not gone: no session goes on because of it. */
static void slot_cannot_be_read(void)
{
	fake_dead_slot = OTHER;
	device_boots();
	fake_run(5000);
	fake_fail("it has not reset");
}

/* The policy is not this product's: an image that is not declared as copied has a slot that cannot be read. */
static void slot_that_runs_cannot_be_read(void)
{
	int central;

	if (fake_is_copied(LAST)) {
		return;
	}
	fake_dead_slot = RUNS;
	device_boots();
	CHECK(fake_noted("fault", 0) >= 0);
	fake_run(5000); /* and it does not reset for ever */
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	central = central_in_maintenance();
	reads_list(central);
	CHECK((listed(0, 0) == (LISTED | ACTIVE | CONFIRMED)) && (listed(LAST, 0) == 0u) && (listed(LAST, 1) == LISTED));
}

static void nothing_is_started(int central)
{
	CHECK(asks(central, RESET_) == 0);
	fake_run(5000);
	for (int image = 0; image < KS_POLICY_PAIRS; image++) {
		CHECK(fake_armed(image) == BOOT_SWAP_TYPE_NONE);
	}
	CHECK(fake_setting("ks/session") == NULL);
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
	reads_list(central);
	CHECK((listed(0, 1) == LISTED) && ((listed(LAST, 1) & PENDING) == 0u));
}

static void last_slot_changes(void)
{
	int central = both_are_armed();

	fake_store->flash[OTHER][UPLOAD_BEGINS + 100u] ^= 1u;
	nothing_is_started(central);
	CHECK(fake_noted("trailer", 0) >= 0); /* the first was written, and taken back */
}

static void first_slot_changes(void)
{
	int central = both_are_armed();

	fake_store->flash[1][UPLOAD_BEGINS + 100u] ^= 1u;
	nothing_is_started(central);
	CHECK((fake_noted("trailer", 0) < 0) && (fake_noted("trailer further", 0) < 0));
}

static void last_slot_has_another_image(void)
{
	uint8_t hash[HASH_SIZE];
	int central = both_are_armed();

	fake_put_image(OTHER, 0x33u, 5000u, hash);
	nothing_is_started(central);
}

static void leaves_with_both_armed(void)
{
	int central = both_are_armed();

	CHECK(asks(central, RESET_) == 0);
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(5000);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK(fake_setting("ks/session") == NULL);
}

/* --- upload and erase --- */

static void uploads_by_image(void)
{
	static const char later[] = "\xA1\x63off\x18\x20";
	int central = both_are_armed();

	CHECK(uploads(central, (uint8_t)LAST, LARGEST + 1u, 7u, false) == 30); /* it would fit into image 0's slot */
	CHECK(fake_done.upload == 0);
	reads_list(central);
	CHECK((listed(0, 1) & PENDING) != 0u);
	CHECK(uploads(central, (uint8_t)LAST, LARGEST, 7u, false) == 0);
	CHECK((fake_done.upload == 1) && (fake_done.area == OTHER_AREA));
	/* The next piece names no image, and goes where the first one went. */
	CHECK(asks(central, WRITE, IMAGE, 1u, later, sizeof(later) - 1u) == 0);
	CHECK((fake_done.upload == 2) && (fake_done.area == OTHER_AREA));
	reads_list(central);
	CHECK(((listed(0, 1) & PENDING) != 0u) && ((listed(LAST, 1) & PENDING) == 0u)); /* its own arming is over */
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(3000);
	CHECK(fake_has_image(1) && !fake_has_image(OTHER)); /* gate.upload = "discard" */
}

static void uploads_to_the_first(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(uploads(central, (uint8_t)LAST, 4096u, 7u, false) == 0);
	CHECK(uploads(central, 0u, LARGEST + 1u, 7u, false) == 0); /* another one, by the same central */
	CHECK((fake_done.upload == 2) && (fake_done.area == stub_area_slot1_partition));
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(3000);
	CHECK(!fake_has_image(1) && fake_has_image(OTHER));
}

static void images_that_there_are_not(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(uploads(central, KS_POLICY_PAIRS, 4096u, 7u, false) == 9);
	CHECK(uploads(central, 23u, 4096u, 7u, false) == 9);
	CHECK(erases(central, FAKE_SLOTS) == 10);
	CHECK(erases(central, FAKE_SLOTS + 1) == 10);
	CHECK(erases(central, (uint8_t)RUNS) == 9);
	CHECK(erases(central, 0u) == 9);
	CHECK((fake_done.upload == 0) && (fake_done.erase == 0));
}

static void erases_by_slot(void)
{
	int central = both_are_armed();

	CHECK(erases(central, (uint8_t)OTHER) == 0);
	CHECK((fake_done.erase == 1) && (fake_done.area == OTHER_AREA));
	CHECK(fake_has_image(1) && !fake_has_image(OTHER));
	reads_list(central);
	CHECK(((listed(0, 1) & PENDING) != 0u) && (listed(LAST, 1) == 0u));
	CHECK(asks(central, WRITE, IMAGE, 5u, NOTHING) == 0); /* without a slot: that of the application */
	CHECK((fake_done.area == stub_area_slot1_partition) && !fake_has_image(1));
}

/* MCUmgr compares with the application: version 2, where 6 runs of this image. */
static void only_if_it_is_newer(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(uploads(central, (uint8_t)LAST, 4096u, 4u, true) == (fake_is_copied(LAST) ? 26 : 27));
	CHECK(uploads(central, (uint8_t)LAST, 4096u, 7u, true) == (fake_is_copied(LAST) ? 26 : 0));
	CHECK(uploads(central, (uint8_t)LAST, 4096u, 4u, false) == 0);
	CHECK(fake_done.upload == (fake_is_copied(LAST) ? 1 : 2));
}

/* --- arm = "early" --- */

static int all_are_armed_early(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(state_write(central, hash_of_app, false) == 0);
	CHECK(fake_armed(0) == BOOT_SWAP_TYPE_TEST);
	CHECK(state_write(central, hash_of_last, true) == 0);
	CHECK(fake_armed(LAST) == BOOT_SWAP_TYPE_PERM);
	CHECK((listed(0, 1) == (LISTED | PENDING)) && (listed(LAST, 1) == (LISTED | PENDING | PERMANENT)));
	reads_list(central);
	CHECK((listed(0, 1) == (LISTED | PENDING)) && (listed(LAST, 1) == (LISTED | PENDING | PERMANENT)));
	return central;
}

static void early_and_leaving(void)
{
	int central = all_are_armed_early();

	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(1000);
	CHECK((fake_armed(0) == BOOT_SWAP_TYPE_NONE) && (fake_armed(LAST) == BOOT_SWAP_TYPE_NONE));
	CHECK(fake_noted("fault", 0) < 0);
}

static void early_and_another_upload(void)
{
	int central = all_are_armed_early();

	CHECK(uploads(central, (uint8_t)LAST, 4096u, 7u, false) == 0);
	CHECK((fake_armed(0) == BOOT_SWAP_TYPE_TEST) && (fake_armed(LAST) == BOOT_SWAP_TYPE_NONE));
}

/* --- the tables --- */

const struct trap pair_traps[] = {
	{.name = "pairs-listed", .strategies = ANY, .boots = {{all_are_listed, ENDS}}},
	{.name = "pairs-confirmed", .strategies = ANY, .boots = {{both_start, RESETS}, {both_are_confirmed, ENDS}}},
	{.name = "pairs-one-confirmed",
	 .strategies = ANY,
	 .boots = {{both_start, RESETS}, {one_is_confirmed, RESETS}, {the_other_is_back, ENDS}}},
	{.name = "pairs-start-in-order",
	 .strategies = ANY,
	 .boots = {{they_start_in_order, RESETS}},
	 .armed = BOOT_SWAP_TYPE_TEST,
	 .armed_last = BOOT_SWAP_TYPE_PERM},
	{.name = "pairs-cut-between-trailers",
	 .strategies = ANY,
	 .boots = {{cut_between_trailers, RESETS}, {half_of_it_is_given_up, RESETS}, {all_as_before, ENDS}}},
	{.name = "pairs-slot-cannot-be-read",
	 .strategies = ANY,
	 .boots = {{both_start, RESETS}, {slot_cannot_be_read, RESETS}, {session_was_given_up, ENDS}},
	 .copied = true},
	{.name = "pairs-what-runs-cannot-be-read", .strategies = ANY, .boots = {{slot_that_runs_cannot_be_read, ENDS}}},
	{.name = "pairs-last-slot-changes", .strategies = ANY, .boots = {{last_slot_changes, ENDS}}},
	{.name = "pairs-first-slot-changes", .strategies = ANY, .boots = {{first_slot_changes, ENDS}}},
	{.name = "pairs-another-image", .strategies = ANY, .boots = {{last_slot_has_another_image, ENDS}}},
	{.name = "pairs-leave",
	 .strategies = ANY,
	 .boots = {{leaves_with_both_armed, ENDS}},
	 .armed = BOOT_SWAP_TYPE_NONE,
	 .armed_last = BOOT_SWAP_TYPE_NONE},
	{.name = "pairs-upload", .strategies = ANY, .boots = {{uploads_by_image, ENDS}}},
	{.name = "pairs-upload-to-the-first", .strategies = ANY, .boots = {{uploads_to_the_first, ENDS}}},
	{.name = "pairs-that-are-not", .strategies = ANY, .boots = {{images_that_there_are_not, ENDS}}},
	{.name = "pairs-erase", .strategies = ANY, .boots = {{erases_by_slot, ENDS}}},
	{.name = "pairs-only-if-newer", .strategies = ANY, .boots = {{only_if_it_is_newer, ENDS}}},
};
const size_t pair_trap_count = ARRAY_SIZE(pair_traps);

const struct trap early_traps[] = {
	{.name = "pairs-listed", .strategies = ANY, .boots = {{all_are_listed, ENDS}}},
	{.name = "pairs-early-leave", .strategies = ANY, .boots = {{early_and_leaving, ENDS}}},
	{.name = "pairs-early-upload", .strategies = ANY, .boots = {{early_and_another_upload, ENDS}}},
};
const size_t early_trap_count = ARRAY_SIZE(early_traps);

#endif
