/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMP group 0x4B53: how maintenance is asked about, entered and left (docs/mode-group.md has the bytes).
 *
 * Requests are read and answers are written here, byte by byte, without a CBOR library. A request is one map of at most
 * KS_MAX_KEYS keys, each of them text and each once; its values are numbers, texts, byte strings or simple values. Maps and
 * lists inside, tags, and strings of indefinite length are refused. An answer is canonical CBOR (RFC 8949 4.2.1).
 */
#ifndef KEYSWITCH_KS_MODE_GROUP_H_
#define KEYSWITCH_KS_MODE_GROUP_H_

#include <keyswitch/ks_device.h>

#define KS_MODE_GROUP 0x4B53u
#define KS_SMP_HEADER 8u
#define KS_MAX_KEYS 16u

/* What has to be done besides sending the answer. */
struct ks_answer {
	size_t size; /* of the answer; 0: none is to be sent */
	/* A proof was judged, and lockout.failures has changed: it is on the medium before the answer is sent. */
	bool store_lockout;
	/* step holds effects: carry them out, then send the answer. */
	bool stepped;
	/* A command was executed and answered without an error: tell KS_COMMAND_SERVED once the answer is on its way. */
	bool served;
};

/*
 * One SMP request, a whole packet with its header. It is judged as every frame is (whole? an operation? a version? known?
 * allowed now?), executed if it is of the mode group, and answered. Of the other groups this core knows no command: on the
 * mode service they are refused with the reason, elsewhere ask ks_authorise() and give them to their own handlers.
 */
struct ks_answer ks_mode_group_frame(struct ks_device *device, const struct ks_peer *peer, const uint8_t *packet,
				     size_t packet_size, uint64_t now_ms, uint8_t *out, size_t out_size,
				     struct ks_step *step);

#endif
