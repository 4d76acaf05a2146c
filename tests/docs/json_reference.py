"""docs/reference/json.md, made of every shape that goes out: `python -m tests.docs.json_reference` writes it.

It does not write a page on which a key has gone, or holds something else, under the same `schema_version`.
"""

import inspect
import re
import sys
from typing import Final, get_args

from tests import shapes
from tests.docs.consoles import DOCS
from tests.shapes import Shape

from keyswitch.app import json_output
from keyswitch.app.bonds import BondJson
from keyswitch.app.evidence_json import CheckedJson, RecordJson
from keyswitch.app.image_json import DiffJson, ImageFileJson, VerifyJson
from keyswitch.app.permit_json import PermitJson
from keyswitch.app.smp_request import SmpJson
from keyswitch.audit.json_output import (
    AuditCheckJson,
    AuditJson,
    AuditProgressJson,
    AuditReplayedJson,
    AuditSaidJson,
    ReportCheckedJson,
)
from keyswitch.campaign import json_output as campaign_json
from keyswitch.console.json_output import ConsoleJson
from keyswitch.demo.scene import BeginsJson, DemoProgressJson, StepEndedJson, StepProvedJson, SummaryJson
from keyswitch.device.events import DeviceEvent, LiveEvent
from keyswitch.export.zephyr import DriftJson, ExportJson
from keyswitch.panel.protocol import PanelStatusJson
from keyswitch.prove.explain import ExplainJson
from keyswitch.prove.report import PolicyCheckJson
from keyswitch.replay.play import ReplayJson
from keyswitch.schema.output import SCHEMA_VERSION

PAGE: Final = DOCS / "reference" / "json.md"

DEVICE_EVENTS: Final[tuple[Shape, ...]] = (*get_args(LiveEvent), *get_args(DeviceEvent))
PANEL: Final = ("advance", "confirm", "power-cycle", "press", "set", "status")

CAMPAIGN: Final[tuple[Shape, ...]] = get_args(campaign_json.RunJson)

PRINTED: Final[dict[str, tuple[Shape, ...]]] = {
    "keyswitch audit": (AuditSaidJson, AuditProgressJson, AuditJson),
    "keyswitch audit --replay": (AuditSaidJson, AuditProgressJson, AuditReplayedJson),
    "keyswitch audit --list": (AuditCheckJson,),
    "keyswitch bonds list": (BondJson,),
    "keyswitch campaign abort": (campaign_json.CampaignJson,),
    "keyswitch campaign approve": (campaign_json.CampaignJson,),
    "keyswitch campaign pause": (campaign_json.CampaignJson,),
    "keyswitch campaign plan": (campaign_json.DevicePlanJson, campaign_json.CampaignPlanJson),
    "keyswitch campaign resume": CAMPAIGN,
    "keyswitch campaign retry": (*CAMPAIGN, campaign_json.GatewayReplacedJson),
    "keyswitch campaign run": CAMPAIGN,
    "keyswitch campaign status": (campaign_json.DeviceStatusJson, campaign_json.CampaignJson),
    "keyswitch check": (PolicyCheckJson,),
    "keyswitch check --replay": (ReplayJson,),
    "keyswitch console": (ConsoleJson,),
    "keyswitch demo": (BeginsJson, DemoProgressJson, StepProvedJson, StepEndedJson, SummaryJson),
    "keyswitch device": DEVICE_EVENTS,
    "keyswitch evidence show": (RecordJson,),
    "keyswitch evidence verify": (CheckedJson, ReportCheckedJson),
    "keyswitch explain": (ExplainJson,),
    "keyswitch export zephyr": (ExportJson,),
    "keyswitch export zephyr --check": (DriftJson,),
    "keyswitch gateway": get_args(campaign_json.GatewayJson),
    "keyswitch image diff": (DiffJson,),
    "keyswitch image show": (ImageFileJson,),
    "keyswitch image verify": (VerifyJson,),
    **{f"keyswitch panel {each}": (PanelStatusJson,) for each in PANEL},
    "keyswitch panel log": DEVICE_EVENTS,
    "keyswitch permit show": (PermitJson,),
    "keyswitch scan": (json_output.ScanJson,),
    "keyswitch smp": (SmpJson,),
    "keyswitch status": (json_output.StatusJson,),
    "keyswitch update": get_args(json_output.UpdateJson),
    "keyswitch update --dry-run": (json_output.PlanJson,),
}
"""What each command prints with `--json`; a stream's last object is the last one here."""

HEAD: Final = f"""# JSON that the commands print

Made from the code's own types. Every object has `schema_version`, which is {SCHEMA_VERSION}. A new key leaves it as it
is; it is raised where a key goes or means something else. What is not known is null, and its key is there all the same.
A time is in milliseconds (`_ms`), a rate in bytes per second. Objects that come as a stream stand one on a line.
`keyswitch panel DIR log` adds `at_ms`, the device's time.

| Command, with `--json` | Objects |
|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = "".join(f"| `{command}` | {_objects(printed)} |\n" for command, printed in PRINTED.items())
    return HEAD + rows + "".join(_section(shape) for shape in all_shapes())


def _objects(printed: tuple[Shape, ...]) -> str:
    if printed == DEVICE_EVENTS:
        return "[every event of the device](#event-boot)"
    return ", ".join(f"[{shapes.name(each)}](#{shapes.name(each).lower()})" for each in printed)


def all_shapes() -> list[Shape]:
    """Every shape that is printed, and those within them, each once."""
    found: dict[Shape, None] = {}
    for printed in PRINTED.values():
        for shape in printed:
            _collect(shape, found)
    return list(found)


def _collect(shape: Shape, found: dict[Shape, None]) -> None:
    if shape in found:
        return
    found[shape] = None
    for kind in shapes.keys(shape).values():
        for each in shapes.inner(kind):
            _collect(each, found)


def _section(shape: Shape) -> str:
    told = (inspect.getdoc(shape) or "").partition("Attributes:")[0]
    rows = "".join(f"| `{key}` | {shapes.words(kind)} |\n" for key, kind in shapes.keys(shape).items())
    return f"\n## {shapes.name(shape)}\n\n{' '.join(told.split())}\n\n| Key | |\n|---|---|\n{rows}"


def told_by(text: str) -> dict[str, str]:
    """What a page says: `OBJECT.key`, and what it holds; and the version that it is about."""
    found = {"schema_version": (re.findall(r"`schema_version`, which is (\d+)", text) or ["0"])[0]}
    for part in text.split("\n## ")[1:]:
        title = part.partition("\n")[0]
        found |= {f"{title}.{key}": kind for key, kind in re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE)}
    return found


def taken_back(before: str, after: str) -> list[str]:
    """The keys that have gone or hold something else, although the version is the same; of two pages."""
    old, new = told_by(before), told_by(after)
    if old.pop("schema_version") != new["schema_version"]:
        return []
    return sorted(key for key, kind in old.items() if new.get(key) != kind)


if __name__ == "__main__":
    lost = taken_back(PAGE.read_text("utf-8"), page()) if PAGE.exists() else []
    if lost:
        sys.exit(f"raise SCHEMA_VERSION (keyswitch.schema.output), or put back: {', '.join(lost)}")
    PAGE.write_text(page(), "utf-8")
