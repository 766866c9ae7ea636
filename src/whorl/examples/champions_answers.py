"""Which logged answers are the champion's: others may answer beside it, on trial or for a part of the traffic.

Rows that name no model count as the champion's. So do all rows as long as none is named as any champion is: then the
records have names of their own, which tell nothing.
"""

from whorl.records import ModelVersion
from whorl.spec import Spec
from whorl.storage.registry import ELSEWHERE, Registry
from whorl.storage.sql_types import text_literal


def name_in_records(version: ModelVersion | None, spec: Spec) -> str | None:
    """How records name a version, or the champion that was there before the first; None: they need not name any."""
    if version is None:
        return spec.champion.version
    return version.uri if version.trainer == ELSEWHERE else version.id


def champions_answers(registry: Registry, spec: Spec, examples: str, *, now: bool = False) -> str:
    """SQL condition over examples: rows that a champion answered, of any time; `now`: that the champion of now did."""
    if now:
        named = {name_in_records(registry.champion(), spec)}
    else:
        versions = {change.model_id for change in registry.changes()} - {None}
        named = {name_in_records(registry.get(one), spec) for one in versions if one} | {
            spec.champion.version
        }
    names = ", ".join(text_literal(name) for name in sorted(filter(None, named)))
    if not names:
        return "true"
    return (
        f"(model_version IS NULL OR model_version IN ({names}) "
        f"OR NOT EXISTS (FROM {examples} WHERE model_version IN ({names})))"
    )
