"""`keyswitch campaign`: many devices, from a file, resumable whatever is killed."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyswitch.cli.fields import json_line
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from keyswitch.campaign.carry_out import Hand
    from keyswitch.campaign.events import CampaignStatus
    from keyswitch.campaign.flows import Sink
    from keyswitch.campaign.model import Campaign, CampaignFiles
    from keyswitch.campaign.plan import CampaignPlan

    Carried = Coroutine[None, None, CampaignStatus]
    How = Callable[[Campaign, CampaignFiles, Sink, Hand], Carried]

FILE = click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path))
DATABASE = click.option(
    "--database",
    metavar="URL",
    envvar="KEYSWITCH_DATABASE",
    help="Keep the campaign in this PostgreSQL (postgresql://HOST/NAME) instead of a file beside FILE.toml.",
)
LABELS = click.option(
    "--scan-label",
    is_flag=True,
    help="Begin a device when its label is read from stdin, one a line: its serial number or id. The end pauses.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line; the last one is the summary."
)


@click.group(context_settings={"max_content_width": 110})
def campaign() -> None:
    """Update many devices as a file says; killed anywhere, `resume` goes on from what the devices have.

    Exit codes of run, resume, retry and abort: 0 every device is confirmed, 1 the campaign ended otherwise, 3 it is
    paused, 130 interrupted.

    \b
    Examples:
      keyswitch campaign check pumps.toml
      keyswitch campaign plan pumps.toml
      keyswitch campaign run pumps.toml
      keyswitch campaign report pumps.toml -o pumps.html
    """


@campaign.command()
@FILE
def check(file: Path) -> None:
    """Read FILE and every file that it names; open nothing, ask no device.

    \b
    Example:
      keyswitch campaign check pumps.toml
    """
    from keyswitch.campaign.load import check_requests, check_times, read_campaign
    from keyswitch.campaign.orders import time_of_day

    read = check_requests(read_campaign(file))
    check_times(read, time_of_day(), str(file))
    if read.scan is not None:
        echo(f"{file}: ok: its devices are those that are found on {read.scan.radio} when it begins")
        return
    waves = ", ".join(str(count) for count in read.waves)
    echo(f"{file}: ok: {len(read.devices)} devices in waves of {waves}; {read.concurrency} at once")


@campaign.command()
@FILE
@DATABASE
@JSON
def plan(file: Path, database: str | None, *, as_json: bool) -> Exit:
    """Ask every device that is updated from here whether it would take an update now; change nothing.

    A device behind a gateway is not asked: of its gateway the last sign of life is told. Exit code 0: every one would;
    1: one would be refused; 3: one was not reached, or not asked.

    \b
    Example:
      keyswitch campaign plan pumps.toml
    """
    from keyswitch.campaign.load import check_requests, find_devices, read_campaign
    from keyswitch.campaign.model import CampaignFiles
    from keyswitch.campaign.orders import stamp, time_of_day
    from keyswitch.campaign.plan import ask_all, promise_of
    from keyswitch.campaign.postgresql import check_url
    from keyswitch.campaign.windows import opens_at

    async def asked() -> "CampaignPlan":
        return await ask_all(check_requests(await find_devices(read_campaign(file), file)), database)

    if database is not None:
        check_url(database)
    made = run_to_end(asked())
    store = CampaignFiles.of(file, database).store
    if as_json:
        for each in made.asked:
            echo(json_line(each.as_json()))
        echo(json_line(made.as_json(str(store), time_of_day())))
    else:
        for each in made.asked:
            echo(f"wave {each.wave}  {each.device}  {each.line}")
        updated = len(made.asked) - made.refused - made.unreachable
        away = f"; {made.behind_gateways} behind gateways not asked" if made.behind_gateways else ""
        echo(f"{updated} of {len(made.asked)} would be updated now, {made.campaign.concurrency} at once{away}")
        now = time_of_day()
        limits = ", ".join(made.limited_by(now))
        if updated:
            echo(f"about {made.expected_ms / 1000:.0f} s for these{f', limited by {limits}' if limits else ''}")
        if made.campaign.windows:
            opens = opens_at(made.campaign.windows, now)
            echo(
                f"the next window: {'open now' if opens <= now else stamp(opens)}; ended at {stamp(made.ends_at(now))}"
            )
        echo(f"store: {store}: {promise_of(store)}")
    if made.refused:
        return Exit.NO
    return Exit.UNKNOWN if made.unreachable else Exit.YES


@campaign.command()
@FILE
@DATABASE
@LABELS
@JSON
def run(file: Path, database: str | None, *, scan_label: bool, as_json: bool) -> Exit:
    """Carry out a campaign that has not begun.

    \b
    Example:
      keyswitch campaign run pumps.toml --json
    """

    async def begun(read: "Campaign", files: "CampaignFiles", sink: "Sink", hand: "Hand") -> "CampaignStatus":
        from keyswitch.campaign import carry_out
        from keyswitch.campaign.load import check_requests, check_times, find_devices
        from keyswitch.campaign.orders import time_of_day

        carry_out.refuse_begun(read, files)
        check_times(read, time_of_day(), str(file))
        found = check_requests(await find_devices(read, file))
        return await carry_out.begin(found, files, sink, hand=hand)

    return _carry_out(file, database, as_json=as_json, how=begun, labels=scan_label)


@campaign.command()
@FILE
@DATABASE
@LABELS
@JSON
def resume(file: Path, database: str | None, *, scan_label: bool, as_json: bool) -> Exit:
    """Carry a campaign on that was paused, interrupted or killed.

    \b
    Example:
      keyswitch campaign resume pumps.toml
    """
    return _carry_out(file, database, as_json=as_json, how=_resume, labels=scan_label)


@campaign.command()
@FILE
@DATABASE
@click.option(
    "--device",
    "devices",
    metavar="ID",
    multiple=True,
    help="Try this device again; may be given several times. Else all that were not confirmed.",
)
@click.option("--from", "from_", metavar="GATEWAY", help="Instead: give what this silent gateway has to another one.")
@click.option("--to", metavar="GATEWAY", help="The other one, with --from.")
@JSON
def retry(
    file: Path, devices: tuple[str, ...], from_: str | None, to: str | None, database: str | None, *, as_json: bool
) -> Exit:
    """Try those devices again that were not confirmed, when the campaign has ended; in one wave.

    With --from and --to, the attempts of a gateway that was silent for half an hour are given to another one, while the
    campaign goes on.

    \b
    Examples:
      keyswitch campaign retry pumps.toml --device P-0007
      keyswitch campaign retry pumps.toml --from ward-3 --to ward-4
    """
    if from_ or to:
        return _replace(file, database, from_, to, as_json=as_json)

    def again(read: "Campaign", files: "CampaignFiles", sink: "Sink", hand: "Hand") -> "Carried":
        from keyswitch.campaign import carry_out

        return carry_out.retry(read, files, sink, devices=devices, hand=hand)

    return _carry_out(file, database, as_json=as_json, how=again)


@campaign.command()
@FILE
@DATABASE
@click.option("--wave", metavar="N", type=int, help="Approve this wave, and no other; else the one that waits.")
@JSON
def approve(file: Path, wave: int | None, database: str | None, *, as_json: bool) -> Exit:
    """Let the wave begin that waits for it (`waves.approval`). Who approved it, and when, is recorded.

    \b
    Example:
      keyswitch campaign approve pumps.toml --wave 2
    """
    from keyswitch.campaign.carry_out import order
    from keyswitch.campaign.look import look
    from keyswitch.campaign.orders import OrderKind

    read, files = _read(file, database)
    order(read, files, OrderKind.APPROVE, wave=wave)
    _tell(look(read, files), as_json=as_json)
    return Exit.YES


@campaign.command()
@FILE
@DATABASE
@JSON
def pause(file: Path, database: str | None, *, as_json: bool) -> Exit:
    """Let no further attempt begin; what is under way reaches its end, out of maintenance, which is waited for.

    Exit code 0: it is paused, and `resume` goes on; 1: it had ended.

    \b
    Example:
      keyswitch campaign pause pumps.toml
    """
    from keyswitch.campaign import carry_out
    from keyswitch.campaign.events import CampaignState

    read, files = _read(file, database)
    stands = carry_out.pause(read, files)
    _tell(stands, as_json=as_json)
    return Exit.YES if stands.state is CampaignState.PAUSED else Exit.NO


@campaign.command()
@FILE
@DATABASE
@JSON
def status(file: Path, database: str | None, *, as_json: bool) -> Exit:
    """Say how each device stands. Exit code 0: all are confirmed, 1: it ended otherwise, 3: it has not ended.

    \b
    Example:
      keyswitch campaign status pumps.toml --json
    """
    from keyswitch.campaign.look import look

    read, files = _read(file, database)
    return _tell(look(read, files), as_json=as_json, devices=True)


@campaign.command()
@FILE
@DATABASE
@JSON
def abort(file: Path, database: str | None, *, as_json: bool) -> Exit:
    """Stop a campaign for good: no further device begins; what is under way reaches its end, which is waited for.

    \b
    Example:
      keyswitch campaign abort pumps.toml
    """
    from keyswitch.campaign.carry_out import abort as stop

    read, files = _read(file, database)
    return _tell(stop(read, files), as_json=as_json)


@campaign.command()
@FILE
@DATABASE
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="Write the report to this file; its name ends with .json, .csv or .html.",
)
def report(file: Path, output: Path, database: str | None) -> None:
    """Write how the campaign stands to a file.

    \b
    Example:
      keyswitch campaign report pumps.toml -o pumps.html
    """
    from keyswitch.campaign.look import look
    from keyswitch.campaign.report import report as written
    from keyswitch.files.writing import write_output

    read, files = _read(file, database)
    write_output(output, written(look(read, files), output))
    echo(f"{output}: written")


def _read(file: Path, database: str | None) -> "tuple[Campaign, CampaignFiles]":
    from keyswitch.campaign.load import read_campaign
    from keyswitch.campaign.model import CampaignFiles
    from keyswitch.extras import need

    need("dbos", "campaign")
    if database is not None:
        from keyswitch.campaign.postgresql import check_url

        check_url(database)
    return read_campaign(file), CampaignFiles.of(file, database)


def _replace(file: Path, database: str | None, from_: str | None, to: str | None, *, as_json: bool) -> Exit:
    from keyswitch.campaign.carry_out import replace_gateway
    from keyswitch.errors import InputError

    if not from_ or not to:
        raise InputError("--to" if from_ else "--from", "missing", "a gateway; --from and --to belong together")
    count = replace_gateway(*_read(file, database), from_=from_, to=to)
    if as_json:
        echo(json_line({"event": "gateway_replaced", "gateway": from_, "by": to, "attempts": count}))
    else:
        echo(f"{count} attempts of gateway {from_} were given to gateway {to}")
    return Exit.YES


def _resume(read: "Campaign", files: "CampaignFiles", sink: "Sink", hand: "Hand") -> "Carried":
    from keyswitch.campaign import carry_out

    return carry_out.resume(read, files, sink, hand=hand)


def _carry_out(file: Path, database: str | None, *, as_json: bool, how: "How", labels: bool = False) -> Exit:
    from time import monotonic

    from keyswitch.campaign.carry_out import Hand, looks_at_signals
    from keyswitch.campaign.events import CampaignState
    from keyswitch.cli.campaign_view import shown

    read, files = _read(file, database)
    began = monotonic()

    hand = Hand()

    async def carried_out() -> "CampaignStatus":
        if labels:
            hand.expect_labels()
            _read_labels(hand.scan)
        with looks_at_signals(hand), shown(file, as_json=as_json) as sink:
            return await how(read, files, sink, hand)

    ended = run_to_end(carried_out(), on_signal=hand.interrupt)
    code = _tell(ended, as_json=as_json, seconds=monotonic() - began)
    if ended.state in {CampaignState.INTERRUPTED, CampaignState.PAUSED}:
        echo(f"{ended.state.value}: resume with `keyswitch campaign resume {file}`", err=True)
    return Exit.INTERRUPTED if ended.state is CampaignState.INTERRUPTED else code


def _read_labels(heard: "Callable[[str | None], None]") -> None:
    """Tell the labels on stdin as they come, and None at their end."""
    import asyncio
    import sys
    from threading import Thread

    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):  # the campaign has ended meanwhile, and its loop with it
            for line in sys.stdin:
                if label := line.strip():
                    loop.call_soon_threadsafe(heard, label)
            loop.call_soon_threadsafe(heard, None)

    # A daemon: it waits for a person, and must not keep the program when the campaign has ended.
    Thread(target=read, name="labels", daemon=True).start()


def _tell(told: "CampaignStatus", *, as_json: bool, devices: bool = False, seconds: float | None = None) -> Exit:
    from keyswitch.campaign.events import DeviceState
    from keyswitch.campaign.json_output import campaign_json, device_json

    if as_json:
        for each in told.devices if devices else ():
            echo(json_line(device_json(each)))
        echo(json_line(campaign_json(told, seconds=None if seconds is None else round(seconds, 3))))
    else:
        for each in told.devices if devices else ():
            last = each.last
            how = f"{last.outcome.value} ({last.detail})" if last is not None and last.outcome is not None else ""
            if each.state is DeviceState.BROKEN_OFF:
                how = "it may be in maintenance until its lease ends"
            echo(f"wave {each.wave}  {each.id}  {each.state.value}  {how}".rstrip())
        counts = ", ".join(f"{count} {word}" for word, count in told.outcomes.items() if count)
        without = sum(each.state is not DeviceState.ENDED for each in told.devices)
        rest = [f"{without} without an outcome"] if without else []
        why = f" ({told.why})" if told.why else ""
        if told.awaits is not None:
            rest.append(f"wave {told.awaits} waits for approval")
        echo(f"{told.name}: {told.state.value}{why}: {', '.join(filter(None, [counts, *rest]))}")
    if told.state.has_ended:
        return Exit.YES if told.outcomes["confirmed"] == len(told.devices) else Exit.NO
    return Exit.UNKNOWN
