/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one machine of the firmware: its lock, its work queue, its effects.
 *
 * What a step asks for is done in its order before the lock is given back, but for what has to come after the answer at
 * hand or may wait for a link: ending connections, the GATT table, the reset. Those follow on the gate's own queue.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>
#include <zephyr/sys/reboot.h>

#include "glue.h"

LOG_MODULE_REGISTER(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

BUILD_ASSERT(CONFIG_KEYSWITCH_MAX_CONNECTIONS == KS_MAX_CONNECTIONS, "tables of another size");
#if defined(CONFIG_BT_MAX_CONN)
BUILD_ASSERT(KS_MAX_CONNECTIONS >= CONFIG_BT_MAX_CONN, "CONFIG_KEYSWITCH_MAX_CONNECTIONS: at least CONFIG_BT_MAX_CONN");
#endif

static K_THREAD_STACK_DEFINE(queue_stack, CONFIG_KEYSWITCH_STACK_SIZE);
static struct k_work_q queue;
static struct k_work_delayable look;
static K_MUTEX_DEFINE(lock);
static struct ks_device device;
static bool queue_runs;
static bool booted;
static bool in_session;
/* A granted reset is due, and waits until the image that it starts has been looked at. */
static bool preparing;
static atomic_t gate_open;
/* Bits of KS_ANSWER_*, and when the youngest of them began. */
static atomic_t answers;
static atomic_t answer_began_ms;

void ks_lock(void)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
}

void ks_unlock(void)
{
	(void)k_mutex_unlock(&lock);
}

struct ks_device *ks_the_device(void)
{
	return &device;
}

uint64_t ks_now_ms(void)
{
	return (uint64_t)k_uptime_get();
}

bool ks_running(void)
{
	return booted;
}

bool ks_gate_open(void)
{
	return atomic_get(&gate_open) != 0;
}

void ks_post(void)
{
	if (queue_runs) {
		(void)k_work_reschedule_for_queue(&queue, &look, K_NO_WAIT);
	}
}

void ks_post_within(uint32_t ms)
{
	int busy = k_work_delayable_busy_get(&look);

	/* A look that is due earlier, or waits in the queue already, stays as it is. The one that runs now is no other. */
	if (((busy & K_WORK_QUEUED) != 0) ||
	    (((busy & K_WORK_DELAYED) != 0) && (k_work_delayable_remaining_get(&look) <= k_ms_to_ticks_ceil32(ms)))) {
		return;
	}
	(void)k_work_reschedule_for_queue(&queue, &look, K_MSEC(ms));
}

/* --- what several threads look at --- */

atomic_val_t ks_word_set(atomic_t *word, atomic_val_t value)
{
	return atomic_set(word, value);
}

void ks_bit_raise(atomic_t *bits, size_t bit)
{
	atomic_set_bit(bits, (int)bit);
}

bool ks_bit_take(atomic_t *bits, size_t bit)
{
	return atomic_test_and_clear_bit(bits, (int)bit);
}

/* --- answers under way --- */

void ks_answer_begins(size_t which)
{
	(void)ks_word_set(&answer_began_ms, (atomic_val_t)k_uptime_get_32());
	ks_bit_raise(&answers, which);
}

void ks_answer_ends(size_t which)
{
	if (ks_bit_take(&answers, which)) {
		ks_post();
	}
}

bool ks_answer_at_hand(void)
{
	uint32_t waited_ms = k_uptime_get_32() - (uint32_t)atomic_get(&answer_began_ms);

	return (atomic_get(&answers) != 0) && (waited_ms < KS_ANSWER_MS);
}

/* --- the log --- */

void ks_report(uint8_t kind, const char *text)
{
	struct ks_log log = {.kind = kind, .text = text, .mode = device.state.mode};

	ks_application_log(&log);
}

