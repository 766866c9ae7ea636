"""`whorl insights`: where the champion errs more than elsewhere, and why it got worse."""

from math import isfinite
from typing import TYPE_CHECKING

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, opened, print_json

if TYPE_CHECKING:
    from whorl.monitor.insights.insights import Insights
    from whorl.stats.estimate import Estimate


def insights(
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Where the champion errs more than elsewhere, over recent holdout rows whose truth is known."""
    with opened(spec, workspace) as flywheel:
        found = flywheel.insights()
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


def _figure(found: "Estimate") -> str:
    bounds = f" [{found.low:.4g}, {found.high:.4g}]" if isfinite(found.low) and isfinite(found.high) else ""
    return f"{found.value:.4g}{bounds}" if isfinite(found.value) else "not defined"
