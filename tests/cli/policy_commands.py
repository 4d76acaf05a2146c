"""Runs the command as a person does: arguments in, exit code and both outputs back."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from keyswitch.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as end:
            main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return Ran(code=int(end.value.code), out=captured.out, err=captured.err)

    return ran


__all__ = ["Ran", "Run", "run"]
