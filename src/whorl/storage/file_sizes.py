"""Whether files are as they were written: a power cut, or somebody's hand, leaves some out or cuts them short.

Only their sizes are looked at, which costs nothing. For files that are written once, under a list that names them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path


def file_sizes(folder: Path, files: Iterable[Path], known: Mapping[str, int]) -> dict[str, int]:
    """Bytes of each of the files, by its path in the folder; of those that are `known` already, what is known."""
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return {name: known[name] if name in known else (folder / name).stat().st_size for name in names}


def as_written(folder: Path, sizes: Mapping[str, int]) -> bool:
    """Whether all are there, and of their size.

    >>> as_written(Path("nowhere"), {"run-1": 12})
    False
    """
    try:
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except OSError:
        return False
