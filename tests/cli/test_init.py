"""`keyswitch init`: whatever is chosen, the result holds."""

import itertools
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.cli.policy_commands import Run, run
from tests.mcuboot import imgtool_images as images
from tests.zephyr.builds import DEVICETREE, MCUBOOT, PARTITIONS, write_build

from keyswitch.exits import Exit
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import max_image_size
from keyswitch.policy.bootloader import slots_of
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.schema import schema_document
from keyswitch.policy.secrets import read_issuers, read_secret
from keyswitch.policy.template import Choices, template
from keyswitch.policy.units import Unit, only_unit
from keyswitch.prove.check import check
from keyswitch.prove.lint import lint
from keyswitch.terms import Transport
from keyswitch.zephyr.boards import BOARDS

__all__ = ["run"]

KINDS = (ProofKind.CHALLENGE, ProofKind.PERMIT, ProofKind.SEQUENCE)


def test_defaults_make_a_policy_and_keys_that_can_be_used(run: Run, tmp_path: Path) -> None:
    ran = run("init", tmp_path / "pump", "--yes")
    assert ran.code == Exit.YES
    policy = read_policy(tmp_path / "pump" / "policy.toml")
    assert policy.device.name == "pump"
    assert len(read_secret(policy)) == 32
    assert "the policy is proved" in ran.out
    for path in (tmp_path / "pump" / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o644 if path.name.endswith(".pub.pem") else 0o600)


def test_options_are_obeyed(run: Run, tmp_path: Path) -> None:
    words = ["--yes", "--name", "Line", "--proof", "permit", "--proof", "sequence", "--no-button"]
    words += ["--service", "live", "--transport", "udp", "--safety-input", ""]
    assert run("init", tmp_path, *words).code == Exit.YES
    policy = read_policy(tmp_path / "policy.toml")
    assert policy.device.name == "Line"
    assert policy.inputs == ()
    assert policy.gate.service is Visibility.LIVE
    assert policy.smp.transports == (Transport.UDP,)
    assert len(read_issuers(policy)) == 1
    assert not (tmp_path / "keys" / "device.hmac").exists()


def test_the_bootloader_is_read_from_the_build(run: Run, tmp_path: Path) -> None:
    build = write_build(tmp_path / "build", MCUBOOT["nrf54l15, NCS 3.1 with sysbuild"], devicetree=DEVICETREE)
    assert run("init", tmp_path / "pump", "--yes", "--build", build).code == Exit.YES
    text = (tmp_path / "pump" / "policy.toml").read_text()
    assert f"# Read from {build}/mcuboot/zephyr/.config and {build}/mcuboot/zephyr/zephyr.dts." in text
    assert "# Its key is /home/me/pump/keys/root-ed25519.pem; `key` below is its public half." in text
    settings = read_policy(tmp_path / "pump" / "policy.toml").bootloader
    assert (settings.slot_size, settings.secondary_size, settings.write_block) == (0xA6000, 0xA5000, 16)
    assert (settings.hash, settings.downgrade) == (VerifiedHash.SHA512, Downgrade.BY_VERSION)
    assert (settings.needs_erase, settings.guessed) == (False, False)


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_is_a_guess_that_check_names(run: Run, tmp_path: Path, board: str) -> None:
    assert run("init", tmp_path, "--yes", "--board", board).code == Exit.YES
    policy = read_policy(tmp_path / "policy.toml")
    assert policy.bootloader.guessed
    assert policy.bootloader.hash is BOARDS[board].bootloader.hash
    assert "guessed-bootloader" in [each.name for each in lint(policy)]


@pytest.mark.parametrize("board", BOARDS)
def test_a_boards_policy_takes_the_images_of_its_product(run: Run, tmp_path: Path, board: str) -> None:
    """Yes for a right image, and for a wrong one the check that refuses it."""
    assert run("init", tmp_path, "--yes", "--board", board).code == Exit.YES
    right, wrong = ("512", "256") if BOARDS[board].bootloader.hash is VerifiedHash.SHA512 else ("256", "512")
    key, policy = tmp_path / "keys" / "image.pem", tmp_path / "policy.toml"
    found = {}
    for sha in (right, wrong):
        image = tmp_path / f"{sha}.bin"
        signing = ("--key", str(key)) if right in {sha, "512"} else ()
        (tmp_path / "raw").write_bytes(images.payload(3000))
        images.run(
            "sign", *signing, "--sha", sha, "--header-size", "0x200", "--pad-header", "--align", "4",
            "--version", "1.0.0", "--slot-size", "0x70000", str(tmp_path / "raw"), str(image),
        )  # fmt: skip
        found[sha] = run("image", "verify", image, "--policy", policy)
    assert (found[right].code, found[right].out.splitlines()[-1]) == (Exit.YES, f"{tmp_path / f'{right}.bin'}: yes")
    assert found[wrong].code == Exit.NO
    assert f": no: build: found an image for SHA-{wrong}, expected " in found[wrong].out.splitlines()[-1]


