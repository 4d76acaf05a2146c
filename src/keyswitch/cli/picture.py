"""Pictures as files: SVG as it is drawn, PNG by the extra `png`."""

import importlib

from keyswitch.errors import InputError


def png(picture: str) -> bytes:
    """A PNG of an SVG, twice its size; `keyswitch.extras.need("cairosvg", …)` was asked first.

    Raises:
        InputError: a library of the system is missing.
    """
    try:
        cairosvg = importlib.import_module("cairosvg")
    except OSError as error:  # it is a way to a library of the system, which pip does not install
        raise InputError(
            ".png", "the system's cairo library is missing", "it to be installed (Debian: libcairo2), or a .svg"
        ) from error
    return bytes(cairosvg.svg2png(bytestring=picture.encode(), scale=2))
