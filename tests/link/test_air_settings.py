import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import InputError
from keyswitch.link.air.settings import AirSettings, parse_air
from keyswitch.timing.rules import Phy


def test_what_people_write():
    assert parse_air("") == AirSettings()
    assert parse_air("interval_ms=15,phy=2M,loss=0") == AirSettings(interval_us=15_000, phy=Phy.LE_2M)
    assert parse_air(" interval_ms = 7.5 , phy=1m ,dle=27, loss=5%,seed=7,pdus_per_event=6,host_us=0,") == AirSettings(
        interval_us=7_500, phy=Phy.LE_1M, data_length=27, loss=0.05, seed=7, pdus_per_event=6, host_us=0
    )


WRONG = {
    "intervall_ms=15": "interval_ms?",
    "colour=red": "one of interval_ms, phy",
    "phy": "has no value",
    "phy=2M,phy=1M": "given twice",
    "phy=3M": "1M or 2M",
    "loss=lots": "a probability from 0 to 1",
    "loss=-0.01": "a probability from 0 to 1",
    "loss=101%": "a probability from 0 to 1",
    "loss=nan": "not a number",
    "loss=inf": "not a number",
    "interval_ms=7.4": "7.5 to 4000 in steps of 1.25",
    "interval_ms=8": "7.5 to 4000 in steps of 1.25",
    "interval_ms=4001.25": "7.5 to 4000 in steps of 1.25",
    "dle=26": "from 27 to 251",
    "dle=252": "from 27 to 251",
    "dle=1e2": "from 27 to 251",
    "seed=-1": "from 0 to",
    "pdus_per_event=0": "from 1 to 1000",
    "host_us=1000001": "from 0 to 1000000",
}


@pytest.mark.parametrize("text", WRONG)
def test_each_mistake_is_one_line_that_says_what_would_be_right(text):
    with pytest.raises(InputError) as caught:
        parse_air(text)
    assert WRONG[text] in str(caught.value)
    assert str(caught.value).startswith("air: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["interval_ms=7.5", "interval_ms=4000", "dle=27", "dle=251", "loss=0", "loss=1"])
def test_limits_are_possible(text):
    parse_air(text)


@given(st.text(max_size=40))
def test_anything_is_read_or_refused(text):
    try:
        read = parse_air(text)
    except InputError as error:
        assert error.where == "air"  # noqa: PT017 - both are right
    else:
        assert isinstance(read, AirSettings)
