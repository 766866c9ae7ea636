"""Presidio beside our patterns, with a pipeline that is made here: a model cannot be fetched in a test."""

from pathlib import Path
from typing import Any

import pytest

from whorl.capture.scrub import presidio
from whorl.capture.scrub.scrubber import scrubber_of
from whorl.errors import SpecError
from whorl.spec import Spec, parse_spec


def spec_with(model: str, entities: str = '"PERSON", "URL"') -> Spec:
    return parse_spec(
        'name = "f"\ntask = "binary"\n[capture]\nredact = ["note"]\nredact_with = "presidio"\n'
        f'presidio_model = "{model}"\npresidio_entities = [{entities}]'
    )


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    presidio._engine.cache_clear()
    monkeypatch.setattr(presidio, "import_module", missing)
    with pytest.raises(SpecError, match="not installed") as caught:
        scrubber_of(spec_with("en_core_web_lg"))
    assert "pip install 'whorl[pii]'" in caught.value.hint


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spaCy pipeline without a model, which knows one person."""
    spacy: Any = pytest.importorskip("spacy", reason="Needs whorl[pii].")
    pytest.importorskip("presidio_analyzer", reason="Needs whorl[pii].")
    blank = spacy.blank("en")
    blank.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ann Lee"}])
    folder: Path = tmp_path_factory.mktemp("pipeline")
    blank.to_disk(folder)
    return str(folder)


def test_names_go_beside_what_the_patterns_find(pipeline: str) -> None:
    door = scrubber_of(spec_with(pipeline, '"PERSON", "URL", "EMAIL_ADDRESS"'))
    assert door is not None
    note = "I am Ann Lee, ann@example.org, see www.example.org"
    assert door.record({"note": note, "other": "Ann Lee"}) == {
        "note": "I am <PERSON>, <EMAIL>, see <URL>", "other": "Ann Lee"
    }  # fmt: skip


def test_a_pipeline_that_is_not_there_is_not_fetched(pipeline: str) -> None:
    assert pipeline
    with pytest.raises(SpecError, match="not installed") as caught:
        scrubber_of(spec_with("en_core_web_lg"))
    assert "spacy download en_core_web_lg" in caught.value.hint


def test_an_entity_that_nobody_looks_for_is_refused(pipeline: str) -> None:
    with pytest.raises(SpecError, match="does not look for 'PERSN'"):
        scrubber_of(spec_with(pipeline, '"PERSN"'))
