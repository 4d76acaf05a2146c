"""What may be shown to people of words that others wrote: devices, files, file names, command lines.

A control character can move the cursor, recolour or erase what stands on a terminal; a line break can forge a line of
ours; a bidi override can turn a version round. Nothing of the kind is ever printed as it is.
"""

MAX_SHORT = 64
"""Characters of a wrong value that a message shows."""


def plain(text: str) -> str:
    r"""`text` on one line and harmless: what does not print is shown as its Python escape (`\x1b`, `\n`, `\u202e`).

    Shown as escapes are C0 and C1 controls, line and paragraph separators, format characters (bidi overrides among
    them), lone surrogates, and what Unicode has not assigned: everything but `str.isprintable`.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def counted(number: int, noun: str) -> str:
    """`1 violation`, `2 violations`: a number with the noun that it counts, whose plural has an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short(value: object) -> str:
    """A wrong value as messages show it: as Python writes it, and not all of it where that is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHORT else f"{text[:MAX_SHORT]}…"
