"""The rules of `values.py` for whole columns, where the answer is plain; what is not plain is left to `values.py`.

A lane reads an Arrow array and says of each row whether it is sure: whether the record path would give the very same
value. It may be unsure of anything, and is never wrong: unsure rows are read one by one.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.values import EARLIEST_US, LATEST_US, MAX_ID_BYTES, NAN, NO_VALUE, WHOLE_DECIMAL, text_of
from whorl.errors import RecordError
from whorl.spec import Spec
from whorl.storage.tables import TIME

_NAN = pa.array(sorted(NAN))
_NO_VALUE = pa.array(sorted(NO_VALUE))
_NUMBER = r"^-?\d{1,18}(\.\d{0,18})?([eE][-+]?\d{1,2})?$"
_WHOLE = r"^-?\d{1,18}$"
_EPOCH = r"^-?\d{9,18}$"
# Days that every month of that name has; 29 February and the like are read one by one.
_DATE = r"[12]\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
_CLOCK = r"[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
_ZONED = f"^{_DATE}{_CLOCK}(Z|[-+]([01]\\d|2[0-3]):?[0-5]\\d)$"
_ZONELESS = f"^{_DATE}({_CLOCK})?$"
_CONTROL = r"[\x{00}-\x{1f}\x{7f}-\x{9f}]"


class Lane(NamedTuple):
    """A column as read: values (null where there is none), rows that are sure, and rows that earn a note."""

    values: pa.Array
    sure: pa.Array
    noted: pa.Array


Read = Callable[[pa.Array], Lane]


def numbers(column: pa.Array) -> Lane:
    """`values.number`: float64, NaN and infinities kept."""
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return _all(column.cast(pa.float64(), safe=False))
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.string()), pa.string()
    if pa.types.is_string(kind):
        return _parsed(column, _NUMBER, pa.float64())
    return _none(column, pa.float64())


def answered_numbers(column: pa.Array) -> Lane:
    """A number in the answer: the text NaN is no lack of one, but refused."""
    lane = numbers(column)
    if not pa.types.is_string(column.type):
        return lane
    return lane._replace(sure=pc.and_(lane.sure, pc.invert(pc.is_in(column, _NAN))))


def finite_numbers(column: pa.Array) -> Lane:
    """A float feature: what is NaN or infinite is null, and noted."""
    values, sure, _ = numbers(column)
    odd = _false_if_null(pc.invert(pc.is_finite(values)))
    return Lane(_null_where(odd, values), sure, odd)


def whole_numbers(column: pa.Array) -> Lane:
    """`values.whole`: int64."""
    kind = column.type
    if pa.types.is_uint64(kind):
        small = _false_if_null(pc.less_equal(column, pa.scalar(2**63 - 1, pa.uint64())))
        return Lane(
            _null_where(pc.invert(small), column).cast(pa.int64()), _or_null(small, column), _no(column)
        )
    if pa.types.is_integer(kind):
        return _all(column.cast(pa.int64()))
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        odd = _false_if_null(pc.invert(pc.is_finite(column)))
        fits = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**63))
        fits = pc.and_(_false_if_null(fits), pc.invert(odd))
        values = _null_where(pc.invert(fits), column).cast(pa.int64(), safe=False)
        return Lane(values, _or_null(pc.or_(fits, odd), column), odd)
    if pa.types.is_string(kind):
        return _parsed(column, _WHOLE, pa.int64())
    return _none(column, pa.int64())


def truths(column: pa.Array) -> Lane:
    """`values.truth`: bool."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return _all(column)
    if pa.types.is_string(kind):
        lower, none = pc.ascii_lower(column), pc.is_in(column, _NO_VALUE)
        yes, no = pc.is_in(lower, pa.array(["true", "1"])), pc.is_in(lower, pa.array(["false", "0"]))
        known = pc.or_(yes, no)
        return Lane(_null_where(pc.invert(known), yes), _or_null(pc.or_(known, none), column), _no(column))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        column = column.cast(pa.float64(), safe=False)
        odd = _false_if_null(pc.invert(pc.is_finite(column)))
        yes, no = _false_if_null(pc.equal(column, 1.0)), _false_if_null(pc.equal(column, 0.0))
        known = pc.or_(yes, no)
        return Lane(_null_where(pc.invert(known), yes), _or_null(pc.or_(known, odd), column), odd)
    return _none(column, pa.bool_())


