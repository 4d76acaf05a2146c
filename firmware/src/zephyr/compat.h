/* SPDX-License-Identifier: Apache-2.0 */
/* What has another name or place in another release. Found by looking, never by a version number. */
#ifndef KEYSWITCH_ZEPHYR_COMPAT_H_
#define KEYSWITCH_ZEPHYR_COMPAT_H_

#include <zephyr/kernel.h>

#if __has_include(<zephyr/net_buf.h>)
#include <zephyr/net_buf.h>
#else
#include <zephyr/net/buf.h>
#endif

#if __has_include(<zephyr/random/random.h>)
#include <zephyr/random/random.h>
#else
#include <zephyr/random/rand32.h>
#endif

/*
 * A half-received frame of MCUmgr's Bluetooth transport can be dropped where its reassembly can be reached. Where it
 * cannot, it goes with the connection: policies with service = "reconnect" end all of them on entering.
 */
#if defined(CONFIG_MCUMGR_TRANSPORT_REASSEMBLY) && __has_include(<mgmt/mcumgr/transport/smp_reassembly.h>)
#include <mgmt/mcumgr/transport/smp_reassembly.h>
#define KS_HAS_REASSEMBLY 1
#else
#define KS_HAS_REASSEMBLY 0
#endif

#endif
