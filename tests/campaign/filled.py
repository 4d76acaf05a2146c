"""A campaign whose disk becomes full, and is enlarged: `python -m tests.campaign.filled DIRECTORY`, where it may mount.

Prints one line of JSON: what was said when it was full, and how it ended when it was resumed.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from keyswitch.campaign.carry_out import begin, resume
from keyswitch.campaign.events import Attempt
from keyswitch.campaign.load import read_campaign
from keyswitch.campaign.look import look
from keyswitch.campaign.model import CampaignFiles
from keyswitch.campaign.outcomes import Outcome
from keyswitch.errors import InputError

DEVICES = 150
SMALL, LARGE = "700k", "8m"
"""The engine's empty tables have some 500 kB."""


def main(directory: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(directory)], check=True)
    file = directory / "full.toml"
    rows = "".join(f'[[device]]\nid = "P-{n}"\ntarget = "udp:10.0.0.{n}"\n' for n in range(1, DEVICES + 1))
    file.write_text(f'[campaign]\nname = "full"\n[release]\nimage = "new.bin"\n[run]\nconcurrency = 4\n{rows}')
    read, files = read_campaign(file), CampaignFiles.of(file)
    updated: list[str] = []

    async def update(device: Any, _campaign: Any, _sink: Any) -> Attempt:
        updated.append(device.id)
        return Attempt(outcome=Outcome.CONFIRMED, detail="confirmed")

    said = ""
    try:
        asyncio.run(begin(read, files, lambda _event: None, update=update))
    except InputError as error:
        said = str(error)
    before = len(updated)
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", str(directory)], check=True)
    state = look(read, files).state.value
    ended = asyncio.run(resume(read, files, lambda _event: None, update=update))
    confirmed = ended.outcomes["confirmed"]
    told = {"said": said, "state": state, "before": before, "confirmed": confirmed, "again": len(updated)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
