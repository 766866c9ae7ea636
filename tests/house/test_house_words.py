"""What no file of the repository holds: places of one machine, addresses of package registries, unfinished work."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written in pieces, so that this file passes its own check.
PLACES = re.compile(r"/wo" r"rk/|/tm" r"p/whorl|/ro" r"ot/|/ho" r"me/[a-z]")
REGISTRIES = re.compile(r"py" r"pi\.|python" r"hosted|conda\." r"anaconda|regis" r"try\.npm|--index" r"-url")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NotImpl" r"ementedError)\b")
# uv writes requirements without an address only when it is told so.
ALLOWED = {"Makefile": {"--no-emit-index-url"}}


def tracked() -> list[Path]:
    """Every text file that is, or is about to be, part of the repository."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line: what` for each hit."""
    hits = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        hits += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(lines, start=1)
            if pattern.search(line) and not any(word in line for word in ALLOWED.get(path.name, ()))
        ]
    return hits


def test_no_place_of_one_machine() -> None:
    assert found(PLACES, tracked()) == []


def test_no_address_of_a_registry() -> None:
    assert found(REGISTRIES, tracked()) == []


def test_nothing_unfinished_in_the_product() -> None:
    assert found(UNFINISHED, [path for path in tracked() if path.is_relative_to(ROOT / "src")]) == []


@pytest.mark.parametrize(
    ("pattern", "line"), [(PLACES, "/wo" "rk/main/x"), (REGISTRIES, "https://py" "pi.org/simple"), (UNFINISHED, "# TO" "DO later")]
)  # fmt: skip
def test_each_pattern_bites(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)
