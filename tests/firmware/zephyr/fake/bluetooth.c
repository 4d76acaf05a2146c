/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/mgmt/mcumgr/transport/smp_bt.h>

#define MTU 247u
/* How long a link's end and a notification take, the second until the next connection event. */
#define LINK_MS 20
#define INTERVAL 12 /* of 1.25 ms */
#define AIR_MS 15
#define SUPERVISION_MS 2300

struct heard {
	uint8_t bytes[FAKE_PACKET];
	size_t size;
};
struct bt_conn {
	int place;
	bt_security_t security;
	bool up;
	bool silent;
	bool ends; /* the controller was told to end it: what it has not sent is lost */
	bool subscribed;
	uint8_t number; /* as MCUmgr's transport counts its connections */
	struct heard smp;
	struct heard mode;
};
static struct bt_conn conns[CONFIG_BT_MAX_CONN];
static const struct bt_conn_cb *callbacks;
static const struct bt_gatt_service_static *mode_service;
static uint8_t numbers;

int64_t controller_full_ms;
int smp_answers;
bool smp_in_table;
bool advertising;
uint8_t advertised[31];
size_t advertised_size;
uint8_t scan_response[31];
size_t scan_response_size;
bool authorization_taken;

/* --- what the glue asks --- */

void stub_conn_callbacks(const struct bt_conn_cb *given)
{
	callbacks = given;
}

void stub_gatt_service(const struct bt_gatt_service_static *service)
{
	mode_service = service;
}

int bt_uuid_cmp(const struct bt_uuid *u1, const struct bt_uuid *u2)
{
	if (u1->type != u2->type) {
		return 1;
	}
	if (u1->type == BT_UUID_TYPE_16) {
		return (((const struct bt_uuid_16 *)(const void *)u1)->val !=
			((const struct bt_uuid_16 *)(const void *)u2)->val);
	}
	return memcmp(((const struct bt_uuid_128 *)(const void *)u1)->val, ((const struct bt_uuid_128 *)(const void *)u2)->val,
		      BT_UUID_SIZE_128);
}

void bt_conn_foreach(enum bt_conn_type type, void (*func)(struct bt_conn *conn, void *data), void *data)
{
	fake_thread_only("bt_conn_foreach()");
	CHECK(type == BT_CONN_TYPE_LE);
	for (size_t place = 0; place < ARRAY_SIZE(conns); place++) {
		if (conns[place].up) {
			func(&conns[place], data);
		}
	}
}

uint8_t bt_conn_index(const struct bt_conn *conn)
{
	return (uint8_t)conn->place;
}

int bt_conn_get_info(const struct bt_conn *conn, struct bt_conn_info *info)
{
	(void)conn;
	info->type = BT_CONN_TYPE_LE;
#if defined(STUB_INTERVAL_US)
	info->le.interval_us = INTERVAL * 1250u;
#else
	info->le.interval = INTERVAL;
#endif
	return 0;
}

bt_security_t bt_conn_get_security(const struct bt_conn *conn)
{
	return conn->security;
}

static void link_ends(void *data)
{
	struct bt_conn *conn = data;

	if (!conn->up) {
		return;
	}
	fake_note("disconnected");
	callbacks->disconnected(conn, 0x16);
	conn->up = false;
	conn->subscribed = false;
}

int bt_conn_disconnect(struct bt_conn *conn, uint8_t reason)
{
	fake_thread_only("bt_conn_disconnect()");
	CHECK(conn->up && (reason == 0x13u));
	fake_note("disconnect");
	conn->ends = true;
	fake_later(conn->silent ? SUPERVISION_MS : LINK_MS, RECEIVING, link_ends, conn);
	return 0;
}

uint16_t bt_gatt_get_mtu(struct bt_conn *conn)
{
	(void)conn;
	return MTU;
}

/* On its way to the other side. */
struct notification {
	struct bt_conn *conn;
	bt_gatt_complete_func_t func;
	uint8_t bytes[MTU];
	size_t size;
	bool there;
};
static struct notification notifications[16];

static void sent(void *data)
{
	struct notification *notification = data;

	if (notification->func != NULL) {
		fake_note("sent");
		notification->func(notification->conn, NULL);
	}
}

static void arrives(void *data)
{
	struct notification *notification = data;
	struct bt_conn *conn = notification->conn;

	notification->there = false;
	if (conn->up && !conn->ends) {
		CHECK(conn->mode.size + notification->size <= sizeof(conn->mode.bytes));
		(void)memcpy(conn->mode.bytes + conn->mode.size, notification->bytes, notification->size);
		conn->mode.size += notification->size;
		fake_note("delivered");
	} else {
		fake_note("lost");
	}
#if !defined(STUB_SENT_TO_CONTROLLER)
	sent(data); /* [A]: when the controller says that the other side has it */
#endif
}

