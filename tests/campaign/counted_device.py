"""`keyswitch device` that counts what is done to its flash: `python -m tests.campaign.counted_device COUNTS DIR …`.

COUNTS is a file: write blocks programmed and sectors erased since it was made, over all power cycles.
"""

import sys
from pathlib import Path

from keyswitch.cli.main import main
from keyswitch.device.storage.flash_file import FlashFile


def count_into(path: Path) -> None:
    blocks = sectors = 0
    write, erase = FlashFile.write, FlashFile.erase
    file = path.open("w")

    def note() -> None:
        file.seek(0)
        file.write(f"{blocks:>12} {sectors:>12}\n")
        file.flush()

    def counted_write(self: FlashFile, offset: int, data: bytes) -> None:
        nonlocal blocks
        write(self, offset, data)
        blocks += len(data) // self.geometry.write_block
        note()

    def counted_erase(self: FlashFile, offset: int, size: int) -> None:
        nonlocal sectors
        erase(self, offset, size)
        sectors += size // self.geometry.sector_size
        note()

    FlashFile.write, FlashFile.erase = counted_write, counted_erase


if __name__ == "__main__":
    count_into(Path(sys.argv[1]))
    main(["device", *sys.argv[2:]])
