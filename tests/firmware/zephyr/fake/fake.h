/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake kernel, host and MCUmgr in one thread under a virtual clock, for tests of the glue.
 *
 * What runs is one of these contexts at a time. Whoever waits where Zephyr must not wait (Bluetooth's receiving thread, the
 * system queue, an interrupt) ends the test, whether somebody holds the lock or not. The gate's own queue comes before
 * MCUmgr's: it runs whenever MCUmgr's thread gives the lock back.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <keyswitch/ks_limits.h>

enum context {
	APPLICATION, /* main(), before everything else is set free */
	RECEIVING,   /* Bluetooth's receiving thread */
	MCUMGR,      /* MCUmgr's work queue */
	GATE,        /* the gate's own work queue */
	SYSTEM,      /* the system's work queue */
	INTERRUPT,
};

/* --- kernel.c --- */
extern int64_t fake_now_ms;
enum context fake_context(void);
/* Run `act` in a context. */
void fake_in(enum context context, void (*act)(void *), void *data);
/* Have `act` run in a context, so many milliseconds from now. */
void fake_later(int64_t after_ms, enum context context, void (*act)(void *), void *data);
/* Let everything happen that is due within so many milliseconds. */
void fake_run(int64_t ms);
/* The thread that runs is busy for so long: interrupts and the receiving thread go on, others wait for it. */
void fake_busy(int64_t ms);
/* This call may wait for something: not everybody may. */
void fake_waits(const char *what);
/* This call is none of an interrupt's. */
void fake_thread_only(const char *what);
void fake_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fake_fail("%s:%d: %s", __FILE__, __LINE__, #condition);                                        \
		}                                                                                                      \
	} while (0)
/* Whether the log has a line with these words, of this level or more. */
bool fake_logged(const char *words);
/* What has happened, in order, one word a line: for tests of an order. */
void fake_note(const char *word);
/* The place of the first such word after `from`; -1: there is none. */
int fake_noted(const char *word, int from);

/* --- storage.c: what outlives a reset --- */
#define SLOT_SIZE 0x10000u
/* Of further images. */
#define FURTHER_SLOT_SIZE 0x8000u
#define PAGE_SIZE 0x1000u
/* Slots by MCUmgr's numbers: two of each image, first the one that runs. The last byte of a slot says what is asked for. */
#define FAKE_SLOTS (2 * KS_POLICY_PAIRS)
/* The first byte of a slot that no upload reaches. */
#define UPLOAD_ENDS (SLOT_SIZE - 64u)
/* Where an image begins that was uploaded into the other slot. */
#if defined(CONFIG_MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET)
#define UPLOAD_BEGINS PAGE_SIZE
#else
#define UPLOAD_BEGINS 0u
#endif
/* What images are known by in this build. */
#if defined(CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512)
#define HASH_SIZE 64u
#define FAKE_IMAGE_HASH PSA_ALG_SHA_512
#else
#define HASH_SIZE 32u
#define FAKE_IMAGE_HASH PSA_ALG_SHA_256
#endif
struct fake_setting {
	char name[32];
	uint8_t bytes[256];
	size_t size;
	bool there;
};
struct fake_store {
	uint8_t flash[FAKE_SLOTS][SLOT_SIZE];
	struct fake_setting settings[8];
	bool trial[KS_POLICY_PAIRS]; /* what runs is not confirmed */
	uint8_t other_core; /* the first byte of an image that was copied to where nobody can read it */
	int resets;
	int64_t reset_at_ms;
	char failure[512];
};
extern struct fake_store *fake_store;
extern int64_t fake_erase_ms; /* of one page */
extern int64_t fake_read_ms;  /* of one reading */
extern bool fake_no_entropy;
/* The power is cut right after this was noted for the first time: "trailer", for example; NULL: never. */
extern const char *fake_cut_after;
extern int fake_dead_slot; /* its flash does not answer; 0: every slot's does */
struct fake_setting *fake_setting(const char *name);
void fake_set(const char *name, const void *bytes, size_t size);
/* An image with so many bytes of payload, all `fill`, in a slot; its hash. Its version begins with 1 + fill % 8. */
void fake_put_image(int slot, uint8_t fill, size_t size, uint8_t hash[HASH_SIZE]);
/* Whether an image lies in this slot, where it would be looked for. */
bool fake_has_image(int slot);
/* The image in this slot carries another kind of hash than the build knows. */
void fake_other_hash(int slot, size_t size);
/* Where the image begins in this slot, as things are. */
size_t fake_image_begins(int slot);
/* What the bootloader would do with this image: BOOT_SWAP_TYPE_*. */
int fake_armed(int image);
/* The application cannot read what of this image runs. */
bool fake_is_copied(int image);
/* Between two boots: it does. */
void fake_bootloader(void);
void fake_hmac(const uint8_t key[32], const uint8_t *message, size_t size, uint8_t mac[32]);
void fake_sha256(const uint8_t *bytes, size_t size, uint8_t digest[32]);
/* Of SHA-256 make what is called SHA-512 here: its complement behind it. The glue computes none itself, and cannot tell. */
void fake_lengthen(uint8_t hash[HASH_SIZE]);

