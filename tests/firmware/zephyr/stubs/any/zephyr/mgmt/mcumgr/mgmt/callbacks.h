/* Ours. Read in include/zephyr/mgmt/mcumgr/mgmt/callbacks.h [A] [I] [J] [F]. */
#ifndef STUB_CALLBACKS_H
#define STUB_CALLBACKS_H

#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>

#ifdef CONFIG_MCUMGR_GRP_IMG
#include <zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt_callbacks.h>
#endif

#define MGMT_EVT_OP_ID_ALL 0xffff
#define MGMT_DEF_EVT_OP_ID(group, event_id) ((group << 16) | BIT(event_id))
#define MGMT_DEF_EVT_OP_ALL(group) ((group << 16) | MGMT_EVT_OP_ID_ALL)
#define MGMT_EVT_GET_GROUP(event) ((event >> 16) & MGMT_EVT_OP_ID_ALL)
#define MGMT_EVT_GET_ID(event) (event & MGMT_EVT_OP_ID_ALL)
enum mgmt_cb_return {
	MGMT_CB_OK,
	MGMT_CB_ERROR_RC,
	MGMT_CB_ERROR_ERR,
};
typedef enum mgmt_cb_return (*mgmt_cb)(uint32_t event, enum mgmt_cb_return prev_status, int32_t *rc, uint16_t *group,
				       bool *abort_more, void *data, size_t data_size);
enum mgmt_cb_groups {
	MGMT_EVT_GRP_ALL = 0,
	MGMT_EVT_GRP_SMP,
	MGMT_EVT_GRP_OS,
	MGMT_EVT_GRP_IMG,
};
enum smp_group_events {
	MGMT_EVT_OP_CMD_RECV = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_SMP, 0),
	MGMT_EVT_OP_CMD_STATUS = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_SMP, 1),
	MGMT_EVT_OP_CMD_DONE = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_SMP, 2),
};
enum img_mgmt_group_events {
	MGMT_EVT_OP_IMG_MGMT_DFU_CHUNK = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_IMG, 0),
	MGMT_EVT_OP_IMG_MGMT_DFU_STOPPED = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_IMG, 1),
	MGMT_EVT_OP_IMG_MGMT_DFU_STARTED = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_IMG, 2),
	MGMT_EVT_OP_IMG_MGMT_DFU_PENDING = MGMT_DEF_EVT_OP_ID(MGMT_EVT_GRP_IMG, 3),
};
struct mgmt_callback {
	sys_snode_t node;
	mgmt_cb callback;
	uint32_t event_id;
};
struct mgmt_evt_op_cmd_arg {
	uint16_t group;
	uint8_t id;
	union {
#if defined(STUB_COMMAND_HAS_OP)
		uint8_t op;
#endif
		int err;
		int status;
	};
};
enum mgmt_cb_return mgmt_callback_notify(uint32_t event, void *data, size_t data_size, int32_t *err_rc,
					 uint16_t *err_group);
void mgmt_callback_register(struct mgmt_callback *callback);
void mgmt_callback_unregister(struct mgmt_callback *callback);

#endif
