/* Ours. Read in include/zephyr/bluetooth/{bluetooth.h, gap.h} [A] [I] [J] [F]. */
#ifndef STUB_BLUETOOTH_H
#define STUB_BLUETOOTH_H

#include <zephyr/kernel.h>

struct bt_data {
	uint8_t type;
	uint8_t data_len;
	const uint8_t *data;
};
typedef struct {
	uint8_t type;
	uint8_t a[6];
} bt_addr_le_t;
struct bt_le_adv_param {
	uint8_t id;
	uint8_t sid;
	uint8_t secondary_max_skip;
#if defined(STUB_ADV_TX_POWER)
	int8_t tx_power;
#endif
	uint32_t options;
	uint32_t interval_min;
	uint32_t interval_max;
	const bt_addr_le_t *peer;
};
enum {
	BT_LE_ADV_OPT_NONE = 0,
#if defined(STUB_ADV_CONN_FAST)
	BT_LE_ADV_OPT_CONNECTABLE __attribute__((deprecated)) = BIT(0),
	BT_LE_ADV_OPT_ONE_TIME __attribute__((deprecated)) = BIT(1),
	BT_LE_ADV_OPT_CONN = BIT(0) | BIT(1),
#else
	BT_LE_ADV_OPT_CONNECTABLE = BIT(0),
	BT_LE_ADV_OPT_ONE_TIME = BIT(1),
#endif
};
#define BT_GAP_ADV_FAST_INT_MIN_1 0x0030
#define BT_GAP_ADV_FAST_INT_MAX_1 0x0060
#define BT_LE_ADV_PARAM(_options, _int_min, _int_max, _peer)                                                           \
	((STUB_CONST struct bt_le_adv_param[]){                                                                        \
		{.options = (_options), .interval_min = (_int_min), .interval_max = (_int_max), .peer = (_peer)}})
#if defined(STUB_ADV_CONN_FAST)
#define BT_LE_ADV_CONN_FAST_1                                                                                          \
	BT_LE_ADV_PARAM(BT_LE_ADV_OPT_CONN, BT_GAP_ADV_FAST_INT_MIN_1, BT_GAP_ADV_FAST_INT_MAX_1, NULL)
#endif
int bt_le_adv_start(const struct bt_le_adv_param *param, const struct bt_data *ad, size_t ad_len,
		    const struct bt_data *sd, size_t sd_len);
int bt_le_adv_update_data(const struct bt_data *ad, size_t ad_len, const struct bt_data *sd, size_t sd_len);
int bt_le_adv_stop(void);

#endif
