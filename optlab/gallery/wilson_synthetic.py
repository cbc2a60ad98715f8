"""A problem on which adaptive rules learn the wrong thing: no error in training, every negative wrong in the test.

Least squares with more unknowns than equations has many solutions without training error. Feature 1 is the label y.
Features 2 and 3 are always 1. Each sample also has five features of its own: one is 1 if it is positive, all five if it
is negative. Only feature 1 is of use on new samples; their score is w1 y + w2 + w3, as nobody ever saw their own ones.

From w = 0, SGD and momentum end at the solution of least norm, X'(XX')^-1 y, mostly feature 1. AdaGrad, RMSProp and
Adam move each feature that matters equally far, to sign(X'y) / 4 (lemma 3.1): w1 = w2 = w3 = 1/4, so a negative scores
-1/4 + 1/4 + 1/4 > 0 and is called positive.

Two controls show how narrow the statement is. With an epsilon of 0.01 in place of 1e-8 Adam's errors vanish. So they do
with mini-batches, where the lemma does not apply. The loss here is the mean square, whose gradient is twice the
paper's: epsilons are doubled to act alike.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.gallery._network import fit
from optlab.verdict import Verdict, at_most, equals

TITLE = "Adaptive rules can find the wrong solution"
SOURCE = "deck, Adaptive vs. SGD (the quotation); Wilson et al. 2017, section 3.3"
TRY = (
    "Give a negative sample three features of its own, not five (OWN): adaptive rules then score it 0.01 and not 0.25."
)

POSITIVE, NEGATIVE = 110, 90
LABELS = {"positive": 1, "negative": -1}
OWN, BLOCK = {1: 1, -1: 5}, 5  # how many of the five own features are 1
STEPS = 1000
ADAPTIVE = {"AdaGrad": ol.Adagrad(lr=0.1), "RMSProp": ol.RMSProp(lr=1e-3), "Adam": ol.Adam(lr=1e-2)}
EPSILONS = {1e-8: 0.25, 1e-4: 0.243, 1e-3: 0.183, 3e-3: 0.061, 1e-2: -0.222, 0.1: -0.806}  # score of a negative
BATCHES = {1: 10_000, 20: 5_000}  # rows in a batch -> steps


def features(y: np.ndarray) -> np.ndarray:
    """(n, 3 + 5 n): the label, two ones, and five features of each sample's own."""
    x = np.zeros((len(y), 3 + BLOCK * len(y)))
    x[:, 0], x[:, 1:3] = y, 1.0
    for i, label in enumerate(y):
        x[i, 3 + BLOCK * i :][: OWN[int(label)]] = 1.0
    return x


def trained(x: np.ndarray, y: np.ndarray, rule: ol.Settings, steps: int, batch: int, seed: int) -> np.ndarray:
    """Least squares from w = 0; mini-batches end with a rate of 0, or w would go on jumping."""
    line = ol.nn.Linear(x.shape[1], 1, bias=False, init="zeros", dtype="float64")
    model, rows = ol.nn.Sequential(line), (x, y[:, None])
    schedule = ol.schedules.Cosine() if batch < len(y) else None
    fit(model, rows, rule=rule, steps=steps, batch_size=batch, seed=seed, schedule=schedule)
    w: np.ndarray = line.weight.data[:, 0].copy()
    return w


