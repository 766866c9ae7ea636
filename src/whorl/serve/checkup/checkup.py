"""All checks, in an order that lets one explain the next. What fails is a line of the answer: nothing is raised.

A workspace is opened as it is: a ledger that lacks its newest tables is said to, not brought up to date.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from whorl.clock import Clock
from whorl.errors import SpecError, WhorlError, masked
from whorl.serve.checkup import lake, ledger, machine, settled, work
from whorl.serve.checkup.check import Check
from whorl.spec import Spec, load_spec
from whorl.storage.ledger.ledger import Ledger
from whorl.workspace import embedded_url


def checkup(
    root: Path, spec_paths: Sequence[Path], clock: Clock, ledger_url: str | None = None
) -> list[Check]:
    """Look at everything; the worst is not first, but where it belongs.

    Args:
        root: The workspace's directory, which may be missing.
        spec_paths: Specs whose keys are looked at.
        ledger_url: Default is SQLite in `root`.
    """
    now = clock.now()
    found = [
        *_safely("python", "", machine.versions),
        *_safely("disk", str(root), lambda: machine.disk(root)),
    ]
    found += _safely("workspace", str(root), lambda: machine.workspace(root, now))
    found += _safely("leftovers", str(root), lambda: machine.leftovers(root, now))
    for path in spec_paths:
        found += _safely("spec", str(path), lambda path=path: _spec(path))  # type: ignore[misc]
    if ledger_url is None:
        found += _safely("ledger file", str(root), lambda: ledger.file(root / "ledger.db"))
        if found[-1].level == "bad":
            return found
    try:
        opened = Ledger.open(ledger_url or embedded_url(root), clock, root, as_is=True)
    except WhorlError as error:
        older = error.facts.get("older", False)
        said = _bad("ledger", str(root), error)
        return [*found, msgspec.structs.replace(said, level="warn") if older else said]
    with opened:
        for what, look in (
            ("ledger", lambda: ledger.tables(opened)),
            ("clock", lambda: ledger.clock(opened, now)),
            ("keys", lambda: ledger.keys(opened, now)),
            ("lock", lambda: work.lock(root, opened)),
            ("lake", lambda: lake.tables(root / "lake", opened)),
            ("settled", lambda: settled.kept(root / "settled", opened)),
            ("inbox", lambda: work.inbox(opened, now)),
            ("unreadable", lambda: work.unread(opened)),
            ("cycles", lambda: work.cycles(root, opened, now)),
            ("outbox", lambda: work.outbox(opened)),
            ("mlflow", lambda: work.mirror(opened, now)),
        ):
            found += _safely(what, opened.place, look)
    return found


def _spec(path: Path) -> Iterator[Check]:
    spec: Spec = load_spec(path)
    yield Check.ok("spec", str(path), f"{spec.name} can be read.")
    if spec.capture.hash:
        from whorl.capture.scrub.keyed_hash import hash_key

        hash_key(spec.capture)
        yield Check.ok("hash key", spec.capture.hash_key_file or spec.capture.hash_key_env, "It can be read.")


def _safely(what: str, where: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    found: list[Check] = []
    try:
        found.extend(look())
    except WhorlError as error:
        found.append(_bad(what, where, error))
    except Exception as error:  # noqa: BLE001 - a check that cannot be made is an answer, and its neighbours go on
        said = masked(f"It cannot be looked at ({type(error).__name__}: {error}).")
        found.append(Check.bad(what, where, said, "Check that it is there and who may read it."))
    return found


def _bad(what: str, where: str, error: WhorlError) -> Check:
    message = " ".join(error.problems) if isinstance(error, SpecError) else error.message
    return Check.bad(what, error.where or where, message, error.hint)
