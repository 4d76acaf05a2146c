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
	state->session.transition = KS_NO_TRANSITION;
	state->session.idle_ms = KS_NO_LIMIT;
	for (uint8_t input = 0; input < policy->input_count; input++) {
		state->inputs[input].known = (policy->inputs[input].flags & KS_INPUT_KNOWN) != 0u;
		state->inputs[input].value = policy->inputs[input].initial;
	}
}

uint8_t ks_mode_by_name(const struct ks_policy *policy, const char *name, size_t size)
{
	for (uint8_t mode = 0; mode < policy->mode_count; mode++) {
		const char *known = policy->modes[mode].name;

		if ((strlen(known) == size) && (memcmp(known, name, size) == 0)) {
			return mode;
		}
	}
	return KS_NO_MODE;
}

static bool act(struct ks_change *change, const struct ks_event *event)
{
	switch (event->kind) {
	case KS_BOOTED:
		ks_booted(change, event->boot);
		return true;
	case KS_CONNECTED:
		return ks_connected(change, event);
	case KS_DISCONNECTED:
		ks_disconnected(change, event);
		return true;
	case KS_ENTER_PROVED:
		return ks_enter_proved(change, event);
	case KS_ATTACH_PROVED:
		return ks_attach_proved(change, event);
	case KS_LEAVE_ASKED:
		ks_leave_asked(change);
		return true;
	case KS_EXTEND_ASKED:
		return ks_extend_asked(change);
	case KS_INPUT_CHANGED:
		return ks_input_changed(change, event);
	case KS_BUTTON_HELD:
		return ks_button_held(change, event);
	case KS_EXPIRED:
		ks_expired(change, event);
		return true;
	case KS_UPLOAD_STARTED:
		return ks_upload_started(change, event);
	case KS_UPLOAD_ENDED:
		return ks_upload_ended(change);
	case KS_ARM_ASKED:
		return ks_arm_asked(change, event);
	case KS_ARM_FAILED:
		return ks_arm_failed(change);
	case KS_RESET_ASKED:
		return ks_reset_asked(change);
	case KS_CONFIRM_ASKED:
		return ks_confirm_asked(change);
	case KS_SELF_CONFIRMED:
		return ks_self_confirmed(change);
	case KS_COMMAND_SERVED:
		ks_command_served(change, event);
		return false; /* no inputs are asked, no table follows */
	default:
		/* No event of this machine: the caller's tables are another version's. */
		ks_refuse(&change->step->refusal, KS_WHY_WRONG_MODE, change->state->mode);
		return false;
	}
}

void ks_step(const struct ks_policy *policy, struct ks_state *state, const struct ks_event *event, struct ks_step *step)
{
	struct ks_change change = {policy, state, step, false};
	uint32_t kind = (event->kind < 32u) ? BIT(event->kind) : 0u;

	step->count = 0u;
	step->overflow = false;
	ks_refuse(&step->refusal, KS_NOT_REFUSED, 0u);
	if (state->down && ((kind & HEARD_WHILE_DOWN) == 0u)) {
		ks_refuse(&step->refusal, KS_WHY_RESETTING, 0u);
		return;
	}
	if (state->first_trial && ((kind & HEARD_ON_FIRST_TRIAL) == 0u)) {
		ks_refuse(&step->refusal, KS_WHY_FIRST_TRIAL, 0u);
		return;
	}
	if (act(&change, event)) {
		ks_apply_input_transitions(&change);
		ks_sync_gatt_table(&change);
	}
}
