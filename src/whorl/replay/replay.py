"""`whorl replay`: play history with a flywheel and, on the same rows, with what is commonly done instead.

Returns the report as plain data; `report_page.py` draws it. Nothing of the user's workspace is read or written.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from whorl.clock import SimulatedClock
from whorl.errors import TooFewRows
from whorl.examples.maturity import mature_at
from whorl.models.spec_metric import spec_metric
from whorl.replay.figures import Judged, ahead, arm_figures, metrics_of, plain
from whorl.replay.history import History
from whorl.replay.play import Act, Played, Span, _Arm, play
from whorl.replay.policies import BASELINES, Policy, policy_spec
from whorl.replay.sentence import sentence
from whorl.spec import Spec, spec_hash
from whorl.stats.arrays import codes
from whorl.storage.sql_types import instant_literal
from whorl.workspace import Workspace, open_workspace

Progress = Callable[[str], None]


def replay(
    specs: dict[str, Spec],
    read: Callable[[Spec, str], History],
    span: Span,
    *,
    baselines: tuple[Policy, ...] = BASELINES,
    seed: int = 0,
    act: Act | None = None,
    truth: pa.Table | None = None,
    beside: Path | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Play every policy over the same history.

    Args:
        specs: Name to spec; the first is the flywheel that the baselines are made from.
        read: Maps the data by a spec and a holdout key.
        act: What the company's system does with a score, where the log does not say.
        truth: id and label of replayed rows, where more is known than labels ever told (simulated streams).
        progress: Told the arm's name after each period.

    Returns:
        {"arms": {name: figures}, "comparisons", "labels", "meaning", "spec_hash", "data_hash", "seed"}.

    Raises:
        TooFewRows: Nothing to train on at the start, or nothing to judge.
    """
    (first, spec), *_ = specs.items()
    key = f"replay-{seed}"
    history = read(spec, key)
    with TemporaryDirectory(prefix="whorl-replay-", ignore_cleanup_errors=True) as place:
        judged, classes, coverage, notes = _judged(spec, history, span, truth, Path(place) / "truth")
        arms: dict[str, Played] = {}
        for name, own in [*specs.items(), *((b, policy_spec(spec, b)) for b in baselines)]:
            policy: Spec = policy_spec(own, "flywheel") if name in specs else own
            arms[name] = play(
                policy, history if name == first or name not in specs else read(own, key), span,
                Path(place) / name.replace("/", "_"), classes=classes, seed=seed, retrain=name != "static", act=act, beside=beside,
                progress=partial(progress, name),
            )  # fmt: skip
    level = spec.evaluate.level
    deciding = spec_metric(spec, spec.metric, beside)
    metrics = metrics_of(spec.task, deciding)
    report: dict[str, Any] = {
        "name": spec.name,
        "task": spec.task,
        "metric": deciding.name,
        "greater_is_better": deciding.greater_is_better,
        "level": level,
        "from": span.start.isoformat(),
        "to": span.end.isoformat(),
        "every_days": span.every / timedelta(days=1),
        "labels": coverage,
        "arms": {name: arm_figures(played, judged, span, metrics, level) for name, played in arms.items()},
        "comparisons": {
            name: plain(ahead(deciding, judged, arms[first], played, level))
            for name, played in arms.items()
            if name != first
        },
        "flywheel": first,
        "notes": [*history.notes, *notes],
        "spec_hash": spec_hash(spec),
        "data_hash": history.data_hash,
        "seed": seed,
    }
    return report | {"meaning": sentence(report)}


def _judged(
    spec: Spec, history: History, span: Span, truth: pa.Table | None, root: Path
) -> tuple[Judged, tuple[str, ...], dict[str, Any], list[str]]:
    """What turned out true of the replayed rows, by the product's own join of everything that was ever received; and notes."""
    begin, end = history.prediction_range(span.start, span.end)
    last = max([span.end, *([history.labels["time"][-1].as_py()] if history.labels.num_rows else [])])
    after = spec.labels.default_after
    as_of = last + (after.after.span if after else timedelta()) + timedelta(seconds=1)
    with open_workspace(spec, root, clock=SimulatedClock(as_of), mirror=False, holdout_key="truth") as ws:
        arm = _Arm(ws, history, (), None)
        arm.receive_before(as_of)
        examples = ws.examples(as_of)
        known, notes = _turned_out(ws, as_of) if truth is None else (truth, [])
        coverage = examples.coverage()
    label = dict(zip(known["id"].to_pylist(), known["label"].to_pylist(), strict=True))
    rows = history.predictions.slice(begin, end - begin)
    ids = rows["id"].to_pylist()
    place = np.array([i for i, one in enumerate(ids) if label.get(one) is not None], dtype=np.intp)
    if not len(place):
        raise TooFewRows(
            f"No prediction between {span.start.date()} and {span.end.date()} has a label.",
            where="replay", hint="Check [schema] label, [labels] on, --from and --to.",
        )  # fmt: skip
    values = [label[ids[i]] for i in place]
    classes = (
        tuple(sorted({str(v) for v in label.values() if v is not None})) if spec.task == "multiclass" else ()
    )
    code = {name: float(position) for position, name in enumerate(classes)}
    numbers = np.array([code[v] for v in values] if classes else values, dtype=np.float64)
    times = np.asarray(rows["time"].cast(pa.int64()).to_numpy(), dtype=np.int64)[place]
    group = None
    if spec.schema.group is not None:
        groups = history.groups()[begin:end]
        group = codes(np.array([groups[i] for i in place], dtype=object))
    return Judged(place, numbers, times, group), classes, coverage, notes


def _turned_out(ws: Workspace, as_of: datetime) -> tuple[pa.Table, list[str]]:
    """`id` and `label` of rows so old that the truth of every class is known of them, and how many others have one."""
    examples = ws.examples(as_of)
    mature = mature_at(examples)
    old = "true" if mature is None else f"{mature} <= {instant_literal(as_of)}"
    known = examples.select(f"id, label, {old} AS old", where="status IN ('known', 'defaulted')")
    told = known.filter(known["old"])
    if mature is None:
        return told, [
            "One class is known sooner than another, and the rows are too young to tell how late truth comes: the last periods hold more of the quick class."
        ]
    young = len(known) - len(told)
    if not young:
        return told, []
    return told, [
        f"{young:,} labelled rows at the end are not judged: younger than [labels] lag, or than the age by which the truth of every class is nearly all known."
    ]


def digest_of(*paths: Path) -> str:
    """sha256 over the bytes of files, in order."""
    sha = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                sha.update(chunk)
    return sha.hexdigest()


def parse_day(text: str) -> datetime:
    """An ISO date or time, in UTC."""
    from whorl.clock import as_utc

    return as_utc(datetime.fromisoformat(text))
