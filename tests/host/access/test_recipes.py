import asyncio
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.other_peers import ButtonlessAir, ButtonlessPeer, ButtonPeer, LoaderPeer
from tests.host.smp_peer import DatagramLink, PeerAir, SmpPeer

from keyswitch.errors import InputError
from keyswitch.host.access.recipe import Again, GattStep, PromptStep, Recipe, SettingStep, SmpStep
from keyswitch.host.access.recipe_loader import load, read_recipe, shipped
from keyswitch.host.access.recipe_strategy import RecipeStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.packet_endpoint import PacketEndpoint
from keyswitch.host.update.events import Event, Message, StepDone
from keyswitch.host.update.job import Goal, Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import StepName
from keyswitch.link.air.clock import run

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
IMAGE = JobImage(data=NEW.data, hash=NEW.hash, version="1.1.0")


async def updated(
    endpoint: Endpoint, recipe: str, *, given: dict[str, str] | None = None, watch: Any = None, **job: Any
) -> tuple[Result, list[Event]]:
    events: list[Event] = []

    def sink(event: Event) -> None:
        events.append(event)
        if watch is not None:
            watch(event)

    way = RecipeStrategy(read_recipe(recipe), random="abcde", given=given)
    return await update(endpoint, Job(images=(IMAGE,), way=way, **job), sink=sink), events


def ble(peer: SmpPeer, air: type[PeerAir] = PeerAir) -> BleEndpoint:
    return BleEndpoint(air(peer), target="ble:Pump 7", name="Pump 7")


def line(peer: SmpPeer) -> PacketEndpoint:
    async def open_link() -> DatagramLink:
        return DatagramLink(peer)

    return PacketEndpoint("serial:/dev/ttyACM0", open_link)


def test_firmware_loader_by_a_name_of_this_run():
    async def story() -> None:
        peer = LoaderPeer(OLD)
        result, events = await updated(ble(peer), "firmware-loader")
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.settings == {"fw_loader/adv_name": b"FL_abcde"}
        assert peer.saved
        assert peer.slots[0].data == NEW.data
        assert not peer.loader
        assert "lists no images" in " ".join(event.text for event in events if isinstance(event, Message))

    run(story())


def test_of_several_loaders_the_right_one():
    async def story() -> None:
        peer, other = LoaderPeer(OLD), LoaderPeer(OLD, address="C0:00:00:00:00:09")
        other.loader, other.name, other.address = True, "FL_other", "C0:00:00:00:00:F9"
        endpoint = BleEndpoint(PeerAir(other, peer), target="ble:Pump 7", name="Pump 7")
        result, _ = await updated(endpoint, "firmware-loader")
        assert result.outcome is Outcome.CONFIRMED
        assert other.served == 0

    run(story())


def test_a_loader_with_a_name_of_our_own():
    async def story() -> None:
        peer = LoaderPeer(OLD)
        result, _ = await updated(ble(peer), "firmware-loader", given={"name": "FL_pump7"})
        assert result.outcome is Outcome.CONFIRMED
        assert peer.settings == {"fw_loader/adv_name": b"FL_pump7"}

    run(story())


@pytest.mark.parametrize("lists", [True, False])
def test_boot_mode_over_a_line_that_does_not_end(*, lists: bool):
    async def story() -> None:
        peer = LoaderPeer(OLD, buf_count=1, buf_size=1024)
        peer.lists_in_application = lists
        result, _ = await updated(line(peer), "boot-mode")
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.slots[0].data == NEW.data
        assert not peer.loader
        assert peer.boots == 2

    run(story())


def test_buttonless_at_the_next_address():
    async def story() -> None:
        peer = ButtonlessPeer(OLD)
        result, _ = await updated(ble(peer, ButtonlessAir), "buttonless")
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.slots[0].data == NEW.data
        assert peer.address == "C0:00:00:00:00:01"

    run(story())


