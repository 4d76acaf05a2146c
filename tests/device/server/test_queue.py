"""Buffers are real, turns are fair, and nothing is lost where an answer is possible."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.device.server_rig import Rig, bodies, packet, pump

from keyswitch.device.server.components import Components
from keyswitch.gate.peer import Service
from keyswitch.terms import Transport


def echo(text: str, sequence: int = 1) -> bytes:
    return packet(2, 0, 0, {"d": text}, sequence)


@pytest.mark.parametrize(("sent", "answered", "refused"), [(3, 3, 0), (4, 4, 0), (5, 4, 1), (32, 4, 28)])
def test_a_burst(sent: int, answered: int, refused: int):
    rig = Rig()
    peer = rig.peer()
    for number in range(sent):
        rig.put(peer, echo(str(number), number))
    rig.run()
    told = {answer.header.sequence: answer.body() for answer in rig.inbox[peer]}
    assert [told[number] for number in range(answered)] == [{"r": str(number)} for number in range(answered)]
    assert [told[number] for number in range(answered, sent)] == [{"rc": 2}] * refused
    assert rig.server.room(peer) == 4


def many_requests(sequence: int = 1) -> bytes:
    """A packet that a buffer holds, with hundreds of requests in it."""
    return packet(0, 0, 6, None, sequence)[:8] * 300


def test_a_packet_that_does_not_fit_costs_one_answer_however_many_requests_it_holds():
    rig = Rig()
    peer = rig.peer()
    for number in range(4):
        rig.put(peer, echo(str(number), number))
    output = rig.put(peer, many_requests(sequence=99))
    assert [(answer.packet[6], answer.packet[8:]) for answer in output.answers] == [(99, bytes.fromhex("bf62726302ff"))]
    assert not rig.put(peer, many_requests()[:7]).answers


def test_a_packet_that_is_dropped_costs_one_answer_for_the_request_that_was_next():
    rig = Rig()
    flood, other = rig.in_maintenance(), rig.peer()
    rig.put(flood, echo("done", 5) + many_requests(sequence=6))
    rig.put(other, many_requests(sequence=7))
    rig.carry_out(rig.server.run_one(rig.now_ms))
    answers = rig.input("motion", value=True).answers + rig.server.drop(flood, many_requests(sequence=8)).answers
    assert [(answer.peer, answer.packet[6]) for answer in answers] == [(flood, 6), (other, 7), (flood, 8)]
    assert all(b"wrong mode" in answer.packet for answer in answers)


def test_room_says_beforehand():
    rig = Rig()
    peer = rig.peer()
    for left in (4, 3, 2, 1):
        assert rig.server.room(peer) == left
        rig.put(peer, echo("x"))
    assert rig.server.room(peer) == 0


@pytest.mark.parametrize(("size", "answer"), [(383, None), (384, None), (385, {"rc": 7})])
def test_a_packet_larger_than_a_buffer_is_answered(size: int, answer):
    rig = Rig(pump(buf_size=384))
    peer = rig.peer()
    large = echo("x" * (size - 8 - 6))
    assert len(large) == size
    answers = bodies(rig.send(peer, large))
    assert answers == [answer] if answer else answers[0].keys() == {"r"} or answers == [{"rc": 7}]
    output = rig.server.too_large(peer, large[:8])
    assert [each.packet[8:] for each in output.answers] == [bytes.fromhex("bf62726307ff")]
    assert not rig.server.too_large(peer, large[:7])
    assert not rig.server.too_large(999, large[:8])


def test_peers_take_turns():
    rig = Rig()
    flood, calm = rig.peer(), rig.peer()
    for number in range(4):
        rig.put(flood, echo("flood", number))
    rig.put(calm, echo("calm"))
    order = []
    while (output := rig.server.run_one(rig.now_ms)) is not None:
        order += [answer.peer for answer in output.answers]
    assert order == [flood, calm, flood, flood, flood]


def test_all_of_udp_takes_one_turn():
    rig = Rig()
    line, *sockets = rig.peer(Transport.SERIAL), rig.peer(), rig.peer(), rig.peer()
    for peer in (*sockets, line):
        for number in range(3):
            rig.put(peer, echo(str(number)))
    served = [answer.peer for _ in range(12) for answer in rig.carry_out(rig.server.run_one(rig.now_ms)).answers]
    assert served == [sockets[0], line, sockets[1], line, sockets[2], line, *sockets, *sockets]


def test_a_packet_of_many_requests_takes_one_turn_for_each():
    rig = Rig()
    flood, calm = rig.peer(), rig.peer()
    rig.put(flood, b"".join(echo("x", number) for number in range(3)))
    rig.put(calm, echo("calm"))
    order = []
    while (output := rig.server.run_one(rig.now_ms)) is not None:
        order += [answer.peer for answer in output.answers]
    assert order == [flood, calm, flood, flood]


def test_a_peer_that_does_not_read_waits_alone():
    rig = Rig()
    deaf, calm = rig.peer(), rig.peer()
    rig.put(deaf, echo("deaf"))
    rig.server.hold(deaf, held=True)
    rig.server.hold(deaf, held=True)
    assert bodies(rig.send(calm, echo("calm"))) == [{"r": "calm"}]
    for _ in range(4):
        assert not rig.put(deaf, echo("deaf"))
    assert rig.server.run_one(rig.now_ms) is None
    rig.server.hold(deaf, held=False)
    rig.run()
    assert bodies(rig.inbox[deaf]) == [{"r": "deaf"}] * 4


def test_who_has_gone_is_not_served():
    rig = Rig()
    peer = rig.in_maintenance()
    before = rig.flash.wear
    rig.put(peer, packet(2, 1, 5, {}))
    rig.gone(peer)
    rig.run()
    assert rig.flash.wear == before
    assert not rig.put(peer, echo("x"))
    assert not rig.server.peer_gone(peer, rig.now_ms)


def test_the_counters_tell_it():
    rig = Rig()
    peer = rig.peer()
    for number in range(6):
        rig.put(peer, echo(str(number)))
    rig.run()
    rig.send(peer, packet(2, 1, 5, {}))
    counts = rig.server.core.counts
    assert (counts.received, counts.served, counts.refused, counts.overflows) == (7, 4, 1, 2)
    assert counts.least_room == 0


def test_one_peers_requests_keep_their_order():
    queues = Components().queues(4)
    for number in range(4):
        assert queues.put(7, bytes([number]), Service.SMP)
    served = []
    while (turn := queues.next()) is not None:
        served.append(turn[1].packet[0])
        queues.done(7, finished=True)
    assert served == [0, 1, 2, 3]


def test_a_peer_that_goes_takes_its_requests_with_it():
    queues = Components().queues(4)
    queues.put(7, b"a", Service.SMP)
    queues.put(8, b"b", Service.SMP)
    queues.forget(7)
    assert (queues.room(7), queues.depth()) == (4, 1)
    assert [peer for peer, _ in queues.take_all()] == [8]


def test_what_was_taken_waits_no_more():
    queues = Components().queues(4)
    queues.put(7, b"a", Service.SMP)
    assert [waiting.packet for _, waiting in queues.take_all()] == [b"a"]
    assert (queues.next(), queues.depth(), list(queues.take_all())) == (None, 0, [])


@given(
    ops=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 2)),
            st.tuples(st.just("turn"), st.booleans()),
            st.tuples(st.just("hold"), st.integers(0, 2)),
            st.tuples(st.just("free"), st.integers(0, 2)),
            st.tuples(st.just("forget"), st.integers(0, 2)),
            st.tuples(st.just("all"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_queues_against_plain_lists(ops):
    queues = Components().queues(2)
    plain: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    held: set[int] = set()
    for number, (what, which) in enumerate(ops):
        if what == "put":
            fits = len(plain[which]) < 2
            assert queues.put(which, bytes([number]), Service.SMP, lane="shared" if which else None) is fits
            plain[which] += [bytes([number])] if fits else []
        elif what == "turn":
            turn = queues.next()
            assert (turn is None) is not any(plain[peer] for peer in plain if peer not in held)
            if turn is not None:
                peer, waiting = turn
                assert peer not in held
                assert waiting.packet == plain[peer][0]
                queues.done(peer, finished=which)
                del plain[peer][: int(which)]
        elif what in {"hold", "free"}:
            queues.hold(which, held=what == "hold")
            (held.add if what == "hold" else held.discard)(which)
        elif what == "forget":
            queues.forget(which)
            plain[which] = []
            held.discard(which)
        else:
            assert sorted(each.packet for _, each in queues.take_all()) == sorted(chain.from_iterable(plain.values()))
            plain = {0: [], 1: [], 2: []}
        assert queues.depth() == sum(map(len, plain.values()))
        assert [queues.room(peer) for peer in plain] == [2 - len(plain[peer]) for peer in plain]
