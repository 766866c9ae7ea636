"""`whorl model`: versions, who serves, promote by hand, roll back."""

from typing import Annotated

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    By,
    Reason,
    Root,
    SpecPath,
    opened,
    print_facts,
    print_json,
    print_lines,
    print_list,
    print_table,
)
from whorl.cli.verdict import print_verdict

app = typer.Typer(help="Model versions: list, promote, roll back.", no_args_is_help=True)


@app.command("list")
def list_(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """Every version, newest first; the champion is marked."""
    with opened(spec, workspace) as flywheel:
        registry = flywheel.workspace.registry
        versions, champion = registry.versions()[::-1], registry.champion()
    serving = champion.id if champion else None
    json = {"champion": serving, "versions": versions}
    print_list(
        versions,
        {
            "": lambda v: "*" if v.id == serving else "",
            "version": lambda v: v.version,
            "trainer": lambda v: v.trainer,
            "dataset": lambda v: v.dataset_id,
            "trained through": lambda v: v.trained_through,
            "digest": lambda v: v.digest[:12],
        },
        as_json=as_json,
        json=json,
        empty="No model yet: whorl cycle run",
    )


@app.command("show")
def show(
    version: Annotated[str, typer.Argument(help="Number, champion, challenger or previous.")] = "champion",
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """One version: where it came from, and what the gates said."""
    from whorl.storage import verdicts

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        found = ws.registry.get(version)
        verdict = verdicts.of_challenger(ws.ledger, ws.name, found.id)
        changes = [c for c in ws.registry.changes() if found.id in (c.model_id, c.previous)]
    if as_json:
        print_json({"model": found, "verdict": verdict, "changes": changes})
        return
    print_facts(
        {
            "version": found.id,
            "files": found.uri,
            "digest": found.digest,
            "trainer": found.trainer,
            "dataset": found.dataset_id,
            "trained through": found.trained_through,
        }
    )
    print_lines("note", found.notes)
    if verdict:
        typer.echo("")
        print_verdict(verdict)
    print_table(
        ("when", "champion", "before", "by", "why"),
        [(c.at, c.model_id, c.previous, c.by, c.reason) for c in changes],
        empty="It has never been champion.",
    )


@app.command("promote")
def promote(
    version: Annotated[str, typer.Argument(help="Number of the version.")],
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
    reason: Reason = "by hand",
) -> None:
    """Make a version champion, whatever the gates said."""
    with opened(spec, workspace) as flywheel:
        made = flywheel.promote(version, by=by, reason=reason)
    typer.echo(f"Champion is {made.version}, before it was {made.previous or 'none'}.")


@app.command("rollback")
def rollback(
    spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, by: By = None, reason: Reason = "by hand"
) -> None:
    """Bring back the champion before this one; what serves changes within a second."""
    with opened(spec, workspace) as flywheel:
        made = flywheel.rollback(by=by, reason=reason)
    typer.echo(f"Champion is {made.version} again, instead of {made.previous}.")
