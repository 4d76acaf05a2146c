/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's machine: events in, state and effects out. It is the machine that `keyswitch check` proves, written again in
 * C and compared with it state by state.
 *
 * - ks_step() is total: every event in every state gives a result. What is not foreseen is refused and changes nothing.
 * - It knows no clock: time limits go out as KS_START_TIMER and come back as KS_EXPIRED.
 * - It knows no bytes and does not ask who may: ask ks_authorise() for each frame at the moment of execution, then tell
 *   the event that follows from the frame.
 * - Nothing here waits, allocates, calls back or keeps anything outside the structs that it is given.
 * - One caller at a time: the caller holds the lock around decision and handler.
 */
#ifndef KEYSWITCH_KS_GATE_H_
#define KEYSWITCH_KS_GATE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <keyswitch/ks_limits.h>
#include <keyswitch/ks_tables.h>

/* No guard: every one that was asked holds. */
#define KS_NO_GUARD 0xFFFFu
/* No peer. Ids of peers begin at 1 and are never used again while the device runs: a reconnect is another peer. */
#define KS_NO_PEER 0u

/* A set of image pairs: bit N is pair N. */
#if KS_POLICY_PAIRS > 1
typedef uint8_t ks_pairs;
#else
typedef bool ks_pairs;
#endif

struct ks_hash {
	uint8_t size; /* 0 to KS_MAX_HASH */
	uint8_t bytes[KS_MAX_HASH];
};

/* The only images that may be armed, in rising order of their bytes and then sizes, each once. Not limited: any. */
struct ks_images {
	bool limited;
	uint8_t count;
	struct ks_hash hash[KS_MAX_IMAGES];
};

/* What an input is. */
struct ks_value {
	int32_t value;
	bool known;
};

/* One stay in maintenance. */
struct ks_session {
	uint32_t owner; /* KS_NO_PEER after that peer has gone, until somebody attaches */
	uint32_t idle_ms; /* the limit it was opened with, where that is shorter than the mode's own */
	uint8_t transition; /* the one that opened it; KS_NO_TRANSITION: opened under another policy */
	uint8_t proof; /* enum ks_proof */
	bool ending; /* over but for the revert of an unconfirmed trial */
	struct ks_images images;
};

/* Everything the machine knows. Begun by ks_state_init(); read it, never write it. */
struct ks_state {
	uint8_t mode;
	bool has_session;
	bool uploading;
	ks_pairs arming; /* what boots next, if not what runs */
	ks_pairs armed_permanent; /* means something while arming */
	ks_pairs armed_written; /* the trailer is in flash; else it is remembered only. Means something while arming */
	ks_pairs trial; /* what runs is on trial, and not confirmed */
	bool first_trial; /* of the first gated image, outside any session */
	bool reset_pending;
	bool service_shown;
	bool down; /* a reset was ordered: nothing is served until KS_BOOTED */
	uint32_t upload_owner; /* KS_NO_PEER after that peer has gone */
#if KS_HAS_QUIET
	uint32_t quiet; /* what stays inhibited until KS_TIMER_QUIET, over ks_policy.inhibits */
	uint32_t quiet_ms; /* how long after the last command that can change firmware */
#endif
	uint32_t connections[KS_MAX_CONNECTIONS]; /* peers; KS_NO_PEER: a free place */
	struct ks_value inputs[KS_INPUT_SLOTS];
	struct ks_session session; /* means something while has_session */
	/* By image pair: means something while arming, and to the effects of the step that asked for it. */
	struct ks_hash armed[KS_POLICY_PAIRS];
};

/* Through which service a request came. */
enum ks_service {
	KS_SERVICE_SMP = 0, /* the SMP service, a UDP socket, a serial line */
	KS_SERVICE_MODE = 1, /* the mode service: the mode group and nothing else */
};

/* Who asks, as the device itself knows it; never what the peer claims. */
struct ks_peer {
	uint32_t id;
	uint8_t security; /* enum ks_security: of the link now */
	uint8_t service; /* enum ks_service: of the request at hand */
};

enum ks_timer {
	KS_TIMER_TIMEOUT = 0,
	KS_TIMER_LEASE = 1,
	KS_TIMER_LEASE_MAX = 2,
	KS_TIMER_IDLE = 3,
	KS_TIMER_TRIAL = 4,
	KS_TIMER_RESET = 5,
	KS_TIMER_QUIET = 6, /* what was inhibited while firmware was worked on may go on */
};
#if KS_HAS_QUIET
#define KS_TIMERS 7u
#else
#define KS_TIMERS 6u
#endif

struct ks_record;
struct ks_unit;

