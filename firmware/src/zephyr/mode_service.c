/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode service on Bluetooth LE: there in every mode, it serves the mode group and nothing else. It has buffers of its
 * own, so a client that fills MCUmgr's cannot silence it.
 *
 * Writes are collected for each connection, cut as they may be, and frames are taken out on the gate's own queue, in order.
 * What does not fit is refused (0x11), a frame that is longer than the room drops what was collected.
 *
 * One notification of each connection is under way at most, and the next follows when the host has sent it: a central that
 * takes nothing waits for itself, and holds neither a time limit nor another central up.
 */
#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/bluetooth/uuid.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#define ANSWER_SIZE 320u
/* What a notification adds to its value (Core, Vol 3 Part F 3.4.7.1). */
#define NOTIFICATION_HEADER 3u

#define SERVICE_UUID BT_UUID_DECLARE_128(BT_UUID_128_ENCODE(0x2125afdc, 0x674d, 0x4337, 0xbeec, 0x1ae1ef310819))
#define CONTROL_UUID BT_UUID_DECLARE_128(BT_UUID_128_ENCODE(0x2125afdd, 0x674d, 0x4337, 0xbeec, 0x1ae1ef310819))
#define STATE_UUID BT_UUID_DECLARE_128(BT_UUID_128_ENCODE(0x2125afde, 0x674d, 0x4337, 0xbeec, 0x1ae1ef310819))

/* What one connection has written and nobody has read yet. */
struct inbox {
	uint16_t size;
	uint8_t bytes[CONFIG_KEYSWITCH_FRAME_SIZE];
};

/* An answer on its way to one connection. */
struct outbox {
	uint16_t size; /* 0: none is */
	uint16_t at;
	uint8_t bytes[ANSWER_SIZE];
};

static struct inbox inboxes[CONFIG_BT_MAX_CONN];
static struct outbox outboxes[CONFIG_BT_MAX_CONN];
/* Notifications that the host has not sent yet, by bt_conn_index(). */
static ATOMIC_DEFINE(under_way, CONFIG_BT_MAX_CONN);
/* The connection is another one: what was to be sent was for the one before. */
static ATOMIC_DEFINE(renewed, CONFIG_BT_MAX_CONN);
static struct k_spinlock inbox_lock;
static uint8_t state_value[KS_STATE_VALUE_SIZE];

/* --- Bluetooth's receiving thread --- */

/* Bytes of the frame that begins here, its header included; 0: the header is not whole. */
static size_t frame_size(const uint8_t *bytes, size_t size)
{
	if (size < KS_SMP_HEADER) {
		return 0u;
	}
	return KS_SMP_HEADER + (((size_t)bytes[2] << 8) | bytes[3]);
}

static ssize_t write_control(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buf, uint16_t len,
			     uint16_t offset, uint8_t flags)
{
	struct inbox *inbox = &inboxes[bt_conn_index(conn)];
	bool fits = (offset == 0u) && ((flags & BT_GATT_WRITE_FLAG_PREPARE) == 0u);
	k_spinlock_key_t key;

	ARG_UNUSED(attr);
	key = k_spin_lock(&inbox_lock);
	fits = fits && (inbox->size + len <= sizeof(inbox->bytes));
	if (fits) {
		(void)memcpy(&inbox->bytes[inbox->size], buf, len);
		inbox->size = (uint16_t)(inbox->size + len);
	}
	if (!fits || (frame_size(inbox->bytes, inbox->size) > sizeof(inbox->bytes))) {
		fits = false;
		if (frame_size(inbox->bytes, inbox->size) > inbox->size) {
			inbox->size = 0u; /* its rest would never have room */
		}
	}
	k_spin_unlock(&inbox_lock, key);
	if (!fits) {
		return BT_GATT_ERR(BT_ATT_ERR_INSUFFICIENT_RESOURCES);
	}
	ks_post();
	return (ssize_t)len;
}

static ssize_t read_state(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buf, uint16_t len, uint16_t offset)
{
	uint8_t value[KS_STATE_VALUE_SIZE];
	k_spinlock_key_t key = k_spin_lock(&inbox_lock);

	(void)memcpy(value, state_value, sizeof(value));
	k_spin_unlock(&inbox_lock, key);
	return bt_gatt_attr_read(conn, attr, buf, len, offset, value, sizeof(value));
}

BT_GATT_SERVICE_DEFINE(ks_mode_service, BT_GATT_PRIMARY_SERVICE(SERVICE_UUID),
		       BT_GATT_CHARACTERISTIC(CONTROL_UUID, BT_GATT_CHRC_WRITE_WITHOUT_RESP | BT_GATT_CHRC_NOTIFY,
					      BT_GATT_PERM_WRITE, NULL, write_control, NULL),
		       BT_GATT_CCC(NULL, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE),
		       BT_GATT_CHARACTERISTIC(STATE_UUID, BT_GATT_CHRC_READ | BT_GATT_CHRC_NOTIFY, BT_GATT_PERM_READ,
					      read_state, NULL, NULL),
		       BT_GATT_CCC(NULL, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE));

/* Places in that table: service, (declaration, value, CCC) of control, (declaration, value, CCC) of state. */
#define CONTROL_VALUE 2
#define STATE_VALUE 5

void ks_mode_service_forget(uint8_t link)
{
	k_spinlock_key_t key = k_spin_lock(&inbox_lock);

	inboxes[link].size = 0u;
	k_spin_unlock(&inbox_lock, key);
	ks_bit_raise(renewed, link);
	(void)ks_bit_take(under_way, link);
}

