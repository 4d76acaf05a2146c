/* SPDX-License-Identifier: Apache-2.0 */
/* What the scripts of the traps are made of: a device, its button, a central that asks; and what a trap is. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "fake/fake.h"

#include <keyswitch/keyswitch.h>

#include "ks_policy.h"

extern const struct ks_policy ks_policy;

/* --- a device --- */

extern uint32_t inhibited;
extern int64_t left_at_ms;
extern int refusals;
extern const struct ks_application application;

void device_boots(void);
/* The button goes down, or up where data is NULL. */
void presses(void *data);
void enter_by_button(void);
/* It moves, or stands where data is NULL. */
void moves(void *data);

/* --- frames --- */

#define READ 0u
#define WRITE 2u
#define OS 0u
#define IMAGE 1u
#define NOTHING "\xA0", 1u
#define LEAVE WRITE, 5u, NOTHING
#define STATE READ, 0u, NOTHING
#define ECHO_ READ, OS, 0u, NOTHING
#define CHALLENGE "\xA1\x62to\x6Bmaintenance", 16u
#define RESET_ WRITE, OS, 5u, NOTHING

size_t frame(uint8_t *bytes, uint8_t version, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size);
/* The number behind a key of one of these lengths; -1: the key is not there. */
long number_of(const uint8_t *bytes, size_t size, const char *key);
bool says(const uint8_t *bytes, size_t size, const char *words);
/* The last answer. */
extern uint8_t heard[FAKE_PACKET];
/* Send over SMP and hear: the answer's rc, 0 where it has none; -1: no answer. */
long asks_version(int central, uint8_t version, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size);
long asks(int central, uint8_t op, uint16_t group, uint8_t id, const char *map, size_t size);
long asks_mode(int central, uint8_t op, uint8_t id, const char *map, size_t size);
/* The central is there for SMP: with the strategies that end connections it connects anew. */
int central_in_maintenance(void);

/* --- a trap --- */

enum ending {
	ENDS,
	RESETS,
	IS_STOPPED, /* by the fake */
};
enum strategy {
	ANY = 0xF,
	RECONNECTS = 1,
	CHANGES_AT_ONCE = 2,
	STAYS = 4,
	AUTHORIZES = 8,
};

struct boot {
	void (*script)(void);
	enum ending ending;
};
struct trap {
	const char *name;
	unsigned int strategies;
	struct boot boots[3];
	bool quiet;
	int armed; /* image 0 afterwards; 0: not asked */
	int armed_last; /* the last of several likewise */
	bool copied; /* it is about an image that is only copied */
	int64_t reset_within_ms;
};

#if KS_POLICY_PAIRS > 1
/* Of several images: pair_traps.c. */
extern const struct trap pair_traps[];
extern const size_t pair_trap_count;
/* The same where arm = "early"; the others take for granted that it is not. */
extern const struct trap early_traps[];
extern const size_t early_trap_count;
/* What lies in the slots of the further images when a trap begins. */
void put_further_images(void);
#endif

#endif
