"""Keys, tokens and passwords in text: by their issuers' prefixes, by the word before them, by how random they look.

Every repetition is bounded or follows a fixed head, so that no text makes a search slow.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk)[-_](?:(?:live|test|proj|ant|or|svcacct|admin|lf)[-_])?[\w-]{16,256}"
    r"|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}"
    r"|xox[abeoprs]-[\w-]{10,255}|xapp-[\w-]{10,255}"
    r"|(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}|AIza[\w-]{35}|ya29\.[\w-]{20,512}"
    r"|hf_[A-Za-z0-9]{30,64}|gsk_[A-Za-z0-9]{20,128}|npm_[A-Za-z0-9]{36}|pypi-[\w-]{40,512}|r8_[A-Za-z0-9]{30,64}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,128}|whsec_[A-Za-z0-9+/=]{16,128}|dop_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
    r"|(?:pplx|tvly|lsv2_pt|lsv2_sk|xai|nvapi|key)[-_][A-Za-z0-9_-]{24,128}|AGE-SECRET-KEY-1[A-Z0-9]{58}"
    r"|eyJ[\w-]{8,4096}\.[\w-]{8,8192}(?:\.[\w-]{0,4096})?"
    r")(?![A-Za-z0-9])"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:.{0,20000}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|.*)",
    re.DOTALL,
)
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase)|pwd|secret(?:[_ -]?key)?|(?:api|access|auth|private|client)[_ -]?(?:key|token|secret)|token)"
    r"""["']?\s{0,3}(?:[:=]|\bis\b)\s{0,3}["']?(?P<secret>[^\s"'`,;&<>]{6,256})"""
    r"|\b(?:bearer|basic)\s{1,3}(?P<credentials>[\w.~+/-]{16,4096}=*)"
    r"|[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,128}:(?P<login>[^\s/@]{1,128})@",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9_-]{32,128}(?![A-Za-z0-9+/=_.-])")
_NAMES = ("pass", "pwd", "secret", "token", "key", "bearer", "basic", "://")
_LEAST_LENGTH = 19
_LEAST_BITS = 4.2


def secrets(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each key, token or password.

    >>> text = "use sk-proj-abcdEFGH1234567890xyz or password: hunter22"
    >>> [text[start:end] for start, end in secrets(text)]
    ['hunter22', 'sk-proj-abcdEFGH1234567890xyz']
    """
    lower = text.lower()
    if any(name in lower for name in _NAMES):
        for found in _NAMED.finditer(text):
            group = found.lastgroup or ""
            if group != "secret" or any(not char.isalpha() for char in found[group].rstrip(".!?)")):
                yield found.span(group)
        yield from (found.span() for found in _PEM.finditer(text))
    if max(map(len, text.split()), default=0) >= _LEAST_LENGTH:
        yield from (found.span() for found in _PREFIXED.finditer(text))
        yield from (found.span() for found in _RANDOM.finditer(text) if looks_random(found[0]))


def looks_random(text: str) -> bool:
    """Whether a word has small and capital letters and digits in a mixture that no name has.

    >>> looks_random("q7RfX2mLw9ZbT4kVn8YcP1sDh6GjA3eU"), looks_random("my_Long_identifier_with_words_v10")
    (True, False)
    """
    if not (any(map(str.isdigit, text)) and any(map(str.islower, text)) and any(map(str.isupper, text))):
        return False
    size = len(text)
    bits = -sum(n / size * math.log2(n / size) for n in Counter(text).values())
    digits = sum(map(str.isdigit, text))
    return bits >= _LEAST_BITS and digits >= 3
