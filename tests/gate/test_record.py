"""The session record: what it carries comes back, and anything else is no record."""

import pytest
from tests.gate.drive import Gate
from tests.policy.samples import pump

from keyswitch.errors import LocalError
from keyswitch.gate.record import make


def test_there_is_no_record_without_a_session() -> None:
    gate = Gate(pump())
    with pytest.raises(LocalError):
        make(gate.policy, gate.state, expected=(), token=b"", lease_ms=None, lease_max_ms=None)
