"""Where a flywheel lives: ledger, inbox, lake, engine and registry opened together, as the one handle stages receive.

Opening is cheap and shared: several processes may open one workspace. Who flushes and who runs cycles is settled by
`storage/lock.py`, not here.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa
from sqlalchemy.engine import URL

from whorl.clock import Clock, RealClock
from whorl.errors import NotFound, StorageError
from whorl.examples.arrivals import Arrivals, can_settle
from whorl.examples.join import Examples
from whorl.examples.joined import Joined, damage, joined_by
from whorl.examples.kept_list import LIST, KeptDamaged
from whorl.examples.rejoin import keep_joined
from whorl.examples.settle import LEAST_ROWS, settle
from whorl.examples.settled import JOINED, Settled, clear_away_settled, settled_by
from whorl.spec import Spec, spec_hash
from whorl.storage import flywheels
from whorl.storage.engine import Engine
from whorl.storage.inbox import CAPACITY_BYTES, Inbox
from whorl.storage.journal import Journal
from whorl.storage.lake import Lake
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.mlflow_mirror import MlflowMirror
from whorl.storage.registry import Registry

log = logging.getLogger("whorl.workspace")

DEFAULT_ROOT = Path(".whorl")
T = TypeVar("T")


class Workspace:
    """One flywheel's storage. Use as a context manager, or call `close`.

    Args:
        root: Directory of the lake, the model files and, when embedded, of the ledger.
        ledger_url: SQLAlchemy URL; default is SQLite in `root`.
        mirror: Keep MLflow's copy of the registry up to date; a replay has no use for it.
        tracking_uri: An MLflow server; default is a SQLite store in `root`.
        beside: Directory of the spec, where the functions that it names are looked for.
        memory_limit: Of the engine, such as `2GB`; it spills beyond. Default: a share of the machine's.
        inbox_bytes: What may wait in the inbox of the whole ledger before no more is accepted.
        settle_from_rows: With fewer predictions in the lake each cycle looks at all of them.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        spec: Spec,
        *,
        holdout_key: str,
        clock: Clock,
        mirror: bool = True,
        tracking_uri: str | None = None,
        beside: Path | None = None,
        memory_limit: str | None = None,
        inbox_bytes: int = CAPACITY_BYTES,
        settle_from_rows: int = LEAST_ROWS,
    ) -> None:
        self.root, self.ledger, self.spec, self.clock, self.beside = root, ledger, spec, clock, beside
        self.name = spec.name
        self.spec_hash = spec_hash(spec)
        self.holdout_key = holdout_key
        self._scratch = TemporaryDirectory(prefix="whorl-", ignore_cleanup_errors=True)
        self.lake = self.lake_of(spec)
        self.engine = Engine(Path(self._scratch.name), memory_limit=memory_limit, allowed=[root])
        self.inbox = Inbox(ledger, inbox_bytes)
        self.journal = Journal(ledger)
        self.registry = Registry(ledger, spec.name, root, clock)
        self._mirror = MlflowMirror(ledger, self.registry, root, tracking_uri) if mirror else None
        self._examples: Examples | None = None
        self._arrivals: Arrivals | None = None
        self._settled_folder = root / "settled" / spec.name
        self._joined_folder = self._settled_folder / JOINED
        self._settle_from_rows = settle_from_rows
        self.engine.explain = self._damage
        self._of_spec: dict[Callable[[Spec], Any], Any] = {}

    def examples(self, as_of: datetime) -> Examples:
        """The examples as of a time; the last one asked for is kept, so that the steps of a cycle share it."""
        if self._examples is None or self._examples.as_of != as_of:
            self.drop_examples()
            self._examples = Examples(self.lake, self.engine, self.spec, as_of, self._kept(as_of))
        return self._examples

    def drop_examples(self) -> None:
        """Let go of the examples that were asked for last."""
        if self._examples is not None:
            self._examples.close()
        self._examples = None

    def received(self, at: datetime) -> None:
        """Rows that were received at a time are in the lake: let go of what was joined as of then or later without them.

        What is as of an earlier time, such as a cycle's, does not see them and stays.
        """
        if self._examples is not None and self._examples.as_of >= at:
            self.drop_examples()
        if self._arrivals is not None and self._arrivals.as_of >= at:
            self._drop_arrivals()

    def arrivals(self, as_of: datetime, cycles: Sequence[str]) -> Arrivals:
        """What may become candidates as of a time, after these cycles have taken theirs; the last one asked for is kept."""
        kept = self._arrivals
        if kept is None or (kept.as_of, kept.cycles) != (as_of, tuple(cycles)):
            self._drop_arrivals()
            settled = settled_by(self._settled_folder, self.lake, self.spec, as_of)
            kept = Arrivals(self.lake, self.engine, self.spec, as_of, cycles, settled)
            self._arrivals = kept
        return kept

    def _drop_arrivals(self) -> None:
        if self._arrivals is not None:
            self._arrivals.close()
        self._arrivals = None

    def settle(self, as_of: datetime, cycles: Sequence[str]) -> bool:
        """Index what was received by a time, and what these cycles have taken, so that later ones cost what is new.

        Returns whether anything is kept. What is kept is derived: where it cannot be written, the log says so, and the next cycle looks at everything.
        """
        arrivals = self.arrivals(as_of, cycles)
        try:
            kept = settle(
                self.lake,
                self.engine,
                self.spec,
                self._settled_folder,
                arrivals,
                cycles,
                self._settle_from_rows,
            )
            if kept is not None:
                keep_joined(self.lake, self.engine, self.spec, self._joined_folder, kept)
                self.drop_examples()
        except (StorageError, OSError, pa.ArrowException) as error:
            log.warning(
                "%s: what was looked at is not kept (%s). The next cycle looks at it again, and tries again to keep it. "
                "Whether its place can be written, and how much is free: whorl doctor.",
                self.name,
                error,
            )
            self.drop_examples()
            self._drop_arrivals()
            clear_away_settled(self._settled_folder)
            return False
        return kept is not None

    def _kept(self, as_of: datetime) -> tuple[Joined, Settled] | None:
        """What is kept of an earlier join, and what is settled to go on from it."""
        if not can_settle(self.lake, self.spec):
            return None
        joined = joined_by(self._joined_folder, self.lake, self.spec, as_of)
        settled = settled_by(self._settled_folder, self.lake, self.spec, as_of)
        return (
            None if joined is None or settled is None or settled.as_of < joined.as_of else (joined, settled)
        )

    def _damage(self) -> KeptDamaged | None:
        """Why a query failed, where it is a file of the kept join: whoever asks again gets examples without it."""
        reads = self._examples is not None and self._examples.reads_kept
        if not reads and not (self._joined_folder / LIST).exists():
            return None
        with closing(Engine(Path(self._scratch.name), allowed=[self._joined_folder])) as engine:
            found = damage(self._joined_folder, engine)
        if found is not None and self._examples is not None:
            self._examples.leave_kept()
        return found

    def of_spec(self, make: Callable[[Spec], T]) -> T:
        """What a stage makes of the spec, made once and kept."""
        made: T | None = self._of_spec.get(make)
        return self._of_spec.setdefault(make, make(self.spec)) if made is None else made

    def newest_spec(self) -> Spec:
        """The flywheel's last registered spec: this one, unless another process has come with a newer one."""
        newest = flywheels.newest_hash(self.ledger, self.name)
        return self.spec if newest in (None, self.spec_hash) else flywheels.spec_of(self.ledger, self.name)

    def lake_of(self, spec: Spec) -> Lake:
        """The flywheel's lake with the columns of a spec."""
        return Lake(self.root / "lake", spec.name, spec, self.ledger.uuid)

    def mirror_models(self) -> list[str]:
        """Bring MLflow's versions and aliases up to the ledger's; returns what could not be done, to be tried again."""
        return [] if self._mirror is None else self._mirror.reconcile()

    def place(self, *parts: str) -> Path:
        """A directory of the workspace, made when it is not there."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def close(self) -> None:
        """Let go of every file and connection; what was accepted is on disk already."""
        for held in (self._examples, self._arrivals):
            if held is not None:
                held.close()
        self.inbox.close()
        self.engine.close()
        self.ledger.close()
        self._scratch.cleanup()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_workspace(
    spec: Spec,
    root: str | Path = DEFAULT_ROOT,
    *,
    ledger_url: str | None = None,
    clock: Clock | None = None,
    mirror: bool = True,
    tracking_uri: str | None = None,
    holdout_key: str | None = None,
    beside: Path | None = None,
    memory_limit: str | None = None,
    settle_from_rows: int = LEAST_ROWS,
) -> Workspace:
    """Open, and where needed create, the workspace of a flywheel; a changed spec becomes its next version.

    Raises:
        StorageError: It is in a place that cannot be written, or its ledger cannot be opened.
    """
    root = Path(root).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The workspace cannot be made here ({error.strerror or error}).",
            where=str(root),
            hint="Name a directory that you may write: --workspace, or WHORL_WORKSPACE.",
        ) from error
    clock = clock or RealClock()
    ledger = Ledger.open(ledger_url or embedded_url(root), clock, root)
    key = flywheels.register(ledger, spec, holdout_key=holdout_key)
    return Workspace(
        root,
        ledger,
        spec,
        holdout_key=key,
        clock=clock,
        mirror=mirror,
        tracking_uri=tracking_uri,
        beside=beside,
        memory_limit=memory_limit,
        settle_from_rows=settle_from_rows,
    )


@contextmanager
def open_ledger(
    root: str | Path = DEFAULT_ROOT, *, ledger_url: str | None = None, clock: Clock | None = None
) -> Iterator[Ledger]:
    """The ledger of an existing workspace, for what needs no flywheel's lake. Raises NotFound when there is none."""
    root = Path(root).absolute()
    if ledger_url is None and not (root / "ledger.db").exists():
        raise NotFound(
            "There is no workspace here.",
            where=str(root),
            hint="Start one with `whorl init` and `whorl serve`.",
        )
    ledger = Ledger.open(ledger_url or embedded_url(root), clock or RealClock(), root)
    try:
        yield ledger
    finally:
        ledger.close()


def embedded_url(root: Path) -> str:
    """Of the ledger in a workspace's directory."""
    # Made from its parts: a path may hold what means something in a URL.
    return URL.create("sqlite", database=str(root / "ledger.db")).render_as_string(hide_password=False)
