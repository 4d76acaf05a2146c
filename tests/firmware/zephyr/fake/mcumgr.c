/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr as the glue meets it: buffers, the list of groups, hooks, the order in which a request is judged, groups os and
 * image, and one more that is registered late. Behaviour: docs/ncs.md, docs/smp.md.
 */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include <bootutil/bootutil_public.h>
#include <keyswitch/ks_limits.h>
#include <zephyr/dfu/mcuboot.h>
#include <zephyr/mgmt/mcumgr/grp/img_mgmt/img_mgmt.h>
#include <zephyr/mgmt/mcumgr/grp/os_mgmt/os_mgmt.h>
#include <zephyr/mgmt/mcumgr/mgmt/callbacks.h>
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/reboot.h>

#include <mgmt/mcumgr/transport/smp_reassembly.h>
#include <mgmt/mcumgr/util/zcbor_bulk.h>
#include <zcbor_decode.h>
#include <zcbor_encode.h>

struct fake_done fake_done;
bool fake_busy_erase;
bool fake_long_versions;

/* --- one pool of buffers for requests and answers of all transports --- */

static struct net_buf buffers[CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT];
static uint8_t room[CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT][CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE];

struct net_buf *smp_packet_alloc(void)
{
	for (size_t place = 0; place < ARRAY_SIZE(buffers); place++) {
		struct net_buf *each = &buffers[place];

		if (each->ref == 0u) {
			(void)memset(each, 0, sizeof(*each));
			each->ref = 1u;
			each->__buf = room[place];
			each->data = room[place];
			each->size = sizeof(room[place]);
			each->user_data_size = STUB_USER_DATA;
			return each;
		}
	}
	return NULL;
}

struct net_buf *fake_buffer(void)
{
	return smp_packet_alloc();
}

int fake_buffers_free(void)
{
	int count = 0;

	for (size_t place = 0; place < ARRAY_SIZE(buffers); place++) {
		count += (buffers[place].ref == 0u) ? 1 : 0;
	}
	return count;
}

void net_buf_unref(struct net_buf *buf)
{
	CHECK(buf->ref != 0u);
	buf->ref--;
}

void smp_packet_free(struct net_buf *nb)
{
	if (nb != NULL) {
		net_buf_unref(nb);
	}
}

/* --- CBOR, as far as it is used --- */

static bool put(zcbor_state_t *state, const void *bytes, size_t size)
{
	if ((size_t)(state->payload_end - state->payload) < size) {
		return false;
	}
	(void)memcpy(state->payload_mut, bytes, size);
	state->payload_mut += size;
	return true;
}

static bool put_head(zcbor_state_t *state, uint8_t major, uint32_t value)
{
	uint8_t head[5] = {(uint8_t)(major << 5)};
	size_t size = 1u;

	if (value < 24u) {
		head[0] |= (uint8_t)value;
	} else if (value <= UINT8_MAX) {
		head[0] |= 24u;
		head[1] = (uint8_t)value;
		size = 2u;
	} else {
		head[0] |= 26u;
		head[1] = (uint8_t)(value >> 24);
		head[2] = (uint8_t)(value >> 16);
		head[3] = (uint8_t)(value >> 8);
		head[4] = (uint8_t)value;
		size = 5u;
	}
	state->elem_count++;
	return put(state, head, size);
}

static bool put_byte(zcbor_state_t *state, uint8_t byte)
{
	return put(state, &byte, 1u);
}

bool zcbor_bool_put(zcbor_state_t *state, bool input)
{
	state->elem_count++;
	return put_byte(state, input ? 0xF5u : 0xF4u);
}

bool zcbor_uint32_put(zcbor_state_t *state, uint32_t input)
{
	return put_head(state, 0u, input);
}

bool zcbor_int32_put(zcbor_state_t *state, int32_t input)
{
	return (input < 0) ? put_head(state, 1u, (uint32_t)(-1 - input)) : put_head(state, 0u, (uint32_t)input);
}

bool zcbor_bstr_encode(zcbor_state_t *state, const struct zcbor_string *input)
{
	return put_head(state, 2u, (uint32_t)input->len) && put(state, input->value, input->len);
}

