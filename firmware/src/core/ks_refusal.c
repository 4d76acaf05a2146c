/* SPDX-License-Identifier: Apache-2.0 */
/* Why not, as a value and as the text that travels in `rsn` and `reason`. */
#include <string.h>

#include "ks_internal.h"

#define EBUSY_RC 10u
#define EACCESSDENIED_RC 11u

struct words {
	const char *text; /* the reason, and behind a colon what there is to say beside it */
	uint8_t rc;
};

static const struct words WORDS[] = {
	[KS_NOT_REFUSED] = {"", 0u},
	[KS_WHY_WRONG_MODE] = {"wrong mode", EACCESSDENIED_RC},
	[KS_WHY_NOBODY_ENTERED] = {"wrong mode: nobody has entered", EACCESSDENIED_RC},
	[KS_WHY_GUARD] = {"guard", EACCESSDENIED_RC},
	[KS_WHY_NO_SUCH_INPUT] = {"guard: no such input", EACCESSDENIED_RC},
	[KS_WHY_PROOF] = {"proof", EACCESSDENIED_RC},
	[KS_WHY_EXPIRED] = {"expired", EACCESSDENIED_RC},
	[KS_WHY_NOT_EXTENDED] = {"expired: this lease is not extended", EACCESSDENIED_RC},
	[KS_WHY_LOCKED_OUT] = {"locked out", EACCESSDENIED_RC},
	[KS_WHY_OWNER] = {"owner", EACCESSDENIED_RC},
	[KS_WHY_SECURITY] = {"security level", EACCESSDENIED_RC},
	[KS_WHY_RESETTING] = {"busy: resetting", EACCESSDENIED_RC},
	[KS_WHY_FIRST_TRIAL] = {"busy: the first image with this gate is on trial: confirm it, or it reverts",
				EACCESSDENIED_RC},
	[KS_WHY_TRIAL_AT_ENTRY] = {"busy: a trial is running", EACCESSDENIED_RC},
	[KS_WHY_TRIAL_RUNS] = {"busy: a trial is running", EBUSY_RC},
	[KS_WHY_OTHER_CENTRAL] = {"busy: another central is connected", EACCESSDENIED_RC},
	[KS_WHY_OTHER_LIMIT] = {"busy: a session with another limit is running", EACCESSDENIED_RC},
	[KS_WHY_OTHER_UPLOAD] = {"busy: another peer is uploading", EBUSY_RC},
	[KS_WHY_UPLOAD_RUNS] = {"busy: an upload is running", EBUSY_RC},
	[KS_WHY_OTHER_PENDING] = {"busy: another image is pending", EBUSY_RC},
	[KS_WHY_APPLICATION_CONFIRMS] = {"image: only the application confirms", EACCESSDENIED_RC},
	[KS_WHY_OPERATOR_CONFIRMS] = {"image: only the operator confirms", EACCESSDENIED_RC},
	[KS_WHY_NOT_IN_PERMIT] = {"image: not in the permit", EACCESSDENIED_RC},
	[KS_WHY_NOT_ON_THIS_SERVICE] = {"not on this service", EACCESSDENIED_RC},
	[KS_WHY_TOO_MANY_CONNECTIONS] = {"busy: too many connections", EACCESSDENIED_RC},
};
#define WORDS_COUNT (sizeof(WORDS) / sizeof(WORDS[0]))

static const char *const SECURITY[] = {"none", "encrypted", "authenticated"};
static const char *const COMPARE[] = {" == ", " != ", " < ", " <= ", " > ", " >= "};

void ks_refuse(struct ks_refusal *refusal, uint8_t why, uint8_t arg)
{
	(void)memset(refusal, 0, sizeof(*refusal));
	refusal->why = why;
	refusal->arg = arg;
}

void ks_refuse_guard(struct ks_refusal *refusal, const struct ks_policy *policy, const struct ks_state *state,
		     uint16_t guard)
{
	ks_refuse(refusal, KS_WHY_GUARD, 0u);
	refusal->guard = guard;
	refusal->now = state->inputs[policy->guards[guard].input];
}

uint8_t ks_refusal_rc(const struct ks_refusal *refusal)
{
	return (refusal->why < WORDS_COUNT) ? WORDS[refusal->why].rc : EACCESSDENIED_RC;
}

/* Text that is cut where its room ends. */
struct writer {
	char *text;
	size_t size;
	size_t used;
};

static void put(struct writer *writer, const char *text)
{
	for (size_t place = 0; (text[place] != '\0') && ((writer->used + 1u) < writer->size); place++) {
		writer->text[writer->used] = text[place];
		writer->used++;
	}
}

static void put_unsigned(struct writer *writer, uint32_t value)
{
	char digits[11];
	size_t at = sizeof(digits) - 1u;

	digits[at] = '\0';
	do {
		at--;
		digits[at] = (char)('0' + (char)(value % 10u));
		value /= 10u;
	} while (value != 0u);
	put(writer, &digits[at]);
}

static void put_value(struct writer *writer, const struct ks_input *input, int32_t value)
{
	if ((input->flags & KS_INPUT_BOOL) != 0u) {
		put(writer, (value != 0) ? "true" : "false");
	} else if (value < 0) {
		put(writer, "-");
		put_unsigned(writer, 0u - (uint32_t)value);
	} else {
		put_unsigned(writer, (uint32_t)value);
	}
}

static void put_guard(struct writer *writer, const struct ks_policy *policy, const struct ks_refusal *refusal,
		      bool without_now)
{
	const struct ks_guard *guard = &policy->guards[refusal->guard];
	const struct ks_input *input = &policy->inputs[guard->input];

	put(writer, ": ");
	put(writer, input->name);
	put(writer, COMPARE[guard->compare]);
	put_value(writer, input, guard->value);
	if (!without_now) {
		put(writer, ", is ");
		if (refusal->now.known) {
			put_value(writer, input, refusal->now.value);
		} else {
			put(writer, "unknown");
		}
	}
}

size_t ks_refusal_text(const struct ks_policy *policy, const struct ks_refusal *refusal, bool without_now, char *text,
		       size_t size)
{
	struct writer writer = {text, size, 0u};

	if (size == 0u) {
		return 0u;
	}
	if (refusal->why < WORDS_COUNT) {
		put(&writer, WORDS[refusal->why].text);
	}
	switch (refusal->why) {
	case KS_WHY_WRONG_MODE:
		put(&writer, ": ");
		put(&writer, policy->modes[refusal->arg].name);
		break;
	case KS_WHY_SECURITY:
		put(&writer, ": ");
		put(&writer, SECURITY[refusal->arg]);
		break;
	case KS_WHY_LOCKED_OUT:
		put(&writer, ": for ");
		put_unsigned(&writer, refusal->ms);
		put(&writer, " ms");
		break;
	case KS_WHY_GUARD:
		put_guard(&writer, policy, refusal, without_now);
		break;
	default:
		break;
	}
	text[writer.used] = '\0';
	return writer.used;
}
