/* SPDX-License-Identifier: Apache-2.0 */
/* What the device says before anybody connects: mode, token, and which service there is. The bytes are the core's. */
#include <string.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/atomic.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#define RETRY_MS 100u
#define AD_FIELDS 3u /* of ks_device_advertisement(): flags, a service, what the manufacturer says */
#define SD_FIELDS 1u /* of ks_device_scan_response(): the name */

static atomic_t changed = ATOMIC_INIT(1);
static uint8_t links_before;
static bool on;

/* Length, type and data of each field that the core has written (Core, Vol 3 Part C 11) as the host's own structs. */
static void take_fields(const uint8_t *at, struct bt_data *fields, size_t count)
{
	for (size_t place = 0; place < count; place++) {
		fields[place].data_len = (uint8_t)(at[0] - 1u);
		fields[place].type = at[1];
		fields[place].data = &at[2];
		at += (size_t)at[0] + 1u;
	}
}

void ks_advertise_changed(void)
{
	ks_bit_raise(&changed, 0u);
}

static int start(void)
{
	/* The host has copied them when it returns. */
	uint8_t advertisement[KS_ADVERTISEMENT_SIZE];
	uint8_t scan_response[KS_SCAN_RESPONSE_MAX];
	struct bt_data ad[AD_FIELDS];
	struct bt_data sd[SD_FIELDS];

	ks_lock();
	ks_device_advertisement(ks_the_device(), advertisement);
	(void)ks_device_scan_response(&ks_policy, scan_response);
	ks_unlock();
	take_fields(advertisement, ad, AD_FIELDS);
	take_fields(scan_response, sd, SD_FIELDS);
	if (on) {
		return bt_le_adv_update_data(ad, AD_FIELDS, sd, SD_FIELDS);
	}
	/* Once: the host does not begin again by itself when a connection ends, while the table may still have to change. */
#if defined(BT_LE_ADV_CONN_FAST_1)
	return bt_le_adv_start(BT_LE_ADV_CONN_FAST_1, ad, AD_FIELDS, sd, SD_FIELDS);
#else
	return bt_le_adv_start(BT_LE_ADV_PARAM(BT_LE_ADV_OPT_CONNECTABLE | BT_LE_ADV_OPT_ONE_TIME, BT_GAP_ADV_FAST_INT_MIN_1,
					       BT_GAP_ADV_FAST_INT_MAX_1, NULL),
			       ad, AD_FIELDS, sd, SD_FIELDS);
#endif
}

void ks_advertise_follow(bool may)
{
	uint8_t links = ks_links_count();
	int error;

	if (!may) {
		ks_bit_raise(&changed, 0u);
		if (on) {
			on = false;
			(void)bt_le_adv_stop();
		}
		return;
	}
	if (links != links_before) {
		/* A connection has ended the advertising, or there is room for one again. */
		if (links > links_before) {
			on = false;
		}
		links_before = links;
		ks_bit_raise(&changed, 0u);
	}
	if ((links >= CONFIG_BT_MAX_CONN) || !ks_bit_take(&changed, 0u)) {
		return;
	}
	error = start();
	if (error == -EALREADY) {
		on = true;
		error = start();
	} else if ((error == -EAGAIN) && on) {
		on = false; /* it was not on any more */
		error = start();
	} else {
		/* done, or nothing that another try would mend now */
	}
	if (error == 0) {
		on = true;
	} else {
		LOG_WRN("advertising: %d", error);
		ks_bit_raise(&changed, 0u);
		ks_post_within(RETRY_MS);
	}
}
