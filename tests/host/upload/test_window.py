from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import RemoteError
from keyswitch.host.upload.window import REOPEN_AFTER, Moved, Piece, Window

ROOM = 100


def window(size: int = 1000, limit: int = 3) -> Window:
    return Window(size=size, limit=limit, room=lambda _off: ROOM)


def fill(win: Window) -> list[Piece]:
    pieces: list[Piece] = []
    while (piece := win.next()) is not None:
        pieces.append(piece)
    return pieces


def opened(size: int = 1000, limit: int = 3) -> Window:
    win = window(size, limit)
    (first,) = fill(win)
    assert win.answered(first.number, ROOM) is Moved.ON
    return win


def test_the_first_piece_travels_alone():
    win = window()
    assert [(p.off, p.end) for p in fill(win)] == [(0, 100)]
    assert win.answered(0, 100) is Moved.ON
    assert [(p.off, p.end) for p in fill(win)] == [(100, 200), (200, 300), (300, 400)]
    assert win.outstanding == 3


def test_the_last_piece_is_as_long_as_what_is_left():
    win = window(size=150)
    fill(win)
    win.answered(0, 100)
    (last,) = fill(win)
    assert (last.off, last.end) == (100, 150)
    assert win.answered(last.number, 150) is Moved.DONE
    assert win.done
    assert fill(win) == []


def test_each_answer_lets_one_more_go():
    win = opened()
    pieces = fill(win)
    assert win.answered(pieces[0].number, 200) is Moved.ON
    assert [p.off for p in fill(win)] == [400]


def test_an_earlier_run_is_continued_where_the_device_is():
    win = window()
    (first,) = fill(win)
    assert win.answered(first.number, 740) is Moved.ON
    assert [p.off for p in fill(win)] == [740, 840, 940]
    assert win.losses == 0
    assert win.sent.resent_bytes == 0


def test_a_lost_request_costs_one_window_and_no_more():
    win = opened()
    lost, second, third = fill(win)
    assert win.answered(second.number, lost.off) is Moved.BACK
    # The third is stale: it still takes a buffer, and its answer moves nothing.
    assert fill(win) == []
    assert win.answered(third.number, lost.off) is Moved.SAME
    (again,) = fill(win)
    assert again.off == lost.off
    assert win.answered(again.number, 200) is Moved.ON
    assert (win.losses, win.sent.resent_bytes) == (1, 100)


def test_a_stale_answer_that_says_done_is_believed():
    win = opened(size=300)
    first, second = fill(win)
    win.lost()
    (probe,) = fill(win)
    assert probe.off == 100
    assert win.answered(probe.number, 300) is Moved.DONE
    assert (first.off, second.end) == (100, 300)


def test_a_lost_answer_is_made_up_by_the_next():
    win = opened()
    first, second, _third = fill(win)
    assert win.answered(second.number, 300) is Moved.ON
    assert win.wanted == 300
    assert win.answered(first.number, 200) is Moved.SAME
    assert win.wanted == 300


def test_silence_asks_with_one_piece_from_the_last_known_offset():
    win = opened()
    fill(win)
    win.lost()
    assert [p.off for p in fill(win)] == [100]
    assert win.limit == 1


def test_no_buffer_means_one_at_a_time():
    win = opened()
    first, second, third = fill(win)
    win.refused(first.number)
    assert win.limit == 1
    assert fill(win) == []
    assert win.answered(second.number, 100) is Moved.SAME
    assert win.answered(third.number, 100) is Moved.SAME
    assert [p.off for p in fill(win)] == [100]


def test_offset_zero_after_progress_is_told_apart():
    win = opened(size=200)
    (last,) = fill(win)
    win.lost()
    (again,) = fill(win)
    assert again.off == last.off
    assert win.answered(again.number, 0) is Moved.GONE
    assert win.wanted == 100
    win.restart()
    assert [p.off for p in fill(win)] == [0]


def test_offset_zero_as_first_answer_is_no_progress():
    win = window()
    (first,) = fill(win)
    assert win.answered(first.number, 0) is Moved.BACK
    assert [p.off for p in fill(win)] == [0]


@pytest.mark.parametrize("wanted", [-1, 1001])
def test_an_offset_outside_the_image_is_the_devices_fault(wanted: int):
    win = opened()
    piece = fill(win)[0]
    with pytest.raises(RemoteError, match="offset"):
        win.answered(piece.number, wanted)


def test_an_answer_to_nothing_moves_nothing():
    win = opened()
    assert win.answered(99, 700) is Moved.SAME
    assert win.wanted == 100


@pytest.mark.parametrize(("good", "limit"), [(2 * REOPEN_AFTER - 1, 1), (2 * REOPEN_AFTER, 2), (4 * REOPEN_AFTER, 3)])
def test_the_window_opens_again_step_by_step(good: int, limit: int):
    win = opened(size=100_000)
    fill(win)
    win.lost()
    pending = deque(fill(win))
    for _ in range(good):
        piece = pending.popleft()
        win.answered(piece.number, piece.end)
        pending.extend(fill(win))
    assert win.limit == limit


class Device:
    """What a server does with uploads: it takes the offset it wants and names it in each answer."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.off = 0

    def take(self, piece: Piece) -> int:
        if piece.off == self.off:
            self.off = piece.end
        return self.off


@given(
    size=st.integers(1, 1500),
    limit=st.integers(1, 5),
    fates=st.lists(st.sampled_from(["pass", "pass", "pass", "request lost", "answer lost", "no buffer"]), max_size=60),
)
def test_whatever_is_lost_the_upload_ends_and_resends_at_most_a_window_each_time(
    size: int, limit: int, fates: list[str]
):
    win = window(size, limit)
    device = Device(size)
    under_way: deque[Piece] = deque()
    coming = iter(fates)
    for _ in range(1000):
        under_way.extend(fill(win))
        assert win.outstanding <= max(1, limit)
        if win.done:
            break
        if not under_way:
            win.lost()
            continue
        piece = under_way.popleft()
        match next(coming, "pass"):
            case "pass":
                wanted = device.take(piece)
                if win.answered(piece.number, wanted) is Moved.GONE:
                    raise AssertionError("this device keeps its session")
            case "answer lost":
                device.take(piece)
            case "no buffer":
                win.refused(piece.number)
            case _:
                pass
    assert win.done
    assert device.off == size
    assert win.sent.resent_bytes <= win.losses * limit * ROOM
