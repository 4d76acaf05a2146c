"""A gateway: a process at the place where devices are, which updates those that campaigns of one PostgreSQL give it.

Rules:

* The campaign decides, the gateway carries out: waves, places, retries and what stops a campaign are with the process
  that carries the campaign out. An attempt is a flow of the gateway's own, on a queue of its own.
* A gateway that dies takes its attempts up by itself when it comes back. Another one gets them on a person's word only
  (`hand_over`), after it was silent for longer than an update takes.
* A name is one process: it holds a lock in the database as long as it is connected.
* The gateway has the files: a path in the campaign's directory is the same one in the gateway's.
"""

import asyncio
import platform
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from keyswitch.campaign.dbos_engine import open_dbos, requeue
from keyswitch.campaign.engine import ATTEMPT, FLOWS_VERSION, Steps
from keyswitch.campaign.events import Attempt, DeviceBegun, DeviceEnded, DeviceTold
from keyswitch.campaign.flows import Sink, executor_of, update_device
from keyswitch.campaign.locks import LockedError
from keyswitch.campaign.model import CampaignDevice, Plain
from keyswitch.campaign.orders import stamp, time_of_day
from keyswitch.campaign.outcomes import Outcome
from keyswitch.campaign.postgresql import connect_postgresql, place_of
from keyswitch.campaign.radios import Radios, adapter_of, own_adapters
from keyswitch.errors import InputError, Phrase
from keyswitch.host.report.evidence_file import read_journal

SEEN_EACH_S: Final = 10.0
"""How often a gateway says that it is there."""

MISSED_SIGNS: Final = 3
"""A gateway that has missed so many is called silent: one may be late."""

SILENT_S: Final = 1_800
"""Longer than an update takes: what a silent gateway had under way has ended, or will by the device's own lease."""

_CONTROLLER: Final = re.compile(r"hci[0-9]+")
"""A controller's name; connections have their own beside it, as `hci0:42`."""

_TABLE: Final = """
    CREATE SCHEMA IF NOT EXISTS keyswitch;
    CREATE TABLE IF NOT EXISTS keyswitch.gateways (
        name text PRIMARY KEY, version text NOT NULL, host text NOT NULL, seen_at timestamptz NOT NULL
    );
    ALTER TABLE keyswitch.gateways ADD COLUMN IF NOT EXISTS adapters text
"""
_LOCK: Final = "SELECT pg_try_advisory_lock(hashtext('keyswitch gateway'), hashtext(%s))"
_SEEN: Final = """
    INSERT INTO keyswitch.gateways (name, version, host, seen_at, adapters) VALUES (%s, %s, %s, now(), %s)
    ON CONFLICT (name) DO UPDATE
    SET version = excluded.version, host = excluded.host, seen_at = now(), adapters = excluded.adapters
"""
_THERE: Final = "SELECT to_regclass('keyswitch.gateways')"
_LIST: Final = """
    SELECT name, version, host, extract(epoch FROM now() - seen_at), to_jsonb(known) ->> 'adapters'
    FROM keyswitch.gateways known
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """What the database knows of a gateway, from its last sign of life.

    Attributes:
        name: of it.
        version: of the campaigns that it carries out.
        host: its computer's name.
        silent_s: since that sign, by the server's clock.
        adapters: the Bluetooth controllers of its computer, as that names them; None: not known.
    """

    name: str
    version: str
    host: str
    silent_s: float
    adapters: tuple[str, ...] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether signs of life are missing."""
        return self.silent_s > MISSED_SIGNS * SEEN_EACH_S

    @property
    def unfit(self) -> str:
        """Why it cannot carry this keyswitch's campaigns out; empty if it can."""
        if self.version == FLOWS_VERSION:
            return ""
        return f"its keyswitch carries out version {self.version} of campaigns; this one has {FLOWS_VERSION}"


