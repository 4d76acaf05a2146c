"""One look at a device: connect, ask, go."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from keyswitch.app.endpoints import AskPasskey, open_endpoint
from keyswitch.errors import RemoteError, SilenceError
from keyswitch.host.access.policy_profile import expected_of, ways_in_words
from keyswitch.host.access.strategy import OtherPolicy, other_policy
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.stale_table import cure, what_is_stale
from keyswitch.host.connect.verdict import Gate, Given, Verdict, advised, verdict_of_failed_connect
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import SlotInfo, read_slots
from keyswitch.host.smp.reply import Refusal
from keyswitch.host.smp.slots import MARKED_STEP, marked_of, marked_words, trial_of
from keyswitch.link.ports import PairingNumbers
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason
from keyswitch.terms import Security


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look showed.

    Attributes:
        verdict: on the gate.
        other: that it does not obey the policy that is meant; None if it does, or nothing was told.
        security: what the Bluetooth LE link was worth; None elsewhere, and where the system does not say.
        policy_form: the form in which it tells the policy that is meant (`Expected.form_of`); None: it does not.
    """

    verdict: Verdict
    other: OtherPolicy | None = None
    security: Security | None = None
    policy_form: int | None = None


async def status(
    target: str,
    *,
    policy: Policy | None = None,
    pair: bool = False,
    passkey: int | None = None,
    bonds: Path | None = None,
    ask_passkey: AskPasskey | None = None,
    numbers: PairingNumbers | None = None,
) -> Looked:
    """Whether the device that `target` names would take an update now, if not why, and what to do. Changes nothing.

    Args:
        target: as `keyswitch status` takes it: `ble:NAME`, `udp:HOST`, ….
        policy: what the device is thought to obey; makes the next step more exact.
        pair: as `open_endpoint` takes it, and so are the others.
        passkey: the six digits that the device shows.
        bonds: file that keeps the keys of a radio of ours.
        ask_passkey: asks a person for the six digits.
        numbers: shows that person numbers, to be compared or typed on the device.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        InputError: the target names nothing that can be reached, or several devices.
    """
    endpoint = open_endpoint(target, pair=pair, passkey=passkey, bonds=bonds, ask_passkey=ask_passkey, numbers=numbers)
    return await look(endpoint, policy)


async def look(endpoint: Endpoint, policy: Policy | None = None) -> Looked:
    """The verdict on the device behind `endpoint`; closes what it opened.

    Args:
        endpoint: the way to the device.
        policy: what the device is thought to obey; makes the next step more exact.

    Raises:
        LinkLostError: the device was not reached, or the link ended meanwhile.
        InputError: the target names several devices.
    """
    try:
        verdict, security = await _found_out(endpoint)
    finally:
        await endpoint.close()
    verdict = _with_slots(verdict)
    given = Given(entry="policy" if policy is not None else "", pair=endpoint.pair, radio=endpoint.radio)
    verdict = replace(verdict, next_step=advised(verdict.reason, verdict.next_step, given))
    if policy is None:
        return Looked(verdict=verdict, security=security)
    expected = expected_of(policy)
    other = other_policy(expected, verdict)
    form = None if verdict.state is None else expected.form_of(verdict.state.policy)
    if other is not None:
        verdict = replace(verdict, next_step=other.next_step)
        return Looked(verdict=verdict, other=other, policy_form=form, security=security)
    if form is not None:
        verdict = _named(verdict, policy)
    words = ""
    if verdict.mode is not None and verdict.reason in {Reason.WRONG_MODE, Reason.GUARD}:
        words = ways_in_words(policy, verdict.mode)
    verdict = replace(verdict, next_step=words or verdict.next_step)
    return Looked(verdict=verdict, policy_form=form, security=security)


def _named(verdict: Verdict, policy: Policy) -> Verdict:
    """The verdict with the name of its guard's input, from a device that tells the input's place alone."""
    if verdict.guard is None:
        return verdict
    guard = verdict.guard.named([(each.name, each.type is InputType.BOOL) for each in policy.inputs])
    return replace(verdict, guard=guard, detail=guard.words)


def _with_slots(verdict: Verdict) -> Verdict:
    """The verdict with what the list of the slots says of the next image; the gate alone does not tell that."""
    if verdict.gate is not Gate.OPEN:
        return verdict
    if (trial := trial_of(verdict.slots)) is not None:
        shut = replace(verdict, gate=Gate.SHUT, reason=Reason.NO_SLOT, detail=trial.words)
        return replace(shut, next_step=trial.next_step)
    if (marked := marked_of(verdict.slots)) is not None:
        # Some servers take another image over it, some do not: that is seen when it is sent.
        return replace(verdict, detail=f"but {marked_words(marked)}", next_step=MARKED_STEP)
    return verdict


async def _found_out(endpoint: Endpoint) -> tuple[Verdict, Security | None]:
    try:
        connection = await endpoint.connect()
    except RemoteError as error:
        return verdict_of_failed_connect(error), None
    try:
        verdict = await probe_gate(connection)
        security = connection.gatt.security if connection.gatt is not None else None
        stale = what_is_stale(connection, is_open=verdict.state is not None and verdict.state.open)
        if stale:
            step = cure(connection, sys.platform)
            return replace(verdict, gate=Gate.UNKNOWN, reason=None, detail=stale, next_step=step), security
        if verdict.slots is not None or connection.smp is None or verdict.reason is Reason.SILENCE:
            return verdict, security
        return replace(verdict, slots=await _slots(connection.smp)), security
    finally:
        await connection.close()


async def _slots(client: SmpClient) -> tuple[SlotInfo, ...] | None:
    """What lies in the slots; a device whose gate is shut may tell that all the same, and need not."""
    try:
        slots = await read_slots(client)
    except (SilenceError, RemoteError):
        return None
    return None if isinstance(slots, Refusal) else slots
