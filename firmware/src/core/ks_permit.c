/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A permit, in the one form that it has:
 *
 *     d2 84                  tag 18 (COSE_Sign1), a list of four
 *     43 a1 01 27            the signed header: algorithm EdDSA
 *     map                    headers that are not signed: plain values, passed over
 *     bytes                  the claims
 *     58 40 ...              the issuer's signature
 *
 * and the claims, a map in this order, [..] where it may be missing:
 *
 *     1 issuer, 3 devices, [4 expires], [5 not before], 7 id, 8 holder's key, -70001 mode, [-70002 images], [-70003 uses]
 */
#include <string.h>

#include <keyswitch/ks_permit.h>

#include "ks_bytes.h"
#include "ks_cbor.h"
#include "ks_internal.h"

#if KS_HAS_PERMIT

#define MAX_DEVICES 32u
#define MAX_HEADERS 4u
#define LIST(count) (0x80u + (count))
#define HEADER_KEY_ID 0x04u
#define CLAIM_EXPIRES 0x04u
#define CLAIM_NOT_BEFORE 0x05u

static const uint8_t SIGN1[] = {0xd2, LIST(4u), 0x43, 0xa1, 0x01, 0x27};
/* In front of the claims in what is signed (RFC 9052 4.4): a list of four, "Signature1", the signed header, no bytes. */
static const uint8_t SIGNED[] = {LIST(4u), 0x6a, 'S',  'i',  'g',  'n',  'a',  't', 'u',
				 'r',	   'e',	 '1',  0x43, 0xa1, 0x01, 0x27, 0x40};
static const uint8_t CLAIM_ISSUER[] = {0x01};
static const uint8_t CLAIM_DEVICES[] = {0x03};
static const uint8_t CLAIM_ID[] = {0x07};
/* {1: {1: 1, -1: 6, -2: ...}}: an octet key pair on Ed25519 (RFC 8747 3.2, RFC 9053 7.2). */
static const uint8_t CLAIM_HOLDER[] = {0x08, 0xa1, 0x01, 0xa3, 0x01, 0x01, 0x20, 0x06, 0x21};
static const uint8_t CLAIM_MODE[] = {0x3a, 0x00, 0x01, 0x11, 0x70};
static const uint8_t CLAIM_IMAGES[] = {0x3a, 0x00, 0x01, 0x11, 0x71};
static const uint8_t CLAIM_USES[] = {0x3a, 0x00, 0x01, 0x11, 0x72};

struct claims {
	struct ks_permit *permit;
	uint32_t expires_s;
	uint32_t not_before_s;
	bool has_expires;
	bool has_uses;
	bool for_device;
	bool for_mode;
};

/* Whether these bytes come next; then they are taken. */
static bool next(struct ks_reader *reader, const uint8_t *bytes, size_t size)
{
	bool found = !reader->wrong && (reader->left >= size) && (memcmp(reader->bytes, bytes, size) == 0);

	if (found) {
		(void)ks_take(reader, size);
	}
	return found;
}

static void expect(struct ks_reader *reader, const uint8_t *bytes, size_t size)
{
	if (!next(reader, bytes, size)) {
		reader->wrong = true;
	}
}

static const uint8_t *take_bytes(struct ks_reader *reader, uint32_t size)
{
	if (ks_cbor_take_head(reader, KS_CBOR_MAJOR_BYTES) != size) {
		reader->wrong = true;
	}
	return ks_take(reader, size);
}

/* Whether the text that comes next is this one. */
static bool take_text(struct ks_reader *reader, const char *text)
{
	uint32_t size = ks_cbor_take_head(reader, KS_CBOR_MAJOR_TEXT);
	const uint8_t *bytes = ks_take(reader, size);

	if ((bytes == NULL) || !ks_is_utf8(bytes, size)) {
		reader->wrong = true;
		return false;
	}
	return (strlen(text) == size) && (memcmp(bytes, text, size) == 0);
}

static void take_devices(struct ks_reader *reader, const char *device_id, struct claims *claims)
{
	uint32_t count = ks_cbor_take_head(reader, KS_CBOR_MAJOR_LIST);

	if ((count < 1u) || (count > MAX_DEVICES)) {
		reader->wrong = true;
		return;
	}
	for (uint_fast8_t place = 0; place < count; place++) {
		bool same = take_text(reader, device_id);

		claims->for_device = claims->for_device || same;
	}
}

/* More than this build holds is no permit here. */
static void take_images(struct ks_reader *reader, struct ks_images *images)
{
	uint32_t count = ks_cbor_take_head(reader, KS_CBOR_MAJOR_LIST);

	if ((count < 1u) || (count > (uint32_t)KS_MAX_IMAGES)) {
		reader->wrong = true;
		return;
	}
	images->limited = true;
	images->count = (uint8_t)count;
	for (uint_fast8_t place = 0; place < count; place++) {
		struct ks_hash *hash = &images->hash[place];
		uint32_t size = ks_cbor_take_head(reader, KS_CBOR_MAJOR_BYTES);
		const uint8_t *bytes = ks_take(reader, size);

		if ((bytes == NULL) || !ks_is_hash_size(size)) {
			reader->wrong = true;
			return;
		}
		hash->size = (uint8_t)size;
		(void)memcpy(hash->bytes, bytes, size);
		if ((place > 0u) && (ks_hash_order(hash, &images->hash[place - 1u]) <= 0)) {
			reader->wrong = true;
		}
	}
}

