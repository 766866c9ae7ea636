"""What the patterns find, what they leave, and that the checksums do what their standards say."""

import re
import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whorl.capture.scrub.checksums import IBAN_LENGTHS, is_card, luhn, mod97
from whorl.capture.scrub.patterns import KINDS, personal, redacted

FOUND = [
    ("card", "4111111111111111"),
    ("card", "4111 1111 1111 1111"),
    ("card", "3782-822463-10005"),
    ("card", "4111\u00a01111\u00a01111\u00a01111"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "de89370400440532013000"),
    ("email", "ann.o'hara+x@mail.example.co.uk"),
    ("email", "ann%40example.org"),
    ("email", "jörg@müller.de"),
    ("phone", "+44 20 7946 0018"),
    ("phone", "(212) 555-0142 x17"),
    ("phone", "02.27.96.63.08"),
    ("phone", "+491701234567"),
    ("ip", "192.0.2.17"),
    ("ip", "2001:db8::8a2e:370:7334"),
    ("ip", "::ffff:192.0.2.128"),
    ("ssn", "219-09-9999"),
    ("key", "sk-proj-abcDEF1234567890abcDEF1234567890"),
    ("key", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
    ("key", "AKIAIOSFODNN7EXAMPLE"),
    ("key", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ("key", "q7RfX2mLw9ZbT4kVn8YcP1sDh6GjA3eU"),
    ("key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"),
]
LEFT = [
    "4111111111111112",
    "GB83 WEST 1234 5698 7654 32",
    "0.4111111111111111",
    "666-12-3456",
    "2023-10-27T10:30:00Z",
    "300.1.2.3 and version 1.2.3",
    "10:30:00",
    "order 781 5991",
    "d41d8cd98f00b204e9800998ecf8427e",
    "123e4567-e89b-12d3-a456-426614174000",
    "call_abcdefghijklmnopqrstuvwx",
    "std::vector<int> a@b",
    "the token is missing",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), FOUND)
def test_it_is_found_whole_among_other_words(kind: str, text: str) -> None:
    assert redacted(f"so {text}, he said", personal(f"so {text}, he said")) == f"so <{kind.upper()}>, he said"


@pytest.mark.parametrize("text", LEFT)
def test_what_only_looks_alike_is_left(text: str) -> None:
    assert personal(f"so {text}, he said") == []


def test_only_the_kinds_that_are_asked_for() -> None:
    text = "ann@example.org, 4111111111111111"
    assert [span.kind for span in personal(text, ["card"])] == ["card"]


@pytest.mark.parametrize(
    "text",
    ['password: "hunter22"', "Authorization: Bearer abcdefghijklmnop1234", "postgres://ann:s3cret@db/x", "api_key=abc123def"],
)  # fmt: skip
def test_what_is_named_a_secret_goes(text: str) -> None:
    assert not re.search("hunter22|abcdefghijklmnop1234|s3cret|abc123def", redacted(text, personal(text)))


@given(st.text(string.digits, min_size=11, max_size=18))
def test_luhn_takes_one_last_digit_and_no_slip(head: str) -> None:
    (check,) = (digit for digit in string.digits if luhn(head + digit))
    whole = head + check
    for place in (0, len(head) // 2, len(head)):
        slipped = str((int(whole[place]) + 1) % 10)
        assert not luhn(whole[:place] + slipped + whole[place + 1 :])


@given(st.from_regex(r"4[0-9]{14}", fullmatch=True), st.sampled_from(["", " ", "-"]))
def test_every_card_is_found_however_it_is_spaced(head: str, gap: str) -> None:
    (number,) = (head + digit for digit in string.digits if luhn(head + digit))
    text = gap.join(number[at : at + 4] for at in range(0, 16, 4))
    assert is_card(number)
    assert redacted(f"my card {text}.", personal(f"my card {text}.", ["card"])) == "my card <CARD>."


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
def test_every_iban_is_found_and_no_slip_is(country: str, data: st.DataObject) -> None:
    size = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text(string.digits + string.ascii_uppercase, min_size=size, max_size=size))
    rest = int("".join(str(int(char, 36)) for char in account + country + "00")) % 97
    iban = f"{country}{98 - rest:02d}{account}"
    assert mod97(iban)
    assert personal(f"to {iban} please", ["iban"])[0][:2] == (3, 3 + len(iban))
    place = data.draw(st.integers(4, len(iban) - 1))
    # Digits weigh one place, letters two: a slip of one unit in either is never a multiple of 97.
    slipped = {"9": "8", "Z": "Y"}.get(iban[place], chr(ord(iban[place]) + 1))
    assert not mod97(iban[:place] + slipped + iban[place + 1 :])


@given(st.text(max_size=300))
def test_spans_are_in_order_and_apart_in_any_text(text: str) -> None:
    spans = personal(text)
    assert all(one.end <= two.start for one, two in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) and span.kind in KINDS for span in spans)
