"""The six digits that a person types at the central: when they are shown, and when they are taken away."""

from keyswitch.gate.peer import Peer
from keyswitch.terms import Security, Transport


class PasskeyDisplay:
    """The place on the panel where a passkey appears; made before the runtime that it belongs to.

    The radio does not say for whom it shows one. It is for a central that was connected then, most likely for one whose
    link was not authenticated: it goes when one of those has become authenticated, or when none of them is left.
    """

    def __init__(self) -> None:
        self.passkey: str | None = None
        """What a person is to type at the central; None: nothing is shown."""
        self._there: dict[int, Security] = {}
        self._shown_for: set[int] = set()

    def show(self, passkey: str) -> None:
        """Show it until a link that it may be for is authenticated, or the last of them has ended."""
        self.passkey = passkey
        unproved = {peer_id for peer_id, security in self._there.items() if security < Security.AUTHENTICATED}
        self._shown_for = unproved or set(self._there)  # who is authenticated already may pair anew

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or has another security now: then it has done with the passkey, if that is what it did."""
        if peer.transport is not Transport.BLE:
            return
        self._there[peer.id] = peer.security
        if peer.id in self._shown_for:
            self._has_done_with_it(peer.id, paired=peer.security >= Security.AUTHENTICATED)

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone; the passkey goes with the last one that it may be for."""
        self._there.pop(peer_id, None)
        if peer_id in self._shown_for:
            self._has_done_with_it(peer_id, paired=False)

    def clear(self) -> None:
        """Everybody is gone: show nothing."""
        self._there.clear()
        self._take_away()

    def _has_done_with_it(self, peer_id: int, *, paired: bool) -> None:
        self._shown_for.discard(peer_id)
        if paired or not self._shown_for:
            self._take_away()

    def _take_away(self) -> None:
        self.passkey = None
        self._shown_for.clear()