bool zcbor_tstr_encode_ptr(zcbor_state_t *state, const char *str, size_t len)
{
	return put_head(state, 3u, (uint32_t)len) && put(state, str, len);
}

bool zcbor_map_start_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put_byte(state, 0xBFu);
}

bool zcbor_map_end_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put_byte(state, 0xFFu);
}

bool zcbor_list_start_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put_byte(state, 0x9Fu);
}

bool zcbor_list_end_encode(zcbor_state_t *state, size_t max_num)
{
	(void)max_num;
	return put_byte(state, 0xFFu);
}

static bool get_head(zcbor_state_t *state, uint8_t *major, uint32_t *value)
{
	size_t left = (size_t)(state->payload_end - state->payload);
	uint8_t first;

	if (left == 0u) {
		return false;
	}
	first = *state->payload;
	*major = (uint8_t)(first >> 5);
	*value = first & 0x1Fu;
	state->payload++;
	if (*value < 24u) {
		return true;
	}
	if ((*value == 24u) && (left >= 2u)) {
		*value = *state->payload++;
		return true;
	}
	if ((*value == 25u) && (left >= 3u)) {
		*value = ((uint32_t)state->payload[0] << 8) | state->payload[1];
		state->payload += 2;
		return true;
	}
	return *value == 31u;
}

/* Flat values, as requests have them. */
static bool skip(zcbor_state_t *state)
{
	uint8_t major;
	uint32_t value;

	if (!get_head(state, &major, &value)) {
		return false;
	}
	if ((major == 2u) || (major == 3u)) {
		if (value > (size_t)(state->payload_end - state->payload)) {
			return false;
		}
		state->payload += value;
		return true;
	}
	return (major == 0u) || (major == 1u) || (major == 7u);
}

static bool get_string(zcbor_state_t *state, uint8_t wanted, struct zcbor_string *result)
{
	uint8_t major;
	uint32_t size;

	if (!get_head(state, &major, &size) || (major != wanted) || (size > (size_t)(state->payload_end - state->payload))) {
		return false;
	}
	result->value = state->payload;
	result->len = size;
	state->payload += size;
	return true;
}

bool zcbor_bool_decode(zcbor_state_t *state, bool *result)
{
	uint8_t major;
	uint32_t value;

	if (!get_head(state, &major, &value) || (major != 7u) || ((value != 20u) && (value != 21u))) {
		return false;
	}
	*result = value == 21u;
	return true;
}

bool zcbor_uint32_decode(zcbor_state_t *state, uint32_t *result)
{
	uint8_t major;

	return get_head(state, &major, result) && (major == 0u);
}

bool zcbor_bstr_decode(zcbor_state_t *state, struct zcbor_string *result)
{
	return get_string(state, 2u, result);
}

int zcbor_map_decode_bulk(zcbor_state_t *zsd, struct zcbor_map_decode_key_val *map, size_t map_size, size_t *matched)
{
	uint8_t major;
	uint32_t pairs;

	*matched = 0u;
	if (!get_head(zsd, &major, &pairs) || (major != 5u)) {
		return -EBADMSG;
	}
	for (uint32_t pair = 0; pair < pairs; pair++) {
		struct zcbor_map_decode_key_val *found = NULL;
		struct zcbor_string key;

		if (!get_string(zsd, 3u, &key)) {
			return -EBADMSG;
		}
		for (size_t place = 0; place < map_size; place++) {
			if ((map[place].key.len == key.len) && (memcmp(map[place].key.value, key.value, key.len) == 0)) {
				found = &map[place];
			}
		}
		if (found == NULL) { /* a key that nobody asked for is passed over: util/src/zcbor_bulk.c */
			if (!skip(zsd)) {
				return -EBADMSG;
			}
			continue;
		}
		if (!found->decoder(zsd, found->value_ptr)) {
			return -ENOMSG;
		}
		found->found = true;
		(*matched)++;
	}
	return 0;
}

/* --- groups, handlers, hooks --- */

static sys_snode_t *first_group;
static struct mgmt_callback *hooks[8];
static size_t hook_count;
static struct {
	const char *name;
	mcumgr_handler_init_t init;
} inits[8];
static size_t init_count;