@pytest.mark.parametrize("board", BOARDS)
def test_for_each_board_a_wrong_image_is_refused_by_the_check_meant_for_it(
    run: Run, tmp_path: Path, board: str
) -> None:
    bootloader = BOARDS[board].bootloader
    kind = "ed25519" if bootloader.hash is VerifiedHash.SHA512 else "ecdsa-p256"
    options = ("--sha", "512") if kind == "ed25519" else ()
    key = tmp_path / "root.pub.pem"
    key.write_bytes(images.public_pem(kind))
    assert run("init", tmp_path, "--yes", "--board", board, "--image-key", key).code == Exit.YES
    right = images.signed("1.0.0", *options, key=kind, size=900)
    most = max_image_size(slots_of(bootloader, where=board))
    tried = {
        "right": (right, "yes"),
        "damaged": (right[:700] + bytes([right[700] ^ 1]) + right[701:], "no: hash: "),
        "of another key": (images.signed("1.0.0", *options, key=kind, number=1, size=900), "no: signature: found "),
        "unsigned": (images.signed("1.0.0", *options, key=None, size=900), "no: signature: found "),
        "too large": (
            images.signed("1.0.0", *options, key=kind, size=most, slot_size=0x100000),
            "no: upload: found ",
        ),
        "armed": (images.signed("1.0.0", "--pad", *options, key=kind, size=900), "no: upload: found a trailer"),
    }
    for name, (content, said) in tried.items():
        (tmp_path / "image.bin").write_bytes(content)
        ran = run("image", "verify", tmp_path / "image.bin", "--policy", tmp_path / "policy.toml")
        answer = ran.out.splitlines()[-1].removeprefix(f"{tmp_path / 'image.bin'}: ")
        assert ran.code == (Exit.YES if said == "yes" else Exit.NO), (name, answer)
        assert answer.startswith(said), (name, answer)
        assert name != "too large" or answer.endswith(f"expected at most {most} bytes"), answer


BUILT = {
    "direct-xip-no-revert": "CONFIG_BOOT_DIRECT_XIP=y\n",
    "firmware-loader": "CONFIG_BOOT_FIRMWARE_LOADER=y\nCONFIG_BOOT_FIRMWARE_LOADER_BOOT_MODE=y\n"
    "CONFIG_BOOT_FIRMWARE_LOADER_NO_APPLICATION=y\n",
    "overwrite-only": "CONFIG_BOOT_UPGRADE_ONLY=y\n",
}


@pytest.mark.parametrize("algorithm", BUILT)
def test_a_build_without_a_trial_makes_a_policy_that_counts_on_none(run: Run, tmp_path: Path, algorithm: str) -> None:
    slots = PARTITIONS.format(address="0x82000", region="flash_primary", size="0x76000")
    build = write_build(tmp_path / "build", BUILT[algorithm], partitions=slots)
    ran = run("init", tmp_path / "pump", "--yes", "--build", build)
    assert "the policy is proved" in ran.out
    policy = read_policy(tmp_path / "pump" / "policy.toml")
    assert (policy.bootloader.algorithm, policy.update.trial_deadline_ms) == (algorithm, None)
    assert "no-way-back" in [each.name for each in lint(policy)]


def test_a_key_that_does_not_go_with_the_bootloader(run: Run, tmp_path: Path) -> None:
    key = tmp_path / "root.pub.pem"
    key.write_bytes(images.public_pem("ecdsa-p256"))
    ran = run("init", tmp_path / "pump", "--yes", "--board", "nrf54l15dk", "--image-key", key)
    assert ran.code == Exit.USAGE
    assert "does not go with SHA-512, which the bootloader verifies" in ran.err
    assert not (tmp_path / "pump").exists()


def test_a_build_that_does_not_say_how_flash_is_written_leaves_a_guess(run: Run, tmp_path: Path) -> None:
    slots = PARTITIONS.format(address="0x82000", region="flash_primary", size="0x76000")
    build = write_build(tmp_path / "build", MCUBOOT["nrf52840, NCS 2.5 with a child image"], partitions=slots)
    assert run("init", tmp_path / "pump", "--yes", "--build", build).code == Exit.YES
    assert read_policy(tmp_path / "pump" / "policy.toml").bootloader.guessed


