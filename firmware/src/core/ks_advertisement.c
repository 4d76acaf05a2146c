/* SPDX-License-Identifier: Apache-2.0 */
/* What the device says of itself without being asked: advertisement, scan response, state characteristic. */
#include <string.h>

#include <keyswitch/ks_device.h>

/* Assigned Numbers 2.3, common data types. */
#define AD_FLAGS 0x01u
#define AD_ALL_128_BIT_UUIDS 0x07u
#define AD_COMPLETE_NAME 0x09u
#define AD_MANUFACTURER 0xFFu
#define AD_GENERAL_DISCOVERABLE_LE_ONLY 0x06u

#define STATE_VERSION 1u
#define STATE_GATE_OPEN 0x01u
#define STATE_LEASED 0x02u
#define STATE_TRIAL 0x04u

#define BEACON_VERSION 1u
#define BEACON_MANY 15u /* "15 or above" */

#define UUID_SIZE 16u
#define MAX_NAME (KS_SCAN_RESPONSE_MAX - 2u)

/* In the order in which they are sent: the last byte of the text first. */
static const uint8_t SMP_SERVICE[UUID_SIZE] = {0x84, 0xaa, 0x60, 0x74, 0x52, 0x8a, 0x8b, 0x86,
					       0xd3, 0x4c, 0xb7, 0x1d, 0x1d, 0xdc, 0x53, 0x8d};
static const uint8_t MODE_SERVICE[UUID_SIZE] = {0x19, 0x08, 0x31, 0xef, 0xe1, 0x1a, 0xec, 0xbe,
						0x37, 0x43, 0x4d, 0x67, 0xdc, 0xaf, 0x25, 0x21};

void ks_device_state_value(const struct ks_device *device, uint64_t now_ms, uint8_t value[KS_STATE_VALUE_SIZE])
{
	uint32_t lease_ms;
	bool leased = ks_device_lease_ms(device, now_ms, &lease_ms);
	uint32_t lease_s = leased ? ((lease_ms / 1000u) + (((lease_ms % 1000u) != 0u) ? 1u : 0u)) : 0u;
	uint8_t flags = 0u;

	if (lease_s > UINT16_MAX) {
		lease_s = UINT16_MAX; /* "or more" */
	}
	flags |= ks_device_gate_open(device) ? STATE_GATE_OPEN : 0u;
	flags |= leased ? STATE_LEASED : 0u;
	flags |= (device->state.trial != 0u) ? STATE_TRIAL : 0u;
	value[0] = STATE_VERSION;
	value[1] = device->state.mode;
	value[2] = flags;
	value[3] = (uint8_t)lease_s;
	value[4] = (uint8_t)(lease_s >> 8);
	(void)memcpy(&value[5], device->token, KS_TOKEN_SIZE);
}

void ks_device_advertisement(const struct ks_device *device, uint8_t data[KS_ADVERTISEMENT_SIZE])
{
	uint8_t mode = (device->state.mode < BEACON_MANY) ? device->state.mode : (uint8_t)BEACON_MANY;

	data[0] = 2u;
	data[1] = AD_FLAGS;
	data[2] = AD_GENERAL_DISCOVERABLE_LE_ONLY;
	data[3] = 1u + UUID_SIZE;
	data[4] = AD_ALL_128_BIT_UUIDS;
	(void)memcpy(&data[5], device->state.service_shown ? SMP_SERVICE : MODE_SERVICE, UUID_SIZE);
	data[21] = 8u;
	data[22] = AD_MANUFACTURER;
	data[23] = (uint8_t)device->policy->company_id;
	data[24] = (uint8_t)(device->policy->company_id >> 8);
	data[25] = (uint8_t)((BEACON_VERSION << 4) | mode);
	(void)memcpy(&data[26], device->token, KS_TOKEN_SIZE);
}

uint8_t ks_device_scan_response(const struct ks_policy *policy, uint8_t data[KS_SCAN_RESPONSE_MAX])
{
	/* A policy's name has at most 29 bytes: it is always complete. */
	size_t whole = strlen(policy->name);
	uint8_t size = (whole < MAX_NAME) ? (uint8_t)whole : (uint8_t)MAX_NAME;

	data[0] = (uint8_t)(size + 1u);
	data[1] = AD_COMPLETE_NAME;
	(void)memcpy(&data[2], policy->name, size);
	return (uint8_t)(size + 2u);
}
