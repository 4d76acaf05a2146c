import io
import json
import zipfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mcuboot import imgtool_images as images

from keyswitch.app.image_json import image_json
from keyswitch.errors import InputError
from keyswitch.mcuboot import files
from keyswitch.mcuboot.accept import accept
from keyswitch.mcuboot.config import BootConfig, Downgrade
from keyswitch.mcuboot.describe import Description, describe, differences
from keyswitch.mcuboot.files import FileSource, NamedImage, open_images
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import ImageVersion, parse_image
from keyswitch.mcuboot.intel_hex import FREE_SPAN
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.mcuboot.padding import read_padding

GOOD = images.signed("1.2.3", size=900)
HEX = images.signed("1.2.3", "--hex-addr", "0x10000", size=900, suffix=".hex")


def opened(data: bytes) -> tuple[NamedImage, ...]:
    return open_images("app.bin", io.BytesIO(data))


def content(named: NamedImage) -> bytes:
    return named.source.read(0, named.source.size)


def package(manifest: Any, **members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        if manifest is not None:
            text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            zipped.writestr("manifest.json", text)
        for name, data in members.items():
            zipped.writestr(name, data)
    return made.getvalue()


def nordic(*entries: dict[str, Any]) -> dict[str, Any]:
    """What the nRF Connect SDK writes."""
    return {"format-version": 1, "time": 1763800000, "files": list(entries), "name": "pump"}


def entry(name: str, index: str, size: int | None = None, **more: Any) -> dict[str, Any]:
    fields = {
        "type": "application",
        "board": "nrf52840dk",
        "soc": "nrf52840",
        "load_address": 49152,
        "image_index": index,
        "slot_index_primary": str(2 * int(index) + 1),
        "slot_index_secondary": str(2 * int(index) + 2),
        "version_MCUBOOT": "1.2.3",
        "file": name,
        "modtime": 1763800000,
        **more,
    }
    return fields if size is None else {**fields, "size": size}


def test_a_binary_is_read_in_pieces_and_mapped_only_when_wanted_whole(tmp_path):
    path = tmp_path / "app.bin"
    path.write_bytes(GOOD)
    with path.open("rb") as file:
        (named,) = open_images(str(path), file)
        assert isinstance(named.source, FileSource)
        assert named.source.size == len(GOOD)
        assert named.source.read(10, 20) == GOOD[10:30]
        assert named.source.view(10, 20) == GOOD[10:30]
        assert isinstance(named.source.view(0, 5), memoryview)


def test_what_cannot_be_mapped_is_read():
    (named,) = opened(GOOD)
    assert named.source.view(10, 20) == GOOD[10:30]


def test_hex_is_told_by_its_content():
    (named,) = opened(HEX)
    # The two were signed one after the other, so their signatures differ.
    assert content(named)[:1412] == GOOD[:1412]
    assert parse_image(named.source).version == ImageVersion(1, 2, 3)


def test_padded_hex_keeps_its_trailer():
    (named,) = opened(images.signed("1.2.3", "--confirm", "--hex-addr", "0x10000", size=900, suffix=".hex"))
    image = parse_image(named.source)
    padding = read_padding(named.source, image)
    assert (padding.max_align, padding.image_ok) == (8, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b":00000001FF\n", "the HEX file holds no data"),
        (b":0400000001020304F3\n:00000001FF\n", "this is not an Intel HEX file: line 1: its checksum is wrong"),
        (b":zz\n", "this is not an Intel HEX file"),
        (b":\xff\xfe", "this is not an Intel HEX file"),
        (
            b":0100000001FE\n:020000040400F6\n:0100000001FE\n:00000001FF\n",
            "the HEX file spans addresses 0x0 to 0x4000000 with 2 bytes of data .expected at most 4194304 bytes",
        ),
    ],
)
def test_hex_files_that_cannot_be_used(text, said):
    with pytest.raises(InputError, match=f"^app.bin: {said}"):
        opened(text)


def test_a_package_of_several_images():
    other = images.signed("4.5.6", size=300)
    manifest = nordic(entry("app.bin", "0", len(GOOD)), entry("net.bin", "1"))
    found = opened(package(manifest, **{"app.bin": GOOD, "net.bin": other}))
    assert [(named.name, named.image, content(named)) for named in found] == [
        ("app.bin", 0, GOOD),
        ("net.bin", 1, other),
    ]


def test_hex_inside_a_package_and_numbers_that_are_numbers():
    (named,) = opened(package(nordic(entry("app.hex", "0", image_index=2)), **{"app.hex": HEX}))
    assert named.image == 2
    assert content(named)[:4] == GOOD[:4]