/* --- under the lock --- */

/* Half frames go; whole ones are still judged when their turn comes. */
void ks_mode_service_drop_partial(void)
{
	k_spinlock_key_t key = k_spin_lock(&inbox_lock);

	for (size_t link = 0; link < ARRAY_SIZE(inboxes); link++) {
		struct inbox *inbox = &inboxes[link];
		size_t whole = 0u;
		size_t next = frame_size(inbox->bytes, inbox->size);

		while ((next != 0u) && (whole + next <= inbox->size)) {
			whole += next;
			next = frame_size(&inbox->bytes[whole], inbox->size - whole);
		}
		inbox->size = (uint16_t)whole;
	}
	k_spin_unlock(&inbox_lock, key);
}

/* --- on the gate's own queue --- */

/* The first whole frame that the link has written; 0: there is none. */
static size_t take_frame(struct inbox *inbox, uint8_t *frame)
{
	k_spinlock_key_t key = k_spin_lock(&inbox_lock);
	size_t size = frame_size(inbox->bytes, inbox->size);

	if ((size == 0u) || (size > inbox->size)) {
		size = 0u;
	} else {
		(void)memcpy(frame, inbox->bytes, size);
		inbox->size = (uint16_t)(inbox->size - size);
		(void)memmove(inbox->bytes, &inbox->bytes[size], inbox->size);
	}
	k_spin_unlock(&inbox_lock, key);
	return size;
}

static void sent(struct bt_conn *conn, void *data)
{
	ARG_UNUSED(data);
	(void)ks_bit_take(under_way, bt_conn_index(conn));
	ks_post();
}

/* This answer is out, or nobody hears it. */
static void end_answer(struct outbox *outbox)
{
	bool others = false;

	outbox->size = 0u;
	for (size_t link = 0; link < ARRAY_SIZE(outboxes); link++) {
		others = others || (outboxes[link].size != 0u);
	}
	if (!others) {
		ks_answer_ends(KS_ANSWER_MODE);
	}
}

/* The next part of the link's answer. Without the lock: the host may wait a moment for a buffer. */
static void send_on(struct bt_conn *conn, struct outbox *outbox)
{
	size_t mtu = bt_gatt_get_mtu(conn);
	size_t room = (mtu > NOTIFICATION_HEADER) ? (mtu - NOTIFICATION_HEADER) : 0u;
	size_t part = MIN(room, (size_t)(outbox->size - outbox->at));
	struct bt_gatt_notify_params params = {
		.attr = &ks_mode_service.attrs[CONTROL_VALUE],
		.data = &outbox->bytes[outbox->at],
		.len = (uint16_t)part,
		.func = sent,
	};

	if (part != 0u) {
		ks_bit_raise(under_way, bt_conn_index(conn));
		if (bt_gatt_notify_cb(conn, &params) == 0) {
			outbox->at = (uint16_t)(outbox->at + part);
			return;
		}
		(void)ks_bit_take(under_way, bt_conn_index(conn));
	}
	end_answer(outbox);
}

static void answer_frame(struct bt_conn *conn, struct outbox *outbox, const uint8_t *frame, size_t size)
{
	struct ks_peer peer = {.service = KS_SERVICE_MODE};

	outbox->size = 0u;
	outbox->at = 0u;

	ks_lock();
	ks_links_tell();
	if (ks_links_peer(conn, &peer)) {
		/* First, so that nothing that has to follow the answer overtakes it. */
		ks_answer_begins(KS_ANSWER_MODE);
		outbox->size = (uint16_t)ks_answer_frame(&peer, frame, size, outbox->bytes, sizeof(outbox->bytes));
	}
	ks_unlock();
	send_on(conn, outbox);
}

static void answer_link(struct bt_conn *conn, void *data)
{
	static uint8_t frame[CONFIG_KEYSWITCH_FRAME_SIZE];
	uint8_t link = bt_conn_index(conn);
	struct outbox *outbox = &outboxes[link];
	bool *more = data;
	size_t size;

	if (ks_bit_take(renewed, link) && (outbox->size != 0u)) {
		end_answer(outbox);
	}
	if (atomic_test_bit(under_way, link)) {
		return; /* sent() posts */
	}
	if (outbox->size != 0u) {
		send_on(conn, outbox);
		*more = *more || (outbox->size == 0u);
		return;
	}
	size = take_frame(&inboxes[link], frame);
	if (size != 0u) {
		answer_frame(conn, outbox, frame, size);
		*more = true;
	}
}

/* One frame of each link, then the others' turn: time limits, inputs, other links. */
void ks_mode_service_run(void)
{
	bool more = false;

	bt_conn_foreach(BT_CONN_TYPE_LE, answer_link, &more);
	if (more) {
		ks_post_within(0u);
	}
}

void ks_mode_service_notify_state(void)
{
	uint8_t value[KS_STATE_VALUE_SIZE];
	bool different;
	k_spinlock_key_t key;

	ks_lock();
	ks_device_state_value(ks_the_device(), ks_now_ms(), value);
	ks_unlock();
	key = k_spin_lock(&inbox_lock);
	/* The seconds that are left (bytes 3 and 4) count down by themselves: that is no news. */
	different = (memcmp(value, state_value, 3u) != 0) || (memcmp(&value[5], &state_value[5], 4u) != 0);
	(void)memcpy(state_value, value, sizeof(value));
	k_spin_unlock(&inbox_lock, key);
	if (different) {
		(void)bt_gatt_notify(NULL, &ks_mode_service.attrs[STATE_VALUE], value, sizeof(value));
	}
}
