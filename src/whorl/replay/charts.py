"""A replay's report as charts: how each arm did, what the gates said, what the labels cost and how late they came.

Altair describes, vl-convert draws, both without a network. Colours are told apart by everybody (Okabe and Ito), and arms
differ by dash as well.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import altair as alt
import vl_convert

from whorl.replay.metric_names import metric_name, metric_title

Report = dict[str, Any]
Rows = list[dict[str, Any]]
Layers = alt.LayerChart | alt.FacetChart
Place = Literal["top", "bottom"]

WIDTH = 720
INK, QUIET, GRID = "#222222", "#5f6570", "#e6e8eb"
FONT = "DejaVu Sans, Verdana, Arial, sans-serif"
_ARMS = {"flywheel": "#0072B2", "static": "#6b6b6b", "all": "#D55E00", "random": "#009E73"}
_OTHERS = ("#AA4499", "#882255", "#3b3b98", "#8a6d00")
_DASHES = {"flywheel": [1, 0], "static": [2, 3], "all": [7, 3], "random": [7, 3, 2, 3]}
_DECISIONS = {
    "promote": ("promoted", "#0072B2", "triangle-up"),
    "hold": ("held", "#8c9199", "square"),
    "reject": ("rejected", "#D55E00", "cross"),
}
_CLASSES = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#6b6b6b", "#3b3b98")


def charts(report: Report) -> dict[str, alt.TopLevelMixin]:
    """Every chart that the report has figures for, by name, the most telling first."""
    metric = report["metric"]
    names = list(report["arms"][report["flywheel"]]["overall"])
    made: dict[str, alt.TopLevelMixin] = {"quality": _quality(report, metric), "arms": _arms(report)}
    others = [name for name in names if name != metric]
    if others:
        made["metrics"] = _other_metrics(report, others)
    if any(found.get("within") for found in report["labels"]["delays"].values()):
        made["delays"] = _delays(report["labels"])
    return made


def svg(chart: alt.TopLevelMixin) -> str:
    """A chart as SVG."""
    return str(vl_convert.vegalite_to_svg(_styled(chart)))


def write_png(report: Report, directory: Path) -> list[Path]:
    """Every chart as `<name>.png` in a directory, made when it is not there; twice as fine as a screen."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in charts(report).items():
        path = directory / f"{name}.png"
        path.write_bytes(vl_convert.vegalite_to_png(_styled(chart), scale=2))
        written.append(path)
    return written


def _styled(chart: alt.TopLevelMixin) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict()
    text = {"labelColor": QUIET, "titleColor": QUIET, "labelFont": FONT, "titleFont": FONT}
    spec["config"] = {
        "background": "white",
        "font": FONT,
        "padding": 8,
        "view": {"stroke": None},
        "axis": {**text, "gridColor": GRID, "domainColor": GRID, "tickColor": GRID, "labelFontSize": 11,
                 "titleFontSize": 11, "titleFontWeight": "normal", "labelPadding": 4},
        "legend": {**text, "labelColor": INK, "labelFontSize": 12, "title": None, "symbolSize": 90,
                   "symbolStrokeWidth": 2.5},
        "title": {"font": FONT, "color": INK, "fontSize": 13, "fontWeight": "bold", "anchor": "start",
                  "subtitleFont": FONT, "subtitleColor": QUIET, "subtitleFontSize": 11, "offset": 10},
    }  # fmt: skip
    return spec


def _color(report: Report, legend_at: Place | None = None) -> alt.Color:
    names = list(report["arms"])
    spare = iter(_OTHERS * (1 + len(names) // len(_OTHERS)))
    colors = [_ARMS.get(name) or next(spare) for name in names]
    return alt.Color("arm:N", scale=alt.Scale(domain=names, range=colors), legend=_legend(legend_at))


def _dash(report: Report, legend_at: Place) -> alt.StrokeDash:
    names = list(report["arms"])
    dashes = [_DASHES.get(name, [1, 0]) for name in names]
    return alt.StrokeDash("arm:N", scale=alt.Scale(domain=names, range=dashes), legend=_legend(legend_at))


def _legend(place: Place | None) -> alt.Legend | None:
    """Colour and dash have the same one, so that they become one."""
    if place is None:
        return None
    return alt.Legend(
        orient=place,
        direction="horizontal",
        symbolType="stroke",
        symbolOpacity=1,
        symbolSize=260,
        labelLimit=200,
    )


def _quality(report: Report, metric: str) -> alt.VConcatChart:
    """The deciding metric a period at a time, and below it what the gates said at the period's beginning."""
    better = "higher is better" if report["greater_is_better"] else "lower is better"
    title = alt.TitleParams(
        f"{metric_title(metric)} of each period",
        subtitle=f"{better}; bands are {_level(report)} intervals",
    )
    lines = _lines(report, metric, width=WIDTH, height=270, legend_at="top").properties(title=title)
    decided = _decided(report)
    if not decided:
        return alt.vconcat(lines)
    shown = [name for name in _DECISIONS if any(row["decision"] == _DECISIONS[name][0] for row in decided)]
    words, colors, shapes = ([_DECISIONS[name][part] for name in shown] for part in range(3))
    legend = alt.Legend(orient="bottom", direction="horizontal", symbolStrokeWidth=0)
    gates = (
        alt.Chart(alt.InlineData(values=decided), width=WIDTH, height=26)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=_time_axis(report, axis=None),
            y=alt.Y(
                "row:N", title=None, axis=alt.Axis(ticks=False, domain=False, grid=False, labelPadding=12)
            ),
            shape=alt.Shape("decision:N", scale=alt.Scale(domain=words, range=shapes), legend=legend),
            color=alt.Color("decision:N", scale=alt.Scale(domain=words, range=colors), legend=legend),
        )
    )
    both = alt.vconcat(lines, gates, spacing=6)
    return both.resolve_scale(  # type: ignore[no-any-return]
        color="independent", shape="independent", strokeDash="independent"
    )


def _lines(report: Report, metric: str, *, width: int, height: int, legend_at: Place) -> Layers:
    rows = _periods(report, metric)
    base = alt.Chart(alt.InlineData(values=rows), width=width, height=height)
    x = _time_axis(
        report, axis=alt.Axis(grid=False, title=None, format=_day_format(report), labelOverlap=True)
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=6))
    color = _color(report, legend_at)
    bands = base.mark_area(opacity=0.13).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=color)
    line = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=color, strokeDash=_dash(report, legend_at))
    dots = base.mark_point(filled=True, size=26, opacity=1).encode(x=x, y=y, color=color)
    return alt.layer(bands, line, dots)


