"""What a scan has heard: enough to say, where the device was not heard, what was."""

from typing import Final

from keyswitch.link.ports import Sighting

SHOWN: Final = 4
"""Devices that are named one by one: more are no help in one line."""


class Heard:
    """Everybody that one scan has heard.

    Args:
        name: of the device that is looked for; None if it is looked for by something else.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._last: dict[str, Sighting] = {}

    def note(self, heard: Sighting) -> None:
        """Keep the last advertisement of each address."""
        self._last[heard.address] = heard

    @property
    def words(self) -> str:
        """`heard: "PUMP 7" at C0:… (differs by upper and lower case), …`, what is most like the name first."""
        if not self._last:
            return "nothing was heard at all"
        found = sorted(self._last.values(), key=self._rank)
        named = [self._one(heard) for heard in found if called(heard)][:SHOWN]
        rest = len(found) - len(named)
        more = [f"{rest} {'more' if named else 'without a name'}"] if rest else []
        return f"heard: {', '.join([*named, *more])}"

    def _rank(self, heard: Sighting) -> tuple[int, int, str]:
        return (0 if self._remark(heard) else 1, -(heard.rssi_dbm or -999), heard.address)

    def _one(self, heard: Sighting) -> str:
        remark = self._remark(heard)
        return f'"{called(heard)}" at {heard.address}' + (f" ({remark})" if remark else "")

    def _remark(self, heard: Sighting) -> str:
        name = called(heard)
        if self._name is None or name.casefold() != self._name.casefold():
            return ""
        if name != self._name:
            return "differs by upper and lower case"
        return "" if heard.connectable else "takes no connection now"


def called(heard: Sighting) -> str:
    """The name in an advertisement: the complete one, else the shortened one; empty if there is none."""
    return heard.name or heard.short_name


def may_be_called(heard: Sighting, name: str) -> bool:
    """Whether the device may have this name: it says so, or says a beginning of it and that this is shortened.

    A beginning can belong to several names: who connects asks for the whole one (`BleEndpoint`).
    """
    return heard.name == name or (not heard.name and bool(heard.short_name) and name.startswith(heard.short_name))
