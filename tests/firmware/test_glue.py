"""The faults that are planted in the glue, as far as that can be told without a compiler."""

from tests.firmware.glue import FAULTS, FIRMWARE


def test_each_planted_fault_stands_in_a_line_that_is_there() -> None:
    sources = {each.file: (FIRMWARE / "src" / "zephyr" / each.file).read_text("utf-8") for each in FAULTS}
    assert [each.trap for each in FAULTS if sources[each.file].count(each.old) != 1] == []
