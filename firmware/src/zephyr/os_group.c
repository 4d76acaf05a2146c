/* SPDX-License-Identifier: Apache-2.0 */
/* Two commands of MCUmgr's group os that the gate has to answer itself. */
#include <zephyr/logging/log.h>

#include <zcbor_encode.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

/*
 * The original starts a timer that nobody can stop: a device that has left maintenance would reset all the same. Here the
 * machine keeps the time, and leaving takes the reset back.
 */
int ks_os_reset(const struct ks_call *call, mgmt_handler_fn original)
{
	ARG_UNUSED(original);
	return ks_gate_tell(call, KS_RESET_ASKED);
}

/*
 * One pool holds the requests and the answers of all transports: one buffer is for an answer, one for a half-received frame
 * of somebody else. A client that is told the rest never runs dry.
 */
#define RESERVED_BUFFERS 2

BUILD_ASSERT(CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT > RESERVED_BUFFERS, "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT: 3 or more");

int ks_os_params(const struct ks_call *call, mgmt_handler_fn original)
{
	zcbor_state_t *state = call->streamer->writer->zs;
	bool fits;

	ARG_UNUSED(original);
	fits = zcbor_tstr_put_lit(state, "buf_size") &&
	       zcbor_uint32_put(state, CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE) &&
	       zcbor_tstr_put_lit(state, "buf_count") &&
	       zcbor_uint32_put(state, CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT - RESERVED_BUFFERS);
	return fits ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}
