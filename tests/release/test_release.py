"""A verdict carried out, and taken back: what the pointer names, what the audit trail keeps, who is told."""

from collections.abc import Callable
from typing import Any

import pytest

from shop import Shop
from whorl.errors import NotFound, ReleaseError, StateError
from whorl.records import Decision, Verdict
from whorl.release.release import confirm, promote, release, rollback
from whorl.storage import audit
from whorl.storage.cycles import Submission
from whorl.storage.outbox import Outbox
from whorl.storage.registry import ELSEWHERE

Open = Callable[..., Shop]
EXTERNAL = '[release]\nvia = "external"\nwebhook = "http://deployer.example/deploy"'


def verdict(challenger: str, decision: Decision, champion: str | None = None) -> Verdict:
    return Verdict(
        challenger=challenger,
        champion=champion,
        decision=decision,
        reason=f"the gates say {decision}",
        checks=[],
    )


def told(one: Shop) -> list[dict[str, Any]]:
    return [message.body for message in Outbox(one.ws.ledger).due(one.clock.now())]


def version(one: Shop) -> str:
    return one.scored({"a": 0.5}).id


def champion(one: Shop) -> str | None:
    found = one.ws.registry.champion()
    return found.id if found else None


def test_promotion_moves_the_pointer(shop: Open) -> None:
    one = shop()
    first, second = version(one), version(one)
    made = release(one.ws, verdict(first, "promote"), "c1")
    assert (made.version, made.previous, made.via, made.state) == (first, None, "registry", "released")
    made = release(one.ws, verdict(second, "promote", first), "c2")
    assert (made.version, made.previous) == (second, first)
    assert (champion(one), one.ws.registry.challenger()) == (second, None)
    assert one.ws.registry.changes()[0].by == "c2"
    assert told(one) == []


def test_run_again_it_says_the_same(shop: Open) -> None:
    one = shop()
    first, second = version(one), version(one)
    release(one.ws, verdict(first, "promote"), "c1")
    once = release(one.ws, verdict(second, "promote", first), "c2")
    assert release(one.ws, verdict(second, "promote", first), "c2") == once
    assert len(one.ws.registry.changes()) == 2


@pytest.mark.parametrize("decision", ["hold", "reject"])
def test_otherwise_the_champion_is_kept(shop: Open, decision: Decision) -> None:
    one = shop()
    first, second = version(one), version(one)
    release(one.ws, verdict(first, "promote"), "c1")
    one.ws.registry.point("challenger", second, by="c2", reason="on trial")
    made = release(one.ws, verdict(second, decision), "c2")
    assert (made.version, made.previous, made.state, made.message) == (
        first,
        first,
        "kept",
        f"the gates say {decision}",
    )
    assert (champion(one), one.ws.registry.challenger()) == (first, None)


def test_rollback_goes_back_and_is_written_down(shop: Open) -> None:
    one = shop()
    first, second = version(one), version(one)
    for id in (first, second):
        promote(one.ws, id, by="ann", reason="by hand")
    made = rollback(one.ws, by="bob", reason="complaints")
    assert (made.version, made.previous, made.state, made.message) == (
        first,
        second,
        "released",
        "complaints",
    )
    assert champion(one) == first
    entry = audit.entries(one.ws.ledger, "shop", limit=1)[0]
    assert (entry.action, entry.by, entry.at) == ("model.point", "bob", one.clock.now())
    assert entry.body == {
        "alias": "champion", "model_id": first, "previous": second, "by": "bob", "reason": "complaints",
    }  # fmt: skip


def test_rolled_back_twice_it_goes_two_champions_back(shop: Open) -> None:
    one = shop()
    ids = [version(one) for _ in range(3)]
    for id in ids:
        promote(one.ws, id, by="ann", reason="by hand")
    assert [rollback(one.ws, by="bob", reason="worse").version for _ in range(2)] == ids[1::-1]
    with pytest.raises(StateError, match="no earlier champion"):
        rollback(one.ws, by="bob", reason="worse")


def test_without_an_earlier_champion_there_is_nothing_to_go_back_to(shop: Open) -> None:
    one = shop()
    for _ in range(2):
        with pytest.raises(StateError, match="There is no earlier champion to go back to") as refused:
            rollback(one.ws, by="bob", reason="complaints")
        assert "whorl model list" in refused.value.hint
        promote(one.ws, version(one), by="ann", reason="the first") if champion(one) is None else None
    assert champion(one) == "shop/1"


