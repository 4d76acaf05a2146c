/* Ours. Read in include/zephyr/mgmt/mcumgr/mgmt/mgmt.h [A] [I] [J] [F]. */
#ifndef STUB_MGMT_H
#define STUB_MGMT_H

#include <zephyr/mgmt/mcumgr/mgmt/mgmt_defines.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/sys/slist.h>

#ifdef CONFIG_MCUMGR_SMP_VERBOSE_ERR_RESPONSE
#define MGMT_CTXT_SET_RC_RSN(mc, rsn) ((mc->rc_rsn) = (rsn))
#define MGMT_CTXT_RC_RSN(mc) ((mc)->rc_rsn)
#else
#define MGMT_CTXT_SET_RC_RSN(mc, rsn)
#define MGMT_CTXT_RC_RSN(mc) NULL
#endif
typedef int (*mgmt_handler_fn)(struct smp_streamer *ctxt);
struct mgmt_handler {
	mgmt_handler_fn mh_read;
	mgmt_handler_fn mh_write;
#if IS_ENABLED(CONFIG_MCUMGR_MGMT_HANDLER_USER_DATA)
	void *user_data;
#endif
};
struct mgmt_group {
	sys_snode_t node;
	const struct mgmt_handler *mg_handlers;
	uint16_t mg_handlers_count;
	uint16_t mg_group_id;
#if IS_ENABLED(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
	smp_translate_error_fn mg_translate_error;
#endif
#if defined(CONFIG_MCUMGR_MGMT_CUSTOM_PAYLOAD)
	bool custom_payload;
#endif
};
void mgmt_register_group(struct mgmt_group *group);
void mgmt_unregister_group(struct mgmt_group *group);
const struct mgmt_handler *mgmt_find_handler(uint16_t group_id, uint16_t command_id);
#if defined(STUB_FIRST_GROUP)
const struct mgmt_group *mgmt_find_group(uint16_t group_id);
const struct mgmt_handler *mgmt_get_handler(const struct mgmt_group *group, uint16_t command_id);
#endif

#endif