def test_buttonless_refused_says_what_came_back():
    async def story() -> None:
        peer = ButtonlessPeer(OLD)
        peer.says = bytes.fromhex("200102")
        result, _ = await updated(ble(peer, ButtonlessAir), "buttonless")
        assert result.outcome is Outcome.REFUSED
        assert "the device answered 20 01 02, expected 20 01 01" in result.detail

    run(story())


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("pressed_after_s", [1, 60, None])
def test_a_person_presses_the_button(pressed_after_s: int | None, *, remembers: bool):
    async def story() -> None:
        peer = ButtonPeer(OLD, remembers=remembers)

        def press(event: Event) -> None:
            if isinstance(event, Message) and "button" in event.text and pressed_after_s is not None:
                asyncio.get_running_loop().call_later(pressed_after_s, peer.press)

        result, _ = await updated(ble(peer), "button", watch=press)
        if pressed_after_s is None:
            assert result.outcome is Outcome.UNREACHABLE, result
        else:
            assert result.outcome is Outcome.CONFIRMED, result
            assert peer.running()[0] == "1.1.0"
            assert peer.confirmed
            assert peer.mode == "normal"

    run(story(), limit_s=3600)


NO_WAY_OUT = b"""
schema = 1
about = "it leaves by itself"
[[enter]]
prompt = "Press the button."
[inside]
serves = ["image.state"]
"""


@pytest.mark.parametrize("leaves_after_s", [2, None])
def test_a_recipe_without_steps_out_waits_a_little_and_says_so(leaves_after_s: int | None):
    async def story() -> None:
        peer = ButtonPeer(OLD, stays=True)
        peer.press()

        def leave() -> None:
            peer.mode = "normal"
            peer.end_links("by itself")

        def sink(event: Event) -> None:
            if leaves_after_s is not None and isinstance(event, StepDone) and event.name is StepName.CONFIRM:
                asyncio.get_running_loop().call_later(leaves_after_s, leave)

        way = RecipeStrategy(load(NO_WAY_OUT, name="mine"), random="abcde")
        began = asyncio.get_running_loop().time()
        result = await update(ble(peer), Job(images=(IMAGE,), way=way), sink=sink)
        assert peer.confirmed
        if leaves_after_s is None:
            assert result.outcome is Outcome.STILL_IN_MAINTENANCE, result
            assert "the device stays inside, and recipe mine has no [[leave]]" in result.detail
            assert asyncio.get_running_loop().time() - began < 60
        else:
            assert result.outcome is Outcome.CONFIRMED, result

    run(story(), limit_s=3600)


def test_already_inside_nothing_is_entered():
    async def story() -> None:
        peer = LoaderPeer(OLD)
        peer.loader = True
        peer.name = "Pump 7"
        result, events = await updated(ble(peer), "firmware-loader", goal=Goal.UPLOAD)
        assert result.outcome is Outcome.STAGED, result
        assert peer.settings == {}
        assert StepName.ENTER in [event.name for event in events if isinstance(event, StepDone)]

    run(story())


def test_an_upload_that_fails_does_not_leave_the_loader_behind():
    async def story() -> None:
        peer = LoaderPeer(OLD)
        peer.veto = lambda _op, group, command, _body: {"rc": 11} if (group, command) == (1, 1) else None
        result, _ = await updated(ble(peer), "firmware-loader")
        assert result.outcome is Outcome.REFUSED
        assert not peer.loader

    run(story())


def test_every_shipped_recipe_is_tested_and_read():
    assert set(shipped()) == {"boot-mode", "firmware-loader", "buttonless", "button"}
    for name in shipped():
        recipe = read_recipe(name)
        assert recipe.about
        assert RecipeStrategy(recipe, random="abcde").words.startswith(f"recipe {name}: ")


FULL = """
schema = 1
about = "everything"
[variables]
word = "w_{random}"
[[enter]]
smp = "os.reset"
body = { boot_mode = 1, force = true, wait_s = 0.5 }
restarts = true
[[enter]]
setting = "a/{word}"
value = "{word}"
[[enter]]
write = "01 02"
service = "FE59"
characteristic = "8EC9"
expect = "20"
within_s = 1.5
[[enter]]
prompt = "Press."
within_s = 300
[[leave]]
smp = "os.reset"
[again]
by = "name"
name = "{word}"
shows_smp = false
within_s = 10
[inside]
serves = ["image.state"]
refuses = ["os.info"]
"""


