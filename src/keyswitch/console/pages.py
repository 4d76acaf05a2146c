"""The pages as HTML: what is known of the devices, in the words of `texts.toml`. Everything shown is escaped.

What devices and people wrote is made harmless twice: what does not print becomes its escape (`keyswitch.text`), and
what HTML would take for its own is escaped by Jinja2, which does so for every value.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from keyswitch.campaign.events import CampaignStatus, DeviceState
from keyswitch.campaign.report import ended_over_time
from keyswitch.console.bench import RADIO, Bench, Card, key_of
from keyswitch.console.desk import TOPIC, CampaignDesk
from keyswitch.console.history import Histories
from keyswitch.console.sessions import Session
from keyswitch.console.texts import duration, text
from keyswitch.errors import InputError, Phrase
from keyswitch.host.connect.scan import FoundDevice
from keyswitch.host.connect.verdict import Gate, Verdict
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason
from keyswitch.text import plain

TRAY: Final = "tray"
"""The page with every device; any other is a device's, by its key."""

OPENED_BY_ENTERING: Final = frozenset({Reason.WRONG_MODE, Reason.NO_SERVICE})
"""A device that is shut for these is as it should be: an update enters maintenance first."""

_MARKS: Final[dict[str, Callable[[SlotInfo], bool]]] = {
    "active": lambda slot: slot.active,
    "confirmed": lambda slot: slot.confirmed,
    "pending": lambda slot: slot.pending,
    "permanent": lambda slot: slot.permanent,
}


class Pages:
    """Makes the pages of a bench.

    Args:
        bench: whose devices they show.
        policy: that names modes.
        logs_out: browsers have shown a token, and can take it back.
        desk: the campaign that people steer, None without one.
    """

    def __init__(
        self, bench: Bench, *, policy: Policy | None, logs_out: bool, desk: CampaignDesk | None = None
    ) -> None:
        self._bench = bench
        self._desk = desk
        self._histories = Histories()
        self._environment = Environment(
            loader=PackageLoader("keyswitch.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words: dict[str, Any] = {
            "t": text,
            "plain": plain,
            "advice": _advice,
            "duration": duration,
            "between": _between,
            "clock": _clock,
            "iso": _iso,
            "running": _running,
            "marks": _marks,
            "tone": _tone,
            "gate_tone": _gate_tone,
            "said": _said,
            "mode_by": partial(_mode_by, policy),
            "logs_out": logs_out,
            "installs": bench.installs,
            "has_campaign": desk is not None,
            "key_of": key_of,
        }
        self._environment.globals.update(words)

    def tray(self, session: Session, at: str) -> str:
        """Every device; `at`: what its stream begins after."""
        return self._made("tray.html", session, cards=self._bench.cards.values(), radio=self._bench.radio, at=at)

    def device(self, card: Card, session: Session, at: str) -> str:
        """One device; `at`: what its stream begins after."""
        return self._made("device.html", session, card=card, history=self._history(card), at=at)

    def part(self, page: str, topic: str, session: Session) -> str:
        """What stands for a topic on a page, to take the place of what stands there; empty if it is not shown there."""
        card = self._bench.cards.get(topic)
        if page == topic == TOPIC:
            return self._made("campaign_part.html", session, **self._campaign())
        if page == TRAY and topic == RADIO:
            return self._made("radio.html", session, radio=self._bench.radio)
        if page == TRAY and card is not None:
            return self._made("card.html", session, card=card)
        if page == topic and card is not None:
            return self._made("detail.html", session, card=card, history=self._history(card))
        return ""

    def campaign(self, session: Session, at: str) -> str:
        """The campaign; `at`: what its stream begins after."""
        return self._made("campaign.html", session, at=at, **self._campaign())

    def plot(self) -> str:
        """Devices that have ended, over time (SVG); empty if none has."""
        return "" if self._desk is None else ended_over_time(self._desk.status())

    def _campaign(self) -> dict[str, object]:
        assert self._desk is not None  # noqa: S101 - who asks has looked
        desk = self._desk
        told: dict[str, object] = {"desk": desk, "status": None, "trouble": "", "acts": (), "waves": ()}
        try:
            status = desk.status()
        except InputError as error:
            return {**told, "trouble": str(error)}
        return {
            **told,
            "status": status,
            "acts": [each.name.lower() for each in desk.acts(status)],
            "waves": _waves(status),
        }

    def login(self, trouble: str = "") -> str:
        """Where a token is shown."""
        return self._made("login.html", None, trouble=trouble)

    def refused(self, why: str, session: Session | None = None) -> str:
        """Why a request was refused."""
        return self._made("refused.html", session, why=why)

    def _history(self, card: Card) -> Any:
        return self._histories.of(self._bench.record_of(card.key))

    def _made(self, template: str, session: Session | None, **values: object) -> str:
        return self._environment.get_template(template).render(session=session, **values)


def _between(least_ms: int, most_ms: int) -> str:
    least, most = duration(least_ms), duration(most_ms)
    return least if least == most else text("plan.takes_says", least=least, most=most)


def _clock(at_ms: int) -> str:
    """The time of day in UTC, where no script makes it the reader's own."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def _waves(status: CampaignStatus) -> list[dict[str, int]]:
    """Of each wave its devices, how many have ended, and how many are confirmed."""
    numbers = sorted({each.wave for each in status.devices})
    return [
        {
            "wave": number,
            "devices": sum(each.wave == number for each in status.devices),
            "ended": sum(each.wave == number and each.state is DeviceState.ENDED for each in status.devices),
            "confirmed": sum(each.wave == number and each.is_confirmed for each in status.devices),
        }
        for number in numbers
    ]


def _advice(step: str) -> str:
    """What a person can do, for somebody at this page: options are those of the console, its update is the button."""
    words = step.spelled(lambda name: f"--{name.replace('_', '-')}") if isinstance(step, Phrase) else step
    return plain(words.replace("`keyswitch update`", text("act.update_noun")))


def _running(verdict: Verdict | None) -> list[SlotInfo]:
    """What runs, as far as it was told."""
    return [] if verdict is None else [slot for slot in verdict.slots or () if slot.active]


def _marks(slot: SlotInfo) -> str:
    return ", ".join(word for word, has in _MARKS.items() if has(slot)) or text("device.marks_none")


def _tone(card: Card) -> str:
    """The colour that stands behind the words; never alone."""
    if card.under_way is not None:
        return "busy"
    return "done" if card.removable else _gate_tone(card)


def _gate_tone(card: Card) -> str:
    if card.gate is Gate.SHUT and card.looked is not None and card.looked.verdict.reason in OPENED_BY_ENTERING:
        return "rest"
    return "plain" if card.gate is None else card.gate.value


def _said(card: Card) -> str:
    """What a screen reader says when it changes: not each per cent of an upload."""
    if card.under_way is not None:
        step = plain(card.under_way.step) or text("card.begins")
        return f"{plain(card.name)}: {step}"
    if card.result is not None:
        return f"{plain(card.name)}: {card.result.outcome.value}"
    if card.looked is not None:
        return f"{plain(card.name)}: {card.looked.verdict.gate.value}"
    return ""


def _mode_by(policy: Policy | None, heard: FoundDevice) -> str | None:
    return None if policy is None else heard.mode_by(policy)
