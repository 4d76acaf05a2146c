"""A campaign as its file has it, and as the engine keeps it: frozen data, and the same as plain JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry
from keyswitch.campaign.windows import Window

Plain = Any
"""A value that JSON can hold: what the engine keeps is nothing else."""


def round_id(name: str, round_: int) -> str:
    """What the durable flow of a campaign's round is called; a name has no `#` in it."""
    return name if round_ == 1 else f"{name}#{round_}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDevice:
    """One device.

    Attributes:
        id: what the campaign calls it.
        request: its update; secrets are file names there.
        gateway: that updates it; None: the process that carries the campaign out does.
    """

    id: str
    request: UpdateRequest
    gateway: str | None = None

    def to_plain(self) -> dict[str, Plain]:
        """JSON values; what is as it is by default is left out."""
        plain, default = self.request.to_plain(), _DEFAULT_REQUEST
        request = {key: value for key, value in plain.items() if value != default[key]}
        return {"id": self.id, "request": request, **({"gateway": self.gateway} if self.gateway else {})}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Plain]) -> Self:
        """The same from JSON values."""
        request = UpdateRequest.from_plain(plain["request"])
        return cls(id=plain["id"], request=request, gateway=plain.get("gateway"))


_DEFAULT_REQUEST: Final = UpdateRequest(target="").to_plain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Devices that are found by what they advertise, when the campaign begins.

    Attributes:
        radio: that listens: `ble:` or `hci:TRANSPORT`.
        listen_ms: how long.
        name: of the device, `*` stands for any letters; None: any.
        company: id in its manufacturer data; None: any.
        counts: devices of each wave.
        percent: of each wave, instead of counts.
        common: the update of each, but for its target.
    """

    radio: str
    listen_ms: int
    name: str | None
    company: int | None
    counts: tuple[int, ...]
    percent: tuple[int, ...]
    common: UpdateRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What a file asks for.

    Attributes:
        name: names it in records.
        digest: SHA-256 of the file and of the list of devices that it names (hexadecimal).
        devices: in the order in which they are updated; none while they are still to be found.
        waves: devices of each wave; together they are all devices.
        concurrency: devices that are updated at once.
        abort: when it stops by itself.
        retries: by outcome; an outcome that is not there is not tried again.
        image_hashes: of the images that are installed, so that a file that changed meanwhile is noticed; empty while
            the image was not read.
        approval: each wave but the first begins only when somebody approves it.
        per_adapter: devices that are updated at once over one Bluetooth adapter.
        windows: when devices may be updated; none: always.
        deadline: when no device begins any more; None: there is none.
        scan: how they are found; None where the file lists them. Not kept: what was found is.
        round: 1; a later one has the devices that were to be tried again.
    """

    name: str
    digest: str
    devices: tuple[CampaignDevice, ...]
    waves: tuple[int, ...]
    concurrency: int = 1
    abort: tuple[AbortRule, ...] = ()
    retries: Mapping[Outcome, Retry] = field(default_factory=dict[Outcome, Retry])
    image_hashes: tuple[str, ...] = ()
    approval: bool = False
    round: int = 1
    per_adapter: int = 1
    windows: tuple[Window, ...] = ()
    deadline: datetime | None = None
    scan: Scan | None = None

    @property
    def flow_id(self) -> str:
        """Of its durable flow."""
        return round_id(self.name, self.round)

    def device_flow_id(self, device: CampaignDevice) -> str:
        """Of a device's durable flow: one for each device and round of a campaign."""
        return f"{self.flow_id}/{device.id}"

    @property
    def waves_of_devices(self) -> tuple[tuple[CampaignDevice, ...], ...]:
        """The devices of each wave."""
        waves: list[tuple[CampaignDevice, ...]] = []
        at = 0
        for count in self.waves:
            waves.append(self.devices[at : at + count])
            at += count
        return tuple(waves)

    def to_plain(self) -> dict[str, Plain]:
        """JSON values."""
        return {
            "name": self.name,
            "digest": self.digest,
            "devices": [each.to_plain() for each in self.devices],
            "waves": list(self.waves),
            "concurrency": self.concurrency,
            "abort": [
                {"outcomes": [each.value for each in rule.outcomes], "least": rule.least, "percent": rule.percent}
                for rule in self.abort
            ],
            "retries": {
                outcome.value: {
                    "attempts": retry.attempts,
                    "wait_ms": retry.wait_ms,
                    "factor": retry.factor,
                    "most_wait_ms": retry.most_wait_ms,
                }
                for outcome, retry in self.retries.items()
            },
            "image_hashes": list(self.image_hashes),
            "approval": self.approval,
            "round": self.round,
            "per_adapter": self.per_adapter,
            "windows": [each.to_plain() for each in self.windows],
            "deadline": None if self.deadline is None else self.deadline.isoformat(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Plain], known: Mapping[str, CampaignDevice] | None = None) -> Self:
        """The same from JSON values; devices that are `known` by their ids are taken from there."""
        there = known or {}
        return cls(
            name=plain["name"],
            digest=plain["digest"],
            devices=tuple(there.get(each["id"]) or CampaignDevice.from_plain(each) for each in plain["devices"]),
            waves=tuple(plain["waves"]),
            concurrency=plain["concurrency"],
            abort=tuple(
                AbortRule(
                    outcomes=tuple(Outcome(word) for word in rule["outcomes"]),
                    least=rule["least"],
                    percent=rule["percent"],
                )
                for rule in plain["abort"]
            ),
            retries={Outcome(word): Retry(**each) for word, each in plain["retries"].items()},
            image_hashes=tuple(plain["image_hashes"]),
            approval=plain.get("approval", False),  # absent in what version 1 of the flows has written
            round=plain.get("round", 1),
            per_adapter=plain.get("per_adapter", 1),
            windows=tuple(Window.from_plain(each) for each in plain.get("windows", ())),
            deadline=datetime.fromisoformat(plain["deadline"]) if plain.get("deadline") else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFiles:
    """Where a campaign keeps what it has to remember: a directory beside its file.

    Attributes:
        directory: readable by its owner alone.
        url: of the PostgreSQL that the engine writes into; None: a file of SQLite in the directory.
    """

    directory: Path
    url: str | None = None

    @classmethod
    def of(cls, file: Path, url: str | None = None) -> Self:
        """Of the campaign that this file asks for: `pumps.toml` has `pumps.campaign/`."""
        return cls(directory=file.resolve().with_suffix(".campaign"), url=url)

    @property
    def store(self) -> Path | str:
        """Where the engine writes."""
        return self.database if self.url is None else self.url

    @property
    def database(self) -> Path:
        """The engine's."""
        return self.directory / "campaign.sqlite"

    @property
    def record(self) -> Path:
        """The campaign's own chain of records, which names the head of each device's."""
        return self.directory / "campaign.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that carries the campaign out; its number stands in it."""
        return self.directory / "lock"

    def evidence(self, device: str) -> Path:
        """The device's chain of records."""
        return self.directory / "evidence" / f"{device}.jsonl"
