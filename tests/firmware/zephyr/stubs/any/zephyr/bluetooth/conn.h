/* Ours. Read in include/zephyr/bluetooth/conn.h [A] [I] [J] [F]. */
#ifndef STUB_CONN_H
#define STUB_CONN_H

#include <zephyr/kernel.h>

#include <stub/section.h>

struct bt_conn;
enum bt_conn_type {
	BT_CONN_TYPE_LE = BIT(0),
	BT_CONN_TYPE_BR = BIT(1),
	BT_CONN_TYPE_SCO = BIT(2),
	BT_CONN_TYPE_ISO = BIT(3),
};
typedef enum {
	BT_SECURITY_L0,
	BT_SECURITY_L1,
	BT_SECURITY_L2,
	BT_SECURITY_L3,
	BT_SECURITY_L4,
} bt_security_t;
enum bt_security_err {
	BT_SECURITY_ERR_SUCCESS,
	BT_SECURITY_ERR_AUTH_FAIL,
};
struct bt_conn_le_info {
#if defined(STUB_INTERVAL_US)
	uint32_t interval_us;
#else
	uint16_t interval; /* of 1.25 ms */
#endif
};
#if defined(STUB_INTERVAL_US)
#define BT_CONN_SCI_INTERVAL_TO_US(interval) ((interval) * 125U)
#endif
struct bt_conn_info {
	enum bt_conn_type type;
	uint8_t role;
	uint8_t id;
	union {
		struct bt_conn_le_info le;
	};
};
struct bt_conn_cb {
	void (*connected)(struct bt_conn *conn, uint8_t err);
	void (*disconnected)(struct bt_conn *conn, uint8_t reason);
#if defined(CONFIG_BT_SMP)
	void (*security_changed)(struct bt_conn *conn, bt_security_t level, enum bt_security_err err);
#endif
};
/* There a section of the linker's; here the fake is told before main(). */
#define BT_CONN_CB_DEFINE(name)                                                                                        \
	STUB_ENTRY const struct bt_conn_cb stub_conn_##name;                                                           \
	STUB_TELL(name, stub_conn_callbacks(&stub_conn_##name));                                                       \
	STUB_ENTRY const struct bt_conn_cb stub_conn_##name
void stub_conn_callbacks(const struct bt_conn_cb *callbacks);
void bt_conn_foreach(enum bt_conn_type type, void (*func)(struct bt_conn *conn, void *data), void *data);
uint8_t bt_conn_index(const struct bt_conn *conn);
int bt_conn_get_info(const struct bt_conn *conn, struct bt_conn_info *info);
int bt_conn_disconnect(struct bt_conn *conn, uint8_t reason);
bt_security_t bt_conn_get_security(const struct bt_conn *conn);

#endif
