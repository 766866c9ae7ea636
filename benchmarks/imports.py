"""What starting costs: `import whorl` and `whorl --help`, in fresh processes."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from report import Figure, options, report

WHORL = str(Path(sys.executable).with_name("whorl"))


def seconds(*command: str) -> float:
    began = perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return perf_counter() - began


def main() -> None:
    chosen = options(__doc__)
    runs = 5 if chosen.quick else 21
    empty = (sys.executable, "-c", "pass")
    loading = (sys.executable, "-c", "import whorl")
    taken: dict[str, list[float]] = {"empty": [], "import": [], "help": []}
    for _ in range(runs + 1):
        taken["empty"].append(seconds(*empty))
        taken["import"].append(seconds(*loading))
        taken["help"].append(seconds(WHORL, "--help"))
    # The first of each warms the disk's cache.
    bare, imported, helped = (1000 * median(values[1:]) for values in taken.values())
    figures = [
        Figure("import whorl, ms beyond Python's own start", imported - bare, target=150),
        Figure("whorl --help, ms in all", helped, other=bare, target=300),
    ]
    report("Starting is quick", figures, chosen.json)


if __name__ == "__main__":
    main()
