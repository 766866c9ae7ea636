"""Telephone numbers. They have no checksum: some shapes are plain, others count only beside a word that says so."""

import re
from collections.abc import Iterator

_EXTENSION = r"(?: ?(?:x|ext\.?|#) ?\d{1,6})?"
_GAP = r"[ .\u00a0\u2010-\u2015/-]"
# Each begins with one of few characters, which makes the search quick; what stands before it is asked after that.
_FIRST = r"[+(\d]"
_BEFORE = rf"{_FIRST}(?<![\w.@/+-]{_FIRST})(?<!\d[ ,:]{_FIRST})"
_AFTER = r"(?![\w@]|[.,:/-]\d)"
_PLAIN = re.compile(
    rf"{_BEFORE}(?:"
    # +44 20 7946 0018, +41 (0)69 979 80 58, 001-668-040-8670, 0049 ...
    rf"(?:(?<=\+){_GAP}?|(?<=0)0(?=[1-9]{_GAP}?\d))\d{{1,3}}(?:{_GAP}?\(0\))?(?:{_GAP}{{0,2}}\(?\d{{1,5}}\)?){{1,6}}"
    # (978) 645-9740, (0)20 7946 0018, (85) 5986-8343
    rf"|(?<=\()\d{{2,5}}\){_GAP}?(?:\d{{2,4}}(?:{_GAP}\d{{2,4}}){{1,3}}|\d{{7}})"
    # 223-087-9502, 833.719.3994
    rf"|(?<=\d)(?:(?<=1){_GAP}\d)?\d\d(?P<gap>{_GAP})\d{{3}}(?P=gap)\d{{4}}"
    # 02.27.96.63.08, 25-62-29-72
    rf"|(?<=\d)\d(?P<pair>[ .-])(?:\d{{2}}(?P=pair)){{2,3}}\d{{2}}"
    # 042 078 6381, 0477 11 28 98, 021-4006034, 02079460018
    rf"|(?<=0)[1-9](?:\d{{0,3}}(?:{_GAP}\d{{2,8}}){{1,4}}|\d{{8,9}})"
    rf"){_EXTENSION}{_AFTER}"
)
_WEAK = re.compile(
    rf"{_BEFORE}(?:(?<=\()\d{{2,5}}\)|(?<=\d)\d{{1,4}})(?:{_GAP}?\d{{2,6}}){{1,4}}{_EXTENSION}{_AFTER}"
)
_WORD = (
    r"(?:(?:tele)?phone|tel|call(?:ed|ing)?|cell|mobile|mob|fax|desk|office|whatsapp|sms|text(?:ed)?|dial|ring|reach|contact"
    r"|answer(?:ing|s)?|messages? to|hotline|telefon|handy|rufnummer|t[ée]l[ée]phone|m[óo]vil|tel[ée]fono|telefoon)"
)
_WORD_BEFORE = re.compile(rf"\b{_WORD}\b[^\d\n]{{0,30}}\n?[^\d\n]{{0,4}}$", re.IGNORECASE)
_WORD_AFTER = re.compile(rf"[ \t(-]{{1,3}}{_WORD}\b", re.IGNORECASE)
_DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0[1-9]|1[0-2])[-/. ](?:0[1-9]|[12]\d|3[01])|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d"
)
_LEAST, _MOST = 7, 15


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each number, its extension included.

    >>> text = "Paid 781 5991 on 2026-01-02; call 781 5991 or +44 20 7946 0018."
    >>> [text[start:end] for start, end in phones(text)]
    ['+44 20 7946 0018', '781 5991']
    """
    for found in _PLAIN.finditer(text):
        if _fits(found[0]):
            yield found.span()
    for found in _WEAK.finditer(text):
        if _fits(found[0]) and _named(text, *found.span()):
            yield found.span()


def _fits(number: str) -> bool:
    """The length of a telephone number, and not a date."""
    digits = sum(map(str.isdigit, re.split("x|e|#", number)[0]))
    return _LEAST <= digits <= _MOST and _DATE.match(number) is None


def _named(text: str, start: int, end: int) -> bool:
    """A word beside it says that it is a telephone number."""
    before = text[max(0, start - 60) : start]
    return _WORD_BEFORE.search(before) is not None or _WORD_AFTER.match(text, end) is not None
