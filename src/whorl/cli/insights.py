"""`whorl insights`: where the champion errs more than elsewhere, and why it got worse."""

from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Annotated

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from whorl.monitor.insights.insights import Insights
    from whorl.monitor.insights.why import Why
    from whorl.stats.intervals.estimate import Estimate


def insights(
    why: Annotated[
        bool, typer.Option("--why", help="Say why it got worse; said by itself when decay was found.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            help="UTC: where the rows begin that got worse; default: the period in which decay was found, else the last.",
        ),
    ] = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Where the champion errs more than elsewhere, over recent holdout rows whose truth is known; and why it got worse."""
    begin = since.replace(tzinfo=UTC) if since is not None else None
    with opened(spec, workspace) as flywheel:
        found = flywheel.insights(why=why, since=begin)
    if as_json:
        print_json(found)
        return
    _print(found)


def _print(found: "Insights") -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    who = found.champion or "whatever answered"
    mean = f", {found.loss} {_figure(found.mean)}" if found.mean is not None else ""
    console.print(f"[bold]{escape(found.flywheel)}[/]  {escape(who)}, {found.rows:,} holdout rows{mean}")
    for note in found.notes:
        console.print(f"  note: {escape(note)}")
    if found.tested and not found.slices:
        console.print(
            f"  No slice is worse than the rest ({found.counted:,} looked at, {found.tested} tested)."
        )
    if found.slices:
        console.print(
            f"\nWorse than the rest ({found.counted:,} slices looked at, {found.tested} tested on other rows):"
        )
    for one in found.slices:
        times = f", {one.lift.value:.1f} times the rest's" if isfinite(one.lift.value) else ""
        console.print(f"\n  [bold]{escape(one.text)}[/]")
        console.print(
            f"    {one.rows:,} rows ({one.share:.1%}); {found.loss} {_figure(one.loss)}{times} ({one.rest:.4g}); p {one.p:.2g}"
        )
        console.print(f"    look at: {escape(', '.join(one.ids))}")
    if found.why is not None:
        worse = found.why
        console.print(
            f"\nWhy worse since {worse.since:%Y-%m-%d %H:%M} UTC ({worse.recent_rows:,} rows, {worse.earlier_rows:,} before{_added(worse)}):"
        )
        _print_why(console, worse)
    if found.lost is not None:
        console.print(
            f"\nWhy the last challenger was not better ({found.lost.recent_rows:,} rows{_added(found.lost)}):"
        )
        _print_why(console, found.lost)


def _added(why: "Why") -> str:
    return f"; {why.loss} by {_figure(why.added)}" if why.added is not None else ""


def _print_why(console: "Console", why: "Why") -> None:
    from rich.markup import escape

    console.print(f"  [bold]{escape(why.message)}[/]")
    for cause in why.causes:
        shown = "[bold]shown[/]" if cause.found else "not shown"
        p = f"p {cause.p:.2g}" if cause.p is not None else "could not be tested"
        part = f", {cause.explains:.0%} of the loss" if cause.found and cause.explains is not None else ""
        console.print(
            f"  {cause.kind:<18} {shown}, {p}{part}{': ' + escape(cause.effect) if cause.effect else ''}"
        )
        if cause.found and cause.ids:
            console.print(f"  {'':<18} look at: {escape(', '.join(cause.ids))}")


def _figure(found: "Estimate") -> str:
    bounds = f" [{found.low:.4g}, {found.high:.4g}]" if isfinite(found.low) and isfinite(found.high) else ""
    return f"{found.value:.4g}{bounds}" if isfinite(found.value) else "not defined"
