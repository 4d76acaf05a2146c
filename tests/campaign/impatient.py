"""`keyswitch campaign` that gives a device up sooner which does not come back: `python -m tests.campaign.impatient …`.

The bound is that of a test, not of this machine: all other devices of a tray come back within a fraction of it.
"""

import sys
from dataclasses import replace

from keyswitch.cli.main import main
from keyswitch.host.update.steps import BY_NAME, StepName

COMES_BACK_WITHIN_MS = 30_000


def give_up_sooner() -> None:
    BY_NAME[StepName.SWAP] = replace(BY_NAME[StepName.SWAP], bound_ms=COMES_BACK_WITHIN_MS, tries=1)


if __name__ == "__main__":
    give_up_sooner()
    main(["campaign", *sys.argv[1:]])