void stub_mcumgr_handler(const char *name, mcumgr_handler_init_t init)
{
	inits[init_count].name = name;
	inits[init_count].init = init;
	init_count++;
}

void mgmt_register_group(struct mgmt_group *group)
{
	sys_snode_t **end = &first_group;

	while (*end != NULL) {
		end = &(*end)->next;
	}
	group->node.next = NULL;
	*end = &group->node;
}

const struct mgmt_handler *mgmt_find_handler(uint16_t group_id, uint16_t command_id)
{
	for (sys_snode_t *node = first_group; node != NULL; node = node->next) {
		struct mgmt_group *group = CONTAINER_OF(node, struct mgmt_group, node);
		const struct mgmt_handler *handler;

		if (group->mg_group_id != group_id) {
			continue;
		}
		if (command_id >= group->mg_handlers_count) {
			break;
		}
		handler = &group->mg_handlers[command_id];
		if ((handler->mh_read != NULL) || (handler->mh_write != NULL)) {
			return handler;
		}
	}
	return NULL;
}

#if defined(STUB_FIRST_GROUP)
const struct mgmt_group *mgmt_find_group(uint16_t group_id)
{
	for (sys_snode_t *node = first_group; node != NULL; node = node->next) {
		const struct mgmt_group *group = CONTAINER_OF(node, struct mgmt_group, node);

		if (group->mg_group_id == group_id) {
			return group;
		}
	}
	return NULL;
}

const struct mgmt_handler *mgmt_get_handler(const struct mgmt_group *group, uint16_t command_id)
{
	const struct mgmt_handler *handler;

	if (command_id >= group->mg_handlers_count) {
		return NULL;
	}
	handler = &group->mg_handlers[command_id];
	return ((handler->mh_read != NULL) || (handler->mh_write != NULL)) ? handler : NULL;
}
#endif

void mgmt_callback_register(struct mgmt_callback *callback)
{
	CHECK(hook_count < ARRAY_SIZE(hooks));
	hooks[hook_count] = callback;
	hook_count++;
}

enum mgmt_cb_return mgmt_callback_notify(uint32_t event, void *data, size_t data_size, int32_t *err_rc,
					 uint16_t *err_group)
{
	enum mgmt_cb_return result = MGMT_CB_OK;
	bool abort_more = false;

	*err_rc = MGMT_ERR_EOK;
	for (size_t place = 0; (place < hook_count) && !abort_more; place++) {
		uint32_t wanted = hooks[place]->event_id;

		if ((MGMT_EVT_GET_GROUP(wanted) == MGMT_EVT_GET_GROUP(event)) &&
		    ((MGMT_EVT_GET_ID(wanted) & MGMT_EVT_GET_ID(event)) != 0u)) {
			int32_t rc = *err_rc;
			uint16_t group = *err_group;
			enum mgmt_cb_return said =
				hooks[place]->callback(event, result, &rc, &group, &abort_more, data, data_size);

			if ((said != MGMT_CB_OK) && (result == MGMT_CB_OK)) {
				result = said;
				*err_rc = rc;
				*err_group = group;
			}
		}
	}
	return result;
}

static struct cbor_nb_writer *writing;

bool smp_add_cmd_err(zcbor_state_t *zse, uint16_t group, uint16_t ret)
{
	writing->error_group = group;
	writing->error_ret = ret;
	return zcbor_tstr_put_lit(zse, "err") && zcbor_map_start_encode(zse, 2) && zcbor_tstr_put_lit(zse, "group") &&
	       zcbor_uint32_put(zse, group) && zcbor_tstr_put_lit(zse, "rc") && zcbor_uint32_put(zse, ret) &&
	       zcbor_map_end_encode(zse, 2);
}

/* --- groups of MCUmgr's own --- */

#if defined(CONFIG_MCUMGR_MGMT_HANDLER_USER_DATA)
static int of_echo;
#endif

