"""Adam's epsilon: four conventions, one kernel.

(a) sqrt(v^) + e, after the correction: the paper, the slides, PyTorch. (b) sqrt(v) + e, before it ("epsilon hat"):
Keras, and TensorFlow before it. (c) sqrt(v^ + e), under the root. (d) no correction at all.

Form (b) is form (a) with an epsilon that grows as e / sqrt(1 - b2^t): at the first step it acts 31.6 times as large for
b2 = 0.999, a hundred times for 0.9999, and ends up the same. Under the root, epsilon is compared with g^2 and not with
|g|: 1e-8 there stops gradients below 1e-4. None of this shows while gradients are large; it decides how fast
coordinates with tiny gradients move.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_most

TITLE = "Adam's epsilon, four conventions"
SOURCE = "deck, Optimizers: ADAM; post, The Role of Adam Optimizer Hyperparameters"
TRY = "Set EPS = 1e-4: curves (a), (b), (d) move to the right by four decades, (c) by two, as it is under the root."

RATE, EPS = 0.1, 1e-8
GRADIENTS = np.logspace(-12, 2, 57)
FORMS: dict[str, dict[str, Any]] = {
    "(a) outside, corrected: torch, paper": {},
    "(b) outside, before correction: Keras": {"eps_hat": True},
    "(c) under the root: cs231n": {"eps_inside": True},
    "(d) no bias correction": {"bias_correction": False},
}


def first_step(gradient: float, beta2: float = 0.999, **form: Any) -> float:
    """Length of the first step under a gradient of this size, in units of the rate."""
    w = ol.Tensor(np.zeros(1), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.Adam(lr=1.0, beta2=beta2, eps=EPS, **form))
    w.grad = np.array([gradient])
    optimizer.step()
    return abs(float(w.data[0]))


def equivalent(steps: int = 200) -> float:
    """Largest difference between (b) with a constant e and (a) with e rescaled at each step: rounding."""
    gradient = ol.SURFACES["beale"].gradient
    hat = ol.descend("beale", ol.Adam(lr=RATE, eps=1e-3, eps_hat=True), (1.0, 1.6), steps).points
    x, m, v, worst = np.array([1.0, 1.6]), np.zeros(2), np.zeros(2), 0.0
    for t in range(1, steps + 1):
        g = np.array(gradient(*x))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        unbias = np.sqrt(1 - 0.999**t)
        x = x - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v) / unbias + 1e-3 / unbias)
        worst = max(worst, float(np.abs(x - hat[t]).max()))
    return worst


def run(setup: Setup) -> dict[str, Any]:
    """First steps over 14 decades of gradients; how large epsilon acts at the first step."""
    lengths = {name: np.array([first_step(float(g), **form) for g in GRADIENTS]) for name, form in FORMS.items()}
    small = 1e-9  # |step| = |g| / (|g| + e) in units of the rate, so that e = |g| / |step| - |g|
    acting = {b2: small / first_step(small, b2, eps_hat=True) - small for b2 in (0.999, 0.9999)}
    return {"lengths": lengths, "acting": acting, "equivalent": equivalent()}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The first step in closed form; epsilon hat's early size; both forms the same with a rescaled epsilon."""
    g = GRADIENTS
    a, b, c, d = data["lengths"].values()
    m, v = 0.1 * g, 0.001 * g * g
    closed = [
        g / (g + EPS),
        g / (g + EPS / np.sqrt(0.001)),
        g / np.sqrt(g * g + EPS),
        m / (np.sqrt(v) + EPS),
    ]
    error = max(float(np.abs(x / y - 1).max()) for x, y in zip((a, b, c, d), closed, strict=True))
    factors = {f"b2 {b2}": round(e / EPS, 2) for b2, e in data["acting"].items()}
    return [
        at_most(
            "adam-eps",
            "first steps of all four forms have their closed form, over 14 decades of gradients",
            error,
            1e-12,
            "(a) |g|/(|g|+e), (b) |g|/(|g|+e/sqrt(1-b2)), (c) |g|/sqrt(g^2+e), (d) 3.16 times as long at large g",
        ),
        Verdict(
            "adam-eps:hat",
            "Keras's epsilon acts 31.6 times as large at the first step for b2 = 0.999, 100 times for 0.9999",
            factors,
            "31.62 and 100",
            abs(factors["b2 0.999"] - 31.62) < 0.01 and abs(factors["b2 0.9999"] - 100) < 0.01,
        ),
        at_most(
            "adam-eps:same",
            "form (b) is form (a) with epsilon rescaled by 1 / sqrt(1 - b2^t), to rounding",
            data["equivalent"],
            1e-11,
            "largest difference over 200 steps on Beale with a large epsilon, 1e-3",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Length of the first step against the gradient's size."""
    from optlab.viz.style import figure

    fig = figure(size=(8.4, 5.0))
    ax = fig.add_subplot()
    for i, (name, lengths) in enumerate(data["lengths"].items()):
        ax.loglog(GRADIENTS, lengths, **line(i), linewidth=1.8, label=name)
    ax.axvline(EPS, color="grey", linewidth=0.8, linestyle=":")
    ax.text(EPS * 1.3, 2e-5, "|g| = epsilon", color="dimgrey", fontsize="small")
    ax.set(xlabel="size of the gradient", ylabel="length of the first step / rate", ylim=(1e-5, 10), title=TITLE)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", loc="lower right")
    return save(fig, out, "adam-eps")


if __name__ == "__main__":
    main("adam-eps")
