/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives a reset, in settings:
 *
 *     ks/store    one byte: a gate has been at work here; without it and without the others the store is blank
 *     ks/session  the session record: read once, erased before the machine hears of it
 *     ks/mode     name of the mode to come back to
 *     ks/lockout  wrong proofs in a row, three numbers of four bytes, little-endian, by enum ks_proof from 1
 *     ks/holder   with permits: key of whose permit opened the session; goes with the record
 *     ks/use/ID   with permits: how often that one was used, four bytes; ID in hexadecimal
 *
 *     ks/secret   the unit's secret, 32 bytes. These three are written on the line, never by the device
 *     ks/device   with permits: what the unit is called in proofs, if not as the policy says
 *     ks/issuers  with permits: Ed25519 public keys that may sign them, 32 bytes each
 *
 * settings_save_one() has written when it returns. Names are stable: firmware of another policy reads them too.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/util.h>

#include "glue.h"

LOG_MODULE_DECLARE(keyswitch, CONFIG_KEYSWITCH_LOG_LEVEL);

#define MODE_NAME_MAX 32u
#define SECRET_SIZE 32u
/* What is assumed where the count is damaged: beyond every number of free tries and every doubling. */
#define DAMAGED_COUNT UINT32_MAX

/* Names below ks/. */
enum kept_name {
	SESSION,
	LOCKOUT,
	MODE,
	STORE,
	SECRET,
#if KS_HAS_PERMIT
	HOLDER,
	ISSUERS,
	DEVICE,
#endif
	NAMES,
};

/* The session record: as it was read before the machine has booted, and then as it is written. */
static uint8_t session[KS_RECORD_MAX];
/* What is under ks/session now, so that leaving without a record costs no write. */
static bool session_written;
/* What was read, until the machine has booted. */
static struct {
	struct ks_record_found found;
	char mode[MODE_NAME_MAX];
	struct kept {
		uint16_t size; /* 0: more than there is room for, or not readable */
		bool there;
	} kept[NAMES];
} result;
static uint8_t secret[SECRET_SIZE];
static bool has_secret;
#if KS_HAS_PERMIT
#define MAX_ISSUERS 4u
#define DEVICE_ID_MAX 64u

static uint8_t issuers[MAX_ISSUERS][KS_KEY_SIZE];
static char device_id[DEVICE_ID_MAX + 1u]; /* its last byte stays zero */
static struct ks_unit unit;
#endif

/* Where what is kept under each name is read to. */
static const struct {
	const char *name;
	void *room;
	size_t size;
} rooms[NAMES] = {
	[SESSION] = {"session", session, sizeof(session)},
	[LOCKOUT] = {"lockout", result.found.failures, sizeof(result.found.failures)},
	[MODE] = {"mode", result.mode, sizeof(result.mode)},
	[STORE] = {"store", NULL, 0u},
	[SECRET] = {"secret", secret, sizeof(secret)},
#if KS_HAS_PERMIT
	[HOLDER] = {"holder", result.found.holder, sizeof(result.found.holder)},
	[ISSUERS] = {"issuers", issuers, sizeof(issuers)},
	[DEVICE] = {"device", device_id, DEVICE_ID_MAX},
#endif
};

/* Only then: whoever loads settings later must not overwrite what is used now. */
static bool loading;

static bool read_whole(settings_read_cb read, void *from, void *bytes, size_t size)
{
	return read(from, bytes, size) == (ssize_t)size;
}

static int found(const char *name, size_t size, settings_read_cb read, void *from)
{
	for (size_t each = 0; loading && (each < ARRAY_SIZE(rooms)); each++) {
		if (settings_name_steq(name, rooms[each].name, NULL) != 0) {
			bool whole = (size <= rooms[each].size) && read_whole(read, from, rooms[each].room, size);

			result.kept[each].size = whole ? (uint16_t)size : 0u;
			result.kept[each].there = true;
			return 0;
		}
	}
	return loading ? -ENOENT : 0;
}

SETTINGS_STATIC_HANDLER_DEFINE(keyswitch, "ks", NULL, found, NULL, NULL);

static void restore_lockout(const struct kept *kept, uint32_t failures[KS_LOCKOUT_KINDS])
{
	for (size_t kind = 0; kind < KS_LOCKOUT_KINDS; kind++) {
		uint8_t bytes[sizeof(uint32_t)];

		(void)memcpy(bytes, &failures[kind], sizeof(bytes));
		if (!kept->there) {
			failures[kind] = 0u;
		} else if (kept->size != sizeof(result.found.failures)) {
			failures[kind] = DAMAGED_COUNT;
		} else {
			failures[kind] = sys_get_le32(bytes);
		}
	}
}