static int os_echo(struct smp_streamer *ctxt)
{
	fake_done.echo++;
#if defined(CONFIG_MCUMGR_MGMT_HANDLER_USER_DATA)
	CHECK(mgmt_find_handler(MGMT_GROUP_ID_OS, OS_MGMT_ID_ECHO)->user_data == &of_echo);
#endif
	return zcbor_tstr_put_lit(ctxt->writer->zs, "r") ? 0 : MGMT_ERR_EMSGSIZE;
}

static int os_params(struct smp_streamer *ctxt)
{
	(void)ctxt;
	fake_fail("MCUmgr's own os.params would tell all buffers");
}

static void reboots(void *data)
{
	(void)data;
	sys_reboot(SYS_REBOOT_WARM);
}

/* There a static timer of 250 ms that nobody can stop: trap 1. */
static int os_reset(struct smp_streamer *ctxt)
{
	(void)ctxt;
	fake_done.reset++;
	fake_later(250, SYSTEM, reboots, NULL);
	return 0;
}

static int image_read(struct smp_streamer *ctxt)
{
	if (KS_POLICY_PAIRS > 1) {
		fake_fail("MCUmgr's own list is wrong where a slot cannot be read");
	}
	return (zcbor_tstr_put_lit(ctxt->writer->zs, "images") && zcbor_list_start_encode(ctxt->writer->zs, 1) &&
		zcbor_list_end_encode(ctxt->writer->zs, 1))
		       ? 0
		       : MGMT_ERR_EMSGSIZE;
}

static int image_write(struct smp_streamer *ctxt)
{
	(void)ctxt;
	fake_done.state_write++;
	fake_fail("MCUmgr's own state write would arm at once");
}

static bool upload_runs;
static int upload_area = -1;

static int area_of(int slot)
{
	static const int ids[] = {
		stub_area_slot0_partition, stub_area_slot1_partition, stub_area_slot2_partition,
		stub_area_slot3_partition, stub_area_slot4_partition, stub_area_slot5_partition,
	};

	return ids[slot];
}

/*
 * [A] and [L], grp/img_mgmt/src: img_mgmt_get_unused_slot_area_id() and img_mgmt_slot_in_use(), for several images. What runs
 * on trial is left to the gate here, so that it is the gate that is tried. -1: MCUmgr takes this slot for one in use.
 */
static int unused_area(uint32_t image)
{
	int slot = (2 * (int)image) + 1;

	if (KS_POLICY_PAIRS > 1) {
		int swap;

		CHECK(image < (uint32_t)KS_POLICY_PAIRS); /* img_mgmt_slot_to_image(): "Impossible slot number" */
		swap = mcuboot_swap_type_multi((int)image);
		if (!IS_ENABLED(CONFIG_MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING) && (swap != BOOT_SWAP_TYPE_NONE) &&
		    (swap != BOOT_SWAP_TYPE_REVERT)) {
			return -1;
		}
	} else {
		slot = 1;
	}
	return area_of(slot);
}

static bool is_newer(const struct zcbor_string *data)
{
	struct image_version running;
	struct image_version asked;
	uint32_t flags;

	(void)memcpy(&asked, &data->value[offsetof(struct image_header, ih_ver)], sizeof(asked));
	/* img_mgmt_my_version(): the application's, whichever image is sent. */
	return (img_mgmt_read_info(0, &running, NULL, &flags) == 0) && (img_mgmt_vercmp(&running, &asked) < 0);
}

static int put_offset(struct smp_streamer *ctxt)
{
	return (zcbor_tstr_put_lit(ctxt->writer->zs, "off") && zcbor_uint32_put(ctxt->writer->zs, 0u)) ? 0 : MGMT_ERR_EMSGSIZE;
}

