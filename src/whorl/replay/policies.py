"""The policies a replay compares: the spec as it is, and three baselines made from it.

A policy is a spec, so that every arm turns the very same cycle; only its knobs differ.
"""

from typing import Literal

import msgspec

from whorl.spec import Duration, Spec

Policy = Literal["flywheel", "static", "all", "random"]
BASELINES: tuple[Policy, ...] = ("static", "all", "random")


def policy_spec(spec: Spec, policy: Policy) -> Spec:
    """The spec by which an arm turns.

    flywheel: as declared, without waiting for people; findings start cycles where they would. static: trained once, never again. all: retrained each cycle on
    every label known that day, released without gates: the common practice. random: the same with the flywheel's budget,
    drawn at random.
    """
    replace = msgspec.structs.replace
    released = replace(spec.release, via="registry", webhook=None)
    unattended = replace(
        spec,
        automation="full",
        release=released,
        monitor=replace(spec.monitor, webhook=None),
    )
    if policy == "flywheel":
        return unattended
    on_cadence = replace(unattended, monitor=replace(unattended.monitor, start_cycle=False))
    ungated = replace(spec.evaluate, gates=[], time_forward=None)
    # Who asks no gate needs no holdout: the baselines learn from every row.
    everyone = replace(spec.curate, holdout_share=0.0, golden=None)
    if policy == "static":
        return replace(on_cadence, curate=everyone, evaluate=ungated)
    known_today = replace(spec.labels, delay="none", lag=Duration("0d"), horizon=None)
    budget, initial = (spec.curate.budget, spec.curate.initial) if policy == "random" else (0, 0)
    at_random = replace(everyone, strategy="random", budget=budget, initial=initial, rules=[], half_life=None)
    return replace(
        on_cadence,
        labels=known_today,
        curate=at_random,
        evaluate=ungated,
    )
