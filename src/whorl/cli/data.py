"""`whorl ingest` and `whorl replay`: what exists already, taken in, or played to see what a flywheel would have done."""

from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened, print_json, progress

if TYPE_CHECKING:
    from datetime import datetime

    from whorl.capture.importers.report import IngestReport
    from whorl.capture.mapping import Kind
    from whorl.flywheel import Flywheel
    from whorl.replay.policies import Policy
    from whorl.replay.source import Read
    from whorl.spec import Duration, Spec

    IngestOne = Callable[[Flywheel, str, Callable[[float], None]], IngestReport]

KINDS = ("predictions", "labels", "feedback")
AUTO = "auto"

Url = Annotated[
    str | None, typer.Option("--sql", help="Database to read from: a SQLAlchemy URL.", envvar="WHORL_SQL")
]
Query = Annotated[str | None, typer.Option("--query", help="SELECT whose columns are the paths of [schema].")]


def ingest(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, NDJSON (plain or compressed), Parquet, Arrow; with --format, another tool's export.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="auto (by the file's name), nvidia, tensorzero, mlflow (also a tracking URI), langfuse, phoenix."
        ),
    ] = AUTO,
    truth: Annotated[
        str | None,
        typer.Option(
            help="With --format: the metric, score, annotation or expectation that is the truth (labels)."
        ),
    ] = None,
    experiments: Annotated[
        list[str] | None, typer.Option("--experiment", help="MLflow: of these experiments only.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="MLflow: only traces of that day and later, such as 2026-01-31.")
    ] = None,
    sql: Url = None,
    query: Query = None,
    watermark: Annotated[
        str | None, typer.Option(help="Column that only grows: a run reads what came since the last.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="predictions (which may hold their truth), labels or feedback.")
    ] = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Take in files, what a query gives, or what another tool has kept. Doing it again adds nothing twice.

    Exit code 3 when a source could not be read, or nothing in it was accepted.
    """
    from whorl.errors import WhorlError, masked

    if (not files) == (sql is None) or (sql is None) != (query is None):
        raise typer.BadParameter("Give FILES, or --sql URL and --query SELECT.")
    chosen = _kind(kind)
    ingest_one = _of_format(format, chosen, truth, experiments or [], since)
    reports: list[IngestReport] = []
    failed = False
    with opened(spec, workspace) as flywheel:
        for source in files or []:
            try:
                with progress(PurePath(masked(source)).name) as done:
                    reports.append(ingest_one(flywheel, source, done))
            except WhorlError as error:
                typer.echo(f"whorl: {error}", err=True)
                failed = True
        if sql is not None:
            reports.append(_ingest_sql(flywheel, sql, query or "", watermark, chosen))
    if as_json:
        print_json(reports)
    else:
        for report in reports:
            _print_ingested(report)
    nothing = not any(report.accepted or report.already for report in reports)
    if failed or (nothing and any(report.refused for report in reports)):
        raise typer.Exit(3)


def replay(
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files with predictions, and the truth in them or in --labels.", show_default=False
        ),
    ] = None,
    every: Annotated[str, typer.Option(help="A cycle turns this often.")] = "30d",
    start: Annotated[str, typer.Option("--from", help="First day that is scored; before it, training.")] = "",
    end: Annotated[str, typer.Option("--to", help="First day that is not scored any more.")] = "",
    specs: Annotated[
        list[Path] | None,
        typer.Option("--spec", "-s", help="Several: policies side by side.", show_default="flywheel.toml"),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="File with labels of their own.")] = None,
    sql: Url = None,
    query: Query = None,
    labels_query: Annotated[str | None, typer.Option(help="SELECT of labels of their own.")] = None,
    baselines: Annotated[
        str, typer.Option(help="What to compare with: of static, all, random; or none.")
    ] = "static,all,random",
    seed: Annotated[int, typer.Option(help="Seed of the holdout, the draws and the fits.")] = 0,
    json: Annotated[
        Path | None, typer.Option(help="Write the report to this file, '-' for standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the charts into this directory.")] = None,
) -> None:
    """Play history in simulated time: what a flywheel would have done, beside what is commonly done.

    Each label appears at its own time, the champion of the day scores each row, cycles turn on cadence. Nothing of your
    workspace is read or written.
    """
    from whorl.cli.replayed import print_replayed
    from whorl.replay.play import Span
    from whorl.replay.replay import replay as play_history

    if (not data) == (sql is None) or (sql is None) != (query is None):
        raise typer.BadParameter("Give files, or --sql URL and --query SELECT.")
    paths = specs or [DEFAULT_SPEC]
    loaded, policies = _specs(paths), _policies(baselines)
    span = Span(_day("--from", start), _day("--to", end), _span(every).span)
    if span.start >= span.end:
        raise typer.BadParameter(f"--from {start} is not before --to {end}.")
    arms, periods = len(loaded) + len(policies), len(span.periods())
    with progress("reading", total=1.05 * arms * periods) as bar:
        done = 0

        def played(arm: str) -> None:
            nonlocal done
            done += 1
            bar(0.05 * arms * periods + done, f"{arm}, period {(done - 1) % periods + 1} of {periods}")

        report = play_history(
            loaded,
            _reader(data, labels, sql, query, labels_query, bar, 0.05 * arms * periods),
            span,
            baselines=policies,
            seed=seed,
            beside=paths[0].absolute().parent,
            progress=played,
        )
    if str(json) == "-":
        print_json(report)
    else:
        print_replayed(report)
    _write(report, None if str(json) == "-" else json, html, png)


def flush_or_leave(flywheel: "Flywheel") -> str | None:
    """Move what was accepted into the lake; says so when that is the server's to do."""
    from whorl.errors import WorkspaceHeld

    try:
        flywheel.flush()
    except WorkspaceHeld:
        return "The process that runs this workspace moves it into the lake."
    return None


def _kind(text: str | None) -> "Kind | None":
    if text is not None and text not in KINDS:
        raise typer.BadParameter(f"'{text}' is none of {', '.join(KINDS)}.", param_hint="--kind")
    return text  # type: ignore[return-value]


def _of_format(
    format: str, kind: "Kind | None", truth: str | None, experiments: list[str], since: str | None
) -> "IngestOne":
    """How one of FILES is taken in."""
    from whorl.capture.importers.exports import ingest_export
    from whorl.capture.importers.files import ingest_file
    from whorl.capture.importers.mlflow_store import ingest_mlflow
    from whorl.capture.importers.tool_rows import FORMATS

    if format not in (AUTO, *FORMATS):
        raise typer.BadParameter(
            f"'{format}' is none of {', '.join((AUTO, *FORMATS))}.", param_hint="--format"
        )
    if (experiments or since) and format != "mlflow":
        raise typer.BadParameter("--experiment and --since go with --format mlflow.")
    if format == AUTO:
        if truth is not None:
            raise typer.BadParameter("--truth goes with --format; [schema] label says where a file has it.")
        return lambda flywheel, source, done: ingest_file(flywheel.workspace, source, kind, progress=done)
    if kind is not None:
        raise typer.BadParameter("With --format, each row says by itself what it is: leave --kind out.")
    first = _day("--since", since) if since else None

    def ingest_one(flywheel: "Flywheel", source: str, done: Any) -> "IngestReport":
        if format == "mlflow" and "://" in source:
            return ingest_mlflow(flywheel.workspace, source, experiments, first, truth, done)
        if experiments or first:
            raise typer.BadParameter(
                f"'{source}' is a file: --experiment and --since go with a tracking URI."
            )
        return ingest_export(flywheel.workspace, source, format, truth, done)  # type: ignore[arg-type]

    return ingest_one


def _ingest_sql(
    flywheel: "Flywheel", url: str, query: str, watermark: str | None, kind: "Kind | None"
) -> "IngestReport":
    from msgspec.structs import replace

    from whorl.capture.importers.sql import ingest_sql

    report = ingest_sql(flywheel.workspace, url, query, watermark, kind)
    left = flush_or_leave(flywheel)
    return report if left is None else replace(report, notes=[*report.notes, left])


def _print_ingested(report: "IngestReport") -> None:
    counts = f"{report.accepted:,} accepted"
    if report.labels:
        counts += f", {report.labels:,} of them with a label"
    typer.echo(f"{report.source}: {counts}, {report.refused:,} refused.")
    for one in report.rejects[:5]:
        typer.echo(f"  line {one.index}: {one.message} {one.hint}".rstrip())
    if report.rejects_path:
        typer.echo(f"  All refused records: {report.rejects_path}")
    for note in report.notes:
        typer.echo(f"  {note}")


def _specs(paths: list[Path]) -> "dict[str, Spec]":
    """The first is 'flywheel', the others are called like their files, or the directories of equal ones."""
    from whorl.spec import load_spec

    loaded: dict[str, Spec] = {}
    for path in paths:
        stem = path.stem if path.stem not in (*loaded, "flywheel") else path.absolute().parent.name
        name, number = ("flywheel" if not loaded else stem), 2
        while name in loaded:
            name, number = f"{stem}-{number}", number + 1
        loaded[name] = load_spec(path)
    return loaded


def _policies(text: str) -> "tuple[Policy, ...]":
    from whorl.replay.policies import BASELINES

    wanted = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    for name in wanted:
        if name not in BASELINES:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(BASELINES)}.", param_hint="--baselines")
    return tuple(policy for policy in BASELINES if policy in wanted)


def _day(option: str, text: str) -> "datetime":
    from whorl.replay.replay import parse_day

    try:
        return parse_day(text)
    except ValueError:
        raise typer.BadParameter(
            f"Expected a date such as 2016-07-01, found '{text}'.", param_hint=option
        ) from None


def _span(text: str) -> "Duration":
    from whorl.spec import Duration

    try:
        found = Duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--every") from None
    if found.seconds == 0:
        raise typer.BadParameter("A cycle cannot turn every 0 seconds.", param_hint="--every")
    return found


def _reader(
    data: list[Path] | None, labels: Path | None, sql: str | None, query: str | None, labels_query: str | None,
    bar: Any, share: float,
) -> "Read":  # fmt: skip
    from whorl.replay.source import read_files, read_sql

    if sql is not None:
        return read_sql(sql, query or "", labels_query)
    return read_files(data or [], labels, lambda read: bar(share * read))


def _write(report: dict[str, Any], json: Path | None, html: Path | None, png: Path | None) -> None:
    import msgspec

    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    if html is not None:
        from whorl.replay.report_page import write_html

        write_html(report, html)
    if png is not None:
        from whorl.replay.charts import write_png

        write_png(report, png)
    for path in (json, html, png):
        if path is not None:
            typer.echo(f"Written: {path}", err=True)
