"""`whorl.__all__` is what there is, and each of its names is explained in README or docs."""

import re
from pathlib import Path

import pytest

import whorl

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", whorl.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(whorl, name) is not None


@pytest.mark.parametrize("name", whorl.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    mentioned = re.compile(rf"\bwhorl\.{re.escape(name)}\b")
    assert any(mentioned.search(page.read_text(encoding="utf-8")) for page in PAGES)


@pytest.mark.parametrize("verb", [name for name in vars(whorl.Flywheel) if not name.startswith("_")])
def test_a_verb_is_documented(verb: str) -> None:
    verbs = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").partition("## Verbs")[2]
    assert re.search(rf"^\| .*`{verb}[(`]", verbs, re.MULTILINE)


def test_every_lazy_name_is_public_and_the_other_way_round() -> None:
    assert sorted(whorl._HOMES) == sorted(whorl.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        whorl.opne  # noqa: B018