def test_a_build_and_a_board_are_too_much(run: Run, tmp_path: Path) -> None:
    ran = run("init", tmp_path / "pump", "--yes", "--build", tmp_path, "--board", "nrf52840dk")
    assert ran.code == Exit.USAGE
    assert not (tmp_path / "pump").exists()


def test_a_directory_that_is_no_build_writes_nothing(run: Run, tmp_path: Path) -> None:
    ran = run("init", tmp_path / "pump", "--yes", "--build", tmp_path)
    assert ran.code == Exit.USAGE
    assert "no build with MCUboot" in ran.err
    assert not (tmp_path / "pump").exists()


@pytest.mark.parametrize("proofs", [each for n in (1, 2, 3) for each in itertools.combinations(KINDS, n)])
@pytest.mark.parametrize("button", [True, False])
@pytest.mark.parametrize("safety_input", ["motion", ""])
def test_every_choice_holds(proofs: tuple[ProofKind, ...], *, button: bool, safety_input: str) -> None:
    choices = Choices(name='A "quoted" \\ name', proofs=proofs, button=button, safety_input=safety_input)
    policy = load(template(choices).encode())
    assert policy.device.name == choices.name
    assert check(policy).holds


@pytest.mark.parametrize("service", Visibility)
def test_every_strategy_holds(service: Visibility) -> None:
    choices = Choices(name="x", proofs=(ProofKind.CHALLENGE,), service=service, transports=tuple(Transport))
    assert check(load(template(choices).encode())).holds


def test_each_strategy_is_explained_where_a_person_chooses(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence each, and the one that is chosen in the policy as well."""
    asked: list[str] = []

    def answer(question: str, **options: object) -> object:
        asked.append(question)
        return "authorize" if "SMP service" in question else options.get("default")

    monkeypatch.setattr("keyswitch.cli.init.sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("click.prompt", answer)
    monkeypatch.setattr("click.confirm", lambda *_args, **_options: True)
    ran = run("init", tmp_path)
    assert ran.code == Exit.YES, ran.err
    assert asked[-1] == "The SMP service is shown"
    for each in Visibility:
        assert f"  {each.value:<10} {each.sentence}" in ran.out.splitlines()
    text = (tmp_path / "policy.toml").read_text()
    assert f'# {Visibility.AUTHORIZE.sentence}\nservice = "authorize"\n' in text
    assert read_policy(tmp_path / "policy.toml").gate.service is Visibility.AUTHORIZE


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path, "--yes").code == Exit.YES
    before = (tmp_path / "keys" / "device.hmac").read_bytes()
    ran = run("init", tmp_path, "--yes")
    assert ran.code == Exit.USAGE
    assert "is there already" in ran.err
    assert (tmp_path / "keys" / "device.hmac").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [("--name", "x" * 30, "--name: "), ("--safety-input", "Motion!", "--safety-input: ")],
)
def test_choices_that_cannot_be(run: Run, tmp_path: Path, option: str, value: str, line: str) -> None:
    ran = run("init", tmp_path, "--yes", option, value)
    assert ran.code == Exit.USAGE
    assert line in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_editor_finds_the_schema_beside_the_policy(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path, "--yes").code == Exit.YES
    first, *_ = (tmp_path / "policy.toml").read_text().splitlines()
    assert first == "#:schema policy.schema.json"
    assert (tmp_path / "policy.schema.json").read_bytes() == schema_document()


def test_a_schema_that_is_there_is_left_alone(run: Run, tmp_path: Path) -> None:
    """Somebody's own, or that of another policy in the same directory."""
    (tmp_path / "policy.schema.json").write_text("{}")
    assert run("init", tmp_path, "--yes").code == Exit.YES
    assert (tmp_path / "policy.schema.json").read_text() == "{}"


def test_an_image_key_that_is_there_already_is_named_and_none_is_made(run: Run, tmp_path: Path) -> None:
    run("keys", "new", tmp_path / "product" / "root.pem", "--kind", "image")
    key = tmp_path / "product" / "root.pub.pem"
    assert run("init", tmp_path / "pump", "--yes", "--image-key", key).code == Exit.YES
    policy = read_policy(tmp_path / "pump" / "policy.toml")
    assert policy.bootloader.key is not None
    assert policy.bootloader.key.resolve() == key.resolve()
    assert not (tmp_path / "pump" / "keys" / "image.pem").exists()


def test_a_unit_is_begun_beside_the_policy(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path / "a", "--yes", "--unit", 'P "7"').code == Exit.YES
    assert only_unit(tmp_path / "a" / "unit.toml") == Unit(id='P "7"')
    ran = run("init", tmp_path / "b", "--yes", "--unit", "x" * 65)
    assert ran.code == Exit.USAGE
    assert not (tmp_path / "b").exists()
