/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: every event, and what it does. Within a row, what happens in which mode is the policy's tables alone. */
#include <string.h>

#include "ks_internal.h"

#define BIT(kind) ((uint32_t)1u << (kind))

/* Between KS_RESET_NOW and KS_BOOTED nothing else is listened to. */
#define HEARD_WHILE_DOWN (BIT(KS_BOOTED) | BIT(KS_ARM_FAILED) | BIT(KS_DISCONNECTED) | BIT(KS_INPUT_CHANGED))

/* Until the first gated image is confirmed or reverted; nothing of these changes the mode. */
#define HEARD_ON_FIRST_TRIAL                                                                                           \
	(BIT(KS_BOOTED) | BIT(KS_CONNECTED) | BIT(KS_DISCONNECTED) | BIT(KS_INPUT_CHANGED) | BIT(KS_EXPIRED) |         \
	 BIT(KS_CONFIRM_ASKED) | BIT(KS_SELF_CONFIRMED))

void ks_state_init(const struct ks_policy *policy, struct ks_state *state)
{
	(void)memset(state, 0, sizeof(*state));
	state->mode = policy->initial_mode;
	state->down = true;
	ks_session_init(&state->session, KS_NO_TRANSITION);
	for (uint_fast8_t input = 0; input < ks_input_count(policy); input++) {
		state->inputs[input].known = (policy->inputs[input].flags & KS_INPUT_KNOWN) != 0u;
		state->inputs[input].value = policy->inputs[input].initial;
	}
}

uint8_t ks_mode_by_name(const struct ks_policy *policy, const char *name, size_t size)
{
	for (uint_fast8_t mode = 0; mode < ks_mode_count(policy); mode++) {
		const char *known = policy->modes[mode].name;

		if ((strlen(known) == size) && (memcmp(known, name, size) == 0)) {
			return (uint8_t)mode;
		}
	}
	return KS_NO_MODE;
}

static bool upload_ended(struct ks_change *change, const struct ks_event *event)
{
	(void)event;
	change->state->uploading = false; /* a session that was held open for it ends now */
	return true;
}

static bool firmware_command(struct ks_change *change, const struct ks_event *event)
{
	(void)event;
	ks_keep_quiet(change, change->state->mode);
	return false;
}

/* The machine: by enum ks_event_kind. */
static bool (*const ACTS[])(struct ks_change *change, const struct ks_event *event) = {
	[KS_BOOTED] = ks_booted,
	[KS_CONNECTED] = ks_connected,
	[KS_DISCONNECTED] = ks_disconnected,
	[KS_ENTER_PROVED] = ks_enter_proved,
	[KS_ATTACH_PROVED] = ks_attach_proved,
	[KS_LEAVE_ASKED] = ks_leave_asked,
	[KS_EXTEND_ASKED] = ks_extend_asked,
	[KS_INPUT_CHANGED] = ks_input_changed,
	[KS_BUTTON_HELD] = ks_button_held,
	[KS_EXPIRED] = ks_expired,
	[KS_UPLOAD_STARTED] = ks_upload_started,
	[KS_UPLOAD_ENDED] = upload_ended,
	[KS_ARM_ASKED] = ks_arm_asked,
	[KS_ARM_FAILED] = ks_arm_failed,
	[KS_RESET_ASKED] = ks_reset_asked,
	[KS_CONFIRM_ASKED] = ks_confirm_asked,
	[KS_SELF_CONFIRMED] = ks_self_confirmed,
	[KS_COMMAND_SERVED] = ks_command_served,
	[KS_FIRMWARE_COMMAND] = firmware_command,
};
#define KIND_COUNT (sizeof(ACTS) / sizeof(ACTS[0]))

uint8_t ks_why_deaf(const struct ks_state *state, uint8_t kind)
{
	if (state->down && ((BIT(kind) & HEARD_WHILE_DOWN) == 0u)) {
		return KS_WHY_RESETTING;
	}
	if (state->first_trial && ((BIT(kind) & HEARD_ON_FIRST_TRIAL) == 0u)) {
		return KS_WHY_FIRST_TRIAL;
	}
	return KS_NOT_REFUSED;
}

void ks_step(const struct ks_policy *policy, struct ks_state *state, const struct ks_event *event, struct ks_step *step)
{
	struct ks_change change = {policy, state, step, false};
	/* No event of this machine: the caller's tables are another version's. */
	bool known = (event->kind < KIND_COUNT) && (ks_pair(event) < (uint8_t)KS_POLICY_PAIRS);
	uint8_t why = known ? ks_why_deaf(state, event->kind) : (uint8_t)KS_WHY_WRONG_MODE;

	step->count = 0u;
	step->overflow = false;
	ks_refuse(&step->refusal, why, state->mode);
	if ((why == (uint8_t)KS_NOT_REFUSED) && ACTS[event->kind](&change, event)) {
		ks_apply_input_transitions(&change);
		ks_sync_gatt_table(&change);
	}
}
