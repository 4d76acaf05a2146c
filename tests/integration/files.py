"""Images as an update takes them."""

from pathlib import Path

from keyswitch.host.update.job import JobImage
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, parse_image


def job_image(path: Path) -> JobImage:
    data = path.read_bytes()
    parsed = parse_image(BytesSource(data))
    assert isinstance(parsed, Image)
    return JobImage(data=data, hash=parsed.hash, version=str(parsed.version))
