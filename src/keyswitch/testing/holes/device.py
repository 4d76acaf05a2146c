"""One whole device in this process, of a policy and whatever parts: gate, bootloader, flash and transports are real.

Only what a policy names and does not hold is made up: its secret, who issues permits, the key that images are signed
with. The random bytes come from a seed, so that a run repeats.
"""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from keyswitch.device.process.factory import install_first_images
from keyswitch.device.process.process import build
from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.server.components import Components
from keyswitch.device.storage.store import MemoryStore
from keyswitch.errors import KeyswitchError
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.host.access.credentials import Credential, HeldPermit, Secret, Steps
from keyswitch.host.access.policy_profile import expected_of
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.link.peripheral import Peripheral
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.image import HEADER, TLV_HEADER, TLV_INFO
from keyswitch.mcuboot.keys import load_keys
from keyswitch.mcuboot.tlvs import IMAGE_MAGIC, TLV_INFO_MAGIC, TlvType
from keyswitch.policy.bootloader import layout_of
from keyswitch.policy.enums import Clock, ProofKind
from keyswitch.policy.model import OnEnter, Policy, Value
from keyswitch.proof import permit
from keyswitch.terms import Security, Transport
from keyswitch.testing.holes.wires import DELAY_S, Wire, WireEndpoint

SECRET: Final = bytes(range(32))
ADDRESS: Final = "C4:00:00:00:00:07"
SECOND_ADDRESS: Final = "C4:00:00:00:00:08"
"""Static random addresses (Core spec Vol 6 Part B 1.3.2.1)."""
_SIGNER, _ISSUER, _HOLDER = (bytes([number]) * 32 for number in (1, 2, 3))
_PAYLOAD_SIZE: Final = 2_048
_DER_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""In front of an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410 section 4)."""


class NotDoneError(KeyswitchError):
    """The gate refused what was done at the device, or nothing runs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeImage:
    """A signed image. Attributes: data: the file; hash: of the image; version: of it."""

    data: bytes
    hash: bytes
    version: str


