"""The validation set is overfitted by choosing: the best of many looks better than it is.

K models that are all right with probability 0.9, measured on 1,000 validation rows each: the best of 10 is expected to
show 0.914, of 100 0.923, of 1,000 0.929, and a fresh test set reads 0.900 again. Nothing was trained on the validation
rows; taking the maximum is enough. The excess grows like sqrt(2 ln K) standard errors, of 0.0095 here: slowly, but
without end, and only more rows make it smaller.

The same happens with real settings, though less: their errors are on the same hard pictures, and better settings are
truly better. To measure it fairly, 720 held-out rows are halved at random again and again, the winner is chosen on one
half and read on the other: a single split would mostly show which half happens to be easier. The remedy is a test set
that is opened once, at the end; optlab seals it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from optlab.gallery import Setup, line, main, save
from optlab.gallery._settings import settings
from optlab.verdict import Verdict, at_most

TITLE = "Validation against test: the winner loses points"
SOURCE = "deck, In practice; post, Overfitting; numbers of the theory exact"
TRY = "Set ROWS = 100 in the theory: the best of 100 equal models then shows 0.97 in place of 0.92."
DATA = "digits"

TRUE, ROWS = 0.9, 1000
MODELS = {10: 0.9143, 100: 0.9230, 1000: 0.9294}  # expected best
REPEATS = {10: 20_000, 100: 20_000, 1000: 4000}
CHOSEN_FROM, HALVINGS = (8, 60, 400), 1000
MOST = 1.5  # points; 0.6 for each n in an independent program, on one split with a standard error of about 0.9
SEARCHES = 10  # in each halving, of so many settings


def best_of(models: int) -> float:
    """E[max of K] of Binomial(ROWS, TRUE) / ROWS: the sum over k of 1 - F(k)^K."""
    from scipy.stats import binom

    return float((1 - binom.cdf(np.arange(ROWS), ROWS, TRUE) ** models).sum() / ROWS)


def run(setup: Setup) -> dict[str, Any]:
    """Equal models, drawn; the settings, chosen on one half of the held-out rows and read on the other."""
    rng = np.random.default_rng([setup.seed, 4])
    shown = {}
    for models, repeats in REPEATS.items():
        repeats = repeats // 20 if setup.fast else repeats
        shown[models] = np.array([rng.binomial(ROWS, TRUE, models).max() for _ in range(repeats)]) / ROWS
    table = settings(setup)
    right = np.concatenate([table.right_val, table.right_test], axis=1)
    rows, halves = right.shape[1], table.right_val.shape[1]
    chosen: dict[int, list[tuple[float, float]]] = {n: [] for n in CHOSEN_FROM if n <= len(right)}
    for _ in range(HALVINGS // 20 if setup.fast else HALVINGS):
        order = rng.permutation(rows)
        val, test = right[:, order[:halves]].mean(1), right[:, order[halves:]].mean(1)
        for n, pairs in chosen.items():
            for _ in range(SEARCHES if n < len(right) else 1):
                tried = rng.permutation(len(right))[:n]
                winner = tried[val[tried].argmax()]
                pairs.append((float(val[winner]), float(test[winner])))
    best = int(table.val_accuracy.argmax())
    return {
        "shown": shown,
        "expected": {models: best_of(models) for models in MODELS},
        "chosen": {n: np.array(pairs) for n, pairs in chosen.items()},
        "split": (float(table.val_accuracy[best]), float(table.test_accuracy[best])),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Theory, by formula and by drawing; its bound; what the winner of n settings loses."""
    expected, shown = data["expected"], data["shown"]
    off = max(abs(expected[k] - value) for k, value in MODELS.items())
    drawn = max(abs(float(shown[k].mean()) - value) for k, value in MODELS.items())
    spread = float(np.sqrt(TRUE * (1 - TRUE) / ROWS))
    over = max(expected[k] - TRUE - spread * np.sqrt(2 * np.log(k)) for k in MODELS)
    losses = {n: 100 * float(np.diff(-pairs, axis=1).mean()) for n, pairs in data["chosen"].items()}
    lost = list(losses.values())
    return [
        at_most(
            "val-overfit",
            "the best of 10, 100 and 1,000 equal models of accuracy 0.9 shows 0.9143, 0.9230 and 0.9294 on 1,000 rows",
            off,
            1e-4,
            "largest difference of the exact expectation; a test set reads 0.900 each time",
        ),
        at_most("val-overfit:drawn", "and so it is when they are drawn", drawn, 5e-4),
        at_most("val-overfit:bound", "the excess is below sqrt(2 ln K) standard errors", over, 0.0),
        Verdict(
            "val-overfit:settings",
            "the winner of 8, 60 or 400 settings loses points from validation to test; of 400 more than of 8",
            {n: round(loss, 2) for n, loss in losses.items()},
            f"0 to {MOST} points, rising",
            bool(min(lost) > 0 and lost[0] < lost[-1] and max(lost) <= MOST),
            f"means over {HALVINGS} halvings of the held-out rows; on the first split alone the best of all has "
            f"{data['split'][0]:.4f} and then {data['split'][1]:.4f}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """What equal models show; winners on the half they were chosen on against the other half."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    for i, (models, values) in enumerate(data["shown"].items()):
        at, counts = np.unique(values, return_counts=True)
        left.plot(at, counts / counts.sum(), **line(i), label=f"best of {models:,}")
    left.axvline(TRUE, color="black", linewidth=1.2)
    left.text(TRUE, 0.97, " the truth, and any test set's mean", transform=left.get_xaxis_transform(), va="top")
    left.set(xlabel=f"validation accuracy on {ROWS:,} rows", ylabel="probability", xlim=(0.895, 0.95))
    left.set_title(f"equal models, all {TRUE}: what the best one shows")
    left.legend()
    left.grid(alpha=0.3)
    means = np.array([100 * pairs.mean(0) for pairs in data["chosen"].values()])  # a row of validation and test each
    at = np.arange(len(means))
    right.vlines(at, means.min(1), means.max(1), color="grey", linewidth=1)
    for i, kind in enumerate(("validation, on which it was chosen", "test")):
        right.plot(at, means[:, i], "os"[i], color=COLORS[i], markersize=8, label=kind)
        for x, mean in zip(at, means[:, i], strict=True):
            right.annotate(f"{mean:.1f}", (x, mean), (8, 0), textcoords="offset points", va="center")
    right.set_xticks(at, [f"best of {n}" for n in data["chosen"]])
    right.set(ylabel="mean accuracy, %", title="real settings: the winner loses points", xlim=(-0.5, len(means) - 0.3))
    right.margins(y=0.2)
    right.grid(alpha=0.3, axis="y")
    right.legend(loc="upper left")
    return save(fig, out, "val-overfit")


if __name__ == "__main__":
    main("val-overfit")
