"""Pairing over the air: levels, models, keys that are right, wrong and missing, bonds that outlive their process."""

import asyncio

import pytest
from bumble.keys import PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate
from tests.link.radios import ADDRESS, SMP, World, bonds, person, table

from keyswitch.errors import InputError, LinkLostError
from keyswitch.link.air.clock import run
from keyswitch.link.bumble.bonds import MAX_BONDS, Bonds
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure
from keyswitch.terms import Security

NONE, ENCRYPTED, AUTHENTICATED = Security


async def try_smp(link):
    """How a host finds out whether it may use the SMP characteristic: it subscribes."""
    try:
        await link.subscribe(*SMP, lambda _: None)
    except GattRefused as refused:
        return refused.code
    return None


# What each side can do -> what the link is worth afterwards (Core spec Vol 3 Part H 2.3.5.1, tables 2.7 and 2.8).
MODELS = {
    ("nothing", "nothing"): ENCRYPTED,
    ("display", "nothing"): ENCRYPTED,
    ("nothing", "keyboard"): ENCRYPTED,
    ("display", "keyboard"): AUTHENTICATED,
}


@pytest.mark.parametrize("needed", list(Security))
@pytest.mark.parametrize("model", list(MODELS))
def test_each_level_with_each_model(needed, model):
    shown: list[str] = []
    device_shows, host_asks = model

    async def main():
        show = shown.append if device_shows == "display" else None
        async with World(shown=table(security=needed), show_passkey=show) as world:
            adapter = world.adapter(ask_passkey=person(shown) if host_asks == "keyboard" else None)
            link = await adapter.connect(ADDRESS, 5_000)
            before = await try_smp(link)
            await link.pair()
            await asyncio.sleep(0.5)
            return before, await try_smp(link), world.device.levels()[-1]

    before, after, level = run(main())
    assert level is MODELS[model]
    assert before == (None if needed is NONE else 0x05)
    assert after == (None if level >= needed else 0x05)


