import asyncio
import socket
import time

import pytest

from keyswitch.errors import LocalError
from keyswitch.link.air.clock import Deadlock, run


def test_an_hour_passes_at_once_and_exactly():
    async def main():
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert run(main()) == 3600
    assert time.perf_counter() - started < 5


def test_timers_fire_in_the_order_of_their_times():
    async def main():
        seen = []
        loop = asyncio.get_running_loop()
        for delay in (0.3, 0.1, 0.2):
            loop.call_later(delay, lambda d=delay: seen.append((d, round(loop.time(), 9))))
        await asyncio.sleep(1)
        return seen

    assert run(main()) == [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]


def test_waiting_for_nothing_is_named():
    async def forgotten():
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"nothing left to wait for.*forgotten line"):
        run(forgotten())


def test_after_a_deadlock_everything_is_cleaned_up():
    cleaned = []

    async def waiter():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(Deadlock):
        run(waiter())
    assert cleaned == [True]


def test_timers_that_turn_for_ever_meet_the_limit():
    async def main():
        while True:  # noqa: ASYNC110 - that is what is shown
            await asyncio.sleep(1)

    with pytest.raises(Deadlock, match="past 10 s"):
        run(main(), limit_s=10)


def test_sockets_and_threads_are_refused():
    async def with_socket():
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            await asyncio.get_running_loop().sock_recv(left, 1)

    with pytest.raises(LocalError, match="sockets"):
        run(with_socket())

    async def with_thread():
        await asyncio.to_thread(time.sleep, 0)

    with pytest.raises(LocalError, match="threads"):
        run(with_thread())


def test_time_limits_work():
    async def main():
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(10)
        except TimeoutError:
            return asyncio.get_running_loop().time()

    assert run(main()) == 5