/* --- bluetooth.c --- */
/* The longest answer. */
#define FAKE_PACKET 1200u
#define NO_CENTRAL (-1)
/* A central connects; its place. */
int central_connects(int security);
void central_leaves(int central);
bool central_is_connected(int central);
/* Does not answer when its link is to end: only the supervision timeout ends it. */
void central_falls_silent(int central);
/* Write into the SMP characteristic; as a Write Command, or as a Request. The ATT error; 0: taken. */
uint8_t central_writes_smp(int central, const uint8_t *bytes, size_t size, bool command);
/* Subscribe to SMP, by a Request. */
uint8_t central_subscribes(int central);
uint8_t central_writes_mode(int central, const uint8_t *bytes, size_t size);
uint8_t central_reads_state(int central, uint8_t value[9]);
/* The last notification that a central had of SMP or of the mode service; 0: none since it was asked last. */
size_t central_hears_smp(int central, uint8_t bytes[FAKE_PACKET]);
size_t central_hears_mode(int central, uint8_t bytes[FAKE_PACKET]);
extern int64_t controller_full_ms; /* so long it takes nothing to send from the mode service */
extern int smp_answers; /* that any central has had */
extern bool smp_in_table;
extern bool advertising;
extern uint8_t advertised[31];
extern size_t advertised_size;
extern uint8_t scan_response[31];
extern size_t scan_response_size;
extern bool authorization_taken; /* before the glue asks for it: by somebody else */
void fake_bluetooth_boot(void);

/* --- mcumgr.c --- */
void fake_mcumgr_boot(void);
/* MCUmgr's own commands, as far as they were executed. */
struct fake_done {
	int echo;
	int upload;
	int erase;
	int area; /* of the last upload or erasure: the flash area's id */
	int state_write;
	int reset;
	int late;
};
extern struct fake_done fake_done;
extern bool fake_long_versions; /* as they can be at most */
extern bool fake_busy_erase; /* an erase takes its time: fake_erase_ms for each page */
/* A request comes over another transport than Bluetooth, with these bytes as its user data. */
void other_transport_sends(const uint8_t *bytes, size_t size, const void *user_data, size_t user_data_size);
size_t other_transport_hears(uint8_t bytes[FAKE_PACKET]);
/* A group that is registered after the glue has looked. */
void fake_register_late_group(void);
struct net_buf;
struct smp_transport;
/* What arrived is to be executed on MCUmgr's queue. */
struct net_buf *fake_buffer(void);
void fake_queue(struct smp_transport *transport, struct net_buf *packet);
extern struct smp_transport fake_bluetooth_transport;
bool fake_mcumgr_waits(void);
void fake_mcumgr_run_one(void);
int fake_buffers_free(void);

#endif
