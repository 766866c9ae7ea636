"""SQL queries: streamed, incremental, each row once, whatever shares the boundary and wherever it stops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.capture.importers import sql as module
from whorl.capture.importers.sql import ingest_sql
from whorl.errors import SourceError, StateError, StorageError
from whorl.storage.inbox import Inbox
from whorl.workspace import Workspace

QUERY = """
SELECT id AS transaction_id, at AS "timestamp", amount, fraud AS "ground_truth.is_fraud", changed
FROM payments WHERE note NOT LIKE '%:test%' -- a comment
;"""

OTHER_QUERY = 'SELECT id AS transaction_id, fraud AS "ground_truth.is_fraud", changed FROM payments'


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest.fixture
def payments(shop: str) -> Iterator[Any]:
    """Inserts rows (id, amount, changed) into a fresh table."""
    engine = sa.create_engine(
        sa.make_url(shop).set(drivername="postgresql+psycopg") if "postgres" in shop else shop
    )
    table = sa.Table(
        "payments", sa.MetaData(),
        sa.Column("id", sa.Text), sa.Column("at", sa.Text), sa.Column("amount", sa.Numeric(10, 2)),
        sa.Column("fraud", sa.Boolean), sa.Column("note", sa.Text), sa.Column("changed", sa.DateTime(timezone=True)),
    )  # fmt: skip
    table.create(engine)

    def insert(*rows: tuple[str, float, str | None]) -> None:
        with engine.begin() as conn:
            for name, amount, changed in rows:
                time = "CAST(:changed AS TIMESTAMPTZ)" if "postgres" in shop else ":changed"
                conn.execute(
                    sa.text(
                        f"INSERT INTO payments VALUES (:id, '2025-12-01T00:00:00Z', :amount, true, 'x', {time})"
                    ),
                    {"id": name, "amount": amount, "changed": changed},
                )

    yield insert
    table.drop(engine)
    engine.dispose()


def _ids(ws: Workspace) -> list[str]:
    flush(ws)
    rows = ws.engine.query(f"SELECT id FROM {ws.lake.relation('predictions')} ORDER BY id").to_pylist()
    return [row["id"] for row in rows]


def test_only_what_is_new_and_nothing_at_the_boundary_lost_or_doubled(
    ws: Workspace, shop: str, payments: Any
) -> None:
    payments(("a", 1, "2025-12-01 10:00:00+00"), ("b", 2, "2025-12-01 11:00:00+00"), ("none", 3, None))
    first = ingest_sql(ws, shop, QUERY, "changed")
    assert (first.accepted, first.labels) == (2, 2)
    assert "1 row(s) have no 'changed' (NULL), which is the watermark: they were not taken." in first.notes
    payments(("c", 3, "2025-12-01 11:00:00+00"), ("d", 4, "2025-12-01 12:00:00+00"))
    second = ingest_sql(ws, shop, QUERY, "changed")
    assert second.accepted == 2
    assert "1 row(s) with the last watermark were known already." in second.notes
    assert ingest_sql(ws, shop, QUERY, "changed").accepted == 0
    assert _ids(ws) == ["a", "b", "c", "d"]


def test_it_goes_on_after_the_chunk_it_stopped_in(
    ws: Workspace, shop: str, payments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 2)
    payments(*((f"p{n}", n, "2025-12-01 10:00:00+00") for n in range(7)))
    real, calls = module.watermarks.put, []

    def failing(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise OSError("pulled the plug")
        real(*args)

    with monkeypatch.context() as broken:
        broken.setattr(module.watermarks, "put", failing)
        with pytest.raises(OSError, match="plug"):
            ingest_sql(ws, shop, QUERY, "changed")
    assert ws.inbox.depth(ws.name).rows == 8
    assert ingest_sql(ws, shop, QUERY, "changed").accepted == 3
    assert _ids(ws) == [f"p{n}" for n in range(7)]


@pytest.mark.parametrize("watermark", ["changed", None])
def test_two_runs_of_a_query_do_not_overlap(
    ws: Workspace, shop: str, payments: Any, monkeypatch: pytest.MonkeyPatch, watermark: str | None
) -> None:
    payments(("a", 1, "2025-12-01 10:00:00+00"), ("b", 2, "2025-12-01 11:00:00+00"))
    real, refused = module._chunks, []

    def chunks(*args: Any, **more: Any) -> Any:
        with monkeypatch.context() as second:
            second.setattr(module, "_chunks", real)
            with pytest.raises(StateError, match="Another run reads this query") as error:
                ingest_sql(ws, shop, QUERY, watermark)
            refused.append(error)
            assert ingest_sql(ws, shop, OTHER_QUERY, watermark, kind="labels").accepted == 2
        yield from real(*args, **more)

    with monkeypatch.context() as first:
        first.setattr(module, "_chunks", chunks)
        assert ingest_sql(ws, shop, QUERY, watermark).accepted == 2
    assert refused
    assert _ids(ws) == ["a", "b"]
    assert ingest_sql(ws, shop, QUERY, "changed").accepted == (0 if watermark else 2)


def test_a_run_that_has_lost_its_lock_keeps_nothing_more(
    ws: Workspace, shop: str, payments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments(("a", 1, "2025-12-01 10:00:00+00"))
    real = module.take_if_free

    def lost(*args: Any) -> Any:
        lock = real(*args)
        assert lock is not None
        lock.release()
        return lock

    with monkeypatch.context() as patch:
        patch.setattr(module, "take_if_free", lost)
        with pytest.raises(StorageError, match="was lost"):
            ingest_sql(ws, shop, QUERY, "changed")
    assert _ids(ws) == []


def test_half_of_the_inbox_is_left_to_those_who_cannot_wait(
    ws: Workspace, shop: str, payments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 5)
    ws.inbox.close()
    ws.inbox = Inbox(ws.ledger, capacity := 3000)
    payments(*((f"p{n:02d}", n, f"2025-12-01 10:00:{n:02d}+00") for n in range(50)))
    real, depths = module.watermarks.put, []

    def put(conn: Any, *args: Any) -> None:
        depths.append(conn.scalar(sa.text("SELECT sum(bytes) FROM inbox")))
        real(conn, *args)

    monkeypatch.setattr(module.watermarks, "put", put)
    assert ingest_sql(ws, shop, QUERY, "changed").accepted == 50
    assert max(depths) < capacity / 2 + 2 * depths[0]
    assert depths[0] * len(depths) > capacity, "so much would not have fitted"
    live = {"transaction_id": "live", "timestamp": "2025-12-01T00:00:00Z", "amount": 1}
    assert accept(ws, "predictions", [live]).accepted == 1
    assert _ids(ws) == ["live", *(f"p{n:02d}" for n in range(50))]


def test_without_a_watermark_it_says_so(ws: Workspace, shop: str, payments: Any) -> None:
    payments(("a", 1, None))
    report = ingest_sql(ws, shop, QUERY)
    assert report.accepted == 1
    assert "Without a watermark every run reads all rows again." in report.notes


def test_a_bad_row_is_refused_and_the_others_kept(ws: Workspace, shop: str, payments: Any) -> None:
    payments(("", 1, "2025-12-01 10:00:00+00"), ("b", 2, "2025-12-01 11:00:00+00"))
    report = ingest_sql(ws, shop, QUERY, "changed")
    assert (report.accepted, [(r.index, r.code) for r in report.rejects]) == (1, [(1, "id")])
    assert report.rejects_path is not None


@pytest.mark.parametrize(
    ("query", "watermark", "part"),
    [
        ("SELECT * FROM nowhere", None, "The query failed"),
        ("SELECT 1 AS transaction_id", "changed", "changed"),
        ("SELEC", None, "The query failed"),
    ],
)
def test_a_query_that_fails(ws: Workspace, shop: str, query: str, watermark: str | None, part: str) -> None:
    with pytest.raises(SourceError) as error:
        ingest_sql(ws, shop, query, watermark)
    assert part in str(error.value)


def test_a_url_that_is_none(ws: Workspace) -> None:
    for url in ("nonsense", "nosuchdb://host/x"):
        with pytest.raises(SourceError, match="cannot be opened"):
            ingest_sql(ws, url, "SELECT 1")
