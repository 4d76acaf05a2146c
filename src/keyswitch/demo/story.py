"""The story of the README, scene by scene: what is tried, what must come back, and what did.

The operator is this process; the device is another one. Nothing here reaches into the device but by its radio, and by
its panel where a person would.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keyswitch.demo.child import DeviceProcess
from keyswitch.demo.scene import DemoStep, Observed, Teller
from keyswitch.demo.workshop import NEW_VERSION, OLD_VERSION, Workshop
from keyswitch.errors import LinkLostError, LocalError, SilenceError
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.smp.queries import ModeState, read_mode, read_slots
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.host.update.events import Event, StepDone, Uploading
from keyswitch.host.update.job import Goal, Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import StepName
from keyswitch.host.upload.uploader import Uploaded
from keyswitch.link.ports import Adapter
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import ImageFault, parse_image
from keyswitch.policy.secrets import read_secret
from keyswitch.reasons import Reason
from keyswitch.smp.groups import image as image_group
from keyswitch.smp.groups import os as os_group

MAINTENANCE: Final = "maintenance"
LINK_ENDS_MS: Final = 5_000
TRIAL_LEFT_MS: Final = 2_000
"""Of the trial's deadline, to be waited for in real time; the device's clock is moved over the rest."""
REVERTED_WITHIN_MS: Final = 60_000
"""What is left of the deadline, a boot that swaps back, and a reconnect: a bound for what hangs."""
FIRST_CHUNK: Final = 400
"""Bytes of the image in the upload that is forced where none belongs."""


@dataclass(slots=True)
class DemoStage:
    """What the scenes share.

    Attributes:
        workshop: the files.
        device: the other process.
        adapter: the operator's radio.
        teller: who shows the story.
        endpoint: the way to the device; knows it by its token once it was found.
        connection: the one that is up, if any.
        uploaded: the first upload.
        update_trace: steps that the update proved, in order.
    """

    workshop: Workshop
    device: DeviceProcess
    adapter: Adapter
    teller: Teller
    endpoint: BleEndpoint = field(init=False)
    connection: Connection | None = None
    uploaded: Uploaded | None = None
    update_trace: list[StepName] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = self.new_reach()

    def new_reach(self) -> BleEndpoint:
        """A way to the device that knows nothing but its name."""
        name = self.workshop.policy.device.name
        return BleEndpoint(self.adapter, target=name, name=name)

    def secret(self) -> Secret:
        """What proves that the operator may enter."""
        return Secret(read_secret(self.workshop.policy))

    def way(self) -> ModeGroupStrategy:
        """Into maintenance by the shared secret."""
        return ModeGroupStrategy(MAINTENANCE, self.secret())

    async def up(self) -> Connection:
        """The connection, made if there is none."""
        if self.connection is None or self.connection.closed is not None:
            self.connection = await self.endpoint.connect()
        return self.connection

    async def down(self) -> None:
        """End the connection."""
        if self.connection is not None:
            await self.connection.close()
            self.connection = None

    def image(self, path: Path) -> JobImage:
        """A file as an update takes it."""
        data = path.read_bytes()
        parsed = parse_image(BytesSource(data))
        if isinstance(parsed, ImageFault):
            raise LocalError(f"{path}: {parsed.line}")
        return JobImage(data=data, hash=parsed.hash, version=str(parsed.version))

    async def update(self, job: Job) -> Result:
        """Carry an update out, showing its steps."""
        await self.down()
        return await update(self.endpoint, job, sink=self.show)

    def show(self, event: Event) -> None:
        """Show what an update tells."""
        match event:
            case Uploading(progress=progress):
                self.teller.progress(progress)
            case StepDone(name=name, duration_ms=duration_ms):
                self.update_trace.append(name)
                self.teller.step(name.value if duration_ms is not None else f"{name.value} (nothing to do)")
            case _:
                pass

    async def running(self) -> str:
        """What runs, as the panel tells: the device's own word, beside the radio."""
        status = await self.device.panel({"do": "status"})
        return str(status["running"]["version"])


def format_reply(reply: object) -> str:
    """What the device answered: that it refused stands before why."""
    return f"refused: {reply}" if isinstance(reply, Refusal) else f"{reply}"


