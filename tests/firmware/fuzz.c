/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers and flash can send: records and frames, for libFuzzer under the sanitizers.
 *
 * The first byte's remainder by four chooses. 0: the rest is a record, and a device comes up with it if it can be read.
 * 2: it is a permit. Odd: it is a list of frames, each with a byte before it that says who sends it, how long it is, and
 * how much time passes. Every other signature is taken for right.
 */
#include <stdlib.h>
#include <string.h>

#include <keyswitch/ks_mode_group.h>

#include "harness.h"

extern const struct ks_policy *const TEST_POLICIES[];
extern const size_t TEST_POLICY_COUNT;
extern const uint8_t TEST_ISSUERS[][KS_KEY_SIZE];

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
	static const struct ks_unit unit = {NULL, NULL, TEST_ISSUERS, 2};
	struct ks_boot boot = {0};
	struct ks_step step;

	boot.unit = &unit;
	boot.record = record;
	boot.mode_before = KS_NO_MODE;
	if (record != NULL) {
		memcpy(boot.running, record->expected, sizeof(boot.running));
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
			size_t used = ks_record_write(policy, &device.state, 0, device.token, &device.left, written,
						      sizeof(written));

			must(used != 0 && ks_record_read(policy, written, used, &record), "what is written is read");
		}
	}
}

static void try_frames(const struct ks_policy *policy, const uint8_t *bytes, size_t size)
{
	static uint8_t out[1536];
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
	while (size > 4) {
		struct ks_peer peer = {1u + (bytes[0] & 1u), (uint8_t)((bytes[0] >> 1) % 3u), (bytes[0] >> 4) & 1u};
		size_t told = (size_t)bytes[1] | ((size_t)bytes[2] << 8);
		size_t length = told < size - 4 ? told : size - 4;
		uint8_t *packet = malloc(length == 0 ? 1 : length);
		struct ks_answer answer;

		must(packet != NULL, "memory");
		memcpy(packet, bytes + 4, length);
		now_ms += (uint64_t)bytes[3] * 1000u;
		while (ks_device_fire(&device, now_ms, &step)) {
			checked(&device, &step);
		}
		memset(&step, 0, sizeof(step));
		answer = ks_mode_group_frame(&device, &peer, packet, length, now_ms, out,
					     (bytes[0] & 0x80u) != 0 ? 24u : sizeof(out), &step);
		must(answer.size <= sizeof(out) && (answer.size == 0) == (length < KS_SMP_HEADER), "an answer");
		checked(&device, &step);
		free(packet);
		bytes += 4 + length;
		size -= 4 + length;
	}
}

static void try_permit(const struct ks_policy *policy, const uint8_t *bytes, size_t size)
{
	uint8_t message[KS_PROOF_MESSAGE_MAX + KS_HASH_SIZE] = {0};
	static const uint8_t signature[KS_SIGNATURE_SIZE] = {1};
	struct ks_unit unit = {NULL, NULL, TEST_ISSUERS, 2};
	struct ks_permit_proof proof = {0};
	struct ks_permit permit;
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	proof.scratch_size = size + KS_PERMIT_SIGNED_HEAD;
	proof.scratch = malloc(proof.scratch_size);
	must(copy != NULL && proof.scratch != NULL, "memory");
	memcpy(copy, bytes, size);
	proof.permit = copy;
	proof.permit_size = size;
	proof.signature = signature;
	proof.device_id = policy->device_id;
	proof.mode = policy->modes[policy->mode_count - 1u].name;
	proof.message = message;
	proof.message_size = KS_PROOF_MESSAGE_MAX;
	if (ks_permit_judge(&unit, &proof, &permit) == KS_PERMIT_RIGHT) {
		must(permit.id > copy && permit.id + KS_PERMIT_ID_SIZE < copy + size, "an id within the permit");
		must(permit.images.count <= KS_MAX_IMAGES, "images");
	}
	free(proof.scratch);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size != 0) {
		const struct ks_policy *policy = TEST_POLICIES[(data[0] >> 2) % TEST_POLICY_COUNT];

		test_chance_seed(1);
		test_signatures(NULL, 0);
		test_permits_forget();
		if ((data[0] & 3u) == 0) {
			try_record(policy, data + 1, size - 1);
		} else if ((data[0] & 3u) == 2) {
			try_permit(policy, data + 1, size - 1);
		} else {
			try_frames(policy, data + 1, size - 1);
		}
	}
	return 0;
}
