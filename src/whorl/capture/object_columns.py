"""Decoded objects as columns by path: the places that are read, each in the one type that most of its values have.

Nothing is converted that would change a value: a row whose value has another type than its column is doubted, and read
as the object that it is. What is not read becomes no column: `extra` is taken from the objects themselves.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.capture.columns import encoded_lines
from whorl.capture.paths import ABSENT, Path, Remainder, left
from whorl.capture.raw_columns import ByPath, small
from whorl.capture.readers import lifted
from whorl.capture.sealed import as_bytes
from whorl.errors import RecordError
from whorl.storage.tables import TEXT

# Up to here every whole number is exact in a float.
EXACT = 2.0**53
_ARROW: dict[type, pa.DataType] = {str: TEXT, float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
_Objects = Sequence[dict[str, Any] | None]


class Places:
    """Which keys lead to what is read: a tree. A place that is read may have others inside."""

    __slots__ = ("inside", "read")

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self.read = False
        self.inside: dict[str, Places] = {}
        for path in paths:
            for route in path.routes:
                place = self
                for key in route:
                    place = place.inside.setdefault(key, Places())
                place.read = True


class ObjectColumns(ByPath):
    """Objects, by path; what is no object is a doubted row.

    Args:
        places: What will be read; nothing else is found.
        lift: An object `extra` is not kept inside `extra`, but as it.
    """

    def __init__(self, raws: Sequence[Any], places: Places, *, lift: bool = False) -> None:
        super().__init__(len(raws))
        self._lift = lift
        self._odd: npt.NDArray[np.bool_] = np.zeros(len(raws), dtype=bool)
        self._found: dict[tuple[str, ...], pa.Array] = {}
        self._texts: list[pa.Array] = []
        # Keys of the objects at a place, over all rows; of the places that lead to something only.
        self._keys: dict[tuple[str, ...], set[str]] = {}
        self._objects: _Objects = self._only_objects(raws)
        self._enter((), self._objects, places)

    def has(self, key: str) -> bool:
        return key in self._keys[()]

    def sure(self) -> pa.Array:
        """Known once everything has been read: what cannot be kept is seen when `extra` is made."""
        return pa.array(~self._odd & small(self._texts, self.rows))

    def extra(self, remainder: Remainder, only: set[str] | None = None) -> pa.Array | None:
        taken = {key: remainder.below(key) for key in self._keys[()] if only is None or key in only}
        rest = {key for key, below in taken.items() if not self._covered((key,), below)}
        if not rest:
            return None
        inside = {key: taken[key] for key in rest if taken[key] is not ABSENT}
        kept = self._of_each(rest)
        if inside:
            kept = [left(one, inside) for one in kept]
        if self._lift:
            kept = [lifted(one) for one in kept]
        self._texts.append(pa.array(self._as_texts(kept), TEXT))
        return self._texts[-1]

    def _along(self, route: tuple[str, ...]) -> pa.Array | None:
        return self._found.get(route)

    def _covered(self, route: tuple[str, ...], taken: Any) -> bool:
        """Whether all that any object has at a place was read."""
        if taken is None or taken is ABSENT:
            return taken is None
        keys = self._keys.get(route)
        return keys is not None and all(
            key in taken and self._covered((*route, key), taken[key]) for key in keys
        )

    def _of_each(self, rest: set[str]) -> list[dict[str, Any]]:
        """Of each object what it has under some keys, in its own order."""
        # Records of one source mostly have the same keys, in one order.
        shapes = (
            {tuple(rest)}
            if len(rest) == 1
            else {None if one is None else tuple(one) for one in self._objects}
        )
        if len(shapes) == 1:
            keys = [key for key in shapes.pop() or () if key in rest]
            values = zip(*(_values(self._objects, key) for key in keys), strict=True)
            return [{k: v for k, v in zip(keys, row, strict=True) if v is not None} for row in values]
        return [
            {key: value for key, value in one.items() if key in rest and value is not None} if one else {}
            for one in self._objects
        ]

    def _as_texts(self, kept: list[dict[str, Any]]) -> list[str | None]:
        """JSON texts; what cannot be kept makes its row odd, and None."""
        try:
            as_bytes(kept)
        except RecordError:
            kept = [one if self._encodable(row, one) else {} for row, one in enumerate(kept)]
        return [None if text == "{}" else text for text in encoded_lines(kept)]

    def _encodable(self, row: int, one: dict[str, Any]) -> bool:
        try:
            as_bytes(one)
        except RecordError:
            self._odd[row] = True
        return not self._odd[row]

    def _only_objects(self, values: Sequence[Any]) -> _Objects:
        """The values; None where one is no object, which is odd unless there is none."""
        if set(map(type, values)) == {dict}:
            return values
        self._doubt(values, {dict})
        return [value if type(value) is dict else None for value in values]

    def _doubt(self, values: Sequence[Any], good: set[type]) -> None:
        fine = good | {type(None)}
        self._odd |= np.fromiter((type(value) not in fine for value in values), bool, len(values))

    def _enter(self, route: tuple[str, ...], objects: _Objects, places: Places) -> None:
        """Make the columns of places inside objects, some of which may be missing."""
        keys: set[str] = set().union(*filter(None, objects))
        self._keys[route] = keys
        for key, place in places.inside.items():
            if key in keys:
                self._make((*route, key), _values(objects, key), place)

    def _make(self, route: tuple[str, ...], values: list[Any], place: Places) -> None:
        kinds = set(map(type, values)) - {type(None)}
        if place.read:
            self._found[route] = self._column(values, kinds)
            if place.inside:
                self._doubt(values, set())
        elif dict in kinds:
            self._enter(route, self._only_objects(values), place)
        else:
            self._keys[route] = set()
            if kinds:
                self._doubt(values, set())

    def _column(self, values: list[Any], kinds: set[type]) -> pa.Array:
        """A column of the type that most values have; the others are null in it, and their rows are odd."""
        if kinds == {int, float}:
            values = [float(v) if type(v) is int and abs(v) <= EXACT else v for v in values]
        fitting = kinds & _ARROW.keys()
        if not fitting:
            self._doubt(values, set())
            return pa.nulls(self.rows, TEXT)
        kind = next(iter(kinds)) if len(kinds) == 1 else _most_common(values, fitting)
        if len(kinds) > 1:
            self._doubt(values, {kind})
            values = [value if type(value) is kind else None for value in values]
        try:
            column = pa.array(values, _ARROW[kind])
        except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
            # A whole number of more than 64 bits, or text that is not Unicode.
            self._doubt(values, set())
            return pa.nulls(self.rows, TEXT)
        if kind is str:
            self._texts.append(column)
        return column


def _values(objects: _Objects, key: str) -> list[Any]:
    try:
        # Nearly all records of a batch have the same keys.
        return list(map(itemgetter(key), objects))  # type: ignore[arg-type]
    except (KeyError, TypeError):
        return [None if one is None else one.get(key) for one in objects]


def _most_common(values: list[Any], kinds: set[type]) -> type:
    count = Counter(map(type, values))
    return max(kinds, key=lambda kind: (count[kind], kind.__name__))
