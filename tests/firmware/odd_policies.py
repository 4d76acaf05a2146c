"""Policies by hand with what the examples lack: every strategy, owners, sequences, limits of every kind, long names."""

from collections.abc import Iterator
from typing import Final

from keyswitch.policy.load import load
from keyswitch.policy.model import Policy

_OWNED: Final = """
schema = 1
[device]
name = "A name of 29 bytes, 123 456é"
id = "unit 4711 ünit \\"quoted\\" back\\\\slash ?"
initial_mode = "idle"
company_id = 0x1234
[inputs]
lid = { type = "bool", safety = true }
key = { type = "bool", operated = true, initial = false }
level = { type = "int", initial = -2147483648 }
[modes.idle]
allow = ["mode", "os.echo"]
[modes.busy]
allow = ["mode"]
inhibits = ["spin", "heat"]
[modes.a-mode_with-a-name_of-32-letters]
allow = ["mode"]
timeout_s = 5
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["heat", "beep"]
quiet_after_s = 7
security = "encrypted"
session = "owner"
lease_s = 60
lease_max_s = 100
idle_s = 20
timeout_s = 90
[entry.challenge]
secret = "k.hmac"
[entry.sequence]
steps = 3
window_s = 4
[entry.lockout]
free_tries = 1
first_s = 0.5
max_s = 3
[[transitions]]
from = ["idle", "busy", "a-mode_with-a-name_of-32-letters"]
to = "service"
on = "enter"
proofs = ["sequence", "challenge"]
when = ["lid == true", "level <= 5", "level > -2147483648"]
when_false = "hold"
others = "disconnect"
[[transitions]]
from = ["idle"]
to = "service"
on = "enter"
proofs = ["challenge"]
when = ["level != 7"]
security = "authenticated"
[[transitions]]
from = ["idle"]
to = "service"
on = "input"
when = ["key == true"]
[[transitions]]
from = ["service"]
to = "busy"
on = "leave"
when = ["level >= 3"]
[[transitions]]
from = ["service"]
to = "idle"
on = "timeout"
[[transitions]]
from = ["idle"]
to = "a-mode_with-a-name_of-32-letters"
on = "connect"
when = ["level < 0"]
[[transitions]]
from = ["a-mode_with-a-name_of-32-letters"]
to = "idle"
on = "timeout"
[[transitions]]
from = ["busy"]
to = "idle"
on = "disconnect"
[[transitions]]
from = ["busy"]
to = "idle"
on = "enter"
[[transitions]]
from = ["busy"]
to = "busy-after-reset"
on = "reset"
[[transitions]]
from = ["idle"]
to = "service"
on = "button"
hold_s = 3
[modes.busy-after-reset]
allow = ["mode:read"]
[gate]
service = "SERVICE"
[update]
arm = "ARM"
confirm = "CONFIRM"
trial_deadline_s = 30
[smp]
buf_size = 700
transports = ["ble"]
"""

_ANYONE: Final = """
schema = 1
[device]
name = "plain"
initial_mode = "work"
[modes.work]
allow = ["mode"]
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
lease_s = 2
[modes.other]
maintenance = true
allow = ["image", "mode"]
idle_s = 3
security = "authenticated"
[entry.sequence]
steps = 2
window_s = 1
[entry.lockout]
free_tries = 0
first_s = 0.001
max_s = 2592000
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["sequence"]
others = "disconnect"
[[transitions]]
from = ["work"]
to = "other"
on = "enter"
proofs = ["sequence"]
[[transitions]]
from = ["work"]
to = "other"
on = "button"
hold_s = 1
[[transitions]]
from = ["work"]
to = "service"
on = "button"
hold_s = 2
[gate]
service = "SERVICE"
[gate.on_leave]
upload = "keep"
[update]
arm = "ARM"
confirm = "CONFIRM"
"""

_CHOICES: Final = (
    ("reconnect", "late", "either"),
    ("live", "early", "operator"),
    ("always", "early", "self"),
    ("always", "late", "operator"),
    ("authorize", "late", "either"),
)


_MANY: Final = 'schema = 1\n[device]\nname = "many"\ninitial_mode = "mINITIAL"\n' + "".join(
    f'[modes.m{each}]\nallow = ["mode"]\nlease_s = LEASE\n' for each in range(17)
)
"""More modes than the advertisement can tell, and leases that the state characteristic can just tell, or not."""

_BORN: Final = """
schema = 1
[device]
name = "born in maintenance"
initial_mode = "work"
[inputs]
lid = { type = "bool" }
[modes.work]
allow = ["mode", "image.upload", "image.state:write", "os.reset"]
inhibits = ["beep"]
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["move"]
quiet_after_s = 3
lease_s = 5
[modes.other]
maintenance = true
allow = ["image", "mode"]
inhibits = ["beep", "heat"]
quiet_after_s = 1.5
lease_s = 5
timeout_s = 9
[entry.challenge]
secret = "k.hmac"
[[transitions]]
from = ["work"]
to = "service"
on = "reset"
when = ["lid == true"]
[[transitions]]
from = ["work"]
to = "other"
on = "input"
when = ["lid == false"]
[[transitions]]
from = ["other"]
to = "work"
on = "timeout"
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["challenge"]
[smp]
transports = ["ble"]
"""


