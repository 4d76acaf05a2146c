/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

int64_t fake_now_ms = 1000;
static enum context context = APPLICATION;
static int locks; /* mutexes that are held, by whoever runs */
static int spinning;
static int scheduler_locks;

static const char *const names[] = {"the application",	   "Bluetooth's receiving thread", "MCUmgr's queue",
				    "the gate's own queue", "the system's queue",	      "an interrupt"};

enum context fake_context(void)
{
	return context;
}

void fake_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(fake_store->failure, sizeof(fake_store->failure), format, arguments);
	va_end(arguments);
	_exit(1);
}

void fake_waits(const char *what)
{
	if ((context == RECEIVING) || (context == SYSTEM) || (context == INTERRUPT)) {
		fake_fail("%s may wait, and %s must not", what, names[context]);
	}
	if ((spinning != 0) || (scheduler_locks != 0)) {
		fake_fail("%s may wait, and nobody else can run", what);
	}
}

void fake_thread_only(const char *what)
{
	if (context == INTERRUPT) {
		fake_fail("%s from an interrupt", what);
	}
}

/* --- log and notes --- */

static char lines[8192];
static const char *notes[512];
static int note_count;

void stub_log(char level, const char *format, ...)
{
	size_t used = strlen(lines);
	va_list arguments;

	(void)level;
	va_start(arguments, format);
	(void)vsnprintf(lines + used, sizeof(lines) - used, format, arguments);
	va_end(arguments);
	if (getenv("FAKE_LOG") != NULL) {
		(void)fprintf(stderr, "%6lld %c %s\n", (long long)fake_now_ms, level, lines + used);
	}
	used = strlen(lines);
	(void)snprintf(lines + used, sizeof(lines) - used, "\n");
}

bool fake_logged(const char *words)
{
	return strstr(lines, words) != NULL;
}

void fake_note(const char *word)
{
	if (note_count < (int)ARRAY_SIZE(notes)) {
		notes[note_count] = word;
		note_count++;
	}
}

int fake_noted(const char *word, int from)
{
	for (int place = from; place < note_count; place++) {
		if (strcmp(notes[place], word) == 0) {
			return place;
		}
	}
	return -1;
}

/* --- clock --- */

int64_t k_uptime_get(void)
{
	return fake_now_ms;
}

uint32_t k_uptime_get_32(void)
{
	return (uint32_t)fake_now_ms;
}

uint32_t k_ms_to_ticks_ceil32(uint32_t ms)
{
	return ms;
}

/* --- locks --- */

static void gate_runs(void);

void k_sched_lock(void)
{
	fake_thread_only("k_sched_lock()");
	scheduler_locks++;
}

void k_sched_unlock(void)
{
	scheduler_locks--;
}

int k_mutex_lock(struct k_mutex *mutex, k_timeout_t timeout)
{
	if (timeout.ticks != 0) {
		fake_waits("k_mutex_lock()");
	}
	fake_thread_only("k_mutex_lock()");
	if ((mutex->lock_count != 0u) && (mutex->stub_owner != (int)context)) {
		fake_fail("%s would wait for ever: %s has the lock", names[context], names[mutex->stub_owner]);
	}
	mutex->stub_owner = (int)context;
	mutex->lock_count++;
	locks++;
	return 0;
}

int k_mutex_unlock(struct k_mutex *mutex)
{
	if ((mutex->lock_count == 0u) || (mutex->stub_owner != (int)context)) {
		fake_fail("%s gives back a lock that it does not have", names[context]);
	}
	mutex->lock_count--;
	locks--;
	if (context == MCUMGR) {
		gate_runs(); /* which has waited for it, and comes first */
	}
	return 0;
}

k_spinlock_key_t k_spin_lock(struct k_spinlock *l)
{
	if (l->stub_held != 0) {
		fake_fail("%s spins for ever", names[context]);
	}
	l->stub_held = 1;
	spinning++;
	return (k_spinlock_key_t){0};
}

void k_spin_unlock(struct k_spinlock *l, k_spinlock_key_t key)
{
	(void)key;
	l->stub_held = 0;
	spinning--;
}

