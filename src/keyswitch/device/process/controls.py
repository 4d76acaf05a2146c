"""What the panel can do: one table of requests, each checked before anything happens.

{"do": "status"}                                  mode, lease_ms, gate, running, slots, ...
{"do": "set", "name": NAME, "value": TEXT}        an input, as a sensor would report it
{"do": "press", "hold_ms": N}                     the button
{"do": "confirm"}                                 the application says that the running image is good
{"do": "power-cycle"}                             RAM gone without clean-up
{"do": "advance", "ms": N}                        time passes at once, on a device in virtual time
{"do": "log"}                                     the newest events that one answer holds, and how many it leaves out
"""

import difflib
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from keyswitch.device.runtime.runtime import Runtime
from keyswitch.errors import InputError, KeyswitchError
from keyswitch.gate.events import ButtonHeld, Event, InputChanged, SelfConfirmed
from keyswitch.panel.protocol import MAX_LINE, PanelStatusJson
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import INT_MAX, INT_MIN, Input, Policy, Value

LOG_BYTES: Final = MAX_LINE - 256
"""For the events of one answer; the rest is for what is around them."""

_WHERE = "panel"
_BOOLS = {"true": True, "false": False}


class RefusedAtPanelError(KeyswitchError):
    """The gate refused what a person did at the device, or nothing runs there; says why."""


class Controls:
    """The panel's requests, carried out on a runtime."""

    def __init__(self, policy: Policy, runtime: Runtime) -> None:
        self._inputs = {each.name: each for each in policy.inputs}
        self._runtime = runtime
        self._requests: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "status": self._nothing,
            "set": self._set,
            "press": self._press,
            "confirm": self._confirm,
            "power-cycle": self._power_cycle,
            "advance": self._advance,
            "log": self._nothing,
        }

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; the answer is the status afterwards, or the log.

        Raises:
            InputError: the request makes no sense here; nothing was changed.
            RefusedAtPanelError: the gate refused it, or nothing runs that it could happen to.
        """
        name = request.get("do")
        act = self._requests.get(name) if isinstance(name, str) else None
        if act is None:
            raise InputError(_WHERE, f"cannot do {name!r}", " or ".join(self._requests))
        await act(request)
        await self._runtime.settled()
        return _newest(self._runtime.log) if name == "log" else {**self.status()}

    def status(self) -> PanelStatusJson:
        """Mode, gate, lease, what runs and what the slots hold."""
        return self._runtime.status()

    async def _nothing(self, request: dict[str, Any]) -> None:
        del request

    async def _set(self, request: dict[str, Any]) -> None:
        known = self._input(str(request.get("name", "")))
        # What a sensor reads is so whether anything runs or not; the next boot reads it.
        self._tell(InputChanged(name=known.name, value=_value(known, request.get("value"))))

    def _happen(self, event: Event) -> None:
        if not self._runtime.powered:
            raise RefusedAtPanelError("nothing runs here that this could happen to")
        self._tell(event)

    def _tell(self, event: Event) -> None:
        refused = self._runtime.happen(event)
        if refused is not None:
            raise RefusedAtPanelError(refused.text)

    async def _press(self, request: dict[str, Any]) -> None:
        self._happen(ButtonHeld(hold_ms=_milliseconds(request, "hold_ms")))

    async def _confirm(self, request: dict[str, Any]) -> None:
        del request
        self._happen(SelfConfirmed())

    async def _power_cycle(self, request: dict[str, Any]) -> None:
        del request
        await self._runtime.power_cycle()

    async def _advance(self, request: dict[str, Any]) -> None:
        self._runtime.advance(_milliseconds(request, "ms"))

    def _input(self, name: str) -> Input:
        known = self._inputs.get(name)
        if known is None:
            near = difflib.get_close_matches(name, self._inputs, n=1)
            expected = f"{near[0]}?" if near else " or ".join(self._inputs) or "no input: the policy declares none"
            raise InputError(_WHERE, f"no input {name!r}", expected)
        return known


def _newest(log: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """As much of the log as one answer holds: the newest events, oldest first, and how many older ones it lacks."""
    events = list(log)
    room = LOG_BYTES
    for kept, event in enumerate(reversed(events)):
        room -= len(json.dumps(event)) + len(", ")
        if room < 0:
            return {"log": events[len(events) - kept :], "left_out": len(events) - kept}
    return {"log": events, "left_out": 0}


def _milliseconds(request: dict[str, Any], key: str) -> int:
    value = request.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(_WHERE, f"{key} is {value!r}", "milliseconds, 0 or more")
    return value


def _value(known: Input, given: object) -> Value:
    text = str(given).strip().lower()
    if known.type is InputType.BOOL:
        if text not in _BOOLS:
            raise InputError(_WHERE, f"{known.name} cannot be {given!r}", "true or false")
        return _BOOLS[text]
    try:
        number = int(text)
    except ValueError:
        number = INT_MAX + 1
    if not INT_MIN <= number <= INT_MAX:
        expected = f"a whole number from {INT_MIN} to {INT_MAX}"
        raise InputError(_WHERE, f"{known.name} cannot be {given!r}", expected) from None
    return number
