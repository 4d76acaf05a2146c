/* SPDX-License-Identifier: Apache-2.0 */
/* Why not, as a value and as the text that travels in `rsn` and `reason`. */
#include <string.h>

#include "ks_internal.h"

#define EBUSY_RC 10u
#define EACCESSDENIED_RC 11u

/* In a text: one of PARTS, said once for many. */
#define BUSY "\1"
#define IMAGE "\2"
#define MODE "\3"
#define TRIAL "\4"

static const char *const PARTS[] = {"", "busy: ", "image: ", "wrong mode", "a trial is running"};
#define PART_COUNT (sizeof(PARTS) / sizeof(PARTS[0]))

/* By enum ks_why: the reason, and behind a colon what there is to say beside it. One after the other, each with its zero. */
static const char WORDS[] = "\0" /* not refused */
			    MODE "\0"
			    MODE ": nobody has entered\0"
				 "guard\0"
				 "guard: no such input\0"
				 "proof\0"
				 "expired\0"
				 "expired: this lease is not extended\0"
				 "locked out\0"
				 "owner\0"
				 "security level\0"
			    BUSY "resetting\0"
			    BUSY "the first image with this gate is on trial: confirm it, or it reverts\0"
			    BUSY TRIAL "\0"
			    BUSY TRIAL "\0"
			    BUSY "another central is connected\0"
			    BUSY "a session with another limit is running\0"
			    BUSY "another peer is uploading\0"
			    BUSY "an upload is running\0"
			    BUSY "another image is pending\0"
			    IMAGE "only the application confirms\0"
			    IMAGE "only the operator confirms\0"
			    IMAGE "not in the permit\0"
				  "not on this service\0"
			    BUSY "too many connections\0"
				 "expired: used up";
#define WHY_COUNT (KS_WHY_USED_UP + 1u)

/* Contention inside maintenance, that client libraries may repeat. */
#define BIT(why) ((uint32_t)1u << (why))
#define IS_BUSY                                                                                                        \
	(BIT(KS_WHY_TRIAL_RUNS) | BIT(KS_WHY_OTHER_UPLOAD) | BIT(KS_WHY_UPLOAD_RUNS) | BIT(KS_WHY_OTHER_PENDING))

#if KS_HAS_SECURITY
static const char *const SECURITY[] = {"none", "encrypted", "authenticated"};
#endif
/* By enum ks_compare. */
static const char COMPARE[][5] = {"", " < ", " == ", " <= ", " > ", " != ", " >= "};

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

static void put_words(struct writer *writer, uint8_t why)
{
	const char *text = WORDS;

	for (uint_fast8_t before = 0; before < why; before++) {
		text += strlen(text) + 1u;
	}
	for (size_t place = 0; text[place] != '\0'; place++) {
		if ((uint8_t)text[place] < PART_COUNT) {
			put(writer, PARTS[(uint8_t)text[place]]);
		} else {
			put_byte(writer, text[place]);
		}
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
	if (refusal->why < WHY_COUNT) {
		put_words(&writer, refusal->why);
	}
	switch (refusal->why) {
	case KS_WHY_WRONG_MODE:
		put(&writer, ": ");
		put(&writer, policy->modes[refusal->arg].name);
		break;
#if KS_HAS_SECURITY
	case KS_WHY_SECURITY:
		put(&writer, ": ");
		put(&writer, SECURITY[refusal->arg]);
		break;
#endif
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
