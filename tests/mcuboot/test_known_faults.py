"""Which bootloaders have which of MCUboot's own faults."""

import pytest

from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.known_faults import KNOWN_FAULTS, BootloaderKind, faults_of
from keyswitch.mcuboot.layout import Algorithm

LAST_SECTOR, UPLOAD, SECOND_SWAP, REVERT, LISTED = (fault.name for fault in KNOWN_FAULTS)


@pytest.mark.parametrize(
    ("algorithm", "downgrade", "needs_erase", "version", "expected"),
    [
        (Algorithm.SWAP_MOVE, Downgrade.ALLOWED, True, None, []),
        (Algorithm.SWAP_MOVE, Downgrade.BY_VERSION, True, None, [REVERT]),
        (Algorithm.SWAP_MOVE, Downgrade.BY_COUNTER, True, (2, 2, 0), [REVERT]),
        (Algorithm.SWAP_MOVE, Downgrade.ALLOWED, False, (2, 2, 9), []),
        (Algorithm.SWAP_MOVE, Downgrade.ALLOWED, False, (2, 3, 0), [SECOND_SWAP]),
        (Algorithm.SWAP_MOVE, Downgrade.ALLOWED, False, None, [SECOND_SWAP]),
        (Algorithm.SWAP_OFFSET, Downgrade.ALLOWED, True, (2, 1, 0), [UPLOAD, LISTED]),
        (Algorithm.SWAP_OFFSET, Downgrade.ALLOWED, True, (2, 2, 0), [LAST_SECTOR, UPLOAD, LISTED]),
        (Algorithm.SWAP_OFFSET, Downgrade.BY_VERSION, False, None, [LAST_SECTOR, UPLOAD, LISTED]),
        (Algorithm.OVERWRITE_ONLY, Downgrade.BY_VERSION, False, None, []),
        (Algorithm.DIRECT_XIP, Downgrade.BY_VERSION, False, None, []),
    ],
)
def test_faults_of(algorithm, downgrade, needs_erase, version, expected):
    kind = BootloaderKind(algorithm=algorithm, downgrade=downgrade, needs_erase=needs_erase, version=version)
    assert [fault.name for fault in faults_of(kind)] == expected
