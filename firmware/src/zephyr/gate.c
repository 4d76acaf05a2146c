/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate in front of MCUmgr's handlers.
 *
 * Each group that the build registers has its handlers replaced by one of ours, which asks the door and then calls the
 * original: there the operation, the payload, the transport and the connection are known, and a refusal can say why. Ours is
 * the same for every command, so one table in flash stands in place of all groups' tables. An empty group that is registered
 * before all others marks the list's beginning.
 *
 * The hook on MGMT_EVT_OP_CMD_RECV is the second barrier. It knows less (neither connection nor, before Zephyr 3.6,
 * operation), so it asks one thing: does the handler that MCUmgr has found lead through the door? What was registered
 * later does not until the list was walked again, and is refused.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/mgmt/callbacks.h>
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>

#if defined(CONFIG_MCUMGR_GRP_IMG)
#include <zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt.h>
#endif
#if defined(CONFIG_MCUMGR_GRP_OS)
#include <zephyr/mgmt/mcumgr/grp/os_mgmt/os_mgmt.h>
#endif

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* Where the list of groups begins. Its id is nobody's: with that of another group, which 0 is, it would hide that one. */
static struct mgmt_group sentinel = {.mg_group_id = UINT16_MAX};

const struct mgmt_handler ks_doors[CONFIG_KEYSWITCH_MAX_COMMANDS] = {
	[0 ... CONFIG_KEYSWITCH_MAX_COMMANDS - 1] = {.mh_read = ks_gate, .mh_write = ks_gate},
};

struct gated {
	struct mgmt_group *group;
	const struct mgmt_handler *original;
};

static struct gated gated[CONFIG_KEYSWITCH_MAX_GROUPS];
static uint8_t gated_count;
static bool full;

BUILD_ASSERT(CONFIG_KEYSWITCH_MAX_GROUPS <= UINT8_MAX, "groups are counted in a byte");

/* What stands in place of an original handler. */
struct replacement {
	uint16_t group;
	uint8_t id;
	uint8_t op;
	ks_handler handler;
};

static const struct replacement replacements[] = {
#if defined(CONFIG_MCUMGR_GRP_OS)
	{MGMT_GROUP_ID_OS, OS_MGMT_ID_RESET, MGMT_OP_WRITE, ks_os_reset},
	{MGMT_GROUP_ID_OS, OS_MGMT_ID_MCUMGR_PARAMS, MGMT_OP_READ, ks_os_params},
#endif
#if defined(CONFIG_MCUMGR_GRP_IMG)
	{MGMT_GROUP_ID_IMAGE, IMG_MGMT_ID_STATE, MGMT_OP_READ, ks_image_state_read},
	{MGMT_GROUP_ID_IMAGE, IMG_MGMT_ID_STATE, MGMT_OP_WRITE, ks_image_state_write},
	{MGMT_GROUP_ID_IMAGE, IMG_MGMT_ID_UPLOAD, MGMT_OP_WRITE, ks_image_upload},
	{MGMT_GROUP_ID_IMAGE, IMG_MGMT_ID_ERASE, MGMT_OP_WRITE, ks_image_erase},
#endif
};

/* --- one command --- */

int ks_gate_refuse(const struct ks_call *call, const struct ks_refusal *refusal)
{
	/* One thread executes commands, and the text is sent before the next one begins. */
	static char text[KS_REFUSAL_TEXT];
	uint8_t rc = ks_refusal_rc(refusal);

	ks_report_refusal(refusal, call->group, call->id, call->op, text);
	MGMT_CTXT_SET_RC_RSN(call->streamer, text);
	return (rc == 0u) ? MGMT_ERR_EACCESSDENIED : rc;
}

int ks_gate_tell(const struct ks_call *call, uint8_t kind)
{
	struct ks_refusal refusal;

	return ks_tell_of(kind, &call->peer, &refusal) ? MGMT_ERR_EOK : ks_gate_refuse(call, &refusal);
}

int ks_gate_ask(const struct ks_call *call)
{
	const struct ks_device *device = ks_the_device();
	struct ks_refusal refusal;

	if (ks_authorise(&ks_policy, &device->state, &call->peer, call->group, call->id, call->op, &refusal)) {
		return 0;
	}
	return ks_gate_refuse(call, &refusal);
}

