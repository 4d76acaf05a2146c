"""The panel's client where no device answers: nobody there, no directory, somebody else's."""

from pathlib import Path
from typing import Any

import pytest

from keyswitch.errors import InputError
from keyswitch.panel.client import DeviceNotRunningError, ask


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotRunningError, match="no running device"):
        ask(tmp_path, {"do": "status"})
    with pytest.raises(InputError, match="no such state directory"):
        ask(tmp_path / "nowhere", {"do": "status"})


def test_another_users_device_is_no_bug_and_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    with pytest.raises(InputError, match=r"Permission denied.*the user who runs the device"):
        ask(tmp_path, {"do": "status"})
