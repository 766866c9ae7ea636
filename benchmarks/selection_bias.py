"""Figures from selective answers: another policy's click rate from one policy's log, and a model's accuracy from those who answer.

Open bandit (open_bandit_small: two campaigns, two policies): each log foretells the click rate that the other policy had on
line. Two checks of the intervals, since each log is one draw. *Halves*: 200 times, half of one log foretells the rate of half
of the other; the difference is covered when its interval (both sides' uncertainty, by squared distances of the bounds) holds
0. *Simulated logs*: days, positions and each action's propensity by day (with the spread around it) are those of the real log;
click rates of actions are drawn from the gamma posterior of both logs' counts, so the truth is known; 300 logs a direction.
The other policy's propensities are its shares by action and day, without its clicks. Rows are a sample of what the policy
learnt from, so weights are averaged within actions (`stats/answering/off_policy.py`). Beside it: plain IPS, mean +/- 1.96 standard
errors, and IPS with the same kind of interval as ours.

Feedback (20 biases, `FEEDBACKS`): a model's accuracy on 3,000 rows of which some answer, with 150 rows asked at random. 14 are
missing at random with overlap; 3 lack overlap (a kind of row that never answers, or one row in twelve with less than a twentieth
of the mean chance); 3 go by the truth itself. Beside it: plain IPS with the true chances. A refusal where a figure was possible
is counted too.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from report import Figure, data_folder, options, report
from whorl.examples.answering import boosted_chances
from whorl.stats.answering.off_policy import off_policy_rate
from whorl.stats.answering.score_regressors import score_regressors
from whorl.stats.answering.selective_answers import answered_mean, goes_by_truth, selective_answers
from whorl.stats.calibration.logistic_line import sigmoid
from whorl.stats.intervals.estimate import Estimate

Floats = npt.NDArray[np.float64]
ROWS, ASKED = 3000, 150


class Log(NamedTuple):
    """Rows (n,) of a policy: day, action, propensity, click; and the shares of actions by day (days, actions)."""

    day: npt.NDArray[np.intp]
    action: npt.NDArray[np.intp]
    propensity: Floats
    click: Floats
    shares: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> "Log":
        return Log(self.day[rows], self.action[rows], self.propensity[rows], self.click[rows], self.shares)


def read(policy: str, campaign: str) -> Log:
    rows = pd.read_parquet(data_folder("open_bandit_small") / f"{policy}_{campaign}.parquet")
    day = rows["timestamp"].astype(str).str[:10].astype("category").cat.codes.to_numpy(np.intp)
    action = rows["item_id"].to_numpy(np.intp)
    actions = 34 if campaign == "men" else 46
    if policy == "random":
        shares = np.full((day.max() + 1, actions), 1 / actions)
    else:
        shares = np.zeros((day.max() + 1, actions))
        np.add.at(shares, (day, action), 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
    propensity = rows["propensity_score"].to_numpy(np.float64)
    return Log(day, action, propensity, rows["click"].to_numpy(np.float64), shares)


def ips(value: Floats, weight: Floats) -> Estimate:
    """Plain inverse propensity scoring: mean of weight x value, +/- 1.96 standard errors."""
    terms = weight * value
    error = 1.96 * float(terms.std(ddof=1)) / sqrt(len(terms))
    mean = float(terms.mean())
    return Estimate(mean, mean - error, mean + error, len(terms))


class Judged(NamedTuple):
    """Of one repeat: whether each interval covers, and how long it is."""

    ours: bool
    width: float
    plain: bool
    plain_width: float
    same: bool
    same_width: float


def judged(log: Log, target: Floats, covers: Callable[[Estimate], bool]) -> Judged | None:
    """None where the estimate is refused."""
    told = off_policy_rate(log.click, log.propensity, target, log.action)
    if told.refusal:
        return None
    plain = ips(log.click, target / log.propensity)
    # The same interval around rows' own weights, uncapped: what averaging within actions is worth.
    own = off_policy_rate(log.click, log.propensity, target, cap=1e9).estimate
    own = plain if np.isnan(own.low) else own
    return Judged(
        covers(told.estimate), told.estimate.high - told.estimate.low,
        covers(plain), plain.high - plain.low, covers(own), own.high - own.low,
    )  # fmt: skip


def halves(log: Log, other: Log, repeats: int) -> list[Judged | None]:
    found = []
    for repeat in range(repeats):
        random = np.random.default_rng(10_000 + repeat)
        rows = random.permutation(len(log.click))[: len(log.click) // 2]
        half = log.take(rows)
        truth = other.click[random.permutation(len(other.click))[: len(other.click) // 2]]
        on_line = off_policy_rate(truth, np.ones(len(truth)), np.ones(len(truth))).estimate

        def covers(found: Estimate, on_line: Estimate = on_line) -> bool:
            """Newcombe's interval of a difference: squared distances of the bounds that face each other add up."""
            off = found.value - on_line.value
            if off > 0:
                return off <= sqrt((found.value - found.low) ** 2 + (on_line.high - on_line.value) ** 2)
            return -off <= sqrt((found.high - found.value) ** 2 + (on_line.value - on_line.low) ** 2)

        found.append(judged(half, other.shares[half.day, half.action], covers))
    return found


