"""What gives the pure server time, flash, radio and power. It decides nothing: effects are carried out as they come.

Rules:

* One worker executes requests and carries effects out, in order. Whatever happens outside (a connection, an input, the
  panel) is told to the server at once, and what follows from it waits for the worker.
* Before a planned reset everybody has its answers, and connections are ended (bounded), so that centrals need not wait
  for a supervision timeout; a power cycle tells nobody anything.
* There is no polling: the worker sleeps until something is received or the next time limit is due.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from keyswitch.device.events import DeviceEvent, InhibitChanged, LiveEvent, NewMode, ResetBegan, TransportLost, to_json
from keyswitch.device.runtime.clock import DeviceClock
from keyswitch.device.runtime.event_recorder import EventRecorder, Log
from keyswitch.device.runtime.failure import Failure, as_failure
from keyswitch.device.runtime.passkey import PasskeyDisplay
from keyswitch.device.runtime.presenter import Presenter, boot_event
from keyswitch.device.runtime.work_queue import WorkQueue
from keyswitch.device.server.components import Components
from keyswitch.device.server.output import NOTHING, Output, RuntimeEffect
from keyswitch.device.server.server import Server
from keyswitch.device.storage.store import COUNTERS, SECURITY_COUNTERS, Store, security_counters
from keyswitch.device.transport.gatt_profile import BATTERY_INPUT
from keyswitch.device.transport.peers import Peers
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.gate.decision import Refused
from keyswitch.gate.effects import DropReassembly, EndConnections, Inhibit, ModeChanged, ResetNow, ShowService
from keyswitch.gate.events import Event, InputChanged
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.panel.protocol import PanelStatusJson
from keyswitch.policy.model import Value
from keyswitch.terms import Transport

LOG_LENGTH: Final = 1000
"""Events that the panel can show; a day of an idle device, some updates of a busy one."""

Report = Callable[[dict[str, Any]], None]


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
        event_log: keeps what happens; None: nothing does.
    """

    def __init__(
        self,
        *,
        server: Server,
        flash: Flash,
        boot_config: BootConfig,
        store: Store,
        carriers: Mapping[Transport, DeviceTransport],
        answer_room: int,
        report: Report | None = None,
        parts: Components | None = None,
        clock: DeviceClock | None = None,
        display: PasskeyDisplay | None = None,
        event_log: Log | None = None,
    ) -> None:
        self.server = server
        self.boot_report: BootReport | None = None
        self._flash = flash
        self._boot_config = boot_config
        self._store = store
        self._carriers = carriers
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._clock = clock or DeviceClock()
        self._tell = report or _say_nothing
        self._recorder = EventRecorder(self.report, event_log)
        self._boot = (parts or Components()).boot
        self._inputs: dict[str, Value | None] = {}
        self._agenda = WorkQueue()
        self._worker: asyncio.Task[None] | None = None
        self._failure = Failure()
        self._showing = Presenter(server, carriers.get(Transport.BLE))
        self._display = display or PasskeyDisplay()
        self._lost: set[Transport] = set()
        self._peers = Peers(self, carriers, answer_room=answer_room, display=self._display)
        self._powered = False
        self._power = asyncio.Lock()

    # --- power ---

    async def start(self) -> None:
        """Power up: the bootloader decides, the server boots, the transports open."""
        async with self._power:
            await self._start()

    async def failed(self) -> None:
        """Wait until the device fails, through resets and power cycles; returns only by the exception."""
        await self._failure.wait()

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        error = None if worker.cancelled() else worker.exception()
        if error is not None:
            self.broken(error)

    def broken(self, error: BaseException) -> None:
        """A transport works no longer, or something that was decided could not be done: the device stops."""
        self._powered = False  # nothing more is executed: what the gate thinks may not be what is
        if self._worker is not None:
            self._worker.cancel()
        self._failure.happen(error)

    async def close(self) -> None:
        """Power down in order: connected centrals are told."""
        async with self._power:
            await self._stop_working()
            await self._peers.forget()
            for carrier in self._carriers.values():
                await carrier.close()
            self._agenda.close()
            self._recorder.close(self.now_ms())

    async def power_cycle(self) -> None:
        """Take the power away and give it back: RAM is gone, nobody is told, the bootloader decides anew.

        Raises:
            DeviceFailedError: flash or state directory failed; the device has stopped.
        """
        async with self._power:
            await self._stop_working()
            await self._power_down()
            try:
                await self._start()
            except Exception as error:
                self.broken(error)
                raise as_failure(error) from error

    async def _start(self) -> None:
        await self._power_up()
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="device")
        self._worker.add_done_callback(self._worker_ended)

    async def _stop_working(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def _power_up(self, *, loader_asked: bool = False) -> None:
        cost_us = self._flash.wear.cost_us
        counters = security_counters(self._store)
        report = self._boot(self._flash, self._boot_config, counters=counters, loader_asked=loader_asked)
        if report.counters != counters:
            self._store.write(COUNTERS, {**(self._store.read(COUNTERS) or {}), SECURITY_COUNTERS: report.counters})
        await self._spend(self._flash.wear.cost_us - cost_us)
        self.boot_report = report
        told = boot_event(report)
        self.report(told)
        self._recorder.boot(told, report, self.now_ms())
        if not report.runs:
            return
        self._powered = True
        output = self._recorded(self.server.boot(report, self.now_ms(), inputs=tuple(self._inputs.items())))
        self.take(output)
        self._lost.clear()
        for carrier in self._carriers.values():
            await carrier.start(self._peers)
        # What boots into maintenance shows it from the first moment: not another face in between.
        shown = next((each.shown for each in output.effects if isinstance(each, ShowService)), False)
        self._showing.boot(report, smp=shown)
        self._show()

    async def _power_down(self) -> None:
        self._powered = False
        await self._peers.forget()
        for carrier in self._carriers.values():
            await carrier.power_lost()
        self._agenda.forget()

    async def _reset(self) -> None:
        self._showing.follow_reset()
        await self._peers.end_all()
        await self._power_down()
        # Memory that is retained keeps what was asked over a reset, and over nothing else.
        await self._power_up(loader_asked=self.server.loader_asked)

    # --- what the peers need (device.transport.ports.RuntimePort) ---

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        return self._clock.now_ms()

    def ask(self, call: Callable[[], Output]) -> Output:
        """Tell the server something. If it cannot do what its machine decided, the device stops."""
        try:
            return self._recorded(call())
        except Exception as error:  # noqa: BLE001 - whatever it was: an effect is missing, and nobody else would notice
            self.broken(error)
            return NOTHING

    def _recorded(self, output: Output) -> Output:
        """What happened is recorded when it has been decided: before its answers go out, before its effects."""
        if output.events:
            self._recorder.take(output.events, self.now_ms())
        return output

    def take(self, output: Output) -> None:
        """Let the worker carry this out after all that came before."""
        self._at_once(output)
        self._agenda.put(output)

    def wake(self) -> None:
        """There may be something to execute."""
        self._agenda.wake()

    def report(self, event: DeviceEvent | LiveEvent) -> None:
        """Say what has happened, and keep it for the panel's log."""
        told = to_json(event)
        self.log.append({"at_ms": self.now_ms(), **told})
        self._tell(told)

    def lost(self, transport: Transport, error: BaseException) -> None:
        """One transport is gone until the next boot finds it again; the device stops if it was the last."""
        self.report(TransportLost(transport=transport, why=str(error)))
        self._lost.add(transport)
        if self._lost >= self._carriers.keys():
            self.broken(error)

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
        output = self.ask(lambda: self.server.event(event, self.now_ms()))
        self.take(output)
        if isinstance(event, InputChanged) and event.name == BATTERY_INPUT:
            self._show()
        return output.refused

    async def settled(self) -> None:
        """Wait until everything that has happened so far was carried out."""
        if self._worker is not None and not self._worker.done():
            await self._agenda.settled()

    def advance(self, ms: int) -> None:
        """Let `ms` pass at once, where the device's clock allows it; what is due then happens now."""
        self._clock.advance(ms)
        self._recorder.due(self.now_ms())
        if self._powered:
            self.take(self.ask(lambda: self.server.due(self.now_ms())))

    def status(self) -> PanelStatusJson:
        """What the panel shows; `mode` is None while nothing can run."""
        if self._powered:
            return {**self.server.status(self.now_ms()), "passkey": self._display.passkey}
        return {"mode": None, "lease_ms": None, "gate": "shut", "running": None, "slots": [], "passkey": None}

    @property
    def powered(self) -> bool:
        """Whether an image runs. False after a boot that found nothing that may run."""
        return self._powered

    def _at_once(self, output: Output) -> None:
        """What must not wait for the worker: nothing that was half received survives the step that drops it."""
        if any(isinstance(effect, DropReassembly) for effect in output.effects):
            for carrier in self._carriers.values():
                carrier.drop_partial()

    # --- the worker ---

    async def _work(self) -> None:
        while True:
            output = self._agenda.next() or self._execute()
            if output is None:
                await self._sleep()
            else:
                await self._carry_out(output)
                await asyncio.sleep(0)  # the radio's turn: requests may have queued up without end

    def _execute(self) -> Output | None:
        if not self._powered:
            return None
        output = self.server.run_one(self.now_ms())
        if output is None:
            output = self.server.idle()
        if output is not None:
            self._at_once(self._recorded(output))
        self._peers.tell_room()
        return output

    async def _sleep(self) -> None:
        limits = (self.server.next_due_ms() if self._powered else None, self._recorder.next_due_ms())
        due_ms = min((each for each in limits if each is not None), default=None)
        await self._agenda.sleep(None if due_ms is None else max(0, due_ms - self.now_ms()))
        self._recorder.due(self.now_ms())

    async def _carry_out(self, output: Output) -> None:
        await self._spend(output.flash_us)
        self._peers.answer(output.answers)
        for effect in output.effects:
            if isinstance(effect, ResetNow):
                self.report(ResetBegan())
                await self._reset()
                return  # what else was wanted was wanted by the life before
            self._effect(effect)
        self._showing.follow_reset()
        await self._showing.set_pace()

    def _effect(self, effect: RuntimeEffect) -> None:
        match effect:
            case DropReassembly():
                pass  # carried out when it was decided
            case EndConnections(peers=peers, after_answer=after_answer):
                for peer_id in peers:
                    self._peers.end(peer_id, after_answers=after_answer)
            case ShowService(shown=shown):
                self._showing.smp = shown
                self._show()
            case ModeChanged(mode=mode):
                self.report(NewMode(mode=mode))
                self._show()
            case Inhibit(names=names):
                self.report(InhibitChanged(names=tuple(sorted(names))))
            case ResetNow():
                pass  # carried out where the order of effects ends
            case _:
                assert_never(effect)

    def _show(self) -> None:
        self._showing.show(self.now_ms(), self._inputs.get(BATTERY_INPUT))

    async def _spend(self, flash_us: int) -> None:
        if flash_us:
            await asyncio.sleep(flash_us / 1_000_000)


def _say_nothing(event: dict[str, Any]) -> None:
    del event
