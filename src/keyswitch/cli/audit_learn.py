"""`keyswitch audit --learn TARGET -o FILE`: a first policy file from what a device answers to read requests."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyswitch import __version__
from keyswitch.app.endpoints import open_endpoint
from keyswitch.app.update import recipe_way
from keyswitch.audit.learn import Looked, look, sketch
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.wire import Visit
from keyswitch.cli.audit_hands import AskedPerson
from keyswitch.cli.audit_run import transport_of
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.cli.prompt import ask_passkey
from keyswitch.cli.update import variables_of
from keyswitch.errors import InputError, LinkLostError
from keyswitch.exits import Exit
from keyswitch.files.writing import create_file
from keyswitch.host.access.strategy import EntryRefused
from keyswitch.policy.load import load


def learn(target: str, output: Path, options: Mapping[str, Any]) -> Exit:
    """Look at the device as it is, and in maintenance where somebody or a recipe brings it there; write the sketch.

    Raises:
        InputError: the file cannot be written, or an option cannot be used.
        LinkLostError: the device was not reached.
    """
    for name in ("policy", "next_image", "image", "expect", "panel", "observe", "secret", "permit", "holder", "to"):
        if options[name] is not None:
            raise InputError(f"--{name.replace('_image', '')}", "means nothing with --learn", "-o FILE")
    if output.exists():
        raise InputError(str(output), "is there already", "a name that is free")
    transport = transport_of(target)
    outside, inside = run_to_end(_look(target, options))
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text = sketch(target, transport, outside, inside, tool=f"keyswitch {__version__}", at=at)
    load(text.encode(), directory=output.parent)  # what is written can be read
    create_file(output, text.encode())
    where = "and in maintenance" if inside is not None else "and not in maintenance: with --recipe or --ask it would be"
    echo(f"{output}: {len(outside.served)} of the read commands were answered where it was found, {where}")
    return Exit.YES


async def _look(target: str, options: Mapping[str, Any]) -> tuple[Looked, Looked | None]:
    transport = transport_of(target)
    pair = {name: options[name] for name in ("passkey", "bonds")} if options["pair"] else {}
    endpoint = open_endpoint(target, pair=options["pair"], ask_passkey=ask_passkey, **pair)
    try:
        visit = Visit(transport, await endpoint.connect())
        outside = await look(visit)
        inside: Looked | None = None
        if options["recipe"] is not None:
            way = recipe_way(options["recipe"], dict(variables_of(options["variables"])))
            granted = await way.enter(visit.connection, echo)
            if isinstance(granted, EntryRefused):
                raise NotReachedError(f"{way.words}: {granted.detail}")
            await visit.connection.wait_closed(granted.within_ms if granted.restarts and endpoint.radio else 0)
            await visit.close()
            if granted.identity is not None:
                endpoint.visit(granted.identity)
            visit = Visit(transport, await endpoint.connect(smp_shown=granted.shows_smp))
            inside = await look(visit)
            with suppress(LinkLostError):
                await way.leave(visit.connection)
        elif options["ask"]:
            await visit.close()
            await AskedPerson().bring("maintenance")
            visit = Visit(transport, await endpoint.connect())
            inside = await look(visit)
        await visit.close()
        return outside, inside
    finally:
        await endpoint.close()
