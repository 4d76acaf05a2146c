"""How pairing is answered, on both sides: what each can show or ask, and whether it is wanted at all.

LE Secure Connections is offered always; whether a passkey is needed follows from what both sides can do (Core spec
Vol 3 Part H 2.3.5.1).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from bumble.pairing import PairingConfig, PairingDelegate

from keyswitch.link.ports import PairingNumbers

AskPasskey = Callable[[], Awaitable[int | None]]
"""Asks a person for the six digits that the device shows; None: they gave up."""

_Io = PairingDelegate.IoCapability
PASSKEY_DIGITS = 6


class PairingDisplay(PairingDelegate):
    """The device's side.

    Args:
        wanted: whether pairing is accepted now.
        show: shows a passkey to a person; None: pairing goes without.
    """

    def __init__(self, wanted: Callable[[], bool], show: Callable[[str], None] | None) -> None:
        super().__init__(io_capability=_Io.DISPLAY_OUTPUT_ONLY if show else _Io.NO_OUTPUT_NO_INPUT)
        self._wanted = wanted
        self._show = show

    async def accept(self) -> bool:
        """Whether to pair."""
        return self._wanted()

    async def display_number(self, number: int, digits: int) -> None:
        """Show the passkey."""
        if self._show is not None:
            self._show(f"{number:0{digits}d}")


class Asking(PairingDelegate):
    """The host's side.

    Args:
        ask: asks a person for the passkey; None: nothing that the device shows can be typed.
        numbers: shows that person numbers; None: none can be shown. Without either, pairing goes without digits.
    """

    def __init__(self, ask: AskPasskey | None, numbers: PairingNumbers | None = None) -> None:
        if numbers is not None:
            able = _Io.DISPLAY_OUTPUT_AND_YES_NO_INPUT if ask is None else _Io.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT
        else:
            able = _Io.NO_OUTPUT_NO_INPUT if ask is None else _Io.KEYBOARD_INPUT_ONLY
        super().__init__(io_capability=able)
        self._ask = ask
        self._numbers = numbers

    async def compare_numbers(self, number: int, digits: int) -> bool:
        """Whether the person sees the same number on the device (numeric comparison)."""
        return self._numbers is not None and await self._numbers.same(f"{number:0{digits}d}")

    async def display_number(self, number: int, digits: int) -> None:
        """Show a passkey, which is typed on the device."""
        if self._numbers is not None:
            self._numbers.show(f"{number:0{digits}d}")

    async def get_number(self) -> int | None:
        """The passkey that the person read."""
        return None if self._ask is None else await self._ask()


def config(delegate: PairingDelegate, *, mitm: bool) -> Any:
    """Bumble's configuration: bonding, Secure Connections, static identity addresses."""
    return PairingConfig(
        sc=True,
        mitm=mitm,
        bonding=True,
        delegate=delegate,
        identity_address_type=PairingConfig.AddressType.RANDOM,
    )
