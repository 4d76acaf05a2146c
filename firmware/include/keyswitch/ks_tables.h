/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as const tables. `keyswitch export zephyr` writes them; nothing else changes with the policy.
 *
 * Times are in milliseconds. Names are in flash for texts that people read; nothing is decided by one.
 */
#ifndef KEYSWITCH_KS_TABLES_H_
#define KEYSWITCH_KS_TABLES_H_

#include <stdbool.h>
#include <stdint.h>

#include <keyswitch/ks_abi.h>

/* No time limit. The longest limit that a policy can have is 30 days, well below it. */
#define KS_NO_LIMIT UINT32_MAX
/* No mode; also a name that this policy does not know. */
#define KS_NO_MODE 0xFFu
/* No transition. */
#define KS_NO_TRANSITION 0xFFu

/* The most kinds of proof that one transition takes: those that travel in requests. */
#define KS_PROOF_KINDS 3u

/* Sizes in bytes, as the mode group and the proofs have them. */
#define KS_POLICY_DIGEST_SIZE 32u
#define KS_ENTRY_SIZE 8u

/* How entry was proved; also bit numbers in ks_transition.proofs. The values are those of the session record. */
enum ks_proof {
	KS_PROOF_NONE = 0,
	KS_PROOF_SEQUENCE = 1,
	KS_PROOF_CHALLENGE = 2,
	KS_PROOF_PERMIT = 3,
	KS_PROOF_BUTTON = 4,
};

enum ks_security {
	KS_SECURITY_NONE = 0,
	KS_SECURITY_ENCRYPTED = 1,
	KS_SECURITY_AUTHENTICATED = 2,
};

/* Bit 0: less than the constant; bit 1: equal to it; bit 2: more. */
enum ks_compare {
	KS_LESS = 1,
	KS_EQUAL = 2,
	KS_AT_MOST = 3,
	KS_MORE = 4,
	KS_UNEQUAL = 5,
	KS_AT_LEAST = 6,
};

/* What sets a transition off. */
enum ks_trigger {
	KS_ON_ENTER = 0,
	KS_ON_LEAVE = 1,
	KS_ON_BUTTON = 2,
	KS_ON_INPUT = 3,
	KS_ON_TIMEOUT = 4,
	KS_ON_CONNECT = 5,
	KS_ON_DISCONNECT = 6,
	KS_ON_RESET = 7,
};

/* How the SMP service is shown on Bluetooth LE. */
enum ks_service_shown {
	KS_SERVICE_RECONNECT = 0,
	KS_SERVICE_LIVE = 1,
	KS_SERVICE_ALWAYS = 2,
	KS_SERVICE_AUTHORIZE = 3,
};

enum ks_confirm {
	KS_CONFIRM_OPERATOR = 0,
	KS_CONFIRM_SELF = 1,
	KS_CONFIRM_EITHER = 2,
};

/* ks_input.flags */
#define KS_INPUT_BOOL 0x01u
#define KS_INPUT_SAFETY 0x02u
/* ks_input.initial means something; else the input is unknown until it is reported. */
#define KS_INPUT_KNOWN 0x04u

struct ks_input {
	const char *name;
	int32_t initial;
	uint8_t flags;
};

/* A condition over one input. False while the input is unknown. A bool is 0 or 1. */
struct ks_guard {
	int32_t value;
	uint8_t input;
	uint8_t compare; /* enum ks_compare */
};

/* Commands of one group that a mode serves: bit N of a word is command id N. */
struct ks_allow {
	uint16_t group;
	uint32_t reads;
	uint32_t writes;
};

/* ks_mode.flags */
#define KS_MODE_MAINTENANCE 0x01u
/* Only the peer that entered may use the session. */
#define KS_MODE_OWNED 0x02u
/* Its lease can be extended. */
#define KS_MODE_EXTENDED 0x04u

/* Time limits that begin with a mode: enum ks_timer, from KS_TIMER_TIMEOUT to KS_TIMER_IDLE. */
#define KS_MODE_LIMITS 4u

struct ks_mode {
	const char *name;
	const struct ks_allow *allow;
	uint32_t inhibits; /* bit set over ks_policy.inhibits */
	uint32_t quiet_ms; /* they stay this long after the last command that can change firmware; 0: end with the mode */
	uint32_t limit_ms[KS_MODE_LIMITS]; /* by enum ks_timer; KS_NO_LIMIT: none */
	uint8_t allow_count;
	uint8_t security; /* enum ks_security */
	uint8_t flags;
};

/* ks_transition.flags */
#define KS_TRANSITION_HOLD 0x01u
#define KS_TRANSITION_DISCONNECT_OTHERS 0x02u

struct ks_transition {
	uint32_t sources; /* bit set over modes */
	uint32_t hold_ms;
	uint16_t guard; /* the first of its guards in ks_policy.guards */
	uint8_t guard_count;
	uint8_t target;
	uint8_t trigger; /* enum ks_trigger */
	uint8_t proofs; /* bit set over enum ks_proof; 0: nothing is to be proved */
	/* The same in the order of the file, which is the order that clients are told; the rest is 0. */
	uint8_t proof_list[KS_PROOF_KINDS];
	uint8_t security;
	uint8_t flags;
	/* Says which transition this is under any revision of the policy: for the session record. */
	uint8_t entry[KS_ENTRY_SIZE];
};

/* ks_policy.flags */
#define KS_POLICY_ARM_EARLY 0x01u
#define KS_POLICY_KEEP_UPLOAD 0x02u
/* Validity of permits in time is judged; else their uses are counted. */
#define KS_POLICY_TRUSTED_CLOCK 0x04u
/* Of several image pairs one is armed for each reset. */
#define KS_POLICY_ONE_BY_ONE 0x08u

struct ks_policy {
	const char *device_id;
	const char *name;
	const struct ks_input *inputs;
	const struct ks_mode *modes;
	const struct ks_transition *transitions; /* in the order of the file */
	const struct ks_guard *guards;
	const char *const *inhibits;
	uint32_t trial_deadline_ms;
	uint32_t sequence_window_ms;
	uint32_t lockout_first_ms;
	uint32_t lockout_max_ms;
	uint16_t lockout_free_tries;
	uint16_t max_permits; /* whose uses are kept: when so many are known, no new one is accepted */
	uint16_t company_id;
	uint16_t buf_size;
	uint8_t input_count;
	uint8_t mode_count;
	uint8_t transition_count;
	uint8_t inhibit_count;
	uint8_t initial_mode;
	uint8_t service; /* enum ks_service_shown */
	uint8_t confirm; /* enum ks_confirm */
	uint8_t sequence_steps;
	uint8_t flags;
	uint8_t pair_count; /* of image slots: 1 to KS_POLICY_PAIRS */
	uint8_t copied; /* bit set over them: what runs of these cannot be read */
	uint8_t digest[KS_POLICY_DIGEST_SIZE];
};

#endif
