"""Forged images: one thing is wrong with each, and a bootloader that checks signatures refuses each for that."""

from pathlib import Path

import pytest

from keyswitch.audit.forged import Forged, cut_short, one_bit_changed, signed_by_another, without_signature
from keyswitch.audit.target import NotReachedError
from keyswitch.demo.workshop import Workshop
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import ImageFault, parse_image
from keyswitch.mcuboot.keys import VerificationKeys, load_keys
from keyswitch.mcuboot.verify import verify
from keyswitch.policy.bootloader import keys_of
from keyswitch.testing.holes.device import make_image, signer_pem

OWN = load_keys(("own", signer_pem()))


def refused_for(forged: Forged, keys: VerificationKeys) -> str:
    refusal = verify(BytesSource(forged.data), keys).refusal
    return "" if refusal is None else refusal.name


def forgeries(data: bytes) -> dict[str, Forged]:
    return {
        "bit": one_bit_changed(data),
        "cut": cut_short(data),
        "bare": without_signature(data),
        "named": signed_by_another(data, named=True),
        "claimed": signed_by_another(data, named=False),
    }


WRONG = {"bit": "signature", "cut": "format", "bare": "signature", "named": "signature", "claimed": "signature"}


def test_a_bootloader_with_keys_refuses_each_for_what_is_wrong_with_it(pump: Workshop) -> None:
    """Ed25519 as the devices in this process have it, ECDSA P-256 as the pump has."""
    for data, keys in ((make_image(2).data, OWN), (pump.new.read_bytes(), keys_of(pump.policy))):
        assert verify(BytesSource(data), keys).refusal is None
        assert {name: refused_for(each, keys) for name, each in forgeries(data).items()} == WRONG


def test_a_bootloader_without_keys_refuses_only_what_is_not_whole(pump: Workshop) -> None:
    """Everything else about them fits: hash and form."""
    for data in (make_image(2).data, pump.new.read_bytes()):
        found = {name: refused_for(each, VerificationKeys()) for name, each in forgeries(data).items()}
        assert found == {**dict.fromkeys(WRONG, ""), "cut": "format"}


def test_each_is_listed_by_the_hash_that_is_said() -> None:
    for name, each in forgeries(make_image(2).data).items():
        image = parse_image(BytesSource(each.data))
        assert isinstance(image, ImageFault) if name == "cut" else image.hash == each.hash  # type: ignore[union-attr]


@pytest.mark.parametrize("forge", [one_bit_changed, cut_short, without_signature])
def test_what_is_no_image_is_not_forged(forge: object, tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(NotReachedError, match="--next cannot be read"):
        forge(b"nothing")  # type: ignore[operator]


def test_an_image_without_a_signature_cannot_be_signed_by_another() -> None:
    bare = without_signature(make_image(2).data).data
    with pytest.raises(NotReachedError, match="has no signature"):
        signed_by_another(bare, named=True)
