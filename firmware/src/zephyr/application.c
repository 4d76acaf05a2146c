/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application's side. What may be called from an interrupt writes a note and posts; the gate's own queue tells the
 * machine.
 */
#include <errno.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* A change of an input, or the button let go. */
struct note {
	int32_t value;
	uint8_t input; /* BUTTON: value is how long it was held */
	bool known;
};
#define BUTTON 0xFFu
#define NOT_PRESSED UINT32_MAX

K_MSGQ_DEFINE(ks_notes, sizeof(struct note), CONFIG_KEYSWITCH_INPUT_EVENTS, sizeof(int32_t));

static const struct ks_application *application;
/* What each input reads, as far as it was told; and inputs of which a change found no room. */
static struct ks_value values[KS_INPUT_SLOTS];
static ATOMIC_DEFINE(lost, KS_INPUT_SLOTS);
static struct k_spinlock values_lock;
/* When the button went down, in milliseconds of 32 bits. */
static atomic_t pressed_ms = ATOMIC_INIT((atomic_val_t)NOT_PRESSED);
static atomic_t confirms;
/* What others may ask without waiting. */
static atomic_t mode_now;
static atomic_t inhibited = ATOMIC_INIT((atomic_val_t)UINT32_MAX);

/* Of the policy: where the generated ks_policy.h says it, the compiler knows it. */
static inline uint8_t input_count(void)
{
#if defined(KS_COUNT_INPUTS)
	return KS_COUNT_INPUTS;
#else
	return ks_policy.input_count;
#endif
}

BUILD_ASSERT(KS_MAX_INPUTS < BUTTON, "too many inputs");

/* --- from anywhere, an interrupt included --- */

static void read_now(uint8_t input, bool known, int32_t value)
{
	struct note note = {.input = input, .known = known, .value = value};
	k_spinlock_key_t key;

	if (input >= input_count()) {
		return;
	}
	key = k_spin_lock(&values_lock);
	values[input].known = known;
	values[input].value = value;
	k_spin_unlock(&values_lock, key);
	if (k_msgq_put(&ks_notes, &note, K_NO_WAIT) != 0) {
		ks_bit_raise(lost, input);
	}
	ks_post();
}

void ks_input_set(uint8_t input, int32_t value)
{
	read_now(input, true, value);
}

void ks_input_unknown(uint8_t input)
{
	read_now(input, false, 0);
}

void ks_button(bool pressed)
{
	uint32_t now_ms = k_uptime_get_32();

	if (pressed) {
		if (now_ms == NOT_PRESSED) {
			now_ms--;
		}
		(void)atomic_cas(&pressed_ms, (atomic_val_t)NOT_PRESSED, (atomic_val_t)now_ms);
	} else {
		uint32_t since_ms = (uint32_t)ks_word_set(&pressed_ms, (atomic_val_t)NOT_PRESSED);
		struct note note = {.input = BUTTON, .known = true};

		if (since_ms == NOT_PRESSED) {
			return;
		}
		note.value = (int32_t)MIN(now_ms - since_ms, (uint32_t)INT32_MAX);
		/* No room: the button has done nothing, as if it had not been held long enough. */
		(void)k_msgq_put(&ks_notes, &note, K_NO_WAIT);
		ks_post();
	}
}

bool ks_inhibited(uint32_t inhibit)
{
	return ((uint32_t)atomic_get(&inhibited) & inhibit) != 0u;
}

void ks_confirm_self(void)
{
	ks_bit_raise(&confirms, 0u);
	ks_post();
}

uint8_t ks_mode(void)
{
	return (uint8_t)atomic_get(&mode_now);
}

/* --- on the gate's own queue, under the lock --- */

void ks_application_inputs(struct ks_value now[KS_INPUT_SLOTS])
{
	struct note note;
	k_spinlock_key_t key;

	/* Before the machine boots only what they read last counts; an input that was never told has its initial value. */
	for (uint8_t input = 0; input < input_count(); input++) {
		now[input].known = (ks_policy.inputs[input].flags & KS_INPUT_KNOWN) != 0u;
		now[input].value = ks_policy.inputs[input].initial;
	}
	while (k_msgq_get(&ks_notes, &note, K_NO_WAIT) == 0) {
		if (note.input != BUTTON) {
			ks_bit_raise(lost, note.input);
		}
	}
	key = k_spin_lock(&values_lock);
	for (uint8_t input = 0; input < input_count(); input++) {
		if (ks_bit_take(lost, input)) {
			now[input] = values[input];
		}
	}
	k_spin_unlock(&values_lock, key);
}

