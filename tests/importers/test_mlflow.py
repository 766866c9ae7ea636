"""MLflow traces, made by the real tracing API, read straight from the tracking store and from a file."""

import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whorl.capture.importers import mlflow_store
from whorl.capture.importers.exports import ingest_export
from whorl.capture.importers.mlflow_store import ingest_mlflow
from whorl.clock import SimulatedClock
from whorl.errors import SourceError
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

# MLflow's own, by the SQLAlchemy that is installed.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:sqlalchemy.exc.SADeprecationWarning")
CHAT = {"model": "large", "messages": [{"role": "user", "content": "What now?"}]}


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A store with five traces in two experiments; the first is said something about."""
    # MLflow swallows a warning that is an error, and traces nothing.
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
        import mlflow
        from mlflow.entities import AssessmentSource

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(uri)
        ids = []

        @mlflow.trace
        def ask(question: str) -> str:
            mlflow.update_current_trace(
                metadata={"mlflow.trace.user": "u1", "mlflow.trace.session": "s1"}, tags={"workload_id": "hr"}
            )
            with mlflow.start_span("call", span_type="CHAT_MODEL") as span:
                span.set_inputs(CHAT)
                span.set_outputs({"choices": [{"message": {"role": "assistant", "content": "This."}}]})
                span.set_attribute(
                    "mlflow.chat.tokenUsage", {"input_tokens": 30, "output_tokens": 2, "total_tokens": 32}
                )
                span.set_attribute("mlflow.llm.model", "large")
            return f"This, as to {question}"

        for experiment, questions in (("support", "abc"), ("other", "de")):
            mlflow.set_experiment(experiment)
            for question in questions:
                ask(question)
                ids.append(mlflow.get_last_active_trace_id())
        ann = AssessmentSource("HUMAN", "ann")
        thumbs = mlflow.log_feedback(
            trace_id=ids[0], name="thumbs", value=True, source=ann, rationale="Right."
        )
        mlflow.override_feedback(trace_id=ids[0], assessment_id=thumbs.assessment_id, value=False, source=ann)
        mlflow.log_feedback(
            trace_id=ids[0], name="tone", value=0.8, source=AssessmentSource("LLM_JUDGE", "judge-1"),
        )  # fmt: skip
        mlflow.log_expectation(trace_id=ids[0], name="expected_response", value="That.", source=ann)
        mlflow.log_expectation(trace_id=ids[0], name="facts", value=["x", "y"], source=ann)
        yield uri, ids
        mlflow.set_tracking_uri(before)


@pytest.fixture
def store(made_store: tuple[str, list[str]], clock: SimulatedClock) -> tuple[str, list[str]]:
    """The clock stands after the traces were made, which the library stamps by the machine's."""
    import time
    from datetime import UTC, datetime

    clock.move_to(datetime.fromtimestamp(time.time(), UTC))
    return made_store


def test_a_trace_is_a_prediction_with_its_steps(ws: Workspace, store: Any, rows: Any) -> None:
    uri, ids = store
    report = ingest_mlflow(ws, uri, ["support"])
    assert report.refused == 0
    found = {row["id"]: row for row in rows("predictions")}
    assert set(found) == set(ids[:3])
    row = found[ids[0]]
    assert row["messages"] == '[{"role":"user","content":"a"}]'
    assert row["output"] == "This, as to a"
    assert (row["group_id"], row["session_id"], row["model_version"]) == ("u1", "s1", "large")
    assert (row["input_tokens"], row["output_tokens"], row["f_workload_id"]) == (30, 2, "hr")
    assert row["latency_ms"] >= 0
    steps = [span for span in rows("spans") if span["trace_id"] == ids[0]]
    assert [span["name"] for span in steps] == ["ask", "call"]
    assert steps[1]["parent_id"] == steps[0]["id"]
    assert steps[0]["prediction_id"] == ids[0]
    assert '"What now?"' in steps[1]["attributes"]


def test_assessments_are_feedback_and_expectations_labels(ws: Workspace, store: Any, rows: Any) -> None:
    uri, ids = store
    report = ingest_mlflow(ws, uri)
    said = {(row["name"], row["kind"], row["number"], row["source"]) for row in rows("feedback")}
    assert said == {("thumbs", "HUMAN", 0.0, "ann"), ("tone", "LLM_JUDGE", 0.8, "judge-1")}
    assert {row["prediction_id"] for row in rows("feedback")} == {ids[0]}
    assert [row["value"] for row in rows("labels")] == ['"That."', '["x","y"]']
    assert report.labels == 2
    assert any("--truth" in note for note in report.notes)


def test_the_truth_is_the_expectation_that_is_named(ws: Workspace, store: Any, rows: Any) -> None:
    ingest_mlflow(ws, store[0], truth="expected_response")
    assert [row["value"] for row in rows("labels")] == ['"That."']
    assert {row["name"] for row in rows("feedback")} == {"thumbs", "tone", "facts"}


def test_a_metric_can_be_the_truth(ws: Workspace, store: Any, rows: Any) -> None:
    ingest_mlflow(ws, store[0], truth="tone")
    assert [row["value"] for row in rows("labels")] == ["0.8"]


