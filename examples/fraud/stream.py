"""The card payments of an invented bank, with fraud that comes, goes and comes back in another shape.

Customers and terminals have spending profiles; campaigns of fraud start at random times, overlap and vanish, so
a model of the first weeks grows blind. Truth arrives a week late, some of it wrong at first, most of it never. It
is a simulation for the demo, not data about anyone, and nothing in the product knows its rules.

`generate` draws what happens whatever the model does. What the model's own decisions hide is left to whoever plays
the stream, because it depends on the champion of the day: `act` says what was blocked. `flip_labels` and `leak_feature` spoil a stream, to show that the gates refuse what is learnt from it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]

# Columns of `Stream.payments` that only the oracle sees.
ORACLE = ["is_fraud", "pattern", "label_time", "labeling_source"]
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY_S = 86_400
WARM_UP_DAYS = 30  # played but not handed out, so that the first row already has a past
COUNTRIES = np.array(["AT", "BE", "DE", "ES", "FR", "IT", "NL", "PL"])
CHANNELS = np.array(["chip", "contactless", "online", "app"])
IN_STORE, CONTACTLESS, ONLINE, APP = range(4)
# What merchants sell: how many there are, a usual amount, and the share of it that is sold online.
TRADES = {
    "grocer": (12, 32.0, 0.10),
    "restaurant": (10, 24.0, 0.15),
    "fuel": (6, 48.0, 0.02),
    "fashion": (8, 60.0, 0.55),
    "electronics": (6, 140.0, 0.65),
    "travel": (5, 190.0, 0.85),
    "games": (5, 18.0, 0.95),
    "vouchers": (4, 45.0, 0.80),
    "jeweller": (4, 210.0, 0.30),
}
TRADE = np.repeat(list(TRADES), [count for count, _, _ in TRADES.values()])
USUAL_AMOUNT = np.array([TRADES[trade][1] for trade in TRADE])
ONLINE_SHARE = np.array([TRADES[trade][2] for trade in TRADE])
MERCHANTS = np.array([f"{trade}_{i:02d}" for i, trade in enumerate(TRADE)])


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A kind of fraud. Each campaign draws its own merchants, price, hour and country from these ranges."""

    trades: tuple[str, ...]
    merchants: int  # that one campaign uses
    channels: tuple[int, ...]  # a campaign keeps to one
    burst: int  # payments with one stolen card
    burst_h: float  # mean pause between them
    price: tuple[float, float]  # range for the campaign's typical price, in `unit`
    unit: Literal["euro", "usual"]  # "usual": times what this customer would pay there
    spread: float  # log standard deviation of amounts around that price
    night: bool = False
    abroad: bool = False


