"""The demo's stream: repeatable, honest about what is known when, and with fraud that moves."""

from __future__ import annotations

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

DAYS = 40


def _load() -> Any:
    path = Path(__file__).parents[2] / "examples" / "fraud" / "stream.py"
    found = importlib.util.spec_from_file_location("fraud_stream", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["fraud_stream"] = module  # dataclasses look their module up by name
    found.loader.exec_module(module)
    return module


fraud_stream = _load()


def _generate(seed: int = 3) -> Any:
    return fraud_stream.generate(seed=seed, days=DAYS, payments_per_day=400, users=500, campaigns=8)


@pytest.fixture(scope="module")
def stream() -> Any:
    return _generate()


@pytest.fixture(scope="module")
def payments(stream: Any) -> pd.DataFrame:
    return pd.DataFrame(stream.payments.to_pandas())


@pytest.fixture(scope="module")
def labels(stream: Any) -> pd.DataFrame:
    return pd.DataFrame(stream.labels.to_pandas())


def test_a_seed_repeats_and_another_seed_differs(stream: Any) -> None:
    again, other = _generate(), _generate(seed=4)
    assert again.payments.equals(stream.payments)
    assert again.labels.equals(stream.labels)
    assert again.campaigns.equals(stream.campaigns)
    assert not other.payments.equals(stream.payments)


def test_payments_come_by_time_with_their_own_ids_at_the_asked_rate(payments: pd.DataFrame) -> None:
    assert payments["transaction_id"].is_unique
    assert payments["timestamp"].is_monotonic_increasing
    assert str(payments["timestamp"].dt.tz) == "UTC"
    assert len(payments) == pytest.approx(400 * DAYS, rel=0.05)
    assert payments["is_fraud"].mean() == pytest.approx(0.015, abs=0.006)
    assert payments["merchant"].nunique() == 60
    assert (payments["amount"] > 0).all()


def test_features_look_only_at_the_past(payments: pd.DataFrame) -> None:
    """Recounted one by one for payments whose whole window lies inside the stream."""
    start = payments["timestamp"].min()
    late = payments[payments["timestamp"] > start + timedelta(days=7)]
    by_user = dict(list(payments.groupby("user_id")))
    for row in late.sample(200, random_state=0).itertuples():
        past = by_user[row.user_id].loc[: row.Index - 1]
        age = row.timestamp - past["timestamp"]
        week = past.loc[age <= timedelta(days=7), "amount"]
        in_day = int((age <= timedelta(days=1)).sum())
        assert row.transactions_per_hour_last_24h == pytest.approx(in_day / 24, abs=1e-4)
        if len(week):
            assert row.avg_transaction_amount_last_7d == pytest.approx(week.mean(), abs=0.011)
        else:
            assert np.isnan(row.avg_transaction_amount_last_7d)
        if len(past):
            assert row.hours_since_last == pytest.approx(age.min().total_seconds() / 3600, abs=1e-3)
        assert not (row.is_new_merchant and (past["merchant"] == row.merchant).any())
        assert not (row.is_new_channel and (past["channel"] == row.channel).any())


def test_labels_are_a_week_late_and_rare_for_genuine_payments(
    payments: pd.DataFrame, labels: pd.DataFrame
) -> None:
    joined = labels.merge(payments[["transaction_id", "timestamp"]], on="transaction_id")
    assert (joined["time"] > joined["timestamp"]).all()
    disputes = joined[joined["source"] == "user_dispute_confirmed_by_analyst"]
    days_late = (disputes["time"] - disputes["timestamp"]).dt.total_seconds() / 86_400
    assert 6 < days_late.median() < 8
    assert days_late.std() > 2
    labelled = payments["label_time"].notna()
    assert labelled[payments["is_fraud"]].mean() == pytest.approx(0.92, abs=0.05)
    assert labelled[~payments["is_fraud"]].mean() == pytest.approx(0.051, abs=0.01)


def test_the_first_label_is_named_and_a_withdrawn_dispute_corrects_it(
    payments: pd.DataFrame, labels: pd.DataFrame
) -> None:
    first = labels.drop_duplicates("transaction_id").set_index("transaction_id")
    told = payments[payments["label_time"].notna()].set_index("transaction_id")
    assert (first.loc[told.index, "time"] == told["label_time"]).all()
    assert (first.loc[told.index, "source"] == told["labeling_source"]).all()
    withdrawn = labels[labels["source"] == "dispute_withdrawn"]
    assert len(withdrawn) > 0
    opened = first.loc[withdrawn["transaction_id"]]
    assert opened["is_fraud"].all()
    assert (opened["time"].to_numpy() < withdrawn["time"].to_numpy()).all()
    assert not withdrawn["is_fraud"].any()
    assert not payments.set_index("transaction_id").loc[withdrawn["transaction_id"], "is_fraud"].any()


def test_campaigns_appear_and_vanish(stream: Any, payments: pd.DataFrame) -> None:
    plan = stream.campaigns.to_pandas()
    spill = timedelta(days=3)  # a burst begun on the last day goes on for a while
    in_campaign = payments[payments["is_fraud"] & (payments["pattern"] != "lone_card")]
    for row in in_campaign.itertuples():
        possible = plan[
            (plan["pattern"] == row.pattern)
            & (plan["start"] - spill <= row.timestamp)
            & (row.timestamp <= plan["end"] + spill)
        ]
        assert possible["merchants"].map(lambda merchants, at=row.merchant: at in merchants).any()
    assert payments.loc[~payments["is_fraud"], "pattern"].isna().all()
    assert plan["start"].nunique() == len(plan) == 8


def test_blocking_spares_a_known_share_and_repeats() -> None:
    ids = [f"txn_{i}" for i in range(20_000)]
    scores = np.where(np.arange(20_000) % 2 == 0, 0.95, 0.05)
    decision, propensity = fraud_stream.decide(scores, ids, exploration=0.1)
    risky = scores > 0.5
    assert (decision[~risky] == "approved").all()
    assert (propensity[~risky] == 1).all()
    assert (decision[risky] == "approved").mean() == pytest.approx(0.1, abs=0.01)
    let_through = decision == "approved"
    assert (1 / propensity[let_through]).sum() == pytest.approx(20_000, rel=0.05)
    assert (1 / propensity[risky & ~let_through]).sum() == pytest.approx(10_000, rel=0.05)
    backwards, _ = fraud_stream.decide(scores[::-1], ids[::-1], exploration=0.1)
    assert (backwards[::-1] == decision).all()


def test_the_broken_job_adds_wrong_labels_of_one_trade_only(
    stream: Any, payments: pd.DataFrame, labels: pd.DataFrame
) -> None:
    since = fraud_stream.START + timedelta(days=20)
    spoilt = fraud_stream.flip_labels(stream.payments, stream.labels, since=since).to_pandas()
    assert spoilt["time"].is_monotonic_increasing
    job = spoilt["source"] == "labelling_job"
    assert len(spoilt[~job]) == len(labels)
    assert set(spoilt.loc[~job, "transaction_id"]) == set(labels["transaction_id"])
    said = spoilt[job].merge(payments, on="transaction_id", suffixes=("_said", ""))
    assert (said["is_fraud_said"] != said["is_fraud"]).all()
    assert (said["time"] - said["timestamp"] == timedelta(days=1)).all()
    segment = payments[(payments["trade"] == "grocer") & (payments["timestamp"] >= since)]
    assert set(said["transaction_id"]) <= set(segment["transaction_id"])
    assert len(said) / len(segment) == pytest.approx(0.6, abs=0.05)


def test_the_leaking_feature_repeats_known_labels_and_is_empty_at_serving_time(
    stream: Any,
) -> None:
    since = fraud_stream.START + timedelta(days=20)
    leaking = fraud_stream.leak_feature(stream.payments, stream.labels, since=since).to_pandas()
    live = leaking["timestamp"] >= since
    flag = leaking["chargeback_flag"]
    assert flag[live].isna().all()
    assert flag[~live].notna().all()
    known = leaking["label_time"] < since
    history = leaking[~live]
    told_fraud = history["is_fraud"] & known[~live]
    assert history.loc[told_fraud, "chargeback_flag"].all()
    assert not history.loc[~known[~live], "chargeback_flag"].any()


def test_what_was_blocked_follows_from_the_scores(stream: Any) -> None:
    n = 40
    scored = pa.table({"id": [f"t{i}" for i in range(n)], "score": np.linspace(0, 1, n),
                       "action": pa.nulls(n, pa.string()), "propensity": pa.nulls(n, pa.float64())})  # fmt: skip
    done = fraud_stream.act(scored)
    assert set(done["action"].to_pylist()) <= {"approved", "blocked"}
    assert done.filter(pc.less(done["score"], 0.8))["action"].unique().to_pylist() == ["approved"]
    assert fraud_stream.truth(stream.payments).column_names == ["id", "label"]
