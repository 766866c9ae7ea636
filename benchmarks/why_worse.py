"""Which cause explains a loss: each is planted in real census rows, and `whorl insights --why` is asked for it.

A champion is trained on 6,000 rows and answers 4,000 earlier and 2,000 recent ones, drawn at random. Then, among the recent rows only:
nothing (none); a quarter of the answers, anywhere, are those of other rows (unexplained: none of the causes is there); rows that are hard for the champion come three times as often (shifted_features); 15 % of labels are turned round
(noisy_labels); in one occupation everybody with some college counts as rich (label_definition); in one occupation the champion
answers the opposite (segment); one feature (relationship, education, age, hours, by seed) has its lowest value in every recent row and
the champion answers by it (broken_feature); a class of marital status that nobody had before (new_class, seven classes).

Then challengers: trained on the champion's 5,000 rows (same), on those with 30 % of labels turned round (wrong labels), with an
occupation's labels turned round (wrong segment), on 250 of them (few rows); both sides are judged on 2,500 holdout rows.
"""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from report import Figure, data_folder, options, report
from whorl.clock import SimulatedClock
from whorl.curate.curate import curate
from whorl.datasets.build import build
from whorl.monitor.insights.why import Why, why_lost, why_worse
from whorl.spec import parse_spec
from whorl.stats.slices.conditions import cut
from whorl.stats.slices.slices import find_slices
from whorl.storage import dataset_versions
from whorl.storage.tables import FEATURE, TIME, lake_schemas
from whorl.train.fit import fit
from whorl.workspace import Workspace, open_workspace

KINDS = (
    "none",
    "unexplained",
    "shifted_features",
    "noisy_labels",
    "label_definition",
    "segment",
    "broken_feature",
    "new_class",
)
LOST = {
    "same": ("not worse",),
    "wrong labels": ("noisy_labels",),
    "wrong segment": ("label_definition", "segment"),
    "few rows": ("new_data",),
}
NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
WORDS = ("workclass", "occupation", "relationship", "race", "sex", "native_country")
TRAINED, EARLIER, RECENT = 6_000, 4_000, 2_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = BEGIN + timedelta(days=28)
NEW = "Separated"


def asked(kind: str, seed: int, adult: pa.Table) -> Why:
    """Plant one cause, log what happened, ask."""
    random = np.random.default_rng(seed)
    classes = kind == "new_class" or (kind == "none" and seed % 2 == 1)
    target = np.array(adult["marital_status" if classes else "income"].to_pylist(), dtype=object)
    names = [*NUMBERS, *(word for word in WORDS if not (classes and word == "relationship"))]
    grid = np.column_stack([codes(adult[name]) for name in names])
    rows = random.permutation(len(adult))
    if classes:
        rare = target[rows] == NEW
        rows, held = rows[~rare], rows[rare]
    fit, rows = rows[:TRAINED], rows[TRAINED:]
    found, truth = np.unique(target[fit], return_inverse=True)
    model = trained(grid[fit], truth, len(found))
    early, pool = rows[:EARLIER], rows[EARLIER:]
    late = pool[:RECENT]
    if kind == "new_class":
        late = np.concatenate([late[:-120], held[:120]])
    if kind == "shifted_features":
        hard = model.predict(grid[pool])
        chance = np.where(np.abs(hard - 0.5) < 0.3, 3.0, 1.0)
        late = random.choice(pool, RECENT, replace=False, p=chance / chance.sum())
    both = np.concatenate([early, late])
    recent = np.arange(len(both)) >= EARLIER
    seen, rows = adult.take(pa.array(both)), grid[both]
    if kind == "broken_feature":
        name = ("relationship", "education_num", "age", "hours_per_week")[seed % 4]
        lowest = min(adult[name].to_pylist())
        rows[recent, names.index(name)] = grid[:, names.index(name)].min()
        broken = [
            lowest if late else value for value, late in zip(seen[name].to_pylist(), recent, strict=True)
        ]
        seen = seen.set_column(seen.column_names.index(name), name, pa.array(broken, seen[name].type))
    said, label = model.predict(rows), target[both].copy()
    place = np.array(adult["occupation"].to_pylist(), dtype=object)[both]
    one = ("Craft-repair", "Sales", "Adm-clerical", "Other-service")[seed % 4]
    if kind == "unexplained":
        mixed = np.flatnonzero(recent & (random.random(len(both)) < 0.25))
        said[mixed] = said[random.permutation(mixed)]
    if kind == "noisy_labels":
        flipped = recent & (random.random(len(both)) < 0.15)
        label[flipped] = np.where(label[flipped] == found[1], found[0], found[1])
    if kind == "label_definition":
        label[recent & (place == one) & (grid[both, 1] >= 10)] = found[1]
    if kind == "segment":
        broken = recent & (place == one)
        said = np.where(broken, 1 - said, said)
    return why(seen, names, said, label, found, recent, random)


