# Types of the public face; see `__init__.py`.

from keyswitch.app.request import UpdateRequest
from keyswitch.app.scan import scan
from keyswitch.app.status import status
from keyswitch.app.update import update
from keyswitch.errors import InputError, KeyswitchError, LinkLostError, LocalError, RemoteError, SilenceError
from keyswitch.host.update.job import Outcome
from keyswitch.link.ports import PairingNumbers
from keyswitch.policy.load import read_policy as load_policy
from keyswitch.prove.check import check as check_policy
from keyswitch.testing.device import DeviceUnderTest as Device
from keyswitch.testing.device import running_device

__version__: str

__all__ = [
    "Device",
    "InputError",
    "KeyswitchError",
    "LinkLostError",
    "LocalError",
    "Outcome",
    "PairingNumbers",
    "RemoteError",
    "SilenceError",
    "UpdateRequest",
    "__version__",
    "check_policy",
    "load_policy",
    "running_device",
    "scan",
    "status",
    "update",
]