def test_a_package_of_one_image_may_leave_out_its_number():
    fields = entry("app.bin", "0")
    del fields["image_index"]
    (named,) = opened(package(nordic(fields), **{"app.bin": GOOD}))
    assert named.image == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04nothing", "the package has no end record: it is cut off"),
        (package(None, **{"app.bin": GOOD}), "no manifest.json in the package"),
        (package(b"{"), "manifest.json: not JSON"),
        (package(b"[" * 100_000), "manifest.json: not JSON"),
        (package([]), "manifest.json: files: no list of files"),
        (package({}), "manifest.json: files: no list of files"),
        (package(nordic()), "manifest.json: files: no list of files"),
        (package({"files": {"file": "app.bin"}}), "manifest.json: files: no list of files"),
        (package({"files": ["app.bin"]}), r"manifest.json: files\[0\].file: found None"),
        (package(nordic(entry("app.bin", "0"))), r"manifest.json: files\[0\].file: 'app.bin' is not in the package"),
        (
            package(nordic(entry("app.bin", "0", image_index="one")), **{"app.bin": GOOD}),
            r"manifest.json: files\[0\].image_index: found 'one' .expected an image number",
        ),
        (
            package(nordic(entry("app.bin", "0", image_index=True)), **{"app.bin": GOOD}),
            r"manifest.json: files\[0\].image_index: found True",
        ),
        (
            package(nordic(entry("app.bin", "0", 5)), **{"app.bin": GOOD}),
            r"manifest.json: files\[0\].size: 5 .expected \d+, the size of app.bin",
        ),
    ],
)
def test_packages_that_cannot_be_used(data, said):
    with pytest.raises(InputError, match=f"^app.bin: {said}"):
        opened(data)


def test_a_damaged_package():
    whole = bytearray(package(nordic(entry("app.bin", "0")), **{"app.bin": GOOD}))
    whole[400] ^= 0xFF
    with pytest.raises(InputError, match=r"^app\.bin: the package cannot be unpacked"):
        opened(bytes(whole))


def test_a_zip_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_SIZE", 100_000)
    with pytest.raises(InputError, match=r"more than \d+ bytes \(expected at most 100000 bytes in all of the package"):
        opened(package(nordic(entry("app.bin", "0")), **{"app.bin": b"\0" * 1_000_000}))


def test_a_package_is_bounded_as_a_whole_and_gives_each_file_once(monkeypatch):
    """Three kilobytes that named one file a thousand times became a gigabyte."""
    content = b"\0" * 60_000
    with pytest.raises(InputError, match=r"app\.bin: listed twice"):
        opened(package(nordic(entry("app.bin", "0"), entry("app.bin", "1")), **{"app.bin": content}))
    monkeypatch.setattr(files, "MAX_FILE_SIZE", 120_600)
    members = {f"{number}.bin": content for number in range(3)}
    with pytest.raises(InputError, match=r"expected at most 120600 bytes in all of the package"):
        opened(package(nordic(*(entry(name, "0") for name in members)), **members))
    with pytest.raises(InputError, match=r"files: 65 entries .expected at most 64"):
        opened(package(nordic(*(entry(f"{number}", "0") for number in range(65)))))


@pytest.mark.parametrize("index", ["9" * 5_000, 10**30, -1, 256, "256", "\u0663", "-1", 1.0, None])
def test_image_numbers_are_bounded(index):
    with pytest.raises(InputError, match=r"manifest\.json") as end:
        opened(package(nordic(entry("app.bin", "0", image_index=index)), **{"app.bin": GOOD}))
    assert len(str(end.value)) < 300


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_lets_the_file_choose_the_memory_is_not_unpacked(method):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as zipped:
        zipped.writestr("manifest.json", json.dumps(nordic(entry("app.bin", "0"))))
        zipped.writestr("app.bin", GOOD)
    with pytest.raises(InputError, match=rf"packed by method {method} \(expected stored or deflated"):
        opened(made.getvalue())


def test_two_files_of_one_name_and_too_many_names():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("manifest.json", json.dumps(nordic(entry("app.bin", "0"))))
        zipped.writestr("app.bin", GOOD)
        with pytest.warns(UserWarning, match="Duplicate name"):
            zipped.writestr("app.bin", b"other")
    with pytest.raises(InputError, match="two files of this name"):
        opened(made.getvalue())
    many = bytearray(package(nordic(entry("app.bin", "0")), **{"app.bin": GOOD}))
    many[-10:-6] = (2**20 + 1).to_bytes(4, "little")
    with pytest.raises(InputError, match="lists too many files"):
        opened(bytes(many))


