"""The fastest upload over Bluetooth LE: no connection interval does better."""

import pytest

from keyswitch.timing.bound import fastest_upload, upload_bound
from keyswitch.timing.rules import INTERVAL_UNIT_US, MAX_INTERVAL_US, MIN_INTERVAL_US


@pytest.mark.parametrize(("buf_size", "buf_count"), [(128, 1), (128, 2), (384, 4), (2_475, 4), (16_384, 8)])
def test_no_interval_is_faster(buf_size: int, buf_count: int) -> None:
    best = fastest_upload(buf_size=buf_size, buf_count=buf_count)
    rates = [
        upload_bound(interval_us=interval_us, buf_size=buf_size, buf_count=buf_count).bytes_per_second
        for interval_us in range(MIN_INTERVAL_US, MAX_INTERVAL_US + 1, 10 * INTERVAL_UNIT_US)
    ]
    assert best.bytes_per_second >= max(rates)
    near = range(MIN_INTERVAL_US, MIN_INTERVAL_US + 60 * INTERVAL_UNIT_US, INTERVAL_UNIT_US)
    found = (upload_bound(interval_us=each, buf_size=buf_size, buf_count=buf_count).bytes_per_second for each in near)
    assert best.bytes_per_second >= max(found)
