"""A report's page stands by itself, says everything, and survives what a report may hold."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from whorl.cli.replayed import print_replayed
from whorl.replay.charts import charts, svg, write_png
from whorl.replay.report_page import html_page, write_html

VOID = {"meta", "br", "path", "rect", "circle", "line", "use"}


class Reader(HTMLParser):
    """Collects tags, the attributes that load something, the text, and ids; fails on tags that do not pair."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


def test_it_stands_by_itself(report: dict[str, Any]) -> None:
    found = read(html_page(report))
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert all(value.startswith("#") for value in found.loads)
    assert "@import" not in found.text
    assert found.tags.count("svg") == 4
    assert len(found.ids) == len(set(found.ids))


def test_it_says_everything(report: dict[str, Any]) -> None:
    text = read(html_page(report)).text
    for words in ("It is worth it.", "Replay of shop", "0.800 [0.780,", "900 (90.0%)", "cheap <b>", "undefined",
                  "better: hold <&>", "2026-02-01: error_rate_up", "line 3 of a.csv: <script>", "2026-03-01: a leak", "a1", "b2"):  # fmt: skip
        assert words in text, words
    assert text.index("It is worth it.") < text.index("AUC of each period")


def test_charts_have_the_figures(report: dict[str, Any]) -> None:
    drawn = {name: svg(chart) for name, chart in charts(report).items()}
    assert set(drawn) == {"quality", "arms", "metrics", "delays"}
    for words in ("AUC of each period", "promoted", "held", "flywheel", "static"):
        assert words in drawn["quality"], words
    assert "rejected" not in drawn["quality"]
    assert "120" in drawn["arms"]
    assert "log loss" in drawn["metrics"]


@pytest.mark.parametrize("missing", ["delays", "metrics", "gates"])
def test_what_is_not_known_is_not_drawn(report: dict[str, Any], missing: str) -> None:
    if missing == "delays":
        report["labels"]["delays"] = {
            "all": {"labels": 0, "p10": None, "p50": None, "p90": None, "max": None}
        }
        report["labels"]["known_share"] = None
    for arm in report["arms"].values() if missing != "delays" else ():
        for period in arm["periods"]:
            period["decision"] = None
        if missing == "metrics":
            del arm["overall"]["log_loss"]
    found = set(charts(report))
    assert found == {"quality", "arms", "metrics", "delays"} - {missing}
    read(html_page(report))


def test_files(report: dict[str, Any], tmp_path: Path) -> None:
    write_html(report, tmp_path / "deep" / "report.html")
    assert re.match("<!doctype html>", (tmp_path / "deep" / "report.html").read_text(encoding="utf-8"))
    written = write_png(report, tmp_path / "pictures")
    assert {path.name for path in written} == {"quality.png", "arms.png", "metrics.png", "delays.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_the_terminal_says_a_gates_whole_reason(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    print_replayed(report)
    assert "better: hold <&>; more rows" in capsys.readouterr().out
