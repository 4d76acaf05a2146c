/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the glue. Two threads decide: MCUmgr's work queue, while a command is executed, and the gate's own work queue, for
 * all else. Both hold the lock around decision and what follows from it. Everybody else (Bluetooth's receiving thread, the
 * application, interrupts) leaves a note and calls ks_post(), and never waits.
 */
#ifndef KEYSWITCH_ZEPHYR_GLUE_H_
#define KEYSWITCH_ZEPHYR_GLUE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <keyswitch/keyswitch.h>
#include <keyswitch/ks_device.h>
#include <keyswitch/ks_mode_group.h>

#include "compat.h"

#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/atomic.h>

struct bt_conn;

/* --- image pairs: sets of them, and which one an effect is about. With one pair, a set is a truth value. --- */

#if KS_POLICY_PAIRS > 1
static inline bool ks_pair_in(ks_pairs pairs, uint_fast8_t pair)
{
	return (((unsigned int)pairs >> pair) & 1u) != 0u;
}
static inline ks_pairs ks_pairs_with(ks_pairs pairs, uint_fast8_t pair)
{
	return (ks_pairs)(pairs | (1u << pair));
}
static inline ks_pairs ks_pairs_but(ks_pairs pairs, ks_pairs others)
{
	return (ks_pairs)(pairs & ~(unsigned int)others);
}
static inline uint_fast8_t ks_pair_of(const struct ks_effect *effect)
{
	return (uint_fast8_t)effect->value;
}
#else
static inline bool ks_pair_in(ks_pairs pairs, uint_fast8_t pair)
{
	ARG_UNUSED(pair);
	return pairs;
}
static inline ks_pairs ks_pairs_with(ks_pairs pairs, uint_fast8_t pair)
{
	ARG_UNUSED(pairs);
	ARG_UNUSED(pair);
	return true;
}
static inline ks_pairs ks_pairs_but(ks_pairs pairs, ks_pairs others)
{
	return pairs && !others;
}
static inline uint_fast8_t ks_pair_of(const struct ks_effect *effect)
{
	ARG_UNUSED(effect);
	return 0u;
}
#endif

/* --- machine.c: the one machine, its lock, its effects --- */

extern const struct ks_policy ks_policy;
/* enum ks_service_shown: where the generated ks_policy.h says it, the compiler knows it. */
#if defined(KS_POLICY_SERVICE)
#define KS_SERVICE_SHOWN ((uint8_t)KS_POLICY_SERVICE)
#else
#define KS_SERVICE_SHOWN (ks_policy.service)
#endif

void ks_lock(void);
void ks_unlock(void);
/* Under the lock. */
struct ks_device *ks_the_device(void);
uint64_t ks_now_ms(void);
/* Under the lock: tell an event and carry out what follows. false: it was refused; *refusal, unless it is NULL, says why. */
bool ks_tell(const struct ks_event *event, struct ks_refusal *refusal);
/* The same of an event that is about this peer, or about nobody (NULL), and about nothing else. */
bool ks_tell_of(uint8_t kind, const struct ks_peer *peer, struct ks_refusal *refusal);
/* Under the lock: answer a frame of the mode group and carry out what follows. Returns the answer's size; 0: there is none. */
size_t ks_answer_frame(const struct ks_peer *peer, const uint8_t *frame, size_t size, uint8_t *answer, size_t room);
/* The machine has booted; before, everything is refused. */
bool ks_running(void);
/* From anywhere: let the gate's work queue look at all that waits. */
void ks_post(void);
/* From anywhere: look again after so many milliseconds at the latest. Only on the gate's own queue. */
void ks_post_within(uint32_t ms);
/* The gate's own queue runs. */
void ks_machine_start(void);
/* Under the lock: boot. */
void ks_machine_boot(const struct ks_boot *boot, const uint32_t *failures);

/* An answer is under way: what has to come after it waits, at most this long. */
#define KS_ANSWER_MS 1000u
#define KS_ANSWER_SMP 0u
#define KS_ANSWER_MODE 1u
void ks_answer_begins(size_t which);
void ks_answer_ends(size_t which);
bool ks_answer_at_hand(void);

void ks_report(uint8_t kind, const char *text);
/* The text that says why is left in `text`. */
void ks_report_refusal(const struct ks_refusal *refusal, uint16_t group, uint8_t id, uint8_t op, char text[KS_REFUSAL_TEXT]);

