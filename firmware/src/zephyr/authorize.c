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
#include <zephyr/bluetooth/uuid.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

#include <keyswitch/ks_authorize.h>

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

static const struct bt_uuid_128 smp_characteristic =
	BT_UUID_INIT_128(BT_UUID_128_ENCODE(0xda2e7828, 0xfbce, 0x4e01, 0xae9e, 0x261174997c48));

static atomic_t open_now;

void ks_authorize_publish(bool open)
{
	(void)atomic_set(&open_now, (atomic_val_t)open);
}

/*
 * The value's attribute is known by its UUID, wherever a registration has put it. Its CCC is the next attribute of that
 * type, as the host's own table has it: bt_gatt_attr_next() walks the table, and takes no lock.
 */
static bool is_smp(const struct bt_gatt_attr *attribute)
{
	const struct bt_gatt_attr *before;

	if (bt_uuid_cmp(attribute->uuid, &smp_characteristic.uuid) == 0) {
		return true;
	}
	if (bt_uuid_cmp(attribute->uuid, BT_UUID_GATT_CCC) != 0) {
		return false;
	}
	/* MCUmgr's service is one array, static or registered: declaration, characteristic, value, CCC. */
	before = bt_gatt_find_by_uuid(NULL, 0, &smp_characteristic.uuid);
	return (before != NULL) && (attribute == before + 1);
}

bool ks_gatt_authorize(struct bt_conn *conn, const struct bt_gatt_attr *attribute)
{
	ARG_UNUSED(conn);
	return (atomic_get(&open_now) != 0) || !is_smp(attribute);
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
