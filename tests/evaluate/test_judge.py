"""A verdict: whose answers are compared on which rows, and what is kept of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.errors import ModelError, NotFound, SpecError
from whorl.evaluate.judge import judge
from whorl.models.model import folder_digest
from whorl.records import ModelVersion, Verdict
from whorl.storage import verdicts

Open = Callable[..., Shop]
BETTER = '[evaluate]\nmetric = "accuracy"\ngates = [{ check = "better" }]'
N = 400


class Judged:
    """A shop with judged rows, and sides that are right in a share of them."""

    def __init__(self, one: Shop, **columns: Any) -> None:
        self.one = one
        self.known = one.sales(N, split="holdout", **columns)
        self.as_of = one.until(11)

    def scores(self, right: float, seed: int = 0) -> dict[str, float]:
        told = np.random.default_rng(seed).random(N) < right
        said = np.where(told == self.known["truth"], 0.8, 0.2)
        return dict(zip(self.known["id"], said.tolist(), strict=True))

    def crowned(self, said: dict[str, Any], named: str = "score") -> ModelVersion:
        """A champion whose model is not here: it is known by what it logged for these rows."""
        version = self.one.crowned(self.one.scored({}))
        at = dict(zip(self.known["id"], self.known["at"], strict=True))
        logged = {named: list(said.values()), "model_version": version.id, "split": "holdout"}
        self.one.predicts(list(said), [at[i] for i in said], **logged)
        return version

    def asked(self, challenger: Any, cycle: str = "c1") -> Verdict:
        return judge(self.one.ws, challenger, cycle, self.as_of)


def test_the_better_one_is_promoted(shop: Open) -> None:
    here = Judged(shop(BETTER))
    champion = here.crowned(here.scores(0.6, 2))
    good = here.one.scored(here.scores(0.9, 3))
    verdict = here.asked(good)
    sides = verdict.metrics["accuracy"]
    assert (verdict.decision, verdict.challenger, verdict.champion) == ("promote", good.id, champion.id)
    assert verdict.rows == N
    assert verdict.reason.startswith("better: accuracy better: difference +0.")
    assert sides["challenger"]["value"] == pytest.approx(0.9, abs=0.04)
    assert sides["champion"]["value"] == pytest.approx(0.6, abs=0.05)
    assert sides["champion"]["low"] < sides["champion"]["value"] < sides["champion"]["high"]


def test_and_the_worse_one_rejected(shop: Open) -> None:
    here = Judged(shop(BETTER))
    here.crowned(here.scores(0.9, 3))
    assert here.asked(here.one.scored(here.scores(0.6, 2))).decision == "reject"


def test_the_worst_decision_of_all_gates_counts(shop: Open) -> None:
    gates = ('[evaluate]\nmetric = "accuracy"\ngates = [{ check = "better" }, { check = "minimum", metric = "auc", '
             'value = 0.5 }, { check = "minimum", metric = "accuracy", value = 0.99 }]')  # fmt: skip
    here = Judged(shop(gates))
    here.crowned(here.scores(0.5, 1))
    verdict = here.asked(here.one.scored(here.scores(0.9, 2)))
    assert [check.decision for check in verdict.checks] == ["promote", "promote", "reject"]
    assert (verdict.decision, verdict.reason[:18]) == ("reject", "minimum: accuracy ")


def test_rows_that_one_side_did_not_answer_are_left_out_for_both(shop: Open) -> None:
    here = Judged(shop(BETTER))
    here.crowned({i: s for n, (i, s) in enumerate(here.scores(0.7, 1).items()) if n % 4})
    challenger = {i: s for n, (i, s) in enumerate(here.scores(0.9, 2).items()) if n not in (1, 2, 3, 4)}
    verdict = here.asked(here.one.scored(challenger))
    missing = N // 4 + 3
    assert (verdict.decision, verdict.rows) == ("promote", N - missing)
    assert f"{missing} holdout rows left out: one side has no answer for them." in verdict.notes


def test_a_challenger_does_not_choose_what_it_is_judged_on(shop: Open) -> None:
    """It hands in scores only where it is right: perfect, on its own rows."""
    here = Judged(shop(BETTER))
    here.crowned(here.scores(0.7, 1))
    truth = dict(zip(here.known["id"], here.known["truth"], strict=True))
    right = {i: s for i, s in here.scores(0.75, 2).items() if (s > 0.5) == truth[i]}
    verdict = here.asked(here.one.scored(right))
    assert (verdict.decision, verdict.checks[0].check) == ("hold", "answers")
    assert f"no answer for {N - len(right)} of {N} judged rows" in verdict.reason
    assert verdict.metrics["accuracy"]["challenger"]["value"] == 1.0


def test_scores_handed_in_are_the_same_in_either_format(shop: Open) -> None:
    here = Judged(shop(BETTER))
    here.crowned(here.scores(0.6, 1))
    better = here.scores(0.9, 2)
    parquet = here.asked(here.one.scored(better), "c1")
    table = here.asked(here.one.scored(better, suffix=".csv"), "c2")
    assert parquet.metrics == table.metrics
    assert parquet.decision == table.decision == "promote"


def test_ids_that_are_numbers_fit_those_of_the_log(shop: Open) -> None:
    one = shop('[evaluate]\ngates = [{ check = "minimum", metric = "accuracy", value = 0.9, min_rows = 10 }]')
    ids = [str(1000 + i) for i in range(60)]
    one.predicts(ids, split="holdout")
    truth = [i % 2 == 0 for i in range(60)]
    one.learns(ids, truth)
    made = one.scored({int(i): 0.8 if t else 0.2 for i, t in zip(ids, truth, strict=True)}, suffix=".csv")  # type: ignore[misc]
    assert judge(one.ws, made, "c1", one.until(2)).decision == "promote"


def test_scores_without_the_columns_they_need(shop: Open) -> None:
    here = Judged(shop(BETTER))
    path = here.one.root / "scores.csv"
    path.write_text("key,score\na,0.5\n")
    version = here.one.ws.registry.register(None, trainer="scores", uri=str(path))
    with pytest.raises(ModelError, match="The scores have the columns key, score"):
        here.asked(version)


def test_an_id_with_two_scores(shop: Open) -> None:
    """A join would count its row twice, and give every later row another one's score."""
    here = Judged(shop(BETTER))
    path = here.one.root / "scores.csv"
    path.write_text("id,score\ns00001,0.5\ns00001,0.9\n")
    with pytest.raises(ModelError, match="Some ids have several scores"):
        here.asked(here.one.ws.registry.register(None, trainer="scores", uri=str(path)))