def read_gateways(url: str) -> dict[str, GatewayRecord]:
    """Every gateway that was ever seen in this database, by its name; nothing is written there.

    Raises:
        InputError: the database cannot be used.
    """
    with connect_postgresql(url) as connection:
        there = connection.execute(_THERE).fetchone()[0]
        rows: list[Any] = connection.execute(_LIST).fetchall() if there else []
    return {
        name: GatewayRecord(
            name=name,
            version=version,
            host=host,
            silent_s=float(silent),
            adapters=None if adapters is None else tuple(adapters.split()),
        )
        for name, version, host, silent, adapters in rows
    }


def controllers(directory: Path = Path("/sys/class/bluetooth")) -> tuple[str, ...] | None:
    """The Bluetooth controllers that this computer's Linux has, by their names; None on another system."""
    try:
        return tuple(sorted(each.name for each in directory.iterdir() if _CONTROLLER.fullmatch(each.name)))
    except FileNotFoundError:
        return () if directory.parent.is_dir() else None
    except OSError:
        return None


def check_gateways(devices: tuple[CampaignDevice, ...], url: str | None) -> None:
    """Refuse a campaign whose gateways cannot carry it out.

    Raises:
        InputError: there is no database, or a gateway was never seen there, or is of another version.
    """
    names = sorted({each.gateway for each in devices if each.gateway is not None})
    if not names:
        return
    if url is None:
        wanted = Phrase("{database} postgresql://HOST/NAME")
        raise InputError(f"gateway {names[0]}", "a campaign with gateways has no database", wanted)
    known = read_gateways(url)
    for name in names:
        if name not in known:
            where = f"gateway {name}"
            raise InputError(where, f"was never seen in {place_of(url)}", f"`keyswitch gateway {name}`, started there")
        if known[name].unfit:
            raise InputError(f"gateway {name}", known[name].unfit, "the same keyswitch on both")