# What the host can do -> whether a device that shows digits can be authenticated (Vol 3 Part H 2.3.5.1, table 2.8).
HOSTS = {
    "NO_OUTPUT_NO_INPUT": ENCRYPTED,
    "DISPLAY_OUTPUT_ONLY": ENCRYPTED,
    "DISPLAY_OUTPUT_AND_YES_NO_INPUT": ENCRYPTED,
    "KEYBOARD_INPUT_ONLY": AUTHENTICATED,
    "DISPLAY_OUTPUT_AND_KEYBOARD_INPUT": AUTHENTICATED,
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sc", [True, False])
@pytest.mark.parametrize("mitm", [True, False])
@pytest.mark.parametrize("shows", [True, False])
def test_every_host_with_every_way_to_pair(host, sc, mitm, shows):
    """Secure Connections and legacy, with and without the wish for authentication. Legacy never authenticates."""
    shown: list[str] = []
    type_it = person(shown)

    class Delegate(PairingDelegate):
        async def get_number(self):
            return await type_it()

    async def main():
        async with World(show_passkey=shown.append if shows else None) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            delegate = Delegate(io_capability=PairingDelegate.IoCapability[host])
            adapter._radio.device.pairing_config_factory = lambda _: PairingConfig(sc=sc, mitm=mitm, delegate=delegate)
            await link.pair()
            await asyncio.sleep(0.5)
            return world.device.levels()

    levels = run(main())
    assert levels[-1] is (HOSTS[host] if sc and shows else ENCRYPTED)
    assert bool(shown) == (shows and HOSTS[host] is AUTHENTICATED)
    assert AUTHENTICATED not in levels[:-1]


WRONG = [
    (lambda code: (code + 1) % 1_000_000, PairingFailure.WRONG_PASSKEY),
    (lambda _: None, PairingFailure.NO_PASSKEY),
]


@pytest.mark.parametrize(("typed", "why"), WRONG)
def test_a_wrong_or_missing_passkey_pairs_nothing(typed, why):
    shown: list[str] = []

    async def main():
        right = person(shown)

        async def ask():
            code = await right()
            return typed(code)

        async with World(shown=table(security=AUTHENTICATED), show_passkey=shown.append) as world:
            link = await world.adapter(ask_passkey=ask).connect(ADDRESS, 5_000)
            with pytest.raises(PairingError, match=why.value) as failed:
                await link.pair()
            assert failed.value.failure is why
            return await try_smp(link), world.device.levels(), link.closed

    code, levels, closed = run(main())
    assert code == 0x05
    assert AUTHENTICATED not in levels
    assert closed is None


def test_every_pairing_shows_another_passkey():
    shown: list[str] = []

    async def main():
        async with World(show_passkey=shown.append) as world:
            for _ in range(3):
                link = await world.adapter(ask_passkey=person(shown)).connect(ADDRESS, 5_000)
                count = len(shown)
                await link.pair()
                assert len(shown) == count + 1
                await link.close()

    run(main())
    assert len(set(shown)) == 3
    assert all(len(code) == 6 for code in shown)


def test_a_device_that_is_not_pairable_refuses():
    async def main():
        async with World(shown=table(security=ENCRYPTED)) as world:
            world.device.radio.pairable = False
            link = await world.adapter().connect(ADDRESS, 5_000)
            with pytest.raises(PairingError, match=PairingFailure.NOT_NOW.value):
                await link.pair()
            assert await try_smp(link) == 0x05
            assert world.device.levels() == []

    run(main())


@pytest.mark.parametrize("show", [False, True])
def test_a_bond_outlives_both_processes(show):
    shown: list[str] = []
    documents: dict[str, bytes] = {}
    needed = AUTHENTICATED if show else ENCRYPTED

    async def session(first):
        device_bonds = bonds(document=documents.get("device"), save=lambda doc: documents.update(device=doc))
        host_bonds = bonds("C0:00:00:00:00:01", document=documents.get("host"), save=lambda d: documents.update(host=d))
        options = {"show_passkey": shown.append} if show else {}
        async with World(shown=table(security=needed), bonds=device_bonds, **options) as world:
            adapter = world.adapter(bonds=host_bonds, ask_passkey=person(shown) if show else None)
            link = await adapter.connect(ADDRESS, 5_000)
            # A link that is not encrypted although keys exist says so: 0x0f instead of 0x05.
            assert await try_smp(link) == (0x05 if first else 0x0F)
            await link.pair()
            await asyncio.sleep(0.5)
            assert await try_smp(link) is None
            assert world.device.levels()[-1] is needed

    run(session(True))
    codes = len(shown)
    run(session(False))
    assert len(shown) == codes  # the second time needs no person


def test_the_device_forgot_the_bond():
    async def main():
        async with World(shown=table(security=ENCRYPTED), bonds=(device_bonds := bonds())) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.3)
            await link.close()
            for peer in device_bonds.peers:
                device_bonds.forget(peer)
            link = await adapter.connect(ADDRESS, 5_000)
            with pytest.raises(PairingError, match="does not know this bond any more: forget it here") as failed:
                await link.pair()
            assert failed.value.failure is PairingFailure.FORGOTTEN
            assert await try_smp(link) == 0x05
            # Forgetting it here too makes pairing possible again.
            adapter.forget(ADDRESS)
            await link.pair()
            await asyncio.sleep(0.3)
            assert await try_smp(link) is None

    run(main())


def test_the_host_forgot_the_bond():
    async def main():
        async with World(shown=table(security=ENCRYPTED), bonds=(device_bonds := bonds())) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.3)
            await link.close()
            adapter.forget(ADDRESS)
            link = await adapter.connect(ADDRESS, 5_000)
            assert await try_smp(link) == 0x0F
            await link.pair()
            await asyncio.sleep(0.3)
            assert await try_smp(link) is None
            assert len(device_bonds.peers) == 1

    run(main())


def test_keys_that_differ_end_the_link_for_both():
    async def main():
        async with World(shown=table(security=ENCRYPTED), bonds=(device_bonds := bonds())) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.3)
            await link.close()
            ((_, keys),) = await device_bonds.get_all()
            keys.ltk.value = bytes(16)
            link = await adapter.connect(ADDRESS, 5_000)
            with pytest.raises(LinkLostError, match="different keys"):
                await link.pair()
            await asyncio.sleep(0.1)
            assert world.device.seen[-1][0] == "disconnected"

    run(main())


