"""Who may use the console: tokens, the browsers that showed one, and how often a token may be guessed. Pure.

Rules:

* A token operates, or only looks. Without tokens (the console listens to this computer alone) every browser operates.
* A browser that showed a token has a session: a number in a cookie, and another one that each of its forms carries.
* Guesses are counted for each address and for all together; too many are not looked at, right or wrong.
"""

import hmac
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SESSION_MS: Final = 12 * 60 * 60 * 1000
"""A shift, with what comes before and after."""

MOST_SESSIONS: Final = 256
"""The one that was used longest ago gives way."""

MOST_GUESSES: Final = 5
"""Wrong tokens from one address in `GUESSES_MS`."""

MOST_GUESSES_OF_ALL: Final = 30
"""Wrong tokens from everywhere in `GUESSES_MS`."""

GUESSES_MS: Final = 60_000

MOST_ADDRESSES: Final = 1_024
"""Of which guesses are remembered; those of all together bound the rest."""

MAX_NAME: Final = 80
"""Characters of a person's name."""


class Role(StrEnum):
    """What a browser may do."""

    OPERATE = "operate"
    LOOK = "look"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The words that let a browser in. Attributes: operate: to do everything; look: to see everything."""

    operate: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser.

    Attributes:
        id: in its cookie.
        form: in each of its forms; a page of somebody else does not know it.
        role: what it may do.
        person: who sits there, for the records.
    """

    id: str
    form: str
    role: Role
    person: str

    @property
    def operates(self) -> bool:
        """Whether it may do more than look."""
        return self.role is Role.OPERATE

    def is_form(self, told: str) -> bool:
        """Whether a form of this browser said `told`."""
        return _same(self.form, told)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLetIn:
    """A token was not taken. Attributes: wait_ms: until the next one is looked at; 0: this one was, and is wrong."""

    wait_ms: int


class Sessions:
    """The browsers that were let in.

    Args:
        tokens: that let one in; None: none is needed.
        draw: a new secret word, each time.
        person: who sits there where nobody is asked.
    """

    def __init__(self, tokens: Tokens | None, *, draw: Callable[[], str], person: str) -> None:
        self._tokens = tokens
        self._draw = draw
        self._person = person
        self._open: OrderedDict[str, tuple[Session, int]] = OrderedDict()
        self._guesses: OrderedDict[str, deque[int]] = OrderedDict()
        self._all_guesses: deque[int] = deque()

    @property
    def wants_token(self) -> bool:
        """Whether a browser has to show one."""
        return self._tokens is not None

    def of(self, cookie: str | None, now_ms: int) -> Session | None:
        """The session of a browser with this cookie; None if it has none, or it is over."""
        found = self._open.get(cookie or "")
        if found is None:
            return None
        session, used_ms = found
        if now_ms - used_ms >= SESSION_MS:
            del self._open[session.id]
            return None
        self._open[session.id] = (session, now_ms)
        self._open.move_to_end(session.id)
        return session

    def begin(self, now_ms: int) -> Session:
        """The session of a browser on this computer, of which no token is asked.

        Raises:
            ValueError: one is asked.
        """
        if self._tokens is not None:
            raise ValueError("a token is needed")
        return self._begun(Role.OPERATE, self._person, now_ms)

    def show(self, token: str, person: str, address: str, now_ms: int) -> Session | NotLetIn:
        """A browser shows a token.

        Args:
            token: that it shows.
            person: who sits there, as they say.
            address: where it comes from.
            now_ms: when.
        """
        wait_ms = self._wait_ms(address, now_ms)
        if wait_ms:
            return NotLetIn(wait_ms=wait_ms)
        role = self._role(token)
        if role is None:
            self._note_guess(address, now_ms)
            return NotLetIn(wait_ms=0)
        return self._begun(role, person[:MAX_NAME] or address, now_ms)

    def end(self, session: Session) -> None:
        """The browser goes; its cookie is worth nothing from now on."""
        self._open.pop(session.id, None)

    def _role(self, token: str) -> Role | None:
        if self._tokens is None:
            return None
        # Both are compared, so that the time does not tell which one was nearly right.
        operates = _same(self._tokens.operate, token)
        looks = _same(self._tokens.look, token)
        return Role.OPERATE if operates else Role.LOOK if looks else None

    def _begun(self, role: Role, person: str, now_ms: int) -> Session:
        session = Session(id=self._draw(), form=self._draw(), role=role, person=person)
        self._open[session.id] = (session, now_ms)
        if len(self._open) > MOST_SESSIONS:
            self._open.popitem(last=False)
        return session

    def _wait_ms(self, address: str, now_ms: int) -> int:
        """Until a token of this address is looked at again."""
        waits = (
            _wait_ms(self._guesses.get(address, deque()), MOST_GUESSES, now_ms),
            _wait_ms(self._all_guesses, MOST_GUESSES_OF_ALL, now_ms),
        )
        return max(waits)

    def _note_guess(self, address: str, now_ms: int) -> None:
        self._all_guesses.append(now_ms)
        guesses = self._guesses.setdefault(address, deque())
        guesses.append(now_ms)
        self._guesses.move_to_end(address)
        if len(self._guesses) > MOST_ADDRESSES:
            self._guesses.popitem(last=False)


def _same(secret: str, told: str) -> bool:
    """Whether the two are the same; how long that takes does not tell how nearly."""
    return hmac.compare_digest(secret.encode(), told.encode("utf-8", "backslashreplace"))


def _wait_ms(guesses: deque[int], most: int, now_ms: int) -> int:
    while guesses and now_ms - guesses[0] >= GUESSES_MS:
        guesses.popleft()
    return 0 if len(guesses) < most else guesses[0] + GUESSES_MS - now_ms
