"""Entry into a mode of our own devices, and the way out, by the mode group.

Rules:

* The proof is made for a nonce that the device gave for this very request; nothing is stored or reused.
* Nothing is proved to another device than the one that is meant, where the caller knows which.
* A refusal is a value. Entering again after a lost answer is safe: the device takes it for the same entry.
* What proves it is handed in (`host.access.credentials`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from keyswitch.errors import RemoteError
from keyswitch.host.access.credentials import Credential
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal
from keyswitch.policy.digest import FILE_FORM, POLICY_FORM
from keyswitch.proof import challenge, fields
from keyswitch.smp.groups import mode
from keyswitch.text import plain

MOST_STEPS = 32
"""Steps of a sequence after which it is the device that does not know when to stop."""

ENTER_MS = 5_000
"""Bound for one answer of the mode group: checking a signature on a small part takes up to a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReply:
    """The device is in the mode asked for.

    Attributes:
        session: correlation token that it will be known by.
        reconnect: whether it ends this connection and comes back.
        address: where to look for it then, None if at the same one.
        lease_ms: how long the mode lasts, None if without end.
        by: the kind of proof.
    """

    session: bytes
    reconnect: bool
    address: str | None
    lease_ms: int | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the device wants proved.

    Attributes:
        nonce: to be answered.
        device: identity that the proof must name.
        proofs: kinds that it takes.
    """

    nonce: bytes
    device: str
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotProve:
    """The device takes other kinds of proof than we have. Nothing was sent."""

    wanted: tuple[str, ...]
    have: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The device that is meant, as its policy file tells.

    Attributes:
        device: identity that its challenges name.
        policy: what its mode group tells of its rules: the first bytes of the policy's digest.
        file: what a device tells instead whose program is of before policies had a form: the first bytes of the
            SHA-256 of this very file; empty if that is not known.
    """

    device: str
    policy: bytes
    file: bytes = b""

    def form_of(self, told: bytes) -> int | None:
        """The form in which a device tells this policy: `POLICY_FORM`, `FILE_FORM`; None: it tells another policy."""
        if told == self.policy:
            return POLICY_FORM
        return FILE_FORM if self.file and told == self.file else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDevice:
    """Another device than the one that is meant answers. Nothing was proved to it."""

    expected: str
    answered: str


async def ask_challenge(client: SmpClient, to: str) -> Asked | Refusal:
    """Ask for a nonce for entering the mode `to`."""
    reply = await client.read(mode.ID, mode.Id.CHALLENGE, {"to": to}, timeout_ms=ENTER_MS)
    if isinstance(reply, Refusal):
        return reply
    nonce, device, proofs = (reply.values.get(key) for key in ("nonce", "device", "proofs"))
    if not isinstance(nonce, bytes) or not isinstance(device, str) or not isinstance(proofs, list):
        raise RemoteError(f"the device's challenge is none: {dict(reply.values)!r}")
    return Asked(nonce=nonce, device=device, proofs=tuple(plain(str(proof)) for proof in cast("list[object]", proofs)))


async def enter(
    client: SmpClient, to: str, credentials: Sequence[Credential], *, expected: Expected | None = None
) -> EntryReply | Refusal | CannotProve | OtherDevice:
    """Enter the mode `to` by the first of the credentials that the device takes.

    Args:
        client: for the mode group.
        to: the mode.
        credentials: in the order of preference.
        expected: the device that is meant; no proof is made for another. None: whichever answers.

    Raises:
        LinkLostError: the link went away; whether the device entered is not known, and asking again is safe.
        RemoteError: the device answers what the mode group does not say.
    """
    told = await _prove(client, mode.Id.ENTER, to, credentials, expected=expected)
    if isinstance(told, Refusal | CannotProve | OtherDevice):
        return told
    values, by = told
    session, lease_ms, address = values.get("session"), values.get("lease_ms"), values.get("address")
    return EntryReply(
        session=session if isinstance(session, bytes) else b"",
        reconnect=values.get("reconnect") is True,
        address=address if isinstance(address, str) else None,
        lease_ms=lease_ms if isinstance(lease_ms, int) else None,
        by=by,
    )


async def attach(
    client: SmpClient, to: str, session: bytes, credentials: Sequence[Credential], *, expected: Expected | None = None
) -> Refusal | CannotProve | OtherDevice | None:
    """Prove that the session of the mode `to` is ours, on a new connection; None if the device agreed.

    Args:
        client: for the mode group.
        to: the session's mode.
        session: its correlation token.
        credentials: the session takes the kind of proof that it was entered with.
        expected: the device that is meant; no proof is made for another. None: whichever answers.
    """
    told = await _prove(client, mode.Id.ATTACH, to, credentials, session=session, expected=expected)
    return told if isinstance(told, Refusal | CannotProve | OtherDevice) else None


async def _prove(
    client: SmpClient,
    command: mode.Id,
    to: str,
    credentials: Sequence[Credential],
    *,
    session: bytes = b"",
    expected: Expected | None,
) -> tuple[Mapping[str, Any], str] | Refusal | CannotProve | OtherDevice:
    """Ask what is wanted, prove it, in as many steps as it takes; the last answer and the kind of proof."""
    asked = await ask_challenge(client, to)
    if isinstance(asked, Refusal):
        return asked
    if expected is not None and asked.device != expected.device:
        return OtherDevice(expected=expected.device, answered=asked.device)
    credential = next((one for one in credentials if one.kind in asked.proofs), None)
    if credential is None:
        return CannotProve(wanted=asked.proofs, have=tuple(one.kind for one in credentials))
    purpose = challenge.Purpose.ATTACH if command is mode.Id.ATTACH else challenge.Purpose.ENTER
    answered = challenge.Challenge(nonce=asked.nonce, device=asked.device, mode=to, purpose=purpose, session=session)
    named = {"to": to} if command is mode.Id.ENTER else {}
    for step in range(1, MOST_STEPS + 1):
        body = {**named, fields.PROOF: credential.kind, **credential.fields(answered, step)}
        reply = await client.write(mode.ID, command, body, timeout_ms=ENTER_MS)
        if isinstance(reply, Refusal):
            return reply
        if not reply.values.get("left"):
            return reply.values, credential.kind
    raise RemoteError(f"the device still wants steps after {MOST_STEPS}")


async def extend(client: SmpClient) -> int | Refusal | None:
    """Start the mode's lease again; what is left of it then in milliseconds, None where the device does not say.

    Raises:
        LinkLostError: the link went away; asking again is safe.
        RemoteError: the device answers what the mode group does not say.
    """
    reply = await client.write(mode.ID, mode.Id.EXTEND, timeout_ms=ENTER_MS)
    if isinstance(reply, Refusal):
        return reply
    lease_ms = reply.values.get("lease_ms")
    return lease_ms if isinstance(lease_ms, int) and not isinstance(lease_ms, bool) else None


async def leave(client: SmpClient) -> Refusal | None:
    """Leave the mode; None if the device agreed. Having left already is as good."""
    reply = await client.write(mode.ID, mode.Id.LEAVE, timeout_ms=ENTER_MS)
    return reply if isinstance(reply, Refusal) else None
