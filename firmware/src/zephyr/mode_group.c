/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode group among MCUmgr's groups, so that it works over every transport. The core reads the request's bytes and writes
 * the answer's; here they are moved from and to MCUmgr's buffers, once gate.c has found out who asks.
 *
 * MCUmgr begins and ends the answer's map itself, so over these transports it has the length form that the tree is built for
 * (indefinite, unless CONFIG_ZCBOR_CANONICAL). What is in it is the same, key by key, as on the mode service.
 */
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>

#include <zcbor_encode.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/* The core's answers: the longest is that of state or challenge, with names of their longest. */
#define ANSWER_SIZE 320u
/* The first byte of a map of fewer than 24 pairs (RFC 8949 3.1, 3). */
#define MAP_TYPE 0xA0u
#define MAP_TYPE_MASK 0xE0u
#define MAP_COUNT_MASK 0x1Fu

/* Put the pairs of a canonical map into the map that MCUmgr has begun. */
static bool put_pairs(zcbor_state_t *state, const uint8_t *map, size_t size)
{
	size_t pairs;

	if ((size == 0u) || ((map[0] & MAP_TYPE_MASK) != MAP_TYPE)) {
		return false;
	}
	pairs = map[0] & MAP_COUNT_MASK;
	if ((size_t)(state->payload_end - state->payload) < (size - 1u)) {
		return false;
	}
	(void)memcpy(state->payload_mut, &map[1], size - 1u);
	state->payload_mut += size - 1u;
	state->elem_count += 2u * pairs;
	return true;
}

int ks_mode_group_execute(const struct ks_call *call)
{
	static uint8_t bytes[ANSWER_SIZE];
	const struct net_buf *packet = call->streamer->reader->nb;
	size_t size = ks_answer_frame(&call->peer, packet->data - KS_SMP_HEADER, (size_t)packet->len + KS_SMP_HEADER, bytes,
				      sizeof(bytes));

	return ((size > KS_SMP_HEADER) &&
		put_pairs(call->streamer->writer->zs, &bytes[KS_SMP_HEADER], size - KS_SMP_HEADER))
		       ? MGMT_ERR_EOK
		       : MGMT_ERR_EMSGSIZE;
}

/* Commands 0 and 1 (state, challenge) are reads, 2 to 5 (enter, attach, extend, leave) are writes. */
#define COMMANDS 6u
#define READS 2u

bool ks_mode_group_has(const struct ks_call *call)
{
	/* MCUmgr brings none beyond COMMANDS. */
	return (call->group == KS_MODE_GROUP) && ((call->op == MGMT_OP_READ) == (call->id < READS));
}

static struct mgmt_group mode_group = {
	.mg_handlers = ks_doors,
	.mg_handlers_count = COMMANDS,
	.mg_group_id = KS_MODE_GROUP,
};

void ks_mode_group_register(void)
{
	mgmt_register_group(&mode_group);
}
