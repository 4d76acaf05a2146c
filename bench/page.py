"""docs/bench.md and its plots, made from build/bench.json: what was measured last, for people.

python -m bench.page
"""

import json
from pathlib import Path
from typing import Any

from bench import plots, waits

SOURCE = Path("build/bench.json")
PAGE = Path("docs/bench.md")

INTRODUCTION = """# Rates beside their bounds

Made from `build/bench.json` by `python -m bench.page`, after `make bench`. The radio is a model (`docs/air.md`): 2M
PHY, 251-byte data length, four buffers. The bound is computed from the rules of the air and the flash alone
(`keyswitch.timing.bound`), never from what we do, for requests with offsets of 64 KiB and more: earlier ones hold up
to two bytes of image more, so that a short image can come out a hair above it. Absolute rates over UDP and serial are
those of one small machine: read them as ratios.

Nothing here was measured on a real radio.
"""

COMPARED = """## Against the peers, in real time

Each client is a process of its own; they take turns on the same device process and link, and the median of five counts.
mcumgr-toolkit has no way to a virtual radio.

![Upload rates over the modelled radio](bench.svg)

![Upload rates over UDP and a pseudo-terminal](bench-wires.svg)
"""

FLOODED = """
## Beside a flood, in real time

Echoes of one client on the device's serial line, one at a time, while another process sends datagrams to its UDP socket
as fast as it can. The line must keep half of its rate; a device that is busy may answer sooner than one that sleeps.
"""

MODELLED = """
## In virtual time, with one request at a time beside it

![Upload rates in virtual time](bench-model.svg)
"""


def main() -> None:
    """Write the page, and draw the plots from its tables."""
    measured = json.loads(SOURCE.read_text())
    cells = sorted(measured["cells"], key=_order)
    compared = [cell for cell in cells if cell["peers"]]
    modelled = [cell for cell in cells if not cell["peers"]]
    lines = [INTRODUCTION, COMPARED, *_compared(compared), MODELLED, *_modelled(modelled)]
    lines += [FLOODED, *_flooded(measured["hostile"])] if "hostile" in measured else []
    lines += [waits.SECTION, *waits.page_table(measured["waits"])] if "waits" in measured else []
    PAGE.write_text("\n".join(lines) + "\n")
    plots.main([str(PAGE)])
    print(f"written: {PAGE}")


def _order(cell: dict[str, Any]) -> tuple[Any, ...]:
    return cell["transport"], cell["loss"], cell["flash"], cell["interval_us"] or 0, -cell["buf_size"]


def _compared(cells: list[dict[str, Any]]) -> list[str]:
    rows = [
        "| link | buffer | bound kB/s | ours | of it | smpclient | mcumgr-toolkit | CPU s/MB ours | CPU smpclient |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        ours, bound = cell["ours_bytes_per_second"], cell["bound_bytes_per_second"]
        share = _share(ours, bound)
        peers = " | ".join(_kilo(cell["peers"].get(name)) for name in ("smpclient", "mcumgr_toolkit"))
        cpu = f"{cell['ours_cpu_s_per_mb']} | {cell['smpclient_cpu_s_per_mb']}"
        rows.append(
            f"| {_link(cell)} | {cell['buf_size']} | {_kilo(bound)} | {_kilo(ours)} | {share} | {peers} | {cpu} |"
        )
    return rows


def _modelled(cells: list[dict[str, Any]]) -> list[str]:
    rows = [
        "| link | buffer | flash | bound kB/s | ours | of the bound | one at a time |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        ours, bound = cell["ours_bytes_per_second"], cell["bound_bytes_per_second"]
        rows.append(
            f"| {_link(cell)} | {cell['buf_size']} | {cell['flash']} | {_kilo(bound)} | {_kilo(ours)} "
            f"| {_share(ours, bound)} | {_kilo(cell['window1_bytes_per_second'])} |"
        )
    return rows


def _flooded(floods: dict[str, dict[str, float]]) -> list[str]:
    rows = ["| flood | echoes/s | of the rate alone |", "|---|---|---|"]
    return rows + [
        f"| {name} | {found['echoes_per_second']:.0f} | {100 * found['share']:.0f} % |"
        for name, found in floods.items()
    ]


def _link(cell: dict[str, Any]) -> str:
    if cell["interval_us"] is None:
        return str(cell["transport"])
    loss = f", {cell['loss']:.0%} lost" if cell["loss"] else ""
    return f"{cell['interval_us'] / 1000:g} ms{loss}"


def _kilo(rate: float | None) -> str:
    return "" if rate is None else f"{rate / 1000:.1f}"


def _share(rate: float | None, bound: float | None) -> str:
    return f"{100 * rate / bound:.0f} %" if rate and bound else ""


if __name__ == "__main__":
    main()
