"""The declared features of a raw record, each read as its type says."""

import math
from decimal import Decimal
from typing import Any

from whorl.capture.fields import Fields
from whorl.capture.paths import ABSENT, Path
from whorl.capture.readers import Raw, Read
from whorl.capture.values import Notes, not_finite, number, plain, refusal, text_of, truth, whole
from whorl.errors import RecordError
from whorl.spec import Spec

FEATURE_READS: dict[str, Read] = {
    "float": number,
    "int": whole,
    "bool": truth,
    "category": text_of,
    "text": text_of,
}


class Features:
    """The features of one spec."""

    def __init__(self, spec: Spec, fields: Fields) -> None:
        self._spec, self._fields = spec, fields
        self._features = [
            (name, [path.get for path in fields.features[name]], FEATURE_READS[feature.type])
            for name, feature in spec.features.items()
        ]

    def read(self, raw: Raw, notes: Notes) -> dict[str, Any]:
        """Those that have a value; what is NaN or infinite has none, and is noted. Raises RecordError."""
        features: dict[str, Any] = {}
        value: Any = ABSENT
        for name, places, read in self._features:
            for get in places:
                value = get(raw)
                if value is not ABSENT:
                    break
            if value is ABSENT or value is None:
                continue
            try:
                found = read(value, name)
            except RecordError as error:
                raise self._refused(name, raw, error) from None
            if isinstance(found, float) and not math.isfinite(found):
                found = None
            if found is not None:
                features[name] = found
            elif is_not_finite(value):
                notes[not_finite(name)] += 1
        return features

    def _refused(self, name: str, raw: Raw, error: RecordError) -> RecordError:
        read: Path = next(path for path in self._fields.features[name] if path.get(raw) is not ABSENT)
        kind = self._spec.features[name].type
        return refusal("feature", f"feature '{name}' is declared as {kind}: {error.message}", read.text)


def is_not_finite(value: Any) -> bool:
    """NaN or infinity, as a number or (infinity) as text: what becomes null with a note rather than silently.

    >>> is_not_finite(float("nan")), is_not_finite("inf"), is_not_finite("NaN")
    (True, True, False)
    """
    value = plain(value)
    if isinstance(value, str):
        return value.strip().lstrip("+-").lower() in ("inf", "infinity")
    return isinstance(value, (float, Decimal)) and not math.isfinite(value)