/* As MCUmgr would find it: in the first group of that id in which the command has a handler. NULL: not for this operation. */
static mgmt_handler_fn find_original(struct ks_call *call)
{
	for (size_t place = 0; place < gated_count; place++) {
		const struct mgmt_group *group = gated[place].group;
		const struct mgmt_handler *handler;

		if ((group->mg_group_id != call->group) || (call->id >= group->mg_handlers_count)) {
			continue;
		}
		handler = &gated[place].original[call->id];
		if ((handler->mh_read != NULL) || (handler->mh_write != NULL)) {
			call->gated = &gated[place];
			return (call->op == MGMT_OP_READ) ? handler->mh_read : handler->mh_write;
		}
	}
	return NULL;
}

/* Data of its own a handler looks up in its group's table: while it runs, that is the original one. */
static int run_original(const struct ks_call *call, mgmt_handler_fn original)
{
	struct mgmt_group *group = call->gated->group;
	int rc;

	group->mg_handlers = call->gated->original;
	rc = original(call->streamer);
	group->mg_handlers = ks_doors;
	return rc;
}

static ks_handler handler_of(const struct ks_call *call)
{
	for (size_t place = 0; place < ARRAY_SIZE(replacements); place++) {
		if ((replacements[place].group == call->group) && (replacements[place].id == call->id) &&
		    (replacements[place].op == call->op)) {
			return replacements[place].handler;
		}
	}
	return run_original;
}

static bool peer_of(const struct smp_streamer *streamer, struct ks_peer *peer)
{
	struct net_buf *packet = streamer->reader->nb;
	const void *user_data = net_buf_user_data(packet);

	peer->service = KS_SERVICE_SMP;
	if (ks_links_peer_of_packet(user_data, packet->user_data_size, peer)) {
		return true;
	}
	peer->id = ks_transport_peer(streamer->smpt);
	peer->security = KS_SECURITY_NONE;
	/* A packet of a Bluetooth connection that is not there any more has no peer; other transports have no connection. */
	return streamer->smpt->functions.query_valid_check == NULL;
}

static bool answered_without_error(const struct smp_streamer *streamer)
{
#if defined(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
	return streamer->writer->error_ret == 0u;
#else
	ARG_UNUSED(streamer);
	return true;
#endif
}

#if KS_HAS_QUIET
/* Writes that cannot change firmware, nor lead to it; every other write may (docs/policy.md, the fixed table). */
static bool may_change_firmware(const struct ks_call *call)
{
	static const struct {
		uint16_t group;
		uint8_t id;
	} harmless[] = {
		{MGMT_GROUP_ID_OS, 0u}, /* echo */
		{MGMT_GROUP_ID_OS, 4u}, /* date-time */
		{MGMT_GROUP_ID_FS, 4u}, /* close */
	};
	bool may = call->op == MGMT_OP_WRITE;

	for (size_t place = 0; place < ARRAY_SIZE(harmless); place++) {
		may = may && ((harmless[place].group != call->group) || (harmless[place].id != call->id));
	}
	return may;
}
#endif

/* Under the lock. */
static int execute(const struct ks_call *call, mgmt_handler_fn original, const uint8_t *header)
{
	int rc;

	if (ks_transport_is_dropped(header)) {
		struct ks_refusal late = {.why = KS_WHY_WRONG_MODE, .arg = ks_the_device()->state.mode};

		return ks_gate_refuse(call, &late);
	}
	if (call->group == KS_MODE_GROUP) {
		return ks_mode_group_execute(call); /* the core asks the door for each of its frames */
	}
	rc = ks_gate_ask(call);
	if (rc != 0) {
		return rc;
	}
#if KS_HAS_QUIET
	if (may_change_firmware(call)) {
		(void)ks_tell_of(KS_FIRMWARE_COMMAND, &call->peer, NULL);
	}
#endif
	rc = handler_of(call)(call, original);
	if ((rc == MGMT_ERR_EOK) && answered_without_error(call->streamer)) {
		(void)ks_tell_of(KS_COMMAND_SERVED, &call->peer, NULL);
	}
	return rc;
}