def asked_lost(kind: str, seed: int, adult: pa.Table) -> Why:
    """Train a champion and a challenger that was taught something worse, and ask why it lost."""
    random = np.random.default_rng(1000 + seed)
    rows = adult.take(pa.array(random.permutation(len(adult))[:7_500]))
    kinds = "\n".join(f'{name} = "{"int" if name in NUMBERS else "category"}"' for name in (*NUMBERS, *WORDS))
    spec = parse_spec(
        f'name = "census"\ntask = "binary"\n[schema]\n[schema.features]\n{kinds}\n[curate]\nbudget = 0\ninitial = 0\n[monitor]\nmetric = "brier"\n'
    )
    at = pa.array(
        [BEGIN + timedelta(days=float(one)) for one in np.sort(random.uniform(0, 30, len(rows)))], TIME
    )
    clock = SimulatedClock(BEGIN + timedelta(days=43))
    split = pa.array(np.where(np.arange(len(rows)) % 3 == 0, "holdout", "train"))
    with TemporaryDirectory() as root, open_workspace(spec, Path(root), clock=clock, mirror=False) as ws:
        logged(
            ws,
            rows,
            [*NUMBERS, *WORDS],
            at,
            {"split": split},
            pa.array([one == ">50K" for one in rows["income"].to_pylist()]),
        )
        whole = build(ws, "first", curate(ws, "first", clock.now(), []))
        champion = fit(ws, whole, "first")
        ws.registry.point("champion", champion.id, by="benchmark", reason="benchmark")
        taught = pq.read_table(whole.path)
        label = np.array(taught["label"].to_pylist(), dtype=bool)
        if kind == "wrong labels":
            label ^= random.random(len(label)) < 0.3
        if kind == "wrong segment":
            one = ("Craft-repair", "Sales", "Adm-clerical", "Other-service")[seed % 4]
            label ^= np.array(taught["occupation"].to_pylist(), dtype=object) == one
        taught = taught.set_column(taught.column_names.index("label"), "label", pa.array(label))
        taught = (
            taught.take(pa.array(random.permutation(len(taught))[:250])) if kind == "few rows" else taught
        )
        path = Path(root) / "taught.parquet"
        pq.write_table(taught, path)
        _, manifest = dataset_versions.get(ws.ledger, ws.name, whole.id)
        second = replace(
            whole,
            id="census/training/2",
            version=2,
            rows=len(taught),
            labelled_rows=len(taught),
            path=str(path),
        )
        dataset_versions.record(ws.ledger, ws.name, second, replace(manifest, cycle_id="second"))
        return why_lost(ws, clock.now(), fit(ws, second, "second"))