def simulated(log: Log, other: Log, repeats: int) -> list[Judged | None]:
    """Logs with known click rates: propensities by day and action as logged, spread as logged, an hour at a time."""
    spread = _spread(log)
    clicks, shown = (np.bincount(np.concatenate([log.action, other.action]), weights, minlength=log.shares.shape[1])
                     for weights in (np.concatenate([log.click, other.click]), None))  # fmt: skip
    mean = clicks.sum() / shown.sum()
    found = []
    for repeat in range(repeats):
        random = np.random.default_rng(20_000 + repeat)
        rate = random.gamma(clicks + 2.0, 1 / (shown + 2.0 / mean))
        hour = random.integers(0, 24, len(log.day)) + 24 * log.day
        chances = (log.shares + 0.02 / len(log.shares[0]))[np.arange(hour.max() + 1) // 24]
        chances = chances * np.exp(random.normal(0, spread, chances.shape))
        chances /= chances.sum(axis=1, keepdims=True)
        ends = chances.cumsum(axis=1)
        action = (random.random(len(hour))[:, None] > ends[hour]).sum(axis=1).clip(max=chances.shape[1] - 1)
        click = (random.random(len(hour)) < rate[action]).astype(np.float64)
        made = Log(log.day, action, chances[hour, action], click, log.shares)
        truth = float((other.shares[log.day] @ rate).mean())
        found.append(
            judged(made, other.shares[log.day, action], lambda e, t=truth: bool(e.low <= t <= e.high))
        )
    return found


def _spread(log: Log) -> float:
    """Standard deviation of the logarithm of a propensity about that of its action and day; 0 for a policy that stands still."""
    cell = log.day * log.shares.shape[1] + log.action
    logs = np.log(log.propensity)
    mean = np.bincount(cell, logs) / np.maximum(np.bincount(cell), 1)
    return float((logs - mean[cell]).std())


class Rows(NamedTuple):
    """What is known of rows: three features, a segment, the model's score; and the truth, and whether the model is right."""

    x: Floats
    segment: npt.NDArray[np.intp]
    logit: Floats
    score: Floats
    truth: Floats
    hit: Floats

    @property
    def sure(self) -> Floats:
        return np.abs(2 * self.score - 1)


def rows_of(random: np.random.Generator) -> Rows:
    x, segment = random.normal(size=(ROWS, 3)), random.integers(0, 4, ROWS)
    logit = 1.2 * x[:, 0] - 0.8 * x[:, 1] + 0.5 * (segment == 2)
    truth = random.random(ROWS) < sigmoid(logit + 0.5 * x[:, 2] * (segment == 1))
    score = sigmoid(1.3 * logit)
    hit = (score >= 0.5) == truth
    return Rows(x, segment, logit, score, truth.astype(np.float64), hit.astype(np.float64))


# Name: (the chance that each row answers, whether it must be refused).
FEEDBACKS: dict[str, tuple[Callable[[Rows], Floats], bool]] = {
    "at random": (lambda _: np.full(ROWS, 0.27), False),
    "one in twenty": (lambda _: np.full(ROWS, 0.05), False),
    "the sure, a little": (lambda r: sigmoid(-1 + (r.sure - 0.6)), False),
    "the sure": (lambda r: sigmoid(-1 + 2.5 * (r.sure - 0.6)), False),
    "the sure, strongly": (lambda r: sigmoid(-1 + 4 * (r.sure - 0.6)), False),
    "the unsure": (lambda r: sigmoid(1 - 3 * r.sure), False),
    "by score": (lambda r: sigmoid(-1 + 0.5 * r.logit), False),
    "by score, more": (lambda r: sigmoid(-1 + 0.9 * r.logit), False),
    "by class said": (lambda r: np.where(r.score >= 0.5, 0.6, 0.15), False),
    "by a feature, a little": (lambda r: sigmoid(-1 + 0.4 * r.x[:, 1]), False),
    "by a feature": (lambda r: sigmoid(-1 + 1.2 * r.x[:, 1]), False),
    "by segment": (lambda r: np.array([0.6, 0.1, 0.3, 0.2])[r.segment], False),
    "by an interaction": (lambda r: sigmoid(-1 + 1.5 * r.x[:, 0] * np.where(r.segment > 1, 1, -1)), False),
    "the outer": (lambda r: 0.1 + 0.6 * (np.abs(r.x[:, 0]) > 1), False),
    "one class said never": (lambda r: np.where(r.score < 0.5, 0.0, 0.5), True),
    "a segment never": (lambda r: np.where(r.segment == 3, 0.0, 0.4), True),
    "by score, steeply": (lambda r: sigmoid(-1 + 2.2 * r.logit), True),
    "who was wronged": (lambda r: np.where(r.hit > 0.5, 0.15, 0.6), True),
    "positives": (lambda r: np.where(r.truth > 0.5, 0.7, 0.1) * np.where(r.hit > 0.5, 1, 0.4), True),
    "truth and score": (lambda r: sigmoid(-1 + r.logit + 1.5 * (r.hit - 0.7)), True),
}


def feedback(name: str, repeat: int) -> tuple[str, Estimate, Estimate, float, float]:
    """Refusal, ours, plain IPS with the true chances, the truth, the mean of those who answered."""
    random = np.random.default_rng(30_000 + repeat)
    rows = rows_of(random)
    chance = FEEDBACKS[name][0](rows)
    answered = random.random(ROWS) < chance
    asked = np.zeros(ROWS, np.bool_)
    asked[random.choice(ROWS, ASKED, replace=False)] = True
    known, columns = score_regressors(rows.score), np.column_stack([rows.x, rows.segment, rows.score])
    how = selective_answers(answered, columns, np.zeros(ROWS), known, learners=(boosted_chances,))
    told = np.where((answered | asked)[:, None], np.column_stack([rows.hit, rows.truth]), np.nan)
    p_truth = goes_by_truth(told, answered, how, known, np.ones(ROWS))
    ours, refusal = answered_mean(
        np.where(answered, rows.hit, np.nan), known, how, p_truth=p_truth, share=True
    )
    plain = ips(rows.hit, np.where(answered, 1 / np.maximum(chance, 1e-9), 0.0))
    return refusal, ours, plain, float(rows.hit.mean()), float(rows.hit[answered].mean())


def of_policies(repeats: int) -> list[Figure]:
    figures, all_halves, all_simulated = [], list[Judged | None](), list[Judged | None]()
    for campaign in ("men", "women"):
        logs = {policy: read(policy, campaign) for policy in ("bts", "random")}
        for here, there in (("bts", "random"), ("random", "bts")):
            log, other = logs[here], logs[there]
            target = other.shares[log.day, log.action]
            told = off_policy_rate(log.click, log.propensity, target, log.action)
            plain = ips(log.click, target / log.propensity)
            on_line = off_policy_rate(
                other.click, np.ones(len(other.click)), np.ones(len(other.click))
            ).estimate
            print(f"{campaign}, {here} -> {there}: {_percent(told.estimate)}, on line {_percent(on_line)}, plain IPS "
                  f"{_percent(plain)}; {told.effective_rows:,.0f} effective rows, unseen {told.unseen:.1%}, by action: "
                  f"{told.by_action} {told.refusal}", flush=True)  # fmt: skip
            name = f"{campaign}, {here} -> {there}"
            half, made = halves(log, other, repeats), simulated(log, other, repeats)
            figures += [*_figures(f"{name}, halves", half), *_figures(f"{name}, simulated", made)]
            all_halves += half
            all_simulated += made
    return [*_figures("all directions, halves", all_halves, 0.93, 1.0),
            *_figures("all directions, simulated logs", all_simulated, 0.93, 1.0), *figures]  # fmt: skip


def _percent(found: Estimate) -> str:
    return f"{found.value:.2%} [{found.low:.2%}, {found.high:.2%}]"


def _figures(
    name: str, found: list[Judged | None], covers: float | None = None, shorter: float | None = None
) -> list[Figure]:
    kept = [one for one in found if one is not None]
    mean = {field: float(np.mean([getattr(one, field) for one in kept])) for field in Judged._fields}
    return [
        Figure(f"{name}: covered (other: plain IPS)", mean["ours"], mean["plain"], covers, at_most=False),
        Figure(
            f"{name}: width (other: plain IPS), ratio", mean["width"] / mean["plain_width"], None, shorter
        ),
        Figure(f"{name}: width by IPS with our interval", mean["width"] / mean["same_width"], mean["same"]),
        Figure(f"{name}: refused", 1 - len(kept) / len(found)),
    ]


def of_feedback(repeats: int) -> list[Figure]:
    figures: list[Figure] = []
    needless, needed, covered, widths = list[float](), list[float](), list[float](), list[float]()
    for name, (_, must) in FEEDBACKS.items():
        found: list[Any] = [feedback(name, repeat) for repeat in range(repeats)]
        refused = [bool(refusal) for refusal, *_ in found]
        (needed if must else needless).append(float(np.mean(refused)))
        told = [one for one in found if not one[0]]
        inside = [ours.low <= truth <= ours.high for _, ours, _, truth, _ in told]
        plain = [each.low <= truth <= each.high for _, _, each, truth, _ in found]
        naive = float(np.mean([answered - truth for *_, truth, answered in found]))
        width = float(np.mean([ours.high - ours.low for _, ours, *_ in told])) if told else float("nan")
        other = float(np.mean([each.high - each.low for _, _, each, *_ in found]))
        print(f"{name:<24} refused {np.mean(refused):.2f}, must: {must}; bias of the answered {naive:+.3f}; covered "
              f"{np.mean(inside) if told else float('nan'):.3f}, IPS {np.mean(plain):.3f}; width {width:.3f}, IPS {other:.3f}",
              flush=True)  # fmt: skip
        if not must:
            covered.append(float(np.mean(inside)))
            widths.append(width / other)
            figures.append(
                Figure(
                    f"{name}: covered (other: plain IPS)",
                    covered[-1],
                    float(np.mean(plain)),
                    0.93,
                    at_most=False,
                )
            )
            figures.append(Figure(f"{name}: width by plain IPS", widths[-1], None, 1.0))
        else:
            figures.append(Figure(f"{name}: refused", needed[-1], None, 0.9, at_most=False))
    return [
        Figure("14 feedback biases: covered, mean", float(np.mean(covered)), None, 0.93, at_most=False),
        Figure("14 feedback biases: greatest width by plain IPS", max(widths), None, 1.0),
        Figure("14 feedback biases: refused needlessly, mean", float(np.mean(needless)), None, 0.05),
        Figure("6 that must be refused: refused, mean", float(np.mean(needed)), None, 0.95, at_most=False),
        *figures,
    ]


def main() -> None:
    chosen = options(__doc__)
    figures = of_policies(20 if chosen.quick else 300)
    figures += of_feedback(5 if chosen.quick else 100)
    report(
        "Figures from selective answers are right within their intervals, or refused", figures, chosen.json
    )


if __name__ == "__main__":
    main()
