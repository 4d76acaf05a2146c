"""From a target, as people write it, to a way to the device."""

from functools import partial

from keyswitch.host.reach import BleReach, PacketReach, Reach
from keyswitch.link.targets import BleTarget, open_adapter, open_packets, parse


def open_reach(text: str) -> Reach:
    """The way to the device that `text` names. Nothing is opened yet.

    Raises:
        InputError: it names nothing that can be reached.
    """
    target = parse(text)
    if isinstance(target, BleTarget):
        return BleReach(open_adapter(target), target=text, name=target.name, address=target.address)
    return PacketReach(text, partial(open_packets, target))
