"""What the patterns at the door find of personal data, by type, beside Presidio's own recognizers, and what a text costs.

Presidio's synthetic sentences (`pii_presidio_synthetic`). The patterns were tuned on sentences whose template has an even
number; everything here is counted on those with odd numbers. A span counts as found when one of its type overlaps it.
Presidio runs in an environment of its own, with its recognizers called one by one: no pipeline, so no names and no context.
"""

import gzip
import json
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

from report import Figure, data_folder, options, report

TYPES = {
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
    "US_SSN": "ssn",
}
Found = tuple[int, int, str]
Find = Callable[[str], Iterable[Found]]


def sentences(folder: Path) -> list[tuple[str, list[Found]]]:
    """Text and its true spans, of the templates that nothing was tuned on."""
    kept = []
    for file in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["template_id"] % 2:
                    spans = [
                        (one["start_position"], one["end_position"], TYPES[one["entity_type"]])
                        for one in row["spans"]
                        if one["entity_type"] in TYPES
                    ]
                    kept.append((row["full_text"], spans))
    return kept


def counted(found: list[list[Found]], true: list[list[Found]]) -> dict[str, tuple[float, float, float, int]]:
    """Precision, recall, F1 and true spans by type; `all` over the types together."""
    hits, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for ours, theirs in zip(found, true, strict=True):
        for span in theirs:
            (hits if any(map(span_touches(span), ours)) else missed)[span[2]] += 1
        for span in ours:
            if not any(map(span_touches(span), theirs)):
                wrong[span[2]] += 1
    for count in (hits, wrong, missed):
        count["all"] = count.total()
    return {kind: _scores(hits[kind], wrong[kind], missed[kind]) for kind in (*TYPES.values(), "all")}


def span_touches(span: Found) -> Callable[[Found], bool]:
    return lambda other: span[2] == other[2] and span[0] < other[1] and other[0] < span[1]


def _scores(hits: int, wrong: int, missed: int) -> tuple[float, float, float, int]:
    nan = float("nan")
    precision = hits / (hits + wrong) if hits + wrong else nan
    recall = hits / (hits + missed) if hits + missed else nan
    return (
        precision,
        recall,
        2 * hits / (2 * hits + wrong + missed) if hits + wrong + missed else nan,
        hits + missed,
    )


def timed(find: Find, texts: list[str], rounds: int) -> tuple[list[list[Found]], float]:
    """What is found, and processor time a text in microseconds: the median of the rounds, after one that warms up."""
    found = [list(find(text)) for text in texts]
    took = []
    for _ in range(rounds):
        began = process_time()
        for text in texts:
            find(text)
        took.append(1e6 * (process_time() - began) / len(texts))
    return found, median(took)


def presidio_finder() -> Find:
    """Presidio's recognizers of the same types; runs in the peer's environment."""
    import tldextract
    from presidio_analyzer import predefined_recognizers as known

    # Its list of domains would be fetched from the network; the packaged one serves.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    recognizers = [
        known.CreditCardRecognizer(), known.IbanRecognizer(), known.EmailRecognizer(), known.PhoneRecognizer(),
        known.IpRecognizer(), known.UsSsnRecognizer(),
    ]  # fmt: skip

    def find(text: str) -> list[Found]:
        return [
            (one.start, one.end, TYPES[one.entity_type])
            for recognizer in recognizers
            for one in recognizer.analyze(text, recognizer.supported_entities, None) or []
            if one.entity_type in TYPES and one.score >= LEAST_SCORE
        ]

    return find


# Its weak guesses (any nine digits as a social security number) score 0.05 and wait for context; they would only cost precision.
LEAST_SCORE = 0.3


def as_peer(file: Path) -> None:
    """The peer's half of the benchmark: texts in, spans and time out, both as JSON."""
    asked = json.loads(file.read_text(encoding="utf-8"))
    found, us = timed(presidio_finder(), asked["texts"], asked["rounds"])
    file.write_text(json.dumps({"found": found, "us": us}), encoding="utf-8")


def of_presidio(texts: list[str], rounds: int) -> tuple[list[list[Found]], float]:
    """Make an environment, install Presidio into it, let it find."""
    with TemporaryDirectory(prefix="whorl-presidio-") as place:
        folder = Path(place)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "presidio-analyzer"], check=True)
        work = folder / "work.json"
        work.write_text(json.dumps({"texts": texts, "rounds": rounds}), encoding="utf-8")
        subprocess.run([python, __file__, "--peer", str(work)], check=True)
        answer = json.loads(work.read_text(encoding="utf-8"))
    return [[(start, end, kind) for start, end, kind in spans] for spans in answer["found"]], answer["us"]


def main() -> None:
    from whorl.capture.scrub.patterns import personal
    from whorl.spec.knobs import Personal

    chosen = options(__doc__)
    rows = sentences(data_folder("pii_presidio_synthetic"))
    rows = rows[::8] if chosen.quick else rows
    texts, true = [text for text, _ in rows], [spans for _, spans in rows]
    rounds = 1 if chosen.quick else 5
    kinds: list[Personal] = ["card", "iban", "email", "phone", "ip", "ssn"]
    ours, our_us = timed(lambda text: personal(text, kinds), texts, rounds)
    theirs, their_us = of_presidio(texts, rounds)
    all_us = timed(personal, texts, rounds)[1]
    scored, peer = counted([[tuple(span) for span in spans] for spans in ours], true), counted(theirs, true)
    figures = []
    for kind, (precision, recall, f1, n) in scored.items():
        for name, mine, other in zip(
            ("precision", "recall", "F1"), (precision, recall, f1), peer[kind], strict=False
        ):
            figures.append(Figure(f"{kind}: {name} ({n} true)", mine, other=other))
    figures.append(Figure("processor microseconds a text", our_us, other=their_us))
    figures.append(Figure("processor microseconds a text, with keys and tokens", all_us))
    report(
        f"Personal data in {len(texts):,} sentences of templates that nothing was tuned on: ours beside Presidio's recognizers",
        figures,
        chosen.json,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        as_peer(Path(sys.argv[2]))
    else:
        main()
