"""The numbers by which the firmware's core knows the words of a policy (`firmware/include/keyswitch/ks_tables.h`).

Each table is written once, here and there; the tests of the firmware compare what both sides make of it. `ABI` grows
with every change of the tables' form or meaning: tables of another number do not compile.
"""

from collections.abc import Mapping
from typing import Final

from keyswitch.gate import record_bytes
from keyswitch.gate.events import Timer
from keyswitch.policy.enums import Compare, Confirm, ProofKind, Visibility
from keyswitch.policy.model import (
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnInput,
    OnLeave,
    OnReset,
    OnTimeout,
    Trigger,
)
from keyswitch.terms import Security

ABI: Final = 3
"""`KS_ABI` of the core that these tables are for."""

PROOFS: Final[Mapping[ProofKind | None, int]] = {kind: number for number, kind in enumerate(record_bytes.PROOFS)}
"""`enum ks_proof`; also the numbers of the session record's bytes."""

SECURITY: Final[Mapping[Security, str]] = {
    Security.NONE: "KS_SECURITY_NONE",
    Security.ENCRYPTED: "KS_SECURITY_ENCRYPTED",
    Security.AUTHENTICATED: "KS_SECURITY_AUTHENTICATED",
}

COMPARE: Final[Mapping[Compare, str]] = {
    Compare.EQUAL: "KS_EQUAL",
    Compare.UNEQUAL: "KS_UNEQUAL",
    Compare.LESS: "KS_LESS",
    Compare.AT_MOST: "KS_AT_MOST",
    Compare.MORE: "KS_MORE",
    Compare.AT_LEAST: "KS_AT_LEAST",
}

TRIGGERS: Final[Mapping[type[Trigger], str]] = {
    OnEnter: "KS_ON_ENTER",
    OnLeave: "KS_ON_LEAVE",
    OnButton: "KS_ON_BUTTON",
    OnInput: "KS_ON_INPUT",
    OnTimeout: "KS_ON_TIMEOUT",
    OnConnect: "KS_ON_CONNECT",
    OnDisconnect: "KS_ON_DISCONNECT",
    OnReset: "KS_ON_RESET",
}

SERVICE: Final[Mapping[Visibility, str]] = {
    Visibility.RECONNECT: "KS_SERVICE_RECONNECT",
    Visibility.LIVE: "KS_SERVICE_LIVE",
    Visibility.ALWAYS: "KS_SERVICE_ALWAYS",
    Visibility.AUTHORIZE: "KS_SERVICE_AUTHORIZE",
}

CONFIRM: Final[Mapping[Confirm, str]] = {
    Confirm.OPERATOR: "KS_CONFIRM_OPERATOR",
    Confirm.SELF: "KS_CONFIRM_SELF",
    Confirm.EITHER: "KS_CONFIRM_EITHER",
}

TIMERS: Final[Mapping[Timer, int]] = {
    Timer.TIMEOUT: 0,
    Timer.LEASE: 1,
    Timer.LEASE_MAX: 2,
    Timer.IDLE: 3,
    Timer.TRIAL: 4,
    Timer.RESET: 5,
    Timer.QUIET: 6,
}
"""`enum ks_timer`."""
