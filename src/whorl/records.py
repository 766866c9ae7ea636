"""The words as data: what is captured (Prediction, Feedback, Label, Span) and what the stages hand on.

Captured records carry everything that a classical or an LLM call may need, most of it optional. Hand-on records are
small, frozen and JSON-able: a reference to rows, never the rows, so that a cycle can stop and resume between two steps.
How a company's own JSON becomes a record is in `capture/mapping.py`; how records lie in the lake, in `storage/tables.py`.
"""

from datetime import datetime
from typing import Any, Literal, NewType

import msgspec

PredictionId = NewType("PredictionId", str)
CycleId = NewType("CycleId", str)
ModelVersionId = NewType("ModelVersionId", str)
DatasetVersionId = NewType("DatasetVersionId", str)

Split = Literal["train", "holdout"]
Task = Literal["binary", "multiclass", "regression", "generation"]
Decision = Literal["promote", "hold", "reject"]
Scalar = bool | int | float | str | None


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Frozen, keyword-only; JSON leaves out what was not given."""


class Message(Record, frozen=True, kw_only=True):
    """One message of a conversation; `content` is text or a list of typed parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class Content(Record, frozen=True, kw_only=True):
    """Something large that a prediction refers to, kept elsewhere: an image, an audio file, a document."""

    uri: str
    name: str | None = None
    media_type: str | None = None
    sha256: str | None = None
    bytes: int | None = None


class Item(Record, frozen=True, kw_only=True):
    """One item of a ranked or recommended list, `position` from 1."""

    id: str
    position: int
    score: float | None = None
    propensity: float | None = None


class Prediction(Record, frozen=True, kw_only=True):
    """One logged model call. Two records with one id complete each other: the first value of each field stays.

    `score` is the probability of the positive class (binary) or the predicted number (regression); `scores` names
    several scores or one probability per class. `output` is what the model answered: a class, a number, a text.
    Costs are in US dollars, latency in milliseconds, tokens are counts, propensity is the probability with which
    the action was taken. `protected` holds fairness groups by name; they are never features.
    """

    id: str
    time: datetime
    features: dict[str, Any] = {}
    messages: list[Message] | None = None
    content: list[Content] | None = None
    score: float | None = None
    scores: dict[str, float] | None = None
    output: Any = None
    items: list[Item] | None = None
    action: str | None = None
    propensity: float | None = None
    group: str | None = None
    session: str | None = None
    keys: dict[str, str] = {}
    protected: dict[str, str] = {}
    model_version: str | None = None
    feature_version: str | None = None
    variant: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    extra: dict[str, Any] = {}


class Feedback(Record, frozen=True, kw_only=True):
    """A signal about a prediction, an item in it, or a whole session; at least one of the three is named."""

    name: str
    time: datetime
    value: Any = None
    id: str | None = None
    prediction_id: str | None = None
    item_id: str | None = None
    session: str | None = None
    kind: Literal["HUMAN", "CODE", "LLM_JUDGE"] = "HUMAN"
    explicit: bool = True
    source: str | None = None
    comment: str | None = None
    correction: Any = None
    extra: dict[str, Any] = {}


class Label(Record, frozen=True, kw_only=True):
    """The truth for a prediction, found by its id or by business keys. A later one corrects an earlier one."""

    value: Any
    time: datetime
    prediction_id: str | None = None
    keys: dict[str, str] = {}
    source: str | None = None
    id: str | None = None
    extra: dict[str, Any] = {}


class Span(Record, frozen=True, kw_only=True):
    """One step of a trace: a tool call, a retrieval, an agent's turn. A model call is a Prediction as well.

    `id` is unique in its trace, and what `parent_id` of other spans and of predictions names. `status` is ok, error or
    None; `prediction_id` names the prediction that this step is.
    """

    id: str
    trace_id: str
    time: datetime
    parent_id: str | None = None
    prediction_id: str | None = None
    name: str | None = None
    duration_ms: float | None = None
    status: Literal["ok", "error"] | None = None
    attributes: dict[str, Any] = {}


class Refusal(Record, frozen=True, kw_only=True):
    """One record that was not accepted: its place in the batch (from 0) or file (line from 1), and why."""

    index: int
    code: str
    message: str
    hint: str = ""


class Accepted(Record, frozen=True, kw_only=True):
    """What became of a batch: counted only after it is safe on disk. Of what had no consent nothing is left but the count."""

    accepted: int
    refused: list[Refusal] = []
    without_consent: int = 0
    notes: list[str] = []


class CaseSet(Record, frozen=True, kw_only=True):
    """What curation chose in one cycle: the rows lie in the lake's `cases` table under this cycle.

    `asked`: truths that people were asked for, in the table `asked`. `random_share`: of the budget, after the guard.
    """

    cycle_id: str
    as_of: datetime
    cases: int
    candidates: int
    by_reason: dict[str, int]
    asked: int = 0
    random_share: float | None = None
    notes: list[str] = []


class DatasetVersion(Record, frozen=True, kw_only=True):
    """One immutable version of a named training set; the manifest in the ledger can rebuild it.

    `left`: members that are not among the rows, counted by why.
    """

    id: str
    name: str
    version: int
    content_hash: str
    rows: int
    labelled_rows: int
    as_of: datetime
    path: str
    left: dict[str, int] = {}
    notes: list[str] = []


class ModelVersion(Record, frozen=True, kw_only=True):
    """One trained model as the registry knows it; `digest` is over its files."""

    id: str
    version: int
    digest: str
    uri: str
    trainer: str
    dataset_id: str | None = None
    trained_through: datetime | None = None
    spec_hash: str = ""
    seconds: float = 0.0
    notes: list[str] = []


class Check(Record, frozen=True, kw_only=True):
    """One gate's answer, with its numbers.

    Args:
        spent: What its interval took from the error budget: the chance that it promotes by luck. 0 where no interval
            decided.
    """

    check: str
    decision: Decision
    message: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    rows_needed: int | None = None
    segment: str | None = None
    spent: float = 0.0


class Verdict(Record, frozen=True, kw_only=True):
    """What the gates say of a challenger: the worst decision of its checks."""

    challenger: str
    champion: str | None
    decision: Decision
    reason: str
    checks: list[Check]
    metrics: dict[str, dict[str, Any]] = {}
    rows: int = 0
    notes: list[str] = []


class Waiting(Record, frozen=True, kw_only=True):
    """What a cycle cannot go on without: a person's approval, a model from outside, or a confirmed release.

    `where` names the place: the step to be approved, the dataset to train on, the release to confirm. `until`: when it is
    too late and the cycle fails; None: never.
    """

    what: Literal["approval", "model", "confirmation"]
    where: str
    hint: str = ""
    until: datetime | None = None


class Release(Record, frozen=True, kw_only=True):
    """What was done about a verdict: which version the pointer named before and after."""

    version: str | None
    previous: str | None
    via: str
    state: Literal["released", "kept", "waiting"]
    message: str = ""


class Finding(Record, frozen=True, kw_only=True):
    """Something the monitor saw, with the numbers that made it say so."""

    kind: str
    severity: Literal["info", "warning", "critical"]
    message: str
    value: float | None = None
    threshold: float | None = None
    facts: dict[str, Any] = {}
