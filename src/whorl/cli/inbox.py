"""`whorl inbox`: what was accepted and could not be read again, and how it goes back."""

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, By, Root, SpecPath, opened, print_json, print_list

app = typer.Typer(help="What was accepted, and set aside because it could not be read.", no_args_is_help=True)
COLUMNS = ("id", "kind", "rows", "bytes", "received_at", "at", "error")


@app.command("list")
def list_(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """Batches that could not be read, oldest first. Their bytes are in the ledger, column `payload` of `unreadable`."""
    from whorl.storage import unreadable

    with opened(spec, workspace) as flywheel:
        found = unreadable.listed(flywheel.workspace.ledger, flywheel.workspace.name)
    columns = {name: lambda one, name=name: getattr(one, name) for name in COLUMNS}
    print_list(found, columns, as_json=as_json, empty="Nothing was set aside.")


@app.command("retry")
def retry(
    spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, by: By = None, as_json: AsJson = False
) -> None:
    """Put them back into the inbox, after an upgrade say. What still cannot be read is set aside again."""
    from whorl.flywheel import whoami
    from whorl.storage import unreadable

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        count = unreadable.bring_back(ws.ledger, ws.name, by=by or whoami(), at=ws.clock.now())
    if as_json:
        print_json({"batches": count})
    else:
        typer.echo(f"{count} batch(es) are back in the inbox. The next flush reads them.")
