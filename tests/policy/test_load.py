"""The loader: the pump as it is, and one clear line for everything that is wrong."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.samples import PUMP_FILE, SMALL, pump, pump_with, small

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import Arm, Confirm, ProofKind, SessionRule, Visibility
from keyswitch.policy.load import MAX_FILE_SIZE, load, read_policy
from keyswitch.policy.model import OnButton, OnEnter, OnInput, OnTimeout, Policy
from keyswitch.smp.commands import resolve
from keyswitch.smp.framing import console, udp
from keyswitch.terms import Security, Transport


def test_the_pump_is_what_its_file_says() -> None:
    policy = pump()
    assert policy.device.name == policy.device.id == "Pump 7"
    assert [mode.name for mode in policy.modes.values()] == ["normal", "active", "pairing", "maintenance"]
    assert [mode.index for mode in policy.modes.values()] == [0, 1, 2, 3]
    maintenance = policy.modes["maintenance"]
    assert maintenance.allow == resolve("os") | resolve("image") | resolve("mode")
    assert (maintenance.lease_ms, maintenance.lease_max_ms, maintenance.idle_ms) == (900_000, 3_600_000, 120_000)
    assert maintenance.security is Security.NONE
    assert maintenance.session is SessionRule.ANYONE
    assert maintenance.inhibits == ("motion",)
    assert policy.modes["normal"].allow == frozenset().union(
        *map(resolve, ("os.echo", "os.params", "image.state:read", "mode"))
    )
    assert policy.gate.service is Visibility.RECONNECT
    assert (policy.update.arm, policy.update.confirm) == (Arm.LATE, Confirm.OPERATOR)
    assert policy.update.trial_deadline_ms == 120_000
    assert policy.bootloader.algorithm is Algorithm.SWAP_MOVE
    assert policy.bootloader.downgrade is Downgrade.ALLOWED
    assert policy.smp.transports == (Transport.BLE, Transport.UDP, Transport.SERIAL)
    assert policy.file_digest == hashlib.sha256(PUMP_FILE.read_bytes()).digest()


def test_the_pumps_transitions() -> None:
    ways = pump().transitions
    assert [type(way.trigger) for way in ways] == [OnInput, OnInput, OnButton, OnTimeout, OnEnter, OnButton]
    assert ways[4].trigger == OnEnter(proofs=(ProofKind.CHALLENGE,))
    assert ways[5].trigger == OnButton(hold_ms=5_000)
    assert [guard.text for guard in ways[4].when] == ["motion == false", "battery_percent >= 30"]


def test_files_are_relative_to_the_policy() -> None:
    policy = pump()
    assert policy.entry.challenge is not None
    assert policy.entry.challenge.secret == PUMP_FILE.parent / "keys/pump7.hmac"
    assert policy.bootloader.key == PUMP_FILE.parent / "keys/root-ec-p256.pub.pem"


def test_ways_are_found_by_mode_and_trigger() -> None:
    policy = pump()
    assert [way.index for way in policy.ways("normal", OnButton)] == [2, 5]
    assert policy.ways("nowhere", OnButton) == ()
    assert policy.initial.name == "normal"


def test_fractions_of_a_second_are_exact() -> None:
    assert small("", ("lease_s = 60", "lease_s = 0.3")).modes["maintenance"].lease_ms == 300


@pytest.mark.parametrize(
    ("compare", "below", "at", "above"),
    [
        ("==", False, True, False),
        ("!=", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_guards_compare(compare: str, below: bool, at: bool, above: bool) -> None:
    policy = small("", ("battery >= 30", f"battery {compare} -5"))
    guard = policy.transitions[0].when[1]
    assert [guard.holds(value) for value in (-6, -5, -4, None)] == [below, at, above, False]
    assert guard.text == f"battery {compare} -5"


WRONG = {
    "another schema": (("schema = 1", "schema = 2"), "schema: 2 is not allowed"),
    "no schema": (("schema = 1", ""), "schema: missing"),
    "unknown section": (("[modes.normal]", "[update2]\n[modes.normal]"), 'update2: unknown key.*did you mean "update"'),
    "unknown key": (("lease_s = 60", "lease = 60"), 'modes.maintenance.lease: unknown key.*did you mean "lease_s"'),
    "key that needs quotes": (("lease_s = 60", '"le ase" = 60'), 'modes.maintenance."le ase": unknown key'),
    "no name": (('name = "Small"', ""), "device.name: missing"),
    "name too long": (('name = "Small"', f'name = "{"x" * 30}"'), "device.name: .*1 to 29 bytes"),
    "name over two lines": (('name = "Small"', r'name = "a\nb"'), r"device.name: \"a\?b\" is not allowed"),
    "two initial modes": (
        ('initial_mode = "normal"', 'initial_mode = ["normal", "maintenance"]'),
        "a list is not allowed",
    ),
    "initial mode nowhere": (
        ('initial_mode = "normal"', 'initial_mode = "norml"'),
        'device.initial_mode: "norml" is not a mode.*did you mean "normal"',
    ),
    "mode with a bad name": (("[modes.normal]", "[modes.Normal]"), "modes.Normal: .*lower-case"),
    "input with a bad name": (("motion = {", "Motion = {"), "inputs.Motion: .*lower-case"),
    "input of no type": (('type = "bool"', 'type = "boolean"'), 'inputs.motion.type: .*did you mean "bool"'),
    "input with the wrong start": (("initial = false", "initial = 0"), "inputs.motion.initial: 0 is not a bool"),
    "int that is a bool": (("initial = 80", "initial = true"), "inputs.battery.initial: true is not an int"),
    "int out of range": (("initial = 80", "initial = 2147483648"), "inputs.battery.initial: "),
    "unknown command": (
        ('allow = ["os.echo"', 'allow = ["os.ehco"'),
        r'modes.normal.allow\[0\]: "os.ehco" is not a command.*did you mean "os.echo"',
    ),
    "no such direction": (
        ('"os.echo"', '"os.reset:read"'),
        r'modes.normal.allow\[0\]: "os.reset:read" is not a command',
    ),
    "allow twice": (
        ('["os.echo", "mode"]', '["mode", "mode"]'),
        r"modes.normal.allow\[1\]: \"mode\" stands here twice",
    ),
    "allow is no list": (('allow = ["os.echo", "mode"]', 'allow = "os.echo"'), "modes.normal.allow: .*a list"),
    "no allow": (('allow = ["os.echo", "mode"]', ""), "modes.normal.allow: missing"),
    "lease of -1": (("lease_s = 60", "lease_s = -1"), "modes.maintenance.lease_s: -1 is not allowed"),
    "lease of 0": (("lease_s = 60", "lease_s = 0"), "lease_s: 0 is not allowed"),
    "lease too fine": (("lease_s = 60", "lease_s = 0.0001"), "whole milliseconds"),
    "lease without end": (("lease_s = 60", "lease_s = inf"), "lease_s: Infinity is not allowed"),
    "lease that is no number": (("lease_s = 60", "lease_s = nan"), "lease_s: NaN is not allowed"),
    "lease that is a bool": (("lease_s = 60", "lease_s = true"), "lease_s: true is not allowed"),
    "lease as a date": (("lease_s = 60", "lease_s = 2026-01-01"), "a date or time is not allowed"),
    "lease too long": (("lease_s = 60", "lease_s = 2592001"), "lease_s: 2592001 is not allowed"),
    "extension without lease": (("lease_s = 60", "lease_max_s = 60"), "means nothing without lease_s"),
    "extension that shortens": (
        ("lease_s = 60", "lease_s = 60\nlease_max_s = 59"),
        "lease_max_s: shorter than lease_s",
    ),
    "owner outside": (("[modes.normal]", '[modes.normal]\nsession = "owner"'), "modes.normal.session: means nothing"),
    "timeout to nowhere": (
        ("[modes.normal]", "[modes.normal]\ntimeout_s = 5"),
        "timeout_s: nothing happens when it ends",
    ),
    "way from nowhere": (
        ('from = ["normal"]', 'from = ["cellar"]'),
        r'transitions\[0\].from\[0\]: "cellar" is not a mode',
    ),
    "way to nowhere": (
        ('to = "maintenance"', 'to = "maintenence"'),
        r'transitions\[0\].to: .*did you mean "maintenance"',
    ),
    "way to itself": (('to = "maintenance"', 'to = "normal"'), r'transitions\[0\].to: leads from "normal" to itself'),
    "way from nothing": (('from = ["normal"]', "from = []"), r"transitions\[0\].from: 0 entries"),
    "unknown trigger": (('on = "enter"', 'on = "entry"'), r'transitions\[0\].on: .*did you mean "enter"'),
    "unknown proof": (('["challenge"]', '["chalenge"]'), r'proofs\[0\]: .*did you mean "challenge"'),
    "button as a proof": (('["challenge"]', '["button"]'), r'proofs\[0\]: "button" is not allowed'),
    "proof without settings": (('["challenge"]', '["permit"]'), r"proofs\[0\]: \[entry.permit\] is missing"),
    "no proof into maintenance": (('proofs = ["challenge"]', ""), "proofs: missing"),
    "empty proofs": (('proofs = ["challenge"]', "proofs = []"), "proofs: 0 entries"),
    "proofs for a button": (('on = "enter"', 'on = "button"\nhold_s = 1'), 'proofs: means nothing with on = "button"'),
    "button without a hold": (('on = "enter"\nproofs = ["challenge"]', 'on = "button"'), "hold_s: missing"),
    "hold for an entry": (('on = "enter"', 'on = "enter"\nhold_s = 1'), 'hold_s: means nothing with on = "enter"'),
    "timeout without limit": (('on = "enter"\nproofs = ["challenge"]', 'on = "timeout"'), '"normal" has no timeout_s'),
    "leave into maintenance": (
        ('on = "enter"\nproofs = ["challenge"]', 'on = "leave"'),
        "cannot lead into maintenance",
    ),
    "guard on nothing": (('"motion == false"', '"mution == false"'), r'when\[0\]: "mution" is not an input.*"motion"'),
    "guard that is none": (('"motion == false"', '"motion"'), r'when\[0\]: "motion" is not a condition'),
    "bool with a number": (('"motion == false"', '"motion == 0"'), r"when\[0\]: motion is a bool"),
    "bool in order": (('"motion == false"', '"motion < true"'), r"when\[0\]: motion is a bool"),
    "int with a word": (('"battery >= 30"', '"battery >= true"'), r"when\[1\]: battery is an int"),
    "guard out of range": (('"battery >= 30"', '"battery >= 9999999999"'), r"when\[1\]: 9999999999 is not allowed"),
    "secret without a file": (('secret = "secret.hmac"', ""), "entry.challenge.secret: missing"),
    "one image of several": (
        ("schema = 1", "schema = 1\n[[bootloader.images]]"),
        r"bootloader.images: 1 image \(expected 2 to 4; a single image is what \[bootloader\] itself describes\)",
    ),
    "five images": (
        ("schema = 1", "schema = 1\n" + "[[bootloader.images]]\n" * 5),
        r"bootloader.images: 5 images \(expected 2 to 4;",
    ),
    "images that are none": (
        ("schema = 1", "schema = 1\n[bootloader]\nimages = 2"),
        r"bootloader.images: 2 is not allowed \(expected a list of tables, each \[\[bootloader.images\]\]\)",
    ),
    "an image with another key": (
        ("schema = 1", "schema = 1\n[[bootloader.images]]\n[[bootloader.images]]\nalgorithm = 'swap-move'"),
        r"bootloader.images\[1\].algorithm: unknown key",
    ),
    "two places for a size": (
        ("schema = 1", "schema = 1\n[bootloader]\nslot_size = 458752\n" + "[[bootloader.images]]\n" * 2),
        r"bootloader.slot_size: each of several images says its own \(expected slot_size in the images\)",
    ),
    "two places for a second size": (
        ("schema = 1", "schema = 1\n[bootloader]\nsecondary_size = 458752\n" + "[[bootloader.images]]\n" * 2),
        r"bootloader.secondary_size: each of several images says its own",
    ),
    "odd slot of image 1": (
        ("schema = 1", "schema = 1\n[[bootloader.images]]\n[[bootloader.images]]\nslot_size = 9000"),
        r"bootloader.images\[1\].slot_size: 9000 bytes",
    ),
    "no room for image 1": (
        ("schema = 1", "schema = 1\n[[bootloader.images]]\n[[bootloader.images]]\nslot_size = 8192"),
        r"bootloader.images\[1\].slot_size: 8192 bytes leave no room for an image",
    ),
    "image 0 copied": (
        ("schema = 1", "schema = 1\n[[bootloader.images]]\ncopied = true\n[[bootloader.images]]"),
        r"bootloader.images\[0\].copied: image 0 is what the bootloader starts",
    ),
    "two images in one slot": (
        ("schema = 1", "schema = 1\n[bootloader]\nalgorithm = 'single-slot'\n" + "[[bootloader.images]]\n" * 2),
        r'bootloader.images: 2 images with algorithm = "single-slot" \(expected one image, described by',
    ),
    "two images and a loader": (
        (
            "schema = 1",
            "schema = 1\n[bootloader]\nalgorithm = 'firmware-loader'\nloader_entrance = ['boot-mode']\n"
            + "[[bootloader.images]]\n" * 2,
        ),
        r'bootloader.images: 2 images with algorithm = "firmware-loader"',
    ),
    "copied in any case": (
        (
            "schema = 1",
            "schema = 1\n[bootloader]\nalgorithm = 'direct-xip'\n" + "[[bootloader.images]]\n" * 2 + "copied = true",
        ),
        r'bootloader.images\[1\].copied: means nothing with algorithm = "direct-xip"',
    ),
    "simultaneous with nothing": (
        ("schema = 1", "schema = 1\n[update]\nsimultaneous = false"),
        r"update.simultaneous: means nothing with one image \(expected several \[\[bootloader.images\]\] beside it\)",
    ),
    "odd slot": (("schema = 1", "schema = 1\n[bootloader]\nslot_size = 9000"), "slot_size: not whole sectors"),
    "odd sector": (
        ("schema = 1", "schema = 1\n[bootloader]\nsector_size = 3000\nslot_size = 30000"),
        "sector_size: 3000 is not a power of two",
    ),
    "no room in the slots": (
        ("schema = 1", "schema = 1\n[bootloader]\nslot_size = 8192"),
        "bootloader.slot_size: 8192 bytes leave no room for an image",
    ),
    "more sectors than entries": (
        ("schema = 1", "schema = 1\n[bootloader]\nmax_sectors = 100"),
        "bootloader.slot_size: 112 sectors of 4096 bytes",
    ),
    "odd second slot": (
        ("schema = 1", "schema = 1\n[bootloader]\nsecondary_size = 9000"),
        "bootloader.slot_size: 9000 bytes",
    ),
    "another hash": (
        ("schema = 1", 'schema = 1\n[bootloader]\nhash = "sha1"'),
        'bootloader.hash: "sha1" is not allowed',
    ),
    "no transport": (("schema = 1", "schema = 1\n[smp]\ntransports = []"), "smp.transports: 0 entries"),
    "unknown transport": (("schema = 1", 'schema = 1\n[smp]\ntransports = ["bel"]'), 'did you mean "ble"'),
    "second address without reconnect": (
        ("schema = 1", 'schema = 1\n[gate]\nservice = "live"\nidentity = "second"'),
        "gate.identity: an address cannot change under a connection",
    ),
    "lockout upside down": (("schema = 1", "schema = 1\n[entry.lockout]\nfirst_s = 9\nmax_s = 8"), "first_s: longer"),
    "section that is no table": (("schema = 1", "schema = 1\ngate = 5"), "gate: 5 is not allowed"),
    "modes that are no tables": (
        ("[modes.normal]", "[modes]\nnormal = 5\n[modes.x]"),
        "modes.normal: 5 is not allowed",
    ),
    "input that is no table": (("motion = {", "flag = 5\nmotion = {"), "inputs.flag: 5 is not allowed"),
}


@pytest.mark.parametrize(
    ("transport", "most"), [(Transport.SERIAL, console.MAX_PACKET), (Transport.UDP, udp.MAX_DATAGRAM)]
)
def test_a_packet_fits_every_transport_that_is_served(transport: Transport, most: int) -> None:
    smp = f'[smp]\ntransports = ["ble", "{transport.value}"]\nbuf_size'
    assert small("", ("schema = 1", f"schema = 1\n{smp} = {most}")).smp.buf_size == most
    with pytest.raises(InputError, match=rf"smp.buf_size: {transport.value} cannot carry a packet of {most + 1} bytes"):
        small("", ("schema = 1", f"schema = 1\n{smp} = {most + 1}"))
    assert small("", ("schema = 1", "schema = 1\n[smp]\nbuf_size = 65535")).smp.buf_size == 65_535


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_one_line_with_its_key_path(what: str) -> None:
    change, line = WRONG[what]
    with pytest.raises(InputError, match=line) as caught:
        small("", change)
    text = str(caught.value)
    assert text.startswith("small")
    assert "\n" not in text


def way(on: str, source: str = "normal", target: str = "spare", more: str = "") -> str:
    return f'[[transitions]]\nfrom = ["{source}"]\nto = "{target}"\non = "{on}"\n{more}\n'


SPARE = '[modes.spare]\nallow = ["mode"]\n'


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (way("input") * 2, r"transitions\[2\]: the same as transitions\[1\] from normal"),
        (way("enter", more='when_false = "hold"'), r"transitions\[1\].when_false: means nothing outside"),
        (way("enter", more='others = "disconnect"'), r"transitions\[1\].others: means nothing outside"),
        (way("reset", "maintenance"), r"transitions\[1\].from: a reset ends every maintenance session"),
        ("[entry.permit]\nissuers = []\n", "entry.permit.issuers: 0 entries"),
        ("[entry.permits]\nissuers = []\n", 'entry.permits: unknown key.*did you mean "permit"'),
        ("[gate.on_leave]\nuplaod = 'keep'\n", 'gate.on_leave.uplaod: unknown key.*did you mean "upload"'),
    ],
)
def test_parts_that_do_not_fit_each_other(more: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        small(SPARE + more)


FACTORY = '[modes.factory]\nmaintenance = true\nallow = ["os", "image", "mode"]\nlease_s = 60\ntimeout_s = 9\n'
BACK = way("timeout", "factory", "normal")


@pytest.mark.parametrize(
    ("trigger", "more"),
    [
        ("enter", 'proofs = ["challenge"]'),
        ("button", "hold_s = 1"),
        ("input", 'when = ["battery < 90"]'),
        ("timeout", ""),
        ("connect", ""),
        ("disconnect", ""),
        ("leave", ""),
        ("reset", ""),
    ],
)
def test_no_transition_leads_from_maintenance_into_maintenance(trigger: str, more: str) -> None:
    problem = r'transitions\[2\].to: leads from maintenance mode "factory" into maintenance mode "maintenance"'
    with pytest.raises(InputError, match=f"{problem}.*leave, then enter: "):
        small(FACTORY + BACK + way(trigger, "factory", "maintenance", more))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "policy: empty"),
        (b" \n\n", "policy: empty"),
        (b"\x00\x01", "not TOML"),
        (b"schema = 1\nschema = 1\n", "not TOML"),
        (b'name = "\xff"', "byte 8 is not UTF-8"),
        (b"a = " + b"[" * 5_000, "not TOML"),
        (b"a = " + b"9" * 5_000, "not TOML"),
        (b"x" * (MAX_FILE_SIZE + 1), "larger than"),
        (b"schema = 1\n", "policy: device: missing"),
        (b"schema = 1\n[device]\nname='x'\ninitial_mode='y'\n", "policy: modes: missing"),
        (b"schema = 1\n[device]\nname='x'\ninitial_mode='y'\n[modes]\n", "modes: 0 modes"),
        (b"schema = 1\nmodes = 1\n[device]\nname='x'\ninitial_mode='y'\n", "modes: 1 is not allowed"),
        (b"schema = 1\ntransitions = 1\n[device]\nname='x'\ninitial_mode='y'\n[modes.y]\nallow=[]\n", "transitions: 1"),
    ],
)
def test_what_is_no_policy_at_all(data: bytes, line: str) -> None:
    with pytest.raises(InputError, match=line):
        load(data)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.toml: No such file"):
        read_policy(tmp_path / "gone.toml")
    with pytest.raises(InputError, match="Is a directory"):
        read_policy(tmp_path)


def test_too_many_modes() -> None:
    with pytest.raises(InputError, match="258 modes"):
        small("".join(f'[modes.m{n}]\nallow = ["mode"]\n' for n in range(256)))


def never_a_traceback(data: bytes) -> None:
    line = ""
    try:
        assert isinstance(load(data), Policy)
    except InputError as error:
        line = str(error)
    assert "\n" not in line


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_an_input_error(data: bytes) -> None:
    never_a_traceback(data)


PIECES = SMALL.split()
VALUES = ["true", "-1", "1e400", "inf", "[]", "{}", '""', "[[1]]", "1979-05-27", '"x"', "9" * 400, "''", "0x10", "[["]


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from(PIECES + VALUES)), min_size=1, max_size=4))
def test_a_policy_with_words_exchanged(changes: list[tuple[int, str]]) -> None:
    text = SMALL
    for place, word in changes:
        text = text.replace(PIECES[place], word, 1)
    never_a_traceback(text.encode())


@settings(max_examples=300)
@given(st.integers(0, len(SMALL) - 1), st.integers(0, 20), st.binary(max_size=6))
def test_a_policy_with_bytes_exchanged(start: int, length: int, new: bytes) -> None:
    data = SMALL.encode()
    never_a_traceback(data[:start] + new + data[start + length :])


def test_changes_of_the_pump_for_tests_are_real() -> None:
    with pytest.raises(AssertionError):
        pump_with(("not in the file", ""))