def test_promotion_by_hand_needs_a_version_and_keeps_the_reason(shop: Open) -> None:
    one = shop()
    with pytest.raises(NotFound):
        promote(one.ws, "3", by="ann", reason="hope")
    version(one)
    made = promote(one.ws, "1", by="ann", reason="hope")
    assert (made.version, made.message) == ("shop/1", "hope")
    assert one.ws.registry.changes()[0].reason == "hope"


def test_the_model_that_served_before_can_be_gone_back_to(shop: Open) -> None:
    one = shop('[champion]\nversion = "card-7"\ntrained_through = "2025-12-01"')
    made = release(one.ws, verdict(version(one), "promote", "card-7"), "c1")
    previous = one.ws.registry.previous()
    assert previous is not None
    assert (previous.trainer, previous.uri, made.previous) == (ELSEWHERE, "card-7", previous.id)
    assert previous.trained_through is not None
    assert rollback(one.ws, by="bob", reason="complaints").version == previous.id
    # Promoting again makes no second one of it.
    promote(one.ws, made.version or "", by="ann", reason="again")
    assert sum(v.trainer == ELSEWHERE for v in one.ws.registry.versions()) == 1


def test_an_outside_system_is_told_and_the_pointer_waits(shop: Open) -> None:
    one = shop(EXTERNAL)
    first, second = version(one), version(one)
    promote(one.ws, first, by="ann", reason="begin")
    made = release(one.ws, verdict(second, "promote", first), "c2")
    assert (made.state, made.version, made.previous, champion(one)) == ("waiting", second, first, first)
    challenger = one.ws.registry.challenger()
    assert challenger is not None
    (message,) = told(one)
    assert message == {
        "event": "release.requested", "flywheel": "shop", "cycle": "c2", "replaces": first,
        "reason": "the gates say promote", "at": one.clock.now().isoformat(),
        "model": {"id": second, "version": 2, "digest": "", "uri": challenger.uri},
    }  # fmt: skip
    release(one.ws, verdict(second, "promote", first), "c2")
    assert len(told(one)) == 1, "a step that runs again does not tell again"
    said = Submission(kind="confirmation", uri="", by="deployer", at=one.clock.now())
    assert confirm(one.ws, verdict(second, "promote", first), "c2", said).state == "released"
    assert champion(one) == second


def test_a_release_that_failed_outside_leaves_the_champion(shop: Open) -> None:
    one = shop(EXTERNAL)
    first, second = version(one), version(one)
    promote(one.ws, first, by="ann", reason="begin")
    release(one.ws, verdict(second, "promote", first), "c2")
    said = Submission(kind="confirmation", uri="failed: no memory", by="deployer", at=one.clock.now())
    with pytest.raises(ReleaseError, match="deployer did not confirm the release: failed: no memory"):
        confirm(one.ws, verdict(second, "promote", first), "c2", said)
    with pytest.raises(ReleaseError, match=r"Nobody confirmed the release within 7d"):
        confirm(one.ws, verdict(second, "promote", first), "c2", None)
    assert (champion(one), one.ws.registry.challenger()) == (first, None)


def test_a_rollback_is_told_too_and_does_not_wait(shop: Open) -> None:
    one = shop(EXTERNAL)
    first, second = version(one), version(one)
    for id in (first, second):
        promote(one.ws, id, by="ann", reason="by hand")
    rollback(one.ws, by="bob", reason="complaints")
    assert champion(one) == first
    (message,) = told(one)
    assert (message["event"], message["model"]["id"], message["reason"]) == (
        "release.rolled_back",
        first,
        "complaints",
    )


def test_a_kept_champion_is_news_to_nobody(shop: Open) -> None:
    one = shop(EXTERNAL)
    release(one.ws, verdict(version(one), "reject"), "c1")
    assert told(one) == []


def test_a_verdict_against_a_former_champion_releases_nothing(shop: Open) -> None:
    one = shop()
    first, second, third = version(one), version(one), version(one)
    promote(one.ws, first, by="ann", reason="by hand")
    promote(one.ws, second, by="ann", reason="by hand")
    with pytest.raises(ReleaseError, match=f"champion is {second} by now; the verdict compared with {first}"):
        release(one.ws, verdict(third, "promote", first), "c3")
    assert champion(one) == second
