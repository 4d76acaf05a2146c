/* SPDX-License-Identifier: Apache-2.0 */
/* Why not, as a value and as the text that travels in `rsn` and `reason`. */
#include <string.h>

#include "ks_internal.h"

#define EBUSY_RC 10u
#define EACCESSDENIED_RC 11u

/* The first word of a text says the reason; clients tell apart by it. */
enum reason {
	REASON_NONE = 0,
	REASON_WRONG_MODE,
	REASON_GUARD,
	REASON_PROOF,
	REASON_EXPIRED,
	REASON_LOCKED_OUT,
	REASON_OWNER,
	REASON_SECURITY,
	REASON_BUSY,
	REASON_IMAGE,
	REASON_NOT_ON_THIS_SERVICE,
};
/* In that order, one after the other, each with its zero. */
static const char REASONS[] = "\0"
			      "wrong mode\0"
			      "guard\0"
			      "proof\0"
			      "expired\0"
			      "locked out\0"
			      "owner\0"
			      "security level\0"
			      "busy\0"
			      "image\0"
			      "not on this service";

/* By enum ks_why. */
static const uint8_t REASON_OF[] = {
	[KS_NOT_REFUSED] = REASON_NONE,
	[KS_WHY_WRONG_MODE] = REASON_WRONG_MODE,
	[KS_WHY_NOBODY_ENTERED] = REASON_WRONG_MODE,
	[KS_WHY_GUARD] = REASON_GUARD,
	[KS_WHY_NO_SUCH_INPUT] = REASON_GUARD,
	[KS_WHY_PROOF] = REASON_PROOF,
	[KS_WHY_EXPIRED] = REASON_EXPIRED,
	[KS_WHY_NOT_EXTENDED] = REASON_EXPIRED,
	[KS_WHY_LOCKED_OUT] = REASON_LOCKED_OUT,
	[KS_WHY_OWNER] = REASON_OWNER,
	[KS_WHY_SECURITY] = REASON_SECURITY,
	[KS_WHY_RESETTING] = REASON_BUSY,
	[KS_WHY_FIRST_TRIAL] = REASON_BUSY,
	[KS_WHY_TRIAL_AT_ENTRY] = REASON_BUSY,
	[KS_WHY_TRIAL_RUNS] = REASON_BUSY,
	[KS_WHY_OTHER_CENTRAL] = REASON_BUSY,
	[KS_WHY_OTHER_LIMIT] = REASON_BUSY,
	[KS_WHY_OTHER_UPLOAD] = REASON_BUSY,
	[KS_WHY_UPLOAD_RUNS] = REASON_BUSY,
	[KS_WHY_OTHER_PENDING] = REASON_BUSY,
	[KS_WHY_APPLICATION_CONFIRMS] = REASON_IMAGE,
	[KS_WHY_OPERATOR_CONFIRMS] = REASON_IMAGE,
	[KS_WHY_NOT_IN_PERMIT] = REASON_IMAGE,
	[KS_WHY_NOT_ON_THIS_SERVICE] = REASON_NOT_ON_THIS_SERVICE,
	[KS_WHY_TOO_MANY_CONNECTIONS] = REASON_BUSY,
	[KS_WHY_USED_UP] = REASON_EXPIRED,
#if KS_POLICY_PAIRS > 1
	[KS_WHY_OTHER_PAIR] = REASON_BUSY,
#endif
};
#define WHY_COUNT (sizeof(REASON_OF) / sizeof(REASON_OF[0]))

/* Contention inside maintenance, that client libraries may repeat. */
#define BIT(why) ((uint32_t)1u << (why))
#define IS_BUSY                                                                                                        \
	(BIT(KS_WHY_TRIAL_RUNS) | BIT(KS_WHY_OTHER_UPLOAD) | BIT(KS_WHY_UPLOAD_RUNS) | BIT(KS_WHY_OTHER_PENDING) |      \
	 BIT(KS_WHY_OTHER_PAIR))

