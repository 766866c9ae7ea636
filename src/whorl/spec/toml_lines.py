"""Where a key stands in a TOML text: the parser does not say, and a person wants the line.

Reads only as much TOML as that needs; what it cannot place gets no line rather than a wrong one.
"""

import re

Path = tuple[str, ...]

_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=")


def line_of(text: str, at: Path) -> int | None:
    """The line of a key, or of the nearest thing around it, from 1; None when nothing of it is written.

    Args:
        at: Keys from the top; an element of a list is its place from 0.

    >>> line_of('name = "x"\\n[curate]\\nbudget = 1', ("curate", "budget"))
    3
    >>> line_of('[[curate.rules]]\\nname = "a"\\n[[curate.rules]]\\nname = "a"', ("curate", "rules", "1", "name"))
    4
    """
    table: Path = ()
    tables_in: dict[Path, int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _keys(header[2])
            if header[1] == "[[":
                tables_in[table] = tables_in.get(table, -1) + 1
                table = (*table, str(tables_in[table]))
            here = table
        elif key := _KEY.match(line):
            here = (*table, *_keys(key[1]))
        else:
            continue
        if here == at:
            return number
        if at[: len(here)] == here:
            best = number
    return best


def _keys(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
