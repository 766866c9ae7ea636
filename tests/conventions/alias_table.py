"""The table in docs/otlp.md, made from the one in the code.

python tests/conventions/alias_table.py      # prints what belongs between the marks
"""

from whorl.capture.conventions.aliases import ALIASES, VERSION

START, END = "<!-- alias table -->", "<!-- end of alias table -->"


def alias_table() -> str:
    lines = [f"Version {VERSION}.", "", "| becomes | the first of these that has a value |", "|---|---|"]
    for alias in ALIASES.values():
        fields = ", ".join(f"`{name}`" for name in alias.becomes.split(", "))
        lines.append(f"| {fields} | {', '.join(f'`{key}`' for key in alias.keys)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(alias_table())
