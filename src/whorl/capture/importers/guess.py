"""Guess [schema] from an extract, so that `whorl init --from FILE` writes a spec to be corrected rather than begun.

Goes by names and types of the columns of the first rows; says what was guessed and why. Guesses nothing that is not
plain: a wrong label would be worse than none.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb
import msgspec

from whorl.errors import SourceError
from whorl.records import Task
from whorl.spec.checks import RESERVED

ROWS = 20_000
CATEGORIES = 1_000
Kind = Literal["time", "bool", "int", "float", "text"]
_READERS = {
    ".csv": "read_csv({path}, sample_size = {rows})",
    ".tsv": "read_csv({path}, sample_size = {rows})",
    ".txt": "read_csv({path}, sample_size = {rows})",
    ".parquet": "read_parquet({path})",
    ".ndjson": "read_json({path}, format = 'newline_delimited', sample_size = {rows})",
    ".jsonl": "read_json({path}, format = 'newline_delimited', sample_size = {rows})",
}
_NAMES = {
    "label_time": r"(label|truth|outcome|resolved|settled|closed|known)\w*(time|date|timestamp|at)|ground_truth\..*(time|date)\w*",
    "time": r"(event_|created_|booking_|request_|transaction_)?(timestamp|time|date|datetime|ts|at)|created(_at)?|when",
    "label": r"label|target|y|truth|outcome|(is_)?(fraud|cancell?ed|churn(ed)?|default(ed)?|spam)|"
    r"converted|clicked|ground_truth\.(?!.*(time|date|source)).*",
    "score": r"score|probability|proba|prediction|predicted|y_pred|p|prediction\..*(prob|score|value)\w*",
    "group": r"(user|customer|account|client|card|patient|guest|member)_?id|user|customer|account|client|patient|member",
    "action": r"action|decision",
    "model_version": r"model_?version|model",
    "label_source": r"label_source|ground_truth\..*source",
}
_TIMES = ("label_time", "time")
_NUMBERS = ("score",)
# Fewer are kinds of users rather than users, unless the name says that it is an id.
_GROUPS = 30


class Column(msgspec.Struct, frozen=True):
    """One column of the extract: its dotted path, kind, distinct values, the share of rows that have one, and of those that
    have several words."""

    path: str
    kind: Kind
    distinct: int
    filled: float
    length: float
    wordy: float
    two_values: bool
    rows: int


class Guess(msgspec.Struct, frozen=True):
    """Values of [schema], features included; those that may be; the task; and what was guessed, in words."""

    schema: dict[str, Any]
    perhaps: dict[str, str]
    task: Task | None
    said: list[str]


def guess_schema(path: Path) -> Guess:
    """What the columns of a CSV, Parquet or NDJSON file seem to be.

    Raises:
        SourceError: It cannot be read, or has no rows.
    """
    columns = _columns(path)
    schema: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for knob in ("label_time", "time", "label", "score", "group", "action", "model_version", "label_source"):
        found = _named(knob, [column for column in columns if column.path not in taken])
        if found is not None:
            schema[knob], taken[found.path] = found.path, knob
    identity = _id(columns, taken)
    if identity is not None:
        schema["id"], taken[identity.path] = identity.path, "id"
    label = next((column for column in columns if column.path == schema.get("label")), None)
    open_columns = [column for column in columns if column.path not in taken]
    truth = _perhaps_truth(columns, open_columns, schema) if label is None else None
    features, left = _features([column for column in open_columns if column is not truth])
    said = [f"{knob} = {path}" for path, knob in taken.items()]
    said += [f"{len(features)} features: {', '.join(features)}"] if features else []
    said += (
        [f"left out: {', '.join(left)} (times, and names that differ in nearly every row)"] if left else []
    )
    said += [
        f"no {knob} found: set [schema] {knob}" for knob in ("id", "time", "label") if knob not in schema
    ]
    perhaps = {} if truth is None else {"label": truth.path}
    if truth is not None:
        said.append(
            f"perhaps the label is {truth.path}, a {_task(truth)} task: it is no feature until you say so. Uncomment it in "
            "[schema] if it is, else add it to [schema.features]"
        )
    return Guess({**schema, "features": features}, perhaps, _task(label), said)


def _perhaps_truth(columns: list[Column], left: list[Column], schema: dict[str, Any]) -> Column | None:
    """Where the label may be: beside its time, or else last. As a feature it would tell the model the answer."""
    paths = [column.path for column in columns]
    beside = paths.index(schema["label_time"]) if "label_time" in schema else len(paths)
    fitting = [column for column in left if _feature_type(column) not in (None, "text")]
    return next((one for one in reversed(fitting) if paths.index(one.path) < beside), None)


def _columns(path: Path) -> list[Column]:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".zst")]
    reader = _READERS.get(suffixes[-1] if suffixes else "")
    if reader is None or not path.is_file():
        raise SourceError(
            "There is no such file." if reader else f"What is in a '{path.suffix}' file cannot be guessed.",
            where=str(path),
            hint="Name a .csv, .parquet or .ndjson file.",
        )
    source = reader.format(path="'" + str(path).replace("'", "''") + "'", rows=ROWS)
    try:
        with duckdb.connect() as db:
            db.execute(f"CREATE TABLE extract AS SELECT * FROM {source} LIMIT {ROWS}")
            found = db.execute("DESCRIBE extract").fetchall()
            leaves = [leaf for name, kind, *_ in found for leaf in _leaves([name], kind)]
            columns = [_column(db, keys, kind) for keys, kind in leaves]
    except duckdb.Error as error:
        raise SourceError(f"The file cannot be read: {error}.", where=str(path)) from error
    if not columns or not columns[0].rows:
        raise SourceError("There are no rows in it.", where=str(path))
    return columns


def _leaves(keys: list[str], kind: str) -> list[tuple[list[str], str]]:
    """A column, or the fields of a struct of them."""
    if not kind.startswith("STRUCT("):
        return [(keys, kind)]
    fields = re.findall(r'("[^"]+"|\w+) (STRUCT\(.*?\)|[^,()]+(?:\([^)]*\))?)(?:, |\)$)', kind[7:])
    return [leaf for name, inner in fields for leaf in _leaves([*keys, name.strip('"')], inner)]


def _column(db: duckdb.DuckDBPyConnection, keys: Sequence[str], kind: str) -> Column:
    value = ".".join('"' + key.replace('"', '""') + '"' for key in keys)
    row = db.execute(
        f"SELECT count(DISTINCT {value}), count({value}), avg(length({value}::VARCHAR)), "
        f"avg(({value}::VARCHAR LIKE '% %')::INT), count(*), "
        f"coalesce(list_sort(list(DISTINCT {value}::VARCHAR) FILTER ({value} IS NOT NULL))[:3] IN "
        f"(['0', '1'], ['false', 'true'], ['0.0', '1.0']), false) FROM extract"
    ).fetchone()
    assert row is not None
    distinct, filled, length, wordy, rows, two = row
    return Column(
        ".".join(keys),
        _kind(kind),
        distinct,
        filled / max(rows, 1),
        length or 0.0,
        wordy or 0.0,
        bool(two),
        rows,
    )


def _kind(kind: str) -> Kind:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return "time"
    if kind == "BOOLEAN":
        return "bool"
    if kind.endswith("INT") or kind in ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT"):
        return "int"
    return "float" if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL") else "text"


def _named(knob: str, columns: list[Column]) -> Column | None:
    """The column that is called so, if it can be it; a whole name before a nested one."""
    fitting = [column for column in columns if re.fullmatch(_NAMES[knob], column.path, re.IGNORECASE)]
    if knob in _TIMES:
        fitting = [column for column in fitting if column.kind == "time"]
    elif knob in _NUMBERS:
        fitting = [column for column in fitting if column.kind == "float"]
    elif knob == "group":
        fitting = [column for column in fitting if _is_group(column)]
    return fitting[0] if fitting else None


def _is_group(column: Column) -> bool:
    """Several rows each, of many; or of any number where the name ends in id."""
    many = column.distinct >= _GROUPS or column.path.lower().endswith("id")
    return many and column.kind in ("int", "text") and column.distinct < 0.9 * column.filled * column.rows


def _id(columns: list[Column], taken: dict[str, str]) -> Column | None:
    unique = [
        c for c in columns if c.path not in taken and c.kind in ("int", "text") and c.distinct == c.rows
    ]
    named = [column for column in unique if re.fullmatch(r"id|uuid|.*_id", column.path, re.IGNORECASE)]
    return next(iter(sorted(named, key=lambda column: column.path.lower() != "id")), None)


def _features(columns: list[Column]) -> tuple[dict[str, Any], list[str]]:
    features: dict[str, Any] = {}
    left: list[str] = []
    for column in columns:
        kind = _feature_type(column)
        if kind is None:
            left.append(column.path)
            continue
        name = column.path.rpartition(".")[2]
        found_by_name = column.path in (name, f"features.{name}")
        if name in RESERVED:
            name, found_by_name = f"event_{name}", False
        if name in features:
            name, found_by_name = column.path.replace(".", "_"), False
        features[name] = kind if found_by_name else {"type": kind, "path": column.path}
    return features, left


def _feature_type(column: Column) -> str | None:
    if column.kind == "time" or column.filled == 0:
        return None
    if column.kind != "text":
        return column.kind
    if column.length > 40:
        return "text"
    if column.distinct <= min(CATEGORIES, 0.5 * column.filled * column.rows):
        return "category"
    return "text" if column.wordy > 0.5 else None


def _task(label: Column | None) -> Task | None:
    if label is None:
        return None
    if label.two_values:
        return "binary"
    if label.kind == "text" and label.distinct <= CATEGORIES:
        return "multiclass"
    return "regression" if label.kind in ("int", "float") else None
