"""Who is let in, for how long, and how often somebody may guess."""

import itertools

import pytest

from keyswitch.console.sessions import (
    GUESSES_MS,
    MOST_GUESSES,
    MOST_GUESSES_OF_ALL,
    MOST_SESSIONS,
    SESSION_MS,
    NotLetIn,
    Role,
    Session,
    Sessions,
    Tokens,
)

TOKENS = Tokens(operate="o" * 22, look="l" * 22)


def sessions(tokens: Tokens | None = TOKENS) -> Sessions:
    words = itertools.count()
    return Sessions(tokens, draw=lambda: f"word-{next(words)}", person="smith@bench")


@pytest.mark.parametrize(("token", "role"), [(TOKENS.operate, Role.OPERATE), (TOKENS.look, Role.LOOK)])
def test_each_token_lets_in_with_its_role_and_the_person_who_says_so(token: str, role: Role) -> None:
    let_in = sessions()
    session = let_in.show(token, "Smith", "192.0.2.1", 0)
    assert isinstance(session, Session)
    assert (session.role, session.operates, session.person) == (role, role is Role.OPERATE, "Smith")
    assert let_in.of(session.id, 1) == session


@pytest.mark.parametrize("token", ["", "o" * 21, "o" * 23, "x", "\udc80", "ö" * 22])
def test_no_other_word_lets_in(token: str) -> None:
    assert sessions().show(token, "Smith", "192.0.2.1", 0) == NotLetIn(wait_ms=0)


def test_a_session_ends_when_it_was_not_used_for_a_shift() -> None:
    let_in = sessions()
    session = let_in.show(TOKENS.look, "", "192.0.2.1", 0)
    assert isinstance(session, Session)
    assert session.person == "192.0.2.1"
    assert let_in.of(session.id, SESSION_MS - 1) == session
    assert let_in.of(session.id, 2 * SESSION_MS - 2) == session
    assert let_in.of(session.id, 3 * SESSION_MS - 2) is None
    assert let_in.of(session.id, 3 * SESSION_MS - 2) is None


def test_a_browser_that_logs_out_is_not_known_any_more() -> None:
    let_in = sessions()
    session = let_in.show(TOKENS.operate, "Smith", "192.0.2.1", 0)
    assert isinstance(session, Session)
    let_in.end(session)
    assert let_in.of(session.id, 1) is None


def test_the_form_word_is_the_sessions_own() -> None:
    let_in = sessions(None)
    one, other = let_in.begin(0), let_in.begin(0)
    assert one.is_form(one.form)
    assert not one.is_form(other.form)
    assert not one.is_form(one.id)
    assert not one.is_form("")


def test_without_tokens_every_browser_operates_and_no_token_is_right() -> None:
    let_in = sessions(None)
    assert not let_in.wants_token
    assert (let_in.begin(0).role, let_in.begin(0).person) == (Role.OPERATE, "smith@bench")
    assert let_in.show("", "Smith", "192.0.2.1", 0) == NotLetIn(wait_ms=0)


def test_with_tokens_nobody_is_let_in_without_one() -> None:
    with pytest.raises(ValueError, match="token"):
        sessions().begin(0)


@pytest.mark.parametrize(("guesses", "looked_at"), [(MOST_GUESSES - 1, True), (MOST_GUESSES, False)])
def test_after_so_many_guesses_of_one_address_even_the_right_token_waits(guesses: int, looked_at: bool) -> None:
    let_in = sessions()
    for at_ms in range(guesses):
        let_in.show("wrong", "Smith", "192.0.2.1", at_ms)
    told = let_in.show(TOKENS.operate, "Smith", "192.0.2.1", guesses)
    assert isinstance(told, Session) == looked_at
    if not looked_at:
        assert told == NotLetIn(wait_ms=GUESSES_MS - guesses)
        assert isinstance(let_in.show(TOKENS.operate, "Smith", "192.0.2.2", guesses), Session)
        assert told == NotLetIn(wait_ms=GUESSES_MS - guesses)
        assert let_in.show(TOKENS.operate, "Smith", "192.0.2.1", GUESSES_MS - 1) == NotLetIn(wait_ms=1)
        assert isinstance(let_in.show(TOKENS.operate, "Smith", "192.0.2.1", GUESSES_MS), Session)


@pytest.mark.parametrize(("guesses", "looked_at"), [(MOST_GUESSES_OF_ALL - 1, True), (MOST_GUESSES_OF_ALL, False)])
def test_many_addresses_guess_no_faster_together(guesses: int, looked_at: bool) -> None:
    let_in = sessions()
    for number in range(guesses):
        assert let_in.show("wrong", "Smith", f"192.0.2.{number}", 0) == NotLetIn(wait_ms=0)
    assert isinstance(let_in.show(TOKENS.operate, "Smith", "192.0.2.200", 0), Session) == looked_at


def test_sessions_are_bounded_and_the_one_used_longest_ago_gives_way() -> None:
    let_in = sessions(None)
    first, second = let_in.begin(0), let_in.begin(0)
    for _ in range(MOST_SESSIONS - 2):
        let_in.begin(0)
    assert let_in.of(first.id, 1) == first
    let_in.begin(2)
    assert let_in.of(first.id, 3) == first
    assert let_in.of(second.id, 3) is None
