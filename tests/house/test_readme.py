"""The README's Python, and that of docs, runs as it stands: a page's blocks in order, in one namespace, in a temp directory.

A TOML block that begins with `# name.toml` is the file of that name.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    *(
        page
        for page in sorted((ROOT / "docs").glob("*.md"))
        if "```python" in page.read_text(encoding="utf-8")
    ),
]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```toml\n(# ([\w.]+\.toml)\n.*?)^```$", re.MULTILINE | re.DOTALL)


def run_blocks(page: str, name: str) -> int:
    """Run a page's Python blocks; returns how many there are. Errors name the page's own lines."""
    namespace: dict[str, object] = {"__name__": "__readme__"}
    blocks = list(BLOCK.finditer(page))
    for block in blocks:
        line = page.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], name, "exec"), namespace)
    return len(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text, name in FILE.findall(README.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    for variable in ("WHORL_WORKSPACE", "WHORL_LEDGER", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    assert run_blocks(page.read_text(encoding="utf-8"), page.name) >= 1


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_a_block_that_fails_fails_the_page() -> None:
    with pytest.raises(ZeroDivisionError):
        run_blocks("text\n```python\nx = 0\n```\nmore\n```python\n1 / x\n```\n", "page")
