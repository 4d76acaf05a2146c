"""The parts of docs/gatt.md that come from runs: `python -m tests.link.gatt_doc` writes them, a test compares them."""

import asyncio
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.link.phones import ENTER_HOLD_MS, IDLE_S, PHONES, STAGES, Phone, experience
from tests.link.recording import Recording

from keyswitch.demo import workshop
from keyswitch.demo.workshop import Workshop
from keyswitch.gate.events import ButtonHeld
from keyswitch.link.air import clock
from keyswitch.policy.model import Visibility
from keyswitch.testing.world import VirtualWorld

DOCUMENT = Path(__file__).parents[2] / "docs" / "gatt.md"
LIMIT_S = 3_000.0

CHARTS = {
    "reconnect": (Visibility.RECONNECT, "discovers on connect"),
    "live, watching": (Visibility.LIVE, "watches, caches robustly"),
    "live, not watching": (Visibility.LIVE, "caches robustly only"),
    "authorize": (Visibility.AUTHORIZE, "discovers on connect"),
}


def table(pump: Workshop) -> str:
    """What each central meets at each stage under each strategy."""
    lines = [f"| strategy | central | {' | '.join(STAGES)} |", "|---" * (2 + len(STAGES)) + "|"]
    for service in Visibility:
        for name, habits in PHONES.items():
            story = experience(pump.policy, pump.old.read_bytes(), service, habits)
            met = clock.run(story, limit_s=LIMIT_S)
            lines.append(f"| `{service.value}` | {name} | {' | '.join(met)} |")
    return "\n".join(lines)


async def _story(pump: Workshop, service: Visibility, name: str) -> str:
    policy = replace(pump.policy, gate=replace(pump.policy.gate, service=service))
    async with VirtualWorld(policy, pump.old.read_bytes()) as world:
        recording = Recording(world)
        phone = Phone(world, PHONES[name])
        recording.note("normal mode: connects")
        await phone.connect()
        if phone.sees_smp:
            recording.note(f"asks for slot info: {await phone.try_smp()}")
        recording.note("the button is held: maintenance begins")
        world.device.happen(ButtonHeld(hold_ms=ENTER_HOLD_MS))
        await asyncio.sleep(1)
        if phone.link.closed:
            recording.note("the device ends the connection and comes back with the SMP service: connects again")
            await phone.reconnect()
        recording.note(f"asks for slot info: {await phone.try_smp()}")
        if not phone.sees_smp:
            recording.note("connects again")
            await phone.reconnect()
            recording.note(f"asks for slot info: {await phone.try_smp()}")
        await asyncio.sleep(IDLE_S)
        recording.note("maintenance has ended by itself")
        recording.note(f"asks for slot info: {await phone.try_smp()}")
        return recording.chart()


def parts(pump: Workshop) -> dict[str, str]:
    """Every generated part, by its name."""
    found = {"experience": table(pump)}
    for title, (service, name) in CHARTS.items():
        found[f"chart {title}"] = clock.run(_story(pump, service, name), limit_s=LIMIT_S)
    return found


def inserted(text: str, name: str, part: str) -> str:
    """The document with one part replaced. Parts stand between `<!-- NAME -->` and `<!-- end -->`."""
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert pattern.search(text), f"no place for {name}"
    return pattern.sub(lambda match: match[1] + part + "\n" + match[2], text)


def main() -> None:
    """Write the parts into the document."""
    with tempfile.TemporaryDirectory() as directory:
        payload = Path(directory) / "payload.bin"
        payload.write_bytes(bytes(range(256)) * 64)
        made = parts(workshop.make(Path(directory), payload))
    text = DOCUMENT.read_text()
    for name, part in made.items():
        text = inserted(text, name, part)
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
