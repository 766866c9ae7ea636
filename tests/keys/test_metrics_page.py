"""`/metrics`: what Prometheus would read, by a parser that accepts nothing that the format does not allow."""

import math
import re
from typing import Any, NamedTuple

import pytest
from litestar.testing import TestClient

from whorl.api.metrics import exposition
from whorl.capture.flush import Moved
from whorl.records import Accepted, Refusal
from whorl.serve.meter import HISTOGRAMS, Family, Meter, Sample
from whorl.serve.service import Service

LOCAL = {"Host": "127.0.0.1"}
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
LINE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|NaN|[+-]Inf)")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Read(NamedTuple):
    types: dict[str, str]
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]


def read(text: str) -> Read:
    """The exposition, strictly: HELP then TYPE then all samples of a name, each series once, histograms whole."""
    types: dict[str, str] = {}
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    family, helped = "", ""
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped = line.split(" ")[2]
            assert helped not in types, f"{helped} comes twice"
            assert re.fullmatch(rf"# HELP {NAME} (?:[^\\]|\\\\|\\n)+", line), line
        elif line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family == helped, line
            types[family] = kind
        else:
            match = LINE.fullmatch(line)
            assert match, line
            name = match[1]
            assert name in {family + suffix for suffix in SUFFIXES[types[family]]}, line
            labels = re.findall(LABEL, match[2] or "")
            assert len({label for label, _ in labels}) == len(labels), line
            key = name, frozenset((label, _plain(value)) for label, value in labels)
            assert key not in values, line
            values[key] = float(match[match.lastindex or 0])
    _check_histograms(types, values)
    return Read(types, values)


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)


def _check_histograms(types: dict[str, str], values: Any) -> None:
    for family in (name for name, kind in types.items() if kind == "histogram"):
        series: dict[Any, dict[float, float]] = {}
        for (name, labels), value in values.items():
            if name == f"{family}_bucket":
                rest = frozenset(pair for pair in labels if pair[0] != "le")
                series.setdefault(rest, {})[float(dict(labels)["le"])] = value
        assert series, family
        for rest, buckets in series.items():
            bounds = sorted(buckets)
            assert bounds[-1] == math.inf
            counts = [buckets[bound] for bound in bounds]
            assert counts == sorted(counts), "each bucket holds those below it"
            assert values[f"{family}_count", rest] == counts[-1]
            assert (f"{family}_sum", rest) in values


def test_the_parser_itself_refuses_what_is_wrong() -> None:
    head = "# HELP a b\n# TYPE a gauge\n"
    assert read(f'{head}a{{x="y"}} 1\n').value("a", x="y") == 1
    for wrong in ("a 1", "a{x=y} 1\n", 'a{x="y" } 1\n', "a one\n", "b 1\n", 'a{x="\\y"} 1\n', 'a{x="1",x="2"} 1\n', "a 1\na 2\n"):  # fmt: skip
        with pytest.raises((AssertionError, KeyError)):
            read(head + wrong)
    with pytest.raises(AssertionError):
        read(
            '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n'
        )


def test_labels_and_numbers_come_through_as_they_are() -> None:
    strange = 'back\\slash "quoted"\nline, } {'
    samples = [Sample("", {"at": strange}, 1.5), Sample("", {"at": "plain"}, 3e22), Sample("", {}, 0.0000001)]
    found = read(
        exposition([Family("a", "gauge", "help\\ with\nlines", samples), Family("b", "counter", "none", [])])
    )
    assert found.value("a", at=strange) == 1.5
    assert found.value("a", at="plain") == 3e22
    assert found.value("a") == 1e-7
    assert "b" not in found.types


