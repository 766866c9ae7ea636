"""The second half of docs/cli.md: every command and option, read off the command line's own definition.

Write the page anew with `python tests/house/cli_page.py`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from whorl.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
MARK = "<!-- made by tests/house/cli_page.py -->\n"


def commands() -> dict[str, click.Command]:
    """Every command by its full name: `cycle run`."""
    return dict(_commands(typer.main.get_command(app), ""))


def reference() -> str:
    """The part of the page after the mark."""
    return "\n".join(_section(name, command) for name, command in commands().items())


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for part, below in inner.items():
        yield from _commands(below, f"{name} {part}".strip())


def _section(name: str, command: click.Command) -> str:
    # Typer's own click is not always the one that `import click` gives: ask for behaviour, not for the class.
    params = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    usage = " ".join(["whorl", name, *(_place(param) for param in arguments)])
    lines = [f"### `{usage}`", "", *_paragraphs(command.help or ""), ""]
    rows = [_row(param) for param in params]
    if rows:
        lines += ["| | default | |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _place(param: click.Parameter) -> str:
    name = (param.name or "").upper() + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _row(param: click.Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    if param.param_type_name == "argument":
        names = f"`{(param.name or '').upper()}`"
    default, told = param.default, getattr(param, "show_default", None)
    empty = default is None or default is False or default == "" or callable(default)
    shown = f"`{told}`" if isinstance(told, str) else "" if empty else f"`{default}`"
    said = getattr(param, "help", None) or ""
    variable = getattr(param, "envvar", None)
    return f"| {names} | {shown} | {said}{f' Variable: `{variable}`.' if variable else ''} |"


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(before + MARK + "\n" + reference(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(commands())} commands\n")
