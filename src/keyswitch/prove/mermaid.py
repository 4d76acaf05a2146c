"""A chart as a Mermaid state diagram, for documents that render one."""

from typing import Final

from keyswitch.prove.chart import Chart, conditions

_MAINTENANCE: Final = "    classDef maintenance fill:#ffdfb6,stroke:#bc4c00,color:#1f2328"
"""With the colour of its text, which a dark page would make light."""


def mermaid(chart: Chart) -> str:
    """The whole diagram's text."""
    lines = ["stateDiagram-v2", f"    %% {chart.title}: made from the policy"]
    lines += [f'    state "{mode.name}" as m{mode.index}' for mode in chart.columns]
    lines.append(f"    [*] --> m{chart.initial}")
    for row in chart.rows:
        # A colon ends a label's name, and a semicolon the statement.
        words = row.label.replace(":", "").replace(";", ",").replace("\N{NO-BREAK SPACE}", " ")
        lines += [f"    m{source} --> m{row.target}: {words}" for source in row.sources]
    for mode in chart.columns:
        note = "allows " + (", ".join(mode.allow_text) or "nothing")
        more = " · ".join(
            [*(["maintenance, firmware may be changed here"] if mode.maintenance else []), *conditions(mode)]
        )
        lines += [f"    note right of m{mode.index}", f"        {note}", *([f"        {more}"] if more else [])]
        lines.append("    end note")
    inside = ",".join(f"m{mode.index}" for mode in chart.columns if mode.maintenance)
    if inside:
        lines += [_MAINTENANCE, f"    class {inside} maintenance"]
    return "\n".join(lines) + "\n"
