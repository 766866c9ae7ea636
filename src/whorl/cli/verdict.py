"""A verdict as people read it: the decision, what each gate found, and the metrics of both sides."""

from typing import TYPE_CHECKING, Any

import typer

from whorl.cli.terminal import print_table, shown

if TYPE_CHECKING:
    from whorl.records import Verdict


def print_verdict(verdict: "Verdict", *, with_notes: bool = True) -> None:
    """Print it. `with_notes`: unless they were said elsewhere."""
    typer.echo(f"{verdict.decision}: {verdict.reason}")
    typer.echo(sides(verdict))
    print_table(
        ("check", "decision", "what was found", "rows", "needed"),
        [(one.check, one.decision, one.message, one.rows, one.rows_needed) for one in verdict.checks],
        empty="No gate is declared.",
    )
    if verdict.metrics:
        print_table(
            ("metric", "challenger", "champion"),
            [
                (name, _figure(sides.get("challenger")), _figure(sides.get("champion")))
                for name, sides in verdict.metrics.items()
            ],
        )
    for note in verdict.notes if with_notes else ():
        typer.echo(f"note: {note}")


def sides(verdict: "Verdict") -> str:
    """Who was judged against whom: without a champion, against what was logged, where something was."""
    logged = any(one.get("champion") for one in verdict.metrics.values())
    against = verdict.champion or ("the logged answers" if logged else "nothing")
    return f"{verdict.challenger} against {against} on {verdict.rows:,} judged rows"


def _figure(found: dict[str, Any] | None) -> str:
    """`0.861 [0.815, 0.897]`; a dash where a side was not asked or the figure is undefined."""
    if found is None or found.get("value") is None:
        return "-"
    low, high = found.get("low"), found.get("high")
    bounds = f" [{low:.4g}, {high:.4g}]" if low is not None and high is not None else ""
    return shown(float(found["value"])) + bounds
