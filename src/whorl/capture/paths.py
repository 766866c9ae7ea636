"""Dotted paths into a company's own JSON: `prediction.fraud_probability`.

A path is resolved once into the key sequences it may stand for, because keys may hold dots themselves: the nested
reading is tried first. What is not there is ABSENT, which is not the same as null. Lists are not entered.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, Final


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final[Any] = _Absent()


class Path:
    """One place in a record.

    >>> Path("a.b").get({"a": {"b": 1}}), Path("a.b").get({"a.b": 2}), Path("a.b").get({"a": None})
    (1, 2, ABSENT)
    """

    __slots__ = ("get", "routes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.routes = _routes(text.split("."))
        # The value in a record, which may be None; ABSENT when the record has no such place.
        self.get: Callable[[dict[str, Any]], Any] = _getter(self.routes)

    @property
    def parent(self) -> "Path | None":
        """The object this lies in; None at the top of the record."""
        head, dot, _ = self.text.rpartition(".")
        return Path(head) if dot else None

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


class Remainder:
    """What is left of a record when the places that were read are taken out; nulls and emptied objects go too.

    >>> Remainder([Path("id"), Path("answer.score")]).of({"id": "1", "answer": {"score": 0.5, "by": "x"}, "n": None})
    {'answer': {'by': 'x'}}
    """

    def __init__(self, taken: Iterable[Path]) -> None:
        self._tree: dict[str, Any] = {}
        for path in taken:
            for route in path.routes:
                self._cut(route)

    def of(self, record: dict[str, Any]) -> dict[str, Any]:
        return left(record, self._tree)

    def below(self, key: str) -> Any:
        """What is taken of a top-level key: ABSENT nothing, None all of it, else the tree of places inside."""
        return self._tree.get(key, ABSENT)

    def _cut(self, route: tuple[str, ...]) -> None:
        node = self._tree
        for key in route[:-1]:
            below = node.setdefault(key, {})
            if below is None:
                return
            node = below
        node[route[-1]] = None


def _getter(routes: Sequence[tuple[str, ...]]) -> Callable[[dict[str, Any]], Any]:
    """Tries the routes in turn."""
    (*nested, (whole,)) = routes
    if not nested:
        return lambda record: record.get(whole, ABSENT)
    split = [(route[0], route[1:]) for route in nested]

    def get(record: dict[str, Any]) -> Any:
        for top, below in split:
            found = record.get(top, ABSENT)
            for key in below:
                if not isinstance(found, dict):
                    found = ABSENT
                    break
                found = found.get(key, ABSENT)
            if found is not ABSENT:
                return found
        return record.get(whole, ABSENT)

    return get


def _routes(parts: list[str]) -> tuple[tuple[str, ...], ...]:
    """Every way to cut the dotted parts into keys, the most nested first."""
    gaps = range(1, len(parts))
    cuts = [cut for size in range(len(parts) - 1, -1, -1) for cut in combinations(gaps, size)]
    return tuple(
        tuple(".".join(parts[a:b]) for a, b in zip((0, *cut), (*cut, len(parts)), strict=True))
        for cut in cuts
    )


def left(record: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    """A record without the places of a tree, as `Remainder.below` gives it."""
    kept: dict[str, Any] = {}
    for key, value in record.items():
        if value is None:
            continue
        if key not in tree:
            kept[key] = value
            continue
        below = tree[key]
        if below is not None and not isinstance(value, dict):
            kept[key] = value
        elif below is not None and (inner := left(value, below)):
            kept[key] = inner
    return kept
