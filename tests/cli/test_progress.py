import asyncio
import sys
from dataclasses import replace

import pytest

from keyswitch.cli.progress import Out, Terminal, shown
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading
from keyswitch.host.update.job import Outcome, Result
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.uploader import UploadProgress
from keyswitch.link.air.clock import run

FIND = StepBegun(name=StepName.FIND, says="find the device and connect", at_ms=0)
FOUND = StepDone(name=StepName.FIND, at_ms=5_000, duration_ms=5_000)


def told(*events: Event | float) -> None:
    """Show events; numbers are seconds between them."""

    async def story() -> None:
        show = Terminal(Out()).show
        for event in events:
            if isinstance(event, float):
                await asyncio.sleep(event)
            else:
                show(event)

    run(story())


def uploading(off: int, size: int) -> Uploading:
    return Uploading(progress=UploadProgress(off=off, size=size, bytes_per_second=1000, remaining_ms=None), at_ms=0)


def test_a_slow_step_is_named_while_it_goes_on(capsys: pytest.CaptureFixture[str]):
    told(FIND, 5.0, FOUND, 5.0)
    assert capsys.readouterr().out.splitlines() == [
        "    2.00 s  find                     still working: find the device and connect",
        "    5.00 s  find                     done in 5.00 s",
    ]


def test_a_step_says_how_it_ended(capsys: pytest.CaptureFixture[str]):
    failed = StepFailed(name=StepName.ENTER, at_ms=1_000, duration_ms=90, why="guard", refused=True)
    none = [StepDone(name=each, at_ms=0, duration_ms=None) for each in (StepName.FIND, StepName.HEALTH)]
    told(*none, failed, replace(failed, why="gone", refused=False))
    assert capsys.readouterr().out.splitlines() == [
        "    0.00 s  find                     already done",
        "    0.00 s  health check             none was asked for",
        "    1.00 s  enter                    refused: guard",
        "    1.00 s  enter                    not done: gone",
    ]


def test_a_quick_step_is_one_line(capsys: pytest.CaptureFixture[str]):
    told(FIND, 1.9, FOUND, 5.0)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_terminal_shows_the_step_at_once_and_puts_its_end_in_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    told(FIND, FOUND)
    note, _, rest = capsys.readouterr().out.partition("\r\x1b[K")
    assert note == "    0.00 s  find                     find the device and connect …"
    assert rest.splitlines() == ["    5.00 s  find                     done in 5.00 s"]


def test_each_image_has_its_tenths(capsys: pytest.CaptureFixture[str]):
    for second in (1000, 2000):
        told(*(uploading(off, size) for size in (1000, second) for off in range(0, size + 1, size // 20)))
        assert len(capsys.readouterr().out.splitlines()) == 2 * 11


def test_what_a_loss_takes_back_is_not_told_again(capsys: pytest.CaptureFixture[str]):
    told(uploading(495, 1000), uploading(505, 1000), uploading(495, 1000), uploading(505, 1000))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_quiet_still_says_what_a_person_has_to_do(capsys: pytest.CaptureFixture[str]):
    show = shown(as_json=False, quiet=True)
    for event in (FIND, Message(text="Press the button.", at_ms=0), FOUND):
        show(event)
    show(Ended(result=Result(outcome=Outcome.CONFIRMED), at_ms=0))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("confirmed\n", "Press the button.\n")


def test_what_the_output_cannot_spell_is_spelt_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "write", narrow(sys.stdout.write))
    Out().write("Pump é")
    assert "Pump \\xe9" in capsys.readouterr().out


def narrow(write: object) -> object:
    def narrowed(text: str) -> object:
        text.encode("ascii")
        assert callable(write)
        return write(text)

    return narrowed


def test_a_step_that_takes_long_is_named_again(capsys: pytest.CaptureFixture[str]):
    told(FIND, 200.0, FOUND, 500.0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["2.00", "10.00", "30.00", "60.00", "120.00", "180.00", "5.00"]
    assert all("still working: find the device" in line for line in lines[:-1])


def test_an_upload_that_does_not_move_says_since_when(capsys: pytest.CaptureFixture[str]):
    stands = replace(uploading(500, 1000), at_ms=12_340)
    told(stands, 77.0, uploading(600, 1000), 9.9, uploading(1000, 1000), 500.0)
    assert capsys.readouterr().out.splitlines()[1:4] == [
        "   22.34 s  upload                   no progress at byte 500 of 1,000 since 12.34 s",
        "   42.34 s  upload                   no progress at byte 500 of 1,000 since 12.34 s",
        "   72.34 s  upload                   no progress at byte 500 of 1,000 since 12.34 s",
    ]
    told(stands, 77.0, FOUND, 500.0)
    assert capsys.readouterr().out.count("no progress") == 3


def test_a_bar_that_does_not_move_says_since_when(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    told(replace(uploading(500, 1000), at_ms=12_340), 11.0, uploading(600, 1000))
    drawn = capsys.readouterr().out.split("\r\x1b[K")
    assert [text.partition("] ")[2] for text in drawn[1:]] == [
        " 50 % of 1,000 bytes, 1.0 kB/s",
        " 50 % of 1,000 bytes, no progress since 12.34 s (5 s)",
        " 50 % of 1,000 bytes, no progress since 12.34 s (10 s)",
        " 60 % of 1,000 bytes, 1.0 kB/s",
    ]


def test_a_note_on_a_terminal_says_how_long_it_has_stood(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    told(FIND, 11.0, FOUND)
    notes = capsys.readouterr().out.split("\r\x1b[K")
    assert [note.partition("…")[2] for note in notes[:3]] == ["", " 5 s", " 10 s"]
