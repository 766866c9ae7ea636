"""Names, places and what else takes a model to see: Presidio with a spaCy pipeline, the extra `whorl[pii]`.

Nothing is downloaded: a pipeline that is not installed is an error that says how to get it.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from whorl.capture.scrub.patterns import Span
from whorl.errors import SpecError
from whorl.spec.knobs import CaptureSpec

Find = Callable[[str], list[Span]]
_one_at_a_time = threading.Lock()


def presidio_finder(capture: CaptureSpec) -> Find:
    """What finds spans in a text as [capture] says; loading the pipeline takes seconds, once in a process.

    Raises:
        SpecError: Presidio or the pipeline is not installed, or cannot look for what is asked.
    """
    engine = _engine(capture.presidio_model, capture.presidio_language)
    _check(engine.get_supported_entities(language=capture.presidio_language), capture.presidio_entities)

    def find(text: str) -> list[Span]:
        with _one_at_a_time:
            found = engine.analyze(
                text,
                language=capture.presidio_language,
                entities=capture.presidio_entities,
                score_threshold=capture.presidio_score,
            )
        return [Span(one.start, one.end, one.entity_type) for one in found]

    return find


@lru_cache(maxsize=4)
def _engine(model: str, language: str) -> Any:
    try:
        # By name: they are an extra, and have no place in what is checked without it.
        spacy_util = import_module("spacy.util")
        presidio = import_module("presidio_analyzer")
        nlp_engine = import_module("presidio_analyzer.nlp_engine")
        domains: Any = import_module("tldextract.tldextract")
    except ImportError:
        raise SpecError(
            'redact_with = "presidio" needs Presidio, which is not installed.',
            where="capture.redact_with",
            hint=f"pip install 'whorl[pii]', then python -m spacy download {model}.",
        ) from None
    # Its recognizer of addresses would fetch a list of domains from the network; the packaged one serves.
    domains.TLD_EXTRACTOR = domains.TLDExtract(suffix_list_urls=(), cache_dir=None)
    # Presidio would fetch a missing one too.
    if not (spacy_util.is_package(model) or Path(model).exists()):
        raise SpecError(
            f"The spaCy pipeline '{model}' is not installed.",
            where="capture.presidio_model",
            hint=f"python -m spacy download {model}, or name a folder that holds one.",
        )
    named = [{"lang_code": language, "model_name": model}]
    provider = nlp_engine.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": named})
    return presidio.AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[language])


def _check(known: list[str], asked: list[str]) -> None:
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise SpecError(
            f"Presidio does not look for '{unknown[0]}' in this language.",
            where="capture.presidio_entities",
            hint=f"Known: {', '.join(sorted(known))}.",
        )
