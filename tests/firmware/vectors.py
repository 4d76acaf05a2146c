"""Known answers, byte by byte: `docs/vectors/firmware.json`, made by Python, and said again by the C core.

python -m tests.firmware.vectors        writes the file
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import cbor2
from tests.firmware.lives import SECRET, Life
from tests.firmware.toolchain import ISSUER_KEYS, REPOSITORY
from tests.firmware.wire import Wire

from keyswitch.gate import record_bytes
from keyswitch.gate.codec import record_to_json
from keyswitch.gate.record import SessionRecord
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy
from keyswitch.proof import challenge
from keyswitch.proof.permit import Permit, issue, public_key, sign
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.terms import Security

FILE: Final = REPOSITORY / "docs" / "vectors" / "firmware.json"

POLICY: Final = """schema = 1
[device]
name = "Vector"
id = "unit-1"
initial_mode = "normal"
company_id = 0x1234
[inputs]
motion = { type = "bool", safety = true, initial = false }
[modes.normal]
allow = ["mode"]
[modes.maintenance]
maintenance = true
allow = ["os", "image", "mode"]
session = "owner"
lease_s = 60
lease_max_s = 120
[entry.challenge]
secret = "vector.hmac"
[entry.sequence]
steps = 2
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "enter"
proofs = ["challenge", "sequence"]
when = ["motion == false"]
[gate]
service = "always"
[smp]
buf_size = 512
"""
"""What the frames are about."""


def policy() -> Policy:
    return load(POLICY.encode(), origin="vectors")


def request(command: mode.Id, body: dict[str, Any], sequence: int) -> bytes:
    """A version 2 request, in canonical CBOR."""
    payload = cbor2.dumps(body, canonical=True) if body else b"\xa0"
    op = Op.READ if command in {mode.Id.STATE, mode.Id.CHALLENGE} else Op.WRITE
    header = Header(op=op, length=len(payload), group=mode.ID, sequence=sequence, command=command)
    return header.encode() + payload


class _Told:
    """Exchanges of one life, as they are written down."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.told: list[dict[str, Any]] = []

    def ask(self, what: str, peer: Any, command: mode.Id, **body: Any) -> dict[str, Any]:
        asked = request(command, body, len(self.told))
        answer = self.life.exchange(peer, asked)
        said: dict[str, Any] = cbor2.loads(answer[HEADER_SIZE:])
        self.told.append(
            {
                "what": what,
                "request": asked.hex(),
                "request_body": _plain(body),
                "answer": answer.hex(),
                "answer_body": _plain(said),
            }
        )
        return said


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    return {key: {"hex": value.hex()} if isinstance(value, bytes) else value for key, value in body.items()}


def exchanges(wire: Wire) -> tuple[Life, list[dict[str, Any]], list[dict[str, str]]]:
    """One session, from the question whether it can be to its end."""
    life = Life(wire, 1)
    life.now_ms = 1000
    life.boot()
    told, shown = _Told(life), []
    first = life.connect(Security.ENCRYPTED)
    shown.append(_look(life, "normal"))
    told.ask("the state, and why the gate is shut", first, mode.Id.STATE)
    told.ask("a mode that is none", first, mode.Id.CHALLENGE, to="service")
    told.ask("a request without its key", first, mode.Id.CHALLENGE)
    asked = told.ask("a nonce", first, mode.Id.CHALLENGE, to="maintenance")
    told.ask("a wrong proof", first, mode.Id.ENTER, to="maintenance", proof="challenge", mac=bytes(32))
    told.ask("the first step of a sequence", first, mode.Id.ENTER, to="maintenance", proof="sequence", step=1)
    asked = told.ask("another nonce: the wrong proof has used up the first", first, mode.Id.CHALLENGE, to="maintenance")
    mac = _mac(asked["nonce"], challenge.Purpose.ENTER, b"")
    entered = told.ask("entry", first, mode.Id.ENTER, to="maintenance", proof="challenge", mac=mac)
    shown.append(_look(life, "maintenance"))
    told.ask("the state of an open gate", first, mode.Id.STATE)
    told.ask("the same entry again: its answer was lost", first, mode.Id.ENTER, to="maintenance")
    told.ask("a longer lease", first, mode.Id.EXTEND)
    second = life.connect(Security.NONE)
    told.ask("the state, for who is not the owner", second, mode.Id.STATE)
    asked = told.ask("a nonce for attaching", second, mode.Id.CHALLENGE, to="maintenance")
    mac = _mac(asked["nonce"], challenge.Purpose.ATTACH, entered["session"])
    told.ask("attaching while the owner is there", second, mode.Id.ATTACH, proof="challenge", mac=mac)
    told.ask("leaving", first, mode.Id.LEAVE)
    return life, told.told, shown


def _mac(nonce: bytes, purpose: challenge.Purpose, session: bytes) -> bytes:
    asked = challenge.Challenge(nonce=nonce, device="unit-1", mode="maintenance", purpose=purpose, session=session)
    return challenge.make(SECRET, asked)


