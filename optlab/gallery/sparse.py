"""Sparse gradients: what a rule does with a feature that it sees once in k steps.

A word that is in one sentence of a thousand has a gradient of 0 in 999 steps. SGD makes a step of a g when the word
comes, whatever else happened. AdaGrad makes a full step of a, however small g is and however late it comes: the sum
under its root is the word's own; the n-th time it is a / sqrt(n). Adam's first step on it depends on when:
a (1 - b1) / (1 - b1^k) sqrt((1 - b2^k) / (1 - b2)), 0.48 a at k = 10 and 3.16 a for large k. RMSProp without
correction always jumps by a / sqrt(1 - rho), ten times too far.

A full first step is not the same as learning faster. Words of Zipf's frequencies are learned sooner by AdaGrad if what
is seen of them is exact. If it is noisy, the step copies the noise, and SGD at its own best rate is as good on
rare words; AdaGrad's gain is then on frequent ones, where its rate has fallen and SGD keeps jumping.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Sparse gradients: full steps for rare features"
SOURCE = "post, The Role of Adam Optimizer Hyperparameters (sparse gradients); Duchi et al. 2011"
TRY = (
    "Make G a hundred times larger: SGD's bars grow a hundred times, no other bar moves. Or take 2,000 steps in place "
    "of 200 (LEARNING): without noise SGD's curve falls to the floor as well."
)

A, G = 0.1, 1e-3
EVERY = (1, 10, 100, 1000)
RULES = {
    "SGD": ol.SGD(lr=A),
    "AdaGrad": ol.Adagrad(lr=A, eps=1e-12),
    "RMSProp": ol.RMSProp(lr=A, eps=1e-12),
    "Adam": ol.Adam(lr=A, eps=1e-12),
}
SEEN = 5 * EVERY[-1]  # steps
WORDS, SENTENCE, LEARNING, SEEDS = 100, 50, 200, 5
NOISE = (0.0, 1.0)  # of what is seen of a word; what is to be learned has a spread of 1
FLOOR = 1e-5  # of the logarithmic picture
GRID = 10.0 ** np.arange(-3, 2.1, 1 / 3)


def rare(rule: ol.Settings) -> np.ndarray:
    """(SEEN + 1, 4): weights of features whose gradient is G in every k-th step, else 0."""
    w = ol.Tensor(np.zeros(len(EVERY)), requires_grad=True)
    optimizer = ol.Optimizer([w], rule)
    path = [w.data.copy()]
    for t in range(1, SEEN + 1):
        w.grad = np.where(t % np.array(EVERY) == 0, G, 0.0)
        optimizer.step()
        path.append(w.data.copy())
    return np.array(path)


def words(rule: ol.Settings, seed: int, noise: float) -> np.ndarray:
    """What is left to learn, |w - w*|, of each word; word i is 1 / i as frequent as the first."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, WORDS + 1)
    target = rng.standard_normal(WORDS)
    w = ol.Tensor(np.zeros(WORDS), requires_grad=True)
    optimizer = ol.Optimizer([w], rule)
    for counts in rng.multinomial(SENTENCE, frequency / frequency.sum(), LEARNING):
        errors = noise * np.sqrt(counts) * rng.standard_normal(WORDS)  # the sum of so many
        w.grad = (counts * (w.data - target) + errors) / SENTENCE
        optimizer.step()
    return np.asarray(np.abs(w.data - target))


