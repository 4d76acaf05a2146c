"""The digest is of the rules: equal for equal rules however they are written, another for every other rule."""

import hashlib
import importlib.util
import json
import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import pytest
from tests.policy.samples import PUMP_FILE, ROOT, small

from keyswitch.policy import digest as policy_digest_module
from keyswitch.policy.digest import OUTSIDE, WHETHER, canonical_rules, policy_digest
from keyswitch.policy.grammar import DURATION, SECTIONS
from keyswitch.policy.load import load, read_policy
from keyswitch.schema.tables import TomlKey, TomlTable
from keyswitch.schema.value_types import Boolean, Duration, ListOf, Text, Whole

VECTORS = ROOT / "docs" / "vectors" / "policy-digest.json"
EXAMPLES = sorted((ROOT / "examples").glob("*/*.toml"))
POLICIES = [path for path in EXAMPLES if path.name != "pyproject.toml"]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("policy_vectors", ROOT / "docs" / "policy_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def vectors() -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in json.loads(VECTORS.read_text("utf-8"))["vectors"]}


def parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=Decimal)


def rules_of(path: Path) -> bytes:
    return policy_digest(parsed(path.read_text("utf-8")))


# --- the page's vectors, by an encoder and a hash that are not ours ---


def head(major: int, argument: int) -> bytes:
    for size, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if argument < 24:
            return bytes([major << 5 | argument])
        if argument < 1 << 8 * size:
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise AssertionError(argument)


