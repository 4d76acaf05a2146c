/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Zephyr application calls.
 *
 * - Until ks_start() every MCUmgr command is refused. Call it once, after bt_enable() and before anything is advertised.
 * - ks_input_set(), ks_button() and ks_inhibited() never wait and may be called from an interrupt.
 * - The callbacks run on the gate's own work queue, or on MCUmgr's while a command is executed, with the gate's lock held:
 *   set a flag, post something, return.
 */
#ifndef KEYSWITCH_KEYSWITCH_H_
#define KEYSWITCH_KEYSWITCH_H_

#include <stdbool.h>
#include <stdint.h>

#include <keyswitch/ks_gate.h>

/* What has happened, for a log. */
enum ks_log_kind {
	KS_LOG_BOOTED = 0,
	KS_LOG_REFUSED = 1, /* text: why; group, id, write */
	KS_LOG_ENTERED = 2, /* mode */
	KS_LOG_LEFT = 3, /* mode: where to */
	KS_LOG_LOCKED = 4, /* after a wrong proof: a kind of proof is not heard for a while */
	KS_LOG_ARM_FAILED = 5, /* the slot is not what was to be armed; the reset is off */
	KS_LOG_RESET = 6, /* the device resets now */
	KS_LOG_FAULT = 7, /* text: something that the policy needs is not there; the gate stays shut */
};

struct ks_log {
	const char *text; /* NULL, or valid during the call */
	uint16_t group;
	uint8_t kind; /* enum ks_log_kind */
	uint8_t id;
	uint8_t mode;
	bool write;
};

struct ks_application {
	/* What the application must not do from now on: a bit set over KS_POLICY_INHIBIT_*. Stop it before returning. */
	void (*inhibit)(uint32_t inhibits);
	/* The mode is another one now: KS_POLICY_MODE_*. */
	void (*mode_changed)(uint8_t mode);
	void (*log)(const struct ks_log *log);
};

/*
 * Come up: the session record is read and erased, the machine boots, the SMP service is shown or hidden. application may
 * be NULL, and has to stay where it is. 0, or a negative errno: then the gate stays shut, and the log said why.
 */
int ks_start(const struct ks_application *application);

/* An input (KS_POLICY_INPUT_*) reads this now; what it read before ks_start() counts as well. A bool is 0 or 1. */
void ks_input_set(uint8_t input, int32_t value);
/* An input cannot be read: no guard holds for it. */
void ks_input_unknown(uint8_t input);
/* The button went down or up. What it does happens when it goes up: how long it was held decides. */
void ks_button(bool pressed);
/* Whether the application must not do this now: one bit of KS_POLICY_INHIBIT_*. Before ks_start() everything is inhibited. */
bool ks_inhibited(uint32_t inhibit);
/* The running image works: where the policy lets the application say so, an image on trial stays. Waits for nothing. */
void ks_confirm_self(void);

/* The mode now, as it was after the last event. */
uint8_t ks_mode(void);
/* Whether firmware may change now. */
bool ks_gate_open(void);

#endif
