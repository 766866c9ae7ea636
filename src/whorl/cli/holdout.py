"""`whorl holdout`: which truths to ask people for so that quality is known, at what price, and what the answers say."""

from collections.abc import Callable
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    Root,
    SpecPath,
    opened,
    print_facts,
    print_json,
    print_lines,
    print_list,
    shown,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from whorl.evaluate.holdout_plan import HoldoutPlan
    from whorl.flywheel import Flywheel
    from whorl.monitor.draw_quality import DrawQuality
    from whorl.monitor.quality import PeriodQuality
    from whorl.stats.intervals.estimate import Estimate
    from whorl.workspace import Workspace

app = typer.Typer(
    help="Quality from few labels: which truths to ask for, and what they say.", no_args_is_help=True
)
LONGEST = 200
Labels = Annotated[int | None, typer.Option(help="Labels to ask for; default: [evaluate] ask.", min=1)]
Precision = Annotated[
    float | None,
    typer.Option(
        help="As many labels as it takes for an interval of plus and minus so much: 0.01 is one point."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Write the rows with their inputs to this file: .csv, .parquet or .ndjson."),
]
WithPrediction = Annotated[
    bool,
    typer.Option(
        "--with-prediction",
        help="Hand out what the model answered too. Whoever sees it agrees with it more often: accuracy comes out too high.",
    ),
]
Withdraw = Annotated[
    str | None,
    typer.Option(
        metavar="DRAW",
        help="Ask for nothing, and take this draw back, the last one: it was a mistake, and its rows can be drawn from again.",
    ),
]


@app.command("plan")
def plan(
    precision: Precision = None,
    labels: Labels = None,
    out: Out = None,
    with_prediction: WithPrediction = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """How many labels, of which rows, and what they cost. Nothing is asked for yet."""
    _one_of(precision, labels)
    with opened(spec, workspace) as flywheel:
        planned = flywheel.plan_holdout(labels=labels, precision=precision)
        _hand_out(flywheel, planned.picked["id"].to_pylist(), out, with_prediction=with_prediction)
    _show(planned, out, as_json=as_json)


@app.command("ask")
def ask(
    labels: Labels = None,
    precision: Precision = None,
    out: Out = None,
    with_prediction: WithPrediction = False,
    withdraw: Withdraw = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Draw rows and keep that they were asked for. Their labels come in as any others, by id."""
    from whorl.storage.row_file import check_writable

    _one_of(precision, labels)
    if out is not None:
        # Before the draw: it is kept.
        check_writable(out)
    with opened(spec, workspace) as flywheel:
        if withdraw is not None:
            told = {"withdrawn": withdraw, "labels": flywheel.withdraw_holdout(withdraw)}
            return print_json(told) if as_json else print_facts(told)
        planned = flywheel.ask_holdout(labels=labels, precision=precision)
        _hand_out(flywheel, planned.picked["id"].to_pylist(), out, with_prediction=with_prediction)
    _show(planned, out, as_json=as_json)


@app.command("list")
def list_(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only rows whose truth has not come.")] = False,
    limit: Annotated[int, typer.Option(help="Show at most so many; the file and JSON have all.", min=1)] = 20,
    out: Out = None,
    with_prediction: WithPrediction = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Rows that were asked for, the last draw first, with the inputs that whoever answers has to look at.

    What the model answered is left out, unless --with-prediction asks for it.
    """
    import pyarrow.compute as pc

    from whorl.evaluate.holdout_ask import asked

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        now = ws.clock.now()
        rows = asked(ws, now)
        if waiting:
            rows = rows.filter(pc.is_null(rows["label"]))
        ids = rows["id"].to_pylist()
        _hand_out(flywheel, ids, out, with_prediction=with_prediction)
        found = _with_inputs(ws, rows if as_json else rows.slice(0, limit), now, with_prediction)
    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "draw": itemgetter("draw"),
        "id": itemgetter("id"),
        "time": itemgetter("time"),
        "inputs": lambda row: _in_one_line(row["inputs"]),
        "label": itemgetter("label"),
    }
    if with_prediction:
        columns["prediction"] = itemgetter("prediction")
    print_list(
        found,
        columns,
        as_json=as_json,
        empty="No row waits for its truth." if waiting else "Nothing was asked for yet: whorl holdout ask",
    )
    if not as_json and len(ids) > limit:
        typer.echo(f"{len(ids) - limit:,} more: --limit, --out FILE, --json")


@app.command("quality")
def quality(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """The watched metric per [monitor] period, how it was told, and beside it what the model claims; and of each draw as a whole."""
    from msgspec.structs import asdict

    from whorl.monitor.draw_quality import draw_quality
    from whorl.monitor.quality import quality as of_periods
    from whorl.monitor.quality import watched_metric
    from whorl.monitor.undefined import why_undefined

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        now, metric = ws.clock.now(), watched_metric(ws).name
        found, draws = of_periods(ws, now), draw_quality(ws, now)
        least = ws.spec.monitor.min_rows
    told = {
        "metric": metric,
        "periods": [{**asdict(one), "reason": why_undefined(one, least)} for one in found],
        "draws": [asdict(one) for one in draws],
    }
    columns: dict[str, Callable[[PeriodQuality], Any]] = {
        "from": lambda one: one.start.date().isoformat(),
        "rows": attrgetter("rows"),
        metric: _figure,
        "told by": attrgetter("method"),
    }
    if any(one.smoothed is not None for one in found):
        columns["with earlier ones"] = lambda one: _figure(one.smoothed) if one.smoothed else None
    if any(one.claimed is not None for one in found):
        columns["model claims"] = _claimed
    print_list(found, columns, as_json=as_json, json=told, empty="No period has judged rows yet.")
    if as_json:
        return
    print_lines("note", list(dict.fromkeys(note for one in found for note in one.notes)))
    missing = [one for one in found if one.value is None]
    if missing:
        typer.echo(
            f"{len(missing)} of {len(found)} periods without a figure; the last: {why_undefined(missing[-1], least)}"
        )

    if draws:
        of_draw: dict[str, Callable[[DrawQuality], Any]] = {
            "of all rows of draw": attrgetter("draw"),
            "rows": attrgetter("rows"),
            "asked": attrgetter("asked"),
            "answered": attrgetter("answered"),
            metric: _figure,
        }
        print_list(draws, of_draw, as_json=False, empty="")
        print_lines("note", [f"{one.draw}: {one.reason}" for one in draws if one.reason])


def _figure(told: "PeriodQuality | DrawQuality | Estimate") -> str:
    if told.value is None or told.low is None or told.high is None:
        return shown(told.value)
    return f"{told.value:.4g} [{told.low:.4g}, {told.high:.4g}]"


def _claimed(period: "PeriodQuality") -> str:
    return shown(period.claimed) + (", contradicted" if period.contradicted else "")


def _with_inputs(
    ws: "Workspace", rows: "pa.Table", as_of: "datetime", with_prediction: bool
) -> list[dict[str, Any]]:
    """Rows that were asked for, each with `inputs` by name and `prediction`: None while whoever answers is not to see it."""
    import msgspec

    from whorl.evaluate.holdout_sheet import sheet

    handed = sheet(ws, rows["id"].to_pylist(), as_of, with_prediction=with_prediction)
    by_id = {one["id"]: one for one in handed.to_pylist(maps_as_pydicts="strict")}
    names = [*ws.spec.features, *(["messages"] if "messages" in handed.column_names else [])]
    found = []
    for row in rows.to_pylist():
        told = by_id.get(row["id"], {})
        said = [told[name] for name in ("score", "scores", "output") if told.get(name) is not None]
        row["inputs"] = {name: told.get(name) for name in names}
        if row["inputs"].get("messages"):
            row["inputs"]["messages"] = msgspec.json.decode(row["inputs"]["messages"])
        row["prediction"] = said[0] if said else None
        found.append(row)
    return found


def _in_one_line(inputs: dict[str, Any]) -> str:
    """For the terminal; long texts are cut, which the file and JSON have whole."""
    told = {name: shown(value) for name, value in inputs.items()}
    return ", ".join(
        f"{name} = {text if len(text) <= LONGEST else text[:LONGEST] + '...'}" for name, text in told.items()
    )


def _hand_out(flywheel: "Flywheel", ids: list[str], out: Path | None, *, with_prediction: bool) -> None:
    from whorl.evaluate.holdout_sheet import sheet
    from whorl.storage.row_file import write_rows

    if out is not None:
        ws = flywheel.workspace
        write_rows(sheet(ws, ids, ws.clock.now(), with_prediction=with_prediction), out)


def _one_of(precision: float | None, labels: int | None) -> None:
    if precision is not None and labels is not None:
        raise typer.BadParameter("Give --precision or --labels, not both.")


def _show(planned: "HoldoutPlan", out: Path | None, *, as_json: bool) -> None:
    unknown = "[evaluate] label_cost is not set: the price is not known." if planned.cost is None else None
    facts: dict[str, Any] = {
        name: getattr(planned, name) for name in planned.__struct_fields__ if name != "picked"
    }
    if as_json:
        print_json(facts | {"reason": unknown})
        return
    cost = facts.pop("cost")
    print_facts(
        facts
        | {"cost": unknown if cost is None else f"{cost:,.2f} USD", "file": None if out is None else str(out)}
    )
