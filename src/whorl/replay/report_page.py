"""A replay's report as one page that stands by itself: no script, nothing loaded, charts inside as SVG."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from whorl.replay.charts import charts, svg
from whorl.replay.metric_names import metric_name

Report = dict[str, Any]
_ALT = {
    "quality": "The deciding metric of each arm in each period, and what the gates said.",
    "arms": "What each arm reached over all periods, and how many labels it used.",
    "metrics": "The other metrics of each arm in each period.",
    "delays": "The share of labels known so many days after their prediction, by class.",
}
_SAYS = {"promote": "promoted", "hold": "held", "reject": "rejected"}


def write_html(report: Report, path: Path) -> None:
    """Write the page; the directory is made when it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_page(report), encoding="utf-8")


def html_page(report: Report) -> str:
    """The page as text."""
    drawn = {name: _own_ids(svg(chart), name) for name, chart in charts(report).items()}
    title = f"Replay of {report['name']}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{report["from"][:10]} to {report["to"][:10]}, a cycle every {report["every_days"]:g} days, '
        f"in simulated time: each label appeared when it became known.</p>",
        f'<p class="meaning">{escape(report["meaning"])}</p>',
        *_figure(drawn, "quality"),
        *_figure(drawn, "arms"),
        "<h2>The arms</h2>",
        *_arms(report),
        *_figure(drawn, "metrics"),
        "<h2>What is known of the truth, and when</h2>",
        *_labels(report["labels"]),
        *_figure(drawn, "delays"),
        "<h2>What the gates said</h2>",
        *_decisions(report),
        *_failures(report),
        *_notes(report),
        "<h2>To play it again</h2>",
        *_table((), [("spec", report["spec_hash"]), ("data", report["data_hash"]), ("seed", report["seed"])]),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style></head>\n'
        f"<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n"
    )


def _figure(drawn: dict[str, str], name: str) -> Iterator[str]:
    if name in drawn:
        yield f'<figure role="img" aria-label="{escape(_ALT[name])}">{drawn[name]}</figure>'


def _own_ids(text: str, name: str) -> str:
    """Several drawings on one page: each refers to its own parts only."""
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _arms(report: Report) -> Iterator[str]:
    names = list(report["arms"][report["flywheel"]]["overall"])
    rows = [
        (name, *(_interval(arm["overall"][metric]) for metric in names), f"{arm['labels_used']:,}",
         f"{arm['rows_trained']:,}", f"{arm['seconds']:.0f}")
        for name, arm in report["arms"].items()
    ]  # fmt: skip
    heads = ("", *(metric_name(name) for name in names), "labels used", "rows trained on", "seconds")
    yield from _table(heads, rows)
    yield (
        '<p class="quiet">Over all periods, with intervals. Labels used: chosen for training after the first day, which '
        f"knew {report['arms'][report['flywheel']]['initial_labels']:,}; the holdout had "
        f"{report['arms'][report['flywheel']]['holdout_labels']:,} by itself.</p>"
    )
    means = [
        (name, *(_figure_of(arm["mean_of_periods"][m]) for m in names))
        for name, arm in report["arms"].items()
    ]
    yield from _table(("mean of periods", *(metric_name(name) for name in names)), means)
    against = [(f"against {name}", _signed(found)) for name, found in report["comparisons"].items()]
    yield from _table(("", f"{metric_name(report['metric'])}: how much better, on the same rows"), against)


def _labels(labels: dict[str, Any]) -> Iterator[str]:
    share = labels["known_share"]
    counts = [("predictions", f"{labels['predictions']:,}"),
              ("labels came for", f"{labels['known']:,}" + (f" ({share:.1%})" if share is not None else ""))]  # fmt: skip
    counts += [
        (name, f"{labels[name]:,}") for name in ("defaulted", "open", "censored", "expired") if labels[name]
    ]
    yield from _table((), counts)
    rows = [
        (name, f"{found['labels']:,}", *(_figure_of(found[key], 1) for key in ("p10", "p50", "p90", "max")))
        for name, found in labels["delays"].items()
    ]
    yield from _table(("label", "came", "10 % within days", "half", "90 %", "the last"), rows)


def _decisions(report: Report) -> Iterator[str]:
    rows = [
        (period["from"][:10], f"{period['rows']:,}", _SAYS.get(period["decision"], "no verdict"),
         period["reason"] or "", ", ".join(f"{one['at'][:10]}: {one['kind']}" for one in period["by_findings"]),
         f"{period['labels_used']:,}", f"{period['rows_trained']:,}")
        for period in report["arms"][report["flywheel"]]["periods"]
    ]  # fmt: skip
    yield from _table(
        ("from", "rows", "decision", "why", "started by findings", "cases", "rows trained on"), rows
    )


def _failures(report: Report) -> Iterator[str]:
    found = [(name, failure) for name, arm in report["arms"].items() for failure in arm["failures"]]
    if found:
        yield "<h2>Cycles that failed</h2>"
        yield from _table(("arm", "what happened"), found)


def _notes(report: Report) -> Iterator[str]:
    if report["notes"]:
        yield "<h2>Notes on the data</h2><ul>"
        yield from (f"<li>{escape(note)}</li>" for note in report["notes"])
        yield "</ul>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    if not rows:
        return
    yield '<div class="wide"><table>'
    if heads:
        yield "<thead><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr></thead>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _interval(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "undefined"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:.3f}"
    # The interval moves to the next line as a whole.
    return f"{found['value']:.3f} [{found['low']:.3f},\N{NO-BREAK SPACE}{found['high']:.3f}]"


def _signed(found: dict[str, Any]) -> str:
    if found["value"] is None or found["low"] is None or found["high"] is None:
        return "undefined"
    return f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def _figure_of(value: float | None, digits: int = 3) -> str:
    return "undefined" if value is None else f"{value:,.{digits}f}"


_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #222; font: 15px/1.5 system-ui, "DejaVu Sans", Arial, sans-serif; }
main { max-width: 820px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0; }
h2 { font-size: 18px; margin: 44px 0 8px; }
.quiet { color: #5f6570; font-size: 13px; margin: 4px 0 12px; }
.meaning { font-size: 17px; border-left: 4px solid #0072b2; padding: 2px 0 2px 16px; margin: 20px 0 28px; }
figure { margin: 20px 0; }
figure svg { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: 8px 0 12px; }
th, td { text-align: left; vertical-align: top; padding: 5px 16px 5px 0; border-bottom: 1px solid #e6e8eb; }
th { font-weight: 600; color: #5f6570; }
td:first-child { white-space: nowrap; }
td:last-child { overflow-wrap: anywhere; }
"""