async def images_are_signed(stage: DemoStage) -> Observed:
    """Key and images were made by imgtool before the device was started."""
    images = [stage.image(path) for path in (stage.workshop.old, stage.workshop.new)]
    text = ", ".join(f"{image.version} ({len(image.data)} bytes, {image.hash.hex()[:8]}…)" for image in images)
    return Observed(text=text, ok=[image.version for image in images] == [OLD_VERSION, NEW_VERSION])


async def device_is_up(stage: DemoStage) -> Observed:
    """The device's process is ready; it runs the old image."""
    version = await stage.running()
    ready = stage.device.ready
    text = f"{ready['name']} at {ready['address']} runs {version}, mode {ready['mode']}"
    return Observed(text=text, ok=version == OLD_VERSION and ready["mode"] == "normal")


async def verdict_in_normal_mode(stage: DemoStage) -> Observed:
    """Connect and ask, changing nothing."""
    connection = await stage.up()
    verdict = await probe_gate(connection)
    ok = verdict.gate is Gate.SHUT and verdict.reason is Reason.WRONG_MODE and connection.smp is None
    service = "no SMP service" if connection.smp is None else "SMP service"
    return Observed(text=f"{service}; {verdict.line}", ok=ok and bool(verdict.next_step))


async def upload_at_the_mode_service(stage: DemoStage) -> Observed:
    """Send an upload to the only service that is there."""
    connection = await stage.up()
    assert connection.mode is not None  # noqa: S101 - the scene before has found it
    data = stage.workshop.new.read_bytes()
    body = {"off": 0, "len": len(data), "sha": hashlib.sha256(data).digest(), "data": data[:FIRST_CHUNK]}
    reply = await connection.mode.write(image_group.ID, image_group.Id.UPLOAD, body)
    ok = isinstance(reply, Refusal) and reply.reason is Reason.NOT_ON_THIS_SERVICE
    return Observed(text=format_reply(reply), ok=ok)


async def entry_while_active(stage: DemoStage) -> Observed:
    """Motion begins; ask for maintenance all the same, with a good proof."""
    await stage.device.panel({"do": "set", "name": "motion", "value": "true"})
    connection = await stage.up()
    assert connection.mode is not None  # noqa: S101 - the device has a mode service in every mode
    state = await read_mode(connection.mode)
    told = await mode_group.enter(connection.mode, MAINTENANCE, (stage.secret(),))
    await stage.device.panel({"do": "set", "name": "motion", "value": "false"})
    mode = state.mode if isinstance(state, ModeState) else "?"
    ok = (
        isinstance(told, Refusal)
        and told.reason is Reason.GUARD
        and "motion == false" in told.text
        and mode == "active"
    )
    return Observed(text=f"mode {mode}; {format_reply(told)}", ok=ok)


async def entry_in_normal_mode(stage: DemoStage) -> Observed:
    """Motion has ended; the same question again, over the same connection."""
    connection = await stage.up()
    assert connection.mode is not None  # noqa: S101 - the device has a mode service in every mode
    told = await mode_group.enter(connection.mode, MAINTENANCE, (stage.secret(),))
    if not isinstance(told, mode_group.EntryReply):
        return Observed(text=f"{told}", ok=False)
    stage.endpoint.learn(token=told.session, address=told.address)
    why = await connection.wait_closed(LINK_ENDS_MS)
    stage.connection = None
    text = f"entered by {told.by}, token {told.session.hex()}; the device ended the connection ({why})"
    return Observed(text=text, ok=told.reconnect and why is not None)


async def found_again(stage: DemoStage) -> Observed:
    """Find this very device, by its token, once it shows the SMP service; ask for its mode."""
    stage.connection = connection = await stage.endpoint.connect(smp_shown=True)
    state = await read_mode(connection.mode) if connection.mode is not None else None
    if not isinstance(state, ModeState):
        return Observed(text="the device tells no mode", ok=False)
    lease = "no lease" if state.lease_ms is None else f"{state.lease_ms / 1000:.0f} s of lease left"
    ok = state.mode == MAINTENANCE and state.open and connection.smp is not None
    return Observed(text=f"mode {state.mode}, SMP service shown, {lease}", ok=ok)


