"""The checks that MCUboot makes before it runs an image, each with a name and a result (bootutil/image_validate.c).

Rules kept here:

* nothing is trusted because it is written in the file: the hash is computed, the signature is checked over it;
* the checks are a list in a fixed order; one failure refuses the image, and says what was expected, found, and where;
* an image is read in pieces; only a pure signature needs it whole;
* `cryptography` is imported when a key is loaded, not before.
"""

from dataclasses import dataclass

from keyswitch.mcuboot.flash import Source
from keyswitch.mcuboot.image import Fault, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check.

    Attributes:
        name: of the check.
        ok: whether it passed.
        detail: what was found, in words.
        fault: what is wrong, None if it passed.
    """

    name: str
    ok: bool
    detail: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys, loaded once. Make it with `load_keys`; without any, only hashes are checked."""

    keys: tuple[object, ...] = ()


def load_keys(*pems: tuple[str, bytes]) -> Keys:
    """Load public (or private: its public half is taken) keys from PEM; each is (where, bytes).

    Raises:
        InputError: if one is no key, or of a kind that MCUboot does not know.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The checks of one image.

    Attributes:
        image: what could be read, None if nothing could.
        checks: in order.
    """

    image: Image | None
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)


def verify(source: Source, keys: Keys, *, max_size: int | None = None) -> Verdict:
    """Make all checks on the image at the start of `source`."""
    raise NotImplementedError
