"""Files that a whole update needs, made once."""

from pathlib import Path

import pytest

from keyswitch.demo import workshop
from keyswitch.demo.workshop import Workshop
from keyswitch.host.job import JobImage
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, parse_image


@pytest.fixture(scope="session")
def pump(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The pump's policy, keys and images, as the demo makes them, with a small firmware."""
    directory = tmp_path_factory.mktemp("pump")
    payload = directory / "payload.bin"
    payload.write_bytes(bytes(range(256)) * 64)
    return workshop.make(directory, payload)


def job_image(path: Path) -> JobImage:
    data = path.read_bytes()
    parsed = parse_image(BytesSource(data))
    assert isinstance(parsed, Image)
    return JobImage(data=data, hash=parsed.hash, version=str(parsed.version))
