"""The holdout: the same answer one by one or together, for good, and close to its share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whorl.group_hash import held_out, split_of


@given(st.lists(st.text(), min_size=1), st.floats(0, 1))
def test_together_is_one_by_one(groups: list[str], share: float) -> None:
    groups = [group for group in groups if group.isascii()]
    together = held_out("key", groups, share).tolist()
    assert together == [split_of("key", group, share) == "holdout" for group in groups]


def test_the_share_is_kept_and_a_larger_one_only_adds() -> None:
    groups = [f"user_{n}" for n in range(20_000)]
    small, large = held_out("key", groups, 0.05), held_out("key", groups, 0.2)
    assert small.mean() == pytest.approx(0.05, abs=0.005)
    assert large.mean() == pytest.approx(0.2, abs=0.01)
    assert not (small & ~large).any()


def test_another_key_holds_out_others() -> None:
    groups = [f"user_{n}" for n in range(1000)]
    assert (held_out("one", groups, 0.5) != held_out("two", groups, 0.5)).mean() > 0.3


def test_known_answers_never_change() -> None:
    sides = [split_of("0" * 64, f"user_{n}", 0.3) for n in range(8)]
    assert "".join(side[0] for side in sides) == KNOWN


KNOWN = "tttththt"
