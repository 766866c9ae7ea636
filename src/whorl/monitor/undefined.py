"""Why a period has no figure, in a sentence."""

from whorl.monitor.quality import PeriodQuality


def why_undefined(period: PeriodQuality, least: int) -> str | None:
    """None where it has one; `least`: the rows that `[monitor] min_rows` asks for."""
    if period.value is not None:
        return None
    if period.rows < least:
        return period.waiting or f"Judged rows: {period.rows:,}; [monitor] min_rows asks for {least:,}."
    if period.notes:
        return period.notes[0]
    return "The metric is undefined on these rows: they are of one class, or a function of your own gave no number."
