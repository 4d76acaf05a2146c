"""Records one run in an evidence file: when it begins, when it ends, and what it was about."""

import getpass
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from keyswitch.evidence.chain import Signer
from keyswitch.host.report import run_record
from keyswitch.host.report.evidence_file import RUN_BEGUN, RUN_ENDED, append, close
from keyswitch.host.report.run_record import RunHeader, RunRecorder
from keyswitch.host.update.events import Event
from keyswitch.policy.secrets import read_private_key


class EvidenceRecorder:
    """Records one run: one record when it begins, one when it ends, and one that closes the chain.

    Args:
        path: the evidence file; made if it is not there.
        circumstances: what the first record says.
        signer: signs the records; None leaves them unsigned.

    Raises:
        InputError: the file cannot be used, or its chain is not whole.
    """

    def __init__(self, path: Path, circumstances: RunHeader, signer: Signer | None) -> None:
        self._path = path
        self._signer = signer
        self._account = RunRecorder()
        body = run_record.begun(circumstances)
        self._clock = platform.node() or "this computer"
        self._run = append(path, at=_now(), clock=self._clock, kind=RUN_BEGUN, body=body, signer=signer).n

    def add(self, event: Event) -> None:
        """Take note of what happens."""
        self._account.add(event)

    def end(self) -> None:
        """Write the record that the run ends with, however it ends, and close the chain."""
        body = run_record.ended(self._account, run=self._run)
        append(self._path, at=_now(), clock=self._clock, kind=RUN_ENDED, body=body, signer=self._signer)
        close(self._path, at=_now(), clock=self._clock, signer=self._signer)


def this_person() -> str:
    """Who runs this, and where: `USER@HOST`; the account's number where it has no name, as in containers."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such account; the same from Python 3.13 on; no accounts at all
        user = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{platform.node()}"


def read_signer(key: Path | None) -> Signer | None:
    """The signer with this Ed25519 key; None without a key.

    Raises:
        InputError: the file cannot be read, or is no such key.
    """
    if key is None:
        return None
    from keyswitch.evidence.signing import EvidenceSigner  # noqa: PLC0415 - cryptography, only where it is needed

    return EvidenceSigner(read_private_key(key))


def _now() -> str:
    """UTC by this computer's clock; whether that clock is right is not ours to say."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
