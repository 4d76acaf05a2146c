"""What a console does with a radio that another process uses."""

import asyncio
from pathlib import Path

import pytest

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign import radios
from keyswitch.campaign.radios import own_adapters
from keyswitch.console.bench import Act, Bench, BenchDevice, Card

TARGET = "hci:tcp-client:127.0.0.1:9#Pump 7"
"""Where nobody listens: whoever gets as far as that says so."""


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(radios, "locks_directory", lambda: tmp_path / "locks")
    return tmp_path


async def settled(bench: Bench) -> Card:
    (card,) = bench.cards.values()
    while card.under_way is not None or bench.radio.listens:
        await asyncio.sleep(0.01)
        (card,) = bench.cards.values()
    return card


@pytest.mark.parametrize("act", [Act.LOOK, Act.LEAVE])
def test_an_act_on_a_radio_that_another_process_uses_is_refused_and_says_who(act: Act, locks: Path) -> None:
    async def story() -> None:
        bench = Bench(
            [BenchDevice(request=UpdateRequest(target=TARGET))],
            radio="hci:tcp-client:127.0.0.1:9",
            request=None,
            policy=None,
            records=locks,
            now_ms=lambda: 0,
        )
        (key,) = bench.cards
        with own_adapters([TARGET], who="campaign tray"):
            bench.ask(key, act, 1, person="smith@bench")
            bench.listen()
            refused = await settled(bench)
        assert "hci:tcp-client:127.0.0.1:9: another process uses this adapter (process" in refused.refused
        assert ", campaign tray) (expected its end)" in refused.refused
        assert ", campaign tray)" in bench.radio.trouble
        bench.ask(key, act, 2, person="smith@bench")
        free = await settled(bench)
        assert "another process" not in free.refused
        await bench.close()
        with own_adapters([TARGET]):
            pass

    asyncio.run(story())
