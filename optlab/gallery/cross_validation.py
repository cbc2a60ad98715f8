"""Cross-validation: five folds in place of one held-out part, and what the average is worth.

With few rows, the score on one held-out fifth depends on which rows were held out. K-fold cross-validation trains k
times, holds every row out once, and takes the mean of the k scores. Were the folds independent, the mean of five would
vary 1 / sqrt(5) = 0.45 times as much as one of them. It varies less: an easy fold leaves the hard rows to the others.

What to look for: both have the same mean; the 5-fold score is much narrower, at five times the cost.

The trap: the spread over splits is not the error of the estimate. The same 300 rows serve every split; other 300 rows
would give another score, however often these are split. And the score is that of a network trained on 240 rows, not on
all 300.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_most

TITLE = "One held-out part or five folds"
SOURCE = "post, Challenges (cross-validation)"
TRY = "Set FOLDS to 10 or ROWS to 1,000: the scores get narrower, ten folds at twice the cost, more rows for free."
DATA = "digits"

ROWS, FOLDS, SPLITS, FAST_SPLITS = 300, 5, 50, 5
EPOCHS, RATE = 30, 0.01


def run(setup: Setup) -> dict[str, Any]:
    """Accuracy on each fold of each split: (splits, folds)."""
    rows = parts(setup)[0].take(ROWS, seed=setup.seed)
    splits = FAST_SPLITS if setup.fast else SPLITS
    scores = []
    for seed in range(setup.seed * 1000, setup.seed * 1000 + splits):
        for train, held in rows.folds(FOLDS, seed=seed):
            model = mlp(train, seed)
            fit(model, train, None, ol.Adam(lr=RATE), epochs=EPOCHS, batch_size=BATCH, seed=seed)
            scores.append(model.evaluate(held).accuracy)
    return {"scores": np.array(scores, float).reshape(splits, FOLDS), "data": setup.data}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The ratio of the two spreads; the two means."""
    scores = data["scores"]
    single, mean = scores[:, 0], scores.mean(axis=1)
    ratio = float(mean.std(ddof=1) / single.std(ddof=1))
    error = float(single.std(ddof=1) / np.sqrt(len(single)))
    return [
        at_most(
            "cross-validation",
            "over splits, the 5-fold score varies less than 0.6 times as much as one held-out fifth",
            ratio,
            0.6,
            f"{data['data']}, {len(scores)} splits: one fifth {single.mean():.3f} ± {single.std(ddof=1):.3f}, 5-fold "
            f"{mean.mean():.3f} ± {mean.std(ddof=1):.3f}; independent folds would give 0.45",
        ),
        Verdict(
            "cross-validation:mean",
            "both have the same mean",
            round(float(single.mean() - mean.mean()), 4),
            f"0 ± {4 * error:.4f}",
            abs(float(single.mean() - mean.mean())) <= 4 * error,
            "four standard errors of the mean of one fifth",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Both scores for every split; their distributions."""
    from optlab.viz.style import COLORS, figure

    scores = data["scores"]
    kinds = {"one fifth held out": scores[:, 0], "mean of five folds": scores.mean(axis=1)}
    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2, width_ratios=(2.0, 1.0), sharey=True)
    bins = np.linspace(scores[:, 0].min() - 0.01, min(scores[:, 0].max() + 0.01, 1.0), 16)
    for i, (name, values) in enumerate(kinds.items()):
        label = f"{name}: {values.mean():.3f} ± {values.std(ddof=1):.3f}"
        left.plot(values, marker="os"[i], linestyle="none", color=COLORS[i], label=label)
        right.hist(values, bins=bins, orientation="horizontal", color=COLORS[i], alpha=0.6)
    left.set(xlabel="split", ylabel="accuracy", title=f"{ROWS} images of {data['data']}, split {len(scores)} times")
    left.legend(fontsize="small", loc="lower left")
    left.grid(alpha=0.3)
    right.set(xlabel="splits", title="the same, counted")
    return save(fig, out, "cross-validation")


if __name__ == "__main__":
    main("cross-validation")
