"""Small policies by chance: up to three inputs, cascades, inputs that rest, resets, ended sessions, first trials."""

from contextlib import suppress
from random import Random

from keyswitch.errors import InputError
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy

_MODES = ("normal", "active", "low")
_FIRMWARE = ("image.upload", "image.state:write", "os.reset")


def _inputs(chance: Random) -> list[tuple[str, str]]:
    """Name and type of each, and the lines that declare them."""
    return [(f"i{place}", chance.choice(("bool", "bool", "int"))) for place in range(chance.randint(1, 3))]


def _guard(chance: Random, inputs: list[tuple[str, str]]) -> str:
    name, kind = chance.choice(inputs)
    if kind == "bool":
        return f"{name} == {chance.choice(('true', 'false'))}"
    return f"{name} {chance.choice(('<', '>=', '=='))} {chance.choice((10, 20))}"


def _when(chance: Random, inputs: list[tuple[str, str]], least: int) -> str:
    guards = sorted({_guard(chance, inputs) for _ in range(chance.randint(least, 2))})
    return "when = [" + ", ".join(f'"{guard}"' for guard in guards) + "]\n"


def _declared(chance: Random, name: str, kind: str) -> str:
    more = chance.choice(("", ", safety = true", ", operated = true"))
    if chance.random() < 0.6:
        value = chance.choice(("true", "false")) if kind == "bool" else chance.choice(("0", "10", "25"))
        more += f", initial = {value}"
    return f'{name} = {{ type = "{kind}"{more} }}\n'


def _ways(chance: Random, inputs: list[tuple[str, str]]) -> list[str]:
    ways = []
    for _ in range(chance.randint(2, 6)):
        source, target = chance.sample(_MODES, 2)
        on = chance.choice(("input", "input", "input", "button", "enter", "connect", "disconnect", "reset"))
        hold = f"hold_s = {chance.randint(1, 2)}\n" if on == "button" else ""
        when = _when(chance, inputs, 1 if on == "input" else 0)
        ways.append(f'from = ["{source}"]\nto = "{target}"\non = "{on}"\n{hold}{when}')
    ways.append(
        f'from = ["{chance.choice(_MODES)}"]\nto = "service"\non = "enter"\nproofs = ["challenge"]\n'
        f'when_false = "{chance.choice(("leave", "hold"))}"\n{_when(chance, inputs, 0)}'
    )
    if chance.random() < 0.5:
        on = chance.choice(('button"\nhold_s = 3', 'input"'))
        ways.append(f'from = ["{chance.choice(_MODES)}"]\nto = "service"\non = "{on.rstrip(chr(34))}'.rstrip())
        ways[-1] += ('"' if on.startswith("input") else "") + f"\n{_when(chance, inputs, 1)}"
    if chance.random() < 0.3:
        ways.append(f'from = ["service"]\nto = "{chance.choice(_MODES)}"\non = "leave"\n{_when(chance, inputs, 0)}')
    return ways


def text(seed: int) -> str:
    """The policy file with this number."""
    chance = Random(seed)
    inputs = _inputs(chance)
    served = [each for each in _FIRMWARE if chance.random() < 0.95]
    arm, confirm = chance.choice(("late", "late", "early")), chance.choice(("operator", "self"))
    deadline = chance.choice(("", "trial_deadline_s = 30\n"))
    parts = [
        'schema = 1\n[device]\nname = "D"\ninitial_mode = "normal"\n[inputs]\n',
        *(_declared(chance, name, kind) for name, kind in inputs),
        *(f'[modes.{name}]\nallow = ["mode"]\n' for name in _MODES),
        "[modes.service]\nmaintenance = true\nlease_s = 60\n",
        f'allow = ["mode", {", ".join(f"{chr(34)}{each}{chr(34)}" for each in served)}]\n',
        '[entry.challenge]\nsecret = "k.hmac"\n',
        f'[update]\narm = "{arm}"\nconfirm = "{confirm}"\n{deadline}',
        f'[smp]\ntransports = ["{chance.choice(("udp", "udp", "serial", "ble"))}"]\n',
        *(f"[[transitions]]\n{way}" for way in _ways(chance, inputs)),
    ]
    return "".join(parts)


def policies(first: int, count: int) -> list[Policy]:
    """The first so many that the loader takes, from this number on."""
    found: list[Policy] = []
    seed = first
    while len(found) < count:
        with suppress(InputError):  # the loader refuses what is not a policy
            found.append(load(text(seed).encode(), origin=f"chance-{seed}"))
        seed += 1
    return found
