"""Audits of devices in this process, in virtual time."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyswitch.audit.catalogue import Check
from keyswitch.audit.checks import BY_ID
from keyswitch.audit.run import Audited, Auditor, Permitted
from keyswitch.audit.target import Target
from keyswitch.cli.audit_controls import LIMIT_S, device_for, target_in_process
from keyswitch.device.server.components import Components
from keyswitch.link.air import clock
from keyswitch.policy.enums import SessionRule
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import resolve
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import DeviceInProcess

PUMP_FILE = Path(__file__).parents[2] / "examples" / "pump" / "policy.toml"
PUMP = read_policy(PUMP_FILE)


def with_maintenance(policy: Policy, **changes: Any) -> Policy:
    """The policy with another maintenance mode."""
    changed = replace(policy.modes["maintenance"], **changes)
    return replace(policy, modes={**policy.modes, "maintenance": changed})


def over(policy: Policy, *transports: Transport) -> Policy:
    """The policy over these transports alone."""
    return replace(policy, smp=replace(policy.smp, transports=transports))


EVERYTHING = resolve("settings") | resolve("basic") | resolve("fs") | resolve("shell")
WIDE = with_maintenance(PUMP, allow=PUMP.modes["maintenance"].allow | EVERYTHING)
"""A pump whose maintenance serves every group: an effect of each command can be seen."""

OWNED = with_maintenance(WIDE, session=SessionRule.OWNER)


def _without_pairing() -> Policy:
    text = PUMP_FILE.read_text("utf-8")
    for block in (
        '[modes.pairing]\nallow = ["mode"]\ntimeout_s = 60\n',
        '[[transitions]]\nfrom = ["normal"]\nto = "pairing"\non = "button"\nhold_s = 2\n',
        '[[transitions]]\nfrom = ["pairing"]\nto = "normal"\non = "timeout"\n',
        ', "pairing"',
    ):
        assert text.count(block) == 1
        text = text.replace(block, "")
    return load(text.encode(), directory=PUMP_FILE.parent)


SMALL = _without_pairing()
"""The pump with two modes outside maintenance: one that is entered by itself, and one by a hand."""

CHEAP = over(
    with_maintenance(SMALL, allow=WIDE.modes["maintenance"].allow, session=SessionRule.OWNER),
    Transport.BLE,
    Transport.UDP,
)
"""Whatever can be broken is broken over these two: a radio with two services, and packets of several frames."""


def audit(
    policy: Policy,
    checks: Iterable[str],
    parts: Components | None = None,
    *,
    permitted: Permitted | None = None,
    of: Callable[[Target], Target] = lambda target: target,
    at: Callable[[DeviceInProcess], None] = lambda _device: None,
    say: Callable[[str], None] = lambda _text: None,
    **device: Any,
) -> Audited:
    """Audit a device in this process.

    Args:
        policy: what it obeys, and is declared to.
        checks: ids.
        parts: what the device is made of.
        permitted: what the checks may do; None: all of it.
        of: changes what the auditor is given.
        at: changes the device.
        say: told what a person should read.
        device: what the device is like besides.
    """
    chosen: list[Check] = [BY_ID[check] for check in checks]

    async def story() -> Audited:
        async with device_for(chosen)(policy, parts, **device) as made:
            at(made)
            auditor = Auditor(
                of(target_in_process(made)),
                chosen,
                permitted=permitted or Permitted(irreversible=True, resets=True),
                say=say,
                progress=lambda _words, _step, _steps: None,
            )
            return await auditor.run()

    return clock.run(story(), limit_s=LIMIT_S)


def verdicts(audited: Audited) -> dict[str, str]:
    """The verdict of each check."""
    return {found.check: found.verdict.value for found in audited.found}


def blind(target: Target) -> Target:
    """An auditor that sees no more than SMP shows."""
    return replace(target, eye=None)
