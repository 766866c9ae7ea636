"""Numbers and addresses of people in free text, found by format and checksum: no model, microseconds a text.

What has no check in it (phone numbers) is told by its shape, or by a word beside it. Names and places are not found here:
that takes a model, see `presidio.py`. Every repetition is bounded, so that no text makes a search slow.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from whorl.capture.scrub.checksums import IBAN_LENGTHS, is_card, is_ssn, mod97
from whorl.capture.scrub.phones import phones
from whorl.capture.scrub.secret_patterns import secrets
from whorl.spec.knobs import Personal

Places = Iterator[tuple[int, int]]

# A search is quick when it begins with a digit: what must not stand before it is asked after that digit.
_DIGITS = re.compile(r"\d(?:\D{0,3}\d){5}")
_GAP = r"[ .\u00a0\u2010-\u2015-]"
_CARD = re.compile(
    rf"\d(?<!\d\d)(?<!\d\.\d)(?:\d{{11,18}}|\d{{3}}(?:{_GAP}\d{{4}}){{2}}{_GAP}\d{{1,7}}|\d{{3}}{_GAP}\d{{6}}{_GAP}\d{{4,5}})(?!\d)"
)
_IBAN = re.compile(r"\d(?<=[A-Za-z]{2}\d)(?<![A-Za-z0-9][A-Za-z]{2}\d)\d(?=[ -]?[A-Za-z0-9])")
_AT = re.compile("@|\uff20|%40")
_LOCAL = re.compile(r"""[\w.!#$&'*+/=?^`{|}~%-]{1,64}$""")
_HOST = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_][\w-]{1,62}")
_IPV4 = re.compile(r"\d(?<![\d.vV]\d)\d{0,2}(?:\.\d{1,3}){3}(?!\d|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)"
    r"(?:[0-9A-Fa-f:]{1,30}:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]{4,39}(?!\.\d))(?![\w:])"
)
_SSN = re.compile(r"(\d(?<![\d-]\d)\d\d)([- ])(\d\d)\2(\d{4})(?![\d-])")


class Span(NamedTuple):
    """A piece of a text, and what it is."""

    start: int
    end: int
    kind: str


def cards(text: str) -> Places:
    """Payment cards: an issuer's prefix, one of its lengths, Luhn."""
    for found in _CARD.finditer(text):
        if is_card(re.sub(r"\D", "", found[0])):
            yield found.span()


def ibans(text: str) -> Places:
    """Bank accounts: the country's length, mod 97. Blocks may be apart."""
    for found in _IBAN.finditer(text):
        start = found.start() - 2
        length = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        taken, end = "", start
        for place in range(start, min(len(text), start + 2 * length)):
            char = text[place]
            if char.isascii() and char.isalnum():
                taken, end = taken + char, place + 1
            elif char not in " -":
                break
            if len(taken) == length:
                break
        closed = end == len(text) or not (text[end].isascii() and text[end].isalnum())
        if length and len(taken) == length and closed and mod97(taken.upper()):
            yield start, end


def emails(text: str) -> Places:
    """Addresses with a host that has a dot; also with %40, as URLs write it."""
    for at in _AT.finditer(text):
        before = _LOCAL.search(text[max(0, at.start() - 64) : at.start()])
        after = _HOST.match(text, at.end())
        if before is not None and after is not None:
            yield at.start() - len(before[0]), after.end()


def addresses(text: str) -> Places:
    """IP addresses of both kinds."""
    if text.count(":") > 1:
        for found in _IPV6.finditer(text):
            if _is(IPv6Address, found[0]):
                yield found.span()
    for found in _IPV4.finditer(text):
        if _is(IPv4Address, found[0]):
            yield found.span()


def ssns(text: str) -> Places:
    """US social security numbers with their gaps, as far as they could have been issued."""
    return (found.span() for found in _SSN.finditer(text) if is_ssn(found[1], found[3], found[4]))


# In this order they claim a place: what has a checksum before what has only a shape.
_FINDERS: dict[Personal, tuple[Callable[[str], Places], bool]] = {
    "key": (secrets, False),
    "email": (emails, False),
    "iban": (ibans, False),
    "card": (cards, True),
    "ip": (addresses, False),
    "ssn": (ssns, True),
    "phone": (phones, True),
}
KINDS: tuple[Personal, ...] = tuple(_FINDERS)


def personal(text: str, kinds: Iterable[Personal] = KINDS) -> list[Span]:
    """What of these kinds a text holds, in its order; no two overlap.

    >>> text = "Card 4111 1111 1111 1111, mail to ann@example.org"
    >>> [(span.kind, text[span.start:span.end]) for span in personal(text)]
    [('card', '4111 1111 1111 1111'), ('email', 'ann@example.org')]
    """
    spans: list[Span] = []
    numbered = _DIGITS.search(text) is not None
    wanted = set(kinds)
    for kind, (find, needs_digits) in _FINDERS.items():
        if kind in wanted and (numbered or not needs_digits):
            for start, end in find(text):
                place = bisect_left(spans, (start,))
                before = place == 0 or spans[place - 1].end <= start
                if before and (place == len(spans) or end <= spans[place].start):
                    spans.insert(place, Span(start, end, kind))
    return spans


def redacted(text: str, spans: Sequence[Span]) -> str:
    """A text with the name of its kind in the place of each span.

    >>> text = "call +44 7700 900123"
    >>> redacted(text, personal(text))
    'call <PHONE>'
    """
    if not spans:
        return text
    parts, done = [], 0
    for start, end, kind in spans:
        parts += [text[done:start], f"<{kind.upper()}>"]
        done = end
    return "".join([*parts, text[done:]])


def _is(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True
