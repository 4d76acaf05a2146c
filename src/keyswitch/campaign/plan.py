"""What every device says before a campaign begins; nothing is changed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from keyswitch.app.plan import ask_for_plan
from keyswitch.app.update import prepare
from keyswitch.campaign.gateways import GatewayRecord, read_gateways
from keyswitch.campaign.json_output import CampaignPlanJson, DevicePlanJson
from keyswitch.campaign.model import Campaign, CampaignDevice
from keyswitch.campaign.orders import stamp
from keyswitch.campaign.radios import Radios, own_adapters
from keyswitch.campaign.windows import done_at, opens_at
from keyswitch.errors import InputError, LinkLostError, RemoteError, SilenceError
from keyswitch.host.update.plan import Plan

_SQLITE: Final = "SQLite, one process; what an update has reached is on the disk before the next one begins"
_POSTGRESQL: Final = "PostgreSQL; what an update has reached is as safe as that server keeps it"


def promise_of(store: Path | str) -> str:
    """Which store it is that a campaign would be kept in, and what it promises."""
    return _SQLITE if isinstance(store, Path) else _POSTGRESQL


NOT_ASKED: Final = "not asked: its gateway could, but a plan gives gateways no work"
"""Of a device behind a gateway, which takes what is left for it in the database: a plan writes nothing there."""

WINDOWS: Final = "windows"
"""What bounds a campaign's duration whose work does not end before a window closes, or begins when one opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BehindGateway:
    """What is known of the gateway that updates a device: by its last sign of life, and no newer.

    Attributes:
        name: of it.
        known: that sign; None: it was never seen, or there is no database to look in.
        unfit: why the campaign could not begin with it; empty if it could.
    """

    name: str
    known: GatewayRecord | None = None
    unfit: str = ""

    @property
    def line(self) -> str:
        """In words."""
        if self.known is None:
            return f"gateway {self.name}"
        age = f"{self.known.silent_s:.0f} s"
        seen = f"silent for {age}" if self.known.is_silent else f"seen {age} ago"
        adapters = self.known.adapters
        had = "not known" if adapters is None else ", ".join(adapters) or "none"
        return f"gateway {self.name} on {self.known.host}, {seen}; its Bluetooth adapters then: {had}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be expected of one device.

    Attributes:
        device: its id.
        target: where it is.
        wave: number of its wave, from 1.
        plan: of its update; None: it was not asked, or not reached.
        unreachable: why it was not.
        gateway: that updates it; None: this computer does.
    """

    device: str
    target: str
    wave: int
    plan: Plan | None
    unreachable: str = ""
    gateway: BehindGateway | None = None

    @property
    def refused(self) -> str:
        """Why it would be refused, or the campaign because of it; empty: nothing is known that would."""
        if self.gateway is not None:
            return self.gateway.unfit
        return "" if self.plan is None else self.plan.refused

    @property
    def line(self) -> str:
        """In words."""
        if self.gateway is not None:
            told = f"would be refused: {self.gateway.unfit}" if self.gateway.unfit else NOT_ASKED
            return f"{told} ({self.gateway.line})"
        if self.plan is None:
            return f"not reached: {self.unreachable}"
        if self.plan.refused:
            return " - ".join(filter(None, (f"would be refused: {self.plan.refused}", str(self.plan.next_step))))
        return f"would be updated; about {self.plan.expected_ms / 1000:.0f} s, limited by {self.plan.fast.limited_by}"

    def as_json(self) -> DevicePlanJson:
        """As JSON."""
        plan = self.plan
        known = None if self.gateway is None else self.gateway.known
        return {
            "event": "device_plan",
            "device": self.device,
            "target": self.target,
            "wave": self.wave,
            "refused": self.refused or None,
            "next_step": None if plan is None else str(plan.next_step) or None,
            "expected_ms": None if plan is None else plan.expected_ms,
            "limited_by": None if plan is None else plan.fast.limited_by,
            "unreachable": self.unreachable or None,
            "gateway": None if self.gateway is None else self.gateway.name,
            "gateway_seen_ms": None if known is None else round(known.silent_s * 1000),
            "gateway_adapters": None if known is None or known.adapters is None else list(known.adapters),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """What is to be expected of a campaign.

    Attributes:
        campaign: that was asked about.
        asked: its devices, in its order.
    """

    campaign: Campaign
    asked: tuple[Asked, ...]

    @property
    def refused(self) -> int:
        """Devices that would be refused."""
        return sum(bool(each.refused) for each in self.asked)

    @property
    def unreachable(self) -> int:
        """Devices of which nothing is known: they were not reached, or not asked (`behind_gateways`)."""
        return sum(each.plan is None and not each.refused for each in self.asked)

    @property
    def behind_gateways(self) -> int:
        """Those of them that were not asked: their gateways would have to."""
        return sum(each.gateway is not None and not each.refused for each in self.asked)

    @property
    def expected_ms(self) -> int:
        """Of the devices that were reached: each wave's longest update, or its sum shared by its places."""
        waves: dict[int, list[int]] = {}
        for each in self.asked:
            if each.plan is not None and not each.plan.refused:
                waves.setdefault(each.wave, []).append(each.plan.expected_ms)
        return sum(max([*wave, sum(wave) // self.campaign.concurrency]) for wave in waves.values())

    def ends_at(self, at: datetime) -> datetime:
        """When these updates have ended, if it is begun at that moment; each window is used to its end."""
        return done_at(self.campaign.windows, at, timedelta(milliseconds=self.expected_ms))

    def limited_by(self, at: datetime) -> tuple[str, ...]:
        """What bounds the duration: what bounds the updates, the most frequent first, and the windows."""
        held = [each.plan.fast.limited_by for each in self.asked if each.plan is not None and not each.plan.refused]
        words = sorted(dict.fromkeys(held), key=held.count, reverse=True)
        waits = self.ends_at(at) > at + timedelta(milliseconds=self.expected_ms)
        return (*words, *((WINDOWS,) if waits and held else ()))

    def as_json(self, store: str, at: datetime) -> CampaignPlanJson:
        """As JSON; `at` is now."""
        deadline = self.campaign.deadline
        return {
            "event": "campaign_plan",
            "name": self.campaign.name,
            "devices": len(self.asked),
            "waves": list(self.campaign.waves),
            "concurrency": self.campaign.concurrency,
            "store": store,
            "refused": self.refused,
            "unreachable": self.unreachable,
            "expected_ms": self.expected_ms,
            "limited_by": list(self.limited_by(at)),
            "ends_at": stamp(self.ends_at(at)),
            "opens_at": stamp(opens_at(self.campaign.windows, at)),
            "deadline": None if deadline is None else deadline.isoformat(),
        }


async def ask_all(campaign: Campaign, url: str | None = None) -> CampaignPlan:
    """Ask every device that is updated from here, as many at once as the campaign would update.

    Args:
        campaign: with its devices.
        url: of the PostgreSQL in which its gateways are seen; None: there is none.

    Raises:
        InputError: that database cannot be used.
    """
    places, radios = asyncio.Semaphore(campaign.concurrency), Radios()
    has_gateways = any(each.gateway is not None for each in campaign.devices)
    known = await asyncio.to_thread(read_gateways, url) if has_gateways and url is not None else None

    async def ask(device: CampaignDevice, wave: int) -> Asked:
        if device.gateway is not None:
            return _behind(device, wave, device.gateway, known)
        async with places:
            return await _ask(device, wave, radios)

    waves = enumerate(campaign.waves_of_devices, 1)
    own = [each.request.target for each in campaign.devices if each.gateway is None]
    with own_adapters(own, who=f"campaign {campaign.name}, its plan"):
        asked = await asyncio.gather(*(ask(device, number) for number, wave in waves for device in wave))
    return CampaignPlan(campaign=campaign, asked=tuple(asked))


def _behind(device: CampaignDevice, wave: int, name: str, known: Mapping[str, GatewayRecord] | None) -> Asked:
    record = None if known is None else known.get(name)
    if known is None:
        unfit = "a campaign with gateways needs the database in which they are seen"
    elif record is None:
        unfit = f"gateway {name} was never seen in this database"
    else:
        unfit = record.unfit
    behind = BehindGateway(name=name, known=record, unfit=unfit)
    why = "" if unfit else NOT_ASKED
    target = device.request.target
    return Asked(device=device.id, target=target, wave=wave, plan=None, unreachable=why, gateway=behind)


async def _ask(device: CampaignDevice, wave: int, radios: Radios) -> Asked:
    prepared = prepare(device.request, radio=partial(radios.of, device.request.target))
    target = device.request.target
    try:
        plan, _ = await ask_for_plan(prepared)
    except (LinkLostError, SilenceError, RemoteError, InputError) as error:
        return Asked(device=device.id, target=target, wave=wave, plan=None, unreachable=str(error))
    return Asked(device=device.id, target=target, wave=wave, plan=plan)