/* What was found when the device came up. The caller has erased the record before it tells: single use. */
struct ks_boot {
	const struct ks_record *record; /* NULL: none, or none that can be understood */
	const struct ks_value *inputs; /* as many as the policy has; NULL: the initial values */
	const struct ks_unit *unit; /* for ks_device_boot(); it has to outlive the device. NULL: the policy says all */
	const uint8_t *holder; /* for ks_device_boot(): what was kept of ks_device.holder; NULL: nothing */
	/*
	 * By image pair: the image that runs. Of a pair in ks_policy.copied nobody can read that: there it is the image that
	 * lies in the other slot. Size 0: none.
	 */
	struct ks_hash running[KS_POLICY_PAIRS];
	uint8_t mode_before; /* what KS_PERSIST_MODE last kept; KS_NO_MODE if nothing */
	ks_pairs trial; /* those whose image runs on trial */
	bool blank; /* nothing was ever written to the store */
};

enum ks_event_kind {
	KS_BOOTED = 0,
	KS_CONNECTED = 1, /* peer.id: a Bluetooth LE central */
	KS_DISCONNECTED = 2, /* peer.id: any peer */
	KS_ENTER_PROVED = 3, /* peer, mode, proof, images */
	KS_ATTACH_PROVED = 4, /* peer */
	KS_LEAVE_ASKED = 5, /* peer */
	KS_EXTEND_ASKED = 6, /* peer */
	KS_INPUT_CHANGED = 7, /* input, value */
	KS_BUTTON_HELD = 8, /* hold_ms */
	KS_EXPIRED = 9, /* timer */
	KS_UPLOAD_STARTED = 10, /* peer, pair */
	KS_UPLOAD_ENDED = 11,
	KS_ARM_ASKED = 12, /* peer, image (computed over the slot), permanent, pair */
	KS_ARM_FAILED = 13, /* pair */
	KS_RESET_ASKED = 14, /* peer */
	KS_CONFIRM_ASKED = 15, /* peer, pair */
	KS_SELF_CONFIRMED = 16,
	KS_COMMAND_SERVED = 17, /* peer */
	/* peer: a command that can change firmware was let through and is about to be executed. Where a mode has a quiet_ms. */
	KS_FIRMWARE_COMMAND = 18,
};

/* One event; each kind uses the fields that stand beside it above. */
struct ks_event {
	const struct ks_boot *boot;
	const struct ks_images *images; /* NULL: no limit */
	const struct ks_hash *image;
	const uint8_t *holder; /* for ks_device_tell(): KS_ENTER_PROVED by a permit: its holder's key; else NULL */
	struct ks_peer peer;
	struct ks_value value;
	uint32_t hold_ms;
	uint8_t kind; /* enum ks_event_kind */
	uint8_t mode;
	uint8_t proof;
	uint8_t input;
	uint8_t timer;
	uint8_t pair; /* number of the image pair */
	bool permanent;
};

/* What the machine wants done, in this order; what touches flash is on the medium before the next one begins. */
enum ks_effect_kind {
	KS_START_TIMER = 0, /* arg: timer; value: milliseconds */
	KS_STOP_TIMER = 1, /* arg: timer */
	KS_DROP_QUEUED = 2, /* forget every request that was received and not yet executed */
	KS_DROP_REASSEMBLY = 3, /* forget every half-received frame */
	KS_DROP_UPLOAD = 4, /* arg: make what was written unusable as well */
	/* arg: permanent; value: image pair; of ks_state.armed. If the slot has another hash: KS_ARM_FAILED */
	KS_WRITE_TRAILER = 5,
	KS_DISARM = 6, /* value: image pair; only if the swap type is TEST or PERM, never during a trial */
	KS_CONFIRM_IMAGE = 7, /* value: image pair */
	KS_WRITE_SESSION_RECORD = 8, /* arg: image pairs, a bit set: their ks_state.armed must run afterwards */
	KS_CLEAR_SESSION_RECORD = 9,
	KS_MARK_STORE = 10, /* from here on the store is not blank */
	KS_PERSIST_MODE = 11, /* arg: mode; KS_NO_MODE: forget it */
	KS_RESET_NOW = 12,
	KS_END_CONNECTIONS = 13, /* value: places in ks_state.connections; arg: after the answer at hand */
	KS_SHOW_SERVICE = 14, /* arg: shown */
	KS_INHIBIT = 15, /* value: what the application must not do, over ks_policy.inhibits */
	KS_MODE_CHANGED = 16, /* arg: mode */
};

struct ks_effect {
	uint32_t value;
	uint8_t kind; /* enum ks_effect_kind */
	uint8_t arg;
};

