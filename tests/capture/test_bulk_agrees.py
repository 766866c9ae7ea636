"""Whole tables give the very rows, refusals and notes that their records give one by one."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whorl.capture import lanes
from whorl.capture.bulk import Bulk, Rows
from whorl.capture.mapping import Kind
from whorl.capture.raw_columns import normal
from whorl.capture.values import Notes
from whorl.spec import Spec, parse_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "ab" * 32
BODY = """
[schema]
time = "when"
group = "user"
label = "truth"
label_time = "truth_at"
keys = { order = "order_no" }
protected = ["age"]
positive = POSITIVE
[schema.features]
f = "float"
i = "int"
b = "bool"
c = "category"
t = { type = "text", path = "inner.t" }
"""
SPECS = {
    "binary": parse_spec('name="f"\ntask="binary"' + BODY.replace("POSITIVE", "true")),
    "inverted": parse_spec('name="f"\ntask="binary"' + BODY.replace("POSITIVE", "false")),
    "named": parse_spec('name="f"\ntask="binary"' + BODY.replace("POSITIVE", '"bad"')),
    "multiclass": parse_spec('name="f"\ntask="multiclass"' + BODY.replace("POSITIVE", "true")),
    "regression": parse_spec('name="f"\ntask="regression"' + BODY.replace("POSITIVE", "true")),
    "generation": parse_spec(
        'name="f"\ntask="generation"' + BODY.replace("POSITIVE", "true") + '[train]\ntrainer="external"'
    ),
}
WORDS = st.sampled_from(
    ["", " ", "1", "0", "1.0", "-3", "007", "+5", "1e3", "1e999", ".5", "5.", "5.00", "-0.0", "1.0.0", "1_0", "true", "FALSE", "nan", "NaN", "NA",
     "inf", "-Infinity", "bad", "x" * 600, "a\x00b", "é", "2025-01-31", "2024-02-29", "2025-02-29T00:00:00Z", "2025-02-30",
     "2025-12-01 10:00:00.123", "2025-12-01T10:00:00+02:00", "2025-12-01T10:00:00.123456789Z", "20251201", "1764547200",
     "1764547200000", "2030-01-01T00:00:00Z", "2025-W05-1", "12345678901234567890", "\u2003", '{"a": 1}', "[]"]
)  # fmt: skip
FLOATS = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 1.0, 0.5, 2.0**53, 1e18, 1e300, float("nan"), float("inf"), -1.5, 1.7645472e9]
    ),
    st.floats(),
)
TIMES = st.datetimes(datetime(1600, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001
CELLS = [
    (pa.string(), st.one_of(WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=5))),
    (pa.large_string(), WORDS),
    (pa.dictionary(pa.int8(), pa.string()), WORDS),
    (pa.float64(), FLOATS),
    (pa.float32(), st.floats(width=32)),
    (pa.int64(), st.one_of(st.sampled_from([0, 1, -1, 1764547200, 1764547200000]), st.integers(-(2**63), 2**63 - 1))),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(20, 4), st.decimals(-10**9, 10**9, places=4)),
    (pa.timestamp("us"), TIMES),
    (pa.timestamp("ns"), st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))),  # noqa: DTZ001
    (pa.timestamp("s", "Europe/Berlin"), TIMES.map(lambda t: t.replace(microsecond=0, tzinfo=UTC))),
    (pa.date32(), st.dates(date(1600, 1, 1), date(2200, 1, 1))),
    (pa.struct([("t", pa.string()), ("z", pa.int64())]), st.fixed_dictionaries({"t": WORDS, "z": st.integers(0, 9)})),
    (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=2)),
    (pa.map_(pa.string(), pa.float64()), st.just([("a", 0.5), ("b", 0.5)])),
    (pa.null(), st.none()),
]  # fmt: skip
NAMES = [
    "id", "when", "user", "truth", "truth_at", "order_no", "age", "f", "i", "b", "c", "inner", "inner.t", "features", "score",
    "scores", "output", "action", "propensity", "latency_ms", "input_tokens", "items", "label_source", "more", "other",
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Some of the columns, each of any type; half of them of a type that fits, so that whole rows may be good."""
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=8))
    columns: dict[str, pa.Array] = {}
    if draw(st.booleans()):
        columns["id"] = pa.array([f"id{n}" for n in range(rows)])
        columns["when"] = pa.array([NOW - timedelta(hours=n) for n in range(rows)], pa.timestamp("us", "UTC"))
    for name in names:
        kind, values = draw(st.sampled_from(CELLS))
        cells = draw(
            st.lists(
                st.one_of(st.none(), values) if kind != pa.null() else values, min_size=rows, max_size=rows
            )
        )
        if name not in columns:
            columns[name] = pa.array(cells, kind)
    return pa.table(columns)


