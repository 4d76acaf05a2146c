"""Whether time limits are long enough for what they limit. Reckoned, not explored: the prover's worlds know no time.

The flash is a usual part's, the air without loss, the connection interval the best one. What a network or a serial line
carries in a second is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.gate.session import RESET_DELAY_MS
from keyswitch.mcuboot.duration import full_swap
from keyswitch.mcuboot.flash import NRF52840_TIMES
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.model import BootloaderSettings, ImagePair, Mode, Policy
from keyswitch.smp.commands import resolve
from keyswitch.terms import Transport
from keyswitch.timing.bound import fastest_upload

_UPLOAD: Final = resolve("image.upload")
_UPDATE: Final = resolve("image.state:write") | resolve("os.reset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A limit that is too short.

    Attributes:
        key: where it stands in the policy.
        text: what is allowed, what is needed, and what to do.
        reckoned: how what is needed was found.
    """

    key: str
    text: str
    reckoned: str


def seconds(ms: int) -> str:
    """Exact seconds, as a policy writes them."""
    return f"{ms // 1000}.{ms % 1000:03d}".rstrip("0").rstrip(".")


def reset_and_swap_ms(policy: Policy) -> tuple[int, str]:
    """The least from the answer to a reset until the new image runs, a full slot on an nRF52840's flash; and why.

    Several images are exchanged one after the other in one start, unless they are never armed together. Of flash that
    needs no erasing (RRAM, MRAM) no time is known: what is left is the wait until the reset.
    """
    boot = policy.bootloader
    if not boot.needs_erase:
        return RESET_DELAY_MS, f"{RESET_DELAY_MS} ms until the reset; how fast this flash is written is not known"
    exchanges = [_exchange(boot, number, pair) for number, pair in enumerate(boot.pairs)]
    if policy.update.simultaneous:
        us, reckoned = sum(us for us, _ in exchanges), ", and ".join(words for _, words in exchanges)
    else:
        us, reckoned = max(exchanges)
    return RESET_DELAY_MS + -(-us // 1000), f"{RESET_DELAY_MS} ms until the reset, then {reckoned}"


def _exchange(boot: BootloaderSettings, number: int, pair: ImagePair) -> tuple[int, str]:
    """Microseconds that one image's full slot takes, and how they were found."""
    times = NRF52840_TIMES
    algorithm = Algorithm.OVERWRITE_ONLY if pair.copied else boot.algorithm
    swap = full_swap(
        algorithm,
        slot_size=pair.slot_size,
        sector_size=boot.sector_size,
        write_block=boot.write_block,
        times=times,
    )
    of = f" of image {number}" if boot.images else ""
    words = (
        f"{algorithm} of a full slot{of} on the flash of an nRF52840: "
        f"{swap.sectors} sectors, each erased ({times.erase_us_per_sector} us) and written "
        f"({boot.sector_size // boot.write_block} x {times.write_us_per_block} us) {swap.copies} times"
    )
    return swap.us, words


def upload_ms(policy: Policy) -> tuple[int, str]:
    """The least that an upload of a full slot takes over Bluetooth LE; and why."""
    smp, size = policy.smp, max(pair.slot_size for pair in policy.bootloader.pairs)
    bound = fastest_upload(buf_size=smp.buf_size, buf_count=smp.buf_count)
    reckoned = (
        f"{size} bytes at no more than {bound.bytes_per_second:.0f} bytes/s over Bluetooth LE (2M, 251 bytes, the best "
        f"interval; limited by {bound.limited_by}) with {smp.buf_count} buffers of {smp.buf_size} bytes"
    )
    return int(-(-size * 1000 // bound.bytes_per_second)), reckoned


def too_short(policy: Policy) -> Iterator[Short]:
    """Every limit within which what it limits cannot be done."""
    needed_ms, reckoned = reset_and_swap_ms(policy)
    for mode in policy.modes.values():
        if mode.maintenance and mode.allow >= _UPDATE:
            if mode.lease_ms is not None and mode.lease_ms < needed_ms:
                yield _short(f"modes.{mode.name}.lease_s", mode.lease_ms, needed_ms, _RESET, reckoned)
            if mode.idle_ms is not None and mode.idle_ms < RESET_DELAY_MS:
                why = f"a granted reset takes place after {RESET_DELAY_MS} ms, and until then nothing may be asked"
                yield _short(f"modes.{mode.name}.idle_s", mode.idle_ms, RESET_DELAY_MS, "waiting for a reset", why)
    deadline_ms = policy.update.trial_deadline_ms
    if policy.bootloader.has_trials(0) and deadline_ms is not None and deadline_ms < needed_ms:
        yield _short("update.trial_deadline_s", deadline_ms, needed_ms, _RESET, reckoned)
    if set(policy.smp.transports) == {Transport.BLE}:
        yield from _uploads(policy)


_RESET: Final = "a reset and its swap"


def _short(key: str, allowed_ms: int, needed_ms: int, what: str, reckoned: str) -> Short:
    allowed, needed = seconds(allowed_ms), seconds(needed_ms)
    text = f"{key} = {allowed} is too short for {what}: at least {needed} s. Make it {needed} or more"
    return Short(key=key, text=text, reckoned=reckoned)


def _uploads(policy: Policy) -> Iterator[Short]:
    needed_ms, reckoned = upload_ms(policy)
    for mode, most_ms in long_uploads(policy):
        what = "an upload of a full slot over Bluetooth LE"
        yield _short(f"modes.{mode.name}.lease_max_s", most_ms, needed_ms, what, reckoned)


def long_uploads(policy: Policy) -> Iterator[tuple[Mode, int]]:
    """Maintenance modes that end before a full slot can be uploaded over Bluetooth LE, and their longest time (ms)."""
    if Transport.BLE not in policy.smp.transports:
        return
    needed_ms, _ = upload_ms(policy)
    for mode in policy.modes.values():
        most_ms = mode.lease_max_ms if mode.maintenance and mode.allow & _UPLOAD else None
        if most_ms is not None and most_ms < needed_ms:
            yield mode, most_ms