void ks_report_refusal(const struct ks_refusal *refusal, uint16_t group, uint8_t id, uint8_t op, char text[KS_REFUSAL_TEXT])
{
	struct ks_log log = {
		.kind = KS_LOG_REFUSED, .text = text, .group = group, .id = id, .write = op != 0u, .mode = device.state.mode};

	(void)ks_refusal_text(&ks_policy, refusal, false, text, KS_REFUSAL_TEXT);
	LOG_INF("refused: group %u command %u: %s", group, id, text);
	ks_application_log(&log);
}

/* --- effects --- */

static void end_connections(const struct ks_effect *effect)
{
	for (uint8_t place = 0; place < (uint8_t)KS_MAX_CONNECTIONS; place++) {
		if (((effect->value >> place) & 1u) != 0u) {
			ks_links_end(device.state.connections[place], effect->arg != 0u);
		}
	}
}

/* false: an image cannot be armed, and what the step wanted after this is off. */
static bool carry_out(const struct ks_effect *effect)
{
	switch (effect->kind) {
	case KS_DROP_QUEUED:
		ks_transport_drop_queued();
		break;
	case KS_DROP_REASSEMBLY:
		ks_smp_service_drop_partial();
		ks_mode_service_drop_partial();
		break;
	case KS_DROP_UPLOAD:
		ks_image_drop_upload(effect->arg != 0u);
		break;
	case KS_WRITE_TRAILER:
		return ks_image_write_trailer(effect);
	case KS_DISARM:
		ks_image_disarm(effect);
		break;
	case KS_CONFIRM_IMAGE:
		ks_image_confirm(effect);
		break;
	case KS_WRITE_SESSION_RECORD:
		ks_record_save((ks_pairs)effect->arg);
		break;
	case KS_CLEAR_SESSION_RECORD:
		ks_record_clear();
		break;
	case KS_MARK_STORE:
		ks_record_mark_store();
		break;
	case KS_PERSIST_MODE:
		ks_record_keep_mode(effect->arg);
		break;
	case KS_RESET_NOW:
		ks_reset_want();
		break;
	case KS_END_CONNECTIONS:
		end_connections(effect);
		break;
	case KS_SHOW_SERVICE:
		ks_visibility_want(effect->arg != 0u);
		break;
	case KS_INHIBIT:
		ks_application_inhibit(effect->value);
		break;
	case KS_MODE_CHANGED:
		ks_application_mode(effect->arg);
		break;
	default:
		/* KS_START_TIMER, KS_STOP_TIMER: the core's own */
		break;
	}
	return true;
}

/* What others look at without the lock. */
static void publish(void)
{
	bool now = device.state.has_session && !device.state.session.ending;

	if (now != in_session) {
		in_session = now;
		ks_report(now ? KS_LOG_ENTERED : KS_LOG_LEFT, NULL);
	}
	(void)ks_word_set(&gate_open, (atomic_val_t)ks_device_gate_open(&device));
	ks_authorize_publish();
	ks_advertise_changed();
	ks_post();
}

/* NULL, or the effect that failed. */
static const struct ks_effect *carry_out_effects(const struct ks_step *step)
{
	for (uint16_t place = 0; place < step->count; place++) {
		if (!carry_out(&step->effects[place])) {
			return &step->effects[place];
		}
	}
	return NULL;
}

/* What the step asks for; it is spent afterwards. */
static void carry_out_step(struct ks_step *step)
{
	const struct ks_effect *failing;

	if (step->overflow) {
		sys_reboot(SYS_REBOOT_WARM); /* the tables are not this core's */
	}
	failing = carry_out_effects(step);
	if (failing != NULL) {
		struct ks_event failed = {.kind = KS_ARM_FAILED, .pair = (uint8_t)ks_pair_of(failing)};

		/* Its own effects cannot fail: it clears the session record. */
		(void)ks_device_tell(&device, &failed, ks_now_ms(), step);
		(void)carry_out_effects(step);
		ks_report(KS_LOG_ARM_FAILED, NULL);
	}
	publish();
}

bool ks_tell(const struct ks_event *event, struct ks_refusal *refusal)
{
	struct ks_step step;
	bool taken = ks_device_tell(&device, event, ks_now_ms(), &step);

	if (taken) {
		carry_out_step(&step);
	} else if (refusal != NULL) {
		*refusal = step.refusal;
	} else {
		/* nobody asks why */
	}
	return taken;
}