static struct notification *notification_for(struct bt_conn *conn)
{
	for (size_t place = 0; place < ARRAY_SIZE(notifications); place++) {
		if (!notifications[place].there) {
			notifications[place] = (struct notification){.conn = conn, .there = true};
			return &notifications[place];
		}
	}
	fake_fail("more notifications on their way than any controller holds");
}

int bt_gatt_notify_cb(struct bt_conn *conn, struct bt_gatt_notify_params *params)
{
	struct notification *notification;

	fake_thread_only("bt_gatt_notify_cb()");
	if (conn == NULL) {
		CHECK(params->func == NULL); /* the state: nobody here listens */
		return 0;
	}
	CHECK(params->len + 3u <= MTU);
	notification = notification_for(conn);
	notification->func = params->func;
	notification->size = params->len;
	(void)memcpy(notification->bytes, params->data, params->len);
	fake_note("answer");
#if defined(STUB_SENT_TO_CONTROLLER)
	fake_later(controller_full_ms, SYSTEM, sent, notification);
#endif
	fake_later(controller_full_ms + AIR_MS, SYSTEM, arrives, notification);
	return 0;
}

ssize_t bt_gatt_attr_read(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buf, uint16_t buf_len,
			  uint16_t offset, const void *value, uint16_t value_len)
{
	(void)conn;
	(void)attr;
	CHECK((offset == 0u) && (value_len <= buf_len));
	(void)memcpy(buf, value, value_len);
	return (ssize_t)value_len;
}

int bt_le_adv_update_data(const struct bt_data *ad, size_t ad_len, const struct bt_data *sd, size_t sd_len)
{
	fake_waits("bt_le_adv_update_data()");
	if (!advertising) {
		return -EAGAIN;
	}
	advertised_size = 0u;
	scan_response_size = 0u;
	for (size_t place = 0; place < ad_len; place++) {
		CHECK(advertised_size + 2u + ad[place].data_len <= sizeof(advertised)); /* trap 11 */
		advertised[advertised_size] = (uint8_t)(ad[place].data_len + 1u);
		advertised[advertised_size + 1u] = ad[place].type;
		(void)memcpy(&advertised[advertised_size + 2u], ad[place].data, ad[place].data_len);
		advertised_size += 2u + ad[place].data_len;
	}
	for (size_t place = 0; place < sd_len; place++) {
		CHECK(scan_response_size + 2u + sd[place].data_len <= sizeof(scan_response));
		(void)memcpy(&scan_response[scan_response_size], sd[place].data, sd[place].data_len);
		scan_response_size += sd[place].data_len;
	}
	return 0;
}

int bt_le_adv_start(const struct bt_le_adv_param *param, const struct bt_data *ad, size_t ad_len,
		    const struct bt_data *sd, size_t sd_len)
{
	fake_waits("bt_le_adv_start()");
	CHECK((param->options & BIT(1)) != 0u); /* BT_LE_ADV_OPT_ONE_TIME, which some ages deprecate */
	if (advertising) {
		return -EALREADY;
	}
	advertising = true;
	fake_note("advertise");
	return bt_le_adv_update_data(ad, ad_len, sd, sd_len);
}

int bt_le_adv_stop(void)
{
	fake_waits("bt_le_adv_stop()");
	advertising = false;
	return 0;
}

/* --- MCUmgr's service and transport on Bluetooth LE --- */

/* Private to smp_bt.c there: trap 6. */
struct smp_bt_user_data {
	struct bt_conn *conn;
	uint8_t id;
};

#define SMP_VALUE 2
static struct bt_gatt_attr smp_attrs[];

static int output(struct net_buf *nb)
{
	struct smp_bt_user_data *data = net_buf_user_data(nb);
	struct bt_conn *conn = data->conn;

	if (!smp_in_table && (smp_attrs[SMP_VALUE].handle != 0u)) {
		/* bt_gatt_is_subscribed() of [A]: an assertion, or a step through a null pointer. */
		fake_fail("an answer by an attribute that has a handle and is in no table: Zephyr crashes");
	}
	if (smp_in_table && (conn != NULL) && conn->up) {
		CHECK(nb->len <= sizeof(conn->smp.bytes));
		(void)memcpy(conn->smp.bytes, nb->data, nb->len);
		conn->smp.size = nb->len;
		smp_answers++;
		fake_note("smp answer");
	}
	smp_packet_free(nb);
	return 0;
}

