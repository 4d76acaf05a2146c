"""Lives that are not drawn by chance: what a stranger tries, what a crowd does, and sessions across their resets."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import cbor2
from tests.firmware import permits
from tests.firmware.lives import IMAGES, RUNNING, SECRET, Life, as_request
from tests.firmware.toolchain import ISSUERS, MAX_NONCES
from tests.firmware.wire import Wire

from keyswitch.gate import events as on
from keyswitch.gate import record
from keyswitch.gate.authorise import authorise
from keyswitch.gate.decision import Refused
from keyswitch.gate.peer import Peer
from keyswitch.gate.record import SessionRecord
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import OnEnter, Policy, Transition
from keyswitch.proof import challenge
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.proof.permit import Permit, public_key
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header, Op
from keyswitch.terms import Security

_STEPS: Final = (0, 1, 2, 3, 4, 255, 256, 257, 2**32 - 1, 2**32 + 1, 2**64 - 1, -1, -2, "1", b"1", 1.0, None, True)
"""What may stand where the number of a step belongs."""


def stories(wire: Wire) -> Iterator["Story"]:
    """All of them under this policy, as far as it has what they are about."""
    yield from (Story(wire).told(tell) for tell in (_crowd, _stray_frames, _stray_steps, _nothing_permitted))
    for way, proofs in _ways(wire.policy):
        for proof in proofs:
            for tell in (_guests, _trial, _leaving, _revised, _stray_permits, *_of_pairs(wire.policy)):
                yield Story(wire, way, proof).told(tell)
            if proof is ProofKind.PERMIT:
                yield Story(wire, way, proof, issuers=()).told(_guests)


def _ways(policy: Policy) -> list[tuple[Transition, tuple[ProofKind, ...]]]:
    """Transitions by command from where the device comes up into maintenance, and the proofs that each takes."""
    return [
        (way, way.trigger.proofs)
        for way in policy.transitions
        if isinstance(way.trigger, OnEnter)
        and policy.device.initial_mode in way.sources
        and policy.modes[way.target].maintenance
    ]


class Story(Life):
    """A life with somebody who knows what to do. way, proof: what it is about, if it is about entering."""

    def __init__(
        self,
        wire: Wire,
        way: Transition | None = None,
        proof: ProofKind | None = None,
        issuers: tuple[bytes, ...] = ISSUERS,
    ) -> None:
        super().__init__(wire, 0, issuers=issuers)
        self.now_ms = 1_000
        self.way, self.proof = way, proof

    def told(self, tell: Callable[["Story"], None]) -> "Story":
        """As it happens."""
        with permits.noted() as self.right:
            self.boot(trial=False)
            tell(self)
            self.look()
        return self

    def wait(self, ms: int) -> None:
        """So much time passes, one time limit after the other."""
        until_ms = self.now_ms + ms
        while (due_ms := self.core.next_due_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.fire()
        self.now_ms = until_ms

    def ask(self, peer: Peer, command: mode.Id, body: dict[str, Any]) -> dict[str, Any]:
        """What the device answers."""
        said: dict[str, Any] = cbor2.loads(self.exchange(peer, as_request(command, body))[HEADER_SIZE:])
        return said

    def asked(self, peer: Peer, to: str, *, attaching: bool = False) -> Challenge:
        """A nonce for this peer."""
        return Challenge(
            nonce=self.ask(peer, mode.Id.CHALLENGE, {"to": to}).get("nonce", bytes(16)),
            device=self.policy.device.id,
            mode=to,
            purpose=Purpose.ATTACH if attaching else Purpose.ENTER,
            session=self.core.token if attaching else b"",
        )

    def permit(self, to: str, **other: Any) -> Permit:
        """One that is right."""
        plain = Permit(
            id=bytes(16),
            issuer="I",
            devices=(self.policy.device.id,),
            mode=to,
            holder=public_key(permits.HOLDERS[0]),
            expires_s=2**31,
            uses=20,
        )
        return replace(plain, **other)

    def prove(self, peer: Peer, to: str, *, attaching: bool = False, permit: Permit | None = None) -> dict[str, Any]:
        """Enter, or attach to the session, by the proof that this story is about."""
        command = mode.Id.ATTACH if attaching else mode.Id.ENTER
        body: dict[str, Any] = {} if attaching else {"to": to}
        if self.proof is ProofKind.SEQUENCE:
            assert self.policy.entry.sequence is not None
            for step in range(1, self.policy.entry.sequence.steps):
                self.ask(peer, command, {**body, "proof": "sequence", "step": step})
            return self.ask(peer, command, {**body, "proof": "sequence", "step": self.policy.entry.sequence.steps})
        asked = self.asked(peer, to, attaching=attaching)
        if self.proof is ProofKind.CHALLENGE:
            return self.ask(peer, command, {**body, "proof": "challenge", "mac": challenge.make(SECRET, asked)})
        shown = permit or self.permit(to)
        data = permits.issued_by_first(shown)
        signature = permits.sign(permits.holder_key(shown), asked, data)
        return self.ask(peer, command, {**body, "proof": "permit", "permit": data, "sig": signature})

    def enter(self) -> Peer:
        """Somebody enters as the transition asks, and is connected again if that needs it."""
        assert self.way is not None
        peer = self.connect(Security.AUTHENTICATED)
        self.prove(peer, self.prepare(self.way))
        return peer


def _crowd(story: Story) -> None:
    """Many come, ask, begin, and go; who was there first goes on."""
    ways = _ways(story.policy)
    if not ways:
        return
    way, proofs = ways[0]
    to = story.prepare(way)
    first, body = story.connect(Security.AUTHENTICATED), {"to": to, "proof": "sequence"}
    asked = story.asked(first, to)
    story.ask(first, mode.Id.ENTER, {**body, "step": 1})
    for _ in range(MAX_NONCES + 2):
        peer = story.connect(Security.NONE)
        story.asked(peer, to)
        if ProofKind.SEQUENCE in proofs:
            story.ask(peer, mode.Id.ENTER, {**body, "step": 1})
        story.disconnect(peer.id)
    story.ask(first, mode.Id.ENTER, {**body, "step": 2})
    mac = challenge.make(SECRET, asked)
    story.ask(first, mode.Id.ENTER, {"to": to, "proof": "challenge", "mac": mac})


def _stray_frames(story: Story) -> None:
    """Commands that the group does not have, flags that nobody knows, and what is refused of other groups."""
    peer = story.connect(Security.AUTHENTICATED)
    for command in (*range(8), 31, 32, 255):
        for op in Op:
            for flags in (0, 1, 0xFF):
                head = Header(op=op, length=1, group=mode.ID, sequence=command, command=command).encode()
                story.exchange(peer, head[:1] + bytes([flags]) + head[2:] + b"\xa0")
    for key in sorted(ALL_KEYS, key=lambda key: (key.group, key.id, key.op)):
        refused = authorise(story.policy, story.core.state, peer, (key.group, key.id, key.op))
        if key.group != mode.ID and isinstance(refused, Refused):
            head = Header(op=key.op, length=1, group=key.group, sequence=0, command=key.id).encode()
            story.exchange(peer, head + b"\xa0")


def _stray_steps(story: Story) -> None:
    """Numbers of steps that are none, or another one's, within a sequence."""
    ways = [way for way, proofs in _ways(story.policy) if ProofKind.SEQUENCE in proofs]
    if not ways:
        return
    to = story.prepare(ways[0])
    for stray in _STEPS:
        peer = story.connect(Security.NONE)
        for step in (1, stray, 2):
            story.ask(peer, mode.Id.ENTER, {"to": to, "proof": "sequence", "step": step})
            story.wait(10)  # longer than a policy's lock-out that is short, and less than the sequence's time
        story.ask(peer, mode.Id.ENTER, {"to": to, "proof": "sequence"})
        story.disconnect(peer.id)
        story.wait(60_000)


