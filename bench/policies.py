"""Policies of any size, made by a recipe, that every rule of the prover holds for: for growth, speed and pictures."""

from keyswitch.policy.load import load
from keyswitch.policy.model import Policy

_HEAD = """schema = 1
[device]
name = "Line {modes}"
initial_mode = "m0"
[inputs]
motion = {{ type = "bool", safety = true, initial = false }}
door = {{ type = "bool", initial = false }}
battery = {{ type = "int", initial = 80 }}
[entry.challenge]
secret = "line.hmac"
[entry.permit]
issuers = ["issuer.pub.pem"]
[bootloader]
key = "root.pub.pem"
[smp]
transports = ["ble", "udp"]
"""

_GUARDS = ("motion == false", "door == true", "battery >= 30", "battery < 90")
"""Four predicates over three inputs."""

_MAINTENANCE = """[modes.{name}]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["motion"]
security = "encrypted"
lease_s = {lease}
idle_s = 120
"""

_ENTER = 'on = "enter"\nproofs = ["{proof}"]\nsecurity = "encrypted"'


def _way(source: str, target: str, trigger: str, guards: tuple[str, ...]) -> str:
    when = ", ".join(f'"{guard}"' for guard in guards)
    return f'[[transitions]]\nfrom = ["{source}"]\nto = "{target}"\n{trigger}\nwhen = [{when}]\n'


def text(modes: int = 30, transitions: int = 120) -> str:
    """A policy file with this many modes, two of them maintenance, and transitions.

    The working modes are a ring by button, with chords by command; two leases; four guard predicates.
    """
    work = [f"m{place}" for place in range(modes - 2)]
    parts = [_HEAD.format(modes=modes)]
    parts += [f'[modes.{name}]\nallow = ["os.echo", "image.state:read", "mode"]\n' for name in work]
    parts += [_MAINTENANCE.format(name=name, lease=lease) for name, lease in (("service", 900), ("factory", 3600))]
    ways = [_way(work[0], "service", _ENTER.format(proof="challenge"), (_GUARDS[0], _GUARDS[2]))]
    ways += [_way(work[0], "factory", _ENTER.format(proof="permit"), (_GUARDS[0], _GUARDS[1]))]
    ways += [_way(work[0], "service", 'on = "button"\nhold_s = 5', (_GUARDS[0], _GUARDS[3]))]
    ring = zip(work, [*work[1:], work[0]], strict=True)
    ways += [_way(source, target, 'on = "button"\nhold_s = 1', ()) for source, target in ring]
    for place in range(transitions - len(ways)):
        source = place % len(work)
        stride = 2 + place // len(work)
        guard = _GUARDS[place % len(_GUARDS)]
        ways.append(_way(work[source], work[(source + stride) % len(work)], 'on = "enter"', (guard,)))
    return "".join(parts + ways[:transitions])


def generated(modes: int = 30, transitions: int = 120) -> Policy:
    """The policy that `text` describes."""
    return load(text(modes, transitions).encode(), origin=f"generated-{modes}.toml")
