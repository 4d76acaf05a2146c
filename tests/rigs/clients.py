"""Foreign clients, unmodified, as processes of their own: what they were asked to do, and what they say came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.rigs import places
from tests.rigs.process import run, running

_DRIVERS: Final = Path(__file__).with_name("drivers")
Operation = Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command-line client ended with.

    Attributes:
        code: its exit code.
        text: what it printed, both streams together.
    """

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client library behind a driver.

    Attributes:
        name: of the library.
        driver: the script that drives it.
    """

    name: str
    driver: Path

    async def do(
        self, target: str, *operations: Operation, inside: Sequence[str] = (), timeout_ms: int = 60_000
    ) -> list[dict[str, Any]]:
        """Let the client do `operations` in order; one result for each, up to the first that failed.

        Args:
            target: as the driver takes it.
            operations: a name and its arguments each; see the drivers.
            inside: put in front of the command, to run it in another network namespace.
            timeout_ms: for all of it.
        """
        places.need(places.why_no_clients())
        command: list[str | Path] = [*inside, places.PEERS_PYTHON, self.driver, target, json.dumps(operations)]
        async with running(*command) as process:
            code = await process.wait(timeout_ms)
            results = [json.loads(line) for line in process.said.splitlines() if line.startswith('{"op"')]
            assert code == 0, f"{self.name} ended with {code}:\n{process.said}"
            assert results, f"{self.name} said nothing:\n{process.said}"
            return results


SMPCLIENT: Final = Client(name="smpclient", driver=_DRIVERS / "smpclient_driver.py")
TOOLKIT: Final = Client(name="mcumgr-toolkit", driver=_DRIVERS / "toolkit_driver.py")
LIBRARIES: Final = (SMPCLIENT, TOOLKIT)


async def smpmgr(*arguments: str | Path, inside: Sequence[str] = (), timeout_ms: int = 60_000) -> Said:
    """Run the smpmgr command with `arguments`."""
    places.need(places.why_no_clients())
    program = places.PEERS_PYTHON.with_name("smpmgr")
    code, text = await run(*inside, program, *arguments, timeout_ms=timeout_ms, env={"COLUMNS": "200", "NO_COLOR": "1"})
    return Said(code=code, text=text)


def all_ok(results: Sequence[dict[str, Any]]) -> None:
    """Fail with the client's own words unless every operation went well."""
    bad = [result for result in results if not result["ok"]]
    assert not bad, f"{bad[0]['op']}: {bad[0]['kind']}: {bad[0]['said']}"