bool ks_tell_of(uint8_t kind, const struct ks_peer *peer, struct ks_refusal *refusal)
{
	struct ks_event event = {.kind = kind};

	if (peer != NULL) {
		event.peer = *peer;
	}
	return ks_tell(&event, refusal);
}

size_t ks_answer_frame(const struct ks_peer *peer, const uint8_t *frame, size_t size, uint8_t *answer, size_t room)
{
	struct ks_step step;
	struct ks_answer told = ks_mode_group_frame(&device, peer, frame, size, ks_now_ms(), answer, room, &step);

	if (told.store_lockout) {
		ks_record_keep_lockout();
	}
	if (told.stepped) {
		carry_out_step(&step);
	}
	if (told.served) {
		(void)ks_tell_of(KS_COMMAND_SERVED, peer, NULL);
	}
	return told.size;
}

/* --- the queue --- */

/* Apart, so that no step lies on the stack while the rest of a look runs. */
static __attribute__((noinline)) void fire_timers(void)
{
	uint64_t now_ms = ks_now_ms();
	uint64_t *reset_due_ms = &device.due_ms[KS_TIMER_RESET];
	struct ks_step step;

	/* The image that the reset is to start is looked at once more; leaving, a guard or a time limit comes in between. */
	if (*reset_due_ms == KS_NEVER) {
		preparing = false;
		ks_image_reset_is_off();
	} else if (preparing || (*reset_due_ms <= now_ms)) {
		preparing = !ks_image_ready_for_reset();
		*reset_due_ms = preparing ? (now_ms + 1u) : now_ms;
		ks_post_within(0u);
	} else {
		/* not yet */
	}
	while (ks_device_fire(&device, now_ms, &step)) {
		carry_out_step(&step);
	}
}

static void look_around(struct k_work *work)
{
	bool table_waits;
	bool resets;
	uint64_t due_ms;
	uint64_t now_ms;

	ARG_UNUSED(work);
	if (!booted) {
		return;
	}
	ks_lock();
	ks_links_tell();
	ks_authorize_publish();
	ks_application_tell();
	fire_timers();
	ks_unlock();

	ks_mode_service_run();
	ks_links_end_due();
	table_waits = !ks_visibility_follow();
	ks_lock();
	/* From the moment a reset is granted nobody new is taken, who would take this firmware for the next. */
	resets = device.state.reset_pending || device.state.down;
	ks_unlock();
	ks_advertise_follow(!table_waits && !resets);
	ks_mode_service_notify_state();
	ks_reset_follow();

	ks_lock();
	due_ms = ks_device_next_due_ms(&device);
	ks_unlock();
	now_ms = ks_now_ms();
	if (due_ms != KS_NEVER) {
		/* The longest time limit is 30 days: it fits into 32 bits. */
		ks_post_within((due_ms > now_ms) ? (uint32_t)(due_ms - now_ms) : 0u);
	}
	if (ks_answer_at_hand()) {
		ks_post_within(KS_ANSWER_MS);
	}
}

void ks_machine_start(void)
{
	static const struct k_work_queue_config config = {.name = "keyswitch"};

	k_work_queue_init(&queue);
	k_work_init_delayable(&look, look_around);
	k_work_queue_start(&queue, queue_stack, K_THREAD_STACK_SIZEOF(queue_stack), CONFIG_KEYSWITCH_THREAD_PRIO, &config);
	/* Nothing is served before the machine has booted. */
	device.policy = &ks_policy;
	ks_state_init(&ks_policy, &device.state);
	queue_runs = true;
}

void ks_machine_boot(const struct ks_boot *boot, const uint32_t *failures)
{
	struct ks_step step;

	ks_device_boot(&device, &ks_policy, boot, failures, ks_now_ms(), &step);
	booted = true;
	in_session = ks_device_gate_open(&device);
	ks_report(KS_LOG_BOOTED, NULL);
	carry_out_step(&step);
}
