"""Where a field lies and how its value is read, put together once for a spec: a reader takes a raw record and gives the field.

The rules for values are in `values.py`, those for paths in `paths.py`. Mapping a record is calling readers, one a field.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from whorl.capture.paths import ABSENT, Path
from whorl.capture.values import Notes, instant, refusal

Raw = dict[str, Any]
Read = Callable[[Any, str], Any]
Reader = Callable[[Raw], Any]
TimeReader = Callable[[Raw, datetime, Notes], datetime | None]

AHEAD = timedelta(days=1)


def reader(path: Path | None, read: Read) -> Reader:
    """Of the field at a path; None where the field is not there, or there is no such path.

    >>> reader(Path("a.b"), lambda value, where: (value, where))({"a": {"b": 1}})
    (1, 'a.b')
    """
    if path is None:
        return lambda raw: None  # noqa: ARG005
    get, text = path.get, path.text

    def field(raw: Raw) -> Any:
        value = get(raw)
        return None if value is ABSENT or value is None else read(value, text)

    return field


def readers(paths: dict[str, Path], read: Read) -> Callable[[Raw], dict[str, Any]]:
    """Of several fields by name; those that are not there are left out."""
    if not paths:
        return lambda raw: {}  # noqa: ARG005
    named = [(name, reader(path, read)) for name, path in paths.items()]

    def fields(raw: Raw) -> dict[str, Any]:
        return {name: value for name, field in named if (value := field(raw)) is not None}

    return fields


def time_reader(path: Path) -> TimeReader:
    """Of a time; one that lies more than a day ahead of its arrival is refused."""
    get, text = path.get, path.text

    def time(raw: Raw, received_at: datetime, notes: Notes) -> datetime | None:
        value = get(raw)
        if value is ABSENT or value is None:
            return None
        found = instant(value, notes, text)
        if found is not None and found > received_at + AHEAD:
            raise refusal(
                "future", f"{found.isoformat()} lies more than a day ahead of the clock.", text,
                "Is it in another unit or zone?",
            )  # fmt: skip
        return found

    return time


def lifted(rest: dict[str, Any]) -> dict[str, Any]:
    """`extra` of a record that already has such a field."""
    inner = rest.get("extra")
    return {**{k: v for k, v in rest.items() if k != "extra"}, **inner} if isinstance(inner, dict) else rest
