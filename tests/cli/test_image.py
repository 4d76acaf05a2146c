"""`keyswitch image`: what people and scripts see, and the exit codes."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.mcuboot import imgtool_images as images

from keyswitch.cli.image import image
from keyswitch.errors import InputError

POLICY = Path(__file__).parents[2] / "examples" / "pump" / "policy.toml"
GOOD = images.signed("1.2.3", size=900)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.bin").write_bytes(GOOD)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bad.bin").write_bytes(GOOD[:700] + bytes([GOOD[700] ^ 1]) + GOOD[701:])
    (tmp_path / "short.bin").write_bytes(GOOD[:-1])
    (tmp_path / "padded.bin").write_bytes(images.signed("1.2.3", "--confirm", size=900))
    (tmp_path / "app.hex").write_bytes(images.signed("1.2.3", "--hex-addr", "0x8000", size=900, suffix=".hex"))
    (tmp_path / "key.pem").write_bytes(images.public_pem())
    (tmp_path / "other.pem").write_bytes(images.public_pem("ecdsa-p256", 1))
    manifest = {"files": [{"file": "app.bin", "image_index": "0"}, {"file": "net.bin", "image_index": "1"}]}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("manifest.json", json.dumps(manifest))
        package.writestr("app.bin", GOOD)
        package.writestr("net.bin", images.signed("2.0.0", size=300))
    (tmp_path / "dfu_application.zip").write_bytes(made.getvalue())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(image, list(arguments), standalone_mode=False)


def last_line(result: Result) -> str:
    assert result.exception is None, result.exception
    return result.output.rstrip().splitlines()[-1]


def test_show(work):
    shown = run("show", "good.bin").output
    assert "version  1.2.3" in shown
    assert "sizes    header 512, payload 900" in shown
    assert "SHA256                 32" in shown
    assert (
        run("show", "padded.bin")
        .output.rstrip()
        .endswith("trailer at the end, confirmed: uploaded whole, this file would start by itself")
    )


@pytest.mark.parametrize("name", ["good.bin", "app.hex", "dfu_application.zip"])
def test_show_json(work, name):
    told = json.loads(run("show", name, "--json").output)
    assert told["file"] == name
    assert told["images"][0]["version"] == "1.2.3"
    assert len(told["images"]) == (2 if name.endswith("zip") else 1)


def test_show_says_why_a_file_cannot_be_shown(work):
    result = run("show", "key.pem")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("key.pem: magic: found 0x2d2d2d2d, a text with a key or certificate,")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("good.bin", "--key", "key.pem"), 0, "good.bin: yes"),
        (("app.hex", "--key", "key.pem"), 0, "app.hex: yes"),
        (("good.bin", "--key", "other.pem", "--key", "key.pem"), 0, "good.bin: yes"),
        (("good.bin", "--hash-only"), 0, "good.bin: yes"),
        (("dfu_application.zip", "--key", "key.pem"), 0, "net.bin: yes"),
        (("good.bin", "--key", "other.pem"), 1, "good.bin: no: signature: found ECDSA_SIG by another key, expected"),
        (("bad.bin", "--key", "key.pem"), 1, "bad.bin: no: hash: found "),
        (("bad.bin", "--hash-only"), 1, "bad.bin: no: hash: found "),
        (("short.bin", "--key", "key.pem"), 1, "short.bin: no: TLV area size: found "),
        (("key.pem", "--key", "key.pem"), 1, "key.pem: no: magic: found 0x2d2d2d2d, a text with a key or certificate"),
    ],
)
def test_verify(work, arguments, code, said):
    result = run("verify", *arguments)
    assert last_line(result).startswith(said)
    assert result.return_value == code


def test_each_check_has_its_row_and_what_is_wrong_stands_in_it_once(work):
    rows = run("verify", "bad.bin", "--key", "key.pem").output.splitlines()
    assert [row.split()[1:3] for row in rows if row.startswith("refused")] == [
        ["hash", "found"],
        ["signature", "found"],
    ]


def test_verify_json(work):
    told = json.loads(run("verify", "bad.bin", "--key", "key.pem", "--json").output)
    assert set(told) == {"schema_version", "ok", "version", "hash", "checks", "images"}
    assert (told["ok"], told["version"]) == (False, "1.2.3")
    assert told["hash"] == GOOD[512 + 900 + 8 :][:32].hex()
    assert [(check["name"], check["ok"]) for check in told["checks"]] == [
        ("format", True),
        ("flags", True),
        ("TLVs", True),
        ("hash", False),
        ("signature", False),
    ]
    unreadable = json.loads(run("verify", "key.pem", "--key", "key.pem", "--json").output)
    assert (unreadable["ok"], unreadable["version"], unreadable["hash"]) == (False, None, None)


def test_verify_json_of_a_package(work):
    told = json.loads(run("verify", "dfu_application.zip", "--key", "key.pem", "--json").output)
    assert (told["ok"], told["version"]) == (True, "1.2.3")
    assert [(entry["name"], entry["image"], entry["ok"]) for entry in told["images"]] == [
        ("app.bin", 0, True),
        ("net.bin", 1, True),
    ]


def test_an_encrypted_image_cannot_be_told_here(work):
    images.public_pem()
    public = images.WORK / "ecdsa-p256-0.pub.pem"
    Path("secret.bin").write_bytes(images.signed("1.2.3", "--encrypt", str(public), size=900))
    assert run("verify", "secret.bin", "--key", "key.pem").return_value == 1
    result = run("verify", "secret.bin", "--key", "key.pem", "--decrypts")
    assert last_line(result) == "secret.bin: cannot be told here"
    assert result.return_value == 3


@pytest.fixture
def policy(work):
    (work / "keys").mkdir()
    (work / "keys" / "root-ec-p256.pub.pem").write_bytes(images.public_pem())
    (work / "policy.toml").write_bytes(POLICY.read_bytes())
    return "policy.toml"


def test_would_this_device_run_it(policy):
    assert run("verify", "good.bin", "--policy", policy).return_value == 0
    result = run("verify", "padded.bin", "--policy", policy)
    assert last_line(result).startswith("padded.bin: no: upload: found a trailer at its end")
    assert result.return_value == 1
    result = run("verify", "dfu_application.zip", "--policy", policy)
    assert last_line(result) == "net.bin: no: image number: found 1, expected image numbers 0 to 0"
    assert result.return_value == 1


def test_an_image_that_is_too_large_for_the_device(policy):
    data = images.signed("1.2.3", size=460_000, slot_size=0x100000)
    Path("large.bin").write_bytes(data)
    result = run("verify", "large.bin", "--policy", policy)
    assert last_line(result) == f"large.bin: no: upload: found {len(data)} bytes, expected at most 450560 bytes"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "none.bin", "--key", "key.pem"), "none.bin: No such file or directory (expected a firmware image)"),
        (
            ("verify", "good.bin", "--key", "none.pem"),
            "none.pem: No such file or directory (expected a public key (PEM))",
        ),
        (("verify", "good.bin", "--key", "good.bin"), "good.bin: this is not a key (expected a PEM file with"),
        (("verify", "good.bin", "--policy", "good.bin"), "good.bin"),
        (("show", "none.bin"), "none.bin: No such file"),
        (("diff", "good.bin", "none.bin"), "none.bin: No such file"),
        (("show", "pipe"), "pipe: this is not a regular file"),
        (("verify", "pipe", "--hash-only"), "pipe: this is not a regular file"),
        (("diff", "good.bin", "pipe"), "pipe: this is not a regular file"),
        (("show", "."), ".: this is not a regular file"),
        (("show", "/dev/zero"), "/dev/zero: this is not a regular file"),
        (("show", "/proc/self/mem"), "/proc/self/mem: Input/output error"),
        (("verify", "/proc/self/mem", "--hash-only"), "/proc/self/mem: Input/output error"),
        (("diff", "good.bin", "/proc/self/mem"), "/proc/self/mem: Input/output error"),
        (("diff", "good.bin", "dfu_application.zip"), "dfu_application.zip: 2 images (expected 1, as in good.bin)"),
    ],
)
def test_files_that_cannot_be_used(work, arguments, said):
    result = run(*arguments)
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(said)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "good.bin"), "nothing to check signatures with"),
        (("verify", "good.bin", "--hash-only", "--running", "1.2"), "'1.2' is not a version"),
    ],
)
def test_bad_usage(work, arguments, said):
    result = CliRunner().invoke(image, list(arguments))
    assert result.exit_code == 2
    assert said in result.output


def test_diff(work):
    same = run("diff", "good.bin", "app.hex")
    assert same.return_value == 1  # signed twice: the signature differs, nothing else
    assert [line.split(":")[0] for line in same.output.splitlines()] == ["ECDSA_SIG"]
    assert run("diff", "good.bin", "good.bin").return_value == 0
    told = json.loads(run("diff", "good.bin", "bad.bin", "--json").output)
    assert told == {
        "schema_version": 2,
        "same": False,
        "differences": [
            {"image": "good.bin", "what": "payload", "a": "1 bytes differ", "b": "first at 188 (0xbc)"},
        ],
    }


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 3, "pump.bin: yes, if the bootloader is built for SHA-512"),
        (("--hash", "sha512"), 0, "pump.bin: yes"),
        (("--hash", "sha256"), 1, "pump.bin: no: build: found an image for SHA-512, expected one for SHA-256, which"),
        (("--hash", "pure"), 1, "pump.bin: no: build: found an image for SHA-512, expected one for pure signatures"),
    ],
)
def test_an_ed25519_image_is_for_one_build_of_the_bootloader(work, options, code, said):
    (work / "pump.bin").write_bytes(images.signed("1.2.3", "--sha", "512", key="ed25519"))
    (work / "ed25519.pem").write_bytes(images.public_pem("ed25519"))
    result = run("verify", "pump.bin", "--key", "ed25519.pem", *options)
    assert result.return_value == code
    assert last_line(result).startswith(said)
