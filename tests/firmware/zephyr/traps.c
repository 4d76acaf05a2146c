/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong once, or could, on a device that runs Zephyr: each as a test against the glue, on the fake kernel. Every
 * boot of a test is a process of its own; flash and settings outlive it.
 *
 *     traps NAME     0: as it should be; 1: the last line says what is not
 *     traps --list   the names
 */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keyswitch/ks_mode_group.h>

#include <zephyr/dfu/mcuboot.h>
#include <zephyr/kernel.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>

/* --- 1: the reset outlives the leaving --- */

static void reset_then_leave(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(asks(central, RESET_) == 0);
	fake_run(40);
	CHECK(asks_mode(central, LEAVE) == 0);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	fake_run(10000);
	CHECK(fake_done.reset == 0);
	CHECK(fake_setting("ks/session") == NULL);
}

/* --- 2: one pool of buffers --- */

static void one_pool(void)
{
	uint8_t bytes[64];
	size_t size = frame(bytes, 1u, READ, OS, 0u, NOTHING);
	int central;
	int count;

	device_boots();
	central = central_in_maintenance();
	CHECK(asks(central, READ, OS, 6u, NOTHING) == 0);
	count = (int)number_of(heard, sizeof(heard), "buf_count");
	CHECK(count == CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT - 2);
	for (int round = 0; round < count; round++) {
		CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	}
	size = frame(bytes, 1u, READ, KS_MODE_GROUP, 0u, NOTHING);
	CHECK(central_writes_mode(central, bytes, size) == 0u);
	smp_answers = 0;
	fake_run(20);
	CHECK(fake_done.echo == count);
	CHECK(smp_answers == count);
	CHECK(central_hears_mode(central, heard) != 0u);
	CHECK(fake_buffers_free() == CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT);
}

/* --- 3: the mode changes while a handler runs --- */

static void input_during_erase(void)
{
	uint8_t bytes[64];
	size_t size = frame(bytes, 1u, WRITE, IMAGE, 5u, NOTHING);
	int64_t began_ms;
	int central;

	device_boots();
	central = central_in_maintenance();
	fake_erase_ms = 10000 / (SLOT_SIZE / PAGE_SIZE); /* ten seconds for the slot */
	began_ms = fake_now_ms;
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	fake_later(1000, INTERRUPT, moves, "on");
	fake_run(15000);
	CHECK(fake_done.erase == 1);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	/* It leaves as soon as the erase is over: that is the longest that a safety input waits. */
	CHECK((left_at_ms >= began_ms + 9900) && (left_at_ms <= began_ms + 10050));
	CHECK(central_hears_smp(central, heard) != 0u); /* and the erase is answered before the table changes */
	CHECK(inhibited == 0u);
}

/* --- 4: groups and the order of names --- */

/* What no handler of the build does: MCUmgr's own answer, whatever the gate would say. */
static void nobody_has(int central)
{
	CHECK(asks(central, READ, 77u, 0u, NOTHING) == 8);
	CHECK(asks(central, READ, OS, 1u, NOTHING) == 8); /* a gap in the table */
	CHECK(asks(central, WRITE, OS, 6u, NOTHING) == 8); /* params are read */
	CHECK(asks(central, READ, OS, 200u, NOTHING) == 8);
	CHECK(asks(central, WRITE, KS_MODE_GROUP, 1u, NOTHING) == 8);
	CHECK(asks(central, READ, KS_MODE_GROUP, 2u, NOTHING) == 8);
	CHECK(asks(central, WRITE, KS_MODE_GROUP, 6u, NOTHING) == 8);
}

static void late_group(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	fake_register_late_group();
	CHECK(asks(central, READ, 100u, 0u, NOTHING) == 11); /* by the hook, this once */
	CHECK(fake_done.late == 0);
	CHECK(asks(central, READ, 100u, 0u, NOTHING) == 11); /* by the door: no mode allows it */
	CHECK(asks(central, WRITE, 100u, 0u, NOTHING) == 11);
	CHECK(fake_done.late == 0);
	nobody_has(central);
	CHECK(asks(central, ECHO_) == 0); /* finds its own data */
}

static void shut_until_started(void)
{
	static const uint8_t nobody[8];
	uint8_t bytes[64];
	size_t size = frame(bytes, 1u, READ, OS, 0u, NOTHING);

	fake_bluetooth_boot();
	fake_mcumgr_boot();
	other_transport_sends(bytes, size, nobody, sizeof(nobody));
	fake_run(10);
	size = other_transport_hears(heard);
	CHECK(number_of(heard, size, "rc") == 11);
	CHECK(fake_done.echo == 0);
	for (uint16_t each = 0; each < 2u; each++) {
		size = frame(bytes, 1u, WRITE, (each == 0u) ? OS : KS_MODE_GROUP, (each == 0u) ? 6u : 1u, NOTHING);
		other_transport_sends(bytes, size, nobody, sizeof(nobody));
		fake_run(10);
		size = other_transport_hears(heard);
		CHECK(number_of(heard, size, "rc") == 8); /* both are read */
	}
	CHECK(ks_inhibited(1u));
}

