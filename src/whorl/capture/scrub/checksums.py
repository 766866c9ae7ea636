"""Checks that numbers of people carry in themselves: what passes them is hardly ever something else."""

# Digits in an IBAN by country (SWIFT IBAN registry, release 99).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others, as on payment cards.

    Source: ISO/IEC 7812-1, annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_DOUBLED[n] for n in numbers[1::2])) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether digits are a card's number: an issuer's prefix, one of its lengths, and Luhn.

    >>> is_card("4111111111111111"), is_card("1111111111111117")
    (True, False)
    """
    return len(digits) in _lengths(digits) and luhn(digits)


def mod97(iban: str) -> bool:
    """Whether the two check digits of an IBAN (without spaces) fit the rest.

    Source: ISO 13616-1, ISO 7064 (MOD 97-10).

    >>> mod97("GB82WEST12345698765432"), mod97("GB83WEST12345698765432")
    (True, False)
    """
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def is_ssn(area: str, group: str, serial: str) -> bool:
    """Whether the parts of a US social security number could have been issued.

    >>> is_ssn("219", "09", "9999"), is_ssn("666", "09", "9999"), is_ssn("912", "09", "9999")
    (True, False, False)
    """
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _lengths(digits: str) -> range | tuple[int, ...]:
    """Lengths of the numbers that an issuer gives; none where the prefix is nobody's."""
    two, four = int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return (16,)
    if two in (34, 37) or four in (1800, 2131):
        return (15,)
    if two in (36, 38, 39) or 3000 <= four <= 3059 or four == 3095:
        return (14, 16)
    if two == 35:
        return range(16, 20)
    if digits[0] == "6" or two in (50, 56, 57, 58):
        # Discover, UnionPay, RuPay and Maestro share these.
        return range(12, 20)
    return ()