static bool take_claims(struct ks_reader *reader, const struct ks_permit_proof *proof, struct claims *claims)
{
	uint32_t pairs = ks_cbor_take_head(reader, KS_CBOR_MAJOR_MAP);
	static const uint8_t expires = CLAIM_EXPIRES;
	static const uint8_t not_before = CLAIM_NOT_BEFORE;
	uint32_t found = 5u;

	expect(reader, CLAIM_ISSUER, sizeof(CLAIM_ISSUER));
	(void)take_text(reader, "");
	expect(reader, CLAIM_DEVICES, sizeof(CLAIM_DEVICES));
	take_devices(reader, proof->device_id, claims);
	if (next(reader, &expires, 1u)) {
		claims->has_expires = true;
		claims->expires_s = ks_cbor_take_head(reader, KS_CBOR_MAJOR_UNSIGNED);
		found++;
	}
	if (next(reader, &not_before, 1u)) {
		claims->not_before_s = ks_cbor_take_head(reader, KS_CBOR_MAJOR_UNSIGNED);
		found++;
	}
	expect(reader, CLAIM_ID, sizeof(CLAIM_ID));
	claims->permit->id = take_bytes(reader, KS_PERMIT_ID_SIZE);
	expect(reader, CLAIM_HOLDER, sizeof(CLAIM_HOLDER));
	claims->permit->holder = take_bytes(reader, KS_KEY_SIZE);
	expect(reader, CLAIM_MODE, sizeof(CLAIM_MODE));
	claims->for_mode = take_text(reader, proof->mode);
	if (next(reader, CLAIM_IMAGES, sizeof(CLAIM_IMAGES))) {
		take_images(reader, &claims->permit->images);
		found++;
	}
	if (next(reader, CLAIM_USES, sizeof(CLAIM_USES))) {
		claims->has_uses = true;
		claims->permit->uses = ks_cbor_take_head(reader, KS_CBOR_MAJOR_UNSIGNED);
		found++;
	}
	return !reader->wrong && (reader->left == 0u) && (pairs == found);
}

/* Headers that are not signed count for nothing: they have to be plain values, each key once. */
static void pass_headers(struct ks_reader *reader)
{
	struct ks_reader keys[MAX_HEADERS];
	uint32_t count = ks_cbor_take_head(reader, KS_CBOR_MAJOR_MAP);

	if (count > MAX_HEADERS) {
		reader->wrong = true;
		return;
	}
	for (uint_fast8_t place = 0; (place < count) && !reader->wrong; place++) {
		bool is_key_id;

		keys[place] = *reader;
		ks_cbor_pass_plain(reader, false);
		keys[place].left -= reader->left;
		is_key_id = !reader->wrong && (keys[place].bytes[0] == HEADER_KEY_ID);
		for (uint_fast8_t before = 0; before < place; before++) {
			if ((keys[before].left == keys[place].left) &&
			    (memcmp(keys[before].bytes, keys[place].bytes, keys[place].left) == 0)) {
				reader->wrong = true;
			}
		}
		if (is_key_id) {
			(void)ks_take(reader, ks_cbor_take_head(reader, KS_CBOR_MAJOR_BYTES));
		} else {
			ks_cbor_pass_plain(reader, true);
		}
	}
}

/* Whether some issuer has signed these claims. */
static bool is_issued(const struct ks_unit *unit, const struct ks_permit_proof *proof, const uint8_t *claims,
		      uint32_t size, const uint8_t *signature)
{
	struct ks_writer writer = {proof->scratch, proof->scratch_size, 0u, false};
	bool issued = false;

	ks_put(&writer, SIGNED, sizeof(SIGNED));
	ks_cbor_bytes(&writer, claims, size);
	for (uint_fast8_t place = 0; !writer.full && !issued && (place < unit->issuer_count); place++) {
		issued = ks_ed25519_verify(unit->issuers[place], writer.bytes, writer.used, signature);
	}
	return issued;
}

static bool is_held(const struct ks_permit_proof *proof, const uint8_t holder[KS_KEY_SIZE])
{
	return ks_sha256(proof->permit, proof->permit_size, &proof->message[proof->message_size]) &&
	       ks_ed25519_verify(holder, proof->message, proof->message_size + KS_HASH_SIZE, proof->signature);
}

enum ks_permit_result ks_permit_judge(const struct ks_unit *unit, const struct ks_permit_proof *proof,
				      struct ks_permit *permit)
{
	struct ks_reader reader = {proof->permit, proof->permit_size, proof->permit_size > KS_PERMIT_MAX};
	struct claims claims;
	struct ks_reader payload = {NULL, 0u, false};
	const uint8_t *signature;

	(void)memset(permit, 0, sizeof(*permit));
	(void)memset(&claims, 0, sizeof(claims));
	claims.permit = permit;
	expect(&reader, SIGN1, sizeof(SIGN1));
	pass_headers(&reader);
	payload.left = ks_cbor_take_head(&reader, KS_CBOR_MAJOR_BYTES);
	payload.bytes = ks_take(&reader, payload.left);
	signature = take_bytes(&reader, KS_SIGNATURE_SIZE);
	if (reader.wrong || (reader.left != 0u) ||
	    !is_issued(unit, proof, payload.bytes, (uint32_t)payload.left, signature) ||
	    !take_claims(&payload, proof, &claims) || !is_held(proof, permit->holder) || !claims.for_device ||
	    !claims.for_mode) {
		return KS_PERMIT_WRONG;
	}
	if (!proof->trusts_clock) {
		return claims.has_uses ? KS_PERMIT_RIGHT : KS_PERMIT_WRONG;
	}
	if (!claims.has_expires || (proof->now_s < claims.not_before_s)) {
		return KS_PERMIT_WRONG;
	}
	return (proof->now_s < claims.expires_s) ? KS_PERMIT_RIGHT : KS_PERMIT_EXPIRED;
}

#endif
