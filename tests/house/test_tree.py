"""ARCHITECTURE.md shows the tree there is: every package and top-level module, and every import contract."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "whorl"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def shown(page: str) -> set[str]:
    """Names in the first column of the page's tree: `stats/` for a package, `clock.py` for a module."""
    tree = page.partition("```\nsrc/whorl/\n")[2].partition("\n```")[0]
    return {word for line in tree.splitlines() if (word := line.split()[0] if line.strip() else "")
            and re.match(r"^  \S", line)}  # fmt: skip


def there() -> set[str]:
    """The same names on disk. A directory without Python files is not a package."""
    packages = {f"{path.name}/" for path in SOURCE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    return packages | {path.name for path in SOURCE.glob("*.py")}


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def layers() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[str] = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return found


def test_the_tree_is_the_tree() -> None:
    assert shown(PAGE) == there()


def test_every_import_contract_is_named() -> None:
    assert [name for name in contracts() if name not in PAGE] == []


def test_the_layers_are_those_of_the_contract() -> None:
    drawn = PAGE.partition("```\nlayers, top to bottom\n")[2].partition("\n```")[0]
    assert [line.strip() for line in drawn.splitlines()] == layers()


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|md|toml))`", PAGE))
    missing = [name for name in named if not (SOURCE / name).is_file() and not (ROOT / name).is_file()]
    assert named
    assert sorted(missing) == []


def test_a_package_that_is_not_shown_is_seen() -> None:
    assert shown("```\nsrc/whorl/\n  clock.py   now\n  stats/     maths\n             more\n```\n") == {
        "clock.py",
        "stats/",
    }


def test_every_table_is_named() -> None:
    from whorl.storage.ledger.tables import metadata
    from whorl.storage.tables import TABLES

    storage = PAGE.partition("## Storage")[2]
    assert [name for name in (*metadata.tables, *TABLES) if f"`{name}`" not in storage] == []
