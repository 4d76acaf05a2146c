/* Ours. Read in include/zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt_callbacks.h [A] [I] [J]. */
#ifndef STUB_IMG_MGMT_CALLBACKS_H
#define STUB_IMG_MGMT_CALLBACKS_H

struct img_mgmt_upload_action;
struct img_mgmt_upload_req;
struct img_mgmt_upload_check {
	struct img_mgmt_upload_action *action;
	struct img_mgmt_upload_req *req;
};

#endif