def _nothing_permitted(story: Story) -> None:
    """A session that is limited to no image at all is nobody's who has no limit."""
    for way, proofs in _ways(story.policy):
        for story.proof in proofs:
            found = SessionRecord(
                policy=story.policy.digest,
                mode=way.target,
                proof=story.proof,
                entry=record.entry_of(way),
                images=frozenset(),
                token=bytes(4),
                lease_ms=60_000,
                lease_max_ms=60_000,
                timeout_ms=60_000,
            )
            story.prepare(way)
            story.boot(found, trial=False, gone_on=True)
            peer = story.connect(Security.AUTHENTICATED)
            story.prove(peer, way.target, attaching=True)
            story.prove(peer, way.target, attaching=True, permit=story.permit(way.target, images=frozenset(IMAGES[:1])))


def _guests(story: Story) -> None:
    """Two are there: whose upload it is, whose session, and by whose permit."""
    first = story.enter()
    assert story.way is not None
    to = story.way.target
    second = story.connect(Security.AUTHENTICATED)
    for event in (
        on.UploadStarted(peer=first),
        on.UploadStarted(peer=second),
        on.ArmAsked(peer=second, image=IMAGES[1], permanent=False),
        on.UploadEnded(),
        on.ArmAsked(peer=first, image=IMAGES[1], permanent=False),
        on.ArmAsked(peer=first, image=IMAGES[2], permanent=False),
        on.UploadStarted(peer=second),
        on.UploadEnded(),
    ):
        story.happens(event)
    for permit in (
        None,
        story.permit(to, images=frozenset(IMAGES[:1])),
        story.permit(to, images=frozenset(IMAGES[1:2])),
        story.permit(to, holder=public_key(permits.HOLDERS[1])),
    ):
        story.prove(second, to, permit=permit)
        story.prove(second, to, attaching=True, permit=permit)
        story.wait(60_000)
        if story.core.state.session is None:
            story.prove(first, story.prepare(story.way), permit=permit)


def _update(story: Story, peer: Peer) -> None:
    """Until the reset that was asked for."""
    story.happens(on.UploadStarted(peer=peer))
    story.happens(on.UploadEnded())
    story.happens(on.ArmAsked(peer=peer, image=IMAGES[1], permanent=False))
    story.happens(on.ResetAsked(peer=peer))
    story.wait(1_000)


