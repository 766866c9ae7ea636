"""docs/spec.md is made of the knobs, and every knob is documented."""

from pathlib import Path

from whorl.spec.reference import reference_page, sections

PAGE = Path(__file__).parents[2] / "docs" / "spec.md"


def test_the_page_is_up_to_date() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == reference_page(), "Write it anew: python -m whorl.spec.reference > docs/spec.md"


def test_every_knob_and_section_has_help() -> None:
    for section in sections():
        assert section.help, section.path
        for knob in section.knobs:
            assert knob.help.endswith((".", "}.")), f"{section.path}.{knob.name}"
