"""What an idle device costs; the whole measurement is a part of `make bench`."""

import pytest
from bench.idle import PROMISED_BYTES, bytes_per_device


@pytest.mark.parametrize("radio", [False, True])
def test_a_few_idle_devices_stay_within_the_promise(radio: bool) -> None:
    assert 0 < bytes_per_device(3, radio=radio) < PROMISED_BYTES
