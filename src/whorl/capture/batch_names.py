"""What the ledger calls a batch, so that one that is sent again is known. What [capture] took out cannot be guessed by it.

A plain digest of what was sent would let whoever reads the ledger try values out. So content is digested under a secret: the
key that the caller gave the batch, of which only a digest is kept, with the key of [capture] hash where there is one. What has
no key from its caller (OTLP) is called by what is kept of it, which says nothing that the lake does not.
"""

from collections.abc import Iterable
from hashlib import blake2b

from whorl.capture.scrub.keyed_hash import hash_key
from whorl.spec import Spec
from whorl.storage.inbox_writes import Part


class BatchNames:
    """Names by one spec.

    Raises:
        SpecError: The key of [capture] hash cannot be had.
    """

    def __init__(self, spec: Spec) -> None:
        capture = spec.capture
        self._pepper = blake2b(hash_key(capture)).digest() if capture.hash else b""

    def of(self, key: str, content: bytes) -> tuple[str, str]:
        """What a batch is called that its caller calls `key`, and the digest of its content.

        >>> from whorl.spec import parse_spec
        >>> names = BatchNames(parse_spec('name = "f"\\ntask = "binary"'))
        >>> names.of("a", b"1") == names.of("a", b"1"), names.of("a", b"1")[1] == names.of("b", b"1")[1]
        (True, False)
        """
        secret = blake2b(key.encode(), key=self._pepper).digest()
        name, digest = (
            blake2b(what, key=secret, digest_size=16, person=person).hexdigest()
            for what, person in ((b"", b"name"), (content, b"content"))
        )
        return name, digest


def name_of(parts: Iterable[Part]) -> str:
    """What a batch is called by what is kept of it."""
    digest = blake2b(digest_size=20)
    for part in parts:
        digest.update(f"{part.kind} {len(part.payload)} ".encode())
        digest.update(part.payload)
    return digest.hexdigest()