/* Atomic operations, from anywhere. Each of Zephyr's is code in place, with two barriers; these stand once. */
atomic_val_t ks_word_set(atomic_t *word, atomic_val_t value); /* what it was */
void ks_bit_raise(atomic_t *bits, size_t bit);
bool ks_bit_take(atomic_t *bits, size_t bit); /* whether it was raised; it is not any more */

/* --- links.c: Bluetooth LE connections as peers --- */

/* Under the lock: tell the machine who came and who has gone. */
void ks_links_tell(void);
/* The peer of a connection that is up now; false: there is none. Takes no lock. */
bool ks_links_peer(const struct bt_conn *conn, struct ks_peer *peer);
/* Whether the machine knows this peer already. Under the lock. */
bool ks_links_told(uint8_t link, uint32_t peer);
/* Whether these bytes from a net_buf's user data are a connection that is up, and whose requests are still its own. */
bool ks_links_peer_of_packet(const void *user_data, size_t size, struct ks_peer *peer);
/* Under the lock: these peers' connections are to end, after the answer at hand or at once. */
void ks_links_end(uint32_t peer, bool after_answer);
void ks_links_end_all(void);
/* On the gate's own queue, without the lock: end what is to end. */
void ks_links_end_due(void);
uint8_t ks_links_count(void);

/* --- transport.c: MCUmgr's transports, as far as they have been seen --- */

void ks_transport_seen(struct smp_transport *transport);
/* A peer without an identity of its own: one for each transport. */
uint32_t ks_transport_peer(const struct smp_transport *transport);
/* What was received before now and not yet executed is refused when its turn comes. */
void ks_transport_drop_queued(void);
bool ks_transport_is_dropped(const uint8_t *header);
/* Requests of a connection that has gone; from Bluetooth's receiving thread. */
void ks_transport_forget(const struct bt_conn *conn);

/* --- gate.c: MCUmgr's handlers --- */

struct gated;
/* One command on its way, on MCUmgr's work queue. */
struct ks_call {
	struct smp_streamer *streamer;
	const struct gated *gated; /* gate.c's own */
	struct ks_peer peer;
	uint16_t group;
	uint8_t id;
	uint8_t op;
};
/* In place of every handler; and the table of it that stands in place of every group's. */
int ks_gate(struct smp_streamer *streamer);
extern const struct mgmt_handler ks_doors[];
/* Refuse it: the SMP code, the text left in the streamer. */
int ks_gate_refuse(const struct ks_call *call, const struct ks_refusal *refusal);
/* Tell an event that is about its peer and nothing else; 0, or it is refused. */
int ks_gate_tell(const struct ks_call *call, uint8_t kind);
/* Ask the door for it; 0: it may be executed. */
int ks_gate_ask(const struct ks_call *call);
/* The handler that stands in place of this command's original; NULL: none does. */
typedef int (*ks_handler)(const struct ks_call *call, mgmt_handler_fn original);

/* --- mode_group.c, os_group.c, image.c: handlers of ours --- */

void ks_mode_group_register(void);
/* Whether it is a command of the mode group, and of this operation. */
bool ks_mode_group_has(const struct ks_call *call);
int ks_mode_group_execute(const struct ks_call *call);
int ks_os_reset(const struct ks_call *call, mgmt_handler_fn original);
int ks_os_params(const struct ks_call *call, mgmt_handler_fn original);
int ks_image_state_read(const struct ks_call *call, mgmt_handler_fn original);
int ks_image_state_write(const struct ks_call *call, mgmt_handler_fn original);
int ks_image_upload(const struct ks_call *call, mgmt_handler_fn original);
int ks_image_erase(const struct ks_call *call, mgmt_handler_fn original);

/* --- image.c: effects on the slots, under the lock --- */

void ks_image_init(void);
/* What runs, and what of it is on trial. The record counts for nothing where one of its images cannot be looked for. */
void ks_image_found(struct ks_boot *boot);
void ks_image_drop_upload(bool make_unusable);
/* KS_WRITE_TRAILER. false: the slot is not what was armed. */
bool ks_image_write_trailer(const struct ks_effect *effect);
/* KS_DISARM */
void ks_image_disarm(const struct ks_effect *effect);
/* KS_CONFIRM_IMAGE */
void ks_image_confirm(const struct ks_effect *effect);
/*
 * On the gate's own queue, under the lock: before a granted reset that arms images, their hashes are computed again, one
 * piece at each call. false: there is more to do, and the reset has to wait.
 */
bool ks_image_ready_for_reset(void);
/* No reset is granted any more: for the next one it is computed anew. */
void ks_image_reset_is_off(void);

/* --- record.c: settings --- */

