"""`whorl status`: on one screen what turns, what is stuck and why, and who is needed."""

from typing import TYPE_CHECKING, Annotated

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened_ledger, print_json, root_of, shown

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from whorl.monitor.overview import Overview


def status(
    every: Annotated[bool, typer.Option("--all", help="Every flywheel of the workspace.")] = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """What turns, what is stuck and why, who is needed. Works beside a running server."""
    from whorl.monitor.overview import overview
    from whorl.spec import load_spec
    from whorl.storage import flywheels

    with opened_ledger(spec, workspace) as ledger:
        known = flywheels.names(ledger)
        names = known if every else [load_spec(spec).name]
        if not every and names[0] not in known:
            raise flywheels.unknown(ledger, names[0])
        found = [overview(root_of(spec, workspace), ledger, name) for name in names]
        now = ledger.clock.now()
    if as_json:
        print_json(found if every else found[0])
        return
    if not found:
        typer.echo("No flywheel yet: whorl init, then whorl serve.")
    for one in found:
        _print(one, now)


def _print(one: "Overview", now: "datetime") -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(f"[bold]{escape(one.flywheel)}[/]  {escape(_turning(one))}")
    facts = {
        "champion": _champion(one, now),
        "made so far": f"{one.versions:,} model versions, {one.datasets:,} dataset versions",
        "inbox": _inbox(one, now),
    }
    for name, text in facts.items():
        console.print(f"  {name:<12} {escape(text)}")
    for raised in one.findings:
        finding = raised.finding
        color = {"info": "default", "warning": "yellow", "critical": "red"}[finding.severity]
        console.print(f"  [{color}]{finding.severity:<12} {shown(raised.at)}: {escape(finding.message)}[/]")
    for need in one.needs:
        console.print(f"  [bold yellow]needed[/]       {escape(need)}", soft_wrap=True)
    if not one.needs:
        console.print("  [green]nobody is needed[/]")


def _turning(one: "Overview") -> str:
    if one.cycle is None:
        return "has not turned yet"
    state = f"{one.cycle} {one.cycle_state}"
    if one.cycle_state in ("running", "waiting", "failed") and one.cycle_step:
        state += f" at {one.cycle_step}"
    return f"{state}, as of {shown(one.cycle_as_of)}"


def _champion(one: "Overview", now: "datetime") -> str:
    if one.champion is None or one.champion_since is None:
        return (
            "none" if one.declared is None else f"{one.declared}, by [champion] version; none of Whorl's yet"
        )
    return f"{one.champion}, for {span(now - one.champion_since)}"


def _inbox(one: "Overview", now: "datetime") -> str:
    if not one.inbox_rows or one.inbox_oldest is None:
        return "empty"
    waiting = f"{one.inbox_rows:,} records, the oldest for {span(now - one.inbox_oldest)}"
    return f"{waiting} (a server, or the next cycle, moves them into the lake)"


def span(length: "timedelta") -> str:
    """A span as people say it.

    >>> from datetime import timedelta
    >>> span(timedelta(hours=30)), span(timedelta(seconds=5))
    ('30 h', '5 s')
    """
    seconds = max(length.total_seconds(), 0)
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
