"""The route that answers: the champion scores records in the company's own shape, and what it said is logged.

Logged means on disk before the answer goes out, with the version that gave it.
"""

from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple, cast
from uuid import uuid4

import msgspec
import pyarrow as pa
from litestar import Controller, Request, Response, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import FromQuery

from whorl.api.auth import needs
from whorl.api.body import Batch, records
from whorl.api.capture import RecordsOperation, all_refused
from whorl.api.failures import TAKES, AllRefused
from whorl.api.whole import whole_body
from whorl.capture.mapping import Mapper, native_mapper
from whorl.capture.paths import ABSENT, Path
from whorl.capture.sealed import pack, seal
from whorl.capture.values import Notes, refusal, refusal_of
from whorl.errors import RecordError
from whorl.models.model import Model
from whorl.records import Accepted, Label, Prediction, Record, Refusal
from whorl.serve.champion import Serving
from whorl.serve.meter import Meter
from whorl.serve.service import Service
from whorl.serve.wheel import Wheel
from whorl.stats.arrays import Floats
from whorl.storage.inbox_writes import Part
from whorl.storage.tables import FEATURE, feature_fields
from whorl.workspace import Workspace

NOT_LOGGED = "{n} answer(s) were not logged: there was no consent."


class Answer(Record, frozen=True, kw_only=True):
    """What the model says of one record: `score` (binary: P(positive); regression: the number), or the class as
    `output` with a probability for each in `scores`."""

    id: str
    model_version: str
    score: float | None = None
    scores: dict[str, float] | None = None
    output: str | None = None


class Answers(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Answers in the order of the accepted records."""

    answers: list[Answer]
    refused: list[Refusal]
    notes: list[str]


class PredictRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    tags = ("predict",)
    opt = needs("predict")

    @post(
        "/predict",
        status_code=200,
        operation_class=RecordsOperation,
        summary="Ask the champion; its answer is logged",
        responses=TAKES,
    )
    async def predict(
        self,
        request: Request[Any, Any, Any],
        service: NamedDependency[Service],
        wheel: NamedDependency[Wheel],
        native: FromQuery[bool] = False,
        log: FromQuery[bool] = True,
    ) -> Answer | Answers:
        ws = wheel.ws
        how = _How(
            ws.of_spec(native_mapper if native else Mapper), log, ws.spec.schema.group if native else None
        )
        headers = request.headers
        media_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
        async with whole_body(request) as body:
            answer = await sync_to_thread(_answer, service.meter, wheel, how, body, media_type, encoding)
        return cast(Answers, answer)


class _How(NamedTuple):
    """How records are read, whether their answers are to be logged, and which of the features may name the group."""

    mapper: Mapper
    log: bool
    group: str | None


def _answer(
    meter: Meter, wheel: Wheel, how: _How, body: bytes, media_type: str, encoding: str
) -> Answer | Answers | Response[AllRefused]:
    batch = records(body, media_type, encoding)
    serving = wheel.champion.serving()
    notes = Notes()
    asked, refused = _asked(wheel.ws, how, batch, notes)
    answers = _logged(wheel.ws, serving, asked) if asked else []
    kept, without = sum(one.keep for one in asked), notes[NOT_LOGGED]
    answer = Accepted(accepted=kept, refused=refused, without_consent=without, notes=notes.lines())
    meter.took(wheel.name, "predictions", answer)
    if refused and not asked:
        return all_refused(answer)
    if batch.single:
        return answers[0]
    return Answers(answers=answers, refused=refused, notes=notes.lines())


class _Asked(NamedTuple):
    """A record that can be answered; `keep`: it is to be logged, and there is consent."""

    prediction: Prediction
    label: Label | None
    keep: bool


def _asked(ws: Workspace, how: _How, batch: Batch, notes: Notes) -> tuple[list[_Asked], list[Refusal]]:
    mapper, now = how.mapper, ws.clock.now()
    good: list[_Asked] = []
    refused = list(batch.refused)
    for place, given in batch.numbered:
        try:
            raw, consent = _scrubbed(mapper, given)
            mapped = mapper.read("predictions", _completed(raw, how, now), now, notes)
            if mapped.prediction is None or not mapped.prediction.features:
                hint = f"Features: {', '.join(ws.spec.features)}."
                raise refusal("feature", "it has none of the declared features.", hint=hint)
        except RecordError as error:
            refused.append(refusal_of(error, place))
            continue
        good.append(_Asked(mapped.prediction, mapped.label, consent and how.log))
        if how.log and not consent:
            notes[NOT_LOGGED] += 1
    return good, sorted(refused, key=lambda r: r.index)


def _scrubbed(mapper: Mapper, raw: Any) -> tuple[Any, bool]:
    """The record as the model was taught on such, and whether it may be logged."""
    door = mapper.scrubber
    return (raw, True) if door is None else (door.scrubbed(raw), door.may_keep(raw))


def _completed(raw: Any, how: _How, now: datetime) -> Any:
    """The record, with an id and a time where it has none."""
    if not isinstance(raw, dict):
        return raw
    fields, features = how.mapper.fields, raw.get("features")
    given: dict[Path, Any] = {fields.id: uuid4().hex, fields.time: now.isoformat()}
    if how.group is not None and fields.group is not None and isinstance(features, dict):
        given[fields.group] = features.get(how.group)
    missing = {path.text: value for path, value in given.items() if path.get(raw) in (None, ABSENT)}
    return {**raw, **missing}


def _logged(ws: Workspace, serving: Serving, asked: list[_Asked]) -> list[Answer]:
    began = perf_counter()
    scores = _scores(ws, serving.model, [one.prediction for one in asked])
    latency_ms = (perf_counter() - began) * 1000 / len(asked)
    told = [_told(serving, one.prediction.id, scores[row]) for row, one in enumerate(asked)]
    answered = [
        msgspec.structs.replace(
            one.prediction, score=answer.score, scores=answer.scores, output=answer.output,
            model_version=answer.model_version, latency_ms=latency_ms,
        )
        for one, answer in zip(asked, told, strict=True)
        if one.keep
    ]  # fmt: skip
    if not answered:
        return told
    now = ws.clock.now()
    parts = [Part("predictions", pack(map(seal, answered)), len(answered))]
    if labels := [one.label for one in asked if one.keep and one.label is not None]:
        parts.append(Part("labels", pack(map(seal, labels)), len(labels)))
    ws.inbox.accept(ws.name, parts, now)
    return told


def _scores(ws: Workspace, model: Model, asked: list[Prediction]) -> Floats:
    """(n,) or (n, k); one row goes past Arrow, which costs more than the model."""
    if len(asked) == 1:
        return model.predict_row(asked[0].features)
    fields = [(field.name.removeprefix(FEATURE), field.type) for field in feature_fields(ws.spec)]
    columns = {name: pa.array([p.features.get(name) for p in asked], kind) for name, kind in fields}
    return model.predict(pa.table(columns))


def _told(serving: Serving, id: str, row: Any) -> Answer:
    version, manifest = serving.version.id, serving.model.manifest
    if manifest.task != "multiclass":
        return Answer(id=id, model_version=version, score=float(row))
    scores = {str(name): float(p) for name, p in zip(manifest.classes, row, strict=True)}
    best = max(scores, key=scores.__getitem__)
    return Answer(id=id, model_version=version, scores=scores, output=best)