def test_what_the_meter_counts() -> None:
    meter = Meter()
    meter.accepted("fraud", "labels", 2)
    meter.accepted("fraud", "labels", 3)
    meter.accepted("churn", "labels", 7)
    meter.refused("fraud", "labels", "time", 4)
    meter.duplicates("fraud", "labels", 0)
    meter.without_consent("fraud", "predictions", 1)
    meter.flushed(Moved("fraud", "labels", rows=5, doubles=0, seconds=0.02, waited=[(4, 0.1), (1, 0.5)]))
    meter.flushed(Moved("fraud", "labels", rows=5, doubles=2, seconds=1e6, waited=[(7, 0.2)]))
    meter.turned_away("rate")
    found = read(exposition(meter.families()))
    of = {"flywheel": "fraud", "kind": "labels"}
    assert found.value("whorl_records_accepted_total", **of) == 5
    assert found.value("whorl_records_refused_total", **of, code="time") == 4
    assert found.value("whorl_records_duplicate_total", **of) == 2
    assert found.value("whorl_rows_flushed_total", **of) == 10
    assert found.value("whorl_flush_seconds_bucket", **of, le="0.025") == 1
    assert found.value("whorl_flush_seconds_count", **of) == 2
    assert found.value("whorl_freshness_seconds_bucket", **of, le="0.1") == 4, "a bound is within its bucket"
    assert found.value("whorl_freshness_seconds_count", **of) == 12, "of records, not of batches"
    assert found.value("whorl_freshness_seconds_sum", **of) == pytest.approx(4 * 0.1 + 0.5 + 7 * 0.2)
    assert "churn" not in exposition(meter.families("fraud"))
    assert "rate" in exposition(meter.families("fraud")), "what is of no flywheel is everybody's"


def test_a_batch_is_counted_by_what_became_of_it() -> None:
    meter, of = Meter(), {"flywheel": "fraud", "kind": "labels"}
    refused = [Refusal(index=n, code=code, message="") for n, code in enumerate(("time", "time", "id"))]
    answer = Accepted(accepted=5, refused=refused, without_consent=2)
    meter.took("fraud", "labels", answer)
    meter.took("fraud", "labels", answer, repeated=True)
    found = read(exposition(meter.families()))
    assert found.value("whorl_records_accepted_total", **of) == 5
    assert found.value("whorl_records_duplicate_total", **of) == 5
    assert found.value("whorl_records_without_consent_total", **of) == 2
    assert found.value("whorl_records_refused_total", **of, code="time") == 2
    assert found.value("whorl_records_refused_total", **of, code="id") == 1


def test_the_bounds_rise() -> None:
    for name, what in HISTOGRAMS.items():
        assert list(what.bounds) == sorted(set(what.bounds)), name


def test_what_a_server_tells(client: TestClient[Any]) -> None:
    rows = [{"id": f"{n}", "time": "2026-01-01T00:00:00Z", "amount": n} for n in range(3)]
    assert client.post("/v1/flywheels/fraud/predictions", json={"records": rows}, headers=LOCAL).is_success
    assert client.get("/v1/flywheels/nobody", headers=LOCAL).status_code == 404
    answer = client.get("/metrics", headers=LOCAL)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = read(answer.text)
    assert found.value("whorl_inbox_records", flywheel="fraud") == 3
    assert found.value("whorl_inbox_bytes", flywheel="fraud") > 0
    assert found.value("whorl_inbox_oldest_seconds", flywheel="fraud") >= 0
    assert found.value("whorl_inbox_records", flywheel="churn") == 0
    assert found.value("whorl_unreadable_records", flywheel="fraud") == 0
    assert found.value("whorl_ready") == 0, "the tasks do not run here"
    route = {"method": "POST", "route": "/v1/flywheels/{name}/predictions"}
    assert found.value("whorl_request_seconds_count", **route, status="202") == 1
    lost = {"method": "GET", "route": "/v1/flywheels/{name}", "status": "404"}
    assert found.value("whorl_request_seconds_count", **lost) == 1
    assert "nobody" not in answer.text, "names that callers make up are no series"


def test_a_key_of_one_flywheel_reads_its_own_figures(
    service: Service, client: TestClient[Any], make_key
) -> None:
    _, headers = make_key("read", flywheel="churn")
    service.meter.accepted("fraud", "labels", 9)
    service.meter.accepted("churn", "labels", 8)
    found = client.get("/metrics", headers=headers)
    assert "fraud" not in found.text
    assert read(found.text).value("whorl_records_accepted_total", flywheel="churn", kind="labels") == 8
    assert client.get("/metrics", headers=LOCAL).status_code == 401
