"""What a spec may mean, but hardly does by itself: each with the key's path, and what will come of it. What cannot be
meant is refused in `checks.py`."""

from collections.abc import Iterator, Mapping

from whorl.spec.knobs import Spec
from whorl.spec.problems import Problem


def cautions(spec: Spec, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Everything worth a second look.

    Args:
        environ: The environment that the flywheel will run in.
    """
    if spec.schema.label is None and spec.task != "generation":
        yield (
            ("schema", "label"),
            "Not set: no truth is read from your records. It must come as labels of their own (`log_label`, "
            "POST .../labels, an importer), or nothing can be learnt.",
        )
    told = (spec.release.via == "external", spec.monitor.webhook is not None)
    if any(told) and not environ.get(spec.release.secret_env):
        yield (
            ("release", "secret_env"),
            f"{spec.release.secret_env} is not set in this environment: webhooks stay queued, for nothing is sent unsigned.",
        )