def test_a_later_run_adds_what_came_since(ws: Workspace, store: Any, rows: Any) -> None:
    import mlflow
    from mlflow.entities import Feedback

    uri, ids = store
    first = ingest_mlflow(ws, uri)
    shares: list[float] = []
    again = ingest_mlflow(ws, uri, progress=shares.append)
    assert (again.accepted, again.already, shares) == (0, True, [1.0])
    said = mlflow.log_feedback(trace_id=ids[4], name="thumbs", value=True)
    try:
        assert ingest_mlflow(ws, uri).accepted == 1
        edited = Feedback(name="thumbs", value=False)
        mlflow.update_assessment(trace_id=ids[4], assessment_id=said.assessment_id, assessment=edited)
        assert ingest_mlflow(ws, uri).accepted == 1
        assert [row["number"] for row in rows("feedback") if row["prediction_id"] == ids[4]] == [1.0, 0.0]
    finally:
        mlflow.delete_assessment(trace_id=ids[4], assessment_id=said.assessment_id)
    assert len(rows("predictions")) == 5
    assert first.accepted == 5 + 10 + 2 + 2


def test_assessments_of_every_kind(ws: Workspace, store: Any, rows: Any) -> None:
    import mlflow
    from mlflow.entities import AssessmentError, AssessmentSource

    uri, ids = store
    made = [
        mlflow.log_feedback(
            trace_id=ids[3], name="nobody", value=1, source=AssessmentSource("SOURCE_TYPE_UNSPECIFIED", "x")
        ),
        mlflow.log_feedback(trace_id=ids[3], name="quality", value={"clarity": 0.9}),
        mlflow.log_feedback(
            trace_id=ids[3], name="failed", error=AssessmentError("RATE_LIMIT", "Too many requests.")
        ),
    ]
    try:
        assert ingest_mlflow(ws, uri, ["other"]).refused == 0
        found = {row["name"]: row for row in rows("feedback")}
        assert (found["nobody"]["kind"], found["quality"]["value"]) == ("CODE", '{"clarity":0.9}')
        assert found["failed"]["value"] is None
        assert "RATE_LIMIT" in found["failed"]["extra"]
    finally:
        for one in made:
            mlflow.delete_assessment(trace_id=ids[3], assessment_id=one.assessment_id)


def test_an_expectation_that_the_task_cannot_take_is_listed(
    tmp_path: Path, store: Any, clock: SimulatedClock
) -> None:
    """The trace and what else was said of it stay."""
    import mlflow

    uri, ids = store
    right = mlflow.log_expectation(trace_id=ids[3], name="correct", value=True)
    try:
        spec = parse_spec('name = "right"\ntask = "binary"\n[train]\ntrainer = "external"\n')
        with open_workspace(spec, tmp_path / "binary", clock=clock) as binary:
            report = ingest_mlflow(binary, uri)
            labels = binary.engine.query(f"SELECT * FROM {binary.lake.relation('labels')}").to_pylist()
        assert [(row["prediction_id"], row["value"]) for row in labels] == [(ids[3], True)]
        assert [one.code for one in report.rejects] == ["label", "label"]
    finally:
        mlflow.delete_assessment(trace_id=ids[3], assessment_id=right.assessment_id)


def test_it_goes_on_where_it_was_killed(
    ws: Workspace, store: Any, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, _ = store
    monkeypatch.setattr(mlflow_store, "PAGE", 2)
    real, calls = ws.lake.append, []

    def failing(table: Any, *args: Any, **kwargs: Any) -> bool:
        calls.append(table)
        if len(calls) == 6:
            raise OSError("pulled the plug")
        return real(table, *args, **kwargs)

    with monkeypatch.context() as broken:
        broken.setattr(ws.lake, "append", failing)
        with pytest.raises(OSError, match="plug"):
            ingest_mlflow(ws, uri)
    assert 0 < len(rows("predictions")) < 5
    report = ingest_mlflow(ws, uri)
    assert any("in the lake already" in note for note in report.notes)
    for table, count in (("predictions", 5), ("spans", 10), ("feedback", 2), ("labels", 2)):
        assert len({(row["id"], row.get("trace_id")) for row in rows(table)}) == len(rows(table)) == count


def test_only_traces_since_a_time(ws: Workspace, store: Any, clock: SimulatedClock) -> None:
    assert ingest_mlflow(ws, store[0], since=clock.now()).accepted == 0


def test_traces_that_were_written_to_a_file(ws: Workspace, store: Any, lines: Any, rows: Any) -> None:
    from mlflow import MlflowClient

    uri, ids = store
    client = MlflowClient(tracking_uri=uri)
    traces = [client.get_trace(one).to_dict() for one in ids]
    traces[1]["info"]["state"] = "IN_PROGRESS"
    report = ingest_export(ws, lines(*traces), "mlflow")
    assert len(rows("predictions")) == 4
    assert "1 trace(s) are still in progress; they come with a later run." in report.notes
    assert ingest_mlflow(ws, uri).accepted == 1 + 2


def test_what_cannot_be_read(ws: Workspace, store: Any, tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path / 'none.db'}"
    with pytest.raises(SourceError, match="no such database"):
        ingest_mlflow(ws, missing)
    assert not os.path.exists(tmp_path / "none.db")
    with pytest.raises(SourceError, match="Did you mean 'support'"):
        ingest_mlflow(ws, store[0], ["suport"])
    with pytest.raises(SourceError, match="no tracking URI"):
        ingest_mlflow(ws, "nonsense")
    (tmp_path / "text.db").write_text("no database, whatever it is called")
    with pytest.raises(SourceError, match="MLflow cannot read it"):
        ingest_mlflow(ws, f"sqlite:///{tmp_path / 'text.db'}")
