"""`whorl gate`: the gates' verdict now, for CI/CD. Exit code 0 promote, 1 reject, 2 hold, 3 an error."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whorl.cli.data import flush_or_leave
from whorl.cli.terminal import DEFAULT_SPEC, Root, SpecPath, opened, print_json
from whorl.cli.verdict import print_verdict

if TYPE_CHECKING:
    from whorl.flywheel import Flywheel
    from whorl.records import ModelVersion, Verdict
    from whorl.storage.cycles import Submitted

EXIT_CODES = {"promote": 0, "reject": 1, "hold": 2}
ERROR = 3


def gate(
    challenger: Annotated[
        str | None,
        typer.Option(
            help="Number of a version, or 'challenger'; default: the newest, if it came after the champion."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model to be judged: LightGBM text, folder, or MLflow URI.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Its scores of the holdout rows: Parquet or CSV with id and score.")
    ] = None,
    human: Annotated[bool, typer.Option("--human", help="A table instead of JSON.")] = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
) -> None:
    """Judge a challenger against the champion on what is known now. Nothing is released.

    Prints the verdict as JSON. Exit code 0 promote, 1 reject, 2 hold, 3 an error. Every verdict is a look at the holdout,
    and spends from its error budget.
    """
    if sum(one is not None for one in (challenger, model, scores)) > 1:
        typer.echo("whorl: Give one of --challenger, --model, --scores.", err=True)
        raise typer.Exit(ERROR)
    with opened(spec, workspace) as flywheel:
        left = flush_or_leave(flywheel)
        if left is not None:
            typer.echo(left, err=True)
        verdict = _judge(flywheel, challenger, model, scores)
    if human:
        print_verdict(verdict)
    else:
        print_json(verdict)
    raise typer.Exit(EXIT_CODES[verdict.decision])


def _judge(flywheel: "Flywheel", challenger: str | None, model: str | None, scores: Path | None) -> "Verdict":
    from whorl.capture.flush import settled
    from whorl.evaluate.judge import judge

    ws = flywheel.workspace
    now = settled(ws)
    # A look of its own: the ledger keeps one verdict for each name.
    look = f"gate-{now:%Y%m%dT%H%M%S.%f}"
    if model is not None:
        version = _handed_in(flywheel, look, "model", model)
    elif scores is not None:
        version = _handed_in(flywheel, look, "scores", str(scores.absolute()))
    elif challenger is not None:
        version = ws.registry.get(challenger)
    else:
        version = _newest(flywheel)
    return judge(ws, version, look, now)


def _newest(flywheel: "Flywheel") -> "ModelVersion":
    """The newest version that came after the champion and has never served."""
    from whorl.errors import NotFound

    registry = flywheel.workspace.registry
    champion = registry.champion()
    served = {change.model_id for change in registry.changes()}
    after = champion.version if champion else 0
    fresh = [one for one in registry.versions() if one.version > after and one.id not in served]
    if not fresh:
        raise NotFound(
            f"There is no model version to judge{f' after the champion {champion.id}' if champion else ''}.",
            where=flywheel.workspace.name,
            hint="Name one with --challenger, hand one in with --model or --scores, or run a cycle.",
        )
    return fresh[-1]


def _handed_in(flywheel: "Flywheel", look: str, kind: "Submitted", uri: str) -> "ModelVersion":
    """Register what CI has made as the next version."""
    from whorl.storage import dataset_versions
    from whorl.storage.cycles import Submission
    from whorl.train.external import adopt

    ws = flywheel.workspace
    dataset, _ = dataset_versions.get(ws.ledger, ws.name, "training")
    handed_in = Submission(kind=kind, uri=uri, by="gate", at=ws.clock.now())
    return adopt(ws, dataset, look, handed_in, beside=ws.beside)