/* --- the mode group's answers: MCUmgr puts a map of its own around the same pairs --- */

static void mode_group_by_both_ways(void)
{
	static const uint8_t nobody[8];
	uint8_t bytes[64];
	uint8_t by_mcumgr[FAKE_PACKET];
	size_t size = frame(bytes, 1u, READ, KS_MODE_GROUP, 0u, NOTHING);
	int central;

	device_boots();
	central = central_connects(0);
	fake_run(20);
	CHECK(asks_mode(central, READ, 0u, NOTHING) == 0);
	central_leaves(central);
	fake_run(100);
	other_transport_sends(bytes, size, nobody, sizeof(nobody));
	fake_run(20);
	size = other_transport_hears(by_mcumgr);
	CHECK((size > 64u) && (by_mcumgr[0] == heard[0]));
	CHECK((((size_t)by_mcumgr[2] << 8) | by_mcumgr[3]) == size - 8u);
	CHECK(size - 9u == ((((size_t)heard[2] << 8) | heard[3])));
	CHECK((by_mcumgr[8] == 0xBFu) && ((heard[8] & 0xE0u) == 0xA0u) && (by_mcumgr[size - 1u] == 0xFFu));
	CHECK(memcmp(&by_mcumgr[9], &heard[9], size - 10u) == 0);
}

/* --- 6: what another transport keeps in its user data --- */

static void foreign_user_data(void)
{
	uint8_t bytes[64];
	uint8_t address[24];
	uint8_t zeros[24] = {0};
	size_t size;

	device_boots();
	(void)memset(address, 0x5A, sizeof(address));
	size = frame(bytes, 1u, READ, OS, 0u, NOTHING);
	other_transport_sends(bytes, size, address, sizeof(address));
	fake_run(10);
	CHECK(other_transport_hears(heard) != 0u);
	other_transport_sends(bytes, size, zeros, sizeof(zeros));
	fake_run(10);
	CHECK(other_transport_hears(heard) != 0u);
	CHECK(fake_done.echo == 2);
	size = frame(bytes, 1u, WRITE, OS, 5u, NOTHING);
	other_transport_sends(bytes, size, address, sizeof(address));
	fake_run(10);
	size = other_transport_hears(heard);
	CHECK(number_of(heard, size, "rc") == 11);
}

/* --- 7: a refusal says why, in both versions of the protocol --- */

static void refusals_say_why(void)
{
	int central;

	device_boots();
	fake_run(100);
	central = central_connects(0);
	fake_run(20);
	for (uint8_t version = 0; version < 2u; version++) {
		if (ks_policy.service != (uint8_t)KS_SERVICE_ALWAYS) {
			CHECK(central_writes_smp(central, heard, 8u, true) != 0u);
			return;
		}
		CHECK(asks_version(central, version, WRITE, OS, 5u, NOTHING) == 11);
		CHECK(says(heard, sizeof(heard), "wrong mode: normal"));
		CHECK(asks_version(central, version, WRITE, IMAGE, 1u, NOTHING) == 11);
		CHECK(asks_version(central, version, READ, IMAGE, 1u, NOTHING) == 8);
		CHECK(asks_version(central, version, 1u, OS, 0u, NOTHING) != 0);
	}
	CHECK((fake_done.upload == 0) && (fake_done.reset == 0) && (refusals == 4));
}

/* --- 8: the table changes when nobody looks --- */

static void table_after_the_last_link(void)
{
	int hidden;
	int gone;
	int shown;
	int central;

	device_boots();
	hidden = fake_noted("hide", 0);
	CHECK((hidden >= 0) && (hidden < fake_noted("advertise", 0)));
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	CHECK(!smp_in_table);
	enter_by_button();
	fake_run(200);
	CHECK(smp_in_table && !central_is_connected(central));
	gone = fake_noted("disconnected", hidden);
	shown = fake_noted("show", hidden);
	CHECK((gone >= 0) && (gone < shown) && advertising);
	central = central_connects(2);
	fake_run(20);
	CHECK(asks_mode(central, LEAVE) == 0);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	fake_run(200);
	CHECK(smp_in_table && central_is_connected(central)); /* shut, and in the table as long as somebody looks */
	CHECK(asks(central, RESET_) == 11);
	central_leaves(central);
	fake_run(200);
	CHECK(!smp_in_table && advertising);
}

