"""A recipe carried out: steps in, what shows that the device is inside, steps out.

Rules:

* Every step has a bound. A refused step ends the entry with what the device said.
* A step after which the device restarts may lose its answer; whether it worked is seen when the device is back.
* Variables are filled in once for a run: what was stored in the device is what is looked for afterwards.
* Showing that the device is inside takes read requests alone.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from keyswitch.errors import Field, InputError, LinkLostError, RemoteError, SilenceError
from keyswitch.host.access.recipe import Again, GattStep, PromptStep, Recipe, RecipeStep, SettingStep, SmpStep
from keyswitch.host.access.strategy import EntryGranted, EntryRefused
from keyswitch.host.connect.endpoint import Connection, DeviceIdentity
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal
from keyswitch.smp.codes import Rc
from keyswitch.smp.group import Command
from keyswitch.smp.groups import settings
from keyswitch.smp.header import Op

ASK_AGAIN_MS: Final = 1_000
"""Pause before a device is asked again whether a person has done what was asked."""

LEAVES_ITSELF_MS: Final = 5_000
"""How long a device that needs no steps out may still be seen inside: as long as others take after their answer to a
reset (`keyswitch.host.update.context`)."""

WRONG_RECIPE_STEP: Final = "check that this recipe is for this device: it uses a command that the device does not have"

_NAME: Final = re.compile(r"\{([a-z_]+)\}")


class RecipeStrategy:
    """The way that a recipe describes.

    Args:
        recipe: the recipe.
        random: a word of five letters, drawn for this run.
        given: variables that the person sets, instead of the recipe's.

    Raises:
        InputError: a variable is set that the recipe does not have, or used that nobody sets.
    """

    field = "recipe"
    expected = None
    """A recipe describes a kind of device, not one."""

    def __init__(self, recipe: Recipe, *, random: str, given: Mapping[str, str] | None = None) -> None:
        unknown = (given or {}).keys() - recipe.variables.keys()
        if unknown:
            known = ", ".join(recipe.variables) or "none"
            raise InputError(Field("variables"), f"{recipe.name} has no variable {min(unknown)!r}", f"one of: {known}")
        self.recipe = recipe
        self._variables = {"random": random}
        for name, value in {**recipe.variables, **(given or {})}.items():
            self._variables[name] = self._filled(value)
        self._again_name = self._filled(recipe.again_name)

    @property
    def words(self) -> str:
        """What is done, for the plan."""
        return f"recipe {self.recipe.name}: {self.recipe.about}"

    async def enter(self, connection: Connection, say: Callable[[str], None]) -> EntryGranted | EntryRefused:
        """Take the steps in."""
        no = await self._take(connection, self.recipe.enter, say)
        if no is not None:
            return no
        restarts = any(_restarts(step) for step in self.recipe.enter)
        return EntryGranted(
            identity=self._identity(),
            reconnect=restarts,
            restarts=restarts or connection.announced_end,
            shows_smp=self.recipe.shows_smp,
            within_ms=self.recipe.within_ms,
            by=f"recipe {self.recipe.name}",
            prompt=next((self._filled(step.text) for step in self.recipe.enter if isinstance(step, PromptStep)), ""),
        )

    async def attach(self, connection: Connection, token: bytes) -> EntryRefused | None:
        """Nothing to attach to: such a device has no sessions."""
        del connection, token
        return None

    async def is_inside(self, connection: Connection) -> bool | None:
        """Whether every command of `serves` is answered, and none of `refuses` is known."""
        client = connection.smp
        if client is None:
            return False
        for command in self.recipe.serves:
            if isinstance(await _show(client, command), Refusal):
                return False
        for command in self.recipe.refuses:
            reply = await _show(client, command)
            if not (isinstance(reply, Refusal) and reply.is_rc(Rc.ENOTSUP)):
                return False
        return True

    async def leave(self, connection: Connection) -> EntryRefused | None:
        """Take the steps out; without any, see that the device leaves by itself."""
        if not self.recipe.leave:
            return await self._leaves_itself(connection)
        return await self._take(connection, self.recipe.leave, lambda _text: None)

    async def _leaves_itself(self, connection: Connection) -> EntryRefused | None:
        for _ in range(LEAVES_ITSELF_MS // ASK_AGAIN_MS):
            if not await self.is_inside(connection):
                return None
            await asyncio.sleep(ASK_AGAIN_MS / 1000)
        return EntryRefused(detail=f"the device stays inside, and recipe {self.recipe.name} has no [[leave]]")

    async def _take(
        self, connection: Connection, steps: tuple[RecipeStep, ...], say: Callable[[str], None]
    ) -> EntryRefused | None:
        for step in steps:
            no: EntryRefused | None = None
            try:
                no = await self._one(connection, step, say)
            except (LinkLostError, SilenceError):
                if not _restarts(step):
                    raise
            if no is not None:
                return no
        return None

    async def _one(self, connection: Connection, step: RecipeStep, say: Callable[[str], None]) -> EntryRefused | None:
        match step:
            case SmpStep():
                return await self._smp(connection, step)
            case SettingStep():
                return await self._setting(connection, step)
            case GattStep():
                return await _gatt(connection, step)
            case PromptStep():
                return await self._prompt(connection, step, say)

    async def _smp(self, connection: Connection, step: SmpStep) -> EntryRefused | None:
        client = connection.smp
        if client is None:
            return EntryRefused(detail=f"{step.command.name}: the device shows no SMP service")
        op = Op.WRITE if step.command.writes else Op.READ
        reply = await client.ask(op, step.command.group, step.command.id, self._values(step.body))
        return _refused(step.command.name, reply) if isinstance(reply, Refusal) else None

    async def _setting(self, connection: Connection, step: SettingStep) -> EntryRefused | None:
        client = connection.smp
        if client is None:
            return EntryRefused(detail=f"setting {step.name}: the device shows no SMP service")
        body = {"name": self._filled(step.name), "val": self._filled(step.value).encode()}
        reply = await client.write(settings.ID, settings.Id.VALUE, body)
        if step.save and not isinstance(reply, Refusal):
            reply = await client.write(settings.ID, settings.Id.STORAGE)
        return _refused(f"setting {step.name}", reply) if isinstance(reply, Refusal) else None

    async def _prompt(
        self, connection: Connection, step: PromptStep, say: Callable[[str], None]
    ) -> EntryRefused | None:
        say(self._filled(step.text))
        if connection.announced_end:
            # The device is looked for by its advertisement, which says so earlier than this connection would.
            return None
        for _ in range(step.within_ms // ASK_AGAIN_MS + 1):
            if await self.is_inside(connection):
                return None
            await asyncio.sleep(ASK_AGAIN_MS / 1000)
        return EntryRefused(detail=f"nothing happened within {step.within_ms // 1000} s", next_step=step.text)

    def _identity(self) -> DeviceIdentity | None:
        match self.recipe.again:
            case Again.SAME:
                return None
            case Again.NAME:
                return DeviceIdentity(name=self._again_name)
            case Again.NEXT_ADDRESS:
                return DeviceIdentity(next_address=True)

    def _values(self, body: Mapping[str, Any]) -> dict[str, object]:
        return {key: self._filled(value) if isinstance(value, str) else value for key, value in body.items()}

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self._variables:
                known = ", ".join(self._variables)
                raise InputError(f"{self.recipe.name}: {text!r}", f"unknown variable {name!r}", f"one of: {known}")
            return self._variables[name]

        return _NAME.sub(value, text)


async def _gatt(connection: Connection, step: GattStep) -> EntryRefused | None:
    link = connection.gatt
    if link is None:
        return EntryRefused(detail="the recipe writes to a characteristic, and this is no Bluetooth LE target")
    if step.service not in link.services:
        return EntryRefused(detail=f"the device has no service {step.service}")
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    try:
        if step.expect:
            await link.subscribe(
                step.service, step.characteristic, lambda value: None if told.done() else told.set_result(value)
            )
        await link.request(step.service, step.characteristic, step.data)
        if not step.expect:
            return None
        async with asyncio.timeout(step.within_ms / 1000):
            value = await told
    except RemoteError as error:
        return EntryRefused(detail=str(error))
    except TimeoutError:
        return EntryRefused(detail=f"the device did not answer the write within {step.within_ms} ms")
    if not value.startswith(step.expect):
        return EntryRefused(detail=f"the device answered {value.hex(' ')}, expected {step.expect.hex(' ')}")
    return None


async def _show(client: SmpClient, command: Command) -> object:
    return await client.read(command.group, command.id)


def _restarts(step: RecipeStep) -> bool:
    return not isinstance(step, PromptStep | SettingStep) and step.restarts


def _refused(what: str, refusal: Refusal) -> EntryRefused:
    next_step = WRONG_RECIPE_STEP if refusal.is_rc(Rc.ENOTSUP) else ""
    return EntryRefused(detail=f"{what} was refused: {refusal}", reason=refusal.reason, next_step=next_step)