#if KS_REFUSAL_TEXTS
#define TRIAL "a trial is running\0"

/* What there is to say beside the reason, where that is always the same: by enum ks_why, each with its zero. */
static const char DETAILS[] = "\0\0" /* not refused, wrong mode */
			      "nobody has entered\0\0" /* guard */
			      "no such input\0\0\0" /* proof, expired */
			      "this lease is not extended\0\0\0\0" /* locked out, owner, security */
			      "resetting\0"
			      "the first image with this gate is on trial: confirm it, or it reverts\0"
			      TRIAL
			      TRIAL
			      "another central is connected\0"
			      "a session with another limit is running\0"
			      "another peer is uploading\0"
			      "an upload is running\0"
			      "another image is pending\0"
			      "only the application confirms\0"
			      "only the operator confirms\0"
			      "not in the permit\0\0" /* not on this service */
			      "too many connections\0"
			      "used up"
#if KS_POLICY_PAIRS > 1
			      "\0an image of another number is pending"
#endif
			      ;

#if KS_HAS_SECURITY
static const char *const SECURITY[] = {"none", "encrypted", "authenticated"};
#endif
/* By enum ks_compare. */
static const char COMPARE[][5] = {"", " < ", " == ", " <= ", " > ", " != ", " >= "};
#endif

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
	if (refusal->why == (uint8_t)KS_NOT_REFUSED) {
		return 0u;
	}
	return ((refusal->why < WHY_COUNT) && ((IS_BUSY & BIT(refusal->why)) != 0u)) ? EBUSY_RC : EACCESSDENIED_RC;
}

/* Text that is cut where its room ends. */
struct writer {
	char *text;
	size_t size;
	size_t used;
};

static void put_byte(struct writer *writer, char byte)
{
	if ((writer->used + 1u) < writer->size) {
		writer->text[writer->used] = byte;
		writer->used++;
	}
}

static void put(struct writer *writer, const char *text)
{
	for (size_t place = 0; text[place] != '\0'; place++) {
		put_byte(writer, text[place]);
	}
}

/* The text of that number, of texts that stand one after the other. */
static const char *text_at(const char *texts, uint_fast8_t number)
{
	for (uint_fast8_t before = 0; before < number; before++) {
		texts += strlen(texts) + 1u;
	}
	return texts;
}

#if KS_REFUSAL_TEXTS
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

/* What stands behind the reason; nothing, if there is nothing to say. */
static void put_detail(struct writer *writer, const struct ks_policy *policy, const struct ks_refusal *refusal,
		       bool without_now)
{
	const char *detail = text_at(DETAILS, refusal->why);
	size_t before = writer->used;

	put(writer, ": ");
	switch (refusal->why) {
	case KS_WHY_WRONG_MODE:
		put(writer, policy->modes[refusal->arg].name);
		break;
#if KS_HAS_SECURITY
	case KS_WHY_SECURITY:
		put(writer, SECURITY[refusal->arg]);
		break;
#endif
	case KS_WHY_LOCKED_OUT:
		put(writer, "for ");
		put_unsigned(writer, refusal->ms);
		put(writer, " ms");
		break;
	case KS_WHY_GUARD:
		put_guard(writer, policy, refusal, without_now);
		break;
	default:
		if (detail[0] == '\0') {
			writer->used = before;
		}
		put(writer, detail);
		break;
	}
}
#endif

size_t ks_refusal_text(const struct ks_policy *policy, const struct ks_refusal *refusal, bool without_now, char *text,
		       size_t size)
{
	struct writer writer = {text, size, 0u};

	if (size == 0u) {
		return 0u;
	}
	if (refusal->why < WHY_COUNT) {
		put(&writer, text_at(REASONS, REASON_OF[refusal->why]));
#if KS_REFUSAL_TEXTS
		put_detail(&writer, policy, refusal, without_now);
#else
		(void)policy;
		(void)without_now;
#endif
	}
	text[writer.used] = '\0';
	return writer.used;
}