static uint16_t get_mtu(const struct net_buf *nb)
{
	(void)nb;
	return MTU;
}

static int copy(struct net_buf *dst, const struct net_buf *src)
{
	(void)memcpy(net_buf_user_data(dst), net_buf_user_data(src), sizeof(struct smp_bt_user_data));
	return 0;
}

static void let_go(void *ud)
{
	((struct smp_bt_user_data *)ud)->conn = NULL;
}

static bool is_valid(struct net_buf *nb, void *arg)
{
	(void)nb;
	(void)arg;
	return true;
}

struct smp_transport fake_bluetooth_transport = {
	.functions = {.output = output, .get_mtu = get_mtu, .ud_copy = copy, .ud_free = let_go, .query_valid_check = is_valid},
};

static ssize_t write_smp(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buf, uint16_t len,
			 uint16_t offset, uint8_t flags)
{
	struct net_buf *packet = fake_buffer();
	struct smp_bt_user_data *data;

	(void)attr;
	(void)flags;
	CHECK(offset == 0u);
	if (packet == NULL) {
		return (ssize_t)len; /* gone without a word: trap 2 */
	}
	CHECK(len <= packet->size);
	(void)memcpy(packet->data, buf, len);
	packet->len = len;
	data = net_buf_user_data(packet);
	data->conn = conn;
	data->id = conn->number;
	fake_queue(&fake_bluetooth_transport, packet);
	return (ssize_t)len;
}

ssize_t stub_write_ccc(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buf, uint16_t len,
		       uint16_t offset, uint8_t flags)
{
	(void)attr;
	(void)buf;
	(void)offset;
	(void)flags;
	conn->subscribed = true;
	return (ssize_t)len;
}

/* As in smp_bt.c: only this drops a half-received frame. */
static void subscribed(const struct bt_gatt_attr *attr, uint16_t value)
{
	(void)attr;
	if (value == 0u) {
		fake_bluetooth_transport.__reassembly.current = NULL;
		fake_note("half frame dropped");
	}
}

#define SMP_UUID                                                                                                       \
	BT_UUID_DECLARE_128(BT_UUID_128_ENCODE(0xda2e7828, 0xfbce, 0x4e01, 0xae9e, 0x261174997c48))
static struct bt_gatt_attr smp_attrs[] = {
	BT_GATT_PRIMARY_SERVICE(NULL),
	BT_GATT_CHARACTERISTIC(SMP_UUID, BT_GATT_CHRC_WRITE_WITHOUT_RESP | BT_GATT_CHRC_NOTIFY, BT_GATT_PERM_WRITE, NULL,
			       write_smp, NULL),
	BT_GATT_CCC(subscribed, BT_GATT_PERM_READ | BT_GATT_PERM_WRITE),
};

void bt_gatt_foreach_attr_type(uint16_t start_handle, uint16_t end_handle, const struct bt_uuid *uuid,
			       const void *attr_data, uint16_t num_matches, bt_gatt_attr_func_t func, void *user_data)
{
	fake_thread_only("bt_gatt_foreach_attr_type()");
	CHECK((start_handle == 1u) && (end_handle == 0xFFFFu) && (attr_data == NULL) && (num_matches == 1u));
	for (size_t place = 0; smp_in_table && (place < ARRAY_SIZE(smp_attrs)); place++) {
		if (bt_uuid_cmp(smp_attrs[place].uuid, uuid) == 0) {
			(void)func(&smp_attrs[place], (uint16_t)(0x10u + place), user_data);
			return;
		}
	}
}

static void put(bool there)
{
	smp_in_table = there;
	for (size_t place = 0; there && (place < ARRAY_SIZE(smp_attrs)); place++) {
		smp_attrs[place].handle = (uint16_t)(0x10u + place); /* kept when it is taken out */
	}
}

static int change(bool there)
{
	fake_waits("bt_gatt_service_register()");
	if (fake_context() == MCUMGR) {
		fake_fail("the table changes within a command's handler");
	}
	if (smp_in_table == there) {
		return there ? -EINVAL : -ENOENT;
	}
	put(there);
	fake_note(there ? "show" : "hide");
	return 0;
}

int smp_bt_register(void)
{
	return change(true);
}

int smp_bt_unregister(void)
{
	return change(false);
}

#if defined(STUB_GATT_AUTHORIZATION)
static const struct bt_gatt_authorization_cb *authorization;

int bt_gatt_authorization_cb_register(const struct bt_gatt_authorization_cb *cb)
{
	if (authorization_taken || (authorization != NULL)) {
		return -EALREADY;
	}
	authorization = cb;
	return 0;
}

