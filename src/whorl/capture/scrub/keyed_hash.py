"""The keyed hash that stands in for a value: without the key nobody can try values out, and equal ones stay equal.

The key comes from the environment or from a file that only its owner can read. It is written nowhere.
"""

import hmac
import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec

from whorl.capture.values import text_of, without_zeros
from whorl.errors import RecordError, SpecError
from whorl.spec.knobs import CaptureSpec

LEAST_BYTES = 16
PREFIX = "hmac:"
_HASH = re.compile(PREFIX + "[0-9a-f]{32}")


def is_hash(value: Any) -> bool:
    """Whether a value is a hash already: on its way into another field it is not hashed, cut or redacted again."""
    return isinstance(value, str) and value.startswith(PREFIX) and _HASH.fullmatch(value) is not None


class KeyedHash:
    """HMAC-SHA-256 of a value as text, its first 128 bits in hexadecimal.

    >>> hashed = KeyedHash(b"0123456789abcdef")
    >>> hashed.of(17) == hashed.of("17") == hashed.of(17.0) == hashed.of("17.0"), hashed.of(None)
    (True, None)
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, value: Any) -> str | None:
        """None where there is no value. Numbers count as the text that groups make of them."""
        text = _text(value)
        if text is None or not text.strip():
            return None
        digest = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")
        return PREFIX + digest[:16].hex()


def hash_key(capture: CaptureSpec) -> bytes:
    """The key that [capture] names.

    Raises:
        SpecError: There is none, it is too short, or others can read its file.
    """
    if capture.hash_key_file is not None:
        key, where = _in_file(Path(capture.hash_key_file)), capture.hash_key_file
    else:
        where = capture.hash_key_env
        key = os.environ.get(where, "").encode("utf-8", "surrogateescape").strip()
    if len(key) < LEAST_BYTES:
        found = f"it has {len(key)} bytes" if key else "there is none"
        raise SpecError(
            f"[capture] hash needs a key of at least {LEAST_BYTES} bytes; {found}.",
            where=where,
            hint=f"Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'. Put it into "
            f"${capture.hash_key_env}, or into a file of mode 0600 that [capture] hash_key_file names.",
        )
    return key


def _in_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SpecError(
                    f"Others than its owner can use the key's file (mode {stat.S_IMODE(found.st_mode):04o}).",
                    where=str(path),
                    hint=f"chmod 600 {path}, and make a new key if others may have read this one.",
                )
            return file.read(4096).strip()
    except OSError as error:
        raise SpecError(f"The key's file cannot be read: {error.strerror}.", where=str(path)) from None


def _text(value: Any) -> str | None:
    try:
        text = text_of(value)
        return None if text is None else without_zeros(text)
    except RecordError:
        return msgspec.json.encode(value, enc_hook=str, order="sorted").decode()