def _look(life: Life, where: str) -> dict[str, str]:
    value, said, name = life.look()
    return {"mode": where, "state_value": value.hex(), "advertisement": said.hex(), "scan_response": name.hex()}


def proofs() -> Iterator[dict[str, Any]]:
    """What an HMAC covers."""
    for purpose, session in ((challenge.Purpose.ENTER, b""), (challenge.Purpose.ATTACH, b"\x01\x02\x03\x04")):
        asked = challenge.Challenge(
            nonce=bytes(range(16)), device="unit-1", mode="maintenance", purpose=purpose, session=session
        )
        yield {
            "nonce": asked.nonce.hex(),
            "device": asked.device,
            "mode": asked.mode,
            "purpose": purpose.value,
            "session": session.hex(),
            "secret": SECRET.hex(),
            "message": challenge.message(asked, "challenge").hex(),
            "mac": challenge.make(SECRET, asked).hex(),
        }


def records() -> tuple[SessionRecord, ...]:
    """The smallest, one of an update under way, and one with everything."""
    digest = policy().digest
    return (
        SessionRecord(policy=digest, mode="maintenance", proof=None),
        SessionRecord(
            policy=digest,
            mode="maintenance",
            proof=ProofKind.CHALLENGE,
            expected=((0, b"\x11" * 32),),
            token=bytes(range(4)),
            lease_ms=59_000,
            lease_max_ms=119_000,
            trial_ms=120_000,
        ),
        SessionRecord(
            policy=b"\x77" * 32,
            mode="a-mode_of-another-policy",
            proof=ProofKind.PERMIT,
            entry=bytes(range(8)),
            images=frozenset({b"\x22" * 64, b"\x11" * 32}),
            expected=((0, b"\x22" * 64),),
            ending=True,
            token=bytes(range(4)),
            lease_ms=0,
            lease_max_ms=1,
            timeout_ms=2,
            idle_ms=3,
            trial_ms=record_bytes.MAX_TIME_MS,
        ),
        SessionRecord(
            policy=digest,
            mode="maintenance",
            proof=ProofKind.BUTTON,
            expected=((0, b"\x11" * 32), (1, b"\x22" * 32), (3, b"\x33" * 64)),
            token=bytes(range(4)),
            lease_ms=59_000,
            lease_max_ms=59_000,
        ),
        SessionRecord(
            policy=digest, mode="maintenance", proof=None, expected=((1, b"\x22" * 48),), token=bytes(range(4))
        ),
    )


def permits() -> Iterator[dict[str, Any]]:
    """Permits by keys that everybody knows, shown to a device that counts uses and to one that trusts its clock."""
    issuer, holder = ISSUER_KEYS[0], bytes(range(32, 64))
    counted = Permit(
        id=bytes(range(16)),
        issuer="Vector Inc.",
        devices=("unit-1",),
        mode="maintenance",
        holder=public_key(holder),
        uses=3,
        images=frozenset({b"\x11" * 32}),
    )
    timed = replace(
        counted,
        devices=("unit-0", "unit-1"),
        not_before_s=1_000,
        expires_s=2_000,
        uses=None,
        images=frozenset({b"\x11" * 32, b"\x22" * 64}),
    )
    entering = challenge.Challenge(
        nonce=bytes(range(16)), device="unit-1", mode="maintenance", purpose=challenge.Purpose.ENTER, session=b""
    )
    attaching = replace(entering, purpose=challenge.Purpose.ATTACH, session=b"\x01\x02\x03\x04")
    for permit, asked, now_s in ((counted, entering, None), (timed, attaching, 1_999)):
        data = issue(permit, issuer)
        yield {
            "issuer_key": issuer.hex(),
            "holder_key": holder.hex(),
            "permit": data.hex(),
            "nonce": asked.nonce.hex(),
            "device": asked.device,
            "mode": asked.mode,
            "purpose": asked.purpose.value,
            "session": asked.session.hex(),
            "clock_s": now_s,
            "message": (challenge.message(asked, "permit") + hashlib.sha256(data).digest()).hex(),
            "sig": sign(holder, asked, data).hex(),
            "id": permit.id.hex(),
            "uses": permit.uses,
            "images": sorted(image.hex() for image in permit.images or ()),
        }


def vectors() -> dict[str, Any]:
    """The whole file."""
    _, told, shown = exchanges(Wire(policy(), 0))
    return {
        "about": "Known answers for docs/mode-group.md and docs/session-record.md. Answers are canonical CBOR.",
        "policy": POLICY,
        "policy_sha256": policy().digest.hex(),
        "secret": SECRET.hex(),
        "exchanges": told,
        "shown": shown,
        "proofs": list(proofs()),
        "records": [{"record": record_to_json(each), "bytes": record_bytes.to_bytes(each).hex()} for each in records()],
        "permits": list(permits()),
    }


def text() -> str:
    """As it is written."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), "utf-8")
