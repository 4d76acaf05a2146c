/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr's SMP service in the GATT table, found by its UUID. Its attributes are one array (service, declaration, value,
 * CCC) that stays where it is while the service comes and goes.
 */
#include <zephyr/bluetooth/gatt.h>
#include <zephyr/bluetooth/uuid.h>
#include <zephyr/logging/log.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* The CCC's own struct has another name from Zephyr 4.2 on, and this macro with it. */
#if defined(BT_GATT_CCC_MANAGED_USER_DATA_INIT)
typedef struct bt_gatt_ccc_managed_user_data ccc_t;
#else
typedef struct _bt_gatt_ccc ccc_t;
#endif

static const struct bt_uuid_128 characteristic =
	BT_UUID_INIT_128(BT_UUID_128_ENCODE(0xda2e7828, 0xfbce, 0x4e01, 0xae9e, 0x261174997c48));

static const struct bt_gatt_attr *value;
static const struct bt_gatt_attr *ccc;

static uint8_t take(const struct bt_gatt_attr *attribute, uint16_t handle, void *data)
{
	ARG_UNUSED(handle);
	ARG_UNUSED(data);
	value = attribute;
	return BT_GATT_ITER_STOP;
}

void ks_smp_service_find(void)
{
	bt_gatt_foreach_attr_type(BT_ATT_FIRST_ATTRIBUTE_HANDLE, BT_ATT_LAST_ATTRIBUTE_HANDLE, &characteristic.uuid, NULL, 1,
				  take, NULL);
	ccc = (value != NULL) ? (value + 1) : NULL;
	if ((ccc != NULL) && (bt_uuid_cmp(ccc->uuid, BT_UUID_GATT_CCC) != 0)) {
		ccc = NULL;
		LOG_ERR("the SMP service has another shape: its CCC is not behind its value");
		ks_report(KS_LOG_FAULT, "the SMP service has another shape");
	}
}

bool ks_smp_service_is(const struct bt_gatt_attr *attribute)
{
	return (attribute != NULL) && ((attribute == value) || (attribute == ccc));
}

/*
 * Requests that waited are still answered. Up to some release Zephyr leaves the attributes their handles, takes the value for
 * one of its table, and walks off the table's end (bt_gatt_is_subscribed()): without a handle it says that there is none.
 */
void ks_smp_service_gone(void)
{
	enum { SERVICE, DECLARATION, VALUE, CCC, COUNT };
	struct bt_gatt_attr *attributes = (ccc != NULL) ? (struct bt_gatt_attr *)(ccc - CCC) : NULL;

	for (size_t place = SERVICE; (attributes != NULL) && (place < COUNT); place++) {
		attributes[place].handle = 0u;
	}
}

/*
 * A half-received frame would swallow the beginning of what comes next, in the next session too. MCUmgr drops it when the
 * last subscriber has gone, and nowhere else: so its own callback is told that.
 */
void ks_smp_service_drop_partial(void)
{
	const ccc_t *told = (ccc != NULL) ? ccc->user_data : NULL;

	if ((told != NULL) && (told->cfg_changed != NULL)) {
		/* Bluetooth's receiving thread collects there; it does not wait within. */
		k_sched_lock();
		told->cfg_changed(ccc, 0u);
		k_sched_unlock();
	}
}