int ks_gate(struct smp_streamer *streamer)
{
	/* The request's header stands in front of the payload: it was read past, not overwritten. */
	const uint8_t *header = streamer->reader->nb->data - KS_SMP_HEADER;
	struct ks_call call = {
		.streamer = streamer,
		.group = (uint16_t)(((uint16_t)header[4] << 8) | header[5]),
		.id = header[7],
		.op = header[0] & 0x07u,
	};
	mgmt_handler_fn original = find_original(&call);
	int rc;

	if ((original == NULL) && !ks_mode_group_has(&call)) {
		return MGMT_ERR_ENOTSUP; /* as MCUmgr says it of what nobody has: before the gate is asked */
	}
	if (!ks_running()) {
		struct ks_refusal down = {.why = KS_WHY_RESETTING};

		return ks_gate_refuse(&call, &down);
	}
	ks_lock();
	ks_transport_seen(streamer->smpt);
	ks_links_tell();
	if (peer_of(streamer, &call.peer)) {
		ks_answer_begins(KS_ANSWER_SMP);
		rc = execute(&call, original, header);
		ks_answer_begins(KS_ANSWER_SMP); /* a slot's erase takes longer than an answer is waited for */
	} else {
		rc = MGMT_ERR_EACCESSDENIED; /* whoever asked has gone: nobody hears this */
	}
	ks_unlock();
	return rc;
}

/* --- putting it in place --- */

static void put_in_place(struct mgmt_group *group)
{
	struct gated *entry = NULL;

	for (size_t place = 0; place < gated_count; place++) {
		if (gated[place].group == group) {
			entry = &gated[place]; /* somebody has given it other handlers since */
		}
	}
	if ((entry == NULL) && (gated_count < ARRAY_SIZE(gated))) {
		entry = &gated[gated_count];
	}
	if ((entry == NULL) || (group->mg_handlers_count > ARRAY_SIZE(ks_doors))) {
		full = true; /* the hook refuses this group */
		LOG_ERR("no room for group %u: CONFIG_KEYSWITCH_MAX_GROUPS, _MAX_COMMANDS", group->mg_group_id);
		return;
	}
	if (entry == &gated[gated_count]) {
		gated_count++;
	}
	entry->group = group;
	entry->original = group->mg_handlers;
	group->mg_handlers = ks_doors;
}

/*
 * On MCUmgr's own thread, or before it runs: a command whose original handler was found already must not pass the second
 * barrier because its group was gated meanwhile.
 */
static void find_groups(void)
{
	for (sys_snode_t *node = sys_slist_peek_next(&sentinel.node); (node != NULL) && !full;
	     node = sys_slist_peek_next(node)) {
		struct mgmt_group *group = CONTAINER_OF(node, struct mgmt_group, node);

		if (group->mg_handlers != ks_doors) {
			put_in_place(group);
		}
	}
}

static bool leads_through_the_door(uint16_t group, uint8_t id)
{
	const struct mgmt_handler *found = mgmt_find_handler(group, id);

	return (found >= &ks_doors[0]) && (found < &ks_doors[ARRAY_SIZE(ks_doors)]);
}

static enum mgmt_cb_return on_command(uint32_t event, enum mgmt_cb_return before, int32_t *rc, uint16_t *group,
				      bool *abort_more, void *data, size_t size)
{
	const struct mgmt_evt_op_cmd_arg *command = data;

	ARG_UNUSED(before);
	ARG_UNUSED(group);
	ARG_UNUSED(abort_more);
	ARG_UNUSED(size);
	if (event == MGMT_EVT_OP_CMD_DONE) {
		ks_answer_ends(KS_ANSWER_SMP);
		return MGMT_CB_OK;
	}
	if ((event == MGMT_EVT_OP_CMD_RECV) && !leads_through_the_door(command->group, command->id)) {
		LOG_WRN("group %u command %u was registered late: refused this once", command->group, command->id);
		find_groups();
		*rc = MGMT_ERR_EACCESSDENIED;
		return MGMT_CB_ERROR_RC;
	}
	return MGMT_CB_OK;
}

static struct mgmt_callback command_hook = {
	.callback = on_command,
	.event_id = (MGMT_EVT_OP_CMD_RECV | MGMT_EVT_OP_CMD_DONE),
};

/*
 * MCUmgr calls these in the order of their names, before main() and before its own thread runs: the first comes before every
 * group of the tree, the last behind them.
 */
static void first_of_all(void)
{
	mgmt_register_group(&sentinel);
	mgmt_callback_register(&command_hook);
	ks_mode_group_register();
}

static void last_of_all(void)
{
	find_groups();
	LOG_DBG("%u groups are gated, and the mode group", gated_count);
}

MCUMGR_HANDLER_DEFINE(a_keyswitch, first_of_all);
MCUMGR_HANDLER_DEFINE(zzz_keyswitch, last_of_all);
