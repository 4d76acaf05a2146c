/* SPDX-License-Identifier: Apache-2.0 */
/* For an application that has Zephyr's one GATT authorization callback itself (CONFIG_..._AUTHORIZATION_OWNER_APP). */
#ifndef KEYSWITCH_KS_AUTHORIZE_H_
#define KEYSWITCH_KS_AUTHORIZE_H_

#include <stdbool.h>

struct bt_conn;
struct bt_gatt_attr;

/*
 * Whether this access may go on, as far as the gate is concerned: ask it for reads and writes, and refuse what it refuses.
 * Waits for nothing.
 */
bool ks_gatt_authorize(struct bt_conn *conn, const struct bt_gatt_attr *attribute);

#endif
