"""One SMP request as a person writes it, sent to a device; what it answers, and what its gate says.

    asked = await ask("ble:Pump 7", request_of("os", "echo", '{"d": "hi"}'))

Rules:

* Nothing is interpreted: what is written is sent, whatever is known of the command. The device's gate decides.
* JSON has no bytes, CBOR has: `hex:0a0b` is bytes in both directions. A text that begins so is written `text:hex:…`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.app.endpoints import AskPasskey, open_endpoint
from keyswitch.app.json_output import VerdictFields, verdict_json
from keyswitch.errors import InputError, LinkLostError, RemoteError, SilenceError
from keyswitch.files.documents import parse_json
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Verdict, verdict_of_failed_connect
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.link.ports import PairingNumbers
from keyswitch.smp.commands import BY_NAME, COMMANDS, GROUP_BY_NAME, command_name
from keyswitch.smp.groups import mode, os
from keyswitch.smp.header import Op

ANSWER_MS: Final = 10_000
"""How long an answer is waited for: an erase of a large slot takes some seconds."""

MAX_GROUP: Final = 0xFFFF
MAX_COMMAND: Final = 0xFF
"""The header has 16 bits for the group and 8 for the command (`keyswitch.smp.header`)."""

_BYTES: Final = "hex:"
_TEXT: Final = "text:"
_BODY: Final = 'one JSON object, such as \'{"d": "hi"}\''


@dataclass(frozen=True, slots=True, kw_only=True)
class SmpRequest:
    """What is to be sent.

    Attributes:
        op: read or write.
        group: SMP group.
        command: command id in the group.
        body: the request's map.
    """

    op: Op
    group: int
    command: int
    body: Mapping[str, object]

    @property
    def words(self) -> str:
        """The command's name and numbers."""
        verb = "read" if self.op is Op.READ else "write"
        name = command_name(self.group, self.command)
        numbers = "" if name == f"{self.group}/{self.command}" else f", {self.group}/{self.command}"
        return f"{name} ({verb}{numbers})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of it.

    Attributes:
        verdict: on the gate, asked before.
        reply: the device's answer or refusal; None where it gave none.
        trouble: why there is none; empty otherwise.
        lost: the device was silent, or the link ended; else what came back is no answer.
    """

    verdict: Verdict
    reply: Answer | Refusal | None
    trouble: str = ""
    lost: bool = False


def request_of(group: str, command: str, body: str | None = None, *, op: Op | None = None) -> SmpRequest:
    """The request that these words mean.

    Args:
        group: its number, or its name in policies (`os`, `image`).
        command: its number, or its name behind the dot (`echo`, `state`).
        body: a JSON object; None: an empty map.
        op: None: the one that the command has. Where it has both, or is not known, read; an echo is a write, which is
            what clients send, and Zephyr takes either.

    Raises:
        InputError: a name is not known, a number is too large, or the body is no JSON object.
    """
    known = GROUP_BY_NAME.get(group)
    number = known.id if known is not None else _number(group, "group", MAX_GROUP, list(GROUP_BY_NAME))
    names = [name.partition(".")[2] for name, each in BY_NAME.items() if each.group == number]
    group_name = next((each.name for each in GROUP_BY_NAME.values() if each.id == number), "")
    named = BY_NAME.get(f"{group_name}.{command}")
    identifier = named.id if named is not None else _number(command, "command", MAX_COMMAND, names)
    fields: Any = {} if body is None else parse_json(body.encode("utf-8", "surrogateescape"), "JSON", _BODY)
    if not isinstance(fields, dict):
        raise InputError("JSON", "no object", _BODY)
    return SmpRequest(
        op=_usual(number, identifier) if op is None else op,
        group=number,
        command=identifier,
        body=cast("dict[str, object]", from_json(cast("object", fields))),
    )


async def ask(
    target: str,
    request: SmpRequest,
    *,
    timeout_ms: int = ANSWER_MS,
    pair: bool = False,
    passkey: int | None = None,
    bonds: Path | None = None,
    ask_passkey: AskPasskey | None = None,
    capture: Path | None = None,
    numbers: PairingNumbers | None = None,
) -> Asked:
    """Ask the device that `target` names about its gate, then send it the request.

    Args:
        target: as `keyswitch status` takes it.
        request: what is sent.
        timeout_ms: how long its answer may take.
        pair: as `open_endpoint` takes it, and so are the others.
        passkey: the six digits that the device shows.
        bonds: file that keeps the keys of a radio of ours.
        ask_passkey: asks a person for the six digits.
        capture: new file for what is sent and received.
        numbers: shows that person numbers, to be compared or typed on the device.

    Raises:
        LinkLostError: the device was not reached.
        SilenceError: it did not say what its gate is.
        InputError: the target names nothing that can be reached, or several devices.
    """
    endpoint = open_endpoint(
        target, pair=pair, passkey=passkey, bonds=bonds, ask_passkey=ask_passkey, capture=capture, numbers=numbers
    )
    try:
        return await _asked(endpoint, request, timeout_ms)
    finally:
        await endpoint.close()


async def _asked(endpoint: Endpoint, request: SmpRequest, timeout_ms: int) -> Asked:
    try:
        connection = await endpoint.connect()
    except RemoteError as error:
        return Asked(verdict=verdict_of_failed_connect(error), reply=None, trouble=str(error))
    try:
        verdict = await probe_gate(connection)
        client = (connection.mode if request.group == mode.ID else None) or connection.smp
        if client is None:
            return Asked(verdict=verdict, reply=None, trouble="the device shows no service for this group")
        return await _reply(client, request, timeout_ms, verdict)
    finally:
        await connection.close()


async def _reply(client: SmpClient, request: SmpRequest, timeout_ms: int, verdict: Verdict) -> Asked:
    try:
        reply = await client.ask(request.op, request.group, request.command, request.body, timeout_ms=timeout_ms)
    except RemoteError as error:
        return Asked(verdict=verdict, reply=None, trouble=str(error))
    except (LinkLostError, SilenceError) as error:
        return Asked(verdict=verdict, reply=None, trouble=str(error), lost=True)
    return Asked(verdict=verdict, reply=reply)


class SmpJson(VerdictFields):
    """What one request came to, and the gate as it was asked before."""

    request: str
    reply: dict[str, Any] | None
    trouble: str | None


def smp_json(request: SmpRequest, asked: Asked) -> SmpJson:
    """A request and its answer."""
    return {
        **verdict_json(asked.verdict),
        "request": request.words,
        "reply": reply_json(asked.reply),
        "trouble": asked.trouble or None,
    }


def reply_json(reply: Answer | Refusal | None) -> dict[str, Any] | None:
    """The reply as JSON values: `values` of an answer, or `code`, `group`, `name` and `text` of a refusal."""
    match reply:
        case None:
            return None
        case Answer():
            return {"values": to_json(reply.values), "version": reply.version}
        case Refusal():
            return {
                "code": reply.code,
                "group": reply.group,
                "name": reply.name,
                "text": reply.text,
                "beside": to_json(reply.beside),
                "version": reply.version,
            }


def to_json(value: object) -> Any:
    """A CBOR value as JSON can hold it; what `from_json` makes the same value of."""
    match value:
        case bytes():
            return f"{_BYTES}{value.hex()}"
        case str():
            return f"{_TEXT}{value}" if value.startswith((_BYTES, _TEXT)) else value
        case Mapping():
            return {str(key): to_json(each) for key, each in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [to_json(each) for each in cast("list[object]", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def from_json(value: object) -> object:
    """A JSON value as CBOR has it.

    Raises:
        InputError: behind `hex:` stand no hexadecimal bytes.
    """
    match value:
        case str() if value.startswith(_TEXT):
            return value.removeprefix(_TEXT)
        case str() if value.startswith(_BYTES):
            try:
                return bytes.fromhex(value.removeprefix(_BYTES))
            except ValueError:
                raise InputError("JSON", f"{value!r}: no hexadecimal bytes", "hex:0a0b, or text:hex:…") from None
        case dict():
            return {key: from_json(each) for key, each in cast("dict[str, object]", value).items()}
        case list():
            return [from_json(each) for each in cast("list[object]", value)]
        case _:
            return value


def json_words(values: Mapping[str, Any]) -> str:
    """An answer's values in one line."""
    return json.dumps(to_json(values), ensure_ascii=False)


def _usual(group: int, command: int) -> Op:
    if (group, command) == (os.ID, os.Id.ECHO):
        return Op.WRITE
    ops = COMMANDS[group, command].ops if (group, command) in COMMANDS else ()
    return ops[0] if len(ops) == 1 else Op.READ


def _number(text: str, what: str, most: int, names: list[str]) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else most + 1
    if number > most:
        close = get_close_matches(text, names, 1)
        known = f"a number up to {most}" + (f", or one of {', '.join(names)}" if names else "")
        raise InputError(f"{what} {text}", "not known", f"{close[0]}?" if close else known)
    return number