def _trial(story: Story) -> None:
    """An update: the session goes on, is attached to by its owner and by others, resets once more, and is confirmed."""
    _update(story, story.enter())
    assert story.way is not None
    to = story.way.target
    story.boot(trial=True, gone_on=True)
    peer = story.connect(Security.AUTHENTICATED)
    story.prove(peer, to, attaching=True, permit=story.permit(to, holder=public_key(permits.HOLDERS[1])))
    story.prove(peer, to, attaching=True)
    story.look()
    story.happens(on.ResetAsked(peer=peer))
    story.wait(1_000)
    story.boot(trial=False, gone_on=True)
    peer = story.connect(Security.AUTHENTICATED)
    story.prove(peer, to, attaching=True)
    _update(story, peer)
    story.boot(trial=True, gone_on=True)
    story.happens(on.ConfirmAsked(peer=story.connect(Security.AUTHENTICATED)))
    story.happens(on.SelfConfirmed())
    story.wait(200_000)


def _of_pairs(policy: Policy) -> Iterator[Callable[[Story], None]]:
    """An update of the image of each pair by itself, of two, of all, and of all but the first."""
    pairs = range(len(policy.bootloader.pairs))
    if len(pairs) > 1:
        chosen = dict.fromkeys(
            (*((pair,) for pair in pairs), tuple(pairs[:2]), tuple(pairs), tuple(reversed(pairs[1:])))
        )
        yield from (partial(_update_of, chosen=each) for each in chosen)


def _update_of(story: Story, chosen: Sequence[int]) -> None:
    """These images: each is uploaded and armed, they start with one reset, and each is confirmed."""
    peer = story.enter()
    for pair in chosen:
        story.happens(on.UploadStarted(peer=peer, pair=pair))
        story.happens(on.UploadEnded())
        story.happens(on.ArmAsked(peer=peer, image=IMAGES[pair % len(IMAGES)], permanent=pair == 2, pair=pair))
    story.happens(on.ResetAsked(peer=peer))
    story.wait(1_000)
    story.boot(trial=True, gone_on=True)
    peer = story.connect(Security.AUTHENTICATED)
    for pair in chosen:
        story.happens(on.ConfirmAsked(peer=peer, pair=pair))
    story.happens(on.SelfConfirmed())
    story.wait(200_000)


def _leaving(story: Story) -> None:
    """A trial that is left without a word is reverted first, and left then."""
    _update(story, story.enter())
    story.boot(trial=True, gone_on=True)
    story.happens(on.LeaveAsked(peer=story.connect(Security.AUTHENTICATED)))
    story.wait(1_000)
    story.boot(trial=False, gone_on=True)
    story.wait(200_000)


def _revised(story: Story) -> None:
    """The session of another revision of the policy: no transition here has opened it."""
    assert story.way is not None
    to = story.prepare(story.way)
    for trial in (True, False):
        found = SessionRecord(
            policy=b"\x77" * 32,
            mode=to,
            proof=story.proof,
            entry=bytes(8),
            expected=((0, RUNNING),),
            token=bytes(4),
            lease_ms=50_000,
            lease_max_ms=50_000,
            timeout_ms=40_000,
            trial_ms=30_000,
        )
        story.boot(found, trial=trial, gone_on=True)
        peer = story.connect(Security.AUTHENTICATED)
        story.prove(peer, to, attaching=True)
        _update(story, peer)
        story.boot(trial=True, gone_on=True)
        story.wait(200_000)


def _stray_permits(story: Story) -> None:
    """Signatures by the holder over something else, and of other kinds."""
    if story.proof is not ProofKind.PERMIT:
        return
    assert story.way is not None
    to = story.prepare(story.way)
    data = permits.issued_by_first(story.permit(to))
    digest = hashlib.sha256(data).digest()
    text = "s" * 64
    peer = story.connect(Security.AUTHENTICATED)
    body = {"to": to, "proof": "permit", "permit": data}
    # Over no nonce at all: nobody has asked for one.
    key = permits.permits.Ed25519PrivateKey.from_private_bytes(permits.HOLDERS[0])
    signature = key.sign(digest)
    assert permits.permits._signed_by(public_key(permits.HOLDERS[0]), signature, digest)
    story.ask(peer, mode.Id.ENTER, {**body, "sig": signature})
    for sig in (text, text.encode(), text[:-1].encode(), 1, None):
        asked = story.asked(peer, to)
        message = permits.permits._holders_message(asked, data)
        story.right.add(hashlib.sha256(public_key(permits.HOLDERS[0]) + message + text.encode()).digest())
        if sig != text.encode():
            story.ask(peer, mode.Id.ENTER, {**body, "sig": sig})
        story.wait(60_000)
    for shown in ("no permit", 1, None, b""):
        asked = story.asked(peer, to)
        signature = permits.sign(permits.HOLDERS[0], asked, data)
        story.ask(peer, mode.Id.ENTER, {"to": to, "proof": "permit", "permit": shown, "sig": signature})
        story.wait(60_000)
