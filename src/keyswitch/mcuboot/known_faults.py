"""Faults of MCUboot itself that a product's bootloader may have: where they strike, and what to do.

Each was seen by running MCUboot of June 2026 and v2.2.0; versions in between were read. None is known to be mended.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.layout import Algorithm

McubootVersion = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootloaderKind:
    """What of a bootloader decides whether a fault can strike.

    Attributes:
        algorithm: how images are exchanged.
        downgrade: what keeps older images from coming back.
        needs_erase: whether flash is erased before it is written.
        version: of MCUboot, None if it is not known.
    """

    algorithm: Algorithm
    downgrade: Downgrade
    needs_erase: bool
    version: McubootVersion | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFault:
    """One fault.

    Attributes:
        name: short, for reports.
        since: first version that has it.
        strikes: whether a bootloader of this kind has it, whatever its version.
        what: what happens, in one sentence.
        advice: what to do, in one sentence.
    """

    name: str
    since: McubootVersion
    strikes: Callable[[BootloaderKind], bool]
    what: str
    advice: str

    @property
    def since_words(self) -> str:
        """The version as people write it."""
        return "v" + ".".join(str(number) for number in self.since)


_FIRST: Final = (0, 0, 0)

KNOWN_FAULTS: Final = (
    KnownFault(
        name="last sector of a swap using offset",
        since=(2, 2, 0),
        strikes=lambda kind: kind.algorithm is Algorithm.SWAP_OFFSET,
        what="a power cut while the last sector is exchanged can lose the old image when the new one is at least two "
        "sectors shorter: the trial runs and cannot be gone back from",
        advice="pad new images to at least the old one's size, or use swap using move",
    ),
    KnownFault(
        name="upload during a trial with swap using offset",
        since=_FIRST,
        strikes=lambda kind: kind.algorithm is Algorithm.SWAP_OFFSET,
        what="an image that is written to the secondary slot during a trial and not armed makes the next reset go back "
        "to the wrong place: nothing boots",
        advice="confirm or revert before the next upload (a gate of ours refuses uploads during a trial)",
    ),
    KnownFault(
        name="second swap using move on flash without erasing",
        since=(2, 3, 0),
        strikes=lambda kind: kind.algorithm is Algorithm.SWAP_MOVE and not kind.needs_erase,
        what="status entries of the swap before survive, so that a power cut in the second swap can lose the old image",
        advice="use a bootloader before v2.3.0, or have the trailer's lowest block cleared (boot_scramble_region)",
    ),
    KnownFault(
        name="revert with downgrade prevention",
        since=_FIRST,
        strikes=lambda kind: kind.algorithm is Algorithm.SWAP_MOVE and kind.downgrade is not Downgrade.ALLOWED,
        what="a power cut right after a revert was noted makes it look like an upgrade to an older image: the old "
        "image is erased and the unconfirmed one stays",
        advice="have a service tool that can install again, or do without downgrade prevention in the bootloader",
    ),
    KnownFault(
        name="trial whose old image is damaged, with swap using offset",
        since=_FIRST,
        strikes=lambda kind: kind.algorithm is Algorithm.SWAP_OFFSET,
        what="the image list goes on to show the running image as not confirmed after the old one was refused",
        advice="confirm the running image",
    ),
)


def faults_of(kind: BootloaderKind) -> Iterator[KnownFault]:
    """The faults that a bootloader of this kind has; of a version that is not known, all that it may have."""
    for fault in KNOWN_FAULTS:
        if fault.strikes(kind) and (kind.version is None or kind.version >= fault.since):
            yield fault


def fault_words(kind: BootloaderKind) -> tuple[str, ...]:
    """A sentence for each fault of such a bootloader: which version, what happens, what to do."""
    said: list[str] = []
    for fault in faults_of(kind):
        if kind.version is not None:
            which = "MCUboot v" + ".".join(str(number) for number in kind.version)
        else:
            which = f"MCUboot since {fault.since_words}" if any(fault.since) else "MCUboot"
        said.append(f"{which}, {fault.name}: {fault.what}; {fault.advice}")
    return tuple(said)
