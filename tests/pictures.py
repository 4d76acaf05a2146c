"""What must be so in every picture of ours: its words apart and inside, its numbers whole, nothing from outside."""

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from keyswitch.drawing import FONTS, width

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where something lies."""

    words: str
    left: float
    top: float
    right: float
    bottom: float

    def apart(self, other: "Box") -> bool:
        return (
            self.right <= other.left or other.right <= self.left or self.bottom <= other.top or other.bottom <= self.top
        )

    def inside(self, other: "Box") -> bool:
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own output


def texts(root: ET.Element) -> list[Box]:
    """The box of each level text, in the widest common font."""
    found = []
    for text in root.iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        words, kind = text.text or "", text.get("class", "")
        wide, size = width(words, kind), FONTS[kind][0]
        x, y = float(text.get("x", 0)), float(text.get("y", 0))
        x -= {"middle": wide / 2, "end": wide}.get(text.get("text-anchor", ""), 0)
        found.append(Box(words=words, left=x, top=y - size + 2, right=x + wide, bottom=y + 3))
    return found


def rects(root: ET.Element, kind: str) -> list[Box]:
    """The rectangles whose class begins so."""
    found = []
    for rect in root.iter(f"{SVG}rect"):
        x, y, wide, high = (float(rect.get(name, 0)) for name in ("x", "y", "width", "height"))
        if rect.get("class", "").startswith(kind):
            found.append(Box(words=rect.get("class", ""), left=x, top=y, right=x + wide, bottom=y + high))
    return found


def check(svg: str) -> ET.Element:
    """What is so in each of them; its elements."""
    root = parsed(svg)
    page = Box(words="page", left=0, top=0, right=float(root.get("width", 0)), bottom=float(root.get("height", 0)))
    assert root.get("viewBox") == f"0 0 {page.right:.0f} {page.bottom:.0f}"
    found = texts(root)
    for box in (*found, *rects(root, "")):
        assert box.inside(page), box
    found.sort(key=lambda box: box.top)
    for place, one in enumerate(found):
        for two in itertools.takewhile(lambda box, foot=one.bottom: box.top < foot, found[place + 1 :]):
            assert one.apart(two), (one, two)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "path", "circle",
    }  # fmt: skip
    assert "url(" not in svg
    assert "href" not in svg.replace("&quot;", '"').partition("</style>")[0]
    assert svg.count("http") - sum(box.words.count("http") for box in found) <= 1
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in {"x", "y", "width", "height", "d", "cx", "cy", "r"}:
                assert re.fullmatch(r"[-0-9MHVlhvzZ ]+", value), (name, value)
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme:dark" in (style.text or "")
    return root
