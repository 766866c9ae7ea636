"""A text file as bytes, compressed (gzip, zstd, bzip2) or not."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from whorl.errors import SourceError

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}


class TextStream:
    """The bytes of a file; `share` is how much of it has been read, in [0, 1]."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._file, self._size = file, max(path.stat().st_size, 1)
        head = file.read(4)
        file.seek(0)
        compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
        plain: Any = pa.CompressedInputStream(file, compression) if compression else file
        self.bytes = io.BufferedReader(plain, 1 << 20)

    @property
    def share(self) -> float:
        return min(self._file.tell() / self._size, 1.0)


@contextmanager
def open_text(path: Path) -> Iterator[TextStream]:
    """Raises SourceError when it cannot be read, or not be decompressed to its end."""
    try:
        with path.open("rb") as file:
            yield TextStream(path, file)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(
            f"The file cannot be read to its end: {error}.",
            where=str(path),
            hint="Is it truncated? Write it again; records that were taken in complete themselves.",
        ) from error
