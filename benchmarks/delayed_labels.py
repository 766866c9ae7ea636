"""Real bookings whose truth comes weeks late, cancellations first: delays that are modelled, beside what is commonly done.

Months are spans of 30 days from 2015-10-01 to 2017-03-01; figures are means over them. Everything was chosen by looking at
the early ones, before 2016-07-28; the late ones are reported. The arms, each turning the product's own cycle:

    all labels, 500 a month    ours: delay = "auto", on every known label, or on 500 drawn a month beyond the first day
    plain soft rows            delay curves of the classes alone, and open rows re-estimated in rounds by the model itself
    known labels               retrained each month on every label that is known that day
    known, 90 days old         the same on rows of at least this age: of 30, 90 and 180 the best in early log loss
    static, random             trained once; 500 known labels a month
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, median
from typing import Any

from msgspec.structs import replace

from report import Figure, data_folder, options, report
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.source import read_files
from whorl.spec import Duration, Spec, load_spec
from whorl.train.trainer import ESTIMATORS

SPEC = Path(__file__).parents[1] / "examples" / "hotel" / "flywheel.toml"
SPAN = Span(datetime(2015, 10, 1, tzinfo=UTC), datetime(2017, 3, 1, tzinfo=UTC), timedelta(days=30))
QUICK = Span(datetime(2015, 10, 1, tzinfo=UTC), datetime(2016, 1, 29, tzinfo=UTC), timedelta(days=30))
LATE = "2016-07-28"
SEEDS = (0, 1, 2)
METRICS = ("auc", "log_loss")
TARGETS = {
    ("500 a month", "all"): (0.885, 0.45),
    ("500 a month", "late"): (0.872, 0.45),
    ("all labels", "all"): (0.895, 0.415),
    ("all labels", "late"): (0.885, 0.405),
}

Means = dict[tuple[str, str], float]
"""Mean over the months by metric and part: 'early', 'late' and 'all' of them."""


def arms() -> dict[str, Spec]:
    """Ours on 500 labels a month and on all, and a maturity lag."""
    spec = load_spec(SPEC)
    few = replace(spec, labels=replace(spec.labels, delay="auto"))
    everything = replace(few, curate=replace(few.curate, budget=0))
    mature = replace(few.labels, delay="none", horizon=None, lag=Duration("90d"))
    ungated = replace(few.evaluate, gates=[])
    lagged = replace(
        everything, labels=mature, evaluate=ungated, curate=replace(everything.curate, holdout_share=0.0)
    )
    return {"500 a month": few, "all labels": everything, "known, 90 days old": lagged}


def means(arm: dict[str, Any]) -> Means:
    """Of one arm of a replay's report."""
    late = [period["to"] > LATE for period in arm["periods"]]
    parts = {"early": [not one for one in late], "late": late, "all": [True] * len(late)}
    return {
        (metric, part): fmean(
            period["metrics"][metric]["value"]
            for period, among in zip(arm["periods"], chosen, strict=True)
            if among
        )
        for part, chosen in parts.items()
        for metric in METRICS
        if any(chosen)
    }


@contextmanager
def plain_soft_rows() -> Iterator[None]:
    """The LightGBM trainer gets its soft rows as every other trainer does."""
    own = ESTIMATORS.pop("lightgbm")
    try:
        yield
    finally:
        ESTIMATORS["lightgbm"] = own


def played(
    specs: dict[str, Spec], span: Span, seed: int, baselines: tuple[Any, ...] = ()
) -> dict[str, Means]:
    read = read_files([data_folder("hotel_bookings_late_label") / "hotel_bookings.parquet"])
    found = {}
    for name, arm in replay(specs, read, span, baselines=baselines, seed=seed)["arms"].items():
        found[name] = means(arm)
        shown = ", ".join(f"{part} {metric} {value:.4f}" for (metric, part), value in found[name].items())
        print(
            f"seed {seed}, {name}: {shown} ({arm['labels_used']} labels, {arm['seconds']:.0f} s)", flush=True
        )
    return found


def main() -> None:
    chosen = options(__doc__)
    span, seeds = (QUICK, SEEDS[:1]) if chosen.quick else (SPAN, SEEDS)
    specs = arms()
    ours = {name: specs[name] for name in ("500 a month", "all labels")}
    others = played({"known, 90 days old": specs["known, 90 days old"]}, span, 0, ("all", "static"))
    others["known labels"] = others.pop("all")
    with plain_soft_rows():
        plain = played(ours, span, 0)
    others |= {f"plain soft rows, {name}": found for name, found in plain.items()}
    # The budget of "random" is that of the first arm it is played beside.
    runs = [played(ours, span, seed, ("random",) if seed == seeds[0] else ()) for seed in seeds]
    others["random"] = runs[0].pop("random")
    found = {name: {key: median(run[name][key] for run in runs) for key in runs[0][name]} for name in ours}
    figures = [
        Figure(f"{metric}, {part} months, {name}", found[name][metric, part], target=target, at_most=metric == "log_loss")
        for (name, part), targets in TARGETS.items()
        for metric, target in zip(METRICS, targets, strict=True)
        if (metric, part) in found[name]
    ]  # fmt: skip
    figures.append(
        Figure("arms as good as ours in a half or metric", beaten_by(found["all labels"], others), target=0)
    )
    figures += [
        Figure(f"{metric}, {part} months, {name}", value)
        for name, other in others.items()
        for (metric, part), value in other.items()
    ]
    report("Late truth is learnt from before it has come", figures, chosen.json)


def beaten_by(ours: Means, others: dict[str, Means]) -> int:
    """Arms that are as good or better in either metric, in the early or the late months."""
    sign = {"auc": 1, "log_loss": -1}
    halves = [(metric, part) for metric, part in ours if part != "all"]
    return sum(
        any(sign[key[0]] * (ours[key] - other[key]) <= 0 for key in halves) for other in others.values()
    )


if __name__ == "__main__":
    main()
