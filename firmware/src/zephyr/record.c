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

/* As it was read; the machine has not booted yet. */
static struct {
	uint8_t session[KS_RECORD_MAX];
	size_t session_size;
	uint8_t lockout[KS_LOCKOUT_KINDS * sizeof(uint32_t)];
	char mode[MODE_NAME_MAX];
	size_t mode_size;
	bool has_session; /* there is one, readable or not */
	bool has_lockout;
	bool lockout_damaged;
	bool has_mode;
	bool has_store;
} kept;

static uint8_t secret[SECRET_SIZE];
static bool has_secret;
/* What is under ks/session now, so that leaving without a record costs no write. */
static bool session_written;

#if KS_HAS_PERMIT
#define MAX_ISSUERS 4u
#define DEVICE_ID_MAX 64u

static struct {
	uint8_t issuers[MAX_ISSUERS][KS_KEY_SIZE];
	char device_id[DEVICE_ID_MAX + 1u];
	uint8_t holder[KS_KEY_SIZE];
	bool has_holder;
} unit_kept;
static struct ks_unit unit;
#endif

static bool read_whole(settings_read_cb read, void *from, void *bytes, size_t size)
{
	return read(from, bytes, size) == (ssize_t)size;
}

static int found(const char *name, size_t size, settings_read_cb read, void *from)
{
	if (settings_name_steq(name, "session", NULL) != 0) {
		kept.has_session = true;
		kept.session_size = 0u;
		if ((size <= sizeof(kept.session)) && read_whole(read, from, kept.session, size)) {
			kept.session_size = size;
		}
	} else if (settings_name_steq(name, "lockout", NULL) != 0) {
		kept.has_lockout = true;
		kept.lockout_damaged = (size != sizeof(kept.lockout)) || !read_whole(read, from, kept.lockout, size);
	} else if (settings_name_steq(name, "mode", NULL) != 0) {
		kept.has_mode = true;
		kept.mode_size = ((size <= sizeof(kept.mode)) && read_whole(read, from, kept.mode, size)) ? size : 0u;
	} else if (settings_name_steq(name, "store", NULL) != 0) {
		kept.has_store = true;
	} else if (settings_name_steq(name, "secret", NULL) != 0) {
		has_secret = (size == sizeof(secret)) && read_whole(read, from, secret, size);
#if KS_HAS_PERMIT
	} else if (settings_name_steq(name, "holder", NULL) != 0) {
		unit_kept.has_holder = (size == sizeof(unit_kept.holder)) && read_whole(read, from, unit_kept.holder, size);
	} else if (settings_name_steq(name, "issuers", NULL) != 0) {
		bool whole = (size % KS_KEY_SIZE == 0u) && (size <= sizeof(unit_kept.issuers)) &&
			     read_whole(read, from, unit_kept.issuers, size);

		unit.issuers = unit_kept.issuers;
		unit.issuer_count = whole ? (uint8_t)(size / KS_KEY_SIZE) : 0u;
	} else if (settings_name_steq(name, "device", NULL) != 0) {
		bool whole = (size <= DEVICE_ID_MAX) && read_whole(read, from, unit_kept.device_id, size);

		unit_kept.device_id[whole ? size : 0u] = '\0';
		unit.device_id = (whole && (size != 0u)) ? unit_kept.device_id : NULL;
#endif
	} else {
		return -ENOENT;
	}
	return 0;
}

SETTINGS_STATIC_HANDLER_DEFINE(keyswitch, "ks", NULL, found, NULL, NULL);

static void restore_lockout(uint32_t failures[KS_LOCKOUT_KINDS])
{
	for (size_t kind = 0; kind < KS_LOCKOUT_KINDS; kind++) {
		if (!kept.has_lockout) {
			failures[kind] = 0u;
		} else if (kept.lockout_damaged) {
			failures[kind] = DAMAGED_COUNT;
		} else {
			failures[kind] = sys_get_le32(&kept.lockout[kind * sizeof(uint32_t)]);
		}
	}
}

int ks_record_load(struct ks_record_found *result)
{
	int error = settings_subsys_init();

	(void)memset(result, 0, sizeof(*result));
	(void)memset(&kept, 0, sizeof(kept));
	result->mode_before = KS_NO_MODE;
	if (error == 0) {
		error = settings_load_subtree("ks");
	}
	if (error != 0) {
		return error;
	}
	if (kept.has_session) {
		session_written = true;
		/* One that cannot be erased could be used again, so it is used not even once. */
		if (settings_delete("ks/session") == 0) {
			session_written = false;
			result->has_record = (kept.session_size != 0u) &&
					     ks_record_read(&ks_policy, kept.session, kept.session_size, &result->record);
		} else {
			LOG_ERR("the session record cannot be erased, so it is worth nothing");
		}
	}
#if KS_HAS_PERMIT
	if (unit_kept.has_holder) {
		(void)settings_delete("ks/holder");
		result->has_holder = result->has_record;
		(void)memcpy(result->holder, unit_kept.holder, sizeof(result->holder));
	}
#endif
	if (kept.mode_size != 0u) {
		result->mode_before = ks_mode_by_name(&ks_policy, kept.mode, kept.mode_size);
	}
	restore_lockout(result->failures);
	result->blank = !kept.has_store && !kept.has_session && !kept.has_mode && !kept.has_lockout;
	return 0;
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

void ks_record_save(bool expects)
{
	static uint8_t bytes[KS_RECORD_MAX];
	const struct ks_device *device = ks_the_device();
	size_t size = ks_record_write(&ks_policy, &device->state, expects, device->token, &device->left, bytes, sizeof(bytes));

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
	save("ks/session", bytes, size);
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
	if (has_secret) {
		(void)memcpy(bytes, secret, sizeof(secret));
	}
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