async def uploaded(stage: DemoStage) -> Observed:
    """The image lies in the slot; nothing is marked yet."""
    job = Job(images=(stage.image(stage.workshop.new),), goal=Goal.UPLOAD, way=stage.way(), stay=True)
    result = await stage.update(job)
    stage.uploaded = result.upload
    if result.upload is None:
        return Observed(text=result.line, ok=False)
    text = f"{result.upload.size} bytes in {result.upload.duration_ms / 1000:.1f} s, "
    text += f"{result.upload.bytes_per_second / 1000:.1f} kB/s; {await stage.running()} still runs"
    return Observed(text=text, ok=result.outcome is Outcome.STAGED and await stage.running() == OLD_VERSION)


async def reset_and_swap(stage: DemoStage) -> Observed:
    """Mark it for a trial boot and reset. For a while the old image answers, and is not believed."""
    connection = await stage.up()
    assert connection.smp is not None  # noqa: S101 - in maintenance
    assert connection.mode is not None  # noqa: S101 - the device has a mode service in every mode
    image = stage.image(stage.workshop.new)
    before = await read_mode(connection.mode)
    marked = await connection.smp.write(image_group.ID, image_group.Id.STATE, {"hash": image.hash})
    asked = await connection.smp.write(os_group.ID, os_group.Id.RESET)
    told = await read_slots(connection.smp)
    if not isinstance(marked, Answer) or not isinstance(asked, Answer) or not isinstance(told, tuple):
        return Observed(text=f"test: {marked}; reset: {asked}; slots: {told}", ok=False)
    old = next(view.version for view in told if view.active)
    why = await connection.wait_closed(LINK_ENDS_MS)
    stage.connection = None
    back = await stage.up()
    after = await read_mode(back.mode) if back.mode is not None else None
    if not isinstance(before, ModeState) or not isinstance(after, ModeState):
        return Observed(text="the device tells no mode", ok=False)
    text = f"{old} still answered (not believed); then the link ended ({why}), "
    text += f"boot id {before.boot_id.hex()[:8]} became {after.boot_id.hex()[:8]}, mode {after.mode} as before"
    ok = why is not None and before.boot_id != after.boot_id and after.mode == MAINTENANCE
    return Observed(text=text, ok=ok)


async def proved_confirmed_left(stage: DemoStage) -> Observed:
    """The update goes on from what the device has: the running hash is proved, the image confirmed, the mode left."""
    stage.update_trace.clear()
    result = await stage.update(Job(images=(stage.image(stage.workshop.new),), way=stage.way()))
    wanted = [StepName.PROVE, StepName.CONFIRM, StepName.LEAVE, StepName.LEFT]
    proved = [name for name in stage.update_trace if name in wanted]
    version = await stage.running()
    ok = result.outcome is Outcome.CONFIRMED and proved == wanted and version == NEW_VERSION
    return Observed(text=f"{result.line}: {version} runs and stays", ok=ok)


async def shut_again(stage: DemoStage) -> Observed:
    """Connect anew, as a stranger would: the gate is shut, and the same upload is refused."""
    await stage.down()
    stage.endpoint = stage.new_reach()
    verdict = await probe_gate(await stage.up())
    refused = await upload_at_the_mode_service(stage)
    ok = verdict.gate is Gate.SHUT and verdict.reason is Reason.WRONG_MODE and refused.ok
    return Observed(text=f"mode {verdict.mode}, gate {verdict.gate.value}; upload: {refused.text}", ok=ok)


async def flipped_bit(stage: DemoStage) -> Observed:
    """A second session, with an image whose firmware was changed after signing; then a power cycle."""
    result = await stage.update(Job(images=(stage.image(stage.workshop.broken),), way=stage.way()))
    await stage.device.panel({"do": "power-cycle"})
    version = await stage.running()
    ok = result.outcome in {Outcome.REFUSED, Outcome.FAILED, Outcome.NOT_STARTED} and version == NEW_VERSION
    return Observed(text=f"{result.line}; {version} runs, after a power cycle too", ok=ok)


async def never_confirmed(stage: DemoStage) -> Observed:
    """A third session, with a good image that nobody confirms."""
    image = stage.image(stage.workshop.never_confirmed)
    result = await stage.update(Job(images=(image,), goal=Goal.TEST, way=stage.way()))
    on_trial = await stage.running()
    if result.outcome is not Outcome.ON_TRIAL or on_trial != image.version:
        return Observed(text=f"{result.line}; {on_trial} runs", ok=False)
    await stage.device.panel({"do": "advance", "ms": stage.workshop.trial_deadline_ms - TRIAL_LEFT_MS})
    mode = await _mode_after_revert(stage, lambda version: version != on_trial)
    version = await stage.running()
    left = await stage.update(Job(goal=Goal.CONFIRM, way=stage.way()))
    ok = version == NEW_VERSION and mode == MAINTENANCE and left.outcome is Outcome.ALREADY_RUNNING
    return Observed(
        text=f"{on_trial} ran on trial; {version} runs again, mode {mode} all the while; then it left", ok=ok
    )