def test_a_weaker_pairing_does_not_replace_an_authenticated_bond():
    shown: list[str] = []

    async def main():
        store = bonds()
        async with World(shown=table(security=AUTHENTICATED), bonds=store, show_passkey=shown.append) as world:
            link = await world.adapter(ask_passkey=person(shown)).connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.5)
            (peer,) = store.peers
            await link.close()
            # Somebody takes the same address and pairs without a passkey.
            thief = await world.adapter(address="C0:00:00:00:00:01").connect(ADDRESS, 5_000)
            world.device.seen.clear()
            await thief.pair()
            assert await thief.wait_closed(2_000) is not None
            assert AUTHENTICATED not in world.device.levels()
            assert store.security(peer) is AUTHENTICATED

    run(main())


def test_a_pairing_without_digits_replaces_its_like_and_is_worth_what_anybody_gets():
    """docs/decisions/pairing-without-digits-replaces-its-like.md: neither of the two keeps the other out for good."""

    async def main():
        async with World(shown=table(security=ENCRYPTED), bonds=(store := bonds())) as world:

            async def paired(adapter: BumbleAdapter) -> None:
                link = await adapter.connect(ADDRESS, 5_000)
                await link.pair()
                await asyncio.sleep(0.3)
                assert await try_smp(link) is None
                assert world.device.levels()[-1] is ENCRYPTED
                assert len(store.peers) == 1
                await link.close()

            async def displaced(adapter: BumbleAdapter) -> None:
                link = await adapter.connect(ADDRESS, 5_000)
                with pytest.raises(LinkLostError, match="different keys"):
                    await link.pair()
                adapter.forget(ADDRESS)

            first, second = (world.adapter(address="C0:00:00:00:00:01") for _ in range(2))
            await paired(first)
            await paired(second)
            await displaced(first)
            await paired(first)
            await displaced(second)

    run(main())


def keys(*, authenticated: bool) -> PairingKeys:
    made = PairingKeys()
    made.ltk = PairingKeys.Key(value=bytes(16), authenticated=authenticated)
    return made


@pytest.mark.parametrize("authenticated", [False, True])
def test_pairing_without_a_person_fills_the_store_for_nobody(authenticated: bool):
    async def main():
        store = bonds()
        await store.update("operator", keys(authenticated=True))
        for number in range(2 * MAX_BONDS):
            assert store.takes(ENCRYPTED)
            await store.update(f"stranger {number}", keys(authenticated=False))
        assert len(store.peers) == MAX_BONDS
        assert (store.peers[0], store.peers[-1]) == ("operator", f"stranger {2 * MAX_BONDS - 1}")
        await store.update("technician", keys(authenticated=authenticated))
        assert store.has("technician")
        assert store.security("operator") is AUTHENTICATED
        assert not store.refused_weaker

    run(main())


def test_what_a_person_did_is_undone_by_another_person_alone_and_the_oldest_goes_first():
    async def main():
        store = bonds()
        for number in range(MAX_BONDS):
            await store.update(f"{number}", keys(authenticated=True))
        assert (store.takes(ENCRYPTED), store.takes(AUTHENTICATED)) == (False, True)
        await store.update("stranger", keys(authenticated=False))
        assert (store.has("stranger"), store.refused_weaker) == (False, {"stranger"})
        await store.update("0", keys(authenticated=True))  # again: now it is the newest
        await store.update("new", keys(authenticated=True))
        assert store.peers == (*map(str, range(2, MAX_BONDS)), "0", "new")

    run(main())


def test_over_the_air_a_full_store_takes_the_next_one_in_the_place_of_the_oldest(monkeypatch):
    monkeypatch.setattr("keyswitch.link.bumble.bonds.MAX_BONDS", 2)

    async def main():
        async with World(shown=table(security=ENCRYPTED), bonds=(store := bonds())) as world:
            for number in (1, 2, 3):
                link = await world.adapter().connect(ADDRESS, 5_000)
                await link.pair()
                await asyncio.sleep(0.3)
                assert await try_smp(link) is None
                assert len(store.peers) == min(number, 2)
                await link.close()
            assert [peer[-2:] for peer in store.peers] == ["02", "03"]

    run(main())