struct ks_record_found {
	struct ks_record record;
	uint32_t failures[KS_LOCKOUT_KINDS];
	uint8_t mode_before;
#if KS_HAS_PERMIT
	bool has_holder;
	uint8_t holder[KS_KEY_SIZE];
#endif
	bool has_record;
	bool blank;
};
/* Read what was kept, and erase the session record. NULL: settings do not work, and *error is a negative errno. */
const struct ks_record_found *ks_record_load(int *error);
void ks_record_save(ks_pairs expects);
void ks_record_clear(void);
void ks_record_mark_store(void);
void ks_record_keep_mode(uint8_t mode);
void ks_record_keep_lockout(void);
/* What settings say of the unit, for builds without its partition. The secret: ks/secret; false: it has none. */
bool ks_record_secret(uint8_t secret[32]);
#if KS_HAS_PERMIT
/* Who this unit is, as its settings have it. */
const struct ks_unit *ks_record_unit(void);
#endif

/* --- unit.c --- */

#define KS_UNIT_SECRET_SIZE 32u

#if KS_PARTITION_EXISTS(keyswitch_unit)
#include <keyswitch/ks_unit.h>
#define KS_UNIT_PARTITION 1
#endif

/* Before the machine boots. */
void ks_unit_load(void);
#if KS_UNIT_PARTITION || KS_HAS_PERMIT
const struct ks_unit *ks_unit_now(void);
#endif
bool ks_unit_secret(uint8_t secret[KS_UNIT_SECRET_SIZE]);

/* --- visibility.c, advertise.c, mode_service.c, reset.c: on the gate's own queue, without the lock --- */

#if defined(CONFIG_MCUMGR_TRANSPORT_BT)
/* --- smp_service.c --- */
struct bt_gatt_attr;
/* While the service is in the table. */
void ks_smp_service_find(void);
/* The SMP characteristic's value, or its CCC. From any thread. */
/* It was just taken out of the table. */
void ks_smp_service_gone(void);
bool ks_smp_service_is(const struct bt_gatt_attr *attribute);
void ks_smp_service_drop_partial(void);

void ks_visibility_boot(void);
void ks_visibility_want(bool shown);
/* Do what is wanted, as soon as it can be. false: nobody shall connect before that. */
bool ks_visibility_follow(void);
#else
static inline void ks_smp_service_drop_partial(void)
{
}
static inline void ks_visibility_boot(void)
{
}
static inline void ks_visibility_want(bool shown)
{
	ARG_UNUSED(shown);
}
static inline bool ks_visibility_follow(void)
{
	return true;
}
#endif

#if defined(CONFIG_KEYSWITCH_ADVERTISE)
/* may: nothing has to happen before the device advertises. */
void ks_advertise_follow(bool may);
void ks_advertise_changed(void);
#else
static inline void ks_advertise_follow(bool may)
{
	ARG_UNUSED(may);
}
static inline void ks_advertise_changed(void)
{
}
#endif

#if defined(CONFIG_BT_PERIPHERAL)
void ks_mode_service_run(void);
void ks_mode_service_drop_partial(void);
/* A connection came or went: nothing of the one before is left. From Bluetooth's receiving thread. */
void ks_mode_service_forget(uint8_t link);
void ks_mode_service_notify_state(void);
#else
static inline void ks_mode_service_run(void)
{
}
static inline void ks_mode_service_drop_partial(void)
{
}
static inline void ks_mode_service_notify_state(void)
{
}
#endif

void ks_reset_want(void);
void ks_reset_follow(void);

/* --- application.c --- */

void ks_application_set(const struct ks_application *application);
/* On the gate's own queue, under the lock: tell inputs, button and self-confirmation. */
void ks_application_tell(void);
/* What the inputs were before the machine booted. */
void ks_application_inputs(struct ks_value now[KS_INPUT_SLOTS]);
void ks_application_inhibit(uint32_t inhibits);
void ks_application_mode(uint8_t mode);
void ks_application_log(const struct ks_log *log);

/* --- authorize.c --- */

#if defined(CONFIG_BT_GATT_AUTHORIZATION_CUSTOM)
int ks_authorize_register(void);
/* Under the lock: who may use the SMP service now. */
void ks_authorize_publish(void);
/* A connection came or went: nobody may yet. From Bluetooth's receiving thread. */
void ks_authorize_forget(uint8_t link);
#else
static inline void ks_authorize_publish(void)
{
}
static inline void ks_authorize_forget(uint8_t link)
{
	ARG_UNUSED(link);
}
#endif

#endif