/* --- queues --- */

void stub_fifo_init(struct k_fifo *fifo)
{
	fifo->stub_count = 0u;
}

void stub_fifo_put(struct k_fifo *fifo, void *data)
{
	CHECK(fifo->stub_count < ARRAY_SIZE(fifo->stub_items));
	fifo->stub_items[fifo->stub_count] = data;
	fifo->stub_count++;
}

void *stub_fifo_get(struct k_fifo *fifo, k_timeout_t timeout)
{
	void *first;

	if (fifo->stub_count == 0u) {
		if (timeout.ticks != 0) {
			fake_waits("k_fifo_get()");
		}
		return NULL;
	}
	first = fifo->stub_items[0];
	fifo->stub_count--;
	(void)memmove(fifo->stub_items, &fifo->stub_items[1], fifo->stub_count * sizeof(fifo->stub_items[0]));
	return first;
}

int k_msgq_put(struct k_msgq *msgq, const void *data, k_timeout_t timeout)
{
	if (timeout.ticks != 0) {
		fake_waits("k_msgq_put()");
	}
	if (msgq->used_msgs >= msgq->max_msgs) {
		return -ENOMSG;
	}
	(void)memcpy(msgq->buffer_start + msgq->used_msgs * msgq->msg_size, data, msgq->msg_size);
	msgq->used_msgs++;
	return 0;
}

int k_msgq_get(struct k_msgq *msgq, void *data, k_timeout_t timeout)
{
	if (timeout.ticks != 0) {
		fake_waits("k_msgq_get()");
	}
	if (msgq->used_msgs == 0u) {
		return -ENOMSG;
	}
	(void)memcpy(data, msgq->buffer_start, msgq->msg_size);
	msgq->used_msgs--;
	(void)memmove(msgq->buffer_start, msgq->buffer_start + msgq->msg_size, msgq->used_msgs * msgq->msg_size);
	return 0;
}

/* --- work: the glue has one queue of its own; without a queue it is the system's --- */

static struct k_work_delayable *delayables;

void k_work_queue_init(struct k_work_q *queue)
{
	queue->stub_name = "not started";
}

void k_work_queue_start(struct k_work_q *queue, k_thread_stack_t *stack, size_t stack_size, int prio,
			const struct k_work_queue_config *cfg)
{
	(void)stack;
	(void)prio;
	CHECK(stack_size >= 1024u);
	queue->stub_name = cfg->name;
}

void k_work_init_delayable(struct k_work_delayable *dwork, k_work_handler_t handler)
{
	dwork->work.handler = handler;
	dwork->queue = NULL;
	dwork->stub_due_ms = -1;
	if (!dwork->stub_known) {
		dwork->stub_known = true;
		dwork->stub_next = delayables;
		delayables = dwork;
	}
}

int k_work_reschedule_for_queue(struct k_work_q *queue, struct k_work_delayable *dwork, k_timeout_t delay)
{
	CHECK(dwork->stub_known);
	dwork->queue = queue;
	dwork->stub_due_ms = fake_now_ms + delay.ticks;
	return 1;
}

int k_work_reschedule(struct k_work_delayable *dwork, k_timeout_t delay)
{
	return k_work_reschedule_for_queue(NULL, dwork, delay);
}

int k_work_cancel_delayable(struct k_work_delayable *dwork)
{
	dwork->stub_due_ms = -1;
	return 0;
}

bool k_work_delayable_is_pending(const struct k_work_delayable *dwork)
{
	return dwork->stub_due_ms >= 0;
}

int k_work_delayable_busy_get(const struct k_work_delayable *dwork)
{
	if (dwork->stub_due_ms < 0) {
		return 0;
	}
	return (int)((dwork->stub_due_ms > fake_now_ms) ? K_WORK_DELAYED : K_WORK_QUEUED);
}

k_ticks_t k_work_delayable_remaining_get(const struct k_work_delayable *dwork)
{
	return (dwork->stub_due_ms > fake_now_ms) ? (dwork->stub_due_ms - fake_now_ms) : 0;
}

/* --- what happens when --- */

