"""What every device says before a campaign begins; nothing is changed."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from keyswitch.app.plan import ask_for_plan
from keyswitch.app.update import prepare
from keyswitch.campaign.json_output import CampaignPlanJson, DevicePlanJson
from keyswitch.campaign.model import Campaign, CampaignDevice
from keyswitch.campaign.orders import stamp
from keyswitch.campaign.radios import Radios, own_adapters
from keyswitch.campaign.windows import opens_at
from keyswitch.errors import InputError, LinkLostError, RemoteError, SilenceError
from keyswitch.host.update.plan import Plan

_SQLITE: Final = "SQLite, one process; what an update has reached is on the disk before the next one begins"
_POSTGRESQL: Final = "PostgreSQL; what an update has reached is as safe as that server keeps it"


def promise_of(store: Path | str) -> str:
    """Which store it is that a campaign would be kept in, and what it promises."""
    return _SQLITE if isinstance(store, Path) else _POSTGRESQL


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be expected of one device.

    Attributes:
        device: its id.
        target: where it is.
        wave: number of its wave, from 1.
        plan: of its update; None: it was not reached.
        unreachable: why it was not.
    """

    device: str
    target: str
    wave: int
    plan: Plan | None
    unreachable: str = ""

    @property
    def line(self) -> str:
        """In words."""
        if self.plan is None:
            return f"not reached: {self.unreachable}"
        if self.plan.refused:
            return " - ".join(filter(None, (f"would be refused: {self.plan.refused}", str(self.plan.next_step))))
        return f"would be updated; about {self.plan.expected_ms / 1000:.0f} s, limited by {self.plan.fast.limited_by}"

    def as_json(self) -> DevicePlanJson:
        """As JSON."""
        plan = self.plan
        return {
            "event": "device_plan",
            "device": self.device,
            "target": self.target,
            "wave": self.wave,
            "refused": None if plan is None else plan.refused or None,
            "next_step": None if plan is None else str(plan.next_step) or None,
            "expected_ms": None if plan is None else plan.expected_ms,
            "limited_by": None if plan is None else plan.fast.limited_by,
            "unreachable": self.unreachable or None,
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
        return sum(each.plan is not None and bool(each.plan.refused) for each in self.asked)

    @property
    def unreachable(self) -> int:
        """Devices that were not reached."""
        return sum(each.plan is None for each in self.asked)

    @property
    def expected_ms(self) -> int:
        """Of the devices that were reached: each wave's longest update, or its sum shared by its places."""
        waves: dict[int, list[int]] = {}
        for each in self.asked:
            if each.plan is not None and not each.plan.refused:
                waves.setdefault(each.wave, []).append(each.plan.expected_ms)
        return sum(max([*wave, sum(wave) // self.campaign.concurrency]) for wave in waves.values())

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
            "opens_at": stamp(opens_at(self.campaign.windows, at)),
            "deadline": None if deadline is None else deadline.isoformat(),
        }


async def ask_all(campaign: Campaign) -> CampaignPlan:
    """Ask every device, as many at once as the campaign would update."""
    places, radios = asyncio.Semaphore(campaign.concurrency), Radios()

    async def ask(device: CampaignDevice, wave: int) -> Asked:
        async with places:
            return await _ask(device, wave, radios)

    waves = enumerate(campaign.waves_of_devices, 1)
    own = [each.request.target for each in campaign.devices if each.gateway is None]
    with own_adapters(own, who=f"campaign {campaign.name}, its plan"):
        asked = await asyncio.gather(*(ask(device, number) for number, wave in waves for device in wave))
    return CampaignPlan(campaign=campaign, asked=tuple(asked))


async def _ask(device: CampaignDevice, wave: int, radios: Radios) -> Asked:
    if device.gateway is not None:
        why = f"it is asked by its gateway, {device.gateway}, alone"
        return Asked(device=device.id, target=device.request.target, wave=wave, plan=None, unreachable=why)
    prepared = prepare(device.request, radio=partial(radios.of, device.request.target))
    target = device.request.target
    try:
        plan, _ = await ask_for_plan(prepared)
    except (LinkLostError, SilenceError, RemoteError, InputError) as error:
        return Asked(device=device.id, target=target, wave=wave, plan=None, unreachable=str(error))
    return Asked(device=device.id, target=target, wave=wave, plan=plan)
