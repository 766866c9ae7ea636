"""One sha256 for a whole model folder: a file more, less or changed is another model.

Left out is the one file that MLflow writes into a folder when it serves it from where it lies.
"""

import hashlib
import hmac
from pathlib import Path

from whorl.errors import DigestMismatch, ModelError

# Written by MLflow when it loads `models:/name@alias`: name and version. No loader of ours reads it.
MLFLOW_MARK = "registered_model_meta"


def folder_digest(folder: Path) -> str:
    """sha256 (hex) over every file's relative name and content, in the order of the names.

    Lengths are hashed too, so that no two folders spell the same bytes. Empty folders and MLFLOW_MARK do not count.

    Raises:
        ModelError: There is no such folder, it is empty, or it holds a link or another thing that is not a file.
    """
    if not folder.is_dir():
        raise ModelError("There is no such folder.", where=str(folder), hint="Restore it, or roll back.")
    files = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ModelError(
                f"'{path.relative_to(folder)}' is a link or not a plain file.",
                where=str(folder),
                hint="Put the file itself there: what it points to could change unseen.",
            )
        if path.is_file() and path != folder / MLFLOW_MARK:
            files[path.relative_to(folder).as_posix().encode()] = path
    if not files:
        raise ModelError("The folder is empty.", where=str(folder), hint="Train again, or roll back.")
    whole = hashlib.sha256()
    for name in sorted(files):
        with files[name].open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        whole.update(len(name).to_bytes(8) + name + content)
    return whole.hexdigest()


def check_digest(folder: Path, expected: str) -> None:
    """Raise DigestMismatch unless the folder is the one that was registered."""
    found = folder_digest(folder)
    if not hmac.compare_digest(found, expected):
        raise DigestMismatch(
            f"The files have sha256 {found[:12]}…, the ledger recorded {expected[:12]}….",
            where=str(folder),
            hint="They were changed or damaged after training. Restore them from a backup, or roll back.",
            found=found,
            expected=expected,
        )