def codes(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_integer(column.type):
        return column.to_numpy().astype(float)
    return np.unique(np.array(column.to_pylist(), dtype=str), return_inverse=True)[1].astype(float)


def trained(grid: np.ndarray, truth: np.ndarray, classes: int) -> lightgbm.Booster:
    more = {"objective": "multiclass", "num_class": classes} if classes > 2 else {"objective": "binary"}
    params = {"verbosity": -1, "num_leaves": 15, "num_threads": 1, **more}
    return lightgbm.train(params, lightgbm.Dataset(grid, truth, params={"verbosity": -1}), 80)


def why(
    adult: pa.Table,
    names: list[str],
    said: np.ndarray,
    label: np.ndarray,
    found: np.ndarray,
    recent: np.ndarray,
    random: np.random.Generator,
) -> Why:
    task = "binary" if len(found) == 2 else "multiclass"
    kinds = "\n".join(f'{name} = "{"int" if name in NUMBERS else "category"}"' for name in names)
    spec = parse_spec(
        f'name = "census"\ntask = "{task}"\n[schema]\n[schema.features]\n{kinds}\n[monitor]\nmetric = "brier"\n'
    )
    day = np.where(recent, random.uniform(28, 42, len(recent)), random.uniform(0, 28, len(recent)))
    at = pa.array([BEGIN + timedelta(days=float(one)) for one in day], TIME)
    answers = {}
    if task == "binary":
        answers["score"] = pa.array(said)
        value = pa.array(label == found[1])
    else:
        answers["scores"] = pa.array(
            [list(zip(found, one, strict=True)) for one in said.tolist()], pa.map_(pa.string(), pa.float64())
        )
        value = pa.array(label.tolist())
    answers["split"] = pa.array(["holdout"] * len(recent))
    clock = SimulatedClock(BEGIN + timedelta(days=43))
    with TemporaryDirectory() as root, open_workspace(spec, Path(root), clock=clock, mirror=False) as ws:
        logged(ws, adult, names, at, answers, value)
        return why_worse(ws, clock.now(), SINCE)


def logged(
    ws: Workspace, adult: pa.Table, names: list[str], at: pa.Array, more: dict[str, pa.Array], value: pa.Array
) -> None:
    """Predictions and their truth in the lake, known at once."""
    ids = pa.array([f"r{place:05d}" for place in range(len(adult))])
    predictions = {
        "id": ids,
        "time": at,
        "received_at": at,
        **more,
        **{FEATURE + name: adult[name] for name in names},
    }
    labels = {"id": ids, "prediction_id": ids, "time": at, "received_at": at, "value": value}
    for name, columns in (("predictions", predictions), ("labels", labels)):
        schema = lake_schemas(ws.spec)[name]
        table = pa.table({key: values.cast(schema.field(key).type) for key, values in columns.items()})
        ws.lake.append(name, table.append_column("day", at.cast(pa.date32())), app=name, version=1)


def slices_s(rows: int) -> float:
    """Seconds to look for slices in 20 columns of which three make one."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijkl"), dtype=object)
    columns = [cut(f"n{place}", random.normal(size=rows)) for place in range(10)]
    columns += [cut(f"c{place}", random.choice(letters, rows)) for place in range(10)]
    planted = (columns[0].codes == 1) & (columns[3].codes > 2) & (columns[12].codes == 2)
    loss = (random.random(rows) < np.where(planted, 0.2, 0.1)).astype(np.float64)
    begun = perf_counter()
    shown = find_slices(columns, loss).shown
    took = perf_counter() - begun
    print(f"{rows:,} rows: {[one.text for one in shown]}", file=sys.stderr)
    return took


def main() -> None:
    chosen = options(__doc__)
    adult = pq.read_table(data_folder("adult_census") / "adult.parquet")
    text = [
        adult[name].cast(pa.string()) if name not in NUMBERS else adult[name] for name in adult.column_names
    ]
    adult = pa.table(text, names=adult.column_names)
    seeds = range(4 if chosen.quick else 20)
    first: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    false: Counter[str] = Counter()
    for kind in KINDS:
        for seed in seeds:
            found = asked(kind, seed, adult)
            first[kind][found.verdict] += 1
            false[kind] += any(cause.found and cause.kind != kind for cause in found.causes)
            print(f"{kind:<18} {seed:>2}  {found.message}", file=sys.stderr, flush=True)
    said = sorted({name for counts in first.values() for name in counts})
    print(f"\n{'planted':<18}" + "".join(f"{name:>18}" for name in said))
    for kind, counts in first.items():
        print(f"{kind:<18}" + "".join(f"{counts[name]:>18}" for name in said))
    figures = [
        Figure(f"{kind}: right cause first", first[kind][kind] / len(seeds), target=0.9, at_most=False)
        for kind in KINDS[2:]
    ]
    figures += [
        Figure(f"{kind}: a cause is named", false[kind] / len(seeds), target=0.05) for kind in KINDS[:2]
    ]
    figures += [Figure(f"{kind}: another cause is named too", false[kind] / len(seeds)) for kind in KINDS[2:]]
    right: Counter[str] = Counter()
    for kind, causes in LOST.items():
        for seed in seeds:
            found = asked_lost(kind, seed, adult)
            right[kind] += found.verdict in causes
            print(f"{kind:<18} {seed:>2}  {found.message}", file=sys.stderr, flush=True)
    figures += [
        Figure(f"challenger, {kind}: as it is", right[kind] / len(seeds), target=0.9, at_most=False)
        for kind in LOST
    ]
    rows = 100_000 if chosen.quick else 1_000_000
    figures.append(Figure(f"slices of {rows:,} rows x 20 columns, s", slices_s(rows)))
    report("A cause that is there is named first, and none where none is", figures, chosen.json)


if __name__ == "__main__":
    main()
