/* Ours: the names that the glue uses. Read in include/zephyr/{kernel.h, sys/util.h, sys/slist.h, spinlock.h} [A] [I] [J]. */
#ifndef STUB_KERNEL_H
#define STUB_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zephyr/sys/slist.h>
#include <zephyr/sys/util_macro.h>

/* --- time: one tick is one millisecond here --- */
typedef int64_t k_ticks_t;
typedef struct {
	k_ticks_t ticks;
} k_timeout_t;
#define K_NO_WAIT ((k_timeout_t){0})
#define K_FOREVER ((k_timeout_t){-1})
#define K_MSEC(ms) ((k_timeout_t){(k_ticks_t)(ms)})
#define K_SECONDS(s) ((k_timeout_t){(k_ticks_t)(s) * 1000})
int64_t k_uptime_get(void);
uint32_t k_uptime_get_32(void);
uint32_t k_ms_to_ticks_ceil32(uint32_t ms); /* time_units.h makes it with a macro */

/* --- threads and work --- */
typedef char k_thread_stack_t;
#define K_THREAD_STACK_DEFINE(sym, size) k_thread_stack_t sym[size]
#define K_THREAD_STACK_SIZEOF(sym) sizeof(sym)
struct k_work;
typedef void (*k_work_handler_t)(struct k_work *work);
struct k_work_q {
	const char *stub_name;
};
struct k_work {
	k_work_handler_t handler;
};
struct k_work_delayable {
	struct k_work work;
	struct k_work_q *queue;
	int64_t stub_due_ms; /* -1: not scheduled */
	struct k_work_delayable *stub_next;
	bool stub_known;
};
struct k_work_queue_config {
	const char *name;
	bool no_yield;
};
void k_work_queue_init(struct k_work_q *queue);
void k_work_queue_start(struct k_work_q *queue, k_thread_stack_t *stack, size_t stack_size, int prio,
			const struct k_work_queue_config *cfg);
void k_work_init_delayable(struct k_work_delayable *dwork, k_work_handler_t handler);
int k_work_reschedule_for_queue(struct k_work_q *queue, struct k_work_delayable *dwork, k_timeout_t delay);
int k_work_reschedule(struct k_work_delayable *dwork, k_timeout_t delay);
int k_work_cancel_delayable(struct k_work_delayable *dwork);
bool k_work_delayable_is_pending(const struct k_work_delayable *dwork);
enum {
	K_WORK_RUNNING = BIT(0),
	K_WORK_CANCELING = BIT(1),
	K_WORK_QUEUED = BIT(2),
	K_WORK_DELAYED = BIT(3),
};
int k_work_delayable_busy_get(const struct k_work_delayable *dwork);
k_ticks_t k_work_delayable_remaining_get(const struct k_work_delayable *dwork);
void k_sched_lock(void);
void k_sched_unlock(void);

/* --- mutex, spinlock --- */
struct k_mutex {
	uint32_t lock_count;
	int stub_owner;
};
#define K_MUTEX_DEFINE(name) struct k_mutex name
int k_mutex_lock(struct k_mutex *mutex, k_timeout_t timeout);
int k_mutex_unlock(struct k_mutex *mutex);
struct k_spinlock {
	int stub_held;
};
typedef struct {
	int key;
} k_spinlock_key_t;
k_spinlock_key_t k_spin_lock(struct k_spinlock *l);
void k_spin_unlock(struct k_spinlock *l, k_spinlock_key_t key);

/* --- queues --- */
struct k_fifo {
	void *stub_items[32];
	size_t stub_count;
};
#define k_fifo_init(fifo) stub_fifo_init(fifo)
#define k_fifo_put(fifo, data) stub_fifo_put(fifo, data)
#define k_fifo_get(fifo, timeout) stub_fifo_get(fifo, timeout)
void stub_fifo_init(struct k_fifo *fifo);
void stub_fifo_put(struct k_fifo *fifo, void *data);
void *stub_fifo_get(struct k_fifo *fifo, k_timeout_t timeout);
struct k_msgq {
	size_t msg_size;
	uint32_t max_msgs;
	char *buffer_start;
	uint32_t used_msgs;
};
#define K_MSGQ_DEFINE(name, size, count, align)                                                                        \
	static char stub_room_##name[(count) * (size)];                                                                \
	static struct k_msgq name = {.msg_size = (size), .max_msgs = (count), .buffer_start = stub_room_##name}
int k_msgq_put(struct k_msgq *msgq, const void *data, k_timeout_t timeout);
int k_msgq_get(struct k_msgq *msgq, void *data, k_timeout_t timeout);

#endif
