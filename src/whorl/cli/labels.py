"""`whorl labels`: truth that could not be joined, label by label."""

from operator import itemgetter
from typing import Annotated

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened, print_list

app = typer.Typer(help="Labels that found no prediction, or several.", no_args_is_help=True)
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
