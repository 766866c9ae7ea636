"""The join against a plain reading of its rules in Python, on stories drawn at random."""

from datetime import timedelta
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from joined import day, spec_with, story

from whorl.storage.tables import lake_schemas

WINDOW, AFTER = 8, 5
LABELS = f'window = "{WINDOW}d"\ndefault_after = {{ value = false, after = "{AFTER}d" }}'
DAYS = 20


def _records(random: Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    def times() -> dict[str, Any]:
        at = day(random.randrange(DAYS) / 2)
        return {"time": at, "received_at": at + timedelta(days=random.randrange(8) / 2), "day": at.date()}

    predictions = [
        {
            "id": f"p{random.randrange(12)}", "split": "train", "score": random.choice([None, 0.1, 0.9]),
            "f_amount": random.choice([None, 1.0, 2.0]), "action": random.choice([None, "blocked", "allowed"]),
            **times(),
        }
        for _ in range(20)
    ]  # fmt: skip
    labels = [
        {
            "id": f"l{n}",
            "prediction_id": f"p{random.randrange(14)}",
            "value": random.random() < 0.5,
            **times(),
        }
        for n in range(20)
    ]
    return predictions, labels


def _rank(label: dict[str, Any]) -> tuple[Any, ...]:
    own = md5(f"{label['id']}/{str(label['value']).lower()}".encode()).hexdigest()
    return label["received_at"], label["time"], -int(own, 16)


def _expected(
    predictions: list[dict[str, Any]], labels: list[dict[str, Any]], as_of: Any
) -> list[tuple[Any, ...]]:
    found = []
    for id in sorted({p["id"] for p in predictions}):
        records = [p for p in predictions if p["id"] == id and p["received_at"] <= as_of]
        if not records:
            continue
        first = {
            name: min(
                ((r["received_at"], r["time"], r[name]) for r in records if r[name] is not None),
                default=(None,),
            )[-1]
            for name in ("score", "f_amount", "action")
        }
        timed = [r for r in records if r["time"] != r["received_at"]] or records
        first["time"] = min((r["received_at"], r["time"]) for r in timed)[-1]
        fitting = [
            label for label in labels
            if label["prediction_id"] == id and label["received_at"] <= as_of
            and label["time"] <= first["time"] + timedelta(days=WINDOW)
        ]  # fmt: skip
        last = max(fitting, key=_rank, default=None)
        if last:
            outcome: tuple[Any, ...] = ("known", last["value"], last["time"])
        elif first["action"] == "blocked":
            outcome = ("censored", None, None)
        elif first["time"] + timedelta(days=AFTER) <= as_of:
            outcome = ("defaulted", False, first["time"] + timedelta(days=AFTER))
        else:
            outcome = ("open", None, None)
        found.append((id, first["time"], first["score"], first["f_amount"], first["action"], *outcome))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_join_equals_its_reference(tmp_path: Path, seed: int) -> None:
    predictions, labels = _records(Random(seed))
    with story(tmp_path, LABELS) as told:
        for table, rows in (("predictions", predictions), ("labels", labels)):
            schema = lake_schemas(spec_with(LABELS))[table]
            told.lake.append(table, pa.Table.from_pylist(rows, schema=schema), "all", 1)
        for as_of in (0, 4, 9, 30):
            rows = told.rows(as_of, "id, time, score, f_amount, action, status, label, label_time")
            assert [tuple(row.values()) for row in rows] == _expected(predictions, labels, day(as_of))