PATTERNS = {
    "card_testing": Pattern(
        trades=("games", "vouchers", "grocer", "restaurant"), merchants=2, channels=(ONLINE, APP),
        burst=5, burst_h=0.3, price=(1.0, 9.0), unit="euro", spread=0.25,
    ),
    "compromised_merchant": Pattern(
        trades=tuple(TRADES), merchants=1, channels=(IN_STORE, ONLINE),
        burst=1, burst_h=1.0, price=(0.8, 1.8), unit="usual", spread=0.3,
    ),
    "stolen_card": Pattern(
        trades=("electronics", "jeweller", "fashion", "fuel"), merchants=5, channels=(IN_STORE, CONTACTLESS),
        burst=4, burst_h=6.0, price=(1.5, 4.0), unit="usual", spread=0.4,
    ),
    "night_shopping": Pattern(
        trades=("electronics", "fashion", "travel", "games"), merchants=3, channels=(ONLINE,),
        burst=2, burst_h=1.0, price=(30.0, 250.0), unit="euro", spread=0.4, night=True, abroad=True,
    ),
    "account_takeover": Pattern(
        trades=("vouchers", "games", "travel", "electronics"), merchants=2, channels=(ONLINE, APP),
        burst=3, burst_h=4.0, price=(25.0, 150.0), unit="euro", spread=0.2,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """What happened, who came to know it when, and the hidden plan behind it.

    payments: one row per payment, by time. `is_fraud`, `pattern`, `label_time` and `labeling_source` (of the
        first label; null where none ever comes) are the oracle's: for playing and judging, never for a model.
    labels: transaction_id, time (when it became known), is_fraud, source; by time. A later row corrects an
        earlier one.
    campaigns: pattern, start, end, merchants, payments.
    """

    payments: pa.Table
    labels: pa.Table
    campaigns: pa.Table


@dataclass(frozen=True)
class Population:
    """Everyone who pays, with their habits. Arrays by user, and favourites as (users, 10)."""

    pace: Floats
    spending: Floats
    hour: Floats
    home: Ints
    app_share: Floats
    favourites: Ints
    trips: Ints  # (users, 3): first second of each
    trip_s: Ints
    trip_to: Ints
    price_level: Floats  # (merchants, countries): of each terminal


def generate(
    *,
    seed: int = 7,
    days: int = 150,
    payments_per_day: int = 1_000,
    users: int = 2_000,
    campaigns: int = 22,
    fraud_share: float = 0.015,
) -> Stream:
    """Draw a stream of payments with its late labels; the same arguments always give the same tables.

    Blocking changes nothing that follows: a thief who was stopped tries again all the same.

    Args:
        seed: Another seed is another town, with other campaigns at other times.
        days: Length of the stream; campaigns run from 30 days before it to its end.
        payments_per_day: Genuine and fraudulent together.
        users: Customers; each has about payments_per_day / users payments a day.
        campaigns: How many, at least 1, over days + 30; each lasts 14 to 40 days.
        fraud_share: Of all payments; a quarter of it is lone stolen cards that follow no campaign.

    >>> stream = generate(seed=1, days=20, payments_per_day=200, users=300, campaigns=4)
    >>> stream.payments.column("transaction_id")[0].as_py()
    'txn_000001'
    >>> stream.labels.column_names
    ['transaction_id', 'time', 'is_fraud', 'source']
    """
    people_rng, genuine_rng, fraud_rng, label_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )
    total = payments_per_day * (days + WARM_UP_DAYS)
    frauds = round(total * fraud_share)
    people = _population(people_rng, users, days)
    genuine = _genuine(genuine_rng, people, total - frauds, days)
    fraud, plan = _frauds(fraud_rng, people, frauds, campaigns, days)
    rows = {name: np.concatenate([genuine[name], fraud[name]]) for name in genuine}
    order = np.argsort(rows["second"], kind="stable")
    rows = {name: values[order] for name, values in rows.items()}
    rows |= _history(rows)
    handed_out = (rows["second"] >= 0) & (rows["second"] < days * DAY_S)
    rows = {name: values[handed_out] for name, values in rows.items()}
    labels = _labels(label_rng, rows)
    return Stream(_payments_table(rows, people, labels), _labels_table(labels), plan)


def decide(
    scores: Floats,
    transaction_ids: Sequence[str],
    *,
    block_at: float = 0.8,
    exploration: float = 0.1,
    key: str = "fraud",
) -> tuple[npt.NDArray[np.str_], Floats]:
    """What is done with each payment, and how likely that was: "approved" or "blocked", and its propensity.

    A score of block_at or more is blocked, except for a share `exploration` of them, let through to learn the
    truth. Who is let through follows from a hash of the id, so asking twice gives the same answer.

    >>> decide(np.array([0.2, 0.9, 0.9]), ["a", "b", "c"], exploration=0.0)[0].tolist()
    ['approved', 'blocked', 'blocked']
    """
    draws = np.array([_hash_share(f"{key}:{id_}") for id_ in transaction_ids])
    risky = scores >= block_at
    blocked = risky & (draws >= exploration)
    propensity = np.where(risky, np.where(blocked, 1 - exploration, exploration), 1.0)
    return np.where(blocked, "blocked", "approved"), propensity


def act(scored: pa.Table) -> pa.Table:
    """The company's own system: scored rows of the lake with what it did about each, and how likely that was."""
    decision, propensity = decide(scored["score"].to_numpy(), scored["id"].to_pylist())
    for name, values in (("action", pa.array(decision, pa.string())), ("propensity", pa.array(propensity))):
        scored = scored.set_column(scored.schema.get_field_index(name), name, values)
    return scored


def truth(payments: pa.Table) -> pa.Table:
    """What the oracle knows: id and label of every payment, the blocked and the unreported ones too."""
    return payments.select(["transaction_id", "is_fraud"]).rename_columns(["id", "label"])


def tell(_arm: str) -> None:
    """One dot a period, so that waiting is not staring."""
    print(".", end="", file=sys.stderr, flush=True)


def flip_labels(
    payments: pa.Table,
    labels: pa.Table,
    *,
    since: datetime,
    trade: str = "grocer",
    share: float = 0.6,
    seed: int = 0,
) -> pa.Table:
    """A labelling job that broke: from `since` on, a day after the payment, it says the opposite of the truth.

    It does so for this share of one trade's payments, as source "labelling_job". A dispute that comes later still
    corrects it; the genuine payments it called fraud stay wrong.
    """
    concerned = pc.and_(pc.greater_equal(payments["timestamp"], since), pc.equal(payments["trade"], trade))
    picked = concerned.to_numpy() & (np.random.default_rng(seed).random(len(payments)) < share)
    wrong = payments.filter(pa.array(picked))
    flipped = pa.table(
        {
            "transaction_id": wrong["transaction_id"],
            "time": pc.add(wrong["timestamp"], timedelta(days=1)),
            "is_fraud": pc.invert(wrong["is_fraud"]),
            "source": np.full(len(wrong), "labelling_job"),
        }
    )
    return pa.concat_tables([labels, flipped]).sort_by("time")


def leak_feature(payments: pa.Table, labels: pa.Table, *, since: datetime) -> pa.Table:
    """Add `chargeback_flag`, as a well-meant backfill of history at `since` would.

    It repeats the labels known by then, so that it looks wonderful in training; payments from `since` on have
    null, as every payment has at the moment a model must decide.
    """
    known = labels.filter(pc.and_(pc.less(labels["time"], since), labels["is_fraud"]))
    flag = pc.is_in(payments["transaction_id"], value_set=known["transaction_id"])
    history = pc.less(payments["timestamp"], since)
    return payments.append_column("chargeback_flag", pc.if_else(history, flag, pa.scalar(None, pa.bool_())))


def _hash_share(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


def _population(rng: np.random.Generator, users: int, days: int) -> Population:
    popularity = rng.pareto(2.0, len(MERCHANTS)) + 0.3
    favourites = rng.choice(len(MERCHANTS), size=(users, 10), p=popularity / popularity.sum())
    return Population(
        pace=rng.gamma(3.0, 1.0, users),
        spending=rng.lognormal(0.0, 0.45, users),
        hour=rng.normal(14.5, 2.5, users),
        home=rng.choice(len(COUNTRIES), users, p=[0.05, 0.05, 0.5, 0.08, 0.12, 0.1, 0.05, 0.05]),
        app_share=np.where(rng.random(users) < 0.5, rng.beta(2, 3, users), 0.0),
        favourites=favourites,
        trips=rng.integers(-WARM_UP_DAYS * DAY_S, days * DAY_S, (users, 3)),
        trip_s=rng.integers(3 * DAY_S, 12 * DAY_S, (users, 3)),
        trip_to=rng.integers(0, len(COUNTRIES), (users, 3)),
        price_level=rng.lognormal(0.0, 0.15, (len(MERCHANTS), len(COUNTRIES))),
    )


def _genuine(rng: np.random.Generator, people: Population, count: int, days: int) -> Columns:
    """Ordinary life: favourites mostly, a new shop at times, trips abroad, late evenings, a large purchase."""
    user = rng.choice(len(people.pace), count, p=people.pace / people.pace.sum())
    day = rng.integers(-WARM_UP_DAYS, days, count)
    restless = rng.random(count) < 0.05
    hour = np.where(restless, rng.uniform(0, 24, count), rng.normal(people.hour[user], 3.5)) % 24
    second = day * DAY_S + (hour * 3600).astype(np.int64)
    favourite = people.favourites[user, (10 * rng.random(count) ** 1.7).astype(np.int64)]
    merchant = np.where(rng.random(count) < 0.08, rng.integers(0, len(MERCHANTS), count), favourite)
    online = rng.random(count) < ONLINE_SHARE[merchant]
    remote = np.where(rng.random(count) < people.app_share[user], APP, ONLINE)
    channel = np.where(online, remote, (rng.random(count) < 0.6).astype(np.int64))
    country = people.home[user]
    for trip in range(people.trips.shape[1]):
        away = (second >= people.trips[user, trip]) & (second < (people.trips + people.trip_s)[user, trip])
        country = np.where(away, people.trip_to[user, trip], country)
    detour = online & (rng.random(count) < 0.02)  # a payment routed through another country
    country = np.where(detour, rng.integers(0, len(COUNTRIES), count), country)
    large = np.where(rng.random(count) < 0.02, rng.uniform(2, 5, count), 1.0)
    amount = _usual(people, user, merchant, country) * large * rng.lognormal(0.0, 0.5, count)
    return {
        "user": user,
        "second": second,
        "merchant": merchant,
        "country": country,
        "channel": channel,
        "amount": amount,
        "pattern": np.full(count, "", dtype="U24"),
    }


def _frauds(
    rng: np.random.Generator, people: Population, count: int, campaigns: int, days: int
) -> tuple[Columns, pa.Table]:
    """A quarter is lone stolen cards, the rest comes in campaigns of unequal size at random times."""
    lone = count // 4
    weight = rng.lognormal(0.0, 0.5, campaigns)
    sizes = rng.multinomial(count - lone, weight / weight.sum())
    names = rng.choice(list(PATTERNS), campaigns)
    length = rng.uniform(14, 40, campaigns) * DAY_S
    start = rng.uniform(-WARM_UP_DAYS, days - 7, campaigns) * DAY_S
    parts: list[Columns] = []
    targets: list[list[str]] = []
    for i in range(campaigns):
        pattern = PATTERNS[str(names[i])]
        merchants = rng.choice(_sellers(pattern), pattern.merchants, replace=False)
        targets.append(MERCHANTS[merchants].tolist())
        drawn = _campaign(
            rng, people, pattern, merchants, count=int(sizes[i]), start=start[i], length=length[i]
        )
        parts.append(drawn | {"pattern": np.full(sizes[i], names[i], dtype="U24")})
    card = PATTERNS["stolen_card"]
    span = (days + WARM_UP_DAYS) * DAY_S
    drawn = _campaign(rng, people, card, _sellers(card), count=lone, start=-WARM_UP_DAYS * DAY_S, length=span)
    parts.append(drawn | {"pattern": np.full(lone, "lone_card", dtype="U24")})
    plan = pa.table(
        {
            "pattern": names.tolist(),
            "start": _timestamps(start.astype(np.int64)),
            "end": _timestamps((start + length).astype(np.int64)),
            "merchants": targets,
            "payments": sizes,
        }
    ).sort_by("start")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, plan


def _campaign(
    rng: np.random.Generator,
    people: Population,
    pattern: Pattern,
    merchants: Ints,
    *,
    count: int,
    start: float,
    length: float,
) -> Columns:
    """Stolen cards are used in bursts; more of them in the middle of the campaign than at its ends."""
    card = np.arange(count) // pattern.burst
    cards = int(card[-1]) + 1 if count else 0
    user = rng.integers(0, len(people.pace), cards)[card]
    begin = start + length * rng.beta(1.5, 1.5, cards)
    centre = rng.uniform(1, 5) if pattern.night else 14.0
    hour = rng.normal(centre, 1.0 if pattern.night else 4.5, cards) % 24
    begin = begin // DAY_S * DAY_S + hour * 3600
    pause = rng.exponential(pattern.burst_h * 3600, count)
    first = np.searchsorted(card, card)
    elapsed = np.cumsum(pause)
    second = begin[card] + elapsed - elapsed[first]
    merchant = rng.choice(merchants, count)
    country = np.where(pattern.abroad, rng.integers(0, len(COUNTRIES)), people.home[user])
    price = np.exp(rng.uniform(*np.log(pattern.price)))
    usual = _usual(people, user, merchant, country) if pattern.unit == "usual" else np.ones(count)
    return {
        "user": user,
        "second": second.astype(np.int64),
        "merchant": merchant,
        "country": country,
        "channel": np.full(count, rng.choice(pattern.channels)),
        "amount": price * usual * rng.lognormal(0.0, pattern.spread, count),
    }


def _sellers(pattern: Pattern) -> Ints:
    return np.flatnonzero(np.isin(TRADE, pattern.trades))


def _usual(people: Population, user: Ints, merchant: Ints, country: Ints) -> Floats:
    usual: Floats = people.spending[user] * USUAL_AMOUNT[merchant] * people.price_level[merchant, country]
    return usual


def _history(rows: Columns) -> Columns:
    """What the bank knows of the customer just before each payment, `nan` without a past. Rows are by time."""
    user, second = rows["user"], rows["second"]
    order = np.lexsort((np.arange(len(user)), user))
    u, t, amount = user[order], second[order], rows["amount"][order]
    here = np.arange(len(u))
    stride = (
        10 * int(np.abs(t).max()) + 10 * DAY_S
    )  # keeps one customer's window from reaching into the next one's
    key = u * stride + t
    spent = np.concatenate([[0.0], np.cumsum(amount)])
    week_ago, day_ago = (np.searchsorted(key, key - window * DAY_S) for window in (7, 1))
    in_week = here - week_ago
    average = np.divide(
        spent[here] - spent[week_ago], in_week, out=np.full(len(u), np.nan), where=in_week > 0
    )
    pause = np.full(len(u), np.nan)
    pause[1:] = np.where(u[1:] == u[:-1], (t[1:] - t[:-1]) / 3600, np.nan)
    back = np.argsort(order)
    return {
        "average_7d": average[back],
        "count_24h": (here - day_ago)[back],
        "hours_since_last": pause[back],
        "new_merchant": _first_time(user * len(MERCHANTS) + rows["merchant"]),
        "new_channel": _first_time(user * len(CHANNELS) + rows["channel"]),
    }


def _first_time(pair: Ints) -> npt.NDArray[np.bool_]:
    first = np.zeros(len(pair), dtype=bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return first


def _labels(rng: np.random.Generator, rows: Columns) -> Columns:
    """Who tells the bank, and when: disputes, slower chargebacks, customers asked, disputes withdrawn."""
    count = len(rows["second"])
    fraud = rows["pattern"] != ""
    draw, kind = rng.random(count), rng.random(count)
    delay = (0.3 + rng.gamma(4.0, 1.7, count)) * DAY_S  # a week on average, two at the slow end
    reported, mistaken = fraud & (draw < 0.92), ~fraud & (draw < 0.001)
    asked = ~fraud & (draw > 0.95)
    chargeback = reported & (kind < 0.2)
    delay = np.where(chargeback, delay + 7 * DAY_S, delay)
    heard = (rows["second"] + delay).astype(np.int64)
    told = np.flatnonzero(reported | mistaken | asked)
    dispute = np.where(chargeback, "issuer_chargeback", "user_dispute_confirmed_by_analyst")
    first = {
        "row": told,
        "second": heard[told],
        "is_fraud": ~asked[told],
        "source": np.where(asked, "customer_confirmed", dispute)[told],
    }
    withdrawn = np.flatnonzero(mistaken & (kind < 0.8))
    later = {
        "row": withdrawn,
        "second": heard[withdrawn] + 1 + (rng.gamma(3.0, 4.0, len(withdrawn)) * DAY_S).astype(np.int64),
        "is_fraud": np.zeros(len(withdrawn), dtype=bool),
        "source": np.full(len(withdrawn), "dispute_withdrawn"),
    }
    both = {name: np.concatenate([first[name], later[name]]) for name in first}
    order = np.lexsort((both["row"], both["second"]))
    return {name: values[order] for name, values in both.items()}


def _labels_table(labels: Columns) -> pa.Table:
    return pa.table(
        {
            "transaction_id": _ids(labels["row"]),
            "time": _timestamps(labels["second"]),
            "is_fraud": labels["is_fraud"],
            "source": labels["source"],
        }
    )


def _payments_table(rows: Columns, people: Population, labels: Columns) -> pa.Table:
    count = len(rows["second"])
    labelled, first = np.unique(labels["row"], return_index=True)
    told = np.full(count, -1)
    told[labelled] = first
    unknown = told < 0
    user, merchant, country = rows["user"], rows["merchant"], rows["country"]
    place = np.char.add(np.char.add(MERCHANTS[merchant], "/"), COUNTRIES[country])
    return pa.table(
        {
            "transaction_id": _ids(np.arange(count)),
            "timestamp": _timestamps(rows["second"]),
            "user_id": np.char.add("user_", np.char.zfill(user.astype(str), 4)),
            "terminal_id": np.where(
                rows["channel"] >= ONLINE, np.char.add(MERCHANTS[merchant], "/web"), place
            ),
            "merchant": MERCHANTS[merchant],
            "trade": TRADE[merchant],
            "country": COUNTRIES[country],
            "channel": CHANNELS[rows["channel"]],
            "amount": np.maximum(rows["amount"], 0.5).round(2),
            "avg_transaction_amount_last_7d": pa.array(rows["average_7d"].round(2), from_pandas=True),
            "transactions_per_hour_last_24h": (rows["count_24h"] / 24).round(4),
            "hours_since_last": pa.array(rows["hours_since_last"].round(3), from_pandas=True),
            "hour": rows["second"] // 3600 % 24,
            "is_new_merchant": rows["new_merchant"],
            "is_new_channel": rows["new_channel"],
            "is_abroad": country != people.home[user],
            "is_fraud": rows["pattern"] != "",
            "pattern": pa.array(rows["pattern"], mask=rows["pattern"] == ""),
            "label_time": _timestamps(labels["second"][told], mask=unknown),
            "labeling_source": pa.array(labels["source"][told], mask=unknown),
        }
    )


def _ids(row: Ints) -> pa.Array:
    return pa.array(np.char.add("txn_", np.char.zfill((row + 1).astype(str), 6)))


def _timestamps(second: Ints, mask: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    micro = (second + int(START.timestamp())) * 1_000_000
    return pa.array(micro, pa.int64(), mask=mask).cast(pa.timestamp("us", tz="UTC"))
