"""`whorl labels`: how much of the truth is known and how late it comes; which labels could not be joined."""

from operator import itemgetter
from typing import Annotated, Any

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened, print_json, print_list

app = typer.Typer(
    help="How late the truth comes; labels that found no prediction, or several.", no_args_is_help=True
)
COLUMNS = ("id", "prediction_id", "keys", "value", "source", "time", "received_at")


@app.command("list")
def list_(
    unmatched: Annotated[
        bool,
        typer.Option("--unmatched", help="Those that wait for their prediction, the longest waiting first."),
    ] = False,
    ambiguous: Annotated[
        bool, typer.Option("--ambiguous", help="Those that fit several predictions, the last received first.")
    ] = False,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Labels that are joined with no prediction, as of now: --unmatched or --ambiguous."""
    if unmatched == ambiguous:
        raise typer.BadParameter("Give --unmatched or --ambiguous.")
    with opened(spec, workspace) as flywheel:
        examples = flywheel.workspace.examples(flywheel.workspace.clock.now())
        found = (examples.unmatched if unmatched else examples.ambiguous)(limit).to_pylist()
    for row in found:
        row["keys"] = dict(row["keys"] or [])
    shown = [name for name in COLUMNS if name in ("value", "received_at") or any(row[name] for row in found)]
    columns = {name: itemgetter(name) for name in shown}
    if ambiguous:
        columns["candidates"] = itemgetter("candidates")
    print_list(found, columns, as_json=as_json, empty="No such label.")


@app.command("coverage")
def coverage(
    limit: Annotated[
        int, typer.Option(help="Show so many classes, of all rows and of each segment; JSON has all.", min=1)
    ] = 10,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """How much of the truth is known by age, how late it comes by class and segment, what is open or hidden, as of now."""
    with opened(spec, workspace) as flywheel:
        found = flywheel.coverage()
    if as_json:
        print_json(found)
        return
    counted = ("predictions", "known", "defaulted", "open", "censored", "expired")
    typer.echo(", ".join(f"{name} {found[name]:,}" for name in counted))
    print_list(
        found["by_age"],
        {"from day": itemgetter("from_days"), "to": itemgetter("to_days"), "predictions": itemgetter("predictions"),
         "known": itemgetter("known"), "open": itemgetter("open"), "share": _share},
        as_json=False, empty="",
    )  # fmt: skip
    print_list(_delays(found, limit), {name: itemgetter(name) for name in ("of", "class", "labels", "p10", "p50", "p90", "max")},
               as_json=False, empty="")  # fmt: skip
    typer.echo("Delays in days, of labels that came by themselves.")
    if found["corrected"]:
        typer.echo(
            f"{found['corrected']:,} predictions have labels that said different things: the last received counts."
        )
    if found["contradictory"]:
        typer.echo(
            f"{found['contradictory']:,} of them have labels of the same moment: which one counts is as good as drawn at random. "
            "Send the right label once more."
        )
    for row in found["censored_by_action"]:
        typer.echo(f"hidden by the action '{row['action']}': {row['predictions']:,}")


def _share(bucket: dict[str, Any]) -> str:
    return "" if bucket["share"] is None else f"{bucket['share']:.1%}"


def _delays(found: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Delays in days, of all and of each segment: those of the classes with the most labels, and how many more there are."""
    groups = [("all", found["delays"])]
    for column, values in found["delays_by_segment"].items():
        groups += [(f"{column} = {value}", by_class) for value, by_class in values.items()]
    rows = []
    for of, by_class in groups:
        largest = sorted(by_class.items(), key=lambda one: (-one[1]["labels"], str(one[0])))
        rows += [
            {"of": of, "class": name, **{key: _days(value) for key, value in told.items()}}
            for name, told in largest[:limit]
        ]
        rest = largest[limit:]
        if rest:
            labels = sum(told["labels"] for _, told in rest)
            rows.append(
                {"of": of, "class": f"{len(rest):,} more", "labels": labels}
                | dict.fromkeys(("p10", "p50", "p90", "max"))
            )
    return rows


def _days(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