def texts(column: pa.Array) -> Lane:
    """`values.text_of`: text. What is not text already is read once for each distinct value."""
    kind = column.type
    if pa.types.is_string(kind):
        return _all(column)
    if pa.types.is_boolean(kind):
        return _all(pc.if_else(column, "true", "false"))
    if pa.types.is_integer(kind):
        return _all(column.cast(pa.string()))
    if pa.types.is_nested(kind):
        return _none(column, pa.string())
    encoded = column.dictionary_encode()
    found, sure = [], []
    for value in encoded.dictionary.to_pylist():
        try:
            found.append(text_of(value))
            sure.append(True)
        except RecordError:
            found.append(None)
            sure.append(False)
    values = pa.array(found, pa.string()).take(encoded.indices)
    known = _or_null(pa.array(sure, pa.bool_()).take(encoded.indices).fill_null(True), column)
    odd = _false_if_null(pc.invert(pc.is_finite(column))) if pa.types.is_floating(kind) else _no(column)
    return Lane(values, known, odd)


def identifiers(column: pa.Array) -> Lane:
    """`values.identifier`: text with something visible in it, no control characters, at most 512 bytes."""
    if pa.types.is_boolean(column.type):
        return _none(column, pa.string())
    values, sure, _ = texts(column)
    if _all_visible(values):
        return Lane(values, sure, _no(column))
    visible = pc.match_substring_regex(values, r"[!-~]")
    clean = pc.invert(pc.match_substring_regex(values, _CONTROL))
    short = pc.less_equal(pc.binary_length(values), MAX_ID_BYTES)
    good = _false_if_null(pc.and_(pc.and_(visible, clean), short))
    return Lane(values, pc.and_(sure, pc.or_(good, pc.is_null(column))), _no(column))


def groups(column: pa.Array) -> Lane:
    """`values.group`: an identifier without zeros after the point of an integer."""
    lane = identifiers(column)
    # Looking for the two characters costs a quarter of the pattern, and hardly any names have them.
    if not pc.any(pc.match_substring(lane.values, ".0")).as_py():
        return lane
    return lane._replace(values=pc.replace_substring_regex(lane.values, f"^{WHOLE_DECIMAL}$", r"\1"))


def _all_visible(texts: pa.Array) -> bool:
    """Whether every text is printable ASCII without spaces, and neither empty nor long: nothing has to be looked at."""
    sizes = pc.min_max(pc.binary_length(texts)).as_py()
    if sizes["min"] is None or sizes["min"] == 0 or sizes["max"] > MAX_ID_BYTES:
        return False
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    codes = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]]
    # Below the first visible code the difference wraps around.
    return bool((codes - np.uint8(0x21) <= 0x7E - 0x21).all())


