"""Every setting, error, gate, command, route and rule word has its place in docs, and docs name none that is not there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from cli_page import MARK, commands, reference

from whorl import errors
from whorl.api.app import make_app
from whorl.api.failures import HTTP_CODES, STATUS
from whorl.errors import WhorlError
from whorl.examples.rules import FUNCTIONS, WORDS
from whorl.spec.knobs import GateCheck
from whorl.spec.reference import reference_page, sections
from whorl.stats.metrics.metric import METRICS

DOCS = Path(__file__).parents[2] / "docs"
VERBS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def headed(text: str, level: int = 2) -> set[str]:
    """What stands in backticks in the headings of a level."""
    heads = re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)
    return {name for head in heads for name in re.findall(r"`([^`]+)`", head)}


def error_codes() -> dict[str, type[WhorlError]]:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WhorlError)
    ]
    return {kind.code: kind for kind in kinds if kind is not WhorlError}


def routes() -> set[str]:
    """`GET /v1/flywheels` for each route that the application serves, as its own description has it."""
    paths = make_app(SimpleNamespace(only=None)).openapi_schema.to_schema()["paths"]  # type: ignore[arg-type]
    return {
        f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs if verb.upper() in VERBS
    }


def test_every_knob_is_in_the_spec_page_with_its_help() -> None:
    text = page("spec.md")
    missing = [
        f"{section.path}.{knob.name}"
        for section in sections()
        for knob in section.knobs
        if f"| `{knob.name}` |" not in text or knob.help.replace("|", "\\|") not in text
    ]
    assert missing == []


def test_the_spec_page_is_the_one_that_the_knobs_give() -> None:
    assert page("spec.md") == reference_page()


def test_every_error_has_its_place() -> None:
    assert headed(page("errors.md")) == set(error_codes())


@pytest.mark.parametrize("code", sorted(error_codes()))
def test_an_error_is_in_the_tree_by_name_and_code(code: str) -> None:
    drawn = re.search(rf"── {error_codes()[code].__name__} +{code} ", errors.__doc__ or "")
    assert drawn is not None


def test_an_error_is_told_with_its_class_and_status() -> None:
    told = dict(re.findall(r"^## `(\w+)`\n\n(`\w+`, \d+)\.", page("errors.md"), re.MULTILINE))
    assert told == {code: f"`{kind.__name__}`, {STATUS[code]}" for code, kind in error_codes().items()}


def test_every_code_of_http_alone_is_told() -> None:
    told = page("errors.md").partition("## Over HTTP only")[2]
    assert [
        code for code in {*HTTP_CODES.values(), "internal"} - {*error_codes()} if f"`{code}`" not in told
    ] == []


def test_every_gate_has_its_place() -> None:
    assert headed(page("gates.md")) == set(get_args(GateCheck))


def test_every_metric_is_told() -> None:
    told = page("gates.md")
    assert [name for name in METRICS if f"`{name}`" not in told] == []


def test_the_cli_page_is_the_one_that_the_commands_give() -> None:
    assert commands()
    assert page("cli.md").partition(MARK)[2].strip() == reference().strip()


def test_every_route_has_its_place() -> None:
    told = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`\s]*)`", page("http.md")))
    assert told == routes() | {"GET /schema", "GET /schema/openapi.json"}


def test_every_rule_word_and_function_has_its_place() -> None:
    told = page("rules.md")
    assert [word for word in (*WORDS, *FUNCTIONS) if f"`{word}`" not in told] == []


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_links_of_the_top_pages_lead_somewhere() -> None:
    root = DOCS.parent
    for path in root.glob("*.md"):
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        assert [t for t in targets if "://" not in t and not (root / t).exists()] == [], path.name


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_that_a_recipe_names_is_there(name: str) -> None:
    root = DOCS.parent
    named = re.findall(r"`((?:[\w.]+/)*[\w.]+\.(?:py|md|toml))`", (root / name).read_text(encoding="utf-8"))
    real = {path for path in named if "NAME" not in path and path not in ("model.json", "flywheel.toml")}
    assert real
    assert (
        sorted(
            path for path in real if not (root / path).is_file() and not (root / "src/whorl" / path).is_file()
        )
        == []
    )
