"""If there is time to tune one hyperparameter only, tune the learning rate: it carries most of the variance.

400 random settings of rate, batch size, depth, width, momentum and L2 are trained. How much of the variance of the
accuracy does each parameter explain by itself? Var(E[accuracy | parameter]) / Var(accuracy), its first-order share. Two
estimates: a random forest is fitted to the settings, and E[... | parameter] is its prediction averaged over all other
parameters (as in Hutter et al. 2014); `Study.importance` bins the trials themselves. The forest's shares are of what it
can predict, the study's of everything, so the second also counts interactions and noise in the total and is lower.

Look for: rates from about 0.01 to 0.3 are good with nearly any of the other values; outside nothing helps. The trap is
the range: a share belongs to the space. Between 0.01 and 0.1 it hardly matters, width and batch size do.
"""

from pathlib import Path
from typing import Any

import numpy as np

from optlab.gallery import Setup, main, save
from optlab.gallery._settings import SPACE, settings
from optlab.verdict import Verdict, at_least, equals

TITLE = "Which hyperparameter matters: the learning rate first"
SOURCE = "deck, Learning rate (Deep Learning book 11.4: if you have time to tune only one); post, Challenges"
TRY = "Set NARROW to (1e-2, 1.0): the rate leads again. The narrower a range, the less its parameter seems to matter."
DATA = "digits"

NARROW = (0.01, 0.1)  # rates of the second look: one decade amid the good ones
TREES, LEVELS = 300, 16


def encoded(params: list[dict[str, Any]]) -> np.ndarray:
    """(n, parameters): places in the unit cube, on the scale of each range."""
    return np.array([SPACE.encode(p) for p in params])


def forest_shares(x: np.ndarray, y: np.ndarray, trees: int, seed: int) -> tuple[dict[str, float], float]:
    """First-order share of variance of each parameter by a random forest; its out-of-bag R^2."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(trees, oob_score=True, random_state=seed).fit(x, y)
    total, shares = forest.predict(x).var(), {}
    for column, name in enumerate(SPACE):
        # the values that the parameter took, in groups of equal size, each put into every setting
        levels = np.unique(np.quantile(x[:, column], (np.arange(LEVELS) + 0.5) / LEVELS, method="nearest"))
        weights = np.bincount(np.abs(x[:, column, None] - levels).argmin(1), minlength=len(levels))
        everywhere = np.repeat(x[None], len(levels), 0)
        everywhere[:, :, column] = levels[:, None]
        means = forest.predict(everywhere.reshape(-1, x.shape[1])).reshape(len(levels), -1).mean(1)
        shares[name] = float(np.cov(means, fweights=weights, ddof=0) / total)
    return dict(sorted(shares.items(), key=lambda item: -item[1])), float(forest.oob_score_)


def run(setup: Setup) -> dict[str, Any]:
    """The settings, their accuracy, and the shares by forest and by study; the same for a narrow range of rates."""
    table = settings(setup)
    x, trees = encoded(table.params), 30 if setup.fast else TREES
    shares, r2 = forest_shares(x, table.val_accuracy, trees, setup.seed)
    lr = np.array([p["lr"] for p in table.params])
    near = (lr >= NARROW[0]) & (lr <= NARROW[1])
    narrow, _ = forest_shares(x[near], table.val_accuracy[near], trees, setup.seed)
    return {
        "params": {name: np.array([p[name] for p in table.params]) for name in SPACE},
        "accuracy": table.val_accuracy,
        "forest": shares,
        "r2": r2,
        "study": table.study.importance(),
        "narrow": narrow,
        "near": int(near.sum()),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The rate is first, with more than half; the study agrees; in a narrow range it is not."""
    forest, study, narrow = data["forest"], data["study"], data["narrow"]
    show = {name: round(share, 3) for name, share in forest.items()}
    ahead = sorted(study.values())[-2:]
    return [
        at_least(
            "lr-first",
            "the learning rate alone explains more than half of the variance of the accuracy",
            forest["lr"],
            0.5,
            f"forest of {TREES} trees, out-of-bag R^2 {data['r2']:.2f}; shares {show}",
        ),
        equals("lr-first:order", "it is first of all six", next(iter(forest)), "lr"),
        Verdict(
            "lr-first:study",
            "`Study.importance`, without a forest, also has it first, and with more than all others together",
            {name: round(share, 3) for name, share in study.items()},
            "lr > the sum of the rest",
            bool(study["lr"] > sum(study.values()) - study["lr"]),
            f"the next has {ahead[0]:.3f}; what is missing to 1 are interactions and noise",
        ),
        at_least(
            "lr-first:range",
            "a share belongs to the range: with rates from 0.01 to 0.1 the rate's falls to less than half of that",
            forest["lr"] / max(narrow["lr"], 1e-9),
            2,
            f"{narrow['lr']:.3f} of {data['near']} settings there; first is {next(iter(narrow))}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Accuracy against each parameter; the shares."""
    from optlab.viz.style import COLORS, figure

    labels = {"lr": "learning rate", "log2_batch": "log2 batch size", "log2_width": "log2 width", "l2": "L2"}
    fig = figure(size=(12.0, 6.0))
    panels = fig.subplots(2, 3, sharey=True)
    rng = np.random.default_rng(0)
    for ax, (name, values) in zip(panels.flat, data["params"].items(), strict=True):
        log = name in ("lr", "l2")
        jitter = 0.0 if log else 0.12 * np.ptp(values) / len(np.unique(values)) * rng.uniform(-1, 1, len(values))
        ax.plot(
            values + jitter,
            data["accuracy"],
            "o",
            color=COLORS[1] if name == "lr" else COLORS[0],
            markersize=3,
            alpha=0.6,
        )
        ax.set(xlabel=labels.get(name, name), xscale="log" if log else "linear", ylim=(0, 1.02))
        ax.set_title(f"explains {max(data['forest'][name], 0):.0%}")
        ax.grid(alpha=0.3)
    for ax in panels[:, 0]:
        ax.set_ylabel("validation accuracy")
    bars = figure(size=(9.0, 4.2))
    ax = bars.add_subplot()
    names = list(data["forest"])
    series = {
        "forest": data["forest"],
        "Study.importance": data["study"],
        f"forest, rates {NARROW[0]}-{NARROW[1]}": data["narrow"],
    }
    for i, (label, shares) in enumerate(series.items()):
        heights = [shares.get(n, 0.0) for n in names]
        ax.bar(np.arange(len(names)) + 0.27 * (i - 1), heights, 0.25, color=COLORS[i], label=label)
    ax.set_xticks(range(len(names)), [labels.get(n, n) for n in names])
    ax.set(ylabel="share of the variance", title="first-order shares: the rate first, as long as its range is wide")
    ax.legend()
    return save(fig, out, "lr-first") + save(bars, out, "lr-first-shares")


if __name__ == "__main__":
    main("lr-first")
