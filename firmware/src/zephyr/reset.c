/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planned reset. Connections are ended first: a central that is told goes on at once, one that is not waits for its
 * supervision timeout, which Zephyr's own reset leaves it to.
 */
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/sys/reboot.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* Centrals have this long to take the last answer and the end of their connection. */
#define GOODBYE_MS 2000u
/* After the last one has gone: its acknowledgement is on the air. */
#define SETTLE_MS 20u

static bool wanted;
static bool begun;
static bool gone; /* nobody is connected any more, or nobody is waited for */
static uint32_t begun_ms;
static uint32_t gone_ms;

void ks_reset_want(void)
{
	wanted = true;
	ks_links_end_all();
	ks_post();
}

void ks_reset_follow(void)
{
	uint32_t now_ms = k_uptime_get_32();

	if (!wanted) {
		return;
	}
	if (!begun) {
		begun = true;
		begun_ms = now_ms;
	}
	if ((ks_links_count() != 0u) && (now_ms - begun_ms < GOODBYE_MS)) {
		ks_post_within(KS_ANSWER_MS);
		return;
	}
	if (!gone) {
		gone = true;
		gone_ms = now_ms;
	}
	if (now_ms - gone_ms < SETTLE_MS) {
		ks_post_within(SETTLE_MS - (now_ms - gone_ms));
		return;
	}
	ks_report(KS_LOG_RESET, NULL);
	LOG_INF("reset");
	LOG_PANIC();
	sys_reboot(SYS_REBOOT_WARM);
}