@pytest.mark.parametrize("shows", [False, True])
def test_over_the_air_nobody_pairs_without_a_person_in_the_place_of_who_paired_with_one(
    monkeypatch,
    shows: bool,
):
    monkeypatch.setattr("keyswitch.link.bumble.bonds.MAX_BONDS", 1)
    shown: list[str] = []

    async def main():
        store = bonds()
        await store.update("C0:00:00:00:00:99", keys(authenticated=True))
        options = {"show_passkey": shown.append} if shows else {}
        async with World(shown=table(security=ENCRYPTED), bonds=store, **options) as world:
            stranger = await world.adapter().connect(ADDRESS, 5_000)
            if shows:  # how it will be paired shows at the end
                await stranger.pair()
                assert await stranger.wait_closed(2_000) is not None
            else:
                with pytest.raises(PairingError, match=PairingFailure.NOT_NOW.value):
                    await stranger.pair()
            assert store.peers == ("C0:00:00:00:00:99",)
            if shows:
                person_there = await world.adapter(ask_passkey=person(shown)).connect(ADDRESS, 5_000)
                await person_there.pair()
                await asyncio.sleep(0.5)
                assert [store.security(peer) for peer in store.peers] == [AUTHENTICATED]
                assert not store.has("C0:00:00:00:00:99")

    run(main())


def test_identities_have_their_own_bonds_and_keys():
    saved: list[bytes] = []
    store = Bonds("A", save=saved.append)
    first = store.irk
    store.switch("B")
    assert store.irk != first
    assert len(store.irk) == 16
    assert any(store.irk)
    again = Bonds("A", saved[-1])
    assert again.irk == first
    again.switch("B")
    assert again.irk == store.irk


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema": 2}',
        b'{"schema": 1, "identities": {"A": {}}}',
        b'{"schema": 1, "identities": 3}',
    ],
)
def test_a_document_that_is_not_ours_is_refused_in_one_line(document):
    with pytest.raises(InputError, match=r"^bonds\.json: .*delete the file") as caught:
        Bonds("A", document, origin="bonds.json")
    assert "\n" not in str(caught.value)


class Person:
    """Somebody who compares numbers, and types what is shown."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.numbers: list[str] = []

    async def same(self, number):
        self.numbers.append(number)
        return self.agrees

    def show(self, number):
        self.numbers.append(number)


@pytest.mark.parametrize("types", [True, False])
@pytest.mark.parametrize("agrees", [True, False])
def test_a_number_that_both_show_is_compared(agrees, types):
    """Also by somebody who could type nothing."""
    seen: list[str] = []
    we = Person(agrees=agrees)

    class Delegate(PairingDelegate):
        async def compare_numbers(self, number, digits):
            seen.append(f"{number:0{digits}d}")
            return True

    async def main():
        async with World(shown=table(security=AUTHENTICATED), show_passkey=seen.append) as world:
            io = PairingDelegate.IoCapability.DISPLAY_OUTPUT_AND_YES_NO_INPUT
            delegate = Delegate(io_capability=io)
            device = world.device.radio._radio.device
            device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=True, delegate=delegate)
            ask = person(seen) if types else None
            link = await world.adapter(ask_passkey=ask, numbers=we).connect(ADDRESS, 5_000)
            assert link.security is NONE
            if not agrees:
                with pytest.raises(PairingError, match="pairing"):
                    await link.pair()
                return await try_smp(link), link.security
            await link.pair()
            await asyncio.sleep(0.5)
            return await try_smp(link), link.security

    code, security = run(main())
    assert we.numbers == seen[:1]
    assert (code, security) == ((None, AUTHENTICATED) if agrees else (0x05, NONE))


@pytest.mark.parametrize("types", [True, False])
def test_a_number_is_shown_for_a_device_with_keys(types):
    we = Person()

    class Delegate(PairingDelegate):
        async def get_number(self):
            while not we.numbers:  # noqa: ASYNC110 - people look now and then
                await asyncio.sleep(0.1)
            return int(we.numbers[-1])

    async def main():
        async with World(shown=table(security=AUTHENTICATED)) as world:
            delegate = Delegate(io_capability=PairingDelegate.IoCapability.KEYBOARD_INPUT_ONLY)
            device = world.device.radio._radio.device
            device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=True, delegate=delegate)
            link = await world.adapter(ask_passkey=person([]) if types else None, numbers=we).connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.5)
            return await try_smp(link), link.security

    assert run(main()) == (None, AUTHENTICATED)
    assert len(we.numbers) == 1