static int image_upload(struct smp_streamer *ctxt)
{
	uint32_t off = 0;
	uint32_t len = 0;
	size_t decoded;
	int32_t rc;
	uint16_t group;
	struct img_mgmt_upload_req request = {0};
	struct img_mgmt_upload_action action = {0};
	struct img_mgmt_upload_check check = {.req = &request, .action = &action};
	struct zcbor_map_decode_key_val keys[] = {
		ZCBOR_MAP_DECODE_KEY_DECODER("image", zcbor_uint32_decode, &request.image),
		ZCBOR_MAP_DECODE_KEY_DECODER("data", zcbor_bstr_decode, &request.img_data),
		ZCBOR_MAP_DECODE_KEY_DECODER("off", zcbor_uint32_decode, &off),
		ZCBOR_MAP_DECODE_KEY_DECODER("len", zcbor_uint32_decode, &len),
		ZCBOR_MAP_DECODE_KEY_DECODER("upgrade", zcbor_bool_decode, &request.upgrade),
	};
	enum mgmt_cb_return said;

	if (zcbor_map_decode_bulk(ctxt->reader->zs, keys, ARRAY_SIZE(keys), &decoded) != 0) {
		return MGMT_ERR_EINVAL;
	}
	request.off = off;
	request.size = len;
	/* Later pieces go where the first one went, whatever they name. */
	action.area_id = (off == 0u) ? unused_area(request.image) : upload_area;
	if ((action.area_id < 0) || ((off == 0u) && request.upgrade && !is_newer(&request.img_data))) {
		(void)mgmt_callback_notify(MGMT_EVT_OP_IMG_MGMT_DFU_STOPPED, NULL, 0, &rc, &group);
		(void)smp_add_cmd_err(ctxt->writer->zs, MGMT_GROUP_ID_IMAGE,
				      (action.area_id < 0) ? IMG_MGMT_ERR_NO_FREE_SLOT : IMG_MGMT_ERR_CURRENT_VERSION_IS_NEWER);
		return put_offset(ctxt);
	}
	said = mgmt_callback_notify(MGMT_EVT_OP_IMG_MGMT_DFU_CHUNK, &check, sizeof(check), &rc, &group);
	/* [A], grp/img_mgmt/src/img_mgmt.c: a refused piece is an answer, not an error of the handler. */
	if (said == MGMT_CB_ERROR_RC) {
		upload_runs = false;
		(void)(zcbor_tstr_put_lit(ctxt->writer->zs, "rc") && zcbor_int32_put(ctxt->writer->zs, rc));
		(void)mgmt_callback_notify(MGMT_EVT_OP_IMG_MGMT_DFU_STOPPED, NULL, 0, &rc, &group);
		return 0;
	}
	if (said != MGMT_CB_OK) {
		(void)smp_add_cmd_err(ctxt->writer->zs, group, (uint16_t)rc);
		return put_offset(ctxt);
	}
	upload_runs = true;
	upload_area = action.area_id;
	fake_done.area = action.area_id;
	fake_done.upload++;
	return put_offset(ctxt);
}

static int image_erase(struct smp_streamer *ctxt)
{
	const struct flash_area *area;
	uint32_t slot = 1u;
	size_t decoded;
	struct zcbor_map_decode_key_val keys[] = {ZCBOR_MAP_DECODE_KEY_DECODER("slot", zcbor_uint32_decode, &slot)};

	CHECK(zcbor_map_decode_bulk(ctxt->reader->zs, keys, ARRAY_SIZE(keys), &decoded) == 0);
	if (unused_area(slot / 2u) < 0) {
		(void)smp_add_cmd_err(ctxt->writer->zs, MGMT_GROUP_ID_IMAGE, IMG_MGMT_ERR_NO_FREE_SLOT);
		return 0;
	}
	fake_done.erase++;
	fake_done.area = area_of((int)slot);
	CHECK(flash_area_open((uint8_t)area_of((int)slot), &area) == 0);
	(void)flash_area_erase(area, 0, area->fa_size);
	flash_area_close(area);
	return 0;
}

void img_mgmt_reset_upload(void)
{
	fake_waits("img_mgmt_reset_upload()");
	upload_runs = false;
	fake_note("upload dropped");
}

int img_mgmt_read_info(int image_slot, struct image_version *ver, uint8_t *hash, uint32_t *flags)
{
	const struct flash_area *area;
	struct image_header header;

	CHECK(hash == NULL);
	if (flash_area_open((uint8_t)area_of(image_slot), &area) != 0) {
		return -1;
	}
	(void)memcpy(&header, fake_store->flash[image_slot] + fake_image_begins(image_slot), sizeof(header));
	if (header.ih_magic != IMAGE_MAGIC) {
		return -1;
	}
	*ver = header.ih_ver;
	if (flags != NULL) {
		*flags = header.ih_flags;
	}
	return 0;
}

