/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bluetooth LE connections as the machine's peers. The callbacks run on Bluetooth's receiving thread: they write down who is
 * there now, and the gate's own queue tells the machine what has become different since it last looked.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

#if defined(CONFIG_BT_PERIPHERAL)

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/hci.h>

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/*
 * That an answer was sent means, from Zephyr 3.7 on, that the controller has it, and a connection that ends then may take it
 * along. So four connection events come first: three tries at least. Where this macro is, the field has another name.
 */
#if defined(BT_CONN_SCI_INTERVAL_TO_US)
#define FOUR_EVENTS_MS(info) ((info)->le.interval_us / 250u)
#else
#define FOUR_EVENTS_MS(info) ((info)->le.interval * 5u)
#endif

/* By bt_conn_index(). */
static struct {
	atomic_t now[CONFIG_BT_MAX_CONN]; /* peer; KS_NO_PEER: nobody */
	uint32_t told[CONFIG_BT_MAX_CONN]; /* peer that the machine knows here */
	/*
	 * The byte by which MCUmgr's transport tells connections apart, as requests have shown it: of this peer, and of the last
	 * one before. It counts up with each connection: 255 of them later it is the same again, and then one that had asked
	 * for nothing meanwhile is refused until it connects anew.
	 */
	uint8_t number[CONFIG_BT_MAX_CONN];
	uint8_t number_before[CONFIG_BT_MAX_CONN];
	uint8_t known[CONFIG_BT_MAX_CONN]; /* which of the two are known */
	/* Set under the lock and cleared without it. */
	uint8_t ending[CONFIG_BT_MAX_CONN];
	uint16_t end_tick[CONFIG_BT_MAX_CONN]; /* with ENDS_IN_TIME */
} links;
#define NUMBER 1u
#define NUMBER_BEFORE 2u
#define STAYS 0u
#define ENDS_NOW 1u
#define ENDS_AFTER_ANSWER 2u
#define ENDS_IN_TIME 3u

/* Sixteen milliseconds: what is at most a second away is told from what is past for more than eight minutes. */
#define TICK_MS 16u

static atomic_t last_peer;

/* --- Bluetooth's receiving thread --- */

static void connected(struct bt_conn *conn, uint8_t err)
{
	struct bt_conn_info info;

	if ((err != 0u) || (bt_conn_get_info(conn, &info) != 0) || (info.type != BT_CONN_TYPE_LE)) {
		return;
	}
	ks_mode_service_forget(bt_conn_index(conn));
	ks_authorize_forget(bt_conn_index(conn));
	(void)ks_word_set(&links.now[bt_conn_index(conn)], atomic_inc(&last_peer) + 1);
	ks_post();
}

static void disconnected(struct bt_conn *conn, uint8_t reason)
{
	bool alone = true;

	ARG_UNUSED(reason);
	(void)ks_word_set(&links.now[bt_conn_index(conn)], (atomic_val_t)KS_NO_PEER);
	for (size_t place = 0; place < CONFIG_BT_MAX_CONN; place++) {
		alone = alone && ((uint32_t)atomic_get(&links.now[place]) == KS_NO_PEER);
	}
	if (alone) {
		/* MCUmgr does it for subscribers only. */
		ks_smp_service_drop_partial();
	}
	ks_transport_forget(conn);
	ks_authorize_forget(bt_conn_index(conn));
	ks_mode_service_forget(bt_conn_index(conn));
	ks_post();
}

#if defined(CONFIG_BT_SMP)
static void security_changed(struct bt_conn *conn, bt_security_t level, enum bt_security_err err)
{
	ARG_UNUSED(conn);
	ARG_UNUSED(level);
	ARG_UNUSED(err);
	ks_post();
}
#endif

BT_CONN_CB_DEFINE(ks_connection_callbacks) = {
	.connected = connected,
	.disconnected = disconnected,
#if defined(CONFIG_BT_SMP)
	.security_changed = security_changed,
#endif
};

/* --- under the lock --- */

void ks_links_tell(void)
{
	for (size_t place = 0; place < CONFIG_BT_MAX_CONN; place++) {
		uint32_t now = (uint32_t)atomic_get(&links.now[place]);
		struct ks_peer peer = {.id = links.told[place]};

		if (peer.id == now) {
			continue;
		}
		if (peer.id != KS_NO_PEER) {
			(void)ks_tell_of(KS_DISCONNECTED, &peer, NULL);
		}
		links.told[place] = now;
		links.ending[place] = STAYS;
		if ((links.known[place] & NUMBER) != 0u) {
			links.number_before[place] = links.number[place];
			links.known[place] = NUMBER_BEFORE;
		}
		if (now != KS_NO_PEER) {
			peer.id = now;
			if (!ks_tell_of(KS_CONNECTED, &peer, NULL)) {
				links.ending[place] = ENDS_NOW; /* the machine cannot hold it */
			}
		}
	}
}

static uint8_t security_of(const struct bt_conn *conn)
{
	bt_security_t level = bt_conn_get_security(conn);

	if (level >= BT_SECURITY_L3) {
		return KS_SECURITY_AUTHENTICATED;
	}
	return (level == BT_SECURITY_L2) ? KS_SECURITY_ENCRYPTED : KS_SECURITY_NONE;
}

