/* Ours. Read in include/zephyr/mgmt/mcumgr/smp/smp.h [A] [I] [J] [D] [F]. */
#ifndef STUB_SMP_H
#define STUB_SMP_H

#if defined(STUB_AGE) && (STUB_AGE >= 40000)
#include <zephyr/net_buf.h>
#else
#include <zephyr/net/buf.h>
#endif
#include <zephyr/mgmt/mcumgr/transport/smp.h>

#include <zcbor_common.h>

struct cbor_nb_reader {
	struct net_buf *nb;
	zcbor_state_t zs[CONFIG_MCUMGR_SMP_CBOR_MAX_DECODING_LEVELS + 2];
};
struct cbor_nb_writer {
	struct net_buf *nb;
	zcbor_state_t zs[CONFIG_MCUMGR_SMP_CBOR_MAX_ENCODING_LEVELS + 2];
#if defined(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
	uint16_t error_group;
	uint16_t error_ret;
#endif
};
struct smp_streamer {
	struct smp_transport *smpt;
	struct cbor_nb_reader *reader;
	struct cbor_nb_writer *writer;
#ifdef CONFIG_MCUMGR_SMP_VERBOSE_ERR_RESPONSE
	const char *rc_rsn;
#endif
};
struct net_buf *smp_packet_alloc(void);
void smp_packet_free(struct net_buf *nb);
int smp_process_request_packet(struct smp_streamer *streamer, void *req);
bool smp_add_cmd_err(zcbor_state_t *zse, uint16_t group, uint16_t ret);
#if defined(CONFIG_MCUMGR_SMP_SUPPORT_ORIGINAL_PROTOCOL)
typedef int (*smp_translate_error_fn)(uint16_t err);
#endif

#endif