static void table_at_once(void)
{
	int central;

	device_boots();
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	CHECK(!smp_in_table);
	enter_by_button();
	CHECK(smp_in_table && central_is_connected(central));
	CHECK(asks(central, ECHO_) == 0);
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(50);
	CHECK(!smp_in_table && central_is_connected(central));
	CHECK(central_writes_smp(central, heard, 8u, true) == 0x01u);
}

/* --- 9: the answer is out before the link ends --- */

static const uint8_t secret[32] = "a secret of thirty-two bytes, ok";

static size_t put_part(uint8_t *bytes, size_t at, const void *part, size_t size)
{
	bytes[at] = (uint8_t)(size >> 8);
	bytes[at + 1u] = (uint8_t)size;
	(void)memcpy(&bytes[at + 2u], part, size);
	return at + 2u + size;
}

static char enter_map[128] = "\xA3\x62to\x6Bmaintenance\x65proof\x69"
			    "challenge\x63mac\x58\x20";
#define ENTER_MAC 38u

/* docs/mode-group.md, The HMAC. */
static void prove(int central)
{
	static const char device[] = "Trap";
	uint8_t message[256];
	uint8_t nonce[16];
	size_t size = 0;

	CHECK(asks_mode(central, READ, 1u, CHALLENGE) == 0);
	for (size_t at = 0; at + 23u < sizeof(heard); at++) {
		if (memcmp(&heard[at], "\x65nonce\x50", 7u) == 0) {
			(void)memcpy(nonce, &heard[at + 7u], sizeof(nonce));
			size = 1u;
			break;
		}
	}
	CHECK((size == 1u) && says(heard, sizeof(heard), device));
	size = put_part(message, 0u, "keyswitch entry 1", 17u);
	size = put_part(message, size, "challenge", 9u);
	size = put_part(message, size, "enter", 5u);
	size = put_part(message, size, nonce, sizeof(nonce));
	size = put_part(message, size, ks_policy.device_id, strlen(ks_policy.device_id));
	size = put_part(message, size, "maintenance", 11u);
	size = put_part(message, size, "", 0u);
	fake_hmac(secret, message, size, (uint8_t *)&enter_map[ENTER_MAC]);
}

static long enters(int central)
{
	return asks_mode(central, WRITE, 2u, enter_map, ENTER_MAC + 32u);
}

static void answer_before_the_end(void)
{
	int central;
	int began;
	int answered;
	int ended;

	fake_set("ks/secret", secret, sizeof(secret));
	device_boots();
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	prove(central);
	began = fake_noted("answer", 0);
	controller_full_ms = 200;
	CHECK(enters(central) < 0); /* not yet */
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
	fake_run(500);
	answered = fake_noted("delivered", fake_noted("answer", began + 1));
	ended = fake_noted("disconnect", 0);
	if (ks_policy.service == (uint8_t)KS_SERVICE_RECONNECT) {
		CHECK((answered > began) && (ended > answered) && smp_in_table && (fake_noted("lost", 0) < 0));
	} else {
		CHECK((answered > began) && (ended < 0) && smp_in_table && central_is_connected(central));
	}
}

static void proof_is_used_once(void)
{
	int central;

	fake_set("ks/secret", secret, sizeof(secret));
	device_boots();
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	prove(central);
	enter_map[ENTER_MAC] ^= 1;
	CHECK(enters(central) == 11);
	enter_map[ENTER_MAC] ^= 1;
	CHECK(enters(central) == 11); /* right now, and its nonce is gone */
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
}

/* --- 10: chance --- */

static void no_entropy(void)
{
	int central;

	fake_no_entropy = true;
	device_boots();
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	CHECK(asks_mode(central, READ, 1u, CHALLENGE) > 0); /* no challenge */
	enter_by_button();
}

static void no_secret(void)
{
	static const char enter[] = "\xA3\x62to\x6Bmaintenance\x65proof\x69"
				    "challenge\x63mac\x58\x20"
				    "0123456789ABCDEF0123456789ABCDEF";
	int central;

	device_boots();
	fake_run(100);
	central = central_connects(2);
	fake_run(20);
	CHECK(asks_mode(central, READ, 1u, CHALLENGE) == 0);
	CHECK(asks_mode(central, WRITE, 2u, enter, sizeof(enter) - 1u) == 11);
	CHECK(says(heard, sizeof(heard), "proof"));
	CHECK(fake_setting("ks/lockout") != NULL); /* a wrong proof counts, and is kept */
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	enter_by_button();
}

/* --- 11: the advertisement --- */

static void advertisement_fits(void)
{
	device_boots();
	fake_run(100);
	CHECK(advertising && (advertised_size == 30u));
	CHECK((scan_response_size == 4u) && (memcmp(scan_response, "Trap", 4u) == 0));
	enter_by_button();
	fake_run(200);
	CHECK(advertising && (advertised_size == 30u));
}

/* --- 12: a planned reset says goodbye --- */

static bool quiet;