def test_the_whole_language():
    recipe = load(FULL.encode(), name="full")
    kinds = [type(step) for step in recipe.enter]
    assert kinds == [SmpStep, SettingStep, GattStep, PromptStep]
    gatt = recipe.enter[2]
    assert isinstance(gatt, GattStep)
    smp = recipe.enter[0]
    assert isinstance(smp, SmpStep)
    assert smp.body == {"boot_mode": 1, "force": True, "wait_s": 0.5}
    assert isinstance(smp.body["wait_s"], float)
    assert (gatt.data, gatt.expect, gatt.within_ms, gatt.service) == (b"\x01\x02", b"\x20", 1500, "fe59")
    assert (recipe.again, recipe.again_name, recipe.shows_smp, recipe.within_ms) == (
        Again.NAME,
        "{word}",
        False,
        10_000,
    )
    assert [command.name for command in (*recipe.serves, *recipe.refuses)] == ["image.state", "os.info"]


@pytest.mark.parametrize(
    ("line_", "instead", "said"),
    [
        ("schema = 1", "", "schema: missing"),
        ("schema = 1", "schema = 2", "schema: 2 is not allowed (expected a whole number from 1 to 1)"),
        ('about = "everything"', "", "about: missing"),
        ('about = "everything"', "about = 7", "about: 7"),
        (
            'smp = "os.reset"\nbody',
            'smp = "os.rset"\nbody',
            'enter[0].smp: "os.rset" is not a command … did you mean "os.reset"?',
        ),
        ("restarts = true", 'restarts = "yes"', 'enter[0].restarts: "yes" is not allowed (expected true or false)'),
        (
            "restarts = true",
            "restart = true",
            'enter[0].restart: unknown key … did you mean "restarts"?',
        ),
        ('value = "{word}"', "", "enter[1].value: missing"),
        ('write = "01 02"', 'write = "0"', 'enter[2].write: "0"'),
        ("within_s = 1.5", "within_s = 0", "enter[2].within_s: 0"),
        ("within_s = 300", "within_s = 301", "enter[3].within_s: 301"),
        ('prompt = "Press."', 'prompt = "Press."\nsmp = "os.echo"', "enter[3]: no step, or several in one"),
        (
            'by = "name"',
            'by = "nam"',
            'again.by: "nam" is not allowed … did you mean "name"?',
        ),
        ('by = "name"', 'by = "same"', "again.name: a name and `by` do not fit"),
        ('serves = ["image.state"]\nrefuses = ["os.info"]', "", "inside: nothing shows"),
        ('serves = ["image.state"]', 'serves = ["os.reset"]', "inside.serves[0]: os.reset cannot be read"),
        ('serves = ["image.state"]', 'serves = "image.state"', 'inside.serves: "image.state"'),
        ('word = "w_{random}"', "word = 1", "variables.word: 1"),
        ("[inside]", "[insight]", 'insight: unknown key … did you mean "inside"?'),
        ("[[leave]]", "[leave]", "leave: a table is not allowed (expected [[leave]] tables)"),
        ("[[leave]]", "x = [", "not TOML"),
        ("boot_mode = 1", "boot_mode = [1, {at = 2026-01-01}]", "enter[0].body.boot_mode[1].at: a date or time"),
        ("within_s = 1.5", "within_s = 1.0001", "enter[2].within_s: 1.0001"),
        ("within_s = 1.5", "within_s = nan", "enter[2].within_s: NaN"),
        ('serves = ["image.state"]', "serves = [7]", "inside.serves[0]: 7"),
        ('characteristic = "8EC9"', "", "enter[2].characteristic: missing"),
    ],
)
def test_every_mistake_is_named_with_its_place(line_: str, instead: str, said: str):
    assert line_ in FULL
    with pytest.raises(InputError) as raised:
        load(FULL.replace(line_, instead, 1).encode(), name="full")
    assert all(part in str(raised.value) for part in said.split(" … "))
    assert "\n" not in str(raised.value)


def test_a_recipe_without_steps():
    with pytest.raises(InputError, match="enter: no steps"):
        load(b'schema = 1\nabout = "x"\n[inside]\nserves = ["image.state"]', name="x")


@pytest.mark.parametrize("name", ["buton", "none.toml", "./none"])
def test_no_such_recipe(name: str):
    with pytest.raises(InputError, match=name.removeprefix("./")):
        read_recipe(name)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"nam": "x"}, "no variable 'nam'"), ({"name": "{other}"}, "unknown variable 'other'")],
)
def test_variables_that_do_not_exist(given: dict[str, str], said: str):
    with pytest.raises(InputError, match=said):
        RecipeStrategy(read_recipe("firmware-loader"), random="abcde", given=given)


def test_recipes_say_nothing_of_updates():
    assert not {"test", "confirm", "upload"} & set(Recipe.__dataclass_fields__)
