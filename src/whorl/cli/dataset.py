"""`whorl dataset`: versions of what is trained on; edge-case and golden sets; export."""

from pathlib import Path
from typing import Annotated

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
    print_table,
)

app = typer.Typer(
    help="Datasets: versions, differences, edge cases, golden rows, export.", no_args_is_help=True
)
Ref = Annotated[str, typer.Argument(help="name@version, or a name for its newest version.")]


@app.command("list")
def list_(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """Every version of every dataset."""
    from whorl.storage import dataset_versions

    with opened(spec, workspace) as flywheel:
        versions = dataset_versions.versions(flywheel.workspace.ledger, flywheel.workspace.name)
    found = [dataset for dataset, _ in versions]
    print_list(
        found,
        {
            "dataset": lambda d: f"{d.name}@{d.version}",
            "rows": lambda d: d.rows,
            "labelled": lambda d: d.labelled_rows,
            "as of": lambda d: d.as_of,
            "content hash": lambda d: d.content_hash[:12],
        },
        as_json=as_json,
        empty="No dataset yet: whorl cycle run",
    )


@app.command("show")
def show(
    ref: Ref = "training",
    check: Annotated[
        bool, typer.Option("--rebuild", help="Query the rows again and compare the content hash.")
    ] = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """One version and its manifest."""
    from whorl.datasets.build import rebuild
    from whorl.storage import dataset_versions
    from whorl.storage.dataset_versions import LEFT

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        dataset, manifest = dataset_versions.get(ws.ledger, ws.name, ref)
        rebuilt = rebuild(ws, dataset.id) if check else None
    if as_json:
        print_json({"dataset": dataset, "manifest": manifest, "rebuilt_hash": rebuilt})
    else:
        print_facts(
            {
                "dataset": dataset.id,
                "rows": dataset.rows,
                "labelled": dataset.labelled_rows,
                "as of": dataset.as_of,
                "file": dataset.path,
                "content hash": dataset.content_hash,
                "rebuilt": None
                if rebuilt is None
                else ("the same rows" if rebuilt == dataset.content_hash else f"DIFFERENT: {rebuilt}"),
                "spec": manifest.spec_hash,
                "by role": _counted(manifest.counts, "role:"),
                "by reason": _counted(manifest.counts, "reason:"),
                "corrected": manifest.counts.get("corrected"),
                "left out": _counted(manifest.counts, LEFT),
                "tables": [
                    f"{name} v{version}" for name, version in manifest.table_versions.items() if version >= 0
                ],
            }
        )
        print_lines("note", manifest.notes)
    if rebuilt is not None and rebuilt != dataset.content_hash:
        raise typer.Exit(1)


@app.command("diff")
def diff(
    old: Ref, new: Ref, spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False
) -> None:
    """Rows that came, went, or have another label."""
    from whorl.datasets.compare import difference

    with opened(spec, workspace) as flywheel:
        found = difference(flywheel.workspace, old, new)
    if as_json:
        print_json(found)
        return
    counts = {
        "added": found.added,
        "removed": found.removed,
        "relabelled": found.relabelled,
        "unchanged": found.unchanged,
    }
    print_table(
        ("", "rows", "such as"), [(name, n, found.examples.get(name, [])[:5]) for name, n in counts.items()]
    )


@app.command("export")
def export(
    ref: Ref,
    file: Annotated[
        Path | None, typer.Argument(help=".parquet, .csv or .ndjson.", show_default=False)
    ] = None,
    sql: Annotated[str | None, typer.Option("--sql", help="URL of a database.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="New table in that database.")] = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
) -> None:
    """Hand the rows out, as a file or as a table."""
    from whorl.datasets.export import export_file, export_table

    if (file is None) == (sql is None) or (sql is None) != (table is None):
        raise typer.BadParameter("Give a FILE, or --sql URL and --table NAME.")
    with opened(spec, workspace) as flywheel:
        if file is not None:
            rows = export_file(flywheel.workspace, ref, file)
        else:
            rows = export_table(flywheel.workspace, ref, sql or "", table or "")
    typer.echo(f"{rows:,} rows written to {file or table}.")


@app.command("edge")
def edge(
    reason: Annotated[str, typer.Argument(help="Reason of the cases, such as 'missed'.")],
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
) -> None:
    """Make a set of all cases of a reason."""
    from whorl.capture.flush import settled
    from whorl.datasets.named import make_edge_set

    with opened(spec, workspace) as flywheel:
        made = make_edge_set(flywheel.workspace, reason, settled(flywheel.workspace))
    typer.echo(f"{made.name}@{made.version}: {made.rows:,} rows.")


@app.command("golden")
def golden(
    name: Annotated[str, typer.Argument(help="Name of the set.")],
    where: Annotated[str | None, typer.Option("--where", help="Rule that chooses labelled rows.")] = None,
    ids: Annotated[Path | None, typer.Option("--ids", help="File with one prediction id a line.")] = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
) -> None:
    """Fix rows that every challenger must get right; they are never trained on from now."""
    from whorl.capture.flush import settled
    from whorl.datasets.named import make_golden_set

    if (where is None) == (ids is None):
        raise typer.BadParameter("Give --where or --ids.")
    chosen = ids.read_text(encoding="utf-8").split() if ids else None
    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        made = make_golden_set(ws, name, settled(ws), where=where, ids=chosen)
    typer.echo(
        f'{made.name}: {made.rows:,} rows. Check it with a gate: check = "golden", dataset = "{made.name}"'
    )


def _counted(counts: dict[str, int], prefix: str) -> list[str]:
    return [f"{name.removeprefix(prefix)} {n:,}" for name, n in counts.items() if name.startswith(prefix)]