def by_the_book(value: Any) -> bytes:
    """RFC 8949 4.2.1, written anew: shortest heads, definite lengths, keys by the bytes of their encodings."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list():
            return head(4, len(value)) + b"".join(by_the_book(each) for each in value)
        case dict():
            pairs = sorted((by_the_book(key), by_the_book(each)) for key, each in value.items())
            return head(5, len(pairs)) + b"".join(key + each for key, each in pairs)
        case _:
            raise AssertionError(value)


def test_the_vectors_are_up_to_date() -> None:
    assert VECTORS.read_text("utf-8") == generator().vectors()


@pytest.mark.parametrize("name", vectors())
def test_a_vector_can_be_made_from_the_page_alone(name: str) -> None:
    vector = vectors()[name]
    data = bytes.fromhex(vector["cbor"])
    assert by_the_book(cbor2.loads(data)) == data
    assert hashlib.sha256(b"keyswitch-policy 1\0" + data).hexdigest() == vector["digest"]
    assert load(vector["policy"].encode()).digest.hex() == vector["digest"]


@pytest.mark.parametrize("name", ["smallest", "sets"])
def test_the_same_rules_otherwise_written_are_the_same(name: str) -> None:
    assert vectors()[name]["digest"] == vectors()[f"the same rules as {name}"]["digest"]


def test_the_page_shows_the_smallest_vector() -> None:
    page = (ROOT / "docs" / "policy-digest.md").read_text("utf-8")
    smallest = vectors()["smallest"]
    shown = "".join(line.split("  ")[0].replace(" ", "") for line in page.split("```text")[1].splitlines()[1:])
    assert shown.split("```", maxsplit=1)[0] == smallest["cbor"]
    assert smallest["digest"] in page


# --- equal rules ---

TEXT = PUMP_FILE.read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# An infusion-style", "# A"),
        ("\n", "\r\n"),
        ('name = "Pump 7"', 'name = "Pump 8"\nid = "unit 8"'),
        ("keys/pump7.hmac", "keys/unit8.hmac"),
        ("keys/root-ec-p256.pub.pem", "other.pem"),
        ("lease_s = 900 ", "lease_s = 900.000"),
        ('"motion == false", "battery_percent >= 30"', '"battery_percent>=30", "motion==false"'),
        ('from = ["normal", "active", "pairing"]', 'from = ["pairing", "normal", "active"]'),
        ('["ble", "udp", "serial"]', '["udp", "serial", "ble"]'),
        ("buf_count = 4\n", ""),
        ('others = "refuse"', ""),
        ('allow = ["os", "image", "mode"]', 'allow = ["mode", "image:read", "image:write", "os"]'),
    ],
)
def test_what_is_no_rule_changes_nothing(old: str, new: str) -> None:
    assert old in TEXT
    changed = load(TEXT.replace(old, new).encode())
    assert changed.digest == read_policy(PUMP_FILE).digest
    assert changed.file_digest != read_policy(PUMP_FILE).file_digest


def test_a_lease_that_is_not_extended_may_say_so() -> None:
    assert small("", ("lease_s = 60", "lease_s = 60\nlease_max_s = 60")).digest == small().digest
    assert small("", ("lease_s = 60", "lease_s = 60\nlease_max_s = 61")).digest != small().digest


@pytest.mark.parametrize(
    "stated", ['security = "none"', 'others = "refuse"', 'when_false = "leave"', "proofs = ['challenge']"]
)
def test_a_transition_may_say_what_it_means_anyway(stated: str) -> None:
    text = ("proofs = [", f"{stated}\nproofs = [") if "proofs" not in stated else ('proofs = ["challenge"]', stated)
    assert small("", text).digest == small().digest


# --- other rules ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lease_s = 60", "lease_s = 60.001"),
        ('"os", "image", "mode"', '"os", "image:read", "mode"'),
        ("initial = false", "initial = true"),
        ("initial = 80", "initial = 81"),
        ("battery >= 30", "battery > 30"),
        ("motion == false", "motion != true"),
        ("[entry.challenge]", "[entry.permit]\nissuers = ['a.pem']\n[entry.challenge]"),
        ('initial_mode = "normal"', 'initial_mode = "normal"\nbypasses = ["a"]'),
    ],
)
def test_another_rule_is_another_digest(old: str, new: str) -> None:
    assert small("", (old, new)).digest != small().digest


def test_whether_images_must_be_signed_is_a_rule_and_by_whom_is_none() -> None:
    unsigned, signed = small(), small("[bootloader]\nkey = 'a.pem'")
    assert signed.digest != unsigned.digest
    assert small("[bootloader]\nkey = 'b.pem'").digest == signed.digest


@pytest.mark.parametrize("kind", ["modes", "inputs", "transitions"])
def test_their_order_is_on_the_air_and_in_the_digest(kind: str) -> None:
    root = parsed(TEXT)
    whole = root[kind]
    turned = list(reversed(whole)) if isinstance(whole, list) else dict(reversed(whole.items()))
    assert policy_digest({**root, kind: turned}) != policy_digest(root)


TWO_IMAGES = "[[bootloader.images]]\n[[bootloader.images]]\nslot_size = 262144\n"


@pytest.mark.parametrize(
    ("stated", "same"),
    [
        (TWO_IMAGES + "secondary_size = 262144\ncopied = false\n", True),
        (TWO_IMAGES.replace("images]]\n[", "images]]\nslot_size = 458752\n[", 1), True),
        ("[update]\nsimultaneous = true\n" + TWO_IMAGES, True),
        ("[update]\nsimultaneous = false\n" + TWO_IMAGES, False),
        (TWO_IMAGES + "secondary_size = 266240\n", False),
        (TWO_IMAGES + "copied = true\n", False),
        (TWO_IMAGES + "[[bootloader.images]]\n", False),
        ("", False),
    ],
)
def test_what_each_of_several_images_is_belongs_to_the_rules(stated: str, same: bool) -> None:
    assert (small(stated).digest == small(TWO_IMAGES).digest) is same


# --- the language as it grows ---


def test_policies_of_one_image_keep_the_digest_that_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {path: rules_of(path) for path in POLICIES}
    one = {path: digest for path, digest in now.items() if not read_policy(path).bootloader.images}
    boot, update = SECTIONS["bootloader"], SECTIONS["update"]
    before = {
        **{place: table for place, table in SECTIONS.items() if place != "bootloader.images[]"},
        "bootloader": replace(boot, tables=()),
        "update": replace(update, keys=tuple(key for key in update.keys if key.name != "simultaneous")),
    }
    monkeypatch.setattr(policy_digest_module, "SECTIONS", before)
    assert len(one) > 20
    assert {path: rules_of(path) for path in one} == one


def stated_in(place: str, form: Any) -> set[str]:
    """Every key that a form has, by place and name."""
    table, found = SECTIONS[place], set[str]()
    for key in table.keys:
        name = f"{key.name.removesuffix('_s')}_ms" if isinstance(key.kind, Duration) else key.name
        found |= {f"{place}.{key.name}"} if name in form else set()
    for name in table.tables:
        inner = f"{place}.{name}" if place else name
        for suffix in ("", ".*", "[]"):
            if f"{inner}{suffix}" in SECTIONS and name in form:
                for each in form[name] if suffix else [form[name]]:
                    found |= stated_in(f"{inner}{suffix}", each)
    return found


def test_every_key_of_the_language_is_in_a_vector_or_outside() -> None:
    forms = [canonical_rules(parsed(each["policy"])) for each in vectors().values()]
    known = {f"{place}.{key.name}" for place, table in SECTIONS.items() for key in table.keys}
    assert set[str]().union(*(stated_in("", form) for form in forms)) == known - OUTSIDE
    assert known > OUTSIDE
    assert known > WHETHER


NEW_KEYS = {
    "a duration": (TomlKey(name="new_s", kind=DURATION, doc="New."), Decimal("1.5")),
    "a flag": (TomlKey(name="new", kind=Boolean(), doc="New.", default=False), True),
    "a number": (TomlKey(name="new", kind=Whole(0, 9), doc="New.", default=3), 4),
    "a set": (TomlKey(name="new", kind=ListOf(Text()), doc="New.", default=()), ["b", "a"]),
}


@pytest.mark.parametrize("name", NEW_KEYS)
def test_a_new_key_at_its_default_changes_no_digest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: rules_of(path) for path in POLICIES}
    key, value = NEW_KEYS[name]

    def with_key(table: TomlTable) -> TomlTable:
        return replace(table, keys=(*table.keys, key))

    grown = {place: with_key(table) for place, table in SECTIONS.items()}
    monkeypatch.setattr(policy_digest_module, "SECTIONS", grown)
    assert {path: rules_of(path) for path in POLICIES} == before
    root = parsed(TEXT)
    root["modes"]["normal"][key.name] = value
    assert policy_digest(root) != before[PUMP_FILE]
    root["modes"]["normal"][key.name] = key.default
    if key.default is not None and key.default != ():
        assert policy_digest(root) == before[PUMP_FILE]