async def _mode_after_revert(stage: DemoStage, reverted: Callable[[str], bool]) -> str:
    """Wait for the trial's end as an operator sees it: the link ends, the device comes back. Its mode then."""
    try:
        async with asyncio.timeout(REVERTED_WITHIN_MS / 1000):
            while True:
                connection = await stage.up()
                assert connection.mode is not None  # noqa: S101 - the device has a mode service in every mode
                state = await read_mode(connection.mode)
                if reverted(await stage.running()):
                    return state.mode if isinstance(state, ModeState) else "?"
                await connection.wait_closed(REVERTED_WITHIN_MS)
                await stage.down()
    except TimeoutError:
        return "unknown (no revert in time)"
    except (LinkLostError, SilenceError) as error:
        return f"unknown ({error})"


async def shut_at_the_end(stage: DemoStage) -> Observed:
    """What is left behind."""
    await stage.down()
    status = await stage.device.panel({"do": "status"})
    text = f"mode {status['mode']}, gate {status['gate']}, {status['running']['version']} runs"
    return Observed(text=text, ok=status["gate"] == "shut" and status["running"]["version"] == NEW_VERSION)


SCENES: Final[tuple[DemoStep[DemoStage], ...]] = (
    DemoStep(
        name="key and images",
        tried="make a key and two signed images with imgtool",
        expected="two images that MCUboot takes",
        act=images_are_signed,
    ),
    DemoStep(
        name="device",
        tried="start the device as a process of its own, on a virtual radio",
        expected="it runs 1.0.0 in normal mode",
        act=device_is_up,
    ),
    DemoStep(
        name="verdict in normal mode",
        tried="connect, and ask whether an update is possible",
        expected="no: why, and what would make it possible",
        act=verdict_in_normal_mode,
    ),
    DemoStep(
        name="upload at the mode service",
        tried="force an upload at the one service that is there",
        expected="refused: not on this service",
        act=upload_at_the_mode_service,
    ),
    DemoStep(
        name="entry while active",
        tried="motion begins; enter maintenance with a good proof",
        expected="refused: the guard is named",
        act=entry_while_active,
    ),
    DemoStep(
        name="entry in normal mode",
        tried="motion has ended; enter maintenance over the same connection",
        expected="entered; the device ends the connection",
        act=entry_in_normal_mode,
    ),
    DemoStep(
        name="found again",
        tried="find this very device again, by its token",
        expected="maintenance mode, with the SMP service",
        act=found_again,
    ),
    DemoStep(
        name="upload",
        tried="upload 1.1.0, three requests outstanding",
        expected="it lies in the slot; 1.0.0 still runs",
        act=uploaded,
    ),
    DemoStep(
        name="reset and swap",
        tried="mark it for a trial boot, reset, and ask at once what runs",
        expected="the old image's answers are not believed; the session survives the reset",
        act=reset_and_swap,
    ),
    DemoStep(
        name="prove, confirm, leave",
        tried="prove the running hash, confirm, leave, prove that it has left",
        expected="1.1.0 runs, confirmed; the device has left maintenance",
        act=proved_confirmed_left,
    ),
    DemoStep(
        name="shut again",
        tried="connect as a stranger; try the same upload",
        expected="the gate is shut; refused",
        act=shut_again,
    ),
    DemoStep(
        name="one flipped bit",
        tried="in a second session, install an image with one bit changed",
        expected="it never runs",
        act=flipped_bit,
    ),
    DemoStep(
        name="never confirmed",
        tried="in a third session, start a good image, confirm nothing, and move the device's clock to the deadline",
        expected="it reverts, still inside maintenance",
        act=never_confirmed,
    ),
    DemoStep(
        name="what is left",
        tried="look at the device's panel",
        expected="gate shut, 1.1.0 runs",
        act=shut_at_the_end,
    ),
)
"""The story, in order. After a scene that fails the next ones are played all the same: each says what it sees."""