bool ks_links_peer(const struct bt_conn *conn, struct ks_peer *peer)
{
	uint32_t now = (uint32_t)atomic_get(&links.now[bt_conn_index(conn)]);

	peer->id = now;
	peer->security = security_of(conn);
	return now != KS_NO_PEER;
}

bool ks_links_told(uint8_t link, uint32_t peer)
{
	return (peer != KS_NO_PEER) && (links.told[link] == peer);
}

struct search {
	const void *wanted;
	bool found;
};

static void compare(struct bt_conn *conn, void *data)
{
	struct search *search = data;

	search->found = search->found || (conn == search->wanted);
}

/*
 * MCUmgr's Bluetooth transport keeps {connection, number} in a packet's user data; other transports keep something else
 * there. It is a connection only if the host knows this very pointer as one.
 */
bool ks_links_peer_of_packet(const void *user_data, size_t size, struct ks_peer *peer)
{
	struct search search = {0};
	const struct bt_conn *conn;
	uint8_t link;
	uint8_t number;

	if (size <= sizeof(void *)) {
		return false;
	}
	(void)memcpy(&search.wanted, user_data, sizeof(void *));
	number = ((const uint8_t *)user_data)[sizeof(void *)];
	if (search.wanted == NULL) {
		return false;
	}
	bt_conn_foreach(BT_CONN_TYPE_LE, compare, &search);
	if (!search.found) {
		return false;
	}
	conn = search.wanted;
	link = bt_conn_index(conn);
	if (!ks_links_peer(conn, peer) || (peer->id != links.told[link])) {
		return false;
	}
	if (((links.known[link] & NUMBER_BEFORE) != 0u) && (number == links.number_before[link])) {
		return false; /* sent by whoever had this connection's place before */
	}
	links.number[link] = number;
	links.known[link] |= NUMBER;
	return true;
}

void ks_links_end(uint32_t peer, bool after_answer)
{
	for (size_t place = 0; place < CONFIG_BT_MAX_CONN; place++) {
		/* Once: whoever goes on asking does not put it off. */
		if ((peer != KS_NO_PEER) && (links.told[place] == peer) && !((links.ending[place] != STAYS) && after_answer)) {
			links.ending[place] = after_answer ? ENDS_AFTER_ANSWER : ENDS_NOW;
		}
	}
}

void ks_links_end_all(void)
{
	for (size_t place = 0; place < CONFIG_BT_MAX_CONN; place++) {
		ks_links_end(links.told[place], true);
	}
}

uint8_t ks_links_count(void)
{
	uint8_t count = 0;

	for (size_t place = 0; place < CONFIG_BT_MAX_CONN; place++) {
		bool there = (uint32_t)atomic_get(&links.now[place]) != KS_NO_PEER;

		/* One that has gone counts until the machine knows it: the table changes before anybody can come again. */
		count += (uint8_t)(there || (links.told[place] != KS_NO_PEER));
	}
	return count;
}

/* --- on the gate's own queue --- */

static uint16_t tick(void)
{
	return (uint16_t)(k_uptime_get_32() / TICK_MS);
}

static uint32_t time_for_an_answer_ms(const struct bt_conn *conn)
{
	struct bt_conn_info info;

	if (bt_conn_get_info(conn, &info) != 0) {
		return 0u; /* it has gone */
	}
	return MIN(FOUR_EVENTS_MS(&info), KS_ANSWER_MS);
}

static void end(struct bt_conn *conn, void *data)
{
	uint8_t link = bt_conn_index(conn);
	bool waits = *(const bool *)data;
	int16_t rest;

	if ((links.ending[link] == STAYS) || ((links.ending[link] == ENDS_AFTER_ANSWER) && waits) ||
	    ((uint32_t)atomic_get(&links.now[link]) != links.told[link])) {
		return;
	}
	if (links.ending[link] == ENDS_AFTER_ANSWER) {
		/* Ticks that have begun count as past, so one more. */
		links.end_tick[link] = (uint16_t)(tick() + time_for_an_answer_ms(conn) / TICK_MS + 1u);
		links.ending[link] = ENDS_IN_TIME;
	}
	rest = (int16_t)(links.end_tick[link] - tick());
	if ((links.ending[link] == ENDS_IN_TIME) && (rest > 0)) {
		ks_post_within((uint32_t)rest * TICK_MS);
		return;
	}
	links.ending[link] = STAYS;
	if (bt_conn_disconnect(conn, BT_HCI_ERR_REMOTE_USER_TERM_CONN) != 0) {
		LOG_DBG("link %u has gone already", bt_conn_index(conn));
	}
}

void ks_links_end_due(void)
{
	bool waits = ks_answer_at_hand();

	bt_conn_foreach(BT_CONN_TYPE_LE, end, &waits);
}

#else /* no Bluetooth LE */

void ks_links_tell(void)
{
}

bool ks_links_peer_of_packet(const void *user_data, size_t size, struct ks_peer *peer)
{
	ARG_UNUSED(user_data);
	ARG_UNUSED(size);
	ARG_UNUSED(peer);
	return false;
}

void ks_links_end(uint32_t peer, bool after_answer)
{
	ARG_UNUSED(peer);
	ARG_UNUSED(after_answer);
}

void ks_links_end_all(void)
{
}

void ks_links_end_due(void)
{
}

uint8_t ks_links_count(void)
{
	return 0u;
}

#endif