static void resets(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(asks(central, RESET_) == 0);
	if (quiet) {
		central_falls_silent(central);
	}
	fake_run(20000);
	fake_fail("it has not reset");
}

static void comes_back_shut(void)
{
	device_boots();
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL); /* nothing was armed: the session is over */
	CHECK(fake_setting("ks/session") == NULL);
	CHECK(fake_setting("ks/store") != NULL);
}

/* --- late arming --- */

static uint8_t hash_of_other[HASH_SIZE];
#define OTHER_SIZE 9000u
#define HASH_HEAD ((HASH_SIZE == 64u) ? "\x58\x40" : "\x58\x20")

static uint8_t hash_of_first[HASH_SIZE];

static long tests_image(int central, const uint8_t hash[HASH_SIZE])
{
	char map[96] = "\xA2\x64hash";
	static const char confirm[] = "\x67"
				      "confirm\xF4";

	(void)memcpy(&map[6], HASH_HEAD, 2u);
	(void)memcpy(&map[8], hash, HASH_SIZE);
	(void)memcpy(&map[8u + HASH_SIZE], confirm, sizeof(confirm) - 1u);
	return asks(central, WRITE, IMAGE, 0u, map, 8u + HASH_SIZE + sizeof(confirm) - 1u);
}

static long arms(int central)
{
	return tests_image(central, hash_of_other);
}

static void late_arming(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(arms(central) == 0);
	fake_run(1000);
	CHECK(fake_armed(0) == BOOT_SWAP_TYPE_NONE); /* remembered, not written */
	CHECK(says(heard, sizeof(heard), "pending"));
	CHECK(asks(central, RESET_) == 0);
	fake_run(20000);
	fake_fail("it has not reset");
}

static void trial_is_confirmed(void)
{
	static const char confirm[] = "\xA1\x67"
				      "confirm\xF5";
	static const char first[] = "\xA2\x63off\x00\x63len\x19\x10\x00";
	int central;

	device_boots();
	CHECK(!boot_is_img_confirmed());
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE); /* the session goes on */
	CHECK(fake_setting("ks/session") == NULL);      /* and its record is used up */
	fake_run(200);
	central = central_connects(2);
	fake_run(20);
	/* What the revert brings back lies in the other slot: the machine refuses the piece, and says why. */
	CHECK(asks(central, WRITE, IMAGE, 1u, first, sizeof(first) - 1u) == 10);
	CHECK(says(heard, sizeof(heard), "rsn") && (fake_done.upload == 0));
	CHECK(asks(central, WRITE, IMAGE, 0u, confirm, sizeof(confirm) - 1u) == 0);
	CHECK(boot_is_img_confirmed());
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(200000);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
}

static void asked_in_the_trial(void)
{
	int central;

	device_boots();
	fake_run(200);
	central = central_connects(2);
	fake_run(20);
	CHECK(tests_image(central, hash_of_other) == 33); /* what runs */
	CHECK(tests_image(central, hash_of_first) == 28); /* what it would go back to: found, and decided */
}

static void nobody_confirms(void)
{
	device_boots();
	CHECK(!boot_is_img_confirmed());
	fake_run(89000);
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
	fake_run(10000);
	fake_fail("it has not reset");
}

static void old_image_is_back(void)
{
	device_boots();
	CHECK(boot_is_img_confirmed() && (fake_store->flash[0][40] == 0x11u));
}

static void power_is_cut_in_the_trial(void)
{
	device_boots();
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE);
	CHECK(fake_setting("ks/session") == NULL); /* used up before anything else: nobody can come back to it */
}

static void reverted_and_shut(void)
{
	device_boots();
	CHECK(boot_is_img_confirmed() && (fake_store->flash[0][40] == 0x11u));
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
}

static const char confirm_map[] = "\xA1\x67"
				  "confirm\xF5";

/* Ungated firmware was there before: the store was never written, and this image is on trial. */
static void first_gated_image(void)
{
	int central;

	fake_store->trial[0] = true;
	device_boots();
	fake_run(200);
	central = central_connects(2);
	fake_run(20);
	CHECK(smp_in_table);
	CHECK(central_subscribes(central) == 0u);
	CHECK(asks(central, READ, IMAGE, 0u, NOTHING) == 0);
	CHECK(asks(central, RESET_) == 11);
	CHECK(asks(central, WRITE, IMAGE, 5u, NOTHING) == 11);
	CHECK(asks(central, WRITE, IMAGE, 0u, confirm_map, sizeof(confirm_map) - 1u) == 0);
	CHECK(boot_is_img_confirmed());
	CHECK(fake_setting("ks/store") != NULL);
	fake_run(200000);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
}

static void arming_and_leaving(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(arms(central) == 0);
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(5000);
	CHECK(fake_armed(0) == BOOT_SWAP_TYPE_NONE);
	CHECK(fake_setting("ks/session") == NULL);
}

