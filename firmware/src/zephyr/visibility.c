/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SMP service in the GATT table. Neither smp_bt_register() nor smp_bt_unregister() belongs into a command handler or a
 * callback of the host: here they are called on the gate's own queue, when the answer at hand has left and, but for
 * service = "live", nobody is connected.
 */
#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/transport/smp_bt.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* The table is tried again after this long: another service may stand where this one was. */
#define RETRY_MS 1000u

/*
 * Where the service can be taken out: from some release on by a symbol of its own, which Kconfig drops without a word if
 * the table is not dynamic; before, always.
 */
#if defined(CONFIG_MCUMGR_TRANSPORT_BT_DYNAMIC_SVC_REGISTRATION) || \
	(defined(CONFIG_BT_GATT_DYNAMIC_DB) && !KS_HAS_REGISTRATION_SYMBOL)
#define CAN_CHANGE 1
#else
#define CAN_CHANGE 0
#endif

/* With the other two strategies the table never changes. */
static bool comes_and_goes(void)
{
	return (KS_SERVICE_SHOWN == (uint8_t)KS_SERVICE_RECONNECT) || (KS_SERVICE_SHOWN == (uint8_t)KS_SERVICE_LIVE);
}

static bool wanted = true;

#if CAN_CHANGE

/* MCUmgr's transport registers the service when it comes up. */
static bool in_table = true;
static bool failed;
static uint32_t failed_ms; /* when it could not be changed last */

static bool change(bool show)
{
	int error = show ? smp_bt_register() : smp_bt_unregister();

	if (error != 0) {
		LOG_ERR("the SMP service cannot be %s (%d)", show ? "shown" : "hidden", error);
		return false;
	}
	LOG_DBG("the SMP service is %s", show ? "shown" : "hidden");
	in_table = show;
	if (show) {
		ks_smp_service_find();
	} else {
		ks_smp_service_gone();
	}
	return true;
}

void ks_visibility_boot(void)
{
	ks_smp_service_find();
	if (comes_and_goes()) {
		(void)change(false);
	}
	wanted = in_table;
}

bool ks_visibility_follow(void)
{
	bool waits;

	if (in_table == wanted) {
		/* The machine sends everybody away before it shows the service: nobody shall come meanwhile. */
		ks_lock();
		waits = (KS_SERVICE_SHOWN == (uint8_t)KS_SERVICE_RECONNECT) && ks_the_device()->state.has_session && !wanted;
		ks_unlock();
		return !waits;
	}
	if (ks_answer_at_hand()) {
		return false;
	}
	if ((KS_SERVICE_SHOWN != (uint8_t)KS_SERVICE_LIVE) && (ks_links_count() != 0u)) {
		if (wanted) {
			/* Whoever has come since the machine looked would keep the service from everybody. */
			ks_lock();
			ks_links_end_all();
			ks_unlock();
			ks_links_end_due();
		}
		return false;
	}
	if (failed && (k_uptime_get_32() - failed_ms < RETRY_MS)) {
		return true; /* advertise what there is: the mode service has to stay reachable */
	}
	failed = !change(wanted);
	if (failed) {
		failed_ms = k_uptime_get_32();
		ks_post_within(RETRY_MS);
		ks_report(KS_LOG_FAULT, "the SMP service cannot be shown or hidden");
	}
	return true;
}

#else

void ks_visibility_boot(void)
{
	ks_smp_service_find();
	if (comes_and_goes()) {
		LOG_ERR("this build cannot hide the SMP service: CONFIG_BT_GATT_DYNAMIC_DB is off. The handlers refuse.");
		ks_report(KS_LOG_FAULT, "the SMP service cannot be hidden");
	}
}

bool ks_visibility_follow(void)
{
	return true;
}

#endif

void ks_visibility_want(bool shown)
{
	wanted = shown;
	ks_post();
}