/* Why an event or a command was refused. */
enum ks_why {
	KS_NOT_REFUSED = 0,
	KS_WHY_WRONG_MODE = 1, /* arg: mode */
	KS_WHY_NOBODY_ENTERED = 2,
	KS_WHY_GUARD = 3, /* guard, now */
	KS_WHY_NO_SUCH_INPUT = 4,
	KS_WHY_PROOF = 5,
	KS_WHY_EXPIRED = 6,
	KS_WHY_NOT_EXTENDED = 7,
	KS_WHY_LOCKED_OUT = 8, /* ms */
	KS_WHY_OWNER = 9,
	KS_WHY_SECURITY = 10, /* arg: enum ks_security */
	KS_WHY_RESETTING = 11,
	KS_WHY_FIRST_TRIAL = 12,
	KS_WHY_TRIAL_AT_ENTRY = 13,
	KS_WHY_TRIAL_RUNS = 14,
	KS_WHY_OTHER_CENTRAL = 15,
	KS_WHY_OTHER_LIMIT = 16,
	KS_WHY_OTHER_UPLOAD = 17,
	KS_WHY_UPLOAD_RUNS = 18,
	KS_WHY_OTHER_PENDING = 19,
	KS_WHY_APPLICATION_CONFIRMS = 20,
	KS_WHY_OPERATOR_CONFIRMS = 21,
	KS_WHY_NOT_IN_PERMIT = 22,
	KS_WHY_NOT_ON_THIS_SERVICE = 23,
	KS_WHY_TOO_MANY_CONNECTIONS = 24, /* of the device, not of the policy: end that connection */
	KS_WHY_USED_UP = 25, /* the permit's uses, or the room to count them */
	KS_WHY_OTHER_PAIR = 26, /* where image pairs are armed one by one */
};

struct ks_refusal {
	struct ks_value now; /* KS_WHY_GUARD: what its input is */
	uint32_t ms;
	uint16_t guard;
	uint8_t why; /* enum ks_why */
	uint8_t arg;
};

/* What one event did. Refused: the state is as before, and there are no effects. */
struct ks_step {
	struct ks_refusal refusal;
	uint16_t count;
	/* More was asked for than there is room for: the tables are not this core's. The only right thing is to reset. */
	bool overflow;
	struct ks_effect effects[KS_MAX_EFFECTS];
};

/* The state before KS_BOOTED: nothing is served in it. */
void ks_state_init(const struct ks_policy *policy, struct ks_state *state);

/* What `event` does in `state`. */
void ks_step(const struct ks_policy *policy, struct ks_state *state, const struct ks_event *event,
	     struct ks_step *step);

/*
 * Whether this peer's command may be executed now. What the policy's mode does not list is refused.
 * op is 0 (read) or 2 (write). An unknown command is answered with 8 (not supported) before the gate is asked.
 */
bool ks_authorise(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
		  uint16_t group, uint8_t id, uint8_t op, struct ks_refusal *refusal);

/*
 * Whether this peer may access the SMP characteristic and its configuration (CCC) now: to be asked at each access, with
 * KS_SERVICE_AUTHORIZE; with any other strategy always true. It judges what arrives; ks_authorise() judges what is
 * executed, under every strategy.
 */
bool ks_may_access_smp(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer);

/*
 * Whether a proved entry would be taken, without anything being tried: the transition, or why not.
 * peer: who would enter mode `to` by this kind of proof. Returns KS_NO_TRANSITION with *refusal set.
 */
uint8_t ks_entry_transition(const struct ks_policy *policy, const struct ks_state *state, const struct ks_peer *peer,
			    uint8_t to, uint8_t proof, struct ks_refusal *refusal);

/* Why ks_step() would refuse this KS_ENTER_PROVED, without anything being done. Built where KS_HAS_PERMIT. */
bool ks_would_refuse_enter(const struct ks_policy *policy, const struct ks_state *state, const struct ks_event *event,
			   struct ks_refusal *refusal);

/* The SMP code of a refusal: 11 (access denied), or 10 (busy) for contention inside maintenance. 0: not refused. */
uint8_t ks_refusal_rc(const struct ks_refusal *refusal);

/* The longest text of a refusal, with its zero: three names of 32 characters, two numbers and the words; or a reason. */
#if KS_REFUSAL_TEXTS
#define KS_REFUSAL_TEXT 112u
#else
#define KS_REFUSAL_TEXT 24u
#endif

/*
 * What `rsn` says, as UTF-8 with a zero behind it; returns its length. Longer texts are cut at `size`.
 * without_now: leave out the value that an input has now.
 */
size_t ks_refusal_text(const struct ks_policy *policy, const struct ks_refusal *refusal, bool without_now, char *text,
		       size_t size);

/* How long a stay in the mode may be idle, KS_NO_LIMIT if it may. */
uint32_t ks_idle_limit_ms(const struct ks_policy *policy, const struct ks_state *state);

/* The mode of that name; KS_NO_MODE if the policy has none. */
uint8_t ks_mode_by_name(const struct ks_policy *policy, const char *name, size_t size);

#endif