@pytest.mark.parametrize(
    ("named", "zipped"),
    [
        ("./app.bin", "app.bin"),
        ("app.bin", "./app.bin"),
        ("bin\\app.bin", "bin/app.bin"),
        ("bin/app.bin", "bin\\app.bin"),
        (".\\app.bin", "app.bin"),
    ],
)
@pytest.mark.parametrize("folder", ["", "dfu_application/", "build\\dfu_application\\"])
def test_names_in_a_package_are_meant_as_they_are_written(folder, named, zipped):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package_:
        package_.mkdir("dfu_application")
        package_.writestr("__MACOSX/dfu_application/._manifest.json", b"\0\5\x16\7")
        package_.writestr(f"{folder}manifest.json", json.dumps(nordic(entry(named, "0"))))
        package_.writestr(zipfile.ZipInfo(f"{folder}{zipped}"), GOOD)
    (found,) = opened(made.getvalue())
    assert (content(found), found.name) == (GOOD, named)


def test_a_manifest_may_begin_with_a_byte_order_mark():
    manifest = json.dumps(nordic(entry("app.bin", "0")))
    (found,) = opened(package(b"\xef\xbb\xbf" + manifest.encode(), **{"app.bin": GOOD}))
    assert content(found) == GOOD
    with pytest.raises(InputError, match=r"manifest\.json: the text is UTF-16, as some Windows programs save it"):
        opened(package(manifest.encode("utf-16"), **{"app.bin": GOOD}))


def test_packages_that_are_none_say_what_they_are():
    empty = package(None)
    assert empty.startswith(b"PK\5\6")
    inner = package(nordic(entry("app.bin", "0")), **{"app.bin": GOOD})
    nrf5 = {"manifest": {"application": {"bin_file": "a.bin", "dat_file": "a.dat"}}}
    for data, said in (
        (empty, "the package is empty (expected a DFU package (dfu_application.zip))"),
        (package(None, **{"dfu.zip": inner}), "the package inside it: unpack 'dfu.zip' first"),
        (package(None, **{"a/manifest.json": b"", "b/manifest.json": b""}), "2 packages in one file"),
        (package(nrf5), "a package for the bootloader of the nRF5 SDK (nrfutil), not for MCUboot"),
        (package(nordic(entry("app.bin", "300")), **{"app.bin": GOOD}), "found '300' (expected an image number"),
        (GOOD.hex().encode("utf-16"), "this is text in UTF-16"),
    ):
        with pytest.raises(InputError) as raised:
            opened(data)
        assert said in str(raised.value), raised.value


@pytest.mark.parametrize(
    ("image", "slot", "linked"),
    [
        (0, "0", 0),
        (0, 1, 1),
        (1, "2", 0),
        (1, 3, 1),
        (1, "0", 0),
        (1, 1, 1),
        (0, 2, None),
        (1, 4, None),
        (0, "x", None),
    ],
)
def test_a_file_of_a_direct_xip_package_says_its_slot(image, slot, linked):
    data = package(nordic(entry("app.bin", str(image), slot=slot)), **{"app.bin": GOOD})
    if linked is None:
        with pytest.raises(InputError, match=rf"files\[0\]\.slot: found .* .expected a slot of image {image}: "):
            opened(data)
    else:
        assert opened(data)[0].slot == linked


@given(st.data())
def test_a_damaged_package_is_an_input_error_or_none(data):
    made = bytearray(package(nordic(entry("app.bin", "0")), **{"app.bin": GOOD[:64]}))
    for place in data.draw(st.lists(st.integers(0, len(made) - 1), max_size=4)):
        made[place] = data.draw(st.integers(0, 255))
    with suppress(InputError):
        opened(b"PK\x03\x04" + bytes(made[4 : data.draw(st.integers(4, len(made)))]))


# --- Intel HEX --------------------------------------------------------------------------------------------------------


def record(address: int, data: bytes, kind: int = 0) -> bytes:
    fields = bytes([len(data), *address.to_bytes(2, "big"), kind, *data])
    return b":" + (fields + bytes([-sum(fields) & 0xFF])).hex().encode().upper() + b"\n"


END = record(0, b"", 1)


def records(address: int, data: bytes) -> bytes:
    """Data at an address, as linkers write it."""
    text, base = b"", -1
    for at in range(address, address + len(data), 16):
        if at >> 16 != base:
            base = at >> 16
            text += record(0, base.to_bytes(2, "big"), 4)
        text += record(at & 0xFFFF, data[at - address : at - address + 16])
    return text