struct later {
	int64_t due_ms;
	enum context context;
	void (*act)(void *);
	void *data;
	bool there;
};
static struct later laters[128];

void fake_later(int64_t after_ms, enum context in, void (*act)(void *), void *data)
{
	for (size_t place = 0; place < ARRAY_SIZE(laters); place++) {
		if (!laters[place].there) {
			laters[place] = (struct later){fake_now_ms + after_ms, in, act, data, true};
			return;
		}
	}
	fake_fail("too much is to happen");
}

void fake_in(enum context in, void (*act)(void *), void *data)
{
	enum context before = context;

	context = in;
	act(data);
	context = before;
}

static struct k_work_delayable *due_work(bool system)
{
	struct k_work_delayable *first = NULL;

	for (struct k_work_delayable *each = delayables; each != NULL; each = each->stub_next) {
		if ((each->stub_due_ms >= 0) && (each->stub_due_ms <= fake_now_ms) && ((each->queue == NULL) == system) &&
		    ((first == NULL) || (each->stub_due_ms < first->stub_due_ms))) {
			first = each;
		}
	}
	return first;
}

static void run_work(void *data)
{
	struct k_work_delayable *work = data;

	work->stub_due_ms = -1;
	work->work.handler(&work->work);
}

static bool one_work(bool system)
{
	struct k_work_delayable *work = due_work(system);

	if (work == NULL) {
		return false;
	}
	fake_in(system ? SYSTEM : GATE, run_work, work);
	return true;
}

static void gate_runs(void)
{
	int turns = 0;

	while ((locks == 0) && (spinning == 0) && (scheduler_locks == 0) && one_work(false)) {
		turns++;
		CHECK(turns < 100000);
	}
}

/* Interrupts and the receiving thread come before every queue. */
static bool one_event(void)
{
	struct later *first = NULL;

	for (size_t place = 0; place < ARRAY_SIZE(laters); place++) {
		struct later *each = &laters[place];

		if (each->there && (each->due_ms <= fake_now_ms) && ((first == NULL) || (each->due_ms < first->due_ms))) {
			first = each;
		}
	}
	if (first == NULL) {
		return false;
	}
	first->there = false;
	fake_in(first->context, first->act, first->data);
	return true;
}

static int64_t next_due(void)
{
	int64_t next = INT64_MAX;

	for (size_t place = 0; place < ARRAY_SIZE(laters); place++) {
		if (laters[place].there) {
			next = MIN(next, laters[place].due_ms);
		}
	}
	for (struct k_work_delayable *each = delayables; each != NULL; each = each->stub_next) {
		if (each->stub_due_ms >= 0) {
			next = MIN(next, each->stub_due_ms);
		}
	}
	return MAX(next, fake_now_ms);
}

static void mcumgr_runs(void *data)
{
	(void)data;
	fake_mcumgr_run_one();
}

static void everything_that_is_due(void)
{
	int turns = 0;

	for (;;) {
		turns++;
		CHECK(turns < 1000000);
		if (one_event() || one_work(true) || one_work(false)) {
			continue;
		}
		if (!fake_mcumgr_waits()) {
			return;
		}
		fake_in(MCUMGR, mcumgr_runs, NULL);
	}
}

void fake_run(int64_t ms)
{
	int64_t end = fake_now_ms + ms;

	CHECK((context == APPLICATION) && (locks == 0));
	for (;;) {
		everything_that_is_due();
		if (next_due() > end) {
			break;
		}
		fake_now_ms = next_due();
	}
	fake_now_ms = end;
}

void fake_busy(int64_t ms)
{
	int64_t end = fake_now_ms + ms;

	while (fake_now_ms < end) {
		int64_t next = INT64_MAX;

		for (size_t place = 0; place < ARRAY_SIZE(laters); place++) {
			if (laters[place].there) {
				next = MIN(next, laters[place].due_ms);
			}
		}
		fake_now_ms = MIN(end, MAX(next, fake_now_ms));
		while (one_event()) {
		}
		if ((context == MCUMGR) && (locks == 0)) {
			gate_runs();
		}
		if (next > end) {
			fake_now_ms = end;
		}
	}
}
