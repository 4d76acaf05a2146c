"""What a mutation run changes in a source of the core, and one program that holds all changes of all functions.

A mutant is one comparison, constant, or statement that is another one, or is left out. A function with its mutants is
written out as one function with a body for each of them: the number `ks_mutant` says which one runs. So one build
judges hundreds of mutants. What stands outside of functions (tables, `#define`) needs a build of its own.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

CHANGES: Final = (
    (r"(?<= )==(?= )", "!="),
    (r"(?<= )!=(?= )", "=="),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )<=(?= )", "<"),
    (r"(?<= )>(?= )", ">="),
    (r"(?<= )>=(?= )", ">"),
    (r"(?<= )&&(?=\s)", "||"),
    (r"(?<= )\|\|(?=\s)", "&&"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"(?<=[( ])!(?=[a-z(])", ""),
    (r"(?<![\w.])(?:0x[0-9A-Fa-f]+|\d+)(?=u?\b)", "+1"),
    (r"(?<=\t)(?:\(void\))?\*?[a-z_][\w>.\-\[\]]*(?: [|&^]?= [^;{}]*|\([^;{}]*\)|\+\+|--)(?=; *$)", ""),
    (r"(?<=\t)(?:break|continue|return)(?=; *$)", ""),
)
"""What is changed into what: the last but two is a constant that is one more, the last two are statements left out."""

_TEXT: Final = re.compile(r'(?<=")(?!["\\])[^"\n]')
"""The first letter of a text, where that is none that C spells by a backslash: another one in its place."""
_UNJUDGED: Final = re.compile(r"^#(?:include|if|ifdef|ifndef|else|elif|endif|error)\b.*$", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_LITERAL: Final = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_FUNCTION: Final = re.compile(
    r"^(?P<head>[a-z][^\n;{}#=]*\((?:[^;{}#=])*\))\n\{\n(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL
)


_NAME: Final = re.compile(r"(\w+)\(")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: from `start` to `end` of the source stands `new` instead.

    Attributes:
        function: in which it is; empty: in none.
        repeats: how often the same change of the same line stands before it in that function.
    """

    source: Path
    start: int
    end: int
    new: str
    function: str = ""
    repeats: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """File, function and change: the same as long as its own line is, whatever else is changed."""
        return self.source.name, self.function, self.told

    @property
    def told(self) -> str:
        """The source's line with the change in it, as in `if (id [[> -> >=]] 31u) {`; `(2)`: the second such line."""
        return self._told + (f" ({self.repeats + 1})" if self.repeats else "")

    @property
    def _told(self) -> str:
        text = read(self.source)
        before = text[text.rfind("\n", 0, self.start) + 1 : self.start]
        behind = text[self.end : text.find("\n", self.end)]
        line = f"{before}[[{text[self.start : self.end]} -> {self.new}]]{behind}"
        return " ".join(_COMMENT.sub("", line).split())

    @property
    def name(self) -> str:
        """What is changed: a function, or what its line defines; empty: something else."""
        defined = re.match(r"#define (\w+)", self.told)
        return self.function or (defined[1] if defined else "")

    @property
    def line(self) -> int:
        """Its number in the source, from 1."""
        return read(self.source).count("\n", 0, self.start) + 1

    @property
    def changed(self) -> str:
        """The whole source with the change."""
        text = read(self.source)
        return text[: self.start] + self.new + text[self.end :]


@cache
def read(source: Path) -> str:
    return source.read_text("utf-8")


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found.group())


def mutants(source: Path) -> Iterator[Mutant]:
    """Every change of this source, in its order."""
    without_comments = _UNJUDGED.sub(_blank, _COMMENT.sub(_blank, read(source)))
    code = _LITERAL.sub(_blank, without_comments)
    found = [Mutant(source, each.start(), each.end(), "?") for each in _TEXT.finditer(without_comments)]
    found = [each for each in found if _opens_a_text(without_comments, each.start - 1)]
    for pattern, other in CHANGES:
        for each in re.finditer(pattern, code, re.MULTILINE):
            new = str(int(each.group(), 0) + 1) if other == "+1" else other
            found.append(Mutant(source, each.start(), each.end(), new))
    functions = [(each.span("body"), _name(each["head"])) for each in _FUNCTION.finditer(read(source))]
    before: Counter[tuple[str, str, str]] = Counter()
    for mutant in sorted(found, key=lambda each: (each.start, each.end, each.new)):
        inside = (name for (start, end), name in functions if start <= mutant.start and mutant.end <= end)
        placed = replace(mutant, function=next(inside, ""))
        yield replace(placed, repeats=before[placed.key])
        before[placed.key] += 1


def _name(head: str) -> str:
    found = _NAME.search(head)
    assert found is not None
    return found[1]


def _opens_a_text(code: str, quote: int) -> bool:
    line = code.rfind("\n", 0, quote) + 1
    return any(each.start() == quote - line for each in _LITERAL.finditer(code[line : code.find("\n", quote)]))


def schemata(source: Path, numbered: Mapping[int, Mutant]) -> tuple[str, set[int]]:
    """The source with all of these mutants that stand in functions; the numbers of those.

    What the compiler says of mutant 17 it says of the file `mutant-17`.
    """
    text, inside = read(source), set[int]()
    parts, at = ["extern unsigned ks_mutant;\n"], 0
    for function in _FUNCTION.finditer(text):
        start, end = function.span("body")
        own = {number: each for number, each in numbered.items() if start <= each.start and each.end <= end}
        if not own:
            continue
        inside |= set(own)
        parts += [text[at:start], "switch (ks_mutant) {\n"]
        leave = "return;" if re.match(r"(?:static )?(?:inline )?void ", function["head"]) else "break;"
        for number, each in own.items():
            body = text[start : each.start] + each.new + text[each.end : end]
            parts.append(f'case {number}: {{\n#line 1 "mutant-{number}"\n{body}\n}}\n{leave}\n')
        parts.append(f'default: break;\n}}\n#line {text.count(chr(10), 0, start) + 1} "{source.name}"\n')
        parts.append(text[start:end])
        at = end
    return "".join([*parts, text[at:]]), inside
