"""The root of the command line, and what turns an error into a message and an exit code.

Exit codes: 0 done, 64 wrong usage, 3 an error (said on standard error); `gate` has its own, see `gate.py`.
"""

import sys
import traceback
from typing import Any

import typer

from whorl.cli import (
    cases,
    cycle,
    data,
    dataset,
    doctor,
    gate,
    holdout,
    inbox,
    insights,
    key,
    labels,
    model,
    setup,
    status,
)

# Typer brings its own copy of Click, under a private name; this is the base of its usage errors.
_ClickException: Any = typer.BadParameter.__mro__[2]
# As in sysexits.h; 2 would say "hold" in `gate`.
WRONG_USAGE = 64

app = typer.Typer(
    name="whorl",
    help="A data flywheel: your deployed model gets better by its own use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(setup.init)
app.add_typer(setup.spec_app, name="spec")
app.command("serve")(setup.serve)
app.command("ingest")(data.ingest)
app.command("replay")(data.replay)
app.command("status")(status.status)
app.command("insights")(insights.insights)
app.command("doctor")(doctor.doctor)
app.command("gate")(gate.gate)
app.add_typer(cycle.app, name="cycle")
app.add_typer(cases.app, name="cases")
app.add_typer(labels.app, name="labels")
app.add_typer(inbox.app, name="inbox")
app.add_typer(dataset.app, name="dataset")
app.add_typer(holdout.app, name="holdout")
app.add_typer(model.app, name="model")
app.add_typer(key.app, name="key")


def main() -> None:
    """Run the command line."""
    from whorl.errors import WhorlError

    try:
        sys.exit(app(standalone_mode=False))
    except WhorlError as error:
        typer.echo(f"whorl: {error}", err=True)
        sys.exit(gate.ERROR)
    except _ClickException as error:
        error.show()
        sys.exit(WRONG_USAGE)
    except typer.Abort:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception:  # noqa: BLE001 - told in full; the status 1 that Python gives it says "reject" in `gate`
        traceback.print_exc()
        sys.exit(gate.ERROR)
