"""How one captured value is read: the rules that every way in shares. `lanes.py` does the same for whole columns.

Each function takes what JSON, CSV text, SQL or numpy may hold and returns the plain Python value, or None where there is
none; what cannot be meant is refused with the value that was found. CSV cells are text, so text that is a number is read
as one everywhere.
"""

import math
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from whorl.clock import as_utc
from whorl.errors import RecordError
from whorl.records import Refusal
from whorl.spec import Spec

MAX_ID_BYTES = 512
MAX_RECORD_BYTES = 16_000_000
# What extracts write where a number, a flag or a time is missing.
NAN = frozenset({"NaN", "nan"})
NO_VALUE = NAN | {"", "NA", "N/A", "NULL", "null", "None", "\\N"}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
WORDS_OF_TRUTH = {"true": True, "1": True, "false": False, "0": False}
WHOLE_DECIMAL = r"(-?[0-9]+)\.0+"
_WHOLE_DECIMAL = re.compile(WHOLE_DECIMAL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_TEXT = re.compile(r"^-?\d{9,19}(\.\d+)?$")
# The years 1 to 9999, which are all that a time can have.
EARLIEST_US, LATEST_US = -62_135_596_800_000_000, 253_402_300_799_999_999


class Notes(Counter[str]):
    """Things worth saying once per batch, with how often they happened. `{n}` in a text is that count.

    >>> notes = Notes()
    >>> notes["{n} times"] += 2
    >>> notes.lines()
    ['2 times']
    """

    def lines(self) -> list[str]:
        return [text.replace("{n}", str(count)) for text, count in self.items()]


ZONELESS = "{n} time(s) without a zone were taken as UTC."


def not_finite(name: str) -> str:
    """The note for a feature whose value was NaN or infinite."""
    return f"{{n}} value(s) of '{name}' were NaN or infinite and became null."


def refusal(reason: str, message: str, where: str = "", hint: str = "") -> RecordError:
    """A RecordError whose `facts["reason"]` becomes the refusal's code."""
    return RecordError(message, where=where, hint=hint, reason=reason)


def refusal_of(error: RecordError, index: int) -> Refusal:
    """A RecordError as a line of the answer."""
    place = f"{error.where}: " if error.where else ""
    code = str(error.facts.get("reason", error.code))
    # What is quoted may hold text that is not Unicode.
    message = (place + error.message).encode("utf-8", "backslashreplace").decode()
    return Refusal(index=index, code=code, message=message, hint=error.hint)


def shown(value: Any) -> str:
    """A value as messages show it: its kind, and at most 40 characters of it.

    >>> shown("abc"), shown([1, 2])
    ("text 'abc'", 'list [1, 2]')
    """
    kinds: dict[type, str] = {
        str: "text",
        bool: "bool",
        int: "int",
        float: "float",
        list: "list",
        dict: "object",
    }
    text = repr(value[:60] if isinstance(value, str) else value)
    return f"{kinds.get(type(value), type(value).__name__)} {text if len(text) <= 40 else text[:39] + '…'}"


def plain(value: Any) -> Any:
    """A numpy scalar as Python's own; anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def number(value: Any, where: str = "") -> float | None:
    """A float, possibly NaN or infinite: the caller knows whether that may be.

    >>> number("12.5"), number(3), number("NA")
    (12.5, 3.0, None)
    """
    if type(value) is float or value is None:
        return value
    value = plain(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        text = value.strip()
        if text in NO_VALUE:
            return None
        try:
            # Python reads 1_000 as a thousand; nobody's data means that.
            return float(text.replace("_", "x"))
        except ValueError:
            pass
    raise refusal("type", f"expected a number, found {shown(value)}.", where)


def whole(value: Any, where: str = "") -> int | None:
    """A 64-bit integer; 3.0 is one, 3.5 is not. NaN is None.

    >>> whole("3"), whole(3.0), whole(None)
    (3, 3, None)
    """
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    value = plain(value)
    found: Any = value
    if isinstance(value, str):
        text = value.strip()
        found = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else number(text, where)
    elif isinstance(value, Decimal):
        found = int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if found is None or (isinstance(found, float) and not math.isfinite(found)):
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, int) and not isinstance(found, bool) and -(2**63) <= found < 2**63:
        return found
    raise refusal("type", f"expected a whole number of 64 bits, found {shown(value)}.", where)


def truth(value: Any, where: str = "") -> bool | None:
    """True or false: also 0 and 1, and their words in any case. NaN is None.

    >>> truth("TRUE"), truth(0), truth("")
    (True, False, None)
    """
    if isinstance(value, bool) or value is None:
        return value
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        if text in NO_VALUE:
            return None
        if text.lower() in WORDS_OF_TRUTH:
            return WORDS_OF_TRUTH[text.lower()]
    elif isinstance(value, (int, float, Decimal)):
        if value in (0, 1):
            return bool(value)
        if isinstance(value, float) and not math.isfinite(value):
            return None
    raise refusal("type", f"expected true or false (or 1, 0), found {shown(value)}.", where)


def text_of(value: Any, where: str = "") -> str | None:
    """A category or text. Numbers become text as JSON writes them, whole ones as integers: 1 and 1.0 are both '1'.

    Text stays as it is, so the text '1.0' is another category than the number 1.0. NaN and infinities are None.

    >>> text_of("abc"), text_of(1.0), text_of(True), text_of(2.5)
    ('abc', '1', 'true', '2.5')
    """
    if type(value) is str or value is None:
        return value
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else repr(float(value))
    if isinstance(value, (date, datetime)):
        return value.isoformat() if value == value else None  # noqa: PLR0124 (NaT is not equal to itself)
    if isinstance(value, (str, UUID)):
        return str(value)
    raise refusal("type", f"expected text or a category, found {shown(value)}.", where)


def identifier(value: Any, where: str = "") -> str | None:
    """An id or key as text; None when there is none.

    >>> identifier(17.0), identifier("txn_1"), identifier(None)
    ('17', 'txn_1', None)
    """
    if type(value) is str and len(value) <= MAX_ID_BYTES and value.isascii() and value.isprintable():
        return value if value.strip() else None
    if isinstance(value, bool):
        raise refusal("id", f"expected an id, found {shown(value)}.", where)
    text = text_of(value, where)
    if text is None or not text.strip():
        return None
    if CONTROL.search(text):
        raise refusal(
            "id", f"the id has control characters: {shown(text)}.", where, "Remove them at the source."
        )
    if len(text) * 4 > MAX_ID_BYTES and len(text.encode(errors="replace")) > MAX_ID_BYTES:
        raise refusal("id", f"the id is longer than {MAX_ID_BYTES} bytes: {shown(text)}.", where)
    return text


def group(value: Any, where: str = "") -> str | None:
    """An `identifier` whose text does not depend on who wrote it: the group decides the side of the holdout.

    What writes integers as decimals ('5.0', as pandas does for a column with gaps) means the same user as '5'.

    >>> group(5), group(5.0), group("5.0"), group("-12.00"), group("5.1")
    ('5', '5', '5', '-12', '5.1')
    """
    text = identifier(value, where)
    return without_zeros(text) if text is not None and ".0" in text else text


def without_zeros(text: str) -> str:
    """An integer that is written with zeros after the point, without them; any other text as it is.

    >>> without_zeros("5.00"), without_zeros("1.0.0")
    ('5', '1.0.0')
    """
    found = _WHOLE_DECIMAL.fullmatch(text)
    return found[1] if found else text


def instant(value: Any, notes: Notes, where: str = "") -> datetime | None:
    """A time in UTC: a datetime, ISO 8601 text, or epoch seconds, milli-, micro- or nanoseconds by their size.

    >>> instant("2023-10-27T10:30:00Z", Notes()) == instant(1698402600, Notes()) == instant(1698402600000, Notes())
    True
    """
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        if text in NO_VALUE:
            return None
        if _EPOCH_TEXT.match(text):
            value = float(text) if "." in text else int(text)
        else:
            try:
                value = datetime.fromisoformat(text)
            except ValueError:
                raise refusal("time", f"expected a time, found {shown(value)}.", where, TIME_HINT) from None
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _from_epoch(float(value) if isinstance(value, Decimal) else value, where)
    if value is None or value != value:  # noqa: PLR0124 (NaT is not equal to itself)
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            notes[ZONELESS] += 1
        # Subclasses such as pandas' Timestamp would not survive encoding.
        whole = datetime.combine(value.date(), value.time(), value.tzinfo or UTC)
        try:
            return whole.astimezone(UTC)
        except OverflowError:
            message = f"in UTC, {whole.isoformat()} lies outside of the years 1 to 9999."
            raise refusal("time", message, where, NO_TIME_HINT) from None
    if isinstance(value, date):
        notes[ZONELESS] += 1
        return as_utc(datetime(value.year, value.month, value.day))  # noqa: DTZ001
    raise refusal("time", f"expected a time, found {shown(value)}.", where, TIME_HINT)


TIME_HINT = "Use ISO 8601 (2023-10-27T10:30:00Z) or epoch seconds or milliseconds."
NO_TIME_HINT = "Does it stand for no time, as .NET's DateTime.MinValue does? Leave it out then."


def _from_epoch(value: float, where: str) -> datetime | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    size = abs(value)
    if size < 1e11:
        us = value * 1_000_000
    elif size < 1e14:
        us = value * 1_000
    elif size < 1e17:
        us = value
    else:
        us = value // 1_000
    if not EARLIEST_US <= us <= LATEST_US:
        raise refusal("time", f"expected a time, found {shown(value)}.", where, TIME_HINT)
    return _EPOCH + timedelta(microseconds=round(us))


def binary_label(value: Any, positive: Any, where: str = "") -> bool | None:
    """True for the positive class. A bool is itself; else [schema] positive names the positive value.

    Where `positive` is true or false (the default is true), 1, 0 and the words are read too, and nothing else is. Where it
    is another value, such as "fraud", every other value is the negative class.

    >>> binary_label("1", True), binary_label("fraud", "fraud"), binary_label("genuine", "fraud")
    (True, True, False)
    """
    value = plain(value)
    if isinstance(positive, bool):
        try:
            found = truth(value, where)
        except RecordError as error:
            hint = "Name the positive value in [schema] positive."
            raise refusal("label", error.message, where, hint) from None
        return None if found is None else found is positive
    if isinstance(value, bool):
        return value
    found_text = text_of(value, where)
    return None if found_text is None or found_text in NO_VALUE else found_text == text_of(positive)


def label_value(value: Any, spec: Spec, where: str = "") -> Any:
    """The truth as the task has it: bool, class name, number, or anything (generation); None where it is not known.

    Raises:
        RecordError: The value is of another type, or infinite.
    """
    if value is None:
        return None
    if spec.task == "generation":
        return value
    try:
        if spec.task == "binary":
            return binary_label(value, spec.schema.positive, where)
        if spec.task == "multiclass":
            return text_of(value, where) or None
        found = number(value, where)
    except RecordError as error:
        raise refusal("label", error.message, where, error.hint) from None
    if found is not None and math.isinf(found):
        raise refusal("label", f"expected a number, found {shown(value)}.", where)
    return None if found is None or math.isnan(found) else found