class Gateway:
    """Carries attempts out, until it is told to end.

    Args:
        name: of it.
        url: of the PostgreSQL.
        directory: the campaigns' files are here, and the devices' records are kept here.
        sink: is told what happens.
    """

    def __init__(self, name: str, url: str, directory: Path, sink: Sink) -> None:
        self._name, self._url, self._directory, self._sink = name, url, directory.resolve(), sink
        self._radios = Radios()
        self._own, self._adapters = ExitStack(), set[str]()
        self._ends = asyncio.Event()
        self._under_way: set[asyncio.Task[Attempt | None]] = set()

    def end(self) -> None:
        """End what is under way as Ctrl-C ends an update, and the gateway; started again, it takes that up."""
        self._ends.set()
        for task in self._under_way:
            task.cancel()

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Carry out what comes, until `end`.

        Raises:
            InputError: another process has this name, or the database cannot be used.
        """
        executor = executor_of(self._name)
        with self._own, connect_postgresql(self._url) as first:
            first.execute(_TABLE)
            self._claim(first)
            async with open_dbos(self._url, {ATTEMPT: self._attempt}, executor=executor, takes=True):
                ready()
                await self._stay(first)

    def _claim(self, connection: Any) -> None:
        if not connection.execute(_LOCK, (self._name,)).fetchone()[0]:
            raise InputError(f"gateway {self._name}", "another process has this name in the database", "another name")
        self._say_that_it_is_there(connection)

    def _say_that_it_is_there(self, connection: Any) -> None:
        there = controllers()
        adapters = None if there is None else " ".join(there)
        connection.execute(_SEEN, (self._name, FLOWS_VERSION, platform.node(), adapters))

    async def _stay(self, connection: Any) -> None:
        """Say again and again that it is there; a server that restarted has forgotten the lock."""
        own: Any = None
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ends.wait(), SEEN_EACH_S)
                    return
                try:
                    await asyncio.to_thread(self._say_that_it_is_there, own or connection)
                except Exception:  # noqa: BLE001 - the driver's errors; whatever it is, a new connection is tried
                    own = await asyncio.to_thread(self._again, own)
        finally:
            if own is not None:
                own.close()

    def _again(self, old: Any) -> Any:
        if old is not None:
            old.close()
        try:
            with connect_postgresql(self._url, keep=True) as connection:
                self._claim(connection)
                return connection
        except InputError as error:
            if "another process" in error.problem:
                raise
            return None  # the server is away still

    async def _attempt(self, steps: Steps, argument: Plain) -> Plain:
        """The flow: one attempt at one device."""
        return await steps.step("update", partial(self._update, argument))

    async def _update(self, argument: Plain) -> Plain:
        device = here(CampaignDevice.from_plain(argument["device"]), self._directory)
        self._sink(DeviceBegun(device=device.id, attempt=argument["attempt"]))
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        task = asyncio.ensure_future(self._carried_out(device, tuple(argument["image_hashes"])))
        self._under_way.add(task)
        try:
            ended = await task
        except asyncio.CancelledError:
            ended = None
        finally:
            self._under_way.discard(task)
        if ended is None or ended.outcome is None:
            await loop.create_future()  # taken up when the gateway is started again
            raise AssertionError
        ended = ended.ended(at=stamp(time_of_day()), took_ms=round((loop.time() - begun_at) * 1000))
        ended = replace(ended, head=_head(device))
        self._sink(DeviceEnded(device=device.id, attempt=argument["attempt"], ended=ended, retry_in_ms=None))
        return ended.to_plain()

    async def _carried_out(self, device: CampaignDevice, image_hashes: tuple[str, ...]) -> Attempt | None:
        evidence = device.request.evidence
        if evidence is not None:
            evidence.parent.mkdir(parents=True, exist_ok=True)

        def told(event: Any) -> None:
            self._sink(DeviceTold(device=device.id, event=event))

        adapter = adapter_of(device.request.target)
        if adapter is not None and adapter not in self._adapters:
            try:
                self._own.enter_context(own_adapters([device.request.target], who=f"gateway {self._name}"))
            except LockedError as error:
                return Attempt(outcome=Outcome.BUSY, detail=str(error))
            self._adapters.add(adapter)
        return await update_device(device, image_hashes, told, radios=self._radios)


def there(device: CampaignDevice, directory: Path) -> CampaignDevice:
    """The device with paths inside this directory made relative to it, for whoever has the same files elsewhere."""
    return _moved(device, lambda path: path.relative_to(directory) if path.is_relative_to(directory) else path)


def here(device: CampaignDevice, directory: Path) -> CampaignDevice:
    """The device with relative paths in this directory."""
    return _moved(device, lambda path: directory / path)


def hand_over(url: str, campaign: str, *, from_: str, to: str, silent_s: float = SILENT_S) -> int:
    """Give what a silent gateway has of a campaign to another one.

    Args:
        url: of the PostgreSQL.
        campaign: name of the campaign.
        from_: the gateway that is silent.
        to: the other one.
        silent_s: how long it has to have been silent.

    Returns:
        How many attempts.

    Raises:
        InputError: one of the two was never seen, the first is there or was seen not long ago, or the second is of
            another version.
    """
    known = read_gateways(url)
    for name in (from_, to):
        if name not in known:
            raise InputError(f"gateway {name}", "was never seen in this database", f"one of {', '.join(sorted(known))}")
    if known[to].unfit:
        raise InputError(f"gateway {to}", known[to].unfit, "the same keyswitch on both")
    silent = known[from_].silent_s
    if silent < silent_s:
        problem = f"was seen {silent:.0f} s ago: it may have a device in maintenance"
        raise InputError(f"gateway {from_}", problem, f"a gateway that was silent for {silent_s:.0f} s")
    with connect_postgresql(url) as connection:
        if not connection.execute(_LOCK, (from_,)).fetchone()[0]:
            raise InputError(f"gateway {from_}", "is connected", "a gateway that is not there")
        return requeue(connection, campaign, from_=executor_of(from_), to=executor_of(to))


def _moved(device: CampaignDevice, move: Callable[[Path], Path]) -> CampaignDevice:
    request = device.request
    moved: dict[str, Any] = {
        name: move(path)
        for name in ("image", "policy", "secret", "permit", "holder", "inventory", "evidence")
        if (path := getattr(request, name)) is not None
    }
    return replace(device, request=replace(request, keys=tuple(move(key) for key in request.keys), **moved))


def _head(device: CampaignDevice) -> dict[str, Any] | None:
    path = device.request.evidence
    if path is None or not path.exists():
        return None
    head = read_journal(path).head
    return {"n": head.n, "hash": head.hash}
