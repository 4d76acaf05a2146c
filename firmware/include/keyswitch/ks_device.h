/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate with what it remembers between events: time limits, nonces, lock-out, token. Time is handed in, in milliseconds
 * since boot; it never goes back.
 *
 * Whoever calls carries out the effects that come back, in their order, but for KS_START_TIMER and KS_STOP_TIMER, which are
 * kept here: set one timer of your own to ks_device_next_due_ms(), and call ks_device_fire() when it is over.
 */
#ifndef KEYSWITCH_KS_DEVICE_H_
#define KEYSWITCH_KS_DEVICE_H_

#include <keyswitch/ks_gate.h>
#include <keyswitch/ks_permit.h>
#include <keyswitch/ks_proof.h>
#include <keyswitch/ks_record.h>

#define KS_BOOT_ID_SIZE 8u
/* No time limit runs. */
#define KS_NEVER UINT64_MAX

struct ks_device {
	uint64_t due_ms[KS_TIMERS]; /* KS_NEVER: does not run */
	const struct ks_policy *policy;
	const struct ks_unit *unit;
	struct ks_state state;
	struct ks_nonces nonces;
#if KS_HAS_SEQUENCE
	struct ks_sequences sequences;
#endif
	struct ks_lockout lockout; /* keep lockout.failures across a reset */
	struct ks_record_times left; /* before the last event: for KS_WRITE_SESSION_RECORD */
	uint32_t ending; /* places in state.connections whose connection is to end */
	uint8_t token[KS_TOKEN_SIZE];
	uint8_t boot_id[KS_BOOT_ID_SIZE];
#if KS_HAS_PERMIT
	bool has_holder;
	uint8_t holder[KS_KEY_SIZE]; /* whose permit opened the session: kept beside its record, given back at boot */
#endif
};

/* What this unit is called in proofs and permits. */
const char *ks_device_id(const struct ks_device *device);

/* Come up. failures: wrong proofs that were kept, NULL if none. Draws the boot id, and the token of no session. */
void ks_device_boot(struct ks_device *device, const struct ks_policy *policy, const struct ks_boot *boot,
		    const uint32_t failures[KS_LOCKOUT_KINDS], uint64_t now_ms, struct ks_step *step);

/* Tell an event; false: it was refused (step->refusal), and nothing has changed. */
bool ks_device_tell(struct ks_device *device, const struct ks_event *event, uint64_t now_ms, struct ks_step *step);

/* When the next time limit is over; KS_NEVER if none runs. */
uint64_t ks_device_next_due_ms(const struct ks_device *device);
/* Tell the earliest time limit that is over; false: none is, and *step is as it was. Call it until it says so. */
bool ks_device_fire(struct ks_device *device, uint64_t now_ms, struct ks_step *step);

/* What is left of the lease, the limit of all extensions included; false: there is none. */
bool ks_device_lease_ms(const struct ks_device *device, uint64_t now_ms, uint32_t *lease_ms);
/* Whether firmware may change now, for whoever the mode lets. */
bool ks_device_gate_open(const struct ks_device *device);

/* --- what the device says of itself: docs/mode-group.md has the bytes --- */

#define KS_STATE_VALUE_SIZE 9u
#define KS_ADVERTISEMENT_SIZE 30u
#define KS_SCAN_RESPONSE_MAX 31u

/* The state characteristic's value. */
void ks_device_state_value(const struct ks_device *device, uint64_t now_ms, uint8_t value[KS_STATE_VALUE_SIZE]);
/* The advertisement: flags, one service, mode and token. */
void ks_device_advertisement(const struct ks_device *device, uint8_t data[KS_ADVERTISEMENT_SIZE]);
/* The scan response: the name. Returns its size. */
uint8_t ks_device_scan_response(const struct ks_policy *policy, uint8_t data[KS_SCAN_RESPONSE_MAX]);

#endif
