/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode group among MCUmgr's groups, so that it works over every transport. The core reads the request's bytes and writes
 * the answer's, both in MCUmgr's buffers, once gate.c has found out who asks.
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

/* In front of the pairs of the core's answer: the header, and the head of a map of fewer than 24 pairs (RFC 8949 3.1, 3). */
#define IN_FRONT (KS_SMP_HEADER + 1u)
#define MAP_COUNT_MASK 0x1Fu

/*
 * The answer is written where its pairs belong, behind the header and the map's head of MCUmgr's own answer: those have at
 * least as many bytes, and get them back.
 */
int ks_mode_group_execute(const struct ks_call *call)
{
	const struct net_buf *packet = call->streamer->reader->nb;
	zcbor_state_t *state = call->streamer->writer->zs;
	uint8_t *answer = state->payload_mut - IN_FRONT;
	uint8_t before[IN_FRONT];
	uint8_t head;
	size_t size;

	(void)memcpy(before, answer, sizeof(before));
	size = ks_answer_frame(&call->peer, packet->data - KS_SMP_HEADER, (size_t)packet->len + KS_SMP_HEADER, answer,
			       (size_t)(state->payload_end - answer) - 1u); /* the map's end follows */
	head = answer[KS_SMP_HEADER];
	(void)memcpy(answer, before, sizeof(before));
	if (size < IN_FRONT) {
		return MGMT_ERR_EMSGSIZE;
	}
	state->payload_mut = &answer[size];
	state->elem_count += 2u * (head & MAP_COUNT_MASK);
	return MGMT_ERR_EOK;
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
