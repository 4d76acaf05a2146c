"""What may happen, when: a policy as frozen data. Every number is an integer; every duration is in milliseconds.

Rules that every `Policy` keeps, because the loader refuses anything else:

* Names that one part uses and another declares (modes, inputs) exist.
* No transition leads from one maintenance mode into another.
* `Mode.allow` is exact: one entry for each (group, command, op) that the mode serves. What is not in it is refused.
* Nothing here is secret. Keys are paths, resolved against the policy file's directory; `policy.secrets` reads them.
* Which commands can change firmware is not here at all: `policy.firmware_commands` fixes it for every product.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import (
    Arm,
    Clock,
    Compare,
    Confirm,
    Identity,
    InputType,
    Others,
    ProofKind,
    SessionRule,
    UploadRest,
    Visibility,
    WhenFalse,
)
from keyswitch.reasons import is_words
from keyswitch.smp.commands import CommandKey
from keyswitch.terms import Security, Transport

_T = TypeVar("_T")
_Of = TypeVarTuple("_Of")

Value = bool | int
"""What an input can be. A bool input is never compared with a number, nor the other way round."""

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
"""Values of an int input: what any microcontroller's `int` holds. Constants of guards are within them as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A condition over one named input. False while the input's value is unknown.

    Attributes:
        input: name of the input.
        index: its place in `Policy.inputs`.
        compare: the operator.
        value: the constant; bool for a bool input, int for an int input.
    """

    input: str
    index: int
    compare: Compare
    value: Value

    @property
    def text(self) -> str:
        """As it is written in the file: `motion == false`."""
        return f"{self.input} {self.compare.value} {value_text(self.value)}"

    @property
    def words(self) -> str:
        """That it is true, for people: `motion is false`."""
        return is_words(self.input, self.compare.value, value_text(self.value))

    def holds(self, value: Value | None) -> bool:
        """Whether the condition is true for `value`; an unknown value (None) makes every guard false."""
        if value is None:
            return False
        return _COMPARE[self.compare](value, self.value)


def value_text(value: Value) -> str:
    """A value as policy files have it: `true`, `30`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_COMPARE = {
    Compare.EQUAL: int.__eq__,
    Compare.UNEQUAL: int.__ne__,
    Compare.LESS: int.__lt__,
    Compare.AT_MOST: int.__le__,
    Compare.MORE: int.__gt__,
    Compare.AT_LEAST: int.__ge__,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something the device senses and guards ask about.

    Attributes:
        name: as guards call it.
        type: bool or int.
        safety: nothing overrides it: a guard over it that turns false ends maintenance at once.
        operated: a person moves it on purpose (key switch, jumper); only moving such an input may open maintenance.
        initial: value until the first report; None means unknown, so that guards over it are false until then.
    """

    name: str
    type: InputType
    safety: bool = False
    operated: bool = False
    initial: Value | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What the device is doing, and what it serves meanwhile.

    Attributes:
        name: the product's own word.
        index: place in the file; travels in the advertisement and the state characteristic.
        allow: exactly the commands that this mode serves.
        allow_text: the same as it is written in the file.
        maintenance: the only kind of mode in which firmware may change.
        inhibits: what the application must not do meanwhile.
        quiet_after_ms: what it inhibits stays inhibited this long after the last command in it that can change
            firmware, however the mode ended; None: it ends with the mode.
        security: least level for every allowed command, except asking (mode group: state, challenge, enter, attach).
        session: who may use the session.
        lease_ms: the mode ends by itself after this long.
        lease_max_ms: `extend` restarts the lease, but never beyond this long after entry.
        idle_ms: the mode ends when no command was executed for this long (of the owner's, in an owned session).
        timeout_ms: after this long the mode's `timeout` transition is taken.
    """

    name: str
    index: int
    allow: frozenset[CommandKey]
    allow_text: tuple[str, ...] = ()
    maintenance: bool = False
    inhibits: tuple[str, ...] = ()
    quiet_after_ms: int | None = None
    security: Security = Security.NONE
    session: SessionRule = SessionRule.ANYONE
    lease_ms: int | None = None
    lease_max_ms: int | None = None
    idle_ms: int | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnEnter:
    """The `enter` command of the mode group, with one of these proofs. Empty: anyone may; never into maintenance."""

    proofs: tuple[ProofKind, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLeave:
    """The `leave` command, and every other way in which a mode's session ends: lease, idle time, guard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnButton:
    """The button, held at least `hold_ms`; with several such transitions the longest one reached is taken."""

    hold_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnInput:
    """Taken as soon as the guards hold in the mode, also right after the mode was entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTimeout:
    """The mode has lasted `Mode.timeout_ms`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnConnect:
    """The first BLE central has connected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDisconnect:
    """The last BLE central has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnReset:
    """The device comes up after a reset or power cut in the mode. Without one it comes up in the initial mode."""


Trigger = OnEnter | OnLeave | OnButton | OnInput | OnTimeout | OnConnect | OnDisconnect | OnReset


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One way from some modes into another.

    Attributes:
        index: place in the file.
        sources: names of the modes it starts in.
        target: name of the mode it leads to.
        trigger: what sets it off.
        when: guards; all must hold. In maintenance they must *stay* true, and are asked again at arming and reset.
        when_false: what a guard does that turns false during the session.
        security: least level of the peer that asks (`OnEnter`).
        others: what happens to other connected centrals (`OnEnter` into maintenance).
    """

    index: int
    sources: tuple[str, ...]
    target: str
    trigger: Trigger
    when: tuple[Guard, ...] = ()
    when_false: WhenFalse = WhenFalse.LEAVE
    security: Security = Security.NONE
    others: Others = Others.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """Who this is.

    Attributes:
        name: shown to people; the advertised name.
        id: identity that proofs and permits are bound to; the name unless the file says otherwise.
        initial_mode: where the device comes up.
        bypasses: ways past this gate that the policy cannot close. Printed by every proof and report.
        company_id: of the manufacturer data in the advertisement (Bluetooth assigned numbers; 0xFFFF is for tests).
    """

    name: str
    id: str
    initial_mode: str
    bypasses: tuple[str, ...] = ()
    company_id: int = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceEntry:
    """Entry without a key: `steps` `enter` commands, each naming the next number, within the window.

    Attributes:
        steps: how many.
        window_ms: from the first to the last.
    """

    steps: int = 3
    window_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeEntry:
    """Entry with a shared secret. Attributes: secret: its file; never read by the loader."""

    secret: Path


MAX_PERMITS: Final = 1_024
"""About 24 bytes each in flash: a service visit a week for twenty years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitEntry:
    """Entry with a signed permission.

    Attributes:
        issuers: files with the Ed25519 public keys (PEM) that may sign permits.
        clock: whether validity in time is judged; if not, each permit's own number of uses counts.
        max_permits: permits whose uses are kept; when so many are known, no new one is accepted.
    """

    issuers: tuple[Path, ...]
    clock: Clock = Clock.NONE
    max_permits: int = MAX_PERMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonEntry:
    """Where the button is on a Linux board. Attributes: gpio: pin number, None for the panel's button only."""

    gpio: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockoutSettings:
    """How wrong proofs are slowed, for each kind of proof.

    Attributes:
        free_tries: wrong proofs that cost nothing.
        first_ms: wait after the next one; doubles with each further one.
        max_ms: no wait is longer than this.
    """

    free_tries: int = 3
    first_ms: int = 1_000
    max_ms: int = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySettings:
    """What each kind of proof needs; None where the policy does not configure it."""

    sequence: SequenceEntry | None = None
    challenge: ChallengeEntry | None = None
    permit: PermitEntry | None = None
    button: ButtonEntry = field(default_factory=ButtonEntry)
    lockout: LockoutSettings = field(default_factory=LockoutSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """How the gate looks from outside. `upload`: what becomes of a half-done upload on leaving."""

    service: Visibility = Visibility.RECONNECT
    identity: Identity = Identity.SAME
    upload: UploadRest = UploadRest.DISCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    """How an update goes.

    Attributes:
        arm: when the trailer is written.
        confirm: who makes the new image stay.
        trial_deadline_ms: an unconfirmed trial reverts after this long; None: only the lease ends it.
        simultaneous: whether several images may be armed for one reset.
    """

    arm: Arm = Arm.LATE
    confirm: Confirm = Confirm.OPERATOR
    trial_deadline_ms: int | None = None
    simultaneous: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePair:
    """The two slots of one image; its place is the image's number.

    Attributes:
        slot_size: bytes of the primary slot.
        secondary_size: bytes of the secondary slot.
        copied: the bootloader copies it to where only it can write, without a trial or a way back; what runs of it
            cannot be read (nRF5340's network core: its primary slot is RAM that MCUboot fills, nrfconnect/sdk-nrf
            modules/mcuboot/hooks/nrf53_hooks.c, 1a2ad493).
    """

    slot_size: int
    secondary_size: int
    copied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BootloaderSettings:
    """What boots.

    Attributes:
        algorithm: how images are exchanged.
        loader_entrance: what starts the firmware loader; empty with any other algorithm.
        loader_gated: the loader has this gate as well; else its server serves anybody while it runs.
        key: file with the public key (PEM) that images must be signed with; None: no signature is asked for.
        hash: what the bootloader is built to verify; None: what the key goes with, not known for Ed25519.
        slot_size: bytes of the primary slot.
        secondary_size: bytes of the secondary slot, where a firmware loader lies if there is one; None: as the primary.
        max_sectors: entries in the status area of a swap; None: the sectors of the larger slot.
        sector_size: bytes that are erased together.
        write_block: bytes that are written together.
        needs_erase: whether flash is erased before it is written.
        downgrade: what keeps older images from coming back.
        mcuboot: its version; None: not known.
        guessed: the numbers are a board's usual ones, not read from the build.
        images: where there are several, the slots of each; empty: there is one image, in the slots above.
    """

    algorithm: Algorithm = Algorithm.SWAP_MOVE
    loader_entrance: tuple[LoaderEntrance, ...] = ()
    loader_gated: bool = False
    key: Path | None = None
    hash: VerifiedHash | None = None
    slot_size: int = 458_752
    secondary_size: int | None = None
    max_sectors: int | None = None
    sector_size: int = 4_096
    write_block: int = 4
    needs_erase: bool = True
    downgrade: Downgrade = Downgrade.ALLOWED
    mcuboot: str | None = None
    guessed: bool = False
    images: tuple[ImagePair, ...] = ()

    @property
    def pairs(self) -> tuple[ImagePair, ...]:
        """The slots of each image, by its number; of the one image where there is one."""
        second = self.slot_size if self.secondary_size is None else self.secondary_size
        return self.images or (ImagePair(slot_size=self.slot_size, secondary_size=second),)

    def has_trials(self, image: int) -> bool:
        """Whether an image with this number can run on trial, and go back to the one before."""
        return self.algorithm.has_trial and not self.pairs[image].copied


@dataclass(frozen=True, slots=True, kw_only=True)
class SmpSettings:
    """The SMP server. `buf_size` counts the whole packet with its 8-byte header (os group, parameters)."""

    buf_size: int = 2475
    buf_count: int = 4
    transports: tuple[Transport, ...] = (Transport.BLE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything one file says.

    Attributes:
        device: who this is.
        inputs: in file order; `Guard.index` points here.
        modes: by name, in file order; `Mode.index` is the place.
        transitions: in file order; `Transition.index` is the place.
        entry: what each proof needs.
        gate: how the gate looks from outside.
        update: how an update goes.
        bootloader: what boots.
        smp: the server's parameters.
        digest: of the rules, however they are written (`policy.digest`); its first 8 bytes are what the mode group
            tells.
        file_digest: SHA-256 of the file's bytes, which devices of before told instead of it.
        origin: the file's name, for messages.
    """

    device: DeviceSettings
    inputs: tuple[Input, ...]
    modes: Mapping[str, Mode]
    transitions: tuple[Transition, ...]
    entry: EntrySettings = field(default_factory=EntrySettings)
    gate: GateSettings = field(default_factory=GateSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    bootloader: BootloaderSettings = field(default_factory=BootloaderSettings)
    smp: SmpSettings = field(default_factory=SmpSettings)
    digest: bytes = b""
    file_digest: bytes = b""
    origin: str = "policy"
    _ways: dict[tuple[str, type], tuple[Transition, ...]] = field(
        default_factory=dict[tuple[str, type], tuple[Transition, ...]], init=False, repr=False, compare=False
    )
    _known: dict[Hashable, Any] = field(default_factory=dict[Hashable, Any], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the transitions by (mode, kind of trigger): the machine asks at every event."""
        for way in self.transitions:
            for source in way.sources:
                key = (source, type(way.trigger))
                self._ways[key] = (*self._ways.get(key, ()), way)

    def ways(self, mode: str, trigger: type[Trigger]) -> tuple[Transition, ...]:
        """Transitions that start in `mode` by this kind of trigger, in file order."""
        return self._ways.get((mode, trigger), ())

    def once(self, work_out: "Callable[[Policy, Unpack[_Of]], _T]", *of: *_Of) -> _T:
        """What `work_out(policy, *of)` gives, worked out once: it follows from the policy and `of` alone.

        For what the machine asks at every event. The answer is kept as long as the policy is, and so is `of`.
        """
        key = (work_out, *of)
        if key not in self._known:
            self._known[key] = work_out(self, *of)
        known: _T = self._known[key]
        return known

    @property
    def initial(self) -> Mode:
        """The mode in which the device comes up."""
        return self.modes[self.device.initial_mode]
