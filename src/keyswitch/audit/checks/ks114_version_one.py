"""KS-114: the older protocol version is gated as the newer one is."""

from dataclasses import replace
from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.checks import (
    ks101_upload_first,
    ks104_state_test,
    ks106_erase,
    ks108_reset,
    ks110_settings,
    ks111_files,
    ks113_storage,
)
from keyswitch.audit.wire import Attempt
from keyswitch.smp.header import SmpVersion

ID: Final = "KS-114"
_OF: Final = (
    ks101_upload_first,
    ks104_state_test,
    ks106_erase,
    ks108_reset,
    ks110_settings,
    ks111_files,
    ks113_storage,
)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """One attempt at each command, in frames of version 1."""
    return situation.seen(
        replace(each, check=ID, version=SmpVersion.V1, words=f"{each.words}, in protocol version 1")
        for check in _OF
        for each in check.attempts(situation)
    )


CHECK: Final = Check(
    id=ID,
    title="the older protocol version is gated as the newer one is",
    requirement="A frame of version 1 is refused where the same one of version 2 is.",
    why="Version 1 has another error format, and older hooks and clients take another path for it.",
    how="Upload, state write, erase, reset, settings, files and storage erase in frames of version 1.",
    finding="The gate is open to whoever sets three bits otherwise.",
    remedy="Decide before the version is looked at, by group, command and operation.",
    catches="protocol version 1 passes by the gate",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    resets=True,
)