def _other_metrics(report: Report, names: Sequence[str]) -> alt.ConcatChart:
    columns = min(3, len(names))
    width = (WIDTH - 56 * (columns - 1)) // columns
    small = [
        _lines(report, name, width=width, height=150, legend_at="bottom").properties(
            title=alt.TitleParams(metric_name(name), frame="group")
        )
        for name in names
    ]
    return alt.concat(*small, columns=columns, spacing=56, bounds="flush")


def _arms(report: Report) -> alt.HConcatChart:
    """What each arm reached over all periods, and at which price in labels."""
    metric = report["metric"]
    rows = [
        {
            "arm": name,
            "labels": arm["labels_used"],
            "text": f"{arm['labels_used']:,}",
            **arm["overall"][metric],
        }
        for name, arm in report["arms"].items()
    ]
    data, height = alt.InlineData(values=rows), 34 * len(rows)
    color = _color(report)
    y = alt.Y("arm:N", sort=list(report["arms"]), title=None,
              axis=alt.Axis(ticks=False, domain=False, labelFontSize=12, labelColor=INK, labelPadding=10))  # fmt: skip
    x = alt.X(
        "value:Q", title=None, scale=alt.Scale(zero=False, nice=True, padding=12), axis=alt.Axis(tickCount=5)
    )
    base = alt.Chart(data, width=330, height=height, title=f"{metric_name(metric)}, all periods")
    reached = alt.layer(
        base.mark_rule(strokeWidth=2.5).encode(y=y, x=alt.X("low:Q", title=None), x2="high:Q", color=color),
        base.mark_point(filled=True, size=80, opacity=1).encode(y=y, x=x, color=color),
    )
    most = max([row["labels"] for row in rows] + [1])
    bars = alt.Chart(data, width=250, height=height, title="labels used after the first day")
    no_names = alt.Y("arm:N", sort=list(report["arms"]), title=None, axis=None)
    price = alt.layer(
        bars.mark_bar(height=14).encode(
            y=no_names,
            x=alt.X("labels:Q", title=None, axis=None, scale=alt.Scale(domain=[0, most * 1.25])),
            color=color,
        ),
        bars.mark_text(align="left", dx=6, color=INK, fontSize=12).encode(
            y=no_names, x="labels:Q", text="text:N"
        ),
    )
    return alt.hconcat(reached, price, spacing=36)


def _delays(labels: dict[str, Any]) -> Layers:
    """Of the labels that came, the share that had come so many days after the prediction, by class."""
    rows = [
        {"label": name, "days": point["days"], "share": point["share"]}
        for name, found in labels["delays"].items()
        for point in found.get("within", [])
    ]
    names = list(labels["delays"])
    colors = [_CLASSES[place % len(_CLASSES)] for place in range(len(names))]
    title = alt.TitleParams("How late the truth comes", subtitle="share of each class's labels known by then")
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=190, title=title)
    legend = (
        alt.Legend(orient="top", direction="horizontal", symbolType="stroke") if names != ["all"] else None
    )
    ticks = [row["days"] for row in rows if row["label"] == names[0]]
    x = alt.X("days:Q", title="days after the prediction", scale=alt.Scale(type="symlog"),
              axis=alt.Axis(values=ticks, grid=False))  # fmt: skip
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    color = alt.Color("label:N", scale=alt.Scale(domain=names, range=colors), legend=legend)
    return alt.layer(
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=color),
        base.mark_point(filled=True, size=34, opacity=1).encode(x=x, y=y, color=color),
    )


def _periods(report: Report, metric: str) -> Rows:
    """Defined figures only, each in the middle of its period; what is drawn last, and so on top, is our own."""
    return [
        {"arm": name, "at": _middle(period), **{key: found[key] for key in ("value", "low", "high")}}
        for name, arm in reversed(report["arms"].items())
        for period in arm["periods"]
        if (found := period["metrics"][metric])["value"] is not None
    ]


def _decided(report: Report) -> Rows:
    return [
        {"at": period["from"], "decision": _DECISIONS[period["decision"]][0], "row": "gates"}
        for period in report["arms"][report["flywheel"]]["periods"]
        if period["decision"] is not None
    ]


def _time_axis(report: Report, axis: alt.Axis | None) -> alt.X:
    return alt.X("at:T", axis=axis, scale=alt.Scale(type="utc", domain=[report["from"], report["to"]]))


def _middle(period: dict[str, Any]) -> str:
    first, last = datetime.fromisoformat(period["from"]), datetime.fromisoformat(period["to"])
    return (first + (last - first) / 2).isoformat()


def _day_format(report: Report) -> str:
    days = (datetime.fromisoformat(report["to"]) - datetime.fromisoformat(report["from"])).days
    return "%b %Y" if days > 180 else "%d %b"


def _level(report: Report) -> str:
    return f"{report['level']:.0%}"
