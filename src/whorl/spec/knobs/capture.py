"""[capture]: what may be kept of a record. It is applied at the door, before anything reaches a disk or a message."""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from whorl.spec.knobs.knob import Knobs, knob

Personal = Literal["card", "iban", "email", "phone", "ip", "key", "ssn"]
Consenting = Literal["predictions", "feedback", "labels", "spans"]


class CaptureSpec(Knobs, frozen=True, kw_only=True):
    consent: Annotated[
        str | None,
        knob(
            "Path of what says that a record may be kept. One that says no is never kept, and leaves only a count; by default none is asked for."
        ),
    ] = None
    consent_required: Annotated[
        list[Consenting], knob("Kinds of records that must say so; one that is silent counts as a no.")
    ] = msgspec.field(default_factory=lambda: ["predictions", "spans"])
    consent_yes: Annotated[
        list[str], knob("Values that count as consent, in any case; every other value is a no.")
    ] = msgspec.field(default_factory=lambda: ["true", "1", "yes"])
    drop: Annotated[list[str], knob("Paths that are not kept. Lists on the way are entered.")] = []
    hash: Annotated[
        list[str],
        knob(
            "Paths whose values are replaced by a keyed hash (HMAC-SHA-256): the same value gives the same hash."
        ),
    ] = []
    hash_key_env: Annotated[
        str, knob("Environment variable that holds the key of the hash, at least 16 bytes.")
    ] = "WHORL_HASH_KEY"
    hash_key_file: Annotated[
        str | None,
        knob(
            "File that holds the key instead: an absolute path, readable by its owner alone (mode 0600); by default the variable is read."
        ),
    ] = None
    truncate: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        knob("Texts that are cut: path = length, after redaction.", "characters"),
    ] = {}
    redact: Annotated[
        list[str],
        knob(
            "Paths below which personal data in texts is replaced by its kind, such as <EMAIL>; ['*']: every text but ids and keys."
        ),
    ] = []
    redact_kinds: Annotated[
        list[Personal], knob("What is looked for: by format and checksum, without a model.")
    ] = msgspec.field(default_factory=lambda: list(get_args(Personal)))
    redact_with: Annotated[
        Literal["patterns", "presidio"],
        knob("'presidio': Presidio and its model look as well, for names and places. Needs whorl[pii]."),
    ] = "patterns"
    presidio_model: Annotated[
        str, knob("spaCy pipeline that Presidio uses: an installed package, or a folder.")
    ] = "en_core_web_lg"
    presidio_language: Annotated[str, knob("Language of the texts and of that pipeline.")] = "en"
    presidio_entities: Annotated[list[str], knob("What Presidio looks for, by its own names.")] = (
        msgspec.field(default_factory=lambda: ["PERSON", "LOCATION", "NRP"])
    )
    presidio_score: Annotated[
        Annotated[float, Meta(ge=0, le=1)], knob("Least score of what Presidio finds.", "score")
    ] = 0.5

    @property
    def asks(self) -> bool:
        """Whether anything is to be done at the door."""
        return bool(self.consent or self.drop or self.hash or self.truncate or self.redact)
