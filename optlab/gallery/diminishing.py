"""Diminishing returns: every doubling of the number of trials buys less than the one before.

The best of n random trials has the expected rank n / (n + 1): each doubling halves what is missing, and costs twice as
much. In accuracy it flattens even faster. From N recorded trials, sorted upwards as v_1 .. v_N, the expected best is

    E[best of n] = sum of v_i ((i / N)^n - ((i - 1) / N)^n),

with no further training (Dodge et al. 2019). It is the curve to show when two methods are compared, and the answer to
"how many trials?". What it is not: the curve of one search, which is a staircase; nor a promise beyond N, where it can
only flatten out. `Study.verdict` says what as many trials again would gain.
"""

from pathlib import Path
from typing import Any

import numpy as np

from optlab.gallery import Setup, main, save
from optlab.gallery._settings import expected_best, settings
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Diminishing returns of more trials"
SOURCE = "deck, Diminishing returns: picture not found, inferred; Dodge et al. 2019"
TRY = "Sort the trials by learning rate before the staircase is drawn: a search's own curve depends on its order."
DATA = "digits"

COUNTS = tuple(2**k for k in range(8))
GOLDEN = (0.502, 0.707, 0.875, 0.950, 0.967, 0.972, 0.975, 0.978)  # 400 other settings of an independent program
NEAR = (0.08, 0.08, 0.08, 0.02, 0.015, 0.015, 0.015, 0.015)  # the mean of 400 accuracies has a standard error of 0.02
SEARCHES = 2000


def run(setup: Setup) -> dict[str, Any]:
    """The accuracy of each setting, the expected best of n, and searches drawn from the settings."""
    accuracy = settings(setup).val_accuracy
    rng = np.random.default_rng([setup.seed, 3])
    searches = accuracy[rng.integers(len(accuracy), size=(SEARCHES, max(COUNTS)))]
    return {
        "accuracy": accuracy,
        "expected": expected_best(accuracy, COUNTS),
        "searches": np.maximum.accumulate(searches, axis=1),
        "ranks": expected_best((np.arange(100_000) + 0.5) / 100_000, COUNTS),
        "data": setup.data,
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The curve's shape; the formula against searches and the law of ranks; the table."""
    expected, searches, digits = data["expected"], data["searches"], data["data"] == "digits"
    gains = np.diff(expected)
    at = np.array(COUNTS) - 1
    errors = np.abs(searches[:, at].mean(0) - expected) / (searches[:, at].std(0) / np.sqrt(len(searches)))
    law = np.abs(data["ranks"] - np.array(COUNTS) / (np.array(COUNTS) + 1)).max()
    verdicts = [
        Verdict(
            "diminishing",
            "the expected best rises, and from 2 trials on each doubling gains less than the one before",
            [round(float(g), 4) for g in gains],
            "> 0, falling",
            bool((gains > 0).all() and (np.diff(gains) < 0).all()),
            f"expected best of {list(COUNTS)} trials: {[round(float(e), 4) for e in expected]}",
        ),
        at_least(
            "diminishing:eight",
            "8 trials reach 97% of what 128 do",
            expected[3] / expected[7],
            0.97,
            f"{len(data['accuracy'])} settings tell it to half a point"
            + ": 96.5 to 97.3% by seed, 97.1% in an independent program; the round number stands on the edge" * digits,
        ),
        at_most(
            "diminishing:formula",
            "the formula is the mean of 2,000 searches drawn from the trials",
            float(errors.max()),
            4.5,
            "largest distance in standard errors, over eight numbers of trials",
        ),
        at_most("diminishing:rank", "the best of n has the expected rank n / (n + 1)", float(law), 1e-4),
    ]
    if digits:
        off = np.abs(expected - GOLDEN)
        verdicts.append(
            Verdict(
                "diminishing:table",
                "400 other settings, in an independent program, gave the same curve",
                [round(float(o), 4) for o in off],
                f"<= {list(NEAR)}",
                bool((off <= NEAR).all()),
                "difference at 1 .. 128 trials; wide at first, where the mean of 400 spread accuracies is uncertain",
            )
        )
    return verdicts


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Best so far against trials: expectation, quartiles, one search; what a doubling gains."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    n = np.arange(1, max(COUNTS) + 1)
    low, high = np.percentile(data["searches"], [25, 75], axis=0)
    left.fill_between(n, low, high, color=COLORS[0], alpha=0.2, label="half of all searches")
    left.plot(n, expected_best(data["accuracy"], n), color=COLORS[0], linewidth=2, label="expected best")
    one = np.maximum.accumulate(data["accuracy"][: len(n)])
    left.step(n[: len(one)], one, where="post", color=COLORS[1], linestyle="--", label="one search")
    left.set(xscale="log", xlabel="random trials", ylabel="best validation accuracy so far", ylim=(0.3, 1))
    left.set_xticks(COUNTS, [str(c) for c in COUNTS])
    left.set_title("best so far against the budget")
    left.grid(alpha=0.3)
    left.legend(loc="lower right")
    gains = 100 * np.diff(data["expected"])
    labels = [f"{a}→{2 * a}" for a in COUNTS[:-1]]
    bars = right.bar(labels, gains, color=COLORS[0])
    right.bar_label(bars, fmt="%.1f")
    right.set(xlabel="trials", ylabel="points of accuracy gained", title="what each doubling buys")
    return save(fig, out, "diminishing")


if __name__ == "__main__":
    main("diminishing")
