"""Writes vectors/policy-digest.json: policies, the bytes that their digests are made of, and the digests.

Run it after a change of `keyswitch.policy.grammar`; a test compares the file with what it writes. A vector that changes
means that every device and every record with such a policy has another digest: that is a change of `POLICY_FORM`.
"""

import json
import tomllib
from decimal import Decimal
from pathlib import Path

from keyswitch.policy.digest import POLICY_FORM, canonical_rules, encoded
from keyswitch.policy.load import load

HERE = Path(__file__).parent
FILE = HERE / "vectors" / "policy-digest.json"

SMALLEST = """\
schema = 1
[device]
name = "Small"
initial_mode = "normal"
[modes.normal]
allow = ["mode.state"]
"""

SAME_AS_SMALLEST = """\
# Comments, line ends, the order of tables, keys at their defaults and who the unit is change nothing.
schema = 1
[modes.normal]
security = "none"
session = "anyone"
maintenance = false
inhibits = []
allow = ["mode.state:read"]
[device]
company_id = 0xFFFF
initial_mode = "normal"
id = "unit 0007"
name = "Another name"
bypasses = []
[inputs]
[gate]
service = "reconnect"
[gate.on_leave]
upload = "discard"
[entry.lockout]
free_tries = 3
first_s = 1.000
[smp]
transports = ["ble"]
"""

SETS = """\
schema = 1
[device]
name = "Sets"
initial_mode = "normal"
[inputs]
motion = { type = "bool", safety = true }
level = { type = "int", initial = -7 }
[modes.normal]
allow = ["os.echo:read", "image.state:read", "os.echo"]
[modes.b]
allow = ["mode"]
timeout_s = 0.25
[[transitions]]
from = ["normal"]
to = "b"
on = "input"
when = ["motion==false", "level >= 30", "motion == false"]
[[transitions]]
from = ["b"]
to = "normal"
on = "timeout"
"""

SAME_AS_SETS = """\
schema = 1
[device]
name = "Sets"
initial_mode = "normal"
[inputs]
motion = { safety = true, type = "bool" }
level = { initial = -7, type = "int" }
[modes.normal]
allow = ["image.state:read", "os.echo:write", "os.echo:read"]
[modes.b]
timeout_s = 0.250
allow = ["mode:write", "mode:read"]
[[transitions]]
on = "input"
when = ["level >= 030", "  motion ==  false"]
from = ["normal"]
to = "b"
[[transitions]]
on = "timeout"
from = ["b"]
to = "normal"
"""

EVERYTHING = """\
schema = 1
[device]
name = "Everything"
id = "unit 1"
initial_mode = "normal"
bypasses = ["recovery (pin)", "debug port"]
company_id = 0x1234
[inputs]
motion = { type = "bool", safety = true, initial = false }
key = { type = "bool", operated = true }
[modes.normal]
allow = ["mode", "image.state:read"]
timeout_s = 3600
[modes.maintenance]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["motion", "dosing"]
security = "encrypted"
session = "owner"
lease_s = 900
lease_max_s = 3600
idle_s = 120
[entry.sequence]
steps = 4
window_s = 12.5
[entry.challenge]
secret = "keys/unit.hmac"
[entry.permit]
issuers = ["keys/issuer.pub.pem"]
clock = "trusted"
max_permits = 64
[entry.button]
gpio = 17
[entry.lockout]
free_tries = 5
first_s = 2
max_s = 600
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "enter"
when = ["motion == false"]
proofs = ["permit", "challenge", "sequence"]
security = "encrypted"
others = "disconnect"
when_false = "hold"
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "button"
hold_s = 5
[[transitions]]
from = ["maintenance"]
to = "normal"
on = "leave"
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "timeout"
[gate]
service = "always"
identity = "same"
[gate.on_leave]
upload = "keep"
[update]
arm = "early"
confirm = "either"
trial_deadline_s = 60
[bootloader]
algorithm = "swap-offset"
key = "keys/image.pub.pem"
hash = "sha512"
slot_size = 524288
secondary_size = 532480
max_sectors = 128
sector_size = 8192
write_block = 8
needs_erase = false
downgrade = "version"
[smp]
buf_size = 1024
buf_count = 2
transports = ["serial", "udp", "ble"]
"""

QUIET = """\
schema = 1
[device]
name = "Quiet"
initial_mode = "normal"
[modes.normal]
allow = ["mode"]
[modes.maintenance]
maintenance = true
allow = ["os", "image", "mode"]
inhibits = ["motion"]
quiet_after_s = 30
lease_s = 900
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "button"
hold_s = 5
"""

SEVERAL_IMAGES = """\
schema = 1
[device]
name = "Two images"
initial_mode = "normal"
[modes.normal]
allow = ["mode"]
[update]
simultaneous = false
[[bootloader.images]]
slot_size = 983040
[[bootloader.images]]
slot_size = 262144
secondary_size = 266240
copied = true
[[bootloader.images]]
"""
LOADER = (
    QUIET
    + """\
[bootloader]
algorithm = "firmware-loader"
loader_entrance = ["no-application", "boot-mode"]
loader_gated = true
"""
)

POLICIES = {
    "smallest": SMALLEST,
    "the same rules as smallest": SAME_AS_SMALLEST,
    "sets": SETS,
    "the same rules as sets": SAME_AS_SETS,
    "everything": EVERYTHING,
    "a second identity": SMALLEST + '[gate]\nidentity = "second"\n',
    "a quiet time": QUIET,
    "several images": SEVERAL_IMAGES,
    "a firmware loader": LOADER,
    "the pump of the examples": (HERE.parent / "examples" / "pump" / "policy.toml").read_text(encoding="utf-8"),
}


def vectors() -> str:
    """The content of the file."""
    made = [
        {
            "name": name,
            "policy": text,
            "cbor": encoded(canonical_rules(tomllib.loads(text, parse_float=Decimal))).hex(),
            "digest": load(text.encode()).digest.hex(),
        }
        for name, text in POLICIES.items()
    ]
    return json.dumps({"policy_form": POLICY_FORM, "vectors": made}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(vectors(), encoding="utf-8")
