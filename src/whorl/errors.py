"""Every error Whorl raises, in one tree. Faces map `code` to exit codes and HTTP status; nothing else does.

WhorlError
├── SpecError               spec           flywheel.toml is wrong
├── RuleError               rule           a rule's SQL is not allowed or does not fit the schema
├── RecordError             record         a captured record is refused
├── SourceError             source         a file or query cannot be read
├── NotFound                not_found      a named thing does not exist
├── StateError              state          the thing exists, and is not in a state that allows this
├── TruthError              truth          a rule of truth would be broken
│   ├── LeakFound           leak           holdout rows or the label itself reach training
│   └── TooFewRows          too_few_rows   not enough labelled rows to do this honestly
├── TrainingFailed          training       a trainer stopped without a model
├── ModelError              model          a model cannot be loaded or does not fit the schema
│   └── DigestMismatch      digest         model files differ from what the ledger recorded
├── ReleaseError            release        a release could not be carried out
├── ServerError             server         a server did not answer, or with what cannot be used
└── StorageError            storage        ledger, inbox, lake or registry
    ├── WorkspaceHeld       held           another process runs this workspace
    ├── InboxFull           inbox_full     capture refuses until the flusher has caught up
    ├── SchemaMismatch      schema         rows do not fit the table they are for
    └── WorkspaceVersion    version        the ledger was written by another version of Whorl
"""

import re
from difflib import get_close_matches
from typing import Any, ClassVar

# What stands behind a colon and is no port, up to the last @ of the word; parameters whose names say what they are.
_PASSWORD = re.compile(r"(://[^:/?#@\s]*):(?!\d+(?:[/?#\s]|$))\S*@")
_PARAMETER = re.compile(
    r"([?&][\w.-]*(?:password|passwd|pwd|secret|token|key|sig|signature|odbc_connect)=)[^&#\s]+",
    re.IGNORECASE,
)
_API_KEY = re.compile(r"(whorl_[0-9a-f]{12}_)[\w-]+")


class WhorlError(Exception):
    """What happened, where, and what to do next. Passwords in URLs are masked.

    Args:
        message: What is wrong, with the value that was found.
        where: Place in the user's terms: `flywheel.toml: curate.budget`, `orders.csv line 17`.
        hint: What would be right, or what to do next.
        facts: The same as machine-readable fields.

    >>> str(WhorlError("budget is -1.", where="curate.budget", hint="Use a whole number from 0."))
    'curate.budget: budget is -1. Use a whole number from 0.'
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, where: str = "", hint: str = "", **facts: Any) -> None:
        self.message = masked(message)
        self.where = masked(where)
        self.hint = masked(hint)
        self.facts = facts
        super().__init__(self.message)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The one error shape of every face: code, message, where, hint."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class SpecError(WhorlError):
    """flywheel.toml is wrong; `problems` lists every one that was found."""

    code = "spec"

    @property
    def problems(self) -> list[str]:
        return [masked(problem) for problem in self.facts.get("problems", [])] or [str(self)]


class RuleError(WhorlError):
    """A rule's SQL is not allowed or does not fit the schema."""

    code = "rule"


class RecordError(WhorlError):
    """A captured record is refused; its neighbours are not."""

    code = "record"


class SourceError(WhorlError):
    """A file or query cannot be read."""

    code = "source"


class NotFound(WhorlError):
    """A named thing does not exist."""

    code = "not_found"


class StateError(WhorlError):
    """The thing exists, and is not in a state that allows this."""

    code = "state"


class TruthError(WhorlError):
    """A rule of truth would be broken."""

    code = "truth"


class LeakFound(TruthError):
    """Holdout rows, or the label itself, reach training."""

    code = "leak"


class TooFewRows(TruthError):
    """Not enough labelled rows to do this honestly."""

    code = "too_few_rows"


class TrainingFailed(WhorlError):
    """A trainer stopped without a model."""

    code = "training"


class ModelError(WhorlError):
    """A model cannot be loaded or does not fit the schema."""

    code = "model"


class DigestMismatch(ModelError):
    """Model files differ from what the ledger recorded."""

    code = "digest"


class ReleaseError(WhorlError):
    """A release could not be carried out."""

    code = "release"


class ServerError(WhorlError):
    """A server did not answer, or with what cannot be used; `facts["status"]` is its HTTP status, if there was one."""

    code = "server"


class StorageError(WhorlError):
    """The ledger, inbox, lake or registry failed."""

    code = "storage"


class WorkspaceHeld(StorageError):
    """Another process runs this workspace."""

    code = "held"


class InboxFull(StorageError):
    """Capture refuses until the flusher has caught up; nothing was accepted."""

    code = "inbox_full"


class SchemaMismatch(StorageError):
    """Rows do not fit the table they are for; nothing was written."""

    code = "schema"


class WorkspaceVersion(StorageError):
    """The ledger was written by another version of Whorl."""

    code = "version"


def error_of(code: str) -> type[WhorlError] | None:
    """The class with a code: what a server has said, raised again where it was asked.

    >>> error_of("inbox_full")
    <class 'whorl.errors.InboxFull'>
    """
    known = [*WhorlError.__subclasses__()]
    for kind in known:
        known += kind.__subclasses__()
    return next((kind for kind in known if kind.code == code), None)


def did_you_mean(found: str, known: list[str] | tuple[str, ...]) -> str:
    """`Did you mean 'amount'?` and the known names; for hints.

    >>> did_you_mean("amout", ["amount", "merchant"])
    "Did you mean 'amount'? Known: amount, merchant."
    """
    close = get_close_matches(found, known, n=1)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    return f"{guess}Known: {', '.join(known)}."


def masked(text: str) -> str:
    """A text as it may be shown, logged or kept: URLs in it without their passwords, API keys without their secrets.

    >>> masked("MLflow at https://ann:s3@cret@host:5000/x is behind")
    'MLflow at https://ann:***@host:5000/x is behind'
    >>> masked("mssql://host:1433/db?sslmode=require&password=s3cret")
    'mssql://host:1433/db?sslmode=require&password=***'
    """
    if "whorl_" in text:
        text = _API_KEY.sub(r"\1***", text)
    if "://" not in text:
        return text
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))
