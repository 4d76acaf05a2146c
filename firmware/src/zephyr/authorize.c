/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The barrier on Bluetooth LE: each access to the SMP characteristic and to its CCC is asked here, after the host's own
 * permission check and before MCUmgr sees a byte. It judges what arrives; the handlers judge what runs.
 *
 * Runs on Bluetooth's receiving thread and never waits: it looks at what the machine has published. Only these two
 * attributes are refused, so discovery goes on, and no table changes.
 *
 * Not run on a real tree: CONFIG_BT_GATT_AUTHORIZATION_CUSTOM is Zephyr 3.7 and later.
 */
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

#include <keyswitch/ks_authorize.h>

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

static atomic_t open_now;

void ks_authorize_publish(bool open)
{
	(void)atomic_set(&open_now, (atomic_val_t)open);
}

bool ks_gatt_authorize(struct bt_conn *conn, const struct bt_gatt_attr *attribute)
{
	ARG_UNUSED(conn);
	return (atomic_get(&open_now) != 0) || !ks_smp_service_is(attribute);
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