def run(setup: Setup) -> dict[str, Any]:
    """Rare features; words learned by every rule at its best rate."""
    grid = GRID[::4] if setup.fast else GRID

    def best(rule: ol.Settings, noise: float) -> tuple[float, np.ndarray]:
        seeds = setup.seeds(SEEDS)
        left = {float(a): np.mean([words(rule.replace(lr=a), seed, noise) for seed in seeds], 0) for a in grid}
        return min(left.items(), key=lambda item: float(item[1].mean()))

    return {
        "rare": {name: rare(rule) for name, rule in RULES.items()},
        "words": {noise: {name: best(rule, noise) for name, rule in RULES.items()} for noise in NOISE},
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """First steps in closed form; rare words, seen exactly and with noise."""
    k = np.array(EVERY)
    first = {name: np.abs(path[k, range(len(k))]) for name, path in data["rare"].items()}
    closed = {
        "SGD": np.full(len(k), A * G),
        "AdaGrad": np.full(len(k), A),
        "RMSProp": np.full(len(k), A / np.sqrt(1 - 0.99)),
        "Adam": A * 0.1 / (1 - 0.9**k) * np.sqrt((1 - 0.999**k) / 0.001),
    }
    off = max(float(np.abs(first[name] / closed[name] - 1).max()) for name in first)
    n = np.arange(1, 6)
    later = np.abs(np.diff(data["rare"]["AdaGrad"][:, -1]))[n * EVERY[-1] - 1]
    rarest = {
        noise: {name: float(left[WORDS // 2 :].mean()) for name, (_, left) in learned.items()}
        for noise, learned in data["words"].items()
    }
    shown = {
        noise: ", ".join(f"{name} {v:.2g} (rate {data['words'][noise][name][0]:.2g})" for name, v in values.items())
        for noise, values in rarest.items()
    }
    return [
        at_most(
            "sparse",
            "first steps on a feature seen once in k steps: SGD a g, AdaGrad a, RMSProp 10 a, Adam 0.48 a to 3.16 a",
            off,
            1e-6,
            f"largest relative difference; Adam at k = 1, 10, 100, 1,000 in a: {np.round(first['Adam'] / A, 2)}",
        ),
        at_most(
            "sparse:again",
            "AdaGrad's n-th step on it is a / sqrt(n)",
            np.abs(later * np.sqrt(n) / A - 1).max(),
            1e-6,
            "relative, n = 1 to 5, k = 1,000",
        ),
        at_least(
            "sparse:words",
            "without noise SGD has more left to learn of the rarer half of the words than AdaGrad, by this factor",
            rarest[0.0]["SGD"] / rarest[0.0]["AdaGrad"],
            2.0,
            f"|w - w*| after {LEARNING} steps, each rule at its best rate: {shown[0.0]}",
        ),
        at_least(
            "sparse:noise",
            "the same where a word is seen with noise",
            rarest[1.0]["SGD"] / rarest[1.0]["AdaGrad"],
            2.0,
            f"{shown[1.0]}; a full step at first sight copies the noise of that sight",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """First steps; what is left to learn of each word."""
    from optlab.viz.style import figure, looks

    fig = figure(size=(15.0, 4.6))
    left, *panels = fig.subplots(1, 3)
    for i, (name, (color, dash, marker)) in enumerate(looks(RULES).items()):
        first = np.abs(data["rare"][name][np.array(EVERY), range(len(EVERY))])
        left.bar(np.arange(len(EVERY)) + 0.2 * i - 0.3, first / A, 0.2, color=color, label=name)
        for ax, learned in zip(panels, data["words"].values(), strict=True):
            rate, remaining = learned[name]
            some = np.maximum(remaining.reshape(-1, 5).mean(1), FLOOR)
            look = {"color": color, "linestyle": dash, "marker": marker}
            ax.plot(np.arange(3, WORDS, 5), some, label=f"{name} {rate:.2g}", **look)
    left.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    left.set_xticks(range(len(EVERY)), [f"{k:,}" for k in EVERY])
    left.set(yscale="log", xlabel="seen once in so many steps", ylabel="first step / rate", ylim=(3e-4, 1e3))
    left.set_title(f"first step under a gradient of {G:g}")
    for ax, what in zip(panels, ("without noise", "with noise"), strict=True):
        ax.set(xlabel="word, from frequent to rare", ylabel="left to learn, |w − w*|", ylim=(0, 0.4))
        ax.set_title(f"{LEARNING} steps at the best rate, {what}")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", ncols=2, loc="lower right")
    panels[0].set(yscale="log", ylim=(FLOOR / 100, 1))
    panels[0].text(1, 0.3 * FLOOR, f"on the floor: {FLOOR:g} or less", color="dimgrey", fontsize="small")
    left.legend(fontsize="small", ncols=2)
    return save(fig, out, "sparse")


if __name__ == "__main__":
    main("sparse")
