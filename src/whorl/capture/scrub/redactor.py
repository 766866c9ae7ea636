"""What takes personal data out of a text, as [capture] says: the patterns always, Presidio where it is asked for."""

from collections.abc import Callable, Iterable

from whorl.capture.scrub.patterns import Span, personal, redacted
from whorl.capture.scrub.presidio import presidio_finder
from whorl.spec.knobs import CaptureSpec

Redact = Callable[[str], str]
# No pattern finds less: a@b.co.
_SHORTEST = 6


def redactor(capture: CaptureSpec) -> Redact:
    """Raises SpecError when Presidio is asked for and cannot be had."""
    kinds = tuple(capture.redact_kinds)
    if capture.redact_with == "patterns":
        return lambda text: text if len(text) < _SHORTEST else redacted(text, personal(text, kinds))
    find = presidio_finder(capture)
    return lambda text: redacted(text, _apart([*personal(text, kinds), *find(text)]))


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order, those that overlap as one, called like the first that was given.

    >>> _apart([Span(5, 9, "phone"), Span(0, 6, "PERSON")])
    [Span(start=0, end=9, kind='phone')]
    """
    apart: list[Span] = []
    for span in spans:
        touching = [one for one in apart if span.start < one.end and one.start < span.end]
        kind = touching[0].kind if touching else span.kind
        ends = [span, *touching]
        whole = Span(min(one.start for one in ends), max(one.end for one in ends), kind)
        apart = [*(one for one in apart if one not in touching), whole]
    return sorted(apart)
