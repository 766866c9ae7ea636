"""History out of files and queries: when labels became known, records that complete each other, what was refused."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from whorl.errors import SourceError
from whorl.replay.history import History
from whorl.replay.source import read_files, read_sql
from whorl.spec import Spec, parse_spec

START = datetime(2026, 1, 1, tzinfo=UTC)


def spec(labels: str = "", schema: str = "") -> Spec:
    return parse_spec(
        'name = "shop"\ntask = "binary"\n[schema]\nlabel = "bad"\nscore = "score"\n' + schema
        + '\n[schema.features]\namount = "float"\n[labels]\n' + labels
    )  # fmt: skip


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def day(number: float) -> str:
    return (START + timedelta(days=number)).isoformat()


def history(path: Path, found: Spec, labels: Path | None = None) -> History:
    return read_files([path], labels)(found, "key")


def test_rows_come_at_their_own_times(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "id,time,amount,bad,label_time", f"b,{day(1)},2,true,{day(5)}",
               f"a,{day(0)},1,false,{day(9)}", f"c,{day(2)},x,,", f"d,{day(3)},4,,")  # fmt: skip
    found = history(path, spec())
    assert found.predictions["id"].to_pylist() == ["a", "b", "d"]
    assert found.predictions["received_at"].to_pylist() == found.predictions["time"].to_pylist()
    assert found.labels["prediction_id"].to_pylist() == ["b", "a"]
    assert found.labels["received_at"].to_pylist() == [START + timedelta(days=5), START + timedelta(days=9)]
    (note,) = [note for note in found.notes if "refused" in note]
    assert "1 record(s)" in note
    assert "line 4" in note
    assert "expected a number" in note
    assert found.data_hash == history(path, spec("lag = '1d'")).data_hash


def test_labels_in_a_file_of_their_own(tmp_path: Path) -> None:
    data = csv(tmp_path / "a.csv", "id,time,amount", f"a,{day(0)},1", f"b,{day(1)},2")
    labels = csv(tmp_path / "l.csv", "id,bad,label_time", f"a,true,{day(3)}")
    found = history(data, spec(), labels)
    assert found.labels["prediction_id"].to_pylist() == ["a"]
    assert found.data_hash != history(data, spec()).data_hash


def test_labels_must_say_when_they_became_known(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "id,time,amount,bad", f"a,{day(0)},1,true", f"b,{day(1)},2,false")
    with pytest.raises(SourceError, match=r"No label says when.*\[schema\] label_time.*\[labels\] lag"):
        history(path, spec())
    found = history(path, spec("lag = '7d'"))
    assert found.labels["time"].to_pylist() == [START + timedelta(days=7), START + timedelta(days=8)]
    assert found.labels["day"].to_pylist() == [when.date() for when in found.labels["time"].to_pylist()]
    assert any("2 label(s) do not say when" in note for note in found.notes)


def test_some_labels_without_a_time_are_left_out(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "a.csv",
        "id,time,amount,bad,label_time",
        f"a,{day(0)},1,true,{day(2)}",
        f"b,{day(1)},2,false,",
    )
    found = history(path, spec())
    assert found.labels["prediction_id"].to_pylist() == ["a"]
    assert "1 label(s) do not say when they became known, and were left out." in found.notes


def test_records_complete_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(
        '{"id": "a", "score": 0.7}\n'
        f'{{"id": "a", "time": "{day(1)}", "amount": 3}}\n'
        f'{{"id": "b", "time": "{day(0)}", "amount": 4, "score": 0.1}}\n'
        '{"id": "lost", "score": 0.2}\n',
        encoding="utf-8",
    )
    rows = history(path, spec())
    found = rows.predictions.select(["id", "f_amount", "score", "time"]).to_pylist()
    assert found == [
        {"id": "b", "f_amount": 4.0, "score": 0.1, "time": START},
        {"id": "a", "f_amount": 3.0, "score": 0.7, "time": START + timedelta(days=1)},
    ]
    assert any("1 answer(s) belong to no prediction" in note for note in rows.notes)


def test_nothing_to_play(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "id,time,amount", "a,yesterday,1")
    with pytest.raises(SourceError, match=r"no prediction in it.*line 2"):
        history(path, spec())
    with pytest.raises(SourceError):
        history(tmp_path / "missing.csv", spec())


def test_sql_gives_the_same_history(tmp_path: Path) -> None:
    rows = [(f"o{n}", day(n), float(n), n % 2 == 0, day(n + 3)) for n in range(8)]
    path = csv(
        tmp_path / "a.csv",
        "id,time,amount,bad,label_time",
        *(",".join(map(str, row)).lower() for row in rows),
    )
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute("CREATE TABLE orders (id, time, amount, bad BOOLEAN, label_time)")
        db.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    url = f"sqlite:///{tmp_path}/shop.db"
    both = read_sql(url, "SELECT * FROM orders ORDER BY id")(spec(), "key")
    apart = read_sql(url, "SELECT id, time, amount FROM orders", "SELECT id, bad, label_time FROM orders")(
        spec(), "key"
    )
    by_file = history(path, spec())
    for found in (both, apart):
        assert found.predictions.select(["id", "time", "f_amount"]) == by_file.predictions.select(
            ["id", "time", "f_amount"]
        )
        assert found.labels.select(["prediction_id", "value", "time"]) == by_file.labels.select(
            ["prediction_id", "value", "time"]
        )
    again = read_sql(url, "SELECT * FROM orders ORDER BY amount DESC")(spec(), "another key")
    assert again.data_hash == both.data_hash
    fewer = read_sql(url, "SELECT * FROM orders WHERE id <> 'o3'")(spec(), "key")
    assert fewer.data_hash != both.data_hash
