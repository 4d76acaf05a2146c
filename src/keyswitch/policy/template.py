"""A commented policy to start from: what `keyswitch init` writes. Every choice in it passes `keyswitch check`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.model import BootloaderSettings
from keyswitch.policy.schema import SCHEMA_FILE
from keyswitch.terms import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the person who starts a policy decides.

    Attributes:
        name: the device's name.
        proofs: how entry by command is proved; at least one.
        button: a button opens maintenance as well.
        safety_input: a bool input that must be false for maintenance; empty: there is none.
        service: how the SMP service is shown on BLE.
        transports: how the device can be reached.
        secret: file of the shared secret.
        issuer: file of the permit issuer's public key.
        image_key: file of the public key that images are signed with.
        bootloader: what is known of the product's bootloader; None: nothing yet.
        bootloader_source: where that stands, one line each.
    """

    name: str
    proofs: tuple[ProofKind, ...]
    button: bool = True
    safety_input: str = "motion"
    service: Visibility = Visibility.RECONNECT
    transports: tuple[Transport, ...] = (Transport.BLE,)
    secret: str = "keys/device.hmac"  # noqa: S105 - a file name
    issuer: str = "keys/issuer.pub.pem"
    image_key: str = "keys/image.pub.pem"
    bootloader: BootloaderSettings | None = None
    bootloader_source: tuple[str, ...] = ()


_HEAD: Final = """\
#:schema {schema}
# When may this device's firmware change? `keyswitch check` proves what this file promises.
schema = 1

[device]
name = {name}
initial_mode = "normal"
bypasses = []                     # ways past this gate that no policy can close: debug port, serial recovery pin
"""

_INPUT: Final = """
[inputs]
# Unknown until the device reports it; an unknown input shuts every guard that asks about it.
{input} = {{ type = "bool", safety = true }}
"""

_WORKING: Final = """
[modes.normal]
allow = ["os.echo", "os.params", "image.state:read", "mode"]
"""

_ACTIVE: Final = """
[modes.active]                    # at work: asking is allowed, so that a refusal can say why
allow = ["mode"]
"""

_MAINTENANCE: Final = """
[modes.maintenance]
maintenance = true                # the only kind of mode in which firmware may change
allow = ["os", "image", "mode"]
{inhibits}lease_s = 900                     # it ends by itself, whatever anybody sends
idle_s = 120                      # ... or when no command is executed for this long
"""

_ENTRY: Final[dict[ProofKind, str]] = {
    ProofKind.CHALLENGE: """
[entry.challenge]
# Mode 0600; whoever has it can enter.
secret = {secret}
""",
    ProofKind.PERMIT: """
[entry.permit]
# Whoever has the private part of one of these can let others in.
issuers = [{issuer}]
clock = "none"                    # each permit counts its uses; "trusted": its validity in time counts
""",
    ProofKind.SEQUENCE: """
[entry.sequence]                  # no key: this guards against accident only
steps = 3
window_s = 10
""",
}

_AT_WORK: Final = """
[[transitions]]
from = ["normal"]
to = "active"
on = "input"
when = ["{input} == true"]

[[transitions]]
from = ["active"]
to = "normal"
on = "input"
when = ["{input} == false"]
"""

_ENTER: Final = """
[[transitions]]
from = [{sources}]
to = "maintenance"
on = "enter"
proofs = [{proofs}]
others = "refuse"                 # while other centrals are connected; or "disconnect" them
{when}"""

_PRESS: Final = """
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "button"
hold_s = 5
{when}"""

_REST: Final = """
[gate]
# {sentence}
service = {service}

[update]
arm = "late"                      # the swap is armed as the last act before the session's own reset
{trial}{update}
[bootloader]
{bootloader}

[smp]
transports = [{transports}]
"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(_quoted(word) for word in words)


def _bootloader(choices: Choices) -> Iterator[str]:
    """The lines of the bootloader's table."""
    settings = choices.bootloader
    for line in choices.bootloader_source:
        yield f"# {line}"
    if settings is None:
        yield from ('algorithm = "swap-move"', f"key = {_quoted(choices.image_key)}", "slot_size = 458752")
        return
    if settings.guessed:
        yield "guessed = true                    # until the product's build was read"
    yield f"algorithm = {_quoted(settings.algorithm.value)}"
    yield f"key = {_quoted(choices.image_key)}"
    if settings.algorithm is Algorithm.FIRMWARE_LOADER:
        yield f"loader_entrance = [{_list(tuple(each.value for each in settings.loader_entrance))}]"
        yield "loader_gated = false              # true: the loader is built with this gate and this policy"
    default = BootloaderSettings()
    for name in ("hash", "slot_size", "secondary_size", "max_sectors", "sector_size", "write_block"):
        value = getattr(settings, name)
        of_one_image = not settings.images or name not in {"slot_size", "secondary_size"}
        if of_one_image and (name == "slot_size" or value != getattr(default, name)):
            yield f"{name} = {_quoted(value.value) if isinstance(value, VerifiedHash) else value}"
    if not settings.needs_erase:
        yield "needs_erase = false"
    if settings.downgrade is not default.downgrade:
        yield f"downgrade = {_quoted(settings.downgrade.value)}"
    yield from _images(settings)


def _images(settings: BootloaderSettings) -> Iterator[str]:
    """The tables of several images."""
    for pair in settings.images:
        yield from ("", "[[bootloader.images]]", f"slot_size = {pair.slot_size}")
        if pair.secondary_size != pair.slot_size:
            yield f"secondary_size = {pair.secondary_size}"
        if pair.copied:
            yield "copied = true                     # over what runs: no trial, no way back, and it cannot be read"


def _update(choices: Choices) -> str:
    """One image for each reset where one of several cannot go back with the others."""
    settings = choices.bootloader
    if settings is None or not settings.algorithm.has_trial or not any(pair.copied for pair in settings.images):
        return ""
    return "simultaneous = false              # one image for each reset: a trial takes back nothing else\n"


def _trial(settings: BootloaderSettings) -> str:
    if not settings.algorithm.has_trial:
        return "# This bootloader has no trial: what it has started stays.\n"
    return """\
confirm = "operator"
trial_deadline_s = 120            # an image that nobody confirms is reverted, still in maintenance
"""


def template(choices: Choices) -> str:
    """The policy file's text."""
    safe = choices.safety_input
    when = f'when = ["{safe} == false"]\n' if safe else ""
    values = {
        "schema": SCHEMA_FILE,
        "name": _quoted(choices.name),
        "input": safe,
        "inhibits": f'# What the application must not do meanwhile.\ninhibits = ["{safe}"]\n' if safe else "",
        "when": when,
        "sources": _list(("normal", "active") if safe else ("normal",)),
        "proofs": _list(tuple(proof.value for proof in choices.proofs)),
        "service": _quoted(choices.service.value),
        "sentence": choices.service.sentence,
        "transports": _list(tuple(each.value for each in choices.transports)),
        "secret": _quoted(choices.secret),
        "issuer": _quoted(choices.issuer),
        "trial": _trial(choices.bootloader or BootloaderSettings()),
        "bootloader": "\n".join(_bootloader(choices)),
        "update": _update(choices),
    }
    parts = [_HEAD, *([_INPUT] if safe else []), _WORKING, *([_ACTIVE] if safe else []), _MAINTENANCE]
    parts += [_ENTRY[proof] for proof in choices.proofs]
    parts += [*([_AT_WORK] if safe else []), _ENTER, *([_PRESS] if choices.button else []), _REST]
    return "".join(part.format_map(values) for part in parts)
