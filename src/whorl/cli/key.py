"""`whorl key`: make the keys that a server asks for, list them, take them back."""

import re
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    By,
    Root,
    SpecPath,
    opened,
    opened_ledger,
    print_facts,
    print_json,
    print_list,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from whorl.storage.api_keys import Scope

app = typer.Typer(help="API keys: who may call the server, and for what.", no_args_is_help=True)
_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


@app.command("create")
def create(
    scopes: Annotated[
        list[str],
        typer.Option(
            "--scope", help="capture, predict, review, read, operate or admin; may be given several times."
        ),
    ],
    flywheel: Annotated[str | None, typer.Option(help="The flywheel that it opens.")] = None,
    every: Annotated[bool, typer.Option("--all", help="It opens every flywheel of the workspace.")] = False,
    name: Annotated[str, typer.Option(help="What it is for, so that you know it again.")] = "",
    rate: Annotated[
        str | None, typer.Option(help="Requests it may make: 100/s, 600/min. Default: any number.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Ends after: 90d. Default: never.")] = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once: the workspace keeps only its hash."""
    from whorl.errors import NotFound, did_you_mean
    from whorl.flywheel import whoami
    from whorl.storage import api_keys, flywheels

    if (flywheel is None) != every:
        raise typer.BadParameter("Give --flywheel NAME, or --all for every one.", param_hint="--flywheel")
    wanted, rate_per_s, lasts = [_scope(text) for text in scopes], _rate(rate), _span(expires)
    with opened(spec, workspace) as opened_flywheel:
        ledger = opened_flywheel.workspace.ledger
        known = flywheels.names(ledger)
        if flywheel is not None and flywheel not in known:
            raise NotFound(
                f"There is no flywheel {flywheel!r}.", where="--flywheel", hint=did_you_mean(flywheel, known)
            )
        key, presented = api_keys.create(
            ledger, flywheel=flywheel, scopes=wanted, name=name, by=by or whoami(), rate_per_s=rate_per_s,
            expires_at=ledger.clock.now() + lasts if lasts else None,
        )  # fmt: skip
    if as_json:
        print_json({"key": presented, **_facts(key)})
        return
    print_facts(_facts(key))
    typer.echo(f"\n{presented}\n\nThis is the only time it is shown. Send it as: Authorization: Bearer KEY")


@app.command("list")
def list_(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """Every key that was made, newest first, and when it was last used (to the minute)."""
    from whorl.storage import api_keys

    with opened_ledger(spec, workspace) as ledger:
        keys, now = api_keys.listed(ledger), ledger.clock.now()
    print_list(
        keys,
        {
            "id": lambda k: k.id,
            "name": lambda k: k.name,
            "flywheel": lambda k: k.flywheel or "all",
            "scopes": lambda k: k.scopes,
            "rate/s": lambda k: k.rate_per_s,
            "made": lambda k: k.created_at,
            "expires": lambda k: k.expires_at,
            "last used": lambda k: k.last_used_at,
            "state": lambda k: k.state(now),
        },
        as_json=as_json,
        json=[{**_facts(key), "state": key.state(now)} for key in keys],
        empty="No key yet: the server serves this machine only, and asks for none.",
    )


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `key list` shows it.")],
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
) -> None:
    """Take a key back for good. A running server refuses it within a second."""
    from whorl.flywheel import whoami
    from whorl.storage import api_keys

    with opened_ledger(spec, workspace) as ledger:
        key = api_keys.revoke(ledger, key_id, by=by or whoami())
    typer.echo(f"Revoked: {key.id}{f' ({key.name})' if key.name else ''}.")


def _facts(key: object) -> dict[str, object]:
    import msgspec

    return cast(dict[str, object], msgspec.structs.asdict(cast(msgspec.Struct, key)))


def _scope(text: str) -> "Scope":
    from whorl.storage.api_keys import Scope

    if text not in get_args(Scope):
        raise typer.BadParameter(f"'{text}' is none of {', '.join(get_args(Scope))}.", param_hint="--scope")
    return text  # type: ignore[return-value]


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    match = _RATE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise typer.BadParameter(f"'{text}' is no rate such as 100/s, 600/min or 5/h.", param_hint="--rate")
    return float(match[1]) / _SECONDS[match[2]]


def _span(text: str | None) -> "timedelta | None":
    from whorl.spec.duration import Duration

    if text is None:
        return None
    try:
        return Duration(text).span
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--expires") from None
