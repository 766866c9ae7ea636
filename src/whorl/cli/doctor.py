"""`whorl doctor`: is this installation well, and what to do where it is not."""

import os

import typer

from whorl.cli.terminal import DEFAULT_SPEC, AsJson, Root, SpecPath, print_json, root_of


def doctor(
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Look at versions, disk, rights, clock, ledger, lake, inbox, cycles, messages, keys; exit code 3 when anything is bad.

    Changes nothing. Works beside a running server, and on a workspace that is broken.
    """
    from whorl.clock import RealClock
    from whorl.serve.checkup.checkup import checkup

    root = root_of(spec, workspace)
    specs = [spec] if spec.exists() or spec != DEFAULT_SPEC else []
    checks = checkup(root, specs, RealClock(), os.environ.get("WHORL_LEDGER"))
    bad = [check for check in checks if check.level == "bad"]
    if as_json:
        print_json({"ok": not bad, "checks": checks})
    else:
        for check in checks:
            where = f" {check.where}:" if check.where else ""
            hint = f"\n      {check.hint}" if check.hint else ""
            typer.echo(f"{check.level:<4}  {check.what}:{where} {check.message}{hint}")
        count = {level: sum(check.level == level for check in checks) for level in ("ok", "warn", "bad")}
        typer.echo(", ".join(f"{n} {level}" for level, n in count.items()))
    if bad:
        raise typer.Exit(3)
