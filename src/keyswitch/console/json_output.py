"""What `keyswitch console --json` prints. Rules: those of `keyswitch.schema.output`."""

from typing import TypedDict

from keyswitch.console.server import Serving


class ConsoleJson(TypedDict):
    """The console listens; the tokens are null where none is asked."""

    event: str
    url: str
    operate_token: str | None
    look_token: str | None


def console_json(serving: Serving) -> ConsoleJson:
    """A console that listens."""
    tokens = serving.tokens
    return {
        "event": "console",
        "url": serving.url,
        "operate_token": None if tokens is None else tokens.operate,
        "look_token": None if tokens is None else tokens.look,
    }