static int armed_by_a_central(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(arms(central) == 0);
	return central;
}

static void is_not_started(int central)
{
	CHECK(asks(central, RESET_) == 0);
	fake_run(5000);
	CHECK(fake_armed(0) == BOOT_SWAP_TYPE_NONE);
	CHECK(fake_setting("ks/session") == NULL);
	CHECK(ks_mode() == KS_POLICY_MODE_MAINTENANCE); /* it goes on, and says so */
}

static void slot_changes_after_arming(void)
{
	int central = armed_by_a_central();

	fake_store->flash[1][UPLOAD_BEGINS + 100u] ^= 1u;
	is_not_started(central);
}

/* Sound by itself, and not the one that was named; nobody has told the gate. */
static void another_image_after_arming(void)
{
	uint8_t hash[HASH_SIZE];
	int central = armed_by_a_central();

	fake_put_image(1, 0x33u, OTHER_SIZE, hash);
	is_not_started(central);
}

static void hash_of_another_kind(void)
{
	static const size_t sizes[] = {HASH_SIZE - 1u, HASH_SIZE + 1u, (HASH_SIZE == 64u) ? 32u : 64u};
	int central;

	device_boots();
	central = central_in_maintenance();
	for (size_t place = 0; place < ARRAY_SIZE(sizes); place++) {
		char map[96] = "\xA1\x64hash\x58";

		map[7] = (char)sizes[place];
		CHECK(asks(central, WRITE, IMAGE, 0u, map, 8u + sizes[place]) == 24);
	}
	fake_other_hash(1, OTHER_SIZE); /* as long, and of another kind: MCUmgr lists no such image */
	CHECK(arms(central) == 8);
}

static void guard_during_hashing(void)
{
	int central;

	device_boots();
	central = central_in_maintenance();
	/* Motion begins while the hash is computed: between two pieces the gate hears of it. */
	fake_read_ms = 5;
	fake_later(20, INTERRUPT, moves, "on");
	CHECK(arms(central) == 11);
	CHECK(left_at_ms != 0);
	fake_read_ms = 0;
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK(fake_armed(0) == BOOT_SWAP_TYPE_NONE);
}

/* --- queued before the gate closes --- */

static void queued_before_leaving(void)
{
	uint8_t bytes[64];
	size_t size;
	int central;

	device_boots();
	central = central_in_maintenance();
	size = frame(bytes, 1u, WRITE, KS_MODE_GROUP, 5u, NOTHING);
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	size = frame(bytes, 1u, WRITE, OS, 5u, NOTHING);
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	size = frame(bytes, 1u, WRITE, IMAGE, 5u, NOTHING);
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	fake_run(5000);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK((fake_done.erase == 0) && (fake_done.reset == 0));
}

static void request_of_one_who_has_gone(void)
{
	uint8_t bytes[64];
	size_t size = frame(bytes, 1u, WRITE, IMAGE, 5u, NOTHING);
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(asks(central, ECHO_) == 0); /* the transport has been seen */
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	central_leaves(central);
	fake_run(100);
	CHECK(fake_done.erase == 0);
	CHECK(fake_buffers_free() == CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT);
}

static void half_frame_goes(void)
{
	static struct net_buf *half;
	int central;

	device_boots();
	central = central_in_maintenance();
	half = fake_buffer();
	fake_bluetooth_transport.__reassembly.current = half;
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(200);
	if (ks_policy.service == (uint8_t)KS_SERVICE_RECONNECT) {
		central_leaves(central);
		fake_run(200);
	}
	CHECK(fake_bluetooth_transport.__reassembly.current == NULL);
	CHECK(fake_noted("half frame dropped", 0) >= 0);
}

/* --- upload --- */

static void upload_rules(void)
{
	static const char first[] = "\xA2\x63off\x00\x63len\x19\x10\x00";
	/* 64 bytes hold what the bootloader reads of a trailer: one byte more than the largest file. */
	static const char huge[] = "\xA2\x63off\x00\x63len\x19\xFF\xC1";
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(asks(central, WRITE, IMAGE, 1u, huge, sizeof(huge) - 1u) == 30); /* would bring its own trailer */
	CHECK(fake_done.upload == 0);
	CHECK(asks(central, WRITE, IMAGE, 1u, first, sizeof(first) - 1u) == 0);
	CHECK(fake_done.upload == 1);
	CHECK(asks_mode(central, LEAVE) == 0);
	fake_run(3000);
	CHECK(fake_noted("upload dropped", 0) >= 0);
	CHECK(!fake_has_image(1)); /* gate.upload = "discard" */
}

static long uploads(int central, size_t size)
{
	char map[] = "\xA2\x63off\x00\x63len\x19..";

	map[11] = (char)(size >> 8);
	map[12] = (char)size;
	return asks(central, WRITE, IMAGE, 1u, map, sizeof(map) - 1u);
}

