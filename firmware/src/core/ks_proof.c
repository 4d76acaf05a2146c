/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a proof by challenge or permit covers: the domain, the kind, the purpose, the nonce, the device's identity, the mode, and
 * the session's token when attaching; each with its length in front (16 bits, big-endian), so that no two different
 * requests have the same bytes.
 */
#include <string.h>

#include <keyswitch/ks_proof.h>

#include "ks_bytes.h"

static void put_part(struct ks_writer *writer, const void *part, size_t size)
{
	const uint8_t length[] = {(uint8_t)(size >> 8), (uint8_t)size};

	ks_put(writer, length, sizeof(length));
	ks_put(writer, part, size);
}

static void put_text(struct ks_writer *writer, const char *text)
{
	put_part(writer, text, strlen(text));
}

size_t ks_proof_message(uint8_t proof, const char *device_id, const char *mode, uint8_t purpose,
			const uint8_t nonce[KS_NONCE_SIZE], const uint8_t token[KS_TOKEN_SIZE], uint8_t *bytes,
			size_t size)
{
	struct ks_writer writer = {bytes, size, 0u, false};
	bool attaching = purpose == (uint8_t)KS_PURPOSE_ATTACH;

	put_text(&writer, "keyswitch entry 1");
	put_text(&writer, (proof == (uint8_t)KS_PROOF_PERMIT) ? "permit" : "challenge");
	put_text(&writer, attaching ? "attach" : "enter");
	put_part(&writer, nonce, KS_NONCE_SIZE);
	put_text(&writer, device_id);
	put_text(&writer, mode);
	put_part(&writer, token, attaching ? KS_TOKEN_SIZE : 0u);
	return writer.full ? 0u : writer.used;
}
