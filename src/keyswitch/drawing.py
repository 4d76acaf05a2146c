"""What our pictures share: text that is measured, one light and dark look, and the SVG around it. Pure.

Rules:

* Nobody knows which sans-serif font a reader has. Text is measured in DejaVu Sans, the widest in common use: in any
  other one it is shorter, and still lies where it was put.
* Every number is a whole pixel, nothing is drawn by chance: the same input gives the same bytes.
* A picture loads nothing, and follows the reader's light or dark setting by itself. Renderers that know no media
  queries show the light one.
* Words may come from files of strangers: what does not print is shown as its escape, and XML's own characters too.
"""

import unicodedata
from dataclasses import dataclass, field
from html import escape
from math import ceil
from typing import Final, Literal

from keyswitch.text import plain

REGULAR_FONT: Final = (
    "318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636 636 636 337 337 "
    "838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 748 787 603 787 695 635 611 732 684 989 "
    "685 611 685 390 337 390 838 500 500 613 635 550 635 615 352 635 634 278 278 579 278 974 634 612 635 635 411 521 "
    "392 634 592 818 592 592 525 636 337 636 838"
)
"""Advance widths of U+0020 to U+007E in thousandths of the font's size: DejaVu Sans 2.37, table hmtx."""

BOLD_FONT: Final = (
    "348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 696 696 696 400 400 "
    "838 838 838 580 1000 774 762 734 830 683 683 821 837 372 372 775 637 995 837 850 733 850 770 720 682 812 774 1103 "
    "771 724 725 457 365 457 838 500 500 675 716 593 716 678 435 716 712 343 343 665 343 1042 712 687 716 716 493 595 "
    "478 712 652 924 645 652 582 712 365 712 838"
)
"""The same of DejaVu Sans Bold."""

_REGULAR: Final = tuple(int(each) for each in REGULAR_FONT.split())
_BOLD: Final = tuple(int(each) for each in BOLD_FONT.split())
_KEEP: Final = "\N{NO-BREAK SPACE}"
_OURS: Final = {_KEEP: 348, "·": 380, "…": 1000, "→": 838}
"""Characters that our own labels use, in the bold font."""
_OTHER: Final = 1300
"""Wider than any letter of Latin, Greek and Cyrillic, and than the usual ideographs and emoji."""

LINE: Final = 16
"""Pixels from one line of text to the next."""

TITLE_LINE: Final = 22
"""The same in a title."""

Kind = Literal["", "title", "strong", "note", "small", "failed", "open"]

FONTS: Final[dict[Kind, tuple[int, bool]]] = {
    "": (12, False),
    "title": (17, True),
    "strong": (12, True),
    "note": (11, False),
    "small": (11, False),
    "failed": (12, True),
    "open": (12, True),
}
"""Size in pixels and boldness of each kind of text; `_LOOK` says the same to the renderer."""

_FAMILY: Final = 'system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif'

_LOOK: Final = (
    "text{font-family:" + _FAMILY + ";font-size:12px}"
    ".title{font-size:17px}.note,.small{font-size:11px}.title,.strong,.failed,.open{font-weight:bold}"
    ".line,.arrow,.arrow-open,.arrow-failed,.series,.mean,.mark{fill:none}"
    ".line{stroke-width:1}.arrow,.arrow-open,.arrow-failed,.series{stroke-width:2}.mean{stroke-dasharray:6 4}"
    ".dashed{stroke-dasharray:5 4}.arrow-failed{stroke-dasharray:5 4}.unknown{stroke-dasharray:2 3}"
)


def _colours(
    *,
    page: str,
    ink: str,
    faint: str,
    line: str,
    card: str,
    edge: str,
    opened: tuple[str, str, str],
    blue: str,
    red: str,
) -> str:
    """Rules for one setting. `opened`: fill, edge and text of what stands for maintenance."""
    fill, stroke, words = opened
    return (
        f"text{{fill:{ink}}}.note{{fill:{faint}}}.failed{{fill:{red}}}.open{{fill:{words}}}"
        f".page{{fill:{page}}}.line{{stroke:{line}}}.card{{fill:{card};stroke:{edge}}}"
        f".card-open{{fill:{fill};stroke:{stroke}}}.unknown{{fill:{page};stroke:{edge}}}"
        f".arrow{{stroke:{ink}}}.tip{{fill:{ink}}}.arrow-open{{stroke:{stroke}}}.tip-open{{fill:{stroke}}}"
        f".arrow-failed{{stroke:{red}}}.tip-failed{{fill:{red}}}.mark{{stroke:{edge}}}"
        f".series{{stroke:{blue}}}.under{{fill:{blue};fill-opacity:.16}}.mean{{stroke:{faint}}}"
    )


STYLE: Final = (
    _LOOK
    + _colours(
        page="#ffffff",
        ink="#1f2328",
        faint="#59636e",
        line="#d1d9e0",
        card="#eef2f6",
        edge="#818b98",
        opened=("#ffdfb6", "#bc4c00", "#953800"),
        blue="#0969da",
        red="#cf222e",
    )
    + "@media (prefers-color-scheme:dark){"
    + _colours(
        page="#0d1117",
        ink="#f0f6fc",
        faint="#9198a1",
        line="#3d444d",
        card="#212830",
        edge="#767e88",
        opened=("#5a3000", "#f0883e", "#ffb757"),
        blue="#4493f8",
        red="#ff7b72",
    )
    + "}"
)
"""The stylesheet of every picture."""