static void tell_input(uint8_t input, bool known, int32_t value)
{
	struct ks_event event = {.kind = KS_INPUT_CHANGED, .input = input, .value = {.value = value, .known = known}};

	(void)ks_tell(&event, NULL);
}

static void tell_lost(void)
{
	for (uint8_t input = 0; input < input_count(); input++) {
		struct ks_value now;
		k_spinlock_key_t key;

		if (!ks_bit_take(lost, input)) {
			continue;
		}
		/* It may have been anything meanwhile: no guard held for it. */
		tell_input(input, false, 0);
		key = k_spin_lock(&values_lock);
		now = values[input];
		k_spin_unlock(&values_lock, key);
		tell_input(input, now.known, now.value);
	}
}

static void tell(const struct ks_event *event)
{
	struct ks_refusal refusal;
	char text[KS_REFUSAL_TEXT];

	if (!ks_tell(event, &refusal)) {
		ks_report_refusal(&refusal, KS_MODE_GROUP, 0u, 0u, text);
	}
}

void ks_application_tell(void)
{
	struct note note;

	while (k_msgq_get(&ks_notes, &note, K_NO_WAIT) == 0) {
		if (note.input == BUTTON) {
			struct ks_event held = {.kind = KS_BUTTON_HELD, .hold_ms = (uint32_t)note.value};

			tell(&held);
		} else {
			tell_input(note.input, note.known, note.value);
		}
	}
	tell_lost();
	if (ks_bit_take(&confirms, 0u)) {
		struct ks_event confirmed = {.kind = KS_SELF_CONFIRMED};

		tell(&confirmed);
	}
}

void ks_application_inhibit(uint32_t inhibits)
{
	(void)ks_word_set(&inhibited, (atomic_val_t)inhibits);
	if ((application != NULL) && (application->inhibit != NULL)) {
		application->inhibit(inhibits);
	}
}

void ks_application_mode(uint8_t mode)
{
	(void)ks_word_set(&mode_now, (atomic_val_t)mode);
	if ((application != NULL) && (application->mode_changed != NULL)) {
		application->mode_changed(mode);
	}
}

void ks_application_log(const struct ks_log *log)
{
	if ((application != NULL) && (application->log != NULL)) {
		application->log(log);
	}
}

/* --- coming up --- */

int ks_start(const struct ks_application *callbacks)
{
	const struct ks_record_found *kept;
	static bool started;
	struct ks_value inputs[KS_INPUT_SLOTS];
	struct ks_boot boot = {0};
	int error;

	if (started) {
		return -EALREADY;
	}
	started = true;
	application = callbacks;
	ks_machine_start();
	kept = ks_record_load(&error);
	if (kept == NULL) {
		LOG_ERR("settings cannot be read (%d): the gate stays shut", error);
		ks_report(KS_LOG_FAULT, "settings cannot be read");
		return error;
	}
	ks_lock();
	ks_unit_load();
	boot.record = kept->has_record ? &kept->record : NULL;
#if defined(CONFIG_MCUMGR_GRP_IMG)
	ks_image_init();
	ks_image_found(&boot);
#endif
#if defined(CONFIG_BT_GATT_AUTHORIZATION_CUSTOM)
	error = ks_authorize_register();
	if (error != 0) {
		LOG_ERR("another GATT authorization callback is there (%d): layer A is missing, the handlers refuse", error);
		ks_report(KS_LOG_FAULT, "GATT authorization is another's");
		error = 0;
	}
#endif
	ks_visibility_boot();
	ks_application_inputs(inputs);
	boot.inputs = inputs;
#if KS_UNIT_PARTITION || KS_HAS_PERMIT
	boot.unit = ks_unit_now();
#endif
#if KS_HAS_PERMIT
	boot.holder = kept->has_holder ? kept->holder : NULL;
#endif
	boot.mode_before = kept->mode_before;
	boot.blank = kept->blank;
	ks_machine_boot(&boot, kept->failures);
	ks_unlock();
	ks_post();
	return error;
}
