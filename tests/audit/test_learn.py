"""A first policy file from what a device answers: read requests alone, and nothing that was not seen."""

import tomllib
from pathlib import Path

import pytest
from tests.audit.audits import PUMP, over

from keyswitch.audit.learn import READS, Looked, look, sketch
from keyswitch.audit.wire import Visit, key_name
from keyswitch.cli.audit_controls import LIMIT_S
from keyswitch.device.server.components import Components
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.link.air import clock
from keyswitch.policy.load import load
from keyswitch.smp.commands import resolve
from keyswitch.smp.header import Op
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import DeviceInProcess
from keyswitch.testing.holes.profiles import PROFILES


def looked(parts: Components | None = None) -> tuple[Looked, Looked]:
    """What the pump shows where it is found, and in maintenance; that nothing was changed is seen on the way."""

    async def story() -> tuple[Looked, Looked]:
        async with DeviceInProcess(over(PUMP, Transport.UDP), parts) as device:
            before = await device.look()
            visit = Visit(Transport.UDP, await device.ways[Transport.UDP].connect())
            outside = await look(visit)
            await device.set_input("motion", value=False)
            device.runtime.happen(InputChanged(name="motion", value=False))
            device.runtime.happen(ButtonHeld(hold_ms=5_000))
            await device.runtime.settled()
            inside = await look(visit)
            assert await device.look() == before
            return outside, inside

    return clock.run(story(), limit_s=LIMIT_S)


@pytest.fixture(scope="module")
def pump() -> tuple[Looked, Looked]:
    return looked()


def written(outside: Looked, inside: Looked | None, transport: Transport = Transport.UDP) -> str:
    return sketch("udp:192.0.2.7\n[x]", transport, outside, inside, tool="keyswitch 0", at="2026-11-28")


def test_only_read_requests_are_sent() -> None:
    assert {key.op for key in READS} == {Op.READ}


def test_what_was_answered_is_what_the_mode_allows(pump: tuple[Looked, Looked]) -> None:
    outside, inside = pump
    allowed = {key for key in PUMP.modes["normal"].allow if key in READS}
    assert outside.served == allowed
    policy = load(written(outside, inside).encode(), directory=Path())
    assert policy.modes["normal"].allow >= allowed
    assert {key for key in policy.modes["normal"].allow if key.op == Op.WRITE} <= resolve("mode")
    assert policy.modes["maintenance"].allow >= resolve("image") | inside.served
    assert (policy.smp.buf_size, policy.smp.buf_count) == (PUMP.smp.buf_size, PUMP.smp.buf_count)


def test_what_was_refused_stands_there_with_its_words(pump: tuple[Looked, Looked]) -> None:
    text = written(pump[0], None)
    assert f"# refused: {key_name(next(iter(resolve('image.slots'))))}: refused: wrong mode: normal" in text
    assert "nobody brought it there" in text


def test_an_ungated_server_shows_that_it_serves_more() -> None:
    outside, _ = looked(PROFILES["hook on upload chunks only"]())
    assert outside.served > resolve("stat")


def test_nothing_of_the_device_or_the_target_breaks_the_file(pump: tuple[Looked, Looked]) -> None:
    assert "x" not in tomllib.loads(written(*pump))
    nothing = Looked(served=frozenset(), refused={}, shows_smp=False)
    hidden = load(written(nothing, None, Transport.BLE).encode(), directory=Path())
    assert hidden.gate.service.value == "reconnect"
    assert hidden.modes["normal"].allow == frozenset()
