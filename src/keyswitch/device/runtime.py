"""What gives the pure server time, flash, radio and power. It decides nothing: effects are carried out as they come.

Rules:

* One worker executes requests and carries effects out, in order. Whatever happens outside (a connection, an input, the
  panel) is told to the server at once, and what follows from it waits for the worker.
* Answers are sent by one task for each peer: a peer that does not read holds up its own requests and nobody else's.
* A planned reset ends connections first (bounded), so that centrals need not wait for a supervision timeout; a power
  cycle tells nobody anything.
* There is no polling: the worker sleeps until something is received or the next time limit is due.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from keyswitch.device.clock import DeviceClock
from keyswitch.device.doors import Carrier
from keyswitch.device.output import NOTHING, Output, RuntimeEffect
from keyswitch.device.parts import Parts
from keyswitch.device.radio_face import BATTERY_INPUT
from keyswitch.device.sender import Sender
from keyswitch.device.server import Server
from keyswitch.device.showing import PasskeyDisplay, Showing, boot_event
from keyswitch.device.store import COUNTERS, SECURITY_COUNTERS, Store, security_counters
from keyswitch.errors import KeyswitchError
from keyswitch.gate.decision import Refused
from keyswitch.gate.effects import DropReassembly, EndConnections, Inhibit, ModeChanged, ResetNow, ShowService
from keyswitch.gate.events import Event, InputChanged
from keyswitch.gate.peer import Peer
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.policy.model import Value
from keyswitch.smp.framing import Received
from keyswitch.terms import Transport

LOG_LENGTH: Final = 1000
"""Events that the panel can show; a day of an idle device, some updates of a busy one."""

Report = Callable[[dict[str, Any]], None]


class DeviceFailedError(KeyswitchError):
    """The device could not do what it had decided, and has stopped: its flash or its state directory failed."""


class Runtime:
    """One running device.

    Args:
        server: the device without time and links.
        flash: with the slots.
        boot_config: how the bootloader is built.
        store: what survives resets; the security counters are kept here too.
        carriers: the transports, by name.
        answer_room: answers that may wait for one peer before its next request does.
        report: told what happens, as JSON objects with an `event`.
        parts: the same that the server is made of.
        clock: the device's time; real time by default.
        display: where the radio shows passkeys.
    """

    def __init__(
        self,
        *,
        server: Server,
        flash: Flash,
        boot_config: BootConfig,
        store: Store,
        carriers: Mapping[Transport, Carrier],
        answer_room: int,
        report: Report | None = None,
        parts: Parts | None = None,
        clock: DeviceClock | None = None,
        display: PasskeyDisplay | None = None,
    ) -> None:
        self.server = server
        self.boot_report: BootReport | None = None
        self._flash = flash
        self._boot_config = boot_config
        self._store = store
        self._carriers = carriers
        self._answer_room = answer_room
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._clock = clock or DeviceClock()
        self._tell = report or _say_nothing
        self._boot = (parts or Parts()).boot
        self._inputs: dict[str, Value | None] = {}
        self._ids = itertools.count(1)
        self._senders: dict[int, Sender] = {}
        self._outputs: deque[Output | asyncio.Future[None]] = deque()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._has_failed = asyncio.Event()
        self._ending: set[asyncio.Task[None]] = set()
        self._waiting_for_room: dict[int, Callable[[], None]] = {}
        self._showing = Showing(server, carriers.get(Transport.BLE))
        self._display = display or PasskeyDisplay()
        self._powered = False
        self._power = asyncio.Lock()

    # --- power ---

    async def start(self) -> None:
        """Power up: the bootloader decides, the server boots, the transports open."""
        async with self._power:
            await self._start()

    async def failed(self) -> None:
        """Wait until the device fails, through resets and power cycles; returns only by the exception."""
        await self._has_failed.wait()
        if self._failure is not None:
            raise self._failure

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self.broken(error)

    def broken(self, error: BaseException) -> None:
        """A transport works no longer, or something that was decided could not be done: the device stops."""
        self._powered = False  # nothing more is executed: what the gate thinks may not be what is
        if self._worker is not None:
            self._worker.cancel()
        self._failure = self._failure or _as_failure(error)
        self._has_failed.set()

    async def close(self) -> None:
        """Power down in order: connected centrals are told."""
        async with self._power:
            await self._stop_working()
            await self._forget_peers()
            for carrier in self._carriers.values():
                await carrier.close()
            for left in self._outputs:
                if isinstance(left, asyncio.Future):
                    left.cancel()

    async def power_cycle(self) -> None:
        """Take the power away and give it back: RAM is gone, nobody is told, the bootloader decides anew."""
        async with self._power:
            await self._stop_working()
            await self._power_down()
            await self._start()

    async def _start(self) -> None:
        await self._power_up()
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="device")
        self._worker.add_done_callback(self._worker_ended)

    async def _stop_working(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def _power_up(self) -> None:
        cost_us = self._flash.wear.cost_us
        counters = security_counters(self._store)
        report = self._boot(self._flash, self._boot_config, counters=counters)
        if report.counters != counters:
            self._store.write(COUNTERS, {**(self._store.read(COUNTERS) or {}), SECURITY_COUNTERS: report.counters})
        await self._spend(self._flash.wear.cost_us - cost_us)
        self.boot_report = report
        self._report(boot_event(report))
        if not report.runs:
            return
        self._powered = True
        output = self.server.boot(report, self.now_ms(), inputs=tuple(self._inputs.items()))
        self._take(output)
        for carrier in self._carriers.values():
            await carrier.start(self)
        # What boots into maintenance shows it from the first moment: not another face in between.
        shown = next((each.shown for each in output.effects if isinstance(each, ShowService)), False)
        self._showing.boot(report, smp=shown)
        self._show()

    async def _power_down(self) -> None:
        self._powered = False
        self._waiting_for_room.clear()
        await self._forget_peers()
        for carrier in self._carriers.values():
            await carrier.power_lost()
        # What was wanted is gone; who waits until things have settled goes on waiting, through the reset.
        self._outputs = deque(left for left in self._outputs if isinstance(left, asyncio.Future))

    async def _reset(self) -> None:
        for sender in list(self._senders.values()):
            await sender.carrier.end(sender.peer.id, after_delivery=True)
        await self._power_down()
        await self._power_up()

    async def _forget_peers(self) -> None:
        tasks = [sender.task for sender in self._senders.values()] + list(self._ending)
        self._senders.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what carriers tell (device.doors.Arrivals) ---

    def new_peer_id(self) -> int:
        """A number that was never given before."""
        return next(self._ids)

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        return self._clock.now_ms()

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or has another security now."""
        if peer.id in self._senders:
            self._display.clear()
            self.server.peer_changed(peer)
            return
        carrier = self._carriers[peer.transport]
        self._senders[peer.id] = Sender(peer, carrier, self.server, self._wake, self._answer_room)
        self._report({"event": "connected", "transport": peer.transport, "peer": peer.id})
        self._take(self._ask(lambda: self.server.peer_connected(peer, self.now_ms())))

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone."""
        sender = self._senders.pop(peer_id, None)
        if sender is None:
            return
        sender.task.cancel()
        self._display.clear()
        self._report({"event": "disconnected", "transport": sender.peer.transport, "peer": peer_id})
        self._take(self._ask(lambda: self.server.peer_gone(peer_id, self.now_ms())))

    def received(self, peer: Peer, received: Received) -> None:
        """Queue what arrived; what is too large is answered."""
        if peer.id not in self._senders:
            return
        for packet in received.packets:
            self._answer(self._ask(partial(self.server.receive, peer.id, packet, self.now_ms(), door=peer.door)))
        for dropped in received.dropped:
            if dropped.header:
                self._answer(self._ask(partial(self.server.too_large, peer.id, dropped.header, door=peer.door)))
        self._wake.set()

    def dropped(self, peer: Peer, packets: Iterable[bytes]) -> None:
        """Answer packets that a carrier had held back and that the gate has dropped."""
        for packet in packets:
            self._answer(self._ask(partial(self.server.drop, peer.id, packet, door=peer.door)))

    def room(self, peer_id: int) -> int:
        """How many packets this peer may send now; a carrier whose link can wait makes it wait at 0."""
        return self.server.room(peer_id)

    def when_room(self, peer_id: int, then: Callable[[], None]) -> None:
        """Call `then` once this peer may send again, or has gone."""
        self._waiting_for_room[peer_id] = then
        self._wake.set()

    # --- what the outside does ---

    def happen(self, event: Event) -> Refused | None:
        """Something happens at the device: an input, the button, the application.

        What an input reads is the world's: it outlives resets, and is read again at the next boot.

        Returns:
            Why the gate refused it, if it did.
        """
        if isinstance(event, InputChanged):
            self._inputs[event.name] = event.value
        if not self._powered:
            return None
        output = self._ask(lambda: self.server.event(event, self.now_ms()))
        self._take(output)
        if isinstance(event, InputChanged) and event.name == BATTERY_INPUT:
            self._show()
        return output.refused

    async def settled(self) -> None:
        """Wait until everything that has happened so far was carried out."""
        if self._worker is None or self._worker.done():
            return
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outputs.append(settled)
        self._wake.set()
        await settled

    def advance(self, ms: int) -> None:
        """Let `ms` pass at once, where the device's clock allows it; what is due then happens now."""
        self._clock.advance(ms)
        if self._powered:
            self._take(self._ask(lambda: self.server.due(self.now_ms())))

    def status(self) -> dict[str, Any]:
        """What the panel shows: mode, lease_ms, gate, running, slots; `mode` is None while nothing can run."""
        if self._powered:
            return {**self.server.status(self.now_ms()), "passkey": self._display.passkey}
        return {"mode": None, "lease_ms": None, "gate": "shut", "running": None, "slots": [], "passkey": None}

    @property
    def powered(self) -> bool:
        """Whether an image runs. False after a boot that found nothing that may run."""
        return self._powered

    def _report(self, event: dict[str, Any]) -> None:
        self.log.append({"at_ms": self.now_ms(), **event})
        self._tell(event)

    def _ask(self, call: Callable[[], Output]) -> Output:
        """Tell the server something. If it cannot do what its machine decided, the device stops."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever it was: an effect is missing, and nobody else would notice
            self.broken(error)
            return NOTHING

    def _take(self, output: Output) -> None:
        self._at_once(output)
        if output:
            self._outputs.append(output)
        self._wake.set()

    def _at_once(self, output: Output) -> None:
        """What must not wait for the worker: nothing that was half received survives the step that drops it."""
        if any(isinstance(effect, DropReassembly) for effect in output.effects):
            for carrier in self._carriers.values():
                carrier.drop_partial()

    # --- the worker ---

    async def _work(self) -> None:
        while True:
            output = self._outputs.popleft() if self._outputs else self._execute()
            if output is None:
                await self._sleep()
            elif isinstance(output, asyncio.Future):
                if not output.done():  # else nobody waits any more
                    output.set_result(None)
            else:
                await self._carry_out(output)
                await asyncio.sleep(0)  # the radio's turn: requests may have queued up without end

    def _execute(self) -> Output | None:
        if not self._powered:
            return None
        output = self.server.run_one(self.now_ms()) or self.server.idle()
        if output is not None:
            self._at_once(output)
        if self._waiting_for_room:
            self._tell_room()
        return output

    def _tell_room(self) -> None:
        for peer_id in [each for each in self._waiting_for_room if self.server.room(each)]:
            self._waiting_for_room.pop(peer_id)()

    async def _sleep(self) -> None:
        due_ms = self.server.next_due_ms() if self._powered else None
        seconds = None if due_ms is None else max(0, due_ms - self.now_ms()) / 1000
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation (before Python 3.12)
                await self._wake.wait()
        self._wake.clear()

    async def _carry_out(self, output: Output) -> None:
        await self._spend(output.flash_us)
        self._answer(output)
        for effect in output.effects:
            if isinstance(effect, ResetNow):
                self._report({"event": "reset"})
                await self._reset()
                return  # what else was wanted was wanted by the life before
            self._effect(effect)
        await self._showing.set_pace()

    def _answer(self, output: Output) -> None:
        """Hand answers to their peers' senders.

        What could not even be queued is answered past the worker: a flood would keep it from executing anything.
        """
        for answer in output.answers:
            sender = self._senders.get(answer.peer)
            if sender is not None:
                sender.put(answer)

    def _effect(self, effect: RuntimeEffect) -> None:
        match effect:
            case DropReassembly():
                pass  # carried out when it was decided
            case EndConnections(peers=peers, after_answer=after_answer):
                for peer_id in peers:
                    self._end(peer_id, after_answer=after_answer)
            case ShowService(shown=shown):
                self._showing.smp = shown
                self._show()
            case ModeChanged(mode=mode):
                self._report({"event": "mode", "mode": mode})
                self._show()
            case Inhibit(names=names):
                self._report({"event": "inhibit", "names": sorted(names)})
            case ResetNow():
                pass  # carried out where the order of effects ends
            # mypy proves that nothing else exists

    def _end(self, peer_id: int, *, after_answer: bool) -> None:
        sender = self._senders.get(peer_id)
        if sender is None:
            return

        async def end() -> None:
            if after_answer:
                await sender.flushed()
            await sender.carrier.end(peer_id, after_delivery=after_answer)

        task = asyncio.get_running_loop().create_task(end(), name=f"end {peer_id}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _show(self) -> None:
        self._showing.show(self.now_ms(), self._inputs.get(BATTERY_INPUT))

    async def _spend(self, flash_us: int) -> None:
        if flash_us:
            await asyncio.sleep(flash_us / 1_000_000)


def _as_failure(error: BaseException) -> BaseException:
    """A medium that fails is no bug: it is said in one line."""
    return DeviceFailedError(f"the device has stopped: {error}") if isinstance(error, OSError) else error


def _say_nothing(event: dict[str, Any]) -> None:
    del event
