"""Power lost at any moment of a whole session: a new image never starts outside maintenance, and never a mixture.

One update is carried out over the real server, with every flash operation and every write to the store watched. From
each content of flash and store that a cut could leave, a device is powered up.
"""

from copy import deepcopy
from typing import Any

import pytest
from tests.device.server.test_in_place import LOADER, in_loader, in_place, updater
from tests.device.server_rig import Rig, image_hash, make_image

from keyswitch.device.storage.store import MemoryStore
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.mcuboot.power import Leftovers, WatchedFlash

NEW = make_image("1.1.0", 3000)
MODE = 0x4B53
WITH_TRIALS = (Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET, Algorithm.DIRECT_XIP)
"""Where a new image is overwritten in, there is no trial: once it has started, in maintenance, it stays."""
Left = tuple[bytes, dict[str, dict[str, Any]]]


class WatchedStore(MemoryStore):
    """A store whose documents change from one moment to the next, and which says so."""

    def __init__(self, changed: Any) -> None:
        super().__init__()
        self._changed = changed

    def write(self, name: str, document: dict[str, Any] | None) -> None:
        self._changed()
        super().write(name, document)
        self._changed()


class Watch:
    """Collects what cuts can leave, from when it is put into a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.left: dict[bytes, Left] = {}
        self.store = WatchedStore(self.note_store)
        self.store.documents = rig.store.documents
        rig.store = self.store
        rig.server.core.setup.memory._store = self.store
        size = rig.layout.geometry.size
        self.flash = WatchedFlash(rig.layout.geometry, rig.flash.read(0, size), self.note_flash)
        rig.flash = self.flash
        rig.server.core.flash = self.flash

    def note_flash(self, leftovers: Leftovers) -> None:
        for content in leftovers.all():
            self._keep(content)

    def note_store(self) -> None:
        self._keep(self.flash.content)

    def _keep(self, content: bytes) -> None:
        documents = deepcopy(self.store.documents)
        self.left.setdefault(content + repr(sorted(documents.items())).encode(), (content, documents))


def powered_up(rig: Rig, left: Left) -> Rig:
    """Another device of the same kind with this in flash and store."""
    content, documents = left
    other = Rig(rig.policy, layout=rig.layout)
    other.flash = RamFlash(rig.layout.geometry, content=content)
    other.server.core.flash = other.flash
    other.store.documents = deepcopy(documents)
    other.power_up()
    return other


def runs_new(rig: Rig) -> bool:
    running = rig.report.images[0].running_hash
    assert running in {image_hash(NEW), image_hash(rig.running), image_hash(LOADER)}
    return running == image_hash(NEW)


@pytest.mark.parametrize("algorithm", WITH_TRIALS)
def test_until_it_is_confirmed_a_new_image_runs_only_in_maintenance(algorithm):
    rig = Rig(algorithm=algorithm)
    peer = rig.in_maintenance()
    watch = Watch(rig)
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    assert runs_new(rig)
    assert rig.mode == "maintenance"
    started = 0
    for left in watch.left.values():
        after = powered_up(rig, left)
        if runs_new(after):
            assert after.mode == "maintenance"
            assert after.report.trial
            started += 1
    assert 0 < started < len(watch.left)


@pytest.mark.parametrize("algorithm", WITH_TRIALS)
def test_a_trial_that_is_cut_off_ends_confirmed_or_given_up(algorithm):
    rig = Rig(algorithm=algorithm)
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    watch = Watch(rig)
    peer = rig.peer()
    rig.write(peer, 1, 0, {"confirm": True})
    rig.write(peer, MODE, 5)
    confirmed = 0
    for left in watch.left.values():
        after = powered_up(rig, left)
        assert not after.report.trial
        confirmed += runs_new(after)
    assert confirmed
    assert rig.mode == "normal"


@pytest.mark.parametrize("algorithm", [each for each in Algorithm if each.updates_itself])
def test_leaving_takes_an_upload_along_wherever_the_power_goes(algorithm):
    rig = Rig(algorithm=algorithm)
    peer = rig.in_maintenance()
    watch = Watch(rig)
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.write(peer, MODE, 5)
    assert rig.mode == "normal"
    for left in watch.left.values():
        after = powered_up(rig, left)
        assert not runs_new(after)
        assert after.mode == "normal"


@pytest.mark.parametrize("by_loader", [False, True])
def test_where_an_image_starts_because_it_lies_there_it_starts_in_its_session_alone(by_loader):
    """From the upload's first byte to the session's own reset: what a cut leaves runs the old image, or the loader.

    Once the new one has started, in maintenance, it stays, and any other reset ends the session.
    """
    rig = updater() if by_loader else in_place()
    peer = in_loader(rig) if by_loader else rig.in_maintenance()
    watch = Watch(rig)
    rig.upload(peer, NEW)
    before: list[Left] = []
    power_up = rig.power_up

    def started_once(**how: Any) -> None:
        before.extend(watch.left.values())
        power_up(**how)

    rig.power_up = started_once
    rig.reset(peer)
    assert (runs_new(rig), rig.mode) == (True, "maintenance")
    started = 0
    for left in before:
        after = powered_up(rig, left)
        assert after.mode == ("maintenance" if runs_new(after) else "normal")
        started += runs_new(after)
    assert 0 < started < len(before)
    after = [powered_up(rig, left) for left in list(watch.left.values())[len(before) :]]
    assert all(runs_new(each) for each in after)


def test_leaving_the_loader_takes_an_upload_along_wherever_the_power_goes():
    rig = updater()
    peer = in_loader(rig)
    watch = Watch(rig)
    rig.upload(peer, NEW)
    rig.write(peer, MODE, 5)
    for left in watch.left.values():
        after = powered_up(rig, left)
        assert (runs_new(after), after.mode) == (False, "normal")