const struct ks_record_found *ks_record_load(int *error)
{
	struct ks_record_found *found = &result.found;
	const struct kept *kept = result.kept;

	*error = settings_subsys_init();
	if (*error == 0) {
		loading = true;
		*error = settings_load_subtree("ks");
		loading = false;
	}
	if (*error != 0) {
		return NULL;
	}
	if (kept[SESSION].there) {
		session_written = true;
		/* One that cannot be erased could be used again, so it is used not even once. */
		if (settings_delete("ks/session") == 0) {
			session_written = false;
			found->has_record = ks_record_read(&ks_policy, session, kept[SESSION].size, &found->record);
		} else {
			LOG_ERR("the session record cannot be erased, so it is worth nothing");
		}
	}
#if KS_HAS_PERMIT
	if (kept[HOLDER].there) {
		(void)settings_delete("ks/holder");
		found->has_holder = found->has_record && (kept[HOLDER].size == sizeof(found->holder));
	}
	device_id[kept[DEVICE].size] = '\0';
	unit.device_id = (kept[DEVICE].size != 0u) ? device_id : NULL;
	unit.issuers = issuers;
	unit.issuer_count = (kept[ISSUERS].size % KS_KEY_SIZE == 0u) ? (uint8_t)(kept[ISSUERS].size / KS_KEY_SIZE) : 0u;
#endif
	found->mode_before = ks_mode_by_name(&ks_policy, result.mode, kept[MODE].size);
	restore_lockout(&kept[LOCKOUT], found->failures);
	found->blank = !kept[STORE].there && !kept[SESSION].there && !kept[MODE].there && !kept[LOCKOUT].there;
	has_secret = kept[SECRET].size == sizeof(secret);
	return found;
}

/*
 * What cannot be kept is as if the power had failed here: the device comes up outside maintenance. It is said, and the
 * step goes on.
 */
static void save(const char *name, const void *bytes, size_t size)
{
	int error = settings_save_one(name, bytes, size);

	if (error != 0) {
		LOG_ERR("%s: settings answer %d", name, error);
		ks_report(KS_LOG_FAULT, "settings cannot be written");
	}
}

static void erase(const char *name)
{
	int error = settings_delete(name);

	if (error != 0) {
		LOG_ERR("%s: settings answer %d", name, error);
		ks_report(KS_LOG_FAULT, "settings cannot be erased");
	}
}

void ks_record_save(ks_pairs expects)
{
	const struct ks_device *device = ks_the_device();
	size_t size = ks_record_write(&ks_policy, &device->state, expects, device->token, &device->left, session, sizeof(session));

	if (size == 0u) {
		ks_record_clear();
		return;
	}
	session_written = true;
#if KS_HAS_PERMIT
	if (device->has_holder) {
		save("ks/holder", device->holder, sizeof(device->holder));
	}
#endif
	save("ks/session", session, size);
}

void ks_record_clear(void)
{
	if (session_written) {
		session_written = false;
		erase("ks/session");
#if KS_HAS_PERMIT
		(void)settings_delete("ks/holder");
#endif
	}
}

void ks_record_mark_store(void)
{
	uint8_t mark = 1u;

	save("ks/store", &mark, sizeof(mark));
}

void ks_record_keep_mode(uint8_t mode)
{
	if (mode == KS_NO_MODE) {
		erase("ks/mode");
	} else {
		const char *name = ks_policy.modes[mode].name;

		save("ks/mode", name, strlen(name));
	}
}

void ks_record_keep_lockout(void)
{
	uint8_t bytes[KS_LOCKOUT_KINDS * sizeof(uint32_t)];

	for (size_t kind = 0; kind < KS_LOCKOUT_KINDS; kind++) {
		sys_put_le32(ks_the_device()->lockout.failures[kind], &bytes[kind * sizeof(uint32_t)]);
	}
	save("ks/lockout", bytes, sizeof(bytes));
	for (uint8_t proof = KS_PROOF_SEQUENCE; proof <= (uint8_t)KS_PROOF_PERMIT; proof++) {
		if (ks_lockout_remaining_ms(&ks_the_device()->lockout, proof, ks_now_ms()) != 0u) {
			ks_report(KS_LOG_LOCKED, NULL);
		}
	}
}

bool ks_record_secret(uint8_t bytes[SECRET_SIZE])
{
	(void)memcpy(bytes, secret, sizeof(secret));
	return has_secret;
}

#if KS_HAS_PERMIT

const struct ks_unit *ks_record_unit(void)
{
	return &unit;
}

#define USES "ks/use"
#define ID_TEXT (2u * KS_PERMIT_ID_SIZE)

struct uses {
	char id[ID_TEXT + 1u];
	uint32_t used;
	uint32_t known;
	bool damaged;
};

static int count_use(const char *key, size_t size, settings_read_cb read, void *from, void *data)
{
	struct uses *uses = data;
	uint8_t bytes[sizeof(uint32_t)];

	if (key == NULL) {
		return 0;
	}
	uses->known++;
	if ((size != sizeof(bytes)) || !read_whole(read, from, bytes, size)) {
		uses->damaged = true;
	} else if (strcmp(key, uses->id) == 0) {
		uses->used = sys_get_le32(bytes);
	} else {
		/* another permit's */
	}
	return 0;
}

bool ks_permit_uses(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t *used, uint32_t *known)
{
	struct uses uses = {0};
	bool read;

	(void)bin2hex(id, KS_PERMIT_ID_SIZE, uses.id, sizeof(uses.id));
	read = settings_load_subtree_direct(USES, count_use, &uses) == 0;
	*used = uses.used;
	*known = uses.known;
	return read && !uses.damaged;
}

bool ks_permit_keep_use(const uint8_t id[KS_PERMIT_ID_SIZE], uint32_t used)
{
	char name[sizeof(USES) + 1u + ID_TEXT] = USES "/";
	uint8_t bytes[sizeof(uint32_t)];

	(void)bin2hex(id, KS_PERMIT_ID_SIZE, &name[sizeof(USES)], ID_TEXT + 1u);
	sys_put_le32(used, bytes);
	return settings_save_one(name, bytes, sizeof(bytes)) == 0;
}

/* A product that has a clock which nobody can set from outside brings its own. */
__weak bool ks_clock_s(uint32_t *now_s)
{
	ARG_UNUSED(now_s);
	return false;
}

#endif