/* With swap using offset an upload begins behind the slot's first sector, and so has that much less room. */
static void largest_upload(void)
{
	const size_t largest = UPLOAD_ENDS - UPLOAD_BEGINS;
	int central;

	device_boots();
	central = central_in_maintenance();
	CHECK(uploads(central, largest + 1u) == 30);
	CHECK(fake_done.upload == 0);
	CHECK(uploads(central, largest) == 0);
	CHECK(fake_done.upload == 1);
}

/* --- authorize --- */

#if defined(CONFIG_BT_GATT_AUTHORIZATION_CUSTOM)

static void authorize_in_a_live_connection(void)
{
	uint8_t bytes[64];
	uint8_t state[9];
	size_t size = frame(bytes, 1u, READ, OS, 0u, NOTHING);
	int central;

	device_boots();
	fake_run(100);
	central = central_connects(0);
	fake_run(20);
	CHECK(smp_in_table);
	CHECK(central_subscribes(central) == 0x08u);
	CHECK(central_writes_smp(central, bytes, size, false) == 0x08u);
	CHECK(central_writes_smp(central, bytes, size, true) == 0x08u);
	fake_run(20);
	CHECK(fake_done.echo == 0);
	CHECK(central_reads_state(central, state) == 0u); /* the mode service is always open */
	enter_by_button();
	CHECK(central_is_connected(central) && (fake_noted("hide", 0) < 0) && (fake_noted("show", 0) < 0));
	CHECK(central_subscribes(central) == 0u);
	CHECK(asks(central, ECHO_) == 0);
	/* Queued while it was open, run when it is shut: the handlers refuse. */
	size = frame(bytes, 1u, WRITE, IMAGE, 5u, NOTHING);
	fake_in(INTERRUPT, moves, "on");
	CHECK(central_writes_smp(central, bytes, size, true) == 0u);
	fake_run(20);
	CHECK(fake_done.erase == 0);
	CHECK(central_subscribes(central) == 0x08u);
}

static void authorization_is_anothers(void)
{
	int central;

	authorization_taken = true;
	device_boots();
	CHECK(fake_noted("fault", 0) >= 0);
	CHECK(fake_logged("layer A is missing"));
	fake_run(100);
	central = central_connects(0);
	fake_run(20);
	CHECK(asks(central, RESET_) == 11); /* the handlers refuse all the same */
}

#endif

/* --- who may wait --- */

static void input_from_an_interrupt(void)
{
	device_boots();
	enter_by_button();
	for (int round = 0; round < 40; round++) { /* more than there is room for */
		fake_in(INTERRUPT, moves, ((round % 2) == 0) ? "on" : NULL);
	}
	CHECK(ks_inhibited(1u));
	fake_run(100);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK(!ks_inhibited(1u));
}

static void input_before_start(void)
{
	fake_bluetooth_boot();
	fake_mcumgr_boot();
	fake_in(INTERRUPT, moves, "on"); /* it moves already */
	CHECK(ks_start(&application) == 0);
	fake_run(50);
	fake_in(INTERRUPT, presses, "down");
	fake_run(1200);
	fake_in(INTERRUPT, presses, NULL);
	fake_run(50);
	CHECK(ks_mode() == KS_POLICY_MODE_NORMAL);
	CHECK(refusals == 1);
	fake_in(INTERRUPT, moves, NULL);
	enter_by_button();
}

static void two_centrals(void)
{
	uint8_t state[9];
	int first;
	int second;

	device_boots();
	fake_run(100);
	first = central_connects(0);
	fake_run(50);
	second = central_connects(0);
	fake_run(50);
	CHECK((first != NO_CENTRAL) && (second != NO_CENTRAL) && (first != second));
	CHECK(asks_mode(first, STATE) == 0);
	CHECK(asks_mode(second, STATE) == 0);
	CHECK(central_reads_state(first, state) == 0u);
	central_leaves(first);
	fake_run(100);
	CHECK(advertising);
	CHECK(asks_mode(second, STATE) == 0);
}

/* --- the fake itself: it notices who waits where nobody must --- */

static K_MUTEX_DEFINE(a_mutex);

static void locks(void *data)
{
	(void)data;
	(void)k_mutex_lock(&a_mutex, K_FOREVER);
}

static void waits_while_receiving(void)
{
	fake_in(RECEIVING, locks, NULL);
}

static void waits_in_an_interrupt(void)
{
	fake_in(INTERRUPT, locks, NULL);
}

static void waits_on_the_systems_queue(void)
{
	fake_in(SYSTEM, locks, NULL);
}

/* --- running them --- */