_PERMITS: Final = """
schema = 1
[device]
name = "by permit"
id = "unit 12"
initial_mode = "work"
[modes.work]
allow = ["mode"]
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
lease_s = 60
session = "SESSION"
[modes.other]
maintenance = true
allow = ["image", "mode"]
lease_s = 60
[modes.nobody-comes]
maintenance = true
allow = ["image", "mode"]
lease_s = 60
[entry.challenge]
secret = "k.hmac"
[entry.permit]
issuers = ["a.pem", "b.pem"]
clock = "CLOCK"
max_permits = 2
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["permit"]
[[transitions]]
from = ["work"]
to = "other"
on = "enter"
proofs = ["challenge", "permit"]
[smp]
transports = ["ble"]
"""


_GUARDED: Final = """proofs = ["sequence"]
when = ["an-input-with-a-name-of-30-bytes == -2147483647"]"""
"""A reason that is long."""


_FIRST: Final = """
schema = 1
[device]
name = "maintenance first"
id = "a unit with an identity that is as long as it may be: 64 bytes.."
initial_mode = "work"
[inputs]
lid = { type = "bool", initial = true }
level = { type = "int", initial = 0 }
[modes.service]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["move"]
security = "encrypted"
lease_s = 60
[modes.other]
maintenance = true
allow = ["os", "mode"]
inhibits = ["beep"]
lease_s = 30
[modes.work]
allow = ["mode", "image.state:write", "image.erase"]
timeout_s = 4
[modes.rest]
allow = ["mode"]
timeout_s = 2
[modes.free]
maintenance = true
allow = ["os", "image", "mode"]
security = "authenticated"
lease_s = 60
[entry.challenge]
secret = "k.hmac"
[entry.sequence]
steps = 3
window_s = 4
[entry.permit]
issuers = ["a.pem", "b.pem"]
clock = "none"
max_permits = 8
[entry.lockout]
free_tries = 2
first_s = 0.001
max_s = 0.009
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["sequence"]
security = "authenticated"
[[transitions]]
from = ["work"]
to = "service"
on = "enter"
proofs = ["sequence", "challenge", "permit"]
[[transitions]]
from = ["work"]
to = "free"
on = "enter"
proofs = ["challenge", "permit", "sequence"]
when = ["level == 7"]
[[transitions]]
from = ["work"]
to = "free"
on = "enter"
proofs = ["permit"]
when = ["level == 8"]
[[transitions]]
from = ["service", "free"]
to = "rest"
on = "enter"
[[transitions]]
from = ["work"]
to = "other"
on = "button"
hold_s = 2
when = ["lid == false"]
[[transitions]]
from = ["work"]
to = "service"
on = "button"
hold_s = 1
[[transitions]]
from = ["work"]
to = "service"
on = "button"
hold_s = 2
when = ["level == 1"]
[[transitions]]
from = ["work"]
to = "rest"
on = "timeout"
when = ["level > 3"]
[[transitions]]
from = ["rest"]
to = "work"
on = "timeout"
[[transitions]]
from = ["service"]
to = "rest"
on = "leave"
when = ["level < 2"]
[update]
trial_deadline_s = 30
[smp]
transports = ["ble"]
"""
"""A maintenance mode and a transition that matter stand first; every kind of proof; holds of the same length."""


_SEVERAL: Final = (
    # how many, arm, confirm, together, the last one is copied
    (2, "late", "operator", True, False),
    (2, "early", "either", False, True),
    (3, "early", "self", True, False),
    (4, "late", "either", True, True),
)


def _of_several_images() -> Iterator[Policy]:
    """Two to four image pairs, with whatever else there is."""
    for count, arm, confirm, together, copied in _SEVERAL:
        written = _ANYONE.replace("SERVICE", "always").replace("CONFIRM", confirm)
        written = written.replace(
            'arm = "ARM"', f'arm = "{arm}"\nsimultaneous = {str(together).lower()}\ntrial_deadline_s = 2'
        )
        written += "[[bootloader.images]]\nslot_size = 131072\n" * count + "copied = true\n" * copied
        yield load(written.encode(), origin=f"odd-images-{count}-{arm}")


def odd_policies() -> list[Policy]:
    """All of them."""
    found = [load(_BORN.encode(), origin="odd-born"), load(_FIRST.encode(), origin="odd-first"), *_of_several_images()]
    for initial, lease_s in ((14, "65534.5"), (15, "65535"), (16, "65535.001")):
        written = _MANY.replace("INITIAL", str(initial)).replace("LEASE", lease_s)
        found.append(load(written.encode(), origin=f"odd-many-{initial}"))
    for text in (_OWNED, _ANYONE):
        for place, (service, arm, confirm) in enumerate(_CHOICES):
            written = text.replace("SERVICE", service).replace("ARM", arm).replace("CONFIRM", confirm)
            found.append(load(written.encode(), origin=f"odd-{len(found)}-{place}"))
    for clock, session in (("none", "owner"), ("trusted", "anyone")):
        written = _PERMITS.replace("CLOCK", clock).replace("SESSION", session)
        found.append(load(written.encode(), origin=f"odd-permits-{clock}"))
    for size in (128, 180, 215, 260):
        written = _ANYONE.replace("SERVICE", "live").replace("ARM", "late").replace("CONFIRM", "self")
        written = written.replace('name = "plain"', f'name = "plain"\nid = "{"x" * 64}"')
        written = written.replace('proofs = ["sequence"]', _GUARDED)
        written += '[inputs]\nan-input-with-a-name-of-30-bytes = { type = "int" }\n'
        written += f'[smp]\nbuf_size = {size}\ntransports = ["ble"]\n'
        found.append(load(written.encode(), origin=f"odd-small-{size}"))
    return found
