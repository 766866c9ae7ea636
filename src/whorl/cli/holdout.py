"""`whorl holdout`: which truths to ask people for so that quality is known, at what price, and what the answers say."""

from collections.abc import Callable
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    By,
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
    from whorl.evaluate.holdout_plan import HoldoutPlan
    from whorl.flywheel import Flywheel
    from whorl.monitor.draw_quality import DrawQuality
    from whorl.monitor.told_quality import PeriodTold
    from whorl.stats.intervals.estimate import Estimate

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
    by: By = None,
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
            told = {"withdrawn": withdraw, "labels": flywheel.withdraw_holdout(withdraw, by=by)}
            return print_json(told) if as_json else print_facts(told)
        planned = flywheel.ask_holdout(labels=labels, precision=precision, by=by)
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
    from whorl.evaluate.holdout_sheet import with_inputs
    from whorl.examples.asked_list import asked_list

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        now = ws.clock.now()
        rows = asked_list(ws.examples(now), purpose="judge", waiting=waiting)
        ids = rows["id"].to_pylist()
        _hand_out(flywheel, ids, out, with_prediction=with_prediction)
        some = rows if as_json else rows.slice(0, limit)
        found = with_inputs(ws, some, now, with_prediction=with_prediction)
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
    with opened(spec, workspace) as flywheel:
        told = flywheel.quality()
    metric, found, draws = told.metric, told.periods, told.draws
    columns: dict[str, Callable[[PeriodTold], Any]] = {
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
        typer.echo(f"{len(missing)} of {len(found)} periods without a figure; the last: {missing[-1].reason}")

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


def _figure(told: "PeriodTold | DrawQuality | Estimate") -> str:
    if told.value is None or told.low is None or told.high is None:
        return shown(told.value)
    return f"{told.value:.4g} [{told.low:.4g}, {told.high:.4g}]"


def _claimed(period: "PeriodTold") -> str:
    return shown(period.claimed) + (", contradicted" if period.contradicted else "")


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
    from msgspec.structs import asdict

    if as_json:
        print_json(planned.facts())
        return
    facts = asdict(planned.facts())
    cost, unknown = facts.pop("cost"), facts.pop("reason")
    print_facts(
        facts
        | {"cost": unknown if cost is None else f"{cost:,.2f} USD", "file": None if out is None else str(out)}
    )
