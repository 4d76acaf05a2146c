"""Whether a device was really reset, from what it tells before and after. Pure.

Rules:

* Time proves nothing: an old image answers for a while after it agreed to a reset, and a slow device for longer.
* A boot id decides where the device has one: it is drawn at each boot.
* Without one, another running hash decides (another version, where hashes are not told), then a pending mark that is
  gone, then a link that the device has ended.
"""

from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.smp.slots import none_runs
from keyswitch.host.update.job import BeforeReset, Observed


def has_rebooted(
    before: BeforeReset,
    *,
    boot_id: bytes,
    slots: tuple[SlotInfo, ...] | None,
    hashes: frozenset[bytes],
    link_ended: bool,
) -> bool | None:
    """Whether the reset took place.

    Args:
        before: what was told before it was asked for.
        boot_id: told now; empty if the device has none.
        slots: told now; None if the device does not tell.
        hashes: of the images that the reset was to start.
        link_ended: whether the device ended the link after it had agreed to the reset.

    Returns:
        None if nothing can be told yet.
    """
    if boot_id and before.boot_id:
        return boot_id != before.boot_id
    if slots is None:
        return link_ended or None
    if _active(slots) != _active(before.slots):
        return True
    if _pending(before.slots, hashes):
        return not _pending(slots, hashes)
    return link_ended


def was_tried(seen: Observed) -> bool:
    """Whether each image lies in its slot, neither running nor about to: tried and given up.

    A bootloader that refuses an image erases it (MCUboot `boot_validated_swap_type`), so that it is listed no more.
    """
    if none_runs(seen.slots or ()):
        return False  # a loader or recovery marks nothing
    views = [seen.listed(image) for image in seen.images]
    return all(view is not None and not view.active and not view.pending for view in views)


def _active(slots: tuple[SlotInfo, ...]) -> set[tuple[int, bytes | str]]:
    return {(view.image, view.hash or view.version) for view in slots if view.active}


def _pending(slots: tuple[SlotInfo, ...], hashes: frozenset[bytes]) -> bool:
    # Without hashes it may be another image's mark: a reset takes that away as well.
    return any(view.pending and (not view.hash or view.hash in hashes) for view in slots)
