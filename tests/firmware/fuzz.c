/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers and flash can send: records and frames, for libFuzzer under the sanitizers.
 *
 * The first byte chooses. Even: the rest is a record, and a device comes up with it if it can be read. Odd: the rest is a
 * list of frames, each with a byte before it that says who sends it, how long it is, and how much time passes.
 */
#include <stdlib.h>
#include <string.h>

#include <keyswitch/ks_mode_group.h>

#include "harness.h"

extern const struct ks_policy *const TEST_POLICIES[];
extern const size_t TEST_POLICY_COUNT;

void must(bool held, const char *what)
{
	(void)what;
	if (!held) {
		abort();
	}
}

static void checked(const struct ks_device *device, const struct ks_step *step)
{
	must(!step->overflow, "room for effects");
	must(device->state.mode < device->policy->mode_count, "a mode");
	must(device->state.has_session || !ks_device_gate_open(device), "open without a session");
}

static void come_up(struct ks_device *device, const struct ks_policy *policy, const struct ks_record *record)
{
	struct ks_boot boot = {0};
	struct ks_step step;

	boot.record = record;
	boot.mode_before = KS_NO_MODE;
	if (record != NULL && record->has_expected) {
		boot.running = record->expected;
	}
	ks_device_boot(device, policy, &boot, NULL, 0, &step);
	checked(device, &step);
}

static void try_record(const struct ks_policy *policy, const uint8_t *bytes, size_t size)
{
	struct ks_device device;
	struct ks_record record;
	uint8_t written[KS_RECORD_MAX];

	if (ks_record_read(policy, bytes, size, &record)) {
		come_up(&device, policy, &record);
		if (device.state.has_session) {
			size_t used = ks_record_write(policy, &device.state, false, device.token, &device.left, written,
						      sizeof(written));

			must(used != 0 && ks_record_read(policy, written, used, &record), "what is written is read");
		}
	}
}

static void try_frames(const struct ks_policy *policy, const uint8_t *bytes, size_t size)
{
	static uint8_t out[512];
	struct ks_device device;
	struct ks_step step;
	uint64_t now_ms = 0;

	come_up(&device, policy, NULL);
	for (uint32_t peer = 1; peer <= 2; peer++) {
		struct ks_event event = {0};

		event.kind = KS_CONNECTED;
		event.peer.id = peer;
		(void)ks_device_tell(&device, &event, now_ms, &step);
	}
	while (size > 3) {
		struct ks_peer peer = {1u + (bytes[0] & 1u), (uint8_t)((bytes[0] >> 1) % 3u), (bytes[0] >> 4) & 1u};
		size_t length = bytes[1] < size - 3 ? bytes[1] : size - 3;
		uint8_t *packet = malloc(length == 0 ? 1 : length);
		struct ks_answer answer;

		must(packet != NULL, "memory");
		memcpy(packet, bytes + 3, length);
		now_ms += (uint64_t)bytes[2] * 1000u;
		while (ks_device_fire(&device, now_ms, &step)) {
			checked(&device, &step);
		}
		memset(&step, 0, sizeof(step));
		answer = ks_mode_group_frame(&device, &peer, packet, length, now_ms, out,
					     (bytes[0] & 0x80u) != 0 ? 24u : sizeof(out), &step);
		must(answer.size <= sizeof(out) && (answer.size == 0) == (length < KS_SMP_HEADER), "an answer");
		checked(&device, &step);
		free(packet);
		bytes += 3 + length;
		size -= 3 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size != 0) {
		const struct ks_policy *policy = TEST_POLICIES[(data[0] >> 1) % TEST_POLICY_COUNT];

		test_chance_seed(1);
		if ((data[0] & 1u) == 0) {
			try_record(policy, data + 1, size - 1);
		} else {
			try_frames(policy, data + 1, size - 1);
		}
	}
	return 0;
}
