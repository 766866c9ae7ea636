"""Fails when a source file is longer than a person reads in one sitting: 600 lines."""

import subprocess
import sys
from pathlib import Path

LIMIT = 600


def too_long(root: Path) -> list[str]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    counts = {
        name: len((root / name).read_text(encoding="utf-8").splitlines())
        for name in names
        if (root / name).exists()
    }
    return [
        f"{name}: {count} lines; split it by noun (limit {LIMIT})."
        for name, count in counts.items()
        if count > LIMIT
    ]


if __name__ == "__main__":
    found = too_long(Path(__file__).resolve().parents[2])
    print("\n".join(found) if found else f"No file is longer than {LIMIT} lines.")
    sys.exit(1 if found else 0)