int img_mgmt_ver_str(const struct image_version *ver, char *dst)
{
	static const char longest[] = "255.255.65535.4294967295";

	(void)ver;
	(void)memcpy(dst, fake_long_versions ? longest : "1.0.0", fake_long_versions ? sizeof(longest) : 6u);
	return fake_long_versions ? (int)sizeof(longest) - 1 : 5;
}

int img_mgmt_vercmp(const struct image_version *a, const struct image_version *b)
{
	return (int)a->iv_major - (int)b->iv_major;
}

static const struct mgmt_handler os_handlers[] = {
	[OS_MGMT_ID_ECHO] =
		{
			.mh_read = os_echo,
			.mh_write = os_echo,
#if defined(CONFIG_MCUMGR_MGMT_HANDLER_USER_DATA)
			.user_data = &of_echo,
#endif
		},
	[OS_MGMT_ID_RESET] = {.mh_write = os_reset},
	[OS_MGMT_ID_MCUMGR_PARAMS] = {.mh_read = os_params},
};
static struct mgmt_group os_group = {
	.mg_handlers = os_handlers, .mg_handlers_count = ARRAY_SIZE(os_handlers), .mg_group_id = MGMT_GROUP_ID_OS};
static const struct mgmt_handler image_handlers[] = {
	[IMG_MGMT_ID_STATE] = {.mh_read = image_read, .mh_write = image_write},
	[IMG_MGMT_ID_UPLOAD] = {.mh_write = image_upload},
	[IMG_MGMT_ID_ERASE] = {.mh_write = image_erase},
};
static struct mgmt_group image_group = {.mg_handlers = image_handlers,
					.mg_handlers_count = ARRAY_SIZE(image_handlers),
					.mg_group_id = MGMT_GROUP_ID_IMAGE};

static int late(struct smp_streamer *ctxt)
{
	(void)ctxt;
	fake_done.late++;
	return 0;
}

static const struct mgmt_handler late_handlers[] = {{.mh_read = late, .mh_write = late}};
static struct mgmt_group late_group = {
#if defined(CONFIG_MCUMGR_MGMT_CUSTOM_PAYLOAD)
	.custom_payload = true, /* a refusal is the gate's CBOR all the same */
#endif
	.mg_handlers = late_handlers,
	.mg_handlers_count = 1,
	.mg_group_id = 100,
};

void fake_register_late_group(void)
{
	mgmt_register_group(&late_group);
}

static void register_image(void)
{
	mgmt_register_group(&image_group);
}

static void register_os(void)
{
	mgmt_register_group(&os_group);
}

MCUMGR_HANDLER_DEFINE(img_mgmt, register_image);
MCUMGR_HANDLER_DEFINE(os_mgmt, register_os);

void fake_mcumgr_boot(void)
{
	/* In the order of their names, as the linker sorts them: trap 4. */
	for (size_t done = 0; done < init_count; done++) {
		size_t least = done;

		for (size_t place = done + 1u; place < init_count; place++) {
			if (strcmp(inits[place].name, inits[least].name) < 0) {
				least = place;
			}
		}
		if (least != done) {
			mcumgr_handler_init_t init = inits[least].init;
			const char *name = inits[least].name;

			inits[least] = inits[done];
			inits[done].init = init;
			inits[done].name = name;
		}
		inits[done].init();
	}
}

/* --- one request --- */

static uint16_t be16(const uint8_t *bytes)
{
	return (uint16_t)(((uint16_t)bytes[0] << 8) | bytes[1]);
}

static void begin_answer(struct cbor_nb_writer *writer, struct net_buf *rsp)
{
	(void)memset(writer, 0, sizeof(*writer));
	rsp->data = rsp->__buf;
	rsp->len = MGMT_HDR_SIZE;
	writer->nb = rsp;
	writer->zs[0].payload_mut = rsp->data + MGMT_HDR_SIZE;
	writer->zs[0].payload_end = rsp->data + rsp->size;
}