static bool may_write(struct bt_conn *conn, const struct bt_gatt_attr *attr)
{
	return (authorization == NULL) || authorization->write_authorize(conn, attr);
}

static bool may_read(struct bt_conn *conn, const struct bt_gatt_attr *attr)
{
	return (authorization == NULL) || authorization->read_authorize(conn, attr);
}
#else
static bool may_write(struct bt_conn *conn, const struct bt_gatt_attr *attr)
{
	(void)conn;
	(void)attr;
	return true;
}
#define may_read may_write
#endif

void fake_bluetooth_boot(void)
{
	put(true); /* MCUmgr's transport does it at boot */
}

/* --- what centrals do --- */

struct access {
	int central;
	const struct bt_gatt_attr *attr;
	const uint8_t *bytes;
	size_t size;
	bool command;
	uint8_t error;
	uint8_t *value;
};

static void connects(void *data)
{
	struct bt_conn *conn = data;

	conn->up = true;
	conn->silent = false;
	conn->number = numbers++;
	advertising = false;
	callbacks->connected(conn, 0);
}

int central_connects(int security)
{
	for (size_t place = 0; place < ARRAY_SIZE(conns); place++) {
		if (!conns[place].up) {
			CHECK(advertising);
			(void)memset(&conns[place], 0, sizeof(conns[place]));
			conns[place].place = (int)place;
			conns[place].security = (bt_security_t)(BT_SECURITY_L1 + security);
			fake_in(RECEIVING, connects, &conns[place]);
			return (int)place;
		}
	}
	return NO_CENTRAL;
}

void central_leaves(int central)
{
	fake_in(RECEIVING, link_ends, &conns[central]);
}

bool central_is_connected(int central)
{
	return conns[central].up;
}

void central_falls_silent(int central)
{
	conns[central].silent = true;
}

static void writes(void *data)
{
	struct access *access = data;
	struct bt_conn *conn = &conns[access->central];
	uint8_t flags = access->command ? BT_GATT_WRITE_FLAG_CMD : 0u;
	ssize_t taken;

	if (!may_write(conn, access->attr)) {
		access->error = BT_ATT_ERR_AUTHORIZATION;
		return;
	}
	taken = access->attr->write(conn, access->attr, access->bytes, (uint16_t)access->size, 0, flags);
	access->error = (taken < 0) ? (uint8_t)(-taken) : 0u;
}

static uint8_t write_attribute(int central, const struct bt_gatt_attr *attr, const uint8_t *bytes, size_t size, bool command)
{
	struct access access = {.central = central, .attr = attr, .bytes = bytes, .size = size, .command = command};

	CHECK(conns[central].up);
	fake_in(RECEIVING, writes, &access);
	return access.error;
}

uint8_t central_writes_smp(int central, const uint8_t *bytes, size_t size, bool command)
{
	return smp_in_table ? write_attribute(central, &smp_attrs[2], bytes, size, command) : BT_ATT_ERR_INVALID_HANDLE;
}

uint8_t central_subscribes(int central)
{
	static const uint8_t notify[2] = {1, 0};

	return smp_in_table ? write_attribute(central, &smp_attrs[3], notify, sizeof(notify), false)
			    : BT_ATT_ERR_INVALID_HANDLE;
}

uint8_t central_writes_mode(int central, const uint8_t *bytes, size_t size)
{
	return write_attribute(central, &mode_service->attrs[2], bytes, size, true);
}

static void reads(void *data)
{
	struct access *access = data;
	struct bt_conn *conn = &conns[access->central];

	access->error = may_read(conn, access->attr) ? 0u : BT_ATT_ERR_AUTHORIZATION;
	if (access->error == 0u) {
		CHECK(access->attr->read(conn, access->attr, access->value, 9, 0) == 9);
	}
}

uint8_t central_reads_state(int central, uint8_t value[9])
{
	struct access access = {.central = central, .attr = &mode_service->attrs[5], .value = value};

	fake_in(RECEIVING, reads, &access);
	return access.error;
}

static size_t take(struct heard *heard, uint8_t bytes[FAKE_PACKET])
{
	size_t size = heard->size;

	(void)memcpy(bytes, heard->bytes, size);
	heard->size = 0u;
	return size;
}

size_t central_hears_smp(int central, uint8_t bytes[FAKE_PACKET])
{
	return take(&conns[central].smp, bytes);
}

size_t central_hears_mode(int central, uint8_t bytes[FAKE_PACKET])
{
	return take(&conns[central].mode, bytes);
}
