"""Take out of a record what may not be kept, before anything else sees it. What [capture] asks for is in `places.py`.

It runs on raw records and on tables of them, by the same rules. Nothing here logs, quotes or keeps a value.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.capture.paths import ABSENT, Path
from whorl.capture.scrub.checksums import is_card
from whorl.capture.scrub.column_walk import Walked, rows_with, walked
from whorl.capture.scrub.keyed_hash import KeyedHash, hash_key, is_hash
from whorl.capture.scrub.places import Keep, Place, places
from whorl.capture.scrub.redactor import redactor
from whorl.capture.values import plain, refusal, text_of
from whorl.errors import RecordError
from whorl.records import Feedback, Label, Prediction, Span
from whorl.spec import Spec
from whorl.spec.knobs import Consenting

WITHOUT_CONSENT = "{n} record(s) were not kept: there was no consent."
_NOTHING = Place()
_FIELDS = frozenset(
    name for record in (Prediction, Feedback, Label, Span) for name in record.__struct_fields__
)
_MOST_NAMES = 4096
_SHORTEST_CARD = 12
# What JSON can escape, and no text can hold.
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME = re.compile(
    r"\d{4}-?\d\d-?\d\d([T ][\d:.,]{2,16})?( ?(Z|UTC|[+-]\d\d:?(\d\d)?))?|1\d{8,18}(\.\d{1,9})?"
)


class Scrubber:
    """Scrubs by one spec; safe to share between threads.

    Args:
        key: Of the keyed hash; needed when [capture] hashes anything.

    >>> from whorl.spec import parse_spec
    >>> capture = 'consent = "ok"\\ndrop = ["card"]\\nredact = ["note"]'
    >>> scrubber = Scrubber(parse_spec(f'name = "f"\\ntask = "binary"\\n[capture]\\n{capture}'), None)
    >>> scrubber.record({"id": 1, "ok": True, "card": "4111", "note": "I am ann@example.org"})
    {'id': 1, 'ok': True, 'note': 'I am <EMAIL>'}
    >>> scrubber.record({"id": 2, "ok": False}) is None
    True
    """

    def __init__(self, spec: Spec, key: bytes | None) -> None:
        capture = spec.capture
        self._root = places(spec)
        self._of_tools = Place(
            {
                name: Place(place.below) if name in _FIELDS else place
                for name, place in self._root.below.items()
            }
        )
        self._everywhere = self._root.redact or self._root.cut is not None
        self._redact = redactor(capture) if capture.redact else str
        self._harmless: set[str] = set()
        self._hashed = KeyedHash(key).of if key is not None else None
        self._consent = [] if capture.consent is None else _consent_paths(capture.consent)
        self._required = frozenset(capture.consent_required)
        self._yes = frozenset(word.strip().lower() for word in capture.consent_yes)

    def record(self, raw: Any, kind: Consenting = "predictions") -> dict[str, Any] | None:
        """A raw record as it may be kept; None when it may not, which is only to be counted.

        Raises:
            RecordError: It is not an object, or nested too deeply; without a word of what is in it.
        """
        scrubbed = self.scrubbed(raw)
        return scrubbed if self.may_keep(raw, kind) else None

    def scrubbed(self, raw: Any) -> dict[str, Any]:
        """A raw record without what may not be kept, whatever it says of consent. Raises RecordError."""
        if not isinstance(raw, Mapping):
            raise refusal("record", f"expected an object, found {type(raw).__name__}.")
        root, everywhere = self._root, self._everywhere
        if not everywhere and root.below.keys().isdisjoint(raw):
            return cast(dict[str, Any], raw)
        return self._whole(raw, root, root.redact, root.cut)

    def named(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Values that are about to become another record, under other names: what is asked for by these names is done.

        What is asked for everywhere is left to that record.
        """
        if self._root.below.keys().isdisjoint(raw):
            return raw
        return self._whole(raw, self._root, False, None)

    def of_tool(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row of another tool that is about to become records: what is asked for by its own names is done.

        What goes is None, since a row is known by the names that it has. JSON in its cells is entered, so that it can be
        read when it was cut. What is asked for by a name that records have too is left to them.
        """
        asked = self._of_tools.below.keys() & row.keys()
        if not asked:
            return row
        cells = {name: row[name] if name in _FIELDS else _entered(row[name]) for name in asked}
        return {**row, **dict.fromkeys(asked), **self._whole(cells, self._of_tools, False, None)}

    def as_field(self, name: str, field: str, value: Any) -> Any:
        """A value that keeps a name of its own, and means the field of a record: what is asked for that field is done.

        ABSENT when it goes: also where something is asked for further in, since its shape is not the field's. What is asked
        for by its own name is left to the door.
        """
        place, own = self._root.below.get(field, _NOTHING), self._root.below.get(name, _NOTHING)
        if own.drop or own.hash:
            return value
        if place.drop or (place.below and not place.names):
            return ABSENT
        return self._value(value, place, False, None)

    def may_keep(self, raw: Mapping[str, Any], kind: Consenting = "predictions") -> bool:
        """Whether a record has the consent that its kind needs."""
        for path in self._consent:
            value = path.get(cast(dict[str, Any], raw))
            if value is not None and value is not ABSENT:
                return self._is_yes(value)
        return not self._consent or kind not in self._required

    def table(
        self, rows: pa.Table, kind: Consenting = "predictions"
    ) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
        """A table of raw records as it may be kept, and which of its rows had consent; the others are taken out."""
        kept = np.ones(rows.num_rows, dtype=bool)
        if self._consent:
            asked = rows_with(rows, {route[0] for path in self._consent for route in path.routes})
            kept = np.fromiter((self.may_keep(row, kind) for row in asked), dtype=bool, count=rows.num_rows)
            rows = rows.filter(pa.array(kept))
        root = self._root
        columns: dict[str, pa.Array] = {}
        for name in rows.column_names:
            place = root.below.get(name, _NOTHING)
            if place.drop:
                continue
            column = rows[name].combine_chunks()
            if place is not _NOTHING or self._everywhere:
                walk = Walked(self._value, place, root.redact, root.cut)
                column = walked(column, walk)
            columns[name] = column
        # A table without columns would forget how many rows it has.
        return pa.table(columns) if columns else rows.select([]), kept

    def _is_yes(self, value: Any) -> bool:
        try:
            text = text_of(value)
        except RecordError:
            return False
        return text is not None and text.strip().lower() in self._yes

    def _whole(self, record: Mapping[str, Any], root: Place, redact: bool, cut: int | None) -> dict[str, Any]:
        try:
            return self._object(record, root, redact, cut)
        except RecursionError:
            raise refusal("encoding", "it is nested too deeply.") from None
        except UnicodeEncodeError:
            raise refusal("encoding", "it holds text that is not Unicode.") from None

    def _object(
        self, record: Mapping[str, Any], place: Place, redact: bool, cut: int | None
    ) -> dict[str, Any]:
        kept = {}
        for key, value in record.items():
            inner = place.below.get(key)
            if inner is None:
                if redact or cut is not None:
                    kept[self._name(key) if redact else key] = self._value(value, _NOTHING, redact, cut)
                else:
                    kept[key] = value
            elif not inner.drop:
                kept[key] = self._value(value, inner, redact, cut)
        return kept

    def _name(self, key: Any) -> str:
        """A field's name, redacted; those in which nothing was found are known from then on."""
        if key in self._harmless:
            return cast(str, key)
        name = self._redact(str(key))
        if name == key and len(self._harmless) < _MOST_NAMES:
            self._harmless.add(name)
        return name

    def _value(self, value: Any, place: Place, redact: bool, cut: int | None) -> Any:
        """A value at a place; `redact` and `cut` are what is asked for further out."""
        if value is None:
            return None
        if is_hash(value):
            return value
        if place.hash:
            return self._hash(value)
        redact = redact or place.redact
        cut = place.cut if place.cut is not None else cut
        if isinstance(value, Mapping):
            return self._object(value, place, redact, cut)
        if isinstance(value, (list, tuple)):
            return [self._value(one, place, redact, cut) for one in value]
        if place.keep != "no" and _KEPT[place.keep](value):
            return value
        if isinstance(value, (bytes, bytearray)):
            value = value.decode("utf-8", "replace") if redact or cut is not None or place.below else value
        if isinstance(value, str):
            return self._text(value, place, redact, cut)
        return "<CARD>" if redact and is_card_number(plain(value)) else value

    def _text(self, text: str, place: Place, redact: bool, cut: int | None) -> str | None:
        if place.below:
            inside = _json(text)
            if inside is not ABSENT:
                # A list or an object in a cell of text.
                return _json_text(self._value(inside, place, redact, cut))
            if place.declared and not (place.names and not _looks_like_json(text)):
                return None
        text = self._redact(text) if redact else text
        return text if cut is None else text[:cut]

    def _hash(self, value: Any) -> str | None:
        if self._hashed is None:
            raise RuntimeError("A Scrubber that hashes needs a key.")
        return self._hashed(value)


def scrubber_of(spec: Spec) -> Scrubber | None:
    """The scrubber of a spec; None when [capture] asks for nothing.

    Raises:
        SpecError: The key of the hash, Presidio or its pipeline cannot be had.
    """
    capture = spec.capture
    if not capture.asks:
        return None
    return Scrubber(spec, hash_key(capture) if capture.hash else None)


def is_card_number(value: Any) -> bool:
    """Whether a value that is no text is a payment card's number.

    >>> is_card_number(4111111111111111), is_card_number(4111111111111111.0), is_card_number(4111111111111112)
    (True, True, False)
    """
    if not isinstance(value, (int, float, Decimal)) or not 1e11 <= value < 1e19 or value != int(value):
        return False
    return is_card(str(int(value)))


def _consent_paths(consent: str) -> list[Path]:
    return [Path(consent), Path(f"extra.{consent}"), Path(f"features.{consent}")]


def _is_number(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        float(value)
    except ValueError:
        return value.strip().lower() in ("", "true", "false")
    return len(value) < _SHORTEST_CARD


def _is_time(value: Any) -> bool:
    return not isinstance(value, str) or _TIME.fullmatch(value.strip()) is not None


def _entered(value: Any) -> Any:
    """What a cell holds: as JSON where it is text of a list or an object."""
    inside = _json(value) if isinstance(value, str) else ABSENT
    return value if inside is ABSENT else inside


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _json(text: str) -> Any:
    """What a text holds as JSON list or object, NaN and infinities among it; ABSENT when it is neither."""
    if not _looks_like_json(text):
        return ABSENT
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return ABSENT


def _json_text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_KEPT: dict[Keep, Callable[[Any], bool]] = {"any": lambda _: True, "number": _is_number, "time": _is_time}
