/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The barrier on Bluetooth LE: each access to the SMP characteristic and to its CCC is asked here, after the host's own
 * permission check and before MCUmgr sees a byte. It judges what arrives; the handlers judge what runs.
 *
 * Runs on Bluetooth's receiving thread and never waits: it looks at what the machine has published. Only these two
 * attributes are refused, so discovery goes on, and no table changes.
 *
 * CONFIG_BT_GATT_AUTHORIZATION_CUSTOM is Zephyr 3.7 and later.
 */
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

#include <keyswitch/ks_authorize.h>

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* Which connections may use the SMP service now, by bt_conn_index(). */
static ATOMIC_DEFINE(may_access, CONFIG_BT_MAX_CONN);

static void look_at(struct bt_conn *conn, void *data)
{
	struct ks_peer peer = {.service = KS_SERVICE_SMP};
	uint8_t link = bt_conn_index(conn);
	bool may = ks_links_peer(conn, &peer) && ks_links_told(link, peer.id) &&
		   ks_may_access_smp(&ks_policy, &ks_the_device()->state, &peer);

	ARG_UNUSED(data);
	atomic_set_bit_to(may_access, link, may);
}

void ks_authorize_publish(void)
{
	bt_conn_foreach(BT_CONN_TYPE_LE, look_at, NULL);
}

void ks_authorize_forget(uint8_t link)
{
	atomic_clear_bit(may_access, link);
}

bool ks_gatt_authorize(struct bt_conn *conn, const struct bt_gatt_attr *attribute)
{
	return (KS_SERVICE_SHOWN != (uint8_t)KS_SERVICE_AUTHORIZE) || !ks_smp_service_is(attribute) ||
	       atomic_test_bit(may_access, bt_conn_index(conn));
}

#if defined(CONFIG_KEYSWITCH_GATT_AUTHORIZATION_OWNER_MODULE)

static const struct bt_gatt_authorization_cb callbacks = {
	.read_authorize = ks_gatt_authorize,
	.write_authorize = ks_gatt_authorize,
};

int ks_authorize_register(void)
{
	return bt_gatt_authorization_cb_register(&callbacks);
}

#else

int ks_authorize_register(void)
{
	return 0;
}

#endif
