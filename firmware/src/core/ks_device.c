/* SPDX-License-Identifier: Apache-2.0 */
/* The gate with what it remembers between events. There is no rule about modes here: the machine decides. */
#include <string.h>

#include <keyswitch/ks_crypto.h>
#include <keyswitch/ks_device.h>

#include "ks_internal.h"

static void draw(uint8_t *bytes, size_t size)
{
	/* Boot id and token tell boots and devices apart and authorise nothing: without entropy they are zero. */
	if (!ks_random(bytes, size)) {
		(void)memset(bytes, 0, size);
	}
}

const char *ks_device_id(const struct ks_device *device)
{
	bool own = (device->unit != NULL) && (device->unit->device_id != NULL);

	return own ? device->unit->device_id : device->policy->device_id;
}

static uint32_t left_ms(const struct ks_device *device, uint_fast8_t timer, uint64_t now_ms)
{
	uint64_t due_ms = device->due_ms[timer];

	if (due_ms == KS_NEVER) {
		return KS_NO_LIMIT;
	}
	return (due_ms > now_ms) ? (uint32_t)(due_ms - now_ms) : 0u;
}

static void keep_timers(struct ks_device *device, const struct ks_step *step, uint64_t now_ms)
{
	for (uint_fast8_t timer = KS_TIMER_TIMEOUT; timer <= (uint8_t)KS_TIMER_LEASE_MAX; timer++) {
		device->left.left_ms[timer] = left_ms(device, timer, now_ms);
	}
	for (uint16_t place = 0; place < step->count; place++) {
		const struct ks_effect *effect = &step->effects[place];

		if (effect->kind == (uint8_t)KS_START_TIMER) {
			device->due_ms[effect->arg] = now_ms + effect->value;
		} else if (effect->kind == (uint8_t)KS_STOP_TIMER) {
			device->due_ms[effect->arg] = KS_NEVER;
		} else if (effect->kind == (uint8_t)KS_END_CONNECTIONS) {
			device->ending |= effect->value;
		} else {
			/* the caller's */
		}
	}
}

bool ks_device_tell(struct ks_device *device, const struct ks_event *event, uint64_t now_ms, struct ks_step *step)
{
	bool had_session = device->state.has_session;

	ks_step(device->policy, &device->state, event, step);
	if (step->refusal.why != (uint8_t)KS_NOT_REFUSED) {
		return false;
	}
	if (event->kind == (uint8_t)KS_DISCONNECTED) {
		ks_nonces_forget(&device->nonces, event->peer.id);
#if KS_HAS_SEQUENCE
		ks_sequences_forget(&device->sequences, event->peer.id);
#endif
		device->ending &= ks_connected_mask(&device->state, KS_NO_PEER);
	}
	if (device->state.has_session && !had_session && (event->kind != (uint8_t)KS_BOOTED)) {
		draw(device->token, sizeof(device->token));
#if KS_HAS_PERMIT
		device->has_holder = false;
#endif
	}
#if KS_HAS_PERMIT
	if (event->kind == (uint8_t)KS_ENTER_PROVED) {
		device->has_holder = event->holder != NULL;
		if (device->has_holder) {
			(void)memcpy(device->holder, event->holder, sizeof(device->holder));
		}
	}
#endif
	keep_timers(device, step, now_ms);
	return true;
}

void ks_device_boot(struct ks_device *device, const struct ks_policy *policy, const struct ks_boot *boot,
		    const uint32_t failures[KS_LOCKOUT_KINDS], uint64_t now_ms, struct ks_step *step)
{
	struct ks_event event = {0};

	(void)memset(device, 0, sizeof(*device));
	device->policy = policy;
	device->unit = boot->unit;
#if KS_HAS_PERMIT
	device->has_holder = boot->holder != NULL;
	if (device->has_holder) {
		(void)memcpy(device->holder, boot->holder, sizeof(device->holder));
	}
#endif
	ks_state_init(policy, &device->state);
	for (uint_fast8_t timer = 0; timer < KS_TIMERS; timer++) {
		device->due_ms[timer] = KS_NEVER;
	}
	draw(device->boot_id, sizeof(device->boot_id));
	ks_lockout_restore(policy, &device->lockout, failures, now_ms);
	if ((boot->record != NULL) && boot->record->has_token) {
		(void)memcpy(device->token, boot->record->token, sizeof(device->token));
	} else {
		draw(device->token, sizeof(device->token));
	}
	event.kind = KS_BOOTED;
	event.boot = boot;
	(void)ks_device_tell(device, &event, now_ms, step);
}

/* Of two that are due at once, the one with the lower number. */
static uint8_t earliest(const struct ks_device *device)
{
	uint8_t first = 0;

	for (uint_fast8_t timer = 1; timer < KS_TIMERS; timer++) {
		if (device->due_ms[timer] < device->due_ms[first]) {
			first = (uint8_t)timer;
		}
	}
	return first;
}

uint64_t ks_device_next_due_ms(const struct ks_device *device)
{
	return device->due_ms[earliest(device)];
}

bool ks_device_fire(struct ks_device *device, uint64_t now_ms, struct ks_step *step)
{
	struct ks_event event = {0};
	uint_fast8_t timer = earliest(device);

	if ((device->due_ms[timer] == KS_NEVER) || (device->due_ms[timer] > now_ms)) {
		return false;
	}
	device->due_ms[timer] = KS_NEVER;
	event.kind = KS_EXPIRED;
	event.timer = (uint8_t)timer;
	(void)ks_device_tell(device, &event, now_ms, step);
	return true;
}

bool ks_device_lease_ms(const struct ks_device *device, uint64_t now_ms, uint32_t *lease_ms)
{
	*lease_ms = ks_least(left_ms(device, KS_TIMER_LEASE, now_ms), left_ms(device, KS_TIMER_LEASE_MAX, now_ms));
	return *lease_ms != KS_NO_LIMIT;
}

bool ks_device_gate_open(const struct ks_device *device)
{
	return device->state.has_session && !device->state.session.ending && !device->state.down;
}
