/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode group among MCUmgr's groups, so that it works over every transport. The core reads the request's bytes and writes
 * the answer's; here they are moved from and to MCUmgr's buffers.
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

static int execute(struct smp_streamer *streamer)
{
	static uint8_t bytes[ANSWER_SIZE];
	struct net_buf *packet = streamer->reader->nb;
	const uint8_t *header = packet->data - KS_SMP_HEADER;
	struct ks_step *step = ks_scratch_step();
	struct ks_peer peer = {.service = KS_SERVICE_SMP};
	struct ks_event served = {.kind = KS_COMMAND_SERVED};
	struct ks_answer answer;
	int rc = MGMT_ERR_EMSGSIZE;

	ks_lock();
	ks_transport_seen(streamer->smpt);
	ks_links_tell();
	if (!ks_running() || ks_transport_is_dropped(header)) {
		ks_unlock();
		return MGMT_ERR_EACCESSDENIED;
	}
	if (!ks_links_peer_of_packet(net_buf_user_data(packet), packet->user_data_size, &peer)) {
		if (streamer->smpt->functions.query_valid_check != NULL) {
			ks_unlock();
			return MGMT_ERR_EACCESSDENIED; /* whoever asked has gone */
		}
		peer.id = ks_transport_peer(streamer->smpt);
		peer.security = KS_SECURITY_NONE;
	}
	ks_answer_begins(KS_ANSWER_SMP);
	answer = ks_mode_group_frame(ks_the_device(), &peer, header, (size_t)packet->len + KS_SMP_HEADER, ks_now_ms(), bytes,
				     sizeof(bytes), step);
	if (answer.store_lockout) {
		ks_record_keep_lockout();
	}
	if (answer.stepped) {
		ks_carry_out(step);
	}
	if (answer.served) {
		served.peer = peer;
		(void)ks_tell(&served, NULL);
	}
	if ((answer.size > KS_SMP_HEADER) &&
	    put_pairs(streamer->writer->zs, &bytes[KS_SMP_HEADER], answer.size - KS_SMP_HEADER)) {
		rc = MGMT_ERR_EOK;
	}
	ks_unlock();
	return rc;
}

static const struct mgmt_handler mode_handlers[] = {
	{.mh_read = execute},  /* state */
	{.mh_read = execute},  /* challenge */
	{.mh_write = execute}, /* enter */
	{.mh_write = execute}, /* attach */
	{.mh_write = execute}, /* extend */
	{.mh_write = execute}, /* leave */
};

static struct mgmt_group mode_group = {
	.mg_handlers = mode_handlers,
	.mg_handlers_count = ARRAY_SIZE(mode_handlers),
	.mg_group_id = KS_MODE_GROUP,
};

void ks_mode_group_register(void)
{
	mgmt_register_group(&mode_group);
}
