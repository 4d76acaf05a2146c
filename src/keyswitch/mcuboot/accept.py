"""Would this device take this file, and run it? Asked before a byte is sent.

Rules kept here:

* the answer is the bootloader's own list of checks, with what the device's upload asks for in front of it;
* a file that carries a trailer is refused: written whole it would start by itself.
"""

from dataclasses import replace

from keyswitch.mcuboot.config import BootConfig, Downgrade
from keyswitch.mcuboot.files import NamedImage
from keyswitch.mcuboot.image import ImageFault, ImageVersion
from keyswitch.mcuboot.layout import max_image_size
from keyswitch.mcuboot.padding import read_padding
from keyswitch.mcuboot.verify import CheckResult, ImageCheck, verify


def accept(
    named: NamedImage, config: BootConfig, *, running: ImageVersion | None = None, counters: tuple[int, ...] = ()
) -> ImageCheck:
    """Everything that stands between this file and its running.

    Args:
        named: one image of a file.
        config: how the device's bootloader is built.
        running: what the device runs now, if that is known; only needed where downgrades are refused.
        counters: the device's stored security counters, as far as they are known.
    """
    number = named.image or 0
    if number >= len(config.layout.pairs):
        there = f"image numbers 0 to {len(config.layout.pairs) - 1}"
        fault = ImageFault(check="image number", expected=there, found=str(number))
        return ImageCheck(
            image=None, checks=(CheckResult(name="image number", ok=False, detail=fault.line, fault=fault),)
        )
    limits = config.limits(number, counters)
    if config.downgrade is Downgrade.BY_VERSION:
        limits = replace(limits, min_version=running)
    verdict = verify(named.source, config.keys, limits)
    return ImageCheck(image=verdict.image, checks=(_check_upload(named, verdict, config), *verdict.checks))


def _check_upload(named: NamedImage, verdict: ImageCheck, config: BootConfig) -> CheckResult:
    limit = max_image_size(config.layout, named.image or 0)
    size = named.source.size
    fault: ImageFault | None = None
    if size > limit:
        fault = ImageFault(check="upload", expected=f"at most {limit} bytes", found=f"{size} bytes")
    elif verdict.image is not None and read_padding(named.source, verdict.image).arms:
        fault = ImageFault(
            check="upload",
            expected="a file without a trailer (imgtool sign without --pad, --test, --confirm)",
            found="a trailer at its end, which would start it by itself",
            offset=size - 16,
        )
    if fault is not None:
        return CheckResult(name="upload", ok=False, detail=fault.line, fault=fault)
    return CheckResult(name="upload", ok=True, detail=f"{size} of {limit} bytes")
