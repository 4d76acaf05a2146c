/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCUmgr's transports. Their structs are static in their own files; each is known from the first request that it brought.
 *
 * Requests that waited when the mode changed are not taken out: that would leave their clients without an answer. The
 * header's reserved bits, which mean nothing in a request, are set, and the handler refuses what bears them.
 */
#include <zephyr/logging/log.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#define MAX_TRANSPORTS 6u
#define RESERVED_BITS 0xE0u
/* Ids of Bluetooth LE peers begin at 1 and never come here. */
#define FIRST_OTHER_PEER 0x80000000u

static struct smp_transport *seen[MAX_TRANSPORTS];

void ks_transport_seen(struct smp_transport *transport)
{
	for (size_t place = 0; place < MAX_TRANSPORTS; place++) {
		if (seen[place] == transport) {
			return;
		}
		if (seen[place] == NULL) {
			seen[place] = transport;
			return;
		}
	}
	LOG_WRN("more transports than %u: what waits on the others is refused by mode alone", MAX_TRANSPORTS);
}

uint32_t ks_transport_peer(const struct smp_transport *transport)
{
	uint32_t place = 0;

	while ((place < MAX_TRANSPORTS) && (seen[place] != transport)) {
		place++;
	}
	return FIRST_OTHER_PEER + place;
}

bool ks_transport_is_dropped(const uint8_t *header)
{
	return (header[0] & RESERVED_BITS) != 0u;
}

/* Look at each request that waits; `keep` says whether it stays. Nobody else runs meanwhile, so the order stays. */
static void each_queued(struct smp_transport *transport, bool (*keep)(struct net_buf *packet, const void *context),
			const void *context)
{
	struct k_fifo kept;
	struct net_buf *packet;

	k_sched_lock();
	k_fifo_init(&kept);
	while ((packet = k_fifo_get(&transport->fifo, K_NO_WAIT)) != NULL) {
		if (keep(packet, context)) {
			k_fifo_put(&kept, packet);
		} else {
			if (transport->functions.ud_free != NULL) {
				transport->functions.ud_free(net_buf_user_data(packet));
			}
			net_buf_unref(packet);
		}
	}
	while ((packet = k_fifo_get(&kept, K_NO_WAIT)) != NULL) {
		k_fifo_put(&transport->fifo, packet);
	}
	k_sched_unlock();
}

static bool mark(struct net_buf *packet, const void *context)
{
	ARG_UNUSED(context);
	if (packet->len >= KS_SMP_HEADER) {
		packet->data[0] |= RESERVED_BITS;
	}
	return true;
}

void ks_transport_drop_queued(void)
{
	for (size_t place = 0; (place < MAX_TRANSPORTS) && (seen[place] != NULL); place++) {
		each_queued(seen[place], mark, NULL);
	}
}

static bool is_of_another(struct net_buf *packet, const void *context)
{
	/* MCUmgr's Bluetooth transport keeps the connection in the first word. */
	return (packet->user_data_size < sizeof(void *)) || (*(void *const *)net_buf_user_data(packet) != context);
}

void ks_transport_forget(const struct bt_conn *conn)
{
	/*
	 * MCUmgr means to do this itself, but asks whether the request is still valid before it has forgotten the connection:
	 * they would run, as requests of whoever comes next.
	 */
	for (size_t place = 0; (place < MAX_TRANSPORTS) && (seen[place] != NULL); place++) {
		each_queued(seen[place], is_of_another, conn);
	}
}
