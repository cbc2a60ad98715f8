"""The effective learning rate: how long a step is for the gradient that caused it, parameter by parameter.

SGD has one rate for all, so a parameter with a hundred times the gradient makes steps a hundred times as long. AdaGrad,
RMSProp and Adam divide each gradient by a root mean square of its own past. What is left is a step of about the same
length for every parameter; the effective rate |step| / |gradient| is large where gradients are small.

On the left, f = (x^2 + k y^2) / 2 with k = 10,000 shows it exactly: an adaptive rule moves x and y alike, as if k were
1, and its effective rates differ by k. SGD has to be slow enough for y, and x hardly moves. On the right every dot is a
weight of a network: steps against gradients, both as root mean squares over an epoch. SGD's dots lie on a line of slope
1, adaptive ones on a flat one. Momentum is no adaptive rule: it makes all steps longer, not the short ones.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, mlp
from optlab.verdict import Verdict, at_most

TITLE = "The effective learning rate of every parameter"
SOURCE = (
    "deck, Optimizers: ADAM (per-parameter rates); Duchi et al. 2011; Kingma & Ba 2015, section 2.1; picture inferred"
)
TRY = (
    "Give Adam an epsilon of 0.01 in NETWORK_RULES: dots with small gradients leave the flat line and fall onto one of "
    "slope 1. Or change K: the left picture's adaptive paths stay as they are."
)
DATA = "digits"

K, STEPS, START = 1e4, 300, (1.0, 1.0)
VALLEY = ol.Surface(
    lambda x, y: 0.5 * (x * x + K * y * y),
    gradient=lambda x, y: (x, K * y),
    domain=((-2, 2), (-2, 2)),
    minima=[(0.0, 0.0)],
    name="valley",
)
VALLEY_RULES = {
    "SGD": ol.SGD(lr=0.5 / K),
    "AdaGrad": ol.Adagrad(lr=0.1, eps=1e-12),
    "RMSProp": ol.RMSProp(lr=0.01, eps=1e-12),
    "Adam": ol.Adam(lr=0.01, eps=1e-12),
}
NETWORK_RULES = {
    "SGD": ol.SGD(lr=0.3),
    "heavy ball": ol.Momentum(lr=0.1, beta=0.9),
    "AdaGrad": ol.Adagrad(lr=0.05),
    "RMSProp": ol.RMSProp(lr=0.003),
    "Adam": ol.Adam(lr=0.01),
}
ADAPTIVE = ("AdaGrad", "RMSProp", "Adam")
EPOCHS, SEEDS = 5, 5


def steps_and_gradients(train: Part, rule: ol.Settings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares over the last epoch, one per parameter that ever had a gradient."""
    model = mlp(train, seed, dtype="float64")
    optimizer = ol.Optimizer(model.parameters(), rule)
    x, y, rng = train.x.astype(float), train.y, np.random.default_rng(seed)
    steps = gradients = np.zeros(sum(p.data.size for p in model.parameters()))
    for epoch in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
            optimizer.zero_grad()
            ol.nn.cross_entropy(model(x[rows]), y[rows]).backward()
            before = flat(p.data for p in model.parameters())
            gradient = flat(p.grad for p in model.parameters())
            optimizer.step()
            if epoch == EPOCHS - 1:
                steps = steps + (flat(p.data for p in model.parameters()) - before) ** 2
                gradients = gradients + gradient**2
    seen = gradients > 0
    count = len(x) // BATCH
    return np.sqrt(steps[seen] / count), np.sqrt(gradients[seen] / count)


def flat(arrays: Any) -> np.ndarray:
    """All numbers in one row, as a copy."""
    return np.concatenate([a.ravel() for a in arrays])


def run(setup: Setup) -> dict[str, Any]:
    """The valley by every rule; the network by every rule."""
    train, _, _ = parts(setup)
    if setup.fast:
        train = train.take(400)
    return {
        "valley": {name: ol.descend(VALLEY, rule, START, STEPS) for name, rule in VALLEY_RULES.items()},
        "networks": {
            name: [steps_and_gradients(train, rule, seed) for seed in setup.seeds(SEEDS)]
            for name, rule in NETWORK_RULES.items()
        },
    }


def slope(steps: np.ndarray, gradients: np.ndarray) -> float:
    """Of the straight line through log step against log gradient."""
    return float(np.polyfit(np.log(gradients), np.log(steps), 1)[0])


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The valley in closed form; slopes of the network's dots."""
    valley = data["valley"]
    off = max(
        np.abs(r.effective_lr[:, 0] / r.effective_lr[:, 1] / K - 1).max() for n, r in valley.items() if n != "SGD"
    )
    apart = max(np.abs(np.diff(r.points, axis=1)).max() for name, r in valley.items() if name != "SGD")
    constant = np.abs(valley["SGD"].effective_lr * K / 0.5 - 1).max()
    slopes = {name: float(np.mean([slope(*dots) for dots in networks])) for name, networks in data["networks"].items()}
    spread = {}
    for name, networks in data["networks"].items():
        low, high = np.quantile(networks[0][0] / networks[0][1], (0.05, 0.95))
        spread[name] = f"{name} {np.log10(high / low):.1f}"
    return [
        at_most(
            "effective-lr",
            "adaptive rules have k times the effective rate along the flat coordinate, in every step",
            off,
            1e-6,
            "largest relative difference of the ratio from k = 10,000; three rules, 300 steps",
        ),
        at_most("effective-lr:alike", "so x and y go the same way: largest difference of the two", apart, 1e-9),
        at_most("effective-lr:sgd", "SGD's effective rate is its rate for both coordinates", constant, 1e-9),
        Verdict(
            "effective-lr:network",
            "in a network SGD's and momentum's steps grow with the gradient, slope 1; adaptive ones do not, slope 0",
            {name: round(s, 3) for name, s in slopes.items()},
            "within 0.3",
            all(abs(s - (name not in ADAPTIVE)) <= 0.3 for name, s in slopes.items()),
            "mean over five networks; effective rates from the 5 % to the 95 % quantile, in decades: "
            + ", ".join(spread.values()),
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Effective rates in the valley; steps against gradients in the network."""
    from optlab.viz.style import figure, looks

    fig = figure(size=(13.0, 5.2))
    left, right = fig.subplots(1, 2)
    look = looks(NETWORK_RULES)
    for name, r in data["valley"].items():
        for i, (coordinate, width) in enumerate((("x, flat", 1.2), ("y, steep", 2.6))):
            dash = "-" if i else "--"
            rate = r.effective_lr[:, i]
            left.semilogy(rate, color=look[name].color, linestyle=dash, linewidth=width, label=f"{name}: {coordinate}")
    for name, ((steps, gradients), *_) in data["networks"].items():
        right.loglog(gradients, steps, ".", color=look[name].color, markersize=3, alpha=0.35, label=name)
    left.set(xlabel="step", ylabel="|step| / |gradient|", title="effective rate in a valley, k = 10,000")
    right.set(xlabel="gradient of a weight", ylabel="its step", title="a network: root mean squares over an epoch")
    left.legend(fontsize="small", ncols=2)
    right.legend(fontsize="small", markerscale=5, loc="lower right")
    for ax in (left, right):
        ax.grid(alpha=0.3)
    return save(fig, out, "effective-lr")


if __name__ == "__main__":
    main("effective-lr")
