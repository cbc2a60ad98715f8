"""Momentum as a ball rolling down: a velocity that gradients push and friction slows.

Under a constant gradient the velocity approaches g / (1 - b): with b = 0.9 the steps end up ten times as long. The
field writes the rule in two ways. The slides and PyTorch multiply by the rate when stepping, v = b v + g, w -= a v;
cs231n, Keras and Polyak keep it inside, v = b v - a g, w += v. For a constant rate the two are one and the same; when
the rate is halved on the way, the first slows down at once and the second rolls on with its old velocity.

Nesterov's form looks ahead by the velocity before taking the gradient. Libraries store the looked-ahead point, so that
they need one gradient at the stored point; both forms are the same path seen from two places.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Momentum: the ball, its velocity and the two ways to write it"
SOURCE = "deck, Optimizers: SGD + Momentum (second slide); cs231n notes; Sutskever et al. 2013"
TRY = (
    "Set BETA = 0.5: after the rate is halved the two forms take equal steps again, to 1 %, within 6 steps. With 0.9 "
    "the second is still 5 % faster after 20."
)

START, RATE, BETA, STEPS = (1.0, 1.6), 1e-3, 0.9, 100
SLOPE = ol.Surface(lambda x, y: x + y, gradient=lambda x, y: (1.0, 1.0), name="slope", title="constant slope")


def halved(convention: str) -> np.ndarray:
    """(STEPS + 1, 2): the points of `ol.Optimizer` on Beale, the rate halved after half of the steps."""
    w = ol.Tensor(np.array(START), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.Momentum(lr=RATE, beta=BETA, convention=convention))
    gradient = ol.SURFACES["beale"].gradient
    points = [w.data.copy()]
    for t in range(STEPS):
        if t == STEPS // 2:
            optimizer.lr = RATE / 2
        w.grad = np.array(gradient(*w.data))
        optimizer.step()
        points.append(w.data.copy())
    return np.array(points)


def look_ahead() -> np.ndarray:
    """Nesterov's method as the textbook has it, the point x and the velocity v: rows x + b v."""
    gradient = ol.SURFACES["beale"].gradient
    x, v = np.array(START), np.zeros(2)
    ahead = [x + BETA * v]
    for _ in range(STEPS):
        v = BETA * v - RATE * np.array(gradient(*(x + BETA * v)))
        x = x + v
        ahead.append(x + BETA * v)
    return np.array(ahead)


def run(setup: Setup) -> dict[str, Any]:
    """Both forms at a constant and at a halved rate; Nesterov's; the velocity on a slope."""
    forms = {
        c: ol.descend("beale", ol.Momentum(lr=RATE, beta=BETA, convention=c), START, STEPS) for c in ("torch", "cs231n")
    }
    nesterov = ol.descend("beale", ol.Momentum(lr=RATE, beta=BETA, nesterov=True, convention="cs231n"), START, STEPS)
    betas = {b: ol.descend(SLOPE, ol.Momentum(lr=RATE, beta=b), (0.0, 0.0), 60) for b in (0.0, 0.5, 0.9, 0.95)}
    return {
        "forms": forms,
        "halved": {c: halved(c) for c in forms},
        "nesterov": nesterov,
        "ahead": look_ahead(),
        "velocity": betas,
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The velocity in closed form; the two forms the same, then not; Nesterov's two forms the same."""
    t = np.arange(61)
    error = max(float(np.abs(r.state["v"][:, 0] - (1 - b**t) / (1 - b)).max()) for b, r in data["velocity"].items())
    same = float(np.abs(data["forms"]["torch"].points - data["forms"]["cs231n"].points).max())
    apart = float(np.abs(data["halved"]["torch"] - data["halved"]["cs231n"]).max())
    nesterov = float(np.abs(data["nesterov"].points - data["ahead"]).max())
    return [
        at_most(
            "momentum",
            "under a constant gradient the velocity is g (1 - b^t) / (1 - b), ten-fold at b = 0.9",
            error,
            1e-13,
            "largest difference over four values of b and 60 steps",
        ),
        at_most("momentum:forms", "the slides' form and cs231n's are the same at a constant rate", same, 1e-13),
        at_least("momentum:halved", "they differ when the rate is halved on the way", apart, 1e-3),
        at_most("momentum:nesterov", "the stored look-ahead is x + b v of the textbook's form", nesterov, 1e-13),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The velocity against the step for four values of b; the steps of both forms with the rate halved."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    for i, (beta, r) in enumerate(data["velocity"].items()):
        left.plot(r.state["v"][:, 0], **line(i), label=f"b = {beta}")
        left.axhline(1 / (1 - beta), color=COLORS[i], linewidth=0.6, alpha=0.6)
    left.set(xlabel="step", ylabel="velocity / gradient", title="a constant push: v → g / (1 − b)")
    left.grid(alpha=0.3)
    left.legend(fontsize="small")
    for i, (form, note) in enumerate({"torch": "rate outside", "cs231n": "rate inside"}.items()):
        lengths = np.linalg.norm(np.diff(data["halved"][form], axis=0), axis=1)
        right.semilogy(lengths, **line(i), linewidth=1.8, label=f"{note} the velocity ({form})")
    right.axvline(STEPS // 2, color="grey", linewidth=0.8, linestyle=":")
    right.set(
        xlabel="step",
        ylabel="length of the step",
        title=f"on Beale, the rate halved after {STEPS // 2} of {STEPS} steps",
    )
    right.grid(alpha=0.3)
    right.legend(fontsize="small", loc="lower left")
    return save(fig, out, "momentum")


if __name__ == "__main__":
    main("momentum")
