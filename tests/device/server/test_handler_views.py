"""Handlers see of the device what their group needs, and nothing beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from inspect import signature
from typing import Any, get_type_hints

from keyswitch.device.events import ClockSet, DeviceEvent
from keyswitch.device.server import entry_proofs
from keyswitch.device.server.core import Core, Counts
from keyswitch.device.server.dispatch import HANDLERS
from keyswitch.device.server.handlers import basic, clock, settings, stat, views
from keyswitch.device.server.reply import DONE, Call
from keyswitch.gate.peer import Peer
from keyswitch.terms import Transport

PEER = Peer(id=1, transport=Transport.UDP)


def call(body: dict[str, Any], now_ms: int = 0) -> Call:
    return Call(PEER, body, now_ms)


def device_of(handler: Callable[..., Any]) -> object:
    """What a handler's first parameter is said to be."""
    return get_type_hints(handler)[next(iter(signature(handler).parameters))]


def test_every_handler_is_given_a_view() -> None:
    assert HANDLERS
    for key, each in HANDLERS.items():
        view = device_of(each.handler)
        assert view is object or getattr(view, "__module__", "") == views.__name__, key


def test_proofs_are_checked_through_a_view() -> None:
    for function in (
        entry_proofs.check,
        entry_proofs.kept_by_owner,
        entry_proofs.spend,
        entry_proofs.why_shut,
        entry_proofs.kinds_into,
    ):
        assert device_of(function) is views.ModeView


def test_the_whole_device_is_no_view() -> None:
    def handler(core: Core, _call: Call) -> None: ...

    assert getattr(device_of(handler), "__module__", "") != views.__name__


@dataclass
class Values:
    settings: dict[str, bytes] = field(default_factory=dict)


def test_settings_need_their_values_alone() -> None:
    device = Values()
    assert settings.write(device, call({"name": "app/a", "val": b"1"})) == DONE
    assert settings.read(device, call({"name": "app/a"})) == {"val": b"1"}
    assert basic.erase_storage(device, call({})) == DONE
    assert device.settings == {}


@dataclass
class Clock:
    clock: tuple[datetime, int] | None = None
    noted: list[DeviceEvent] = field(default_factory=list)

    def note(self, event: DeviceEvent) -> None:
        self.noted.append(event)


def test_the_clock_needs_its_time_and_somebody_to_tell() -> None:
    device = Clock()
    assert clock.write(device, call({"datetime": "2026-11-28T12:00:00"}, now_ms=5_000)) == DONE
    assert clock.read(device, call({}, now_ms=65_000)) == {"datetime": "2026-11-28T12:01:00"}
    assert [type(event) for event in device.noted] == [ClockSet]


def test_statistics_need_the_counts_alone() -> None:
    @dataclass
    class Counted:
        counts: Counts

    told = stat.show(Counted(Counts(received=7)), call({"name": stat.GROUP}))
    assert isinstance(told, dict)
    assert told["fields"]["received"] == 7
