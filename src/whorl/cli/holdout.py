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
    print_list,
)

if TYPE_CHECKING:
    from whorl.evaluate.holdout_plan import HoldoutPlan

app = typer.Typer(
    help="Quality from few labels: which truths to ask for, and what they say.", no_args_is_help=True
)
Labels = Annotated[int | None, typer.Option(help="Labels to ask for; default: [evaluate] ask.", min=1)]
Precision = Annotated[
    float | None,
    typer.Option(
        help="As many labels as it takes for an interval of plus and minus so much: 0.01 is one point."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write the rows to this file: .csv, .parquet or .ndjson.")]


@app.command("plan")
def plan(
    precision: Precision = None,
    labels: Labels = None,
    out: Out = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """How many labels, of which rows, and what they cost. Nothing is asked for yet."""
    _one_of(precision, labels)
    with opened(spec, workspace) as flywheel:
        _show(flywheel.plan_holdout(labels=labels, precision=precision), out, as_json=as_json)


@app.command("ask")
def ask(
    labels: Labels = None,
    precision: Precision = None,
    out: Out = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Draw rows and keep that they were asked for. Their labels come in as any others, by id."""
    from whorl.evaluate.holdout_ask import check_writable

    _one_of(precision, labels)
    if out is not None:
        # Before the draw: it is kept.
        check_writable(out)
    with opened(spec, workspace) as flywheel:
        _show(flywheel.ask_holdout(labels=labels, precision=precision), out, as_json=as_json)


@app.command("list")
def list_(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only rows whose truth has not come.")] = False,
    limit: Annotated[int, typer.Option(help="Show at most so many; the file and JSON have all.", min=1)] = 20,
    out: Out = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Rows that were asked for, the last draw first."""
    import pyarrow.compute as pc

    from whorl.evaluate.holdout_ask import asked, write

    with opened(spec, workspace) as flywheel:
        rows = asked(flywheel.workspace, flywheel.workspace.clock.now())
    if waiting:
        rows = rows.filter(pc.is_null(rows["label"]))
    if out is not None:
        write(rows, out)
    names = ("draw", "id", "time", "probability", "label")
    print_list(
        (rows if as_json else rows.slice(0, limit)).to_pylist(),
        {name: itemgetter(name) for name in names},
        as_json=as_json,
        empty="No row waits for its truth." if waiting else "Nothing was asked for yet: whorl holdout ask",
    )


@app.command("quality")
def quality(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """The watched metric per [monitor] period, how it was told, and beside it what the model claims."""
    from whorl.monitor.quality import PeriodQuality
    from whorl.monitor.quality import quality as of_periods

    with opened(spec, workspace) as flywheel:
        found = of_periods(flywheel.workspace, flywheel.workspace.clock.now())
    names = ("rows", "value", "low", "high", "method", "claimed", "contradicted")
    columns: dict[str, Callable[[PeriodQuality], Any]] = {name: attrgetter(name) for name in names}
    columns = {"start": lambda period: period.start.date().isoformat(), **columns}
    print_list(found, columns, as_json=as_json, empty="No period has judged rows yet.")


def _one_of(precision: float | None, labels: int | None) -> None:
    if precision is not None and labels is not None:
        raise typer.BadParameter("Give --precision or --labels, not both.")


def _show(planned: "HoldoutPlan", out: Path | None, *, as_json: bool) -> None:
    from whorl.evaluate.holdout_ask import write

    if out is not None:
        write(planned.picked, out)
    facts: dict[str, Any] = {
        name: getattr(planned, name) for name in planned.__struct_fields__ if name != "picked"
    }
    if as_json:
        print_json(facts)
        return
    cost = facts.pop("cost")
    print_facts(
        facts
        | {"cost": None if cost is None else f"{cost:,.2f} USD", "file": None if out is None else str(out)}
    )
