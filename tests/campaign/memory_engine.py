"""The engine's port without a disk: what it keeps is JSON, and survives as long as its `kept` does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyswitch.campaign.engine import Flow


@dataclass
class Kept:
    """What a store has: results of flows and of steps, as JSON."""

    flows: dict[str, str] = field(default_factory=dict)
    steps: dict[tuple[str, int], str] = field(default_factory=dict)


class MemoryEngine:
    """Carries flows out in the loop that asks; `waited_ms` are the waits that were asked for, none is waited."""

    def __init__(self, flows: Mapping[str, Flow], kept: Kept) -> None:
        self._flows, self.kept, self.waited_ms = flows, kept, list[int]()
        self._running: dict[str, asyncio.Task[Any]] = {}
        self.others: dict[str, Callable[[str, Any], Awaitable[Any]]] = {}

    async def run(self, id_: str, flow: str, argument: Any) -> Any:
        if id_ in self.kept.flows:
            return json.loads(self.kept.flows[id_])
        if id_ not in self._running:
            self._running[id_] = asyncio.ensure_future(self._carried_out(id_, flow, json.loads(json.dumps(argument))))
        return await self._running[id_]

    async def elsewhere(self, executor: str, flow: str, id_: str, argument: Any) -> Any:
        if id_ not in self.kept.flows:
            self.kept.flows[id_] = json.dumps(await self.others[executor](flow, argument))
        return json.loads(self.kept.flows[id_])

    def abandon(self) -> None:
        """Carry nothing out any more; what is kept stays."""
        for each in self._running.values():
            each.cancel()

    async def _carried_out(self, id_: str, flow: str, argument: Any) -> Any:
        result = await self._flows[flow](MemorySteps(self, id_), argument)
        self.kept.flows[id_] = json.dumps(result)
        return json.loads(self.kept.flows[id_])


@dataclass
class MemorySteps:
    engine: MemoryEngine
    id: str
    number: int = 0

    async def step(self, name: str, act: Callable[[], Awaitable[Any]]) -> Any:
        self.number += 1
        place = (self.id, self.number)
        if place not in self.engine.kept.steps:
            self.engine.kept.steps[place] = json.dumps(await act())
        return json.loads(self.engine.kept.steps[place])

    async def sleep(self, duration_ms: int, until: asyncio.Event) -> None:
        self.engine.waited_ms.append(duration_ms)
        await asyncio.sleep(0)

    async def children(self, flow: str, arguments: Sequence[tuple[str, Any]]) -> list[Any]:
        return await asyncio.gather(*(self.engine.run(id_, flow, argument) for id_, argument in arguments))

    async def elsewhere(self, executor: str, flow: str, id_: str, argument: Any) -> Any:
        return await self.engine.elsewhere(executor, flow, id_, json.loads(json.dumps(argument)))