@pytest.mark.parametrize("start", [b"\n", b"\r\n\r\n", b"  ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n\t"])
def test_hex_may_begin_with_what_cannot_be_seen(start):
    assert content(opened(start + HEX)[0]) == content(opened(HEX)[0])
    (named,) = opened(package(nordic(entry("app.hex", "0")), **{"app.hex": start + HEX}))
    assert content(named) == content(opened(HEX)[0])


OTHERS = {
    "settings behind it": (0xF8000, b"settings" * 4),
    "a bootloader before it": (0x0, bytes(range(256)) * 4),
    "the chip's registers, far away": (0x1000_1208, b"\xfe\xff\xff\xff"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("before", [True, False])
def test_of_a_hex_file_the_image_is_taken(other, before):
    """An image and 4 kB of settings in the same flash became 966,660 bytes."""
    pieces = [records(*other), records(0xC000, GOOD)]
    (named,) = opened(b"".join(pieces if before else pieces[::-1]) + END)
    assert content(named) == GOOD
    assert named.left_out == f"{other[0]:#x} to {other[0] + len(other[1]) - 1:#x}"


def test_a_gap_within_the_image_is_filled_and_two_images_are_refused():
    holed = GOOD[:512] + b"\xff" * 256 + GOOD[768:]
    text = records(0xC000, GOOD[:512]) + records(0xC300, GOOD[768:])
    (named,) = opened(text + records(0xF8000, b"x") + END)
    assert (content(named), named.left_out) == (holed, "0xf8000 to 0xf8000")
    with pytest.raises(InputError, match=r"holds 2 images, at 0xc000, 0x100c000 .expected one file for each image"):
        opened(records(0xC000, GOOD) + records(0x0100_C000, GOOD) + END)


@pytest.mark.parametrize(("places", "end"), [(4_096, "read"), (4_097, "refused")])
def test_hex_that_is_scattered(places, end):
    text = b"".join(record(2 * at, b"x") for at in range(places)) + END
    if end == "read":
        assert len(content(opened(text)[0])) == 2 * places - 1
    else:
        with pytest.raises(InputError, match="more than 4096 places"):
            opened(text)


@given(st.dictionaries(st.integers(0, 2_000), st.binary(min_size=1, max_size=1)))
def test_hex_is_read_as_another_reader_reads_it(cells):
    text = b"".join(record(address, data) for address, data in cells.items()) + END
    if not cells:
        return
    first, last = min(cells), max(cells)
    (named,) = opened(text)
    assert content(named) == b"".join(cells.get(at, b"\xff") for at in range(first, last + 1))


@pytest.mark.parametrize(("beyond", "end"), [(-1, "read"), (0, "read"), (1, "refused")])
def test_a_gap_in_hex_is_bounded_before_it_is_held(beyond, end):
    far = FREE_SPAN - 1 + beyond
    text = record(0, b"\1") + record(0, (far >> 16).to_bytes(2, "big"), 4) + record(far & 0xFFFF, b"\2") + END
    if end == "read":
        assert len(content(opened(text)[0])) == FREE_SPAN + beyond
    else:
        with pytest.raises(InputError, match="with 2 bytes of data"):
            opened(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (record(0, b"\1\2"), "no end record: it was cut off"),
        (record(0, b"\1\2") + record(1, b"\3") + END, "writes address 0x1 twice"),
        (record(0, b"\xff\xff", 4) + record(0xFFFF, b"\1\2") + END, "beyond 32 bits"),
        (record(0, b"\1", 4) + END, "line 1: its length is wrong"),
        (record(0, b"\1", 6) + END, "no record has type 6"),
        (b":01 000000 01FE\n" + END, "no hexadecimal bytes"),
        (record(0, b"\1") + b"x" + END, "line 2: it does not begin with a colon"),
        (record(0, b"\1") + b":" + b"0" * 1_000_000, "line 2"),
    ],
)
def test_hex_that_is_none(text, said):
    with pytest.raises(InputError, match=said):
        opened(text)


@given(st.binary(max_size=60) | st.text(alphabet=":0123456789ABCDEF\n", max_size=80).map(str.encode))
def test_hex_ends_in_input_errors_alone(text):
    with suppress(InputError):
        opened(b":" + text)


# --- padding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("align", ["8", "16", "32"])
@pytest.mark.parametrize(("option", "image_ok"), [("--pad", False), ("--test", False), ("--confirm", True)])
def test_a_trailer_at_the_end_is_seen(option, image_ok, align):
    data = images.signed("1.2.3", option, "--max-align", align)
    padding = read_padding(BytesSource(data), parse_image(BytesSource(data)))
    assert (padding.arms, padding.max_align, padding.image_ok) == (True, int(align), image_ok)


@pytest.mark.parametrize("rest", [b"", b"\xff" * 10, b"\xff" * 5000])
def test_padding_without_a_trailer(rest):
    data = GOOD + rest
    padding = read_padding(BytesSource(data), parse_image(BytesSource(data)))
    assert (padding.arms, padding.size) == (False, len(rest))


# --- would this device take it ----------------------------------------------------------------------------------------

LAYOUT = Layout.for_slots(Algorithm.SWAP_MOVE, 0x10000)
CONFIG = BootConfig(layout=LAYOUT, keys=images.keys())


def accepted(data: bytes, config: BootConfig = CONFIG, number: int | None = None, running: ImageVersion | None = None):
    return accept(NamedImage(name="app.bin", image=number, source=BytesSource(data)), config, running=running)


def test_a_good_file_is_accepted():
    verdict = accepted(GOOD)
    assert verdict.ok
    names = [check.name for check in verdict.checks]
    assert names == ["upload", "format", "flags", "TLVs", "size", "hash", "signature"]


def test_a_file_with_a_trailer_is_not_even_if_it_fits():
    data = images.signed("1.2.3", "--pad", slot_size=0x4000)
    refusal = accepted(data).refusal
    assert refusal is not None
    assert refusal.detail == (
        "upload: found a trailer at its end, which would start it by itself, expected a file without a trailer "
        "(imgtool sign without --pad, --test, --confirm) at byte 16368 (0x3ff0)"
    )


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_the_largest_file(beyond):
    limit = max_image_size(LAYOUT)
    overhead = len(images.signed("1.2.3", size=1000, key="ed25519")) - 1000
    data = images.signed("1.2.3", size=limit - overhead + beyond, key="ed25519", slot_size=0x20000)
    config = BootConfig(layout=LAYOUT, keys=images.keys("ed25519"), hash=VerifiedHash.SHA256)
    assert accepted(data, config).ok is (beyond <= 0)


def test_an_image_number_that_the_device_does_not_have():
    refusal = accepted(GOOD, number=1).refusal
    assert refusal is not None
    assert refusal.detail == "image number: found 1, expected image numbers 0 to 0"


def test_downgrades():
    strict = BootConfig(layout=LAYOUT, keys=images.keys(), downgrade=Downgrade.BY_VERSION)
    assert accepted(GOOD, strict).ok
    assert accepted(GOOD, strict, running=ImageVersion(1, 2, 3)).ok
    assert not accepted(GOOD, strict, running=ImageVersion(1, 2, 4)).ok
    assert accepted(GOOD, CONFIG, running=ImageVersion(1, 2, 4)).ok


# --- descriptions and differences -------------------------------------------------------------------------------------


def described(data: bytes) -> Description:
    found = describe(NamedImage(name="app.bin", image=None, source=BytesSource(data)))
    assert isinstance(found, Description)
    return found


def test_a_description_says_everything():
    data = images.signed("1.2.3", "--security-counter", "7", "--dependencies", "(1, 2.0.0)", "--confirm")
    told = image_json(described(data))
    assert (told["version"], told["security_counter"], told["bootable"]) == ("1.2.3", 7, True)
    assert told["dependencies"] == [{"image": 1, "version": "2.0.0"}]
    assert told["trailer"] == {"max_align": 8, "image_ok": True}
    assert [(tlv["name"], tlv["protected"]) for tlv in told["tlvs"]] == [
        ("SEC_CNT", True),
        ("DEPENDENCY", True),
        ("SHA256", False),
        ("KEYHASH", False),
        ("ECDSA_SIG", False),
    ]
    assert json.loads(json.dumps(told)) == told


def test_differences():
    data = images.signed("1.2.3", "--security-counter", "7", size=5000, key=None)
    assert list(differences(described(data), described(data))) == []
    changed = bytearray(data)
    changed[3000] ^= 1
    changed[4000] ^= 1
    (found,) = differences(described(data), described(bytes(changed)))
    assert (found.what, found.first, found.second) == ("payload", "2 bytes differ", "first at 2488 (0x9b8)")
    other = images.signed("1.3.0", size=5000, key=None)
    assert [found.what for found in differences(described(data), described(other))] == ["version", "SEC_CNT", "SHA256"]
    longer = images.signed("1.2.3", "--security-counter", "7", size=5001, key=None)
    assert [found.what for found in differences(described(data), described(longer))] == ["image size", "SHA256"]
