"""What a replay means, in words: ahead or not, of what, at what cost, and whether it is worth it."""

from typing import Any

from whorl.replay.metric_names import metric_title

WORDS = {
    "static": "a model that is never retrained",
    "all": "retraining on every known label",
    "random": "the same number of labels drawn at random",
}


def sentence(report: dict[str, Any]) -> str:
    """Two or three sentences for a person who decides whether to run this flywheel."""
    arms, ours = report["arms"], report["arms"][report["flywheel"]]
    found = ours["overall"][report["metric"]]
    parts = [f"{metric_title(report['metric'])} of the flywheel: {_figures(found)}."]
    parts += [_against(name, one) for name, one in report["comparisons"].items()]
    share = _label_share(arms, ours)
    if share is not None:
        parts.append(
            f"It used {ours['labels_used']:,} labels after the first day, {share:.0%} of what 'all' used."
        )
    parts.append(_worth(report))
    return " ".join(parts)


def _against(name: str, difference: dict[str, Any]) -> str:
    what = WORDS.get(name, f"'{name}'")
    low, high, value = difference["low"], difference["high"], difference["value"]
    if value is None or low is None:
        return f"Against {what} nothing can be said."
    if low > 0:
        return f"It beats {what} by {value:.4f} [{low:.4f}, {high:.4f}]."
    if high < 0:
        return f"It loses to {what} by {-value:.4f} [{-high:.4f}, {-low:.4f}]."
    return f"It cannot be told from {what} ({value:+.4f} [{low:+.4f}, {high:+.4f}])."


def _label_share(arms: dict[str, Any], ours: dict[str, Any]) -> float | None:
    used = arms.get("all", {}).get("labels_used")
    return ours["labels_used"] / used if used else None


def _worth(report: dict[str, Any]) -> str:
    static = report["comparisons"].get("static")
    if static is None or static["low"] is None:
        return ""
    if static["high"] < 0:
        return "On this history a flywheel does harm: leave the model as it is, and look at labels and delays first."
    ahead_of_us = [name for name in ("all", "random") if _loses(report["comparisons"].get(name))]
    if static["low"] <= 0 and not ahead_of_us:
        return "On this history it is not worth it: the model that was never retrained did as well."
    if not ahead_of_us:
        return "On this history a flywheel is worth it."
    gain = "is worth it" if static["low"] > 0 else "could be worth it"
    return f"Learning on {gain} on this history, but not this way: {_advice(report, ahead_of_us)}"


def _loses(difference: dict[str, Any] | None) -> bool:
    return difference is not None and difference["high"] is not None and difference["high"] < 0


def _advice(report: dict[str, Any], ahead_of_us: list[str]) -> str:
    """What to change, by who was ahead; what the gates kept back comes first, for the baselines have none."""
    decisions = [period["decision"] for period in report["arms"][report["flywheel"]]["periods"][1:]]
    kept_back = sum(decision in ("hold", "reject") for decision in decisions)
    parts = []
    if kept_back:
        parts.append(
            f"the gates kept back {kept_back} of {len(decisions)} challengers (more holdout lets them see more)"
        )
    if "random" in ahead_of_us:
        parts.append("a draw at random chose no worse ([curate] random_share)")
    elif "all" in ahead_of_us:
        parts.append("more labels would help ([curate] budget)")
    return "; ".join(parts) + "."


def _figures(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "undefined"
    if found["low"] is None:
        return f"{found['value']:.4f}"
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"