def _both(spec: Spec, kind: Kind, table: pa.Table) -> tuple[tuple[Rows, Notes], tuple[Rows, Notes]]:
    bulk, whole, single = Bulk(spec, KEY), Notes(), Notes()
    together = bulk.rows(kind, table, NOW, whole, range(table.num_rows))
    records = normal(table).to_pylist(maps_as_pydicts="lossy")
    return (together, whole), (bulk.rows_of(kind, list(enumerate(records)), NOW, single), single)


def _sorted(table: pa.Table | None) -> list[str]:
    return [] if table is None else sorted(repr(row) for row in table.to_pylist())


def _compare(spec: Spec, kind: Kind, table: pa.Table) -> None:
    (together, whole), (apart, single) = _both(spec, kind, table)
    assert sorted(together.refused, key=lambda r: r.index) == apart.refused
    assert together.accepted == apart.accepted
    for name in ("predictions", "labels", "feedback"):
        ours, theirs = together.tables.get(name), apart.tables.get(name)  # type: ignore[call-overload]
        assert _sorted(ours) == _sorted(theirs)
    assert whole == single


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables(), task=st.sampled_from(sorted(SPECS)), kind=st.sampled_from(["predictions", "labels"]))
def test_any_small_table(table: pa.Table, task: str, kind: Kind) -> None:
    _compare(SPECS[task], kind, table)


def test_paths_that_lead_into_a_map() -> None:
    """Found by the test above: a feature below a map column was taken as missing instead of refused."""
    features = pa.array([[("a", 0.5), ("b", 0.5)]], pa.map_(pa.string(), pa.float64()))
    table = pa.table(
        {"id": ["id0"], "when": pa.array([NOW], pa.timestamp("us", tz="UTC")), "features": features}
    )
    _compare(SPECS["binary"], "predictions", table)


def test_a_clean_table_never_leaves_the_fast_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    bulk = Bulk(SPECS["binary"], KEY)
    monkeypatch.setattr(bulk._waiting._mapper, "read", None)
    rows = 1000
    table = pa.table(
        {
            "id": range(rows),
            "when": pa.array(["2025-12-01T10:00:00Z", "2025-12-01 10:00:00"] * (rows // 2)),
            "user": pa.array([f"u{n % 7}" for n in range(rows)]),
            "truth": pa.array([0, 1] * (rows // 2), pa.int8()),
            "order_no": pa.array(range(rows), pa.int32()),
            "f": pa.array([1.5, float("nan")] * (rows // 2)),
            "c": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "score": pa.array([Decimal("0.25"), Decimal("0.5")] * (rows // 2)),
            "more": pa.array(["x", None] * (rows // 2)),
        }
    )
    notes = Notes()
    found = bulk.rows("predictions", table, NOW, notes, range(rows))
    assert (found.accepted, found.tables["labels"].num_rows, found.refused) == (rows, rows, [])
    assert len(notes) == 2


def test_the_comparison_sees_a_lane_that_is_sure_of_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    sure_of_all = lanes.identifiers

    def identifiers(column: pa.Array) -> lanes.Lane:
        lane = sure_of_all(column)
        return lane._replace(sure=pa.array([True] * len(column)))

    monkeypatch.setattr(lanes, "identifiers", identifiers)
    table = pa.table({"id": ["a\x00b"], "when": ["2025-12-01T10:00:00Z"]})
    with pytest.raises(AssertionError):
        _compare(SPECS["binary"], "predictions", table)