def width(words: str, kind: Kind = "") -> int:
    """Pixels that `words` take at most, with a pixel to spare."""
    size, bold = FONTS[kind]
    table = _BOLD if bold else _REGULAR
    return ceil(sum(_advance(one, table) for one in _shown(words)) * size / 1000) + 1


def _shown(words: str) -> str:
    """`words` as they are drawn, but for no-break spaces, which are drawn like any other."""
    return _KEEP.join(plain(each) for each in words.split(_KEEP))


def _advance(one: str, table: tuple[int, ...]) -> int:
    if " " <= one <= "~":
        return table[ord(one) - 0x20]
    if unicodedata.category(one) in {"Mn", "Me"}:
        return 0  # drawn over the letter before it
    return _OURS.get(one, _OTHER)


def wrap(words: str, most: int, kind: Kind = "") -> list[str]:
    """`words` on lines of at most `most` pixels.

    Lines end at spaces; at no-break spaces where there is no other way; inside a word only if no line can hold it.
    """
    lines = [""]
    for word in _shown(words).split(" "):
        lines = _joined(lines, _pieces(word, most, kind), most, kind)
    return lines


def _joined(lines: list[str], pieces: list[str], most: int, kind: Kind) -> list[str]:
    """The lines with a word more; its pieces are separate lines but for the first one, which may end a line."""
    first, *rest = pieces
    longer = f"{lines[-1]} {first}" if lines[-1] else first
    if width(longer, kind) <= most:
        return [*lines[:-1], longer, *rest]
    return [*lines, first, *rest]


def _pieces(word: str, most: int, kind: Kind) -> list[str]:
    if width(word, kind) <= most:
        return [word]
    if _KEEP in word:
        return wrap(word.replace(_KEEP, " "), most, kind)
    pieces: list[str] = []
    piece = ""
    for one in word:
        if piece and width(piece + one, kind) > most:
            pieces.append(piece)
            piece = ""
        piece += one
    return [*pieces, piece]


@dataclass(slots=True)
class Page:
    """What has been drawn, and how far it reaches. Text may be nowhere but inside; the page grows with it."""

    width: int = 0
    height: int = 0
    parts: list[str] = field(default_factory=list[str])

    def text(self, x: int, y: int, words: str, kind: Kind = "", anchor: str = "start") -> None:
        """Write `words` on the base line `y`; `x` is their start, middle or end."""
        named = f' class="{kind}"' if kind else ""
        placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x}" y="{y}"{named}{placed}>{escape(_shown(words))}</text>')
        left = x - {"start": 0, "middle": width(words, kind) // 2, "end": width(words, kind)}[anchor]
        self.reach(left + width(words, kind), y + 5)

    def lines(self, x: int, y: int, words: str, most: int, kind: Kind = "") -> int:
        """Write `words` on as many lines as they need, the first on the base line `y`; the base line after the last."""
        for line in wrap(words, most, kind):
            self.text(x, y, line, kind)
            y += TITLE_LINE if kind == "title" else LINE
        return y

    def slanted(self, x: int, y: int, words: str, kind: Kind = "") -> None:
        """Write `words` upwards to the right, by 55 degrees; the caller leaves the room."""
        named = f' class="{kind}"' if kind else ""
        self.parts.append(
            f'<text x="{x}" y="{y}"{named} transform="rotate(-55 {x} {y})">{escape(_shown(words))}</text>'
        )

    def rect(self, x: int, y: int, size: tuple[int, int], kind: str, *, round_by: int = 0) -> None:
        """Draw a rectangle from its upper left corner, of (width, height)."""
        rounded = f' rx="{round_by}"' if round_by else ""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{size[0]}" height="{size[1]}"{rounded}/>')
        self.reach(x + size[0], y + size[1])

    def path(self, kind: str, d: str) -> None:
        """Draw a path."""
        self.parts.append(f'<path class="{kind}" d="{d}"/>')

    def dot(self, x: int, y: int, radius: int, kind: str = "tip") -> None:
        """Draw a filled circle."""
        self.parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>')

    def arrow(self, start: int, end: int, y: int, kind: str = "") -> None:
        """Draw a level arrow; `kind` is empty, `open`, `failed` or, dashed, `implied`."""
        back = -9 if start < end else 9
        named = "" if kind in {"", "implied"} else f"-{kind}"
        dashed = " dashed" if kind == "implied" else ""
        self.path(f"arrow{named}{dashed}", f"M{start} {y}H{end + back // 2}")
        self.path(f"tip{named}", f"M{end} {y}l{back} -5v10z")

    def reach(self, x: int, y: int) -> None:
        """Make the page reach to there."""
        self.width, self.height = max(self.width, x), max(self.height, y)

    def svg(self, title: str, *, margin: int) -> str:
        """The whole picture, with so many pixels right of and below what was drawn."""
        wide, high = self.width + margin, self.height + margin
        named = escape(plain(title))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
            f' role="img" aria-label="{named}">\n<title>{named}</title>\n<style>{STYLE}</style>\n'
            f'<rect class="page" width="{wide}" height="{high}"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"