static void end_answer(const uint8_t header[8], struct cbor_nb_writer *writer)
{
	struct net_buf *rsp = writer->nb;
	size_t size = (size_t)(writer->zs[0].payload_mut - rsp->data) - MGMT_HDR_SIZE;

	(void)memcpy(rsp->data, header, MGMT_HDR_SIZE);
	rsp->data[0] = (uint8_t)((header[0] & 0x18u) | ((header[0] & 7u) + 1u));
	rsp->data[2] = (uint8_t)(size >> 8);
	rsp->data[3] = (uint8_t)size;
	rsp->len = (uint16_t)(size + MGMT_HDR_SIZE);
}

/* Who MCUmgr takes for a command, and whether it writes the answer's map itself. */
static const struct mgmt_handler *handler_for(const uint8_t header[8], bool *own_map)
{
#if defined(STUB_FIRST_GROUP)
	const struct mgmt_group *group = mgmt_find_group(be16(&header[4]));

	if (group == NULL) {
		return NULL;
	}
	*own_map = group->custom_payload;
	return mgmt_get_handler(group, header[7]);
#else
	*own_map = false;
	return mgmt_find_handler(be16(&header[4]), header[7]);
#endif
}

static int handle(struct smp_streamer *streamer, const uint8_t header[8], bool *found)
{
	bool own_map = false;
	const struct mgmt_handler *handler = handler_for(header, &own_map);
	uint8_t op = header[0] & 7u;
	mgmt_handler_fn function;
	struct mgmt_evt_op_cmd_arg command = {.group = be16(&header[4]), .id = header[7]};
	uint16_t group = 0;
	int32_t rc;
	int result;

	if (handler == NULL) {
		return MGMT_ERR_ENOTSUP;
	}
	if ((op != MGMT_OP_READ) && (op != MGMT_OP_WRITE)) {
		return MGMT_ERR_EINVAL;
	}
	function = (op == MGMT_OP_READ) ? handler->mh_read : handler->mh_write;
	if (function == NULL) {
		return MGMT_ERR_ENOTSUP;
	}
	*found = true;
	if (!own_map) {
		(void)zcbor_map_start_encode(streamer->writer->zs, 15);
		streamer->rc_rsn = NULL; /* trap 7 */
	}
#if defined(STUB_COMMAND_HAS_OP)
	command.op = op;
#endif
	switch (mgmt_callback_notify(MGMT_EVT_OP_CMD_RECV, &command, sizeof(command), &rc, &group)) {
	case MGMT_CB_OK:
		result = function(streamer);
		break;
	case MGMT_CB_ERROR_RC:
		result = (int)rc;
		break;
	default:
		result = smp_add_cmd_err(streamer->writer->zs, group, (uint16_t)rc) ? 0 : MGMT_ERR_EMSGSIZE;
		break;
	}
	if (!own_map && !zcbor_map_end_encode(streamer->writer->zs, 15) && (result == 0)) {
		result = MGMT_ERR_EMSGSIZE;
	}
	return result;
}

static void refuse(struct smp_streamer *streamer, const uint8_t header[8], struct net_buf *rsp, int rc)
{
	zcbor_state_t *state = streamer->writer->zs;
	const char *reason = streamer->rc_rsn;

	begin_answer(streamer->writer, rsp);
	(void)(zcbor_map_start_encode(state, 2) && zcbor_tstr_put_lit(state, "rc") && zcbor_int32_put(state, rc));
	if (reason != NULL) {
		(void)(zcbor_tstr_put_lit(state, "rsn") && zcbor_tstr_encode_ptr(state, reason, strlen(reason)));
	}
	(void)zcbor_map_end_encode(state, 2);
	end_answer(header, streamer->writer);
}

