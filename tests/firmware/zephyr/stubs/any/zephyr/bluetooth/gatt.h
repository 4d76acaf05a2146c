/* Ours. Read in include/zephyr/bluetooth/{gatt.h, att.h} [A] [I] [J] [F]. */
#ifndef STUB_GATT_H
#define STUB_GATT_H

#include <string.h>

#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/uuid.h>

#include <stub/section.h>

#define BT_ATT_FIRST_ATTRIBUTE_HANDLE 0x0001
#define BT_ATT_LAST_ATTRIBUTE_HANDLE 0xffff
#define BT_ATT_ERR_INVALID_HANDLE 0x01
#define BT_ATT_ERR_AUTHORIZATION 0x08
#define BT_ATT_ERR_INSUFFICIENT_RESOURCES 0x11
#define BT_GATT_ERR(_att_err) (-(_att_err))
#define BT_GATT_CHRC_READ 0x02
#define BT_GATT_CHRC_WRITE_WITHOUT_RESP 0x04
#define BT_GATT_CHRC_NOTIFY 0x10
enum bt_gatt_perm {
	BT_GATT_PERM_NONE = 0,
	BT_GATT_PERM_READ = BIT(0),
	BT_GATT_PERM_WRITE = BIT(1),
};
enum {
	BT_GATT_WRITE_FLAG_PREPARE = BIT(0),
	BT_GATT_WRITE_FLAG_CMD = BIT(1),
	BT_GATT_WRITE_FLAG_EXECUTE = BIT(2),
};
struct bt_gatt_attr;
typedef ssize_t (*bt_gatt_attr_read_func_t)(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buf,
					    uint16_t len, uint16_t offset);
typedef ssize_t (*bt_gatt_attr_write_func_t)(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buf,
					     uint16_t len, uint16_t offset, uint8_t flags);
struct bt_gatt_attr {
	const struct bt_uuid *uuid;
	bt_gatt_attr_read_func_t read;
	bt_gatt_attr_write_func_t write;
	void *user_data;
	uint16_t handle;
#if defined(STUB_ATTRIBUTE_HAS_FLAG)
	uint16_t perm : 15;
	bool _auto_assigned_handle : 1;
#else
	uint16_t perm;
#endif
};
struct bt_gatt_service_static {
	const struct bt_gatt_attr *attrs;
	size_t attr_count;
};
#define STUB_ATTRIBUTE(the_uuid, the_read, the_write, the_data, the_perm)                                              \
	{                                                                                                              \
		.uuid = the_uuid, .read = the_read, .write = the_write, .user_data = the_data, .handle = 0,            \
		.perm = the_perm,                                                                                      \
	}
#define BT_GATT_PRIMARY_SERVICE(service) STUB_ATTRIBUTE(BT_UUID_GATT_PRIMARY, NULL, NULL, (void *)service, BT_GATT_PERM_READ)
#define BT_GATT_CHARACTERISTIC(the_uuid, props, perms, reads, writes, data)                                            \
	STUB_ATTRIBUTE(BT_UUID_GATT_CHRC, NULL, NULL, NULL, BT_GATT_PERM_READ),                                        \
		STUB_ATTRIBUTE(the_uuid, reads, writes, data, perms)
#if defined(STUB_CCC_RENAMED)
#define STUB_CCC bt_gatt_ccc_managed_user_data
#define BT_GATT_CCC_MANAGED_USER_DATA_INIT(changed, write, match)                                                      \
	{                                                                                                              \
		.cfg_changed = changed,                                                                                \
	}
#else
#define STUB_CCC _bt_gatt_ccc
#endif
struct STUB_CCC {
	uint16_t value;
	void (*cfg_changed)(const struct bt_gatt_attr *attr, uint16_t value);
};
#define BT_GATT_CCC(changed, perms)                                                                                    \
	STUB_ATTRIBUTE(BT_UUID_GATT_CCC, NULL, stub_write_ccc, ((struct STUB_CCC[]){{.cfg_changed = (changed)}}), perms)
/* There a section of the linker's; here the fake is told before main(). */
#define BT_GATT_SERVICE_DEFINE(name, ...)                                                                              \
	static const struct bt_gatt_attr stub_attrs_##name[] = {__VA_ARGS__};                                          \
	STUB_ENTRY const struct bt_gatt_service_static name = {stub_attrs_##name, ARRAY_SIZE(stub_attrs_##name)}; \
	STUB_TELL(name, stub_gatt_service(&name))
void stub_gatt_service(const struct bt_gatt_service_static *service);
ssize_t stub_write_ccc(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *buf, uint16_t len,
		       uint16_t offset, uint8_t flags);
typedef void (*bt_gatt_complete_func_t)(struct bt_conn *conn, void *user_data);
struct bt_gatt_notify_params {
	const struct bt_uuid *uuid;
	const struct bt_gatt_attr *attr;
	const void *data;
	uint16_t len;
	bt_gatt_complete_func_t func;
	void *user_data;
};
int bt_gatt_notify_cb(struct bt_conn *conn, struct bt_gatt_notify_params *params);
static inline int bt_gatt_notify(struct bt_conn *conn, const struct bt_gatt_attr *attr, const void *data, uint16_t len)
{
	struct bt_gatt_notify_params params;

	(void)memset(&params, 0, sizeof(params));
	params.attr = attr;
	params.data = data;
	params.len = len;
	return bt_gatt_notify_cb(conn, &params);
}
uint16_t bt_gatt_get_mtu(struct bt_conn *conn);
enum {
	BT_GATT_ITER_STOP = 0,
	BT_GATT_ITER_CONTINUE,
};
typedef uint8_t (*bt_gatt_attr_func_t)(const struct bt_gatt_attr *attr, uint16_t handle, void *user_data);
void bt_gatt_foreach_attr_type(uint16_t start_handle, uint16_t end_handle, const struct bt_uuid *uuid,
			       const void *attr_data, uint16_t num_matches, bt_gatt_attr_func_t func, void *user_data);
ssize_t bt_gatt_attr_read(struct bt_conn *conn, const struct bt_gatt_attr *attr, void *buf, uint16_t buf_len,
			  uint16_t offset, const void *value, uint16_t value_len);
#if defined(STUB_GATT_AUTHORIZATION)
struct bt_gatt_authorization_cb {
	bool (*read_authorize)(struct bt_conn *conn, const struct bt_gatt_attr *attr);
	bool (*write_authorize)(struct bt_conn *conn, const struct bt_gatt_attr *attr);
};
int bt_gatt_authorization_cb_register(const struct bt_gatt_authorization_cb *cb);
#endif

#endif