def test_a_champion_of_elsewhere_is_taken_at_its_logged_word(shop: Open) -> None:
    one = shop(BETTER + '\n[champion]\nversion = "card-7"')
    said = ["card-7" if i % 4 else "card-6" for i in range(N)]
    here = Judged(one, model_version=said, score=0.5)
    verdict = here.asked(one.scored(here.scores(0.95, 1)))
    assert (verdict.champion, verdict.decision, verdict.rows) == ("card-7", "promote", N * 3 // 4)
    assert "The champion is judged by its logged scores." in verdict.notes
    assert any("trained_through is not declared" in note for note in verdict.notes)


def test_one_that_says_what_it_was_trained_on_is_not_warned_of(shop: Open) -> None:
    one = shop(BETTER + '\n[champion]\nversion = "card-7"\ntrained_through = "2026-01-06"')
    here = Judged(one, model_version="card-7", score=0.5)
    verdict = here.asked(one.scored(here.scores(0.95, 1)))
    seen = sum(at <= 5 for at in here.known["at"])
    assert verdict.rows == N - seen
    assert f"{seen} holdout rows left out: the champion was trained on it." in verdict.notes
    assert not any("not declared" in note for note in verdict.notes)


def test_without_any_champion_only_absolute_gates_decide(shop: Open) -> None:
    here = Judged(shop(BETTER))
    verdict = here.asked(here.one.scored(here.scores(0.6, 1)))
    assert (verdict.decision, verdict.champion) == ("promote", None)
    assert "There is no champion yet: only absolute gates decide." in verdict.notes


def test_a_champion_whose_answers_are_not_there_is_not_beaten_by_default(shop: Open) -> None:
    """Its records call it otherwise: nothing can be compared, so nothing is promoted."""
    here = Judged(shop(BETTER), score=0.5, model_version="a name of theirs")
    champion = here.one.crowned(here.one.scored({}))
    verdict = here.asked(here.one.scored(here.scores(0.9, 1)))
    assert (verdict.decision, verdict.champion, verdict.rows) == ("hold", champion.id, N)
    unheard = f"no answer of the champion {champion.id} is known for these rows: log its predictions with model_version"
    assert verdict.reason.startswith(f"better: {unheard} '{champion.id}'")
    assert any(note.startswith(f"Not compared: {unheard}") for note in verdict.notes)


def test_nor_is_one_that_is_declared_and_never_heard(shop: Open) -> None:
    declared = '[champion]\nversion = "card-7"'
    gates = (
        '[evaluate]\nmetric = "accuracy"\ngates = [{ check = "better" }, { check = "no_segment_worse" }]\n'
    )
    here = Judged(shop(gates + declared), score=0.5, model_version="card-6")
    verdict = here.asked(here.one.scored(here.scores(0.9, 1)))
    assert [check.decision for check in verdict.checks] == ["hold", "hold"]
    assert (verdict.decision, verdict.champion) == ("hold", "card-7")
    assert "log its predictions with model_version 'card-7' ([schema] model_version)" in verdict.reason
    assert "or take [champion] version out" in verdict.reason


def test_a_declared_champion_is_not_replaced_before_there_is_a_row_to_compare_it_on(shop: Open) -> None:
    one = shop(BETTER + '\n[champion]\nversion = "card-7"')
    one.sales(50, holdout=0.0)
    verdict = judge(one.ws, one.scored({"s00001": 0.5}), "c1", one.until(11))
    assert (verdict.decision, verdict.reason[:36]) == ("hold", "better: 0 judged rows, 100 are wante")


def test_no_rows_hold(shop: Open) -> None:
    one = shop('[evaluate]\ngates = [{ check = "minimum", metric = "auc", value = 0.5 }]')
    one.sales(50, holdout=0.0)
    verdict = judge(one.ws, one.scored({"s00001": 0.5}), "c1", one.until(11))
    assert (verdict.decision, verdict.rows, verdict.metrics) == ("hold", 0, {})


def test_a_cycle_looks_once_and_each_look_counts(shop: Open) -> None:
    here = Judged(shop(BETTER))
    here.crowned(here.scores(0.6, 1))
    challenger = here.one.scored(here.scores(0.65, 2))
    first = here.asked(challenger, "c1")
    assert here.asked(challenger, "c1") == first
    assert verdicts.looks(here.one.ws.ledger, "shop") == 1
    lows = [first.checks[0].low, *(here.asked(challenger, f"c{n}").checks[0].low for n in range(2, 6))]
    assert lows == sorted(lows, reverse=True), "each look at the same rows is stricter"
    assert len(set(lows)) == 5
    assert verdicts.of_challenger(here.one.ws.ledger, "shop", challenger.id) == here.asked(challenger, "c5")


def spent(here: Judged, challenger: ModelVersion, cycle: str) -> tuple[int, float]:
    """Looks that one more verdict makes of them, and what its checks took from the error budget of 0.05."""
    verdict = here.asked(challenger, cycle)
    return verdicts.looks(here.one.ws.ledger, "shop"), sum(check.spent for check in verdict.checks)


def test_a_look_that_could_not_promote_spends_nothing(shop: Open) -> None:
    """Without a champion nothing is compared; of a champion that answered 50 rows too little is known."""
    here = Judged(shop(BETTER))
    challenger = here.one.scored(here.scores(0.8, 2))
    assert [spent(here, challenger, f"none{n}") for n in range(3)] == [(0, 0.0)] * 3
    champion = here.crowned(dict(list(here.scores(0.6, 1).items())[:50]))
    here.as_of = here.one.until(12)
    assert here.asked(challenger, "few").checks[0].rows_needed == 50
    assert spent(here, challenger, "few again") == (0, 0.0)
    told = dict(list(here.scores(0.6, 1).items())[50:])
    at = dict(zip(here.known["id"], here.known["at"], strict=True))
    here.one.predicts(
        list(told),
        [at[i] for i in told],
        score=list(told.values()),
        model_version=champion.id,
        split="holdout",
    )
    here.as_of = here.one.until(13)
    assert spent(here, challenger, "many") == (1, 0.025)
    assert spent(here, challenger, "more") == (2, pytest.approx(0.05 / 6))


def test_a_floor_that_is_asked_spends_as_a_comparison_does(shop: Open) -> None:
    here = Judged(shop('[evaluate]\ngates = [{ check = "minimum", metric = "accuracy", value = 0.8 }]'))
    challenger = here.one.scored(here.scores(0.8, 2))
    first, second = here.asked(challenger, "c1").checks[0], here.asked(challenger, "c2").checks[0]
    assert (first.spent, second.spent) == (0.025, pytest.approx(0.05 / 6))
    assert first.low is not None
    assert second.low is not None
    assert second.low < first.low


def test_checks_that_refuse_only_what_is_proven_bad_spend_nothing(shop: Open) -> None:
    gates = '[evaluate]\ngates = [{ check = "calibrated" }, { check = "no_segment_worse" }, { check = "cost", value = 1 }]'
    here = Judged(shop(gates, schema='segments = ["place"]'), cost_usd=0.02)
    here.crowned(here.scores(0.6, 1))
    assert spent(here, here.one.scored(here.scores(0.8, 2)), "c1") == (0, 0.0)


def test_own_function_and_own_metric_from_a_module_beside_the_spec(shop: Open, tmp_path: Path) -> None:
    (tmp_path / "shop_money.py").write_text(
        "import numpy as np\n"
        "from whorl import Check\n"
        "def money(truth, said, weight=None):\n"
        "    gain = np.where(np.asarray(said) >= 0.5, np.where(np.asarray(truth) == 1, 10.0, -20.0), 0.0)\n"
        "    return float(np.average(gain, weights=weight))\n"
        "def no_panic(trial):\n"
        "    share = float((trial.challenger >= 0.5).mean())\n"
        "    return Check(check='no_panic', decision='promote' if share < 0.7 else 'reject', message=f'{share:.0%} flagged')\n"
        "def nothing(trial):\n"
        "    return True\n"
    )
    sections = ('[evaluate]\nmetric = "shop_money:money"\ngates = [{ check = "better" }, '
                '{ check = "function", function = "shop_money:no_panic" }]')  # fmt: skip
    here = Judged(shop(sections, beside=tmp_path))
    here.crowned(here.scores(0.6, 1))
    verdict = here.asked(here.one.scored(here.scores(0.95, 2)))
    assert [(c.check, c.decision) for c in verdict.checks] == [("better", "promote"), ("no_panic", "promote")]
    assert verdict.metrics["shop_money:money"]["challenger"]["value"] > 0
    everybody = dict.fromkeys(here.known["id"], 0.9)
    panic = here.asked(here.one.scored(everybody), "c2")
    assert (panic.checks[1].message, panic.checks[1].decision) == ("100% flagged", "reject")
    assert panic.decision == "reject"
    other = Judged(
        shop('[evaluate]\ngates = [{ check = "function", function = "shop_money:nothing" }]', beside=tmp_path)
    )
    with pytest.raises(SpecError, match="shop_money:nothing answered bool"):
        other.asked(other.one.scored(other.scores(0.9)))


def test_golden_rows_of_a_set_decide(shop: Open) -> None:
    sections = '[curate.golden]\nname = "sacred"\nrows = 20\n[evaluate]\ngates = [{ check = "golden" }]'
    from whorl.datasets.named import declared_golden_set

    here = Judged(shop(sections))
    verdict = here.asked(here.one.scored(here.scores(0.5, 1)), "c0")
    assert (verdict.decision, verdict.checks[0].rows) == ("promote", 0)
    declared_golden_set(here.one.ws, here.as_of)
    assert here.asked(here.one.scored(here.scores(1.0)), "c1").decision == "promote"
    wrong = here.asked(here.one.scored(here.scores(0.5, 1)), "c2")
    assert wrong.decision == "reject"
    assert "of 20 golden rows wrong, such as s00" in wrong.reason


COMPARED = ('[curate.golden]\nrows = 200\n[evaluate]\nmetric = "accuracy"\n'
            'gates = [{ check = "golden", metric = "accuracy" }]')  # fmt: skip


def test_golden_rows_are_compared_with_what_the_champion_logged_for_them(shop: Open) -> None:
    from whorl.datasets.named import declared_golden_set

    here = Judged(shop(COMPARED))
    declared_golden_set(here.one.ws, here.as_of)
    here.crowned(dict(list(here.scores(0.9, 1).items())[:390]))
    here.as_of = here.one.until(12)
    worse = here.asked(here.one.scored(here.scores(0.6, 2)), "c1").checks[0]
    assert (worse.check, worse.decision) == ("golden", "reject")
    assert 190 <= worse.rows < 200, "rows that the champion left out are left out for both"
    assert here.asked(here.one.scored(here.scores(1.0)), "c2").decision == "promote"


@pytest.mark.parametrize("named", ["registered", "declared", "neither"])
def test_a_champion_that_answered_no_golden_row_is_not_beaten_on_them(shop: Open, named: str) -> None:
    """Golden rows are older than the champion: nothing is known of what it says of them."""
    from whorl.datasets.named import declared_golden_set

    declared = '\n[champion]\nversion = "card-7"' if named == "declared" else ""
    here = Judged(shop(COMPARED + declared))
    declared_golden_set(here.one.ws, here.as_of)
    version = "card-7"
    if named == "registered":
        version = here.one.crowned(here.one.scored({})).id
    later = here.one.sales(N, name="later", split="holdout", score=0.5, model_version=version)
    here.as_of = here.one.until(12)
    scores = {**here.scores(0.9, 1), **dict.fromkeys(later["id"], 0.9)}
    check = here.asked(here.one.scored(scores)).checks[0]
    assert (check.check, check.decision) == ("golden", "hold")
    assert check.message.startswith("no answer of the champion ")


def test_a_golden_set_that_nobody_made_is_an_error(shop: Open) -> None:
    here = Judged(shop('[evaluate]\ngates = [{ check = "golden", dataset = "sacred" }]'))
    with pytest.raises(NotFound, match="There is no golden dataset 'sacred'"):
        here.asked(here.one.scored(here.scores(0.9)))


def test_latency_and_cost_are_measured(
    shop: Open, constant_model: Callable[..., Path], tmp_path: Path
) -> None:
    one = shop('[evaluate]\ngates = [{ check = "latency", value = 60000 }, { check = "cost", value = 0.01 }]')
    here = Judged(one, cost_usd=0.02)
    folder = constant_model(tmp_path / "model", one.ws.spec, 0.4)
    verdict = here.asked(one.ws.registry.register(folder, trainer="test", digest=folder_digest(folder)))
    latency, cost = verdict.checks
    assert latency.decision == "promote"
    assert latency.value is not None
    assert latency.value > 0
    assert (cost.decision, cost.value) == ("reject", pytest.approx(0.02))


def test_many_classes(shop: Open) -> None:
    sections = '[evaluate]\nmetric = "log_loss"\ngates = [{ check = "better" }]'
    one = shop(sections, head='task = "multiclass"')
    random, classes = np.random.default_rng(0), ["a", "b", "c"]
    ids = [f"r{i:03d}" for i in range(300)]
    truth = random.choice(classes, 300)
    one.predicts(ids, split="holdout")
    one.learns(ids, truth.tolist())

    def side(sure: float) -> dict[str, dict[str, float]]:
        return {
            i: {c: sure if c == t else (1 - sure) / 2 for c in classes}
            for i, t in zip(ids, truth, strict=True)
        }

    def logged(said: dict[str, dict[str, float]], of: Shop) -> None:
        version = of.crowned(of.scored({}))
        rows = [list(scores.items()) for scores in said.values()]
        of.predicts(list(said), split="holdout", scores=rows, model_version=version.id)

    logged(side(0.5), one)
    verdict = judge(one.ws, one.scored(side(0.8)), "c1", one.until(3))
    assert verdict.decision == "promote"
    assert verdict.metrics["log_loss"]["challenger"]["value"] == pytest.approx(-np.log(0.8))
    assert verdict.metrics["log_loss"]["champion"]["value"] == pytest.approx(-np.log(0.5))