static void process(struct smp_transport *transport, struct net_buf *req)
{
	static struct cbor_nb_reader reader;
	static struct cbor_nb_writer writer;
	struct smp_streamer streamer = {.smpt = transport, .reader = &reader, .writer = &writer};
	struct mgmt_evt_op_cmd_arg command = {0};
	struct net_buf *rsp;
	uint8_t header[8];
	uint16_t group;
	int32_t ignored;
	bool found = false;
	int rc;

	if (req->len < MGMT_HDR_SIZE) {
		smp_packet_free(req);
		return;
	}
	(void)memcpy(header, req->data, sizeof(header));
	req->data += MGMT_HDR_SIZE;
	req->len = (uint16_t)(req->len - MGMT_HDR_SIZE);
	(void)memset(&reader, 0, sizeof(reader));
	reader.nb = req;
	reader.zs[0].payload = req->data;
	reader.zs[0].payload_end = req->data + req->len;
	writing = &writer;
	rsp = smp_packet_alloc();
	if (rsp == NULL) {
		/* The request's own buffer becomes the answer's: trap 2. */
		refuse(&streamer, header, req, MGMT_ERR_ENOMEM);
		(void)transport->functions.output(req);
		return;
	}
	if (transport->functions.ud_copy != NULL) {
		(void)transport->functions.ud_copy(rsp, req);
	}
	begin_answer(&writer, rsp);
	rc = handle(&streamer, header, &found);
#if defined(STUB_FIRST_GROUP)
	found = rc != MGMT_ERR_ENOTSUP; /* newer trees: whoever says this was not there, to the hooks */
#endif
	if ((rc == 0) && (writer.error_ret != 0u) && ((header[0] & 0x18u) == 0u)) {
		rc = MGMT_ERR_EUNKNOWN;
	}
	if (rc == 0) {
		end_answer(header, &writer);
	} else {
		refuse(&streamer, header, rsp, rc);
	}
	(void)transport->functions.output(rsp);
	smp_packet_free(req);
	if (found) {
		command.group = be16(&header[4]);
		command.id = header[7];
		command.err = rc;
		(void)mgmt_callback_notify(MGMT_EVT_OP_CMD_DONE, &command, sizeof(command), &ignored, &group);
	}
}

/* --- transports --- */

static int other_output(struct net_buf *nb);
static struct smp_transport other_transport = {.functions = {.output = other_output}};
static struct smp_transport *const transports[] = {&fake_bluetooth_transport, &other_transport};
static uint8_t other_heard[FAKE_PACKET];
static size_t other_size;

static int other_output(struct net_buf *nb)
{
	(void)memcpy(other_heard, nb->data, nb->len);
	other_size = nb->len;
	smp_packet_free(nb);
	return 0;
}

size_t other_transport_hears(uint8_t bytes[FAKE_PACKET])
{
	size_t size = other_size;

	(void)memcpy(bytes, other_heard, size);
	other_size = 0u;
	return size;
}

void other_transport_sends(const uint8_t *bytes, size_t size, const void *user_data, size_t user_data_size)
{
	struct net_buf *packet = fake_buffer();

	CHECK((packet != NULL) && (user_data_size <= STUB_USER_DATA));
	(void)memcpy(packet->data, bytes, size);
	packet->len = (uint16_t)size;
	(void)memcpy(net_buf_user_data(packet), user_data, user_data_size);
	fake_queue(&other_transport, packet);
}

void fake_queue(struct smp_transport *transport, struct net_buf *packet)
{
	k_fifo_put(&transport->fifo, packet);
}

bool fake_mcumgr_waits(void)
{
	for (size_t place = 0; place < ARRAY_SIZE(transports); place++) {
		if (transports[place]->fifo.stub_count != 0u) {
			return true;
		}
	}
	return false;
}

void fake_mcumgr_run_one(void)
{
	for (size_t place = 0; place < ARRAY_SIZE(transports); place++) {
		struct net_buf *packet = k_fifo_get(&transports[place]->fifo, K_NO_WAIT);

		if (packet != NULL) {
			process(transports[place], packet);
			return;
		}
	}
}

int smp_reassembly_drop(struct smp_transport *smpt)
{
	smpt->__reassembly.current = NULL;
	smpt->__reassembly.expected = 0u;
	return 0;
}

void *smp_reassembly_get_ud(const struct smp_transport *smpt)
{
	return (smpt->__reassembly.current == NULL) ? NULL : net_buf_user_data(smpt->__reassembly.current);
}