def run(setup: Setup) -> dict[str, Any]:
    """Every rule with all rows in a step; then both controls."""
    y = np.random.default_rng(setup.seed).permutation(np.repeat([1.0, -1.0], [POSITIVE, NEGATIVE]))
    x = features(y)
    rate = 0.5 / np.linalg.eigvalsh(x @ x.T / len(y))[-1]  # 1 / largest curvature
    rules = {"SGD": ol.SGD(lr=rate), "heavy ball": ol.Momentum(lr=rate, beta=0.9), **ADAPTIVE}
    slow = {"SGD": ol.SGD(lr=0.05), **ADAPTIVE, "Adam": ol.Adam(lr=1e-3)}
    short = 10 if setup.fast else 1

    def train(rule: ol.Settings, steps: int = STEPS, batch: int = len(y)) -> np.ndarray:
        return trained(x, y, rule, steps // short, batch, setup.seed)

    return {
        "problem": (x, y),
        "full": {name: train(rule) for name, rule in rules.items()},
        "epsilon": {e: train(ol.Adam(lr=1e-2, eps=2 * e)) for e in EPSILONS},
        "batches": {
            f"{name}, batch {batch}": train(rule, steps, batch)
            for batch, steps in BATCHES.items()
            for name, rule in slow.items()
        },
    }


def wrong(w: np.ndarray) -> str:
    """Which new samples get a score of the wrong sign."""
    return " and ".join(name + "s" for name, label in LABELS.items() if label * score(w, label) <= 0) or "none"


def score(w: np.ndarray, label: int) -> float:
    """Of any new sample of this label."""
    return float(label * w[0] + w[1] + w[2])


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Who errs; both solutions in closed form; unused features; the two controls."""
    (x, y), full = data["problem"], data["full"]
    least, signs = x.T @ np.linalg.solve(x @ x.T, y), np.sign(x.T @ y)
    off = {name: float(np.abs(w - (signs / 4 if name in ADAPTIVE else least)).max()) for name, w in full.items()}
    by_eps = {e: round(score(w, -1), 3) for e, w in data["epsilon"].items()}
    by_batch = {name: wrong(w) for name, w in data["batches"].items()}
    training = max(float(np.mean((x @ w - y) ** 2)) for w in full.values())
    unused = max(float(np.abs(w[~x.any(0)]).max()) for w in (*full.values(), *data["batches"].values()))
    return [
        equals(
            "wilson-synthetic",
            "full batch: SGD and momentum make no test error, adaptive rules get every negative wrong",
            {name: wrong(w) for name, w in full.items()},
            {name: "negatives" if name in ADAPTIVE else "none" for name in full},
        ),
        at_most("wilson-synthetic:training", "none has a training error: largest mean square", training, 1e-10),
        at_most(
            "wilson-synthetic:solutions",
            "SGD and momentum find the least norm, X'(XX')^-1 y, the adaptive rules sign(X'y) / 4",
            max(off.values()),
            1e-5,
            "largest difference of a weight; " + ", ".join(f"{name} {d:.0e}" for name, d in off.items()),
        ),
        equals(
            "wilson-synthetic:weights",
            "w1 and w2 of the least norm are 0.98416 and 0.00567 at 110 positives and 90 negatives",
            [round(float(w), 5) for w in full["SGD"][:2]],
            [0.98416, 0.00567],
        ),
        equals("wilson-synthetic:unused", "a feature that was never 1 keeps its weight of exactly 0", unused, 0.0),
        equals(
            "wilson-synthetic:epsilon",
            "epsilon alone flips the answer: Adam's score of a negative falls below 0 between 3e-3 and 1e-2",
            by_eps,
            EPSILONS,
        ),
        equals(
            "wilson-synthetic:batches",
            "with batches of 1 or 20 no rule errs",
            by_batch,
            dict.fromkeys(by_batch, "none"),
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Scores of new samples, full batch and with both controls; below them the weights."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.8, 8.0))
    panels = fig.subplots(2, 2)
    groups = {
        "all rows in a step: adaptive rules lose every negative": data["full"],
        "control 1: Adam's epsilon": {f"{e:g}": w for e, w in data["epsilon"].items()},
        "control 2: mini-batches": {name.replace(", ", "\n"): w for name, w in data["batches"].items()},
    }
    for ax, (title, group) in zip(panels.flat, groups.items(), strict=False):
        for (name, label), color, marker in zip(LABELS.items(), COLORS, "os", strict=False):
            scores = [score(w, label) for w in group.values()]
            ax.plot(scores, marker, color=color, markersize=9, label=f"a new {name} sample")
            ax.axhspan(0.0, 1.4 * label, color=color, alpha=0.07)
        ax.set(ylim=(-1.4, 1.4), ylabel="score; its sign is the answer", title=title)
        ax.set_xticks(range(len(group)), list(group), fontsize="small")
    panels[0, 0].legend(loc="lower right")
    for name, color in (("SGD", COLORS[2]), ("Adam", COLORS[3])):
        w = np.sort(np.abs(data["full"][name]))[::-1]
        panels[1, 1].semilogy(w[w > 0], "o", color=color, markersize=4, label=f"{name}, all rows in a step")
    panels[1, 1].set(xlabel="features, sorted", ylabel="|weight|", title="two solutions without training error")
    panels[1, 1].legend(fontsize="small")
    return save(fig, out, "wilson-synthetic")


if __name__ == "__main__":
    main("wilson-synthetic")
