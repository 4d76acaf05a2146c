/* Ours. Read in include/zephyr/mgmt/mcumgr/transport/smp.h [A] [I] [J]; the newest fields: [D] [F]. */
#ifndef STUB_TRANSPORT_SMP_H
#define STUB_TRANSPORT_SMP_H

#include <zephyr/kernel.h>

struct net_buf;
typedef int (*smp_transport_out_fn)(struct net_buf *nb);
typedef uint16_t (*smp_transport_get_mtu_fn)(const struct net_buf *nb);
typedef int (*smp_transport_ud_copy_fn)(struct net_buf *dst, const struct net_buf *src);
typedef void (*smp_transport_ud_free_fn)(void *ud);
typedef bool (*smp_transport_query_valid_check_fn)(struct net_buf *nb, void *arg);
#if defined(STUB_TRANSPORT_INIT)
typedef void (*smp_transport_ud_req_init_fn)(struct net_buf *nb, void *priv);
#endif
struct smp_transport_api_t {
	smp_transport_out_fn output;
	smp_transport_get_mtu_fn get_mtu;
	smp_transport_ud_copy_fn ud_copy;
	smp_transport_ud_free_fn ud_free;
	smp_transport_query_valid_check_fn query_valid_check;
#if defined(STUB_TRANSPORT_INIT)
	smp_transport_ud_req_init_fn ud_init;
#endif
};
struct smp_transport {
	struct k_work work;
	struct k_fifo fifo;
	struct smp_transport_api_t functions;
#ifdef CONFIG_MCUMGR_TRANSPORT_REASSEMBLY
	struct {
		struct net_buf *current;
		uint16_t expected;
	} __reassembly;
#endif
};
int smp_transport_init(struct smp_transport *smpt);

#endif