def make_image(major: int, *, signer: bytes = _SIGNER) -> MadeImage:
    """A small image of version MAJOR.0.0, signed as imgtool signs with an Ed25519 key.

    Args:
        major: of the version; the content differs with it.
        signer: private key; another than the device's makes an image that it must not run.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    body = bytes((major + place) & 0xFF for place in range(_PAYLOAD_SIZE))
    header = HEADER.pack(IMAGE_MAGIC, 0, HEADER.size, 0, len(body), 0, major, 0, 0, 0, 0)
    digest = hashlib.sha256(header + body).digest()
    key = Ed25519PrivateKey.from_private_bytes(signer)
    public = _DER_PREFIX + key.public_key().public_bytes_raw()
    entries = (
        (TlvType.SHA256, digest),
        (TlvType.KEYHASH, hashlib.sha256(public).digest()),
        (TlvType.ED25519, key.sign(digest)),
    )
    tlvs = b"".join(TLV_HEADER.pack(kind, len(value)) + value for kind, value in entries)
    data = header + body + TLV_INFO.pack(TLV_INFO_MAGIC, TLV_INFO.size + len(tlvs)) + tlvs
    return MadeImage(data=data, hash=digest, version=f"{major}.0.0")


def signer_pem(signer: bytes = _SIGNER) -> bytes:
    """The public key that goes with `make_image`, as PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    return (
        Ed25519PrivateKey.from_private_bytes(signer)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


class DeviceInProcess:
    """A device and everybody around it. Use it as an async context manager, in virtual time.

    Args:
        policy: what it obeys; none of its key files is read.
        parts: what it is made of; None: a sound device.
        security: of links over Bluetooth LE.
        lost: asked for each packet besides Bluetooth LE: whether it is lost.
        delay_s: how long a packet takes each way, on a wire.
    """

    def __init__(
        self,
        policy: Policy,
        parts: Components | None = None,
        *,
        security: Security = Security.AUTHENTICATED,
        lost: Callable[[], bool] = lambda: False,
        delay_s: float = DELAY_S,
    ) -> None:
        if policy.entry.permit is not None:
            untimed = replace(policy.entry.permit, clock=Clock.NONE)
            policy = replace(policy, entry=replace(policy.entry, permit=untimed))
        self.policy = policy
        self.good, self.next = make_image(1), make_image(2)
        keys = load_keys(("the key of this device", signer_pem()))
        config = BootConfig(layout=layout_of(policy), keys=keys, downgrade=policy.bootloader.downgrade)
        self.flash = RamFlash(config.layout.geometry)
        install_first_images(self.flash, config.layout, (self.good.data,))
        self.store = MemoryStore()
        size = policy.smp.buf_size
        self._radio = self._make_radio(parts or Components())
        self.wires = {
            transport: Wire(
                transport,
                size,
                security=security if transport is Transport.BLE else Security.NONE,
                lost=(lambda: False) if transport is Transport.BLE else lost,
                parts=parts,
                delay_s=delay_s,
            )
            for transport in policy.smp.transports
            if self._radio is None or transport is not Transport.BLE
        }
        self.boots = 0
        self.runtime: Runtime = build(
            policy,
            flash=self.flash,
            boot_config=config,
            store=self.store,
            secret=SECRET,
            issuers=() if policy.entry.permit is None else (permit.public_key(_ISSUER),),
            peripheral=self._radio,
            second_address="" if self._radio is None else SECOND_ADDRESS,
            others=self.wires,
            random=random.Random(7).randbytes,  # noqa: S311 - runs must repeat
            report=self._reported,
            parts=parts,
        )

    async def __aenter__(self) -> Self:
        await self.runtime.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runtime.close()

    def _reported(self, event: dict[str, object]) -> None:
        self.boots += event["event"] == "boot"

    def _make_radio(self, parts: Components) -> Peripheral | None:
        """The device's radio; None: Bluetooth LE is a wire like the others, without a GATT table."""
        del parts
        return None

    @property
    def ways(self) -> dict[Transport, Endpoint]:
        """A way to it over each transport that the policy serves."""
        return {transport: WireEndpoint(self.policy.device.name, wire) for transport, wire in self.wires.items()}

    @property
    def strategy(self) -> ModeGroupStrategy | None:
        """How its maintenance is entered by command; None where the policy has no such way."""
        for way in self.policy.transitions:
            if isinstance(way.trigger, OnEnter) and self.policy.modes[way.target].maintenance:
                credentials = [self._credential(kind, way.target) for kind in way.trigger.proofs]
                return ModeGroupStrategy(way.target, *credentials, expected=expected_of(self.policy))
        return None

    def _credential(self, kind: ProofKind, to: str) -> Credential:
        if kind is ProofKind.CHALLENGE:
            return Secret(SECRET)
        return Steps() if kind is ProofKind.SEQUENCE else HeldPermit(self._permit(to), _HOLDER)

    def _permit(self, to: str) -> bytes:
        said = permit.Permit(
            id=bytes(permit.ID_SIZE),
            issuer="in this process",
            devices=(self.policy.device.id,),
            mode=to,
            holder=permit.public_key(_HOLDER),
            not_before_s=0,
            expires_s=2**32 - 1,
            uses=1_000_000,
            images=None,
        )
        return permit.issue(said, _ISSUER)

    # --- whoever is at the device ---

    async def set_input(self, name: str, value: Value) -> None:
        """Make an input read a value."""
        self.runtime.happen(InputChanged(name=name, value=value))
        await self.runtime.settled()

    async def hold_button(self, hold_ms: int) -> None:
        """Hold the button.

        Raises:
            NotDoneError: the gate refused it.
        """
        refused = self.runtime.happen(ButtonHeld(hold_ms=hold_ms))
        await self.runtime.settled()
        if refused is not None:
            raise NotDoneError(refused.text)

    async def power_cycle(self) -> None:
        """Take the power away and give it back."""
        await self.runtime.power_cycle()

    async def look(self) -> Mapping[str, str]:
        """All that an effect could be on: the flash, the settings, how often it booted. It has no other state."""
        content = self.flash.read(0, self.flash.geometry.size)
        settings = {name: value.hex() for name, value in sorted(self.runtime.server.core.settings.items())}
        return {
            "flash": hashlib.sha256(content).hexdigest()[:16],
            "settings": str(settings),
            "boots": str(self.boots),
        }
