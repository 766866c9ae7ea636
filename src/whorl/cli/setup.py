"""`whorl init`, `whorl spec check`, `whorl serve`: begin, check, run."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, print_facts, print_json

if TYPE_CHECKING:
    from whorl.records import Task
    from whorl.spec import Spec

spec_app = typer.Typer(help="flywheel.toml: check it.", no_args_is_help=True)


def init(
    directory: Annotated[Path, typer.Argument(help="Where flywheel.toml is written.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Of the flywheel; default: the directory's.")] = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass, regression or generation; default: binary.")
    ] = None,
    extract: Annotated[
        Path | None, typer.Option("--from", help="CSV, Parquet or NDJSON: guess the columns from it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented flywheel.toml, with every knob in it."""
    from whorl.errors import SourceError, StateError
    from whorl.spec import parse_spec
    from whorl.spec.template import template

    path = directory / DEFAULT_SPEC.name
    if path.exists() and not force:
        raise StateError(
            "There is one already.", where=str(path), hint="Edit it, or write over it with --force."
        )
    schema, perhaps, guessed = None, None, None
    if extract is not None:
        from whorl.capture.importers.guess import guess_schema

        found = guess_schema(extract)
        schema, perhaps, guessed = found.schema, found.perhaps, found.task
        for line in found.said:
            typer.echo(f"guessed: {line}")
    text = template(name or _name_of(directory), _task(task or guessed or "binary"), schema, perhaps)
    parse_spec(text, where=str(path))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SourceError(
            f"It cannot be written ({error.strerror or error}).",
            where=str(path),
            hint="Name a directory that you may write.",
        ) from error
    typer.echo(f"Written: {path}. Edit it, then: whorl spec check {path}")


@spec_app.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="The spec.", envvar="WHORL_SPEC")] = DEFAULT_SPEC,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with a spec, its rules and your own functions included, whose modules are loaded; exit code 3
    when anything is. Warnings are no fault."""
    from whorl.errors import SpecError
    from whorl.spec import load_spec, spec_hash
    from whorl.spec.cautions import cautions

    warnings: list[str] = []
    try:
        spec = load_spec(path)
        problems = [*_rule_problems(spec), *_function_problems(spec, path.parent)]
        warnings = [f"{'.'.join(at)}: {what}" for at, what in cautions(spec, os.environ)]
    except SpecError as error:
        problems = error.problems
    if as_json:
        print_json({"ok": not problems, "problems": problems, "warnings": warnings})
    else:
        for line in [*problems, *(f"warning: {warning}" for warning in warnings)]:
            typer.echo(line, err=True)
        if not problems:
            print_facts({**_facts(spec), "hash": spec_hash(spec)})
    if problems:
        raise typer.Exit(3)


def serve(
    specs: Annotated[
        list[Path] | None,
        typer.Option("--spec", "-s", help="A flywheel; several may be served.", show_default="flywheel.toml"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; without API keys, one of this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8377,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate with its chain, PEM: speak TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM, readable by you alone.")] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Part of the work, beside a server, on PostgreSQL: capture (take in) or flush (move)."
        ),
    ] = None,
    inbox_bytes: Annotated[
        int, typer.Option(help="Payload bytes that may wait for the lake; beyond, records get 503.", min=1)
    ] = 1 << 30,
    workspace: Root = None,
) -> None:
    """Listen, flush, turn on cadence, go on with what was approved. Stops on Ctrl-C without losing anything."""
    from whorl.api.server import Tls
    from whorl.api.server import serve as listen
    from whorl.serve.logs import log_to_stderr
    from whorl.workspace import DEFAULT_ROOT

    log_to_stderr()
    paths = specs or [DEFAULT_SPEC]
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("--tls-cert and --tls-key go together.", param_hint="--tls-cert")
    if only not in (None, "capture", "flush"):
        raise typer.BadParameter(f"'{only}' is neither capture nor flush.", param_hint="--only")
    listen(
        paths,
        workspace or paths[0].absolute().parent / DEFAULT_ROOT,
        host=host,
        port=port,
        ledger_url=os.environ.get("WHORL_LEDGER"),
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI"),
        tls=Tls(tls_cert, tls_key) if tls_cert and tls_key else None,
        only=only,  # type: ignore[arg-type]
        inbox_bytes=inbox_bytes,
    )


def _name_of(directory: Path) -> str:
    """The directory's name as a flywheel may be called."""
    name = re.sub(r"[^a-z0-9_-]+", "-", directory.absolute().name.lower()).strip("-_")[:63]
    return name if name[:1].isalpha() else "flywheel"


def _task(text: str) -> "Task":
    from whorl.records import Task

    if text not in get_args(Task):
        raise typer.BadParameter(f"'{text}' is none of {', '.join(get_args(Task))}.", param_hint="--task")
    return text  # type: ignore[return-value]


def _rule_problems(spec: "Spec") -> list[str]:
    from whorl.errors import RuleError
    from whorl.examples.rules import check_sql

    expressions = [(f"rules.{rule.name}.when", rule.when, "condition") for rule in spec.curate.rules]
    expressions += [
        (f"rules.{rule.name}.severity", rule.severity, "number")
        for rule in spec.curate.rules
        if isinstance(rule.severity, str)
    ]
    if spec.curate.golden is not None:
        expressions.append(("golden.when", spec.curate.golden.when, "condition"))
    problems = []
    for where, text, kind in expressions:
        try:
            check_sql(text, spec, "condition" if kind == "condition" else "number")
        except RuleError as error:
            problems.append(f"curate.{where}: {error}")
    return problems


def _function_problems(spec: "Spec", beside: Path) -> list[str]:
    """Of every 'package.module:function' that cannot be imported."""
    from whorl.errors import SpecError
    from whorl.models.named_function import named_function

    gates = [(f"evaluate.gates.{place}", gate) for place, gate in enumerate(spec.gates)]
    named = [
        ("curate.strategy", spec.curate.strategy),
        ("train.trainer", spec.train.trainer),
        ("train.load", spec.train.load),
        ("evaluate.metric", spec.evaluate.metric),
        ("monitor.metric", spec.monitor.metric),
        *((f"monitor.detectors.{place}", name) for place, name in enumerate(spec.monitor.detectors)),
        *((f"{at}.metric", gate.metric) for at, gate in gates),
        *((f"{at}.function", gate.function) for at, gate in gates),
    ]
    problems = []
    for where, name in named:
        if name is not None and ":" in name:
            try:
                named_function(name, where=where, beside=beside)
            except SpecError as error:
                problems.append(str(error))
    return problems


def _facts(spec: "Spec") -> dict[str, Any]:
    return {
        "ok": f"{spec.name}, a {spec.task} task, automation {spec.automation}",
        "features": ", ".join(f"{name} ({feature.type})" for name, feature in spec.features.items()),
        "label": spec.schema.label,
        "rules": [rule.name for rule in spec.curate.rules],
        "trainer": spec.train.trainer,
        "metric": spec.metric,
        "gates": [gate.check for gate in spec.gates] or "none: every challenger is promoted",
        "release": spec.release.via,
        "cadence": f"every {spec.cadence.every}" if spec.cadence.every else "by hand",
    }
