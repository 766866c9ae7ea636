"""Each reason holds for exactly the rows that it was planted in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from shop import Shop
from whorl.models.lightgbm_model import FILE, column_names
from whorl.models.manifest import Manifest, write_manifest
from whorl.models.model import folder_digest
from whorl.spec import parse_spec

Open = Callable[..., Shop]
N = 200
IDS = [f"r{i:03d}" for i in range(N)]
OFF = {"uncertain": 0, "wrong": 0, "large_error": 0, "changed": 0, "rare": 0, "novel": 0}


def reasons(**on: float) -> str:
    """[curate] with only these reasons on, and a budget for all rows."""
    knobs = ", ".join(f"{name} = {value}" for name, value in {**OFF, **on}.items())
    return f"[curate]\nreasons = {{ {knobs} }}"


def held(one: Shop) -> dict[str, set[str]]:
    """Reason to the rows of the second choice that have it."""
    found: dict[str, set[str]] = {}
    for id, case in one.cases().items():
        for name in case["reasons"]:
            found.setdefault(name, set()).add(id)
    return found


def begun(one: Shop, value: object = True) -> None:
    """A first dataset of ordinary rows, on day 1."""
    n = 300
    ids = [f"first{i:03d}" for i in range(n)]
    one.predicts(
        ids, 0.0, amount=np.linspace(0, 1, n), age=np.linspace(20, 60, n), place=["north", "south"] * 150
    )
    values = [value, *([not value] if isinstance(value, bool) else [value])] * (n // 2)
    one.learns(ids, values, 0.5)
    one.dataset(one.until(1))


def later(one: Shop, values: object, **columns: object) -> None:
    """The rows of the second choice, on day 5; ordinary where nothing else is said."""
    plain = {
        "amount": np.linspace(0, 1, N),
        "age": np.linspace(20, 60, N),
        "place": ["north", "south"] * (N // 2),
    }
    one.predicts(IDS, 2.0, **{**plain, **columns})
    one.learns(IDS, values, 3.0)
    one.curates(one.until(5), one.day(1))


def planted(rows: range, value: object, ordinary: object) -> list[object]:
    return [value if i in rows else ordinary for i in range(N)]


def test_uncertain_and_wrong(shop: Open) -> None:
    one = shop(reasons(uncertain=0.05, wrong=0.1))
    begun(one)
    score = np.full(N, 0.2)
    score[:10], score[10:17] = 0.5, 0.05
    later(one, [True] * 17 + [False] * (N - 17), score=score)
    # A score of 0.05 is sure of itself, and false: no uncertainty.
    assert held(one) == {"uncertain": set(IDS[:10]), "wrong": set(IDS[10:17])}


@pytest.mark.parametrize(("by", "found"), [("entropy", range(10)), ("margin", range(10, 20))])
def test_uncertain_by_all_classes_or_by_the_two_likeliest(shop: Open, by: str, found: range) -> None:
    sections = reasons(uncertain=0.05).replace("{ ", f'{{ uncertain_by = "{by}", ', 1)
    one = shop(sections, head='task = "multiclass"')
    begun(one, value="a")
    flat, torn = {"a": 0.4, "b": 0.2, "c": 0.2, "d": 0.2}, {"a": 0.49, "b": 0.49, "c": 0.01, "d": 0.01}
    sure = {"a": 0.97, "b": 0.01, "c": 0.01, "d": 0.01}
    scores = [flat if i < 10 else torn if i < 20 else sure for i in range(N)]
    later(one, ["a"] * N, scores=[list(one.items()) for one in scores])
    assert held(one) == {"uncertain": {IDS[i] for i in found}}


def test_equal_scores_are_all_alike_and_none_is_uncertain(shop: Open) -> None:
    one = shop(reasons(uncertain=0.05))
    begun(one)
    later(one, [True, False] * (N // 2), score=0.5)
    assert held(one) == {}


def test_rows_without_a_score_are_neither(shop: Open) -> None:
    one = shop(reasons(uncertain=0.05, wrong=0.1))
    begun(one)
    later(one, [True, False] * (N // 2))
    assert held(one) == {}


def test_large_error(shop: Open) -> None:
    one = shop(reasons(large_error=0.05), head='task = "regression"')
    begun(one, value=7.0)
    error = np.linspace(0, 1, N)
    error[50:60] = 90.0
    later(one, (5.0 + error).tolist(), score=5.0)
    assert held(one) == {"large_error": set(IDS[50:60])}
    assert one.cases()[IDS[50]]["severity"] == pytest.approx(90.0)


def test_changed_against_the_previous_champion(
    shop: Open, constant_model: Callable[..., Path], tmp_path: Path
) -> None:
    one = shop(reasons(changed=0.5))
    registry = one.ws.registry
    for value in (0.1, 0.9):
        folder = constant_model(tmp_path / f"model-{value}", one.ws.spec, value)
        one.crowned(registry.register(folder, trainer="test", digest=folder_digest(folder)))
    begun(one)
    # Near 0.9, where the champion of today is, the one before it said 0.1.
    later(one, [True] * N, score=planted(range(6), 0.9, 0.15))
    assert held(one) == {"changed": set(IDS[:6])}
    assert one.cases()[IDS[0]]["severity"] == pytest.approx(0.8, abs=0.01)


def crowned(one: Shop, folder: Path, objective: dict[str, object], values: list[float], **says: Any) -> None:
    """A champion that gives every row the mean of `values`, or in many classes their shares."""
    names = list(one.ws.spec.features)
    rows = lightgbm.Dataset(np.zeros((len(values), 3)), values, feature_name=column_names(names))
    folder.mkdir()
    settings = {**objective, "num_threads": 1, "verbosity": -1, "feature_pre_filter": False}
    lightgbm.train(settings, rows, num_boost_round=1).save_model(folder / FILE)
    kinds = {name: feature.type for name, feature in one.ws.spec.features.items()}
    manifest = Manifest(format="lightgbm", features=kinds, levels={"place": ["north", "south"]}, **says)
    write_manifest(folder, manifest)
    one.crowned(one.ws.registry.register(folder, trainer="test", digest=folder_digest(folder)))


def test_changed_in_many_classes_by_all_that_moved(shop: Open, tmp_path: Path) -> None:
    """The one before said a 0.5, b 0.5; half of what was moved between classes counts, unknown ones included."""
    one = shop(reasons(changed=0.5), head='task = "multiclass"')
    for number in range(2):
        objective = {"objective": "multiclass", "num_class": 2}
        crowned(one, tmp_path / str(number), objective, [0, 1] * 20, task="multiclass", classes=["a", "b"])
    begun(one, value="a")
    same, moved, new = {"a": 0.1, "b": 0.9}, {"a": 0.1, "b": 0.3, "c": 0.6}, {"d": 1.0}
    said: list[Any] = [list((moved if i < 3 else new if i < 5 else same).items()) for i in range(N)]
    later(one, ["a"] * N, scores=[*said[:-1], None])
    assert held(one) == {"changed": set(IDS[:5])}
    assert [one.cases()[IDS[i]]["severity"] for i in (0, 4)] == pytest.approx([0.6, 1.0], abs=0.01)


def test_changed_numbers_are_measured_by_how_much_labels_differ(shop: Open, tmp_path: Path) -> None:
    """Labels have a standard deviation of 2; the one before said 7."""
    one = shop(reasons(changed=0.5), head='task = "regression"')
    for number in range(2):
        crowned(one, tmp_path / str(number), {"objective": "regression"}, [7.0] * 40, task="regression")
    begun(one, value=7.0)
    later(one, [5.0, 9.0] * (N // 2), score=[8.1] * 3 + [5.9] * 2 + [7.9] * (N - 5))
    assert held(one) == {"changed": set(IDS[:5])}
    assert one.cases()[IDS[0]]["severity"] == pytest.approx(1.1, abs=0.01)


def test_a_previous_champion_of_another_spec_says_nothing(
    shop: Open, constant_model: Callable[..., Path], tmp_path: Path
) -> None:
    one = shop(reasons(changed=0.5))
    other = parse_spec('name = "shop"\ntask = "binary"\n[schema.features]\nmass = "float"')
    for value, spec in ((0.1, other), (0.9, one.ws.spec)):
        folder = constant_model(tmp_path / f"model-{value}", spec, value)
        one.crowned(one.ws.registry.register(folder, trainer="test", digest=folder_digest(folder)))
    begun(one)
    later(one, [True] * N, score=0.9)
    assert held(one) == {}


def test_without_a_previous_champion_nothing_has_changed(
    shop: Open, constant_model: Callable[..., Path], tmp_path: Path
) -> None:
    one = shop(reasons(changed=0.5))
    folder = constant_model(tmp_path / "model", one.ws.spec, 0.1)
    one.crowned(one.ws.registry.register(folder, trainer="test", digest=folder_digest(folder)))
    begun(one)
    later(one, [True] * N, score=0.9)
    assert held(one) == {}


def test_rare_classes(shop: Open) -> None:
    one = shop(reasons(rare=0.05), head='task = "multiclass"')
    begun(one, value="common")
    later(one, planted(range(8), "strange", "common"))
    assert held(one) == {"rare": set(IDS[:8])}


def test_a_rare_positive(shop: Open) -> None:
    """The share is that of all labelled training rows: 5 of 500 here, in spite of the half in the first dataset."""
    one = shop(reasons(rare=0.35))
    begun(one)
    later(one, planted(range(5), True, False))
    assert held(one) == {"rare": set(IDS[:5])}


def test_uncertain_and_wrong_in_many_classes(shop: Open) -> None:
    one = shop(reasons(uncertain=0.05, wrong=0.1), head='task = "multiclass"')
    begun(one, value="a")
    sure, undecided, mistaken = ({"a": 0.8, "b": 0.15, "c": 0.05}, {"a": 0.34, "b": 0.33, "c": 0.33},
                                 {"a": 0.05, "b": 0.95, "c": 0.0})  # fmt: skip
    said = [undecided if i < 10 else mistaken if i < 15 else sure for i in range(N)]
    later(one, ["a"] * N, scores=[list(s.items()) for s in said])
    assert held(one) == {"uncertain": set(IDS[:10]), "wrong": set(IDS[10:15])}


def test_novel_rows(shop: Open) -> None:
    one = shop(reasons(novel=0.02))
    begun(one)
    later(one, [True] * N, place=planted(range(4), "moon", "north"), amount=planted(range(4), 1e9, 0.5))
    assert held(one) == {"novel": set(IDS[:4])}


def test_the_users_rules_come_first_and_their_severity_may_be_an_expression(shop: Open) -> None:
    one = shop(
        reasons(wrong=0.5)
        + '\n[[curate.rules]]\nname = "dear"\nwhen = "amount > 100 and not label"\nseverity = "amount * 2"'
        + '\n[[curate.rules]]\nname = "odd"\nwhen = "age = 33"'
    )
    begun(one)
    later(
        one, planted(range(100), False, True), score=0.8,
        amount=planted(range(95, 105), 150.0, 1.0), age=planted(range(98, 101), 33.0, 40.0),
    )  # fmt: skip
    found, cases = held(one), one.cases()
    assert found == {"dear": set(IDS[95:100]), "odd": set(IDS[98:101]), "wrong": set(IDS[:100])}
    assert (cases[IDS[98]]["reason"], cases[IDS[98]]["severity"]) == ("dear", 300.0)
    assert cases[IDS[98]]["reasons"] == ["dear", "odd", "wrong"]
    assert (cases[IDS[100]]["reason"], cases[IDS[100]]["severity"]) == ("odd", 1.0)
    assert cases[IDS[150]]["reason"] == "random"
