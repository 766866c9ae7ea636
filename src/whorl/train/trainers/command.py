"""A program as the trainer: the dataset's path in, a folder to write the model to. No shell is involved.

`{dataset}` is a Parquet file (id, time, label, weight, features), `{model}` an empty folder, `{seed}` a number.
"""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from whorl.errors import TrainingFailed
from whorl.train.rows import TrainingRows
from whorl.train.trainer import FitSettings

_TAIL = 2000


def train(rows: TrainingRows, out: Path, settings: FitSettings) -> None:
    """Run `[train] command`; what it prints goes to the log.

    Raises:
        TrainingFailed: It cannot be started, ends with another code than 0, or takes too long: then it and every
            process that it started are killed.
    """
    with TemporaryDirectory(prefix="whorl-train-") as scratch:
        dataset = Path(scratch, "dataset.parquet")
        pq.write_table(rows.table, dataset)
        places = {"{dataset}": str(dataset), "{model}": str(out), "{seed}": str(settings.seed)}
        _run([_filled(part, places) for part in settings.command], settings)


def _filled(part: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        part = part.replace(name, value)
    return part


def _run(command: list[str], settings: FitSettings) -> None:
    with settings.log.open("ab") as log:
        start = log.tell()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=settings.beside,
                start_new_session=True,
            )
        except OSError as error:
            raise TrainingFailed(
                f"'{command[0]}' cannot be started: {error.strerror}.",
                where="train.command",
                hint="Name a program on the PATH, or give its full path.",
            ) from error
        try:
            code = process.wait(settings.timeout_s)
        except subprocess.TimeoutExpired:
            raise _failed(
                f"It took longer than {settings.timeout_s:g} s and was stopped", settings, start
            ) from None
        finally:
            _end(process)
    if code:
        raise _failed(f"It ended with code {code}", settings, start)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill whatever is left of the command's own process group, its leader included."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failed(what: str, settings: FitSettings, start: int) -> TrainingFailed:
    said = settings.log.read_bytes()[start:][-_TAIL:].decode(errors="replace").strip()
    return TrainingFailed(
        f"{what}. It said last: {said or '(nothing)'}\n",
        where="train.command",
        hint=f"All of it is in {settings.log}.",
        log=str(settings.log),
    )
