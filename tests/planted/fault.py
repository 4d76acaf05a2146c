"""A planted fault: the device's parts with one rule taken out, and the test that has to notice."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import product
from typing import Any
from unittest import mock

import pytest

from keyswitch.device.server.components import Components


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table.

    Attributes:
        name: what is broken, as a sentence that could stand in a bug report.
        rule: the value that was taken out; None where the fault is another one (an exception to a rule, say).
        parts: the device with this fault.
        caught_by: `file::test` of the test that has to fail with it, below `tests/`.
    """

    name: str
    rule: object = None
    parts: Components
    caught_by: str


@contextmanager
def standing_in(parts: Components) -> Iterator[None]:
    """Meanwhile `Components()` is `parts`, wherever it is made: whoever names a part of its own still gets that one."""
    with mock.patch.dict(
        Components.__init__.__kwdefaults__, {each.name: getattr(parts, each.name) for each in fields(parts)}
    ):
        yield


def runs_of(caught_by: str) -> list[Callable[[], None]]:
    """The named test, once for each set of parameters. It takes no fixtures: those it would share with sound runs."""
    file, _, name = caught_by.partition("::")
    test = getattr(importlib.import_module("tests." + file.removesuffix(".py").replace("/", ".")), name)
    sets = [_sets(mark) for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return [
        lambda given=given: test(**{key: value for each in given for key, value in each.items()})
        for given in product(*sets)
    ]


def _sets(mark: pytest.Mark) -> list[dict[str, Any]]:
    names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
    return [dict(zip(names, pytest.param(row).values if len(names) == 1 else row, strict=True)) for row in mark.args[1]]


def noticed(fault: Fault) -> bool:
    """Whether the named test fails with the fault. Any other error is no catch: the planted value does not fit."""
    with standing_in(fault.parts):
        for run in runs_of(fault.caught_by):
            try:
                run()
            except (AssertionError, LookupError, ValueError, pytest.fail.Exception):
                return True
    return False
