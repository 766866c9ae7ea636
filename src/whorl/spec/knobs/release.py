"""[release] and [champion]: how a challenger comes into service, and what serves today."""

from typing import Annotated, Literal

import msgspec

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Knobs, knob


class ReleaseSpec(Knobs, frozen=True, kw_only=True):
    via: Annotated[
        Literal["registry", "serve", "external"],
        knob(
            "'registry': the alias moves; 'serve': Whorl answers; 'external': webhook out, confirmation awaited."
        ),
    ] = "registry"
    stages: Annotated[list[str], knob("Stages of a rollout; this version knows 'full'.")] = msgspec.field(
        default_factory=lambda: ["full"]
    )
    webhook: Annotated[str | None, knob("'external': URL that is asked for a release, signed.")] = None
    secret_env: Annotated[str, knob("Environment variable that holds the webhook's signing key.")] = (
        "WHORL_WEBHOOK_SECRET"
    )
    confirm_within: Annotated[Duration, knob("'external': how long a confirmation is awaited.", "time")] = (
        Duration("7d")
    )


class ChampionSpec(Knobs, frozen=True, kw_only=True):
    version: Annotated[
        str | None, knob("Name of the model that serves today, if Whorl did not train it.")
    ] = None
    trained_through: Annotated[
        str | None, knob("Last event time it was trained on; only later rows compare it fairly.", "ISO 8601")
    ] = None
