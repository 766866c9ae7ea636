"""What commands share: their options, how a flywheel is opened, and how results are printed.

Results go to standard output, as tables for people or as JSON with --json; everything else goes to standard error.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from whorl.flywheel import Flywheel
    from whorl.storage.ledger.ledger import Ledger

T = TypeVar("T")
SpecPath = Annotated[Path, typer.Option("--spec", "-s", help="The flywheel's spec.", envvar="WHORL_SPEC")]
Root = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        help="Workspace directory; default: .whorl beside the spec.",
        envvar="WHORL_WORKSPACE",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str | None, typer.Option("--by", help="Who acts; default: you.", envvar="WHORL_USER")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit trail.")]
DEFAULT_SPEC = Path("flywheel.toml")
MOST_WIDTH = 1000


@contextmanager
def opened(spec: Path, root: Path | None) -> Iterator["Flywheel"]:
    """The flywheel of a spec."""
    from whorl.flywheel import open_flywheel

    with open_flywheel(spec, workspace=root) as flywheel:
        yield flywheel


@contextmanager
def opened_ledger(spec: Path, root: Path | None) -> Iterator["Ledger"]:
    """The ledger alone, for what must not touch the lake."""
    from whorl.workspace import open_ledger

    with open_ledger(root_of(spec, root), ledger_url=os.environ.get("WHORL_LEDGER")) as ledger:
        yield ledger


def root_of(spec: Path, root: Path | None) -> Path:
    """The workspace directory, as a whole path."""
    from whorl.workspace import DEFAULT_ROOT

    return (root or spec.absolute().parent / DEFAULT_ROOT).absolute()


def print_json(value: Any) -> None:
    """One JSON document, indented. Every key is there: null where there is nothing, or a figure is undefined."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(_whole(value)), indent=2))


def _whole(value: Any) -> Any:
    """Records with all their fields: encoded by themselves they leave out what has its default."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        return {name: _whole(one) for name, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, Mapping):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(one) for one in value]
    return value


def print_list(
    found: Sequence[T],
    columns: Mapping[str, Callable[[T], Any]],
    *,
    as_json: bool,
    empty: str,
    json: Any = None,
) -> None:
    """Things of one kind: as JSON, or as a table with a heading for each value.

    Args:
        json: What is printed as JSON, where that is more than the things.
    """
    if as_json:
        print_json(found if json is None else json)
    else:
        print_table(list(columns), [[value(one) for value in columns.values()] for one in found], empty=empty)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    empty: str = "Nothing yet.",
) -> None:
    """A table for people; a sentence when there is nothing. Texts wrap between words; an id or a time is never broken, and where
    the terminal is too narrow for those the table is wider than it."""
    if not rows:
        typer.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table, console = Table(box=box.SIMPLE_HEAD), Console()
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        whole = not any(map(_has_words, values))
        least = max(len(shown(value)) for value in values) if whole else None
        table.add_column(name, overflow="fold", no_wrap=whole, min_width=least)
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    needed = console.measure(table, options=console.options.update(max_width=MOST_WIDTH)).minimum
    console.width = max(console.width, needed)
    console.print(table)


def _has_words(value: Any) -> bool:
    return not isinstance(value, datetime) and " " in shown(value)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line; empty ones are left out."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value not in (None, "", [], {}):
            typer.echo(f"{name:<{width}}  {shown(value)}")


def print_lines(name: str, sentences: Sequence[str]) -> None:
    """Sentences of one kind, one a line."""
    for sentence in sentences:
        typer.echo(f"{name}: {sentence}")


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(one) for one in value)
    return str(value)


@contextmanager
def progress(description: str, total: float = 1.0) -> Iterator[Any]:
    """A progress bar on standard error; yields a function of the amount done so far. Silent when nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def done(amount: float, text: str | None = None) -> None:
            bar.update(task, completed=amount, description=text or description)

        yield done