def instants(column: pa.Array, latest: datetime) -> Lane:
    """`values.instant`, and not after `latest`; times without a zone are noted."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        lane = _stamps(column)
    elif pa.types.is_date(kind):
        lane = _stamps(column.cast(pa.timestamp("us")))
    elif pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        lane = _epochs(column.cast(pa.int64()))
    elif pa.types.is_string(kind):
        lane = _iso_texts(column)
    else:
        lane = _none(column, TIME)
    late = _false_if_null(pc.greater(lane.values, pa.scalar(latest, TIME)))
    return lane._replace(sure=pc.and_(lane.sure, pc.invert(late)))


def labels(column: pa.Array, spec: Spec) -> Lane:
    """`values.label_value`; what is there and means "not known" is null, and noted."""
    if spec.task == "binary":
        lane = _binary(column, spec.schema.positive)
    elif spec.task == "multiclass":
        lane = texts(column)
        lane = lane._replace(values=_null_where(_false_if_null(pc.equal(lane.values, "")), lane.values))
    elif spec.task == "regression":
        lane = numbers(column)
        infinite = _false_if_null(pc.is_inf(lane.values))
        nan = _false_if_null(pc.is_nan(lane.values))
        lane = lane._replace(
            values=_null_where(nan, lane.values), sure=pc.and_(lane.sure, pc.invert(infinite))
        )
    else:
        lane = _none(column, pa.string())
    return lane._replace(noted=pc.and_(pc.is_valid(column), pc.is_null(lane.values)))


def one_by_one(column: pa.Array) -> Lane:
    """Sure of nothing but nulls."""
    return _none(column, column.type)


def _binary(column: pa.Array, positive: Any) -> Lane:
    if isinstance(positive, bool):
        lane = truths(column)
        return lane if positive else lane._replace(values=pc.invert(lane.values))
    if pa.types.is_boolean(column.type):
        return _all(column)
    lane = texts(column)
    none = _false_if_null(pc.is_in(lane.values, _NO_VALUE))
    same = pc.equal(lane.values, text_of(positive))
    return lane._replace(values=_null_where(none, same))


def _stamps(column: pa.Array) -> Lane:
    zoneless = column.type.tz is None
    us = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    noted = pc.is_valid(column) if zoneless else _no(column)
    return Lane(us.cast(TIME), _true(column), noted)


def _epochs(column: pa.Array) -> Lane:
    value = column.fill_null(0).to_numpy(zero_copy_only=False)
    # The least of all has no absolute value in 64 bits.
    size = np.abs(np.maximum(value, -(2**63) + 1))
    us = np.select(
        [size < 10**11, size < 10**14, size < 10**17],
        [value * 1_000_000, value * 1_000, value],
        value // 1_000,
    )
    inside = pa.array((us >= EARLIEST_US) & (us <= LATEST_US))
    values = _null_where(pc.or_(pc.is_null(column), pc.invert(inside)), pa.array(us).cast(TIME))
    return Lane(values, _or_null(inside, column), _no(column))


def _iso_texts(column: pa.Array) -> Lane:
    parts = []
    for pattern, read in ((_ZONED, _zoned), (_ZONELESS, _zoneless), (_EPOCH, _epoch_texts)):
        fits = _false_if_null(pc.match_substring_regex(column, pattern))
        if fits.true_count:
            if fits.true_count == len(column):
                return read(column)
            lane = read(_null_where(pc.invert(fits), column))
            parts.append(lane._replace(sure=pc.and_(fits, lane.sure), noted=pc.and_(fits, lane.noted)))
    none = _false_if_null(pc.is_in(column, _NO_VALUE))
    values, sure, noted = pa.nulls(len(column), TIME), _or_null(none, column), _no(column)
    for lane in parts:
        values, sure, noted = (
            pc.coalesce(values, lane.values),
            pc.or_(sure, lane.sure),
            pc.or_(noted, lane.noted),
        )
    return Lane(values, sure, noted)


def _zoned(column: pa.Array) -> Lane:
    return _all(column.cast(TIME))


def _zoneless(column: pa.Array) -> Lane:
    return _stamps(column.cast(pa.timestamp("us")))


def _epoch_texts(column: pa.Array) -> Lane:
    return _epochs(column.cast(pa.int64()))


def _parsed(column: pa.Array, pattern: str, kind: pa.DataType) -> Lane:
    """Text that has a pattern, as a number; the words for "no value" are null."""
    fits = _false_if_null(pc.match_substring_regex(column, pattern))
    none = _false_if_null(pc.is_in(column, _NO_VALUE))
    values = _null_where(pc.invert(fits), column).cast(kind)
    return Lane(values, _or_null(pc.or_(fits, none), column), _no(column))


def _all(values: pa.Array) -> Lane:
    return Lane(values, _true(values), _no(values))


def _none(column: pa.Array, kind: pa.DataType) -> Lane:
    """A column of a type that is read one by one; only its nulls are plain."""
    return Lane(pa.nulls(len(column), kind), pc.is_null(column), _no(column))


def _true(column: pa.Array) -> pa.Array:
    return pa.array(np.ones(len(column), dtype=bool))


def _no(column: pa.Array) -> pa.Array:
    return pa.array(np.zeros(len(column), dtype=bool))


def _false_if_null(mask: pa.Array) -> pa.Array:
    return mask.fill_null(False)


def _or_null(mask: pa.Array, column: pa.Array) -> pa.Array:
    return pc.or_(mask, pc.is_null(column))


def _null_where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(mask, pa.scalar(None, values.type), values)
