"""A cycle step by step, in words and figures: what `whorl cycle show` prints. What the words come from is the journal."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from whorl.cli.terminal import print_facts, shown
from whorl.cli.verdict import print_verdict, sides
from whorl.records import CaseSet, DatasetVersion, Finding, ModelVersion, Release, Verdict, Waiting

if TYPE_CHECKING:
    from whorl.storage.cycles import Cycle
    from whorl.storage.journal import Step

_KINDS: dict[str, Any] = {
    "curate": CaseSet,
    "golden": DatasetVersion | None,
    "datasets": DatasetVersion,
    "offer": Waiting,
    "train": ModelVersion,
    "evaluate": Verdict,
    "release": Release,
    "told": Waiting,
    "confirm": Release,
    "monitor": list[Finding],
}


def with_all_fields(steps: list["Step"]) -> list[dict[str, Any]]:
    """Steps for JSON: the journal leaves out of a result what has its default."""
    return [msgspec.structs.asdict(step) | {"result": _read(step)} for step in steps]


def print_cycle(cycle: "Cycle", steps: list["Step"]) -> None:
    """Where it stands, each step that has ended, and what the gates said."""
    print_facts(
        {
            "cycle": cycle.id,
            "state": cycle.state,
            "as of": cycle.as_of,
            "trigger": cycle.trigger,
            "stopped at": cycle.step if cycle.state in ("waiting", "failed") else None,
            "error": _error(cycle.error) if cycle.error else None,
            "waits for": cycle.waiting_for.hint if cycle.waiting_for else None,
        }
    )
    typer.echo("")
    if not steps:
        typer.echo("No step has ended yet.")
        return
    results = {step.name: _read(step) for step in steps}
    _print_steps(steps, results)
    if "evaluate" in results:
        typer.echo("")
        print_verdict(results["evaluate"], with_notes=False)


def release_in_words(made: Release) -> str:
    """Which version the pointer names now."""
    if made.state == "waiting":
        return f"waiting: champion is {made.previous or 'none'}, until it is confirmed that {made.version} serves"
    return f"{made.state}: champion is {made.version or 'none'}"


def notes_once(*results: Any) -> list[str]:
    """The notes of several results in order, each once."""
    return list(dict.fromkeys(note for one in results for note in (one.notes if one is not None else [])))


def _print_steps(steps: list["Step"], results: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    said = set[str]()
    for step in steps:
        result = results[step.name]
        notes = [note for note in getattr(result, "notes", []) if note not in said]
        said.update(notes)
        lines = [*_IN_WORDS.get(step.name, _other)(result), *(f"note: {note}" for note in notes)]
        table.add_row(step.name, escape("\n".join(lines)), f"{step.seconds:.1f} s")
    Console(highlight=False).print(table)


def _error(error: dict[str, Any]) -> str:
    """What, where and what next, as it was said when it happened."""
    place = f"{error['where']}: " if error.get("where") else ""
    return f"{place}{error['message']} {error.get('hint') or ''}".rstrip()


def _read(step: "Step") -> Any:
    return msgspec.convert(step.result, _KINDS.get(step.name, Any))


def _flush(moved: int) -> list[str]:
    return [f"{moved:,} waiting records moved into the lake" if moved else "no record was waiting"]


def _curate(cases: CaseSet) -> list[str]:
    by_reason = sorted(cases.by_reason.items(), key=lambda one: (-one[1], one[0]))
    lines = [f"{cases.cases:,} of {cases.candidates:,} candidates chosen"]
    if by_reason:
        lines.append("by reason: " + ", ".join(f"{name} {count:,}" for name, count in by_reason))
    if cases.random_share is not None and cases.cases < cases.candidates:
        lines.append(f"{cases.random_share:.0%} of the budget is drawn at random")
    if cases.asked:
        lines.append(f"{cases.asked:,} truths asked of people: whorl cases list --asked")
    return lines


def _settle(kept: bool) -> list[str]:
    return ["what was looked at is kept for the next cycle" if kept else "nothing had to be kept"]


def _golden(made: DatasetVersion | None) -> list[str]:
    return ["no golden rows to fix" if made is None else f"{made.id} fixed: {made.rows:,} rows"]


def _datasets(made: DatasetVersion) -> list[str]:
    left = ", ".join(f"{count:,} ({why})" for why, count in made.left.items())
    return [
        f"{made.id}: {made.rows:,} rows, {made.labelled_rows:,} of them labelled",
        *([f"left out: {left}"] if left else []),
    ]


def _train(made: ModelVersion) -> list[str]:
    through = f", on rows up to {shown(made.trained_through)}" if made.trained_through else ""
    return [f"{made.id} by {made.trainer}{through}"]


def _evaluate(verdict: Verdict) -> list[str]:
    return [f"{verdict.decision}: {sides(verdict)}"]


def _release(made: Release) -> list[str]:
    return [release_in_words(made)]


def _monitor(findings: list[Finding]) -> list[str]:
    return [f"{one.severity}: {one.message}" for one in findings] or ["nothing new was found"]


def _ask(count: int) -> list[str]:
    if not count:
        return ["no holdout truth was asked for"]
    return [f"{count:,} holdout truths asked of people: whorl holdout list --waiting"]


def _waits(waiting: Waiting) -> list[str]:
    until = f", until {shown(waiting.until)}" if waiting.until else ""
    return [f"{waiting.what} ({waiting.where}){until}: {waiting.hint}"]


def _other(result: Any) -> list[str]:
    return [shown(result)]


_IN_WORDS: dict[str, Callable[[Any], list[str]]] = {
    "flush": _flush,
    "curate": _curate,
    "settle": _settle,
    "golden": _golden,
    "datasets": _datasets,
    "offer": _waits,
    "train": _train,
    "evaluate": _evaluate,
    "release": _release,
    "told": _waits,
    "confirm": _release,
    "monitor": _monitor,
    "ask": _ask,
}