static const struct trap traps[] = {
	{.name = "1-reset-outlives-leaving", .strategies = ANY, .boots = {{reset_then_leave, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "2-one-pool-of-buffers", .strategies = ANY, .boots = {{one_pool, ENDS}}},
	{.name = "3-mode-changes-within-a-handler", .strategies = ANY, .boots = {{input_during_erase, ENDS}}},
	{.name = "4-groups-registered-late", .strategies = ANY, .boots = {{late_group, ENDS}}},
	{.name = "4-shut-until-started", .strategies = ANY, .boots = {{shut_until_started, ENDS}}},
	{.name = "mode-group-by-both-ways", .strategies = ANY, .boots = {{mode_group_by_both_ways, ENDS}}},
	{.name = "6-user-data-of-another-transport", .strategies = ANY, .boots = {{foreign_user_data, ENDS}}},
	{.name = "7-refusals-say-why", .strategies = RECONNECTS | CHANGES_AT_ONCE | STAYS, .boots = {{refusals_say_why, ENDS}}},
	{.name = "8-table-after-the-last-link", .strategies = RECONNECTS, .boots = {{table_after_the_last_link, ENDS}}},
	{.name = "8-table-at-once", .strategies = CHANGES_AT_ONCE, .boots = {{table_at_once, ENDS}}},
	{.name = "9-answer-before-the-end", .strategies = ANY, .boots = {{answer_before_the_end, ENDS}}},
	{.name = "9-proof-is-used-once", .strategies = ANY, .boots = {{proof_is_used_once, ENDS}}},
	{.name = "10-no-entropy", .strategies = ANY, .boots = {{no_entropy, ENDS}}},
	{.name = "10-no-secret", .strategies = ANY, .boots = {{no_secret, ENDS}}},
	{.name = "11-advertisement-fits", .strategies = ANY, .boots = {{advertisement_fits, ENDS}}},
	{.name = "12-reset-says-goodbye", .strategies = ANY, .boots = {{resets, RESETS}, {comes_back_shut, ENDS}}, .reset_within_ms = 1000},
	{.name = "12-reset-does-not-wait-for-ever", .strategies = ANY, .boots = {{resets, RESETS}, {comes_back_shut, ENDS}}, .quiet = true, .reset_within_ms = 3500},
	{.name = "arm-late", .strategies = ANY, .boots = {{late_arming, RESETS}}, .armed = BOOT_SWAP_TYPE_TEST},
	{.name = "arm-and-confirm", .strategies = ANY, .boots = {{late_arming, RESETS}, {trial_is_confirmed, ENDS}}},
	{.name = "arm-and-ask-in-the-trial", .strategies = ANY, .boots = {{late_arming, RESETS}, {asked_in_the_trial, ENDS}}},
	{.name = "arm-and-nobody-confirms",
	 .strategies = ANY,
	 .boots = {{late_arming, RESETS}, {nobody_confirms, RESETS}, {old_image_is_back, ENDS}}},
	{.name = "arm-and-power-cut-in-the-trial",
	 .strategies = ANY,
	 .boots = {{late_arming, RESETS}, {power_is_cut_in_the_trial, ENDS}, {reverted_and_shut, ENDS}}},
	{.name = "first-gated-image", .strategies = ANY, .boots = {{first_gated_image, ENDS}}},
	{.name = "input-before-start", .strategies = ANY, .boots = {{input_before_start, ENDS}}},
	{.name = "arm-and-leave", .strategies = ANY, .boots = {{arming_and_leaving, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "arm-and-slot-changes", .strategies = ANY, .boots = {{slot_changes_after_arming, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "arm-and-another-image", .strategies = ANY, .boots = {{another_image_after_arming, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "arm-by-another-hash", .strategies = ANY, .boots = {{hash_of_another_kind, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "arm-and-guard", .strategies = ANY, .boots = {{guard_during_hashing, ENDS}}, .armed = BOOT_SWAP_TYPE_NONE},
	{.name = "queued-before-leaving", .strategies = ANY, .boots = {{queued_before_leaving, ENDS}}},
	{.name = "request-of-one-who-has-gone", .strategies = ANY, .boots = {{request_of_one_who_has_gone, ENDS}}},
	{.name = "half-frame-goes", .strategies = ANY, .boots = {{half_frame_goes, ENDS}}},
	{.name = "upload-rules", .strategies = ANY, .boots = {{upload_rules, ENDS}}},
	{.name = "upload-behind-the-first-sector", .strategies = ANY, .boots = {{largest_upload, ENDS}}},
#if defined(CONFIG_BT_GATT_AUTHORIZATION_CUSTOM)
	{.name = "authorize-in-a-live-connection", .strategies = AUTHORIZES, .boots = {{authorize_in_a_live_connection, ENDS}}},
	{.name = "authorization-is-anothers", .strategies = AUTHORIZES, .boots = {{authorization_is_anothers, ENDS}}},
#endif
	{.name = "input-from-an-interrupt", .strategies = ANY, .boots = {{input_from_an_interrupt, ENDS}}},
	{.name = "two-centrals", .strategies = ANY, .boots = {{two_centrals, ENDS}}},
	{.name = "fake-stops-who-waits-while-receiving", .strategies = ANY, .boots = {{waits_while_receiving, IS_STOPPED}}},
	{.name = "fake-stops-who-waits-in-an-interrupt", .strategies = ANY, .boots = {{waits_in_an_interrupt, IS_STOPPED}}},
	{.name = "fake-stops-who-waits-on-the-systems-queue", .strategies = ANY, .boots = {{waits_on_the_systems_queue, IS_STOPPED}}},
};

static enum strategy strategy_of_policy(void)
{
	switch (ks_policy.service) {
	case KS_SERVICE_RECONNECT:
		return RECONNECTS;
	case KS_SERVICE_LIVE:
		return CHANGES_AT_ONCE;
	case KS_SERVICE_ALWAYS:
		return STAYS;
	default:
		return AUTHORIZES;
	}
}

/* NULL: as it should be. */
static const char *runs(const struct boot *boot)
{
	int resets_before = fake_store->resets;
	pid_t child;
	int status;

	fake_store->failure[0] = '\0';
	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		boot->script();
		_exit(0);
	}
	if ((child < 0) || (waitpid(child, &status, 0) != child)) {
		return "cannot start a process";
	}
	if (!WIFEXITED(status)) {
		return "it was killed by a signal";
	}
	if (boot->ending == IS_STOPPED) {
		return (strstr(fake_store->failure, "must not") != NULL) ? NULL : "the fake has not noticed";
	}
	if (WEXITSTATUS(status) != 0) {
		return (fake_store->failure[0] != '\0') ? fake_store->failure : "a sanitizer has stopped it";
	}
	if ((fake_store->resets != resets_before) != (boot->ending == RESETS)) {
		return (boot->ending == RESETS) ? "it has not reset" : "it has reset";
	}
	return NULL;
}

static const char *passes(const struct trap *trap)
{
	(void)memset(fake_store, 0, sizeof(*fake_store));
	fake_put_image(0, 0x11u, 3000u, hash_of_first);
	fake_put_image(1, 0x22u, OTHER_SIZE, hash_of_other);
#if KS_POLICY_PAIRS > 1
	put_further_images();
#endif
	quiet = trap->quiet;
	for (size_t place = 0; (place < ARRAY_SIZE(trap->boots)) && (trap->boots[place].script != NULL); place++) {
		const char *wrong;

		if (place != 0u) {
			fake_bootloader();
		}
		wrong = runs(&trap->boots[place]);
		if (wrong != NULL) {
			return wrong;
		}
	}
#if KS_POLICY_PAIRS > 1
	if ((trap->armed_last != 0) && (fake_armed(KS_POLICY_PAIRS - 1) != trap->armed_last)) {
		return "the bootloader would do something else with the last image";
	}
#endif
	if ((trap->armed != 0) && (fake_armed(0) != trap->armed)) {
		return "the bootloader would do something else";
	}
	if ((trap->reset_within_ms != 0) && (fake_store->reset_at_ms > 3000 + trap->reset_within_ms)) {
		return "the reset came late";
	}
	return NULL;
}

/* Run these, or the one that is named. */
static void run_all(const struct trap *row, size_t rows, const char *name, int *passed, int *failed)
{
	for (size_t place = 0; place < rows; place++) {
		const struct trap *trap = &row[place];
		const char *wrong;

		if (((trap->strategies & (unsigned int)strategy_of_policy()) == 0u) ||
		    ((name != NULL) && (strcmp(name, trap->name) != 0)) ||
		    (trap->copied && !fake_is_copied(KS_POLICY_PAIRS - 1))) {
			continue;
		}
		wrong = passes(trap);
		if (wrong != NULL) {
			(void)printf("%s: %s\n", trap->name, wrong);
			(*failed)++;
		} else {
			(*passed)++;
		}
	}
}

int main(int count, char **arguments)
{
	const char *name = (count > 1) ? arguments[1] : NULL;
	int failed = 0;
	int passed = 0;

	fake_store = mmap(NULL, sizeof(*fake_store), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
#if KS_POLICY_PAIRS > 1
	if ((ks_policy.flags & KS_POLICY_ARM_EARLY) != 0u) {
		run_all(early_traps, early_trap_count, name, &passed, &failed);
	} else {
		run_all(traps, ARRAY_SIZE(traps), name, &passed, &failed);
		run_all(pair_traps, pair_trap_count, name, &passed, &failed);
	}
#else
	run_all(traps, ARRAY_SIZE(traps), name, &passed, &failed);
#endif
	(void)printf("%d passed, %d failed\n", passed, failed);
	return ((failed == 0) && (passed != 0)) ? 0 : 1;
}
