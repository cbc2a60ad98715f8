"""Gradients of hyperparameters: the penalty of ridge regression, learned by gradient descent on validation data.

A hyperparameter that enters smoothly has a gradient too. For ridge regression with weights w(l) = (X'X + l I)^-1 X'y,
differentiating (X'X + l I) w = X'y by l gives dw/dl = -(X'X + l I)^-1 w, so that for the loss on validation rows

    dL/dl = -grad_w L . (X'X + l I)^-1 w

Descent on log l (l is positive), by `ol.Optimizer`, then finds the best penalty without a grid. Where there is no
closed form, the training itself is differentiated: unrolled. Each step w <- w - a (X'(Xw - y) + l w) is written with
operations that the tape records, the inner gradient too, and `backward` goes through all of them.

What to look for: both gradients agree with finite differences, and the descent ends where a fine grid has its minimum.
The traps: what is tuned so is fitted to the validation rows, like any search; unrolling keeps every step in memory; and
it differentiates the weights after T steps, not the converged ones: with few steps its best l is another one, since
stopping early is a penalty as well.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_most

TITLE = "Hyperparameters by gradient descent"
SOURCE = "post, Challenges (gradient-based optimization); Bengio 2000; Maclaurin, Duvenaud & Adams 2015"
TRY = (
    "Set STEPS to 100: the two curves become one. With 10, the best penalty of the unrolled training is a smaller one "
    "(5.0 in place of 7.9), because stopping early does some of its work."
)

ROWS, VALIDATION, FEATURES, NOISE, SIGNAL = 30, 200, 20, 2.0, 0.5
STEPS = 10  # of the unrolled training
GRID = np.linspace(np.log(0.01), np.log(1000.0), 2001)  # of log l
START, RULE, DESCENT = float(np.log(0.1)), ol.Adam(lr=0.2, beta2=0.99), 250


class Problem:
    """Rows to train on and to validate on, of a noisy linear function."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        w = SIGNAL * rng.standard_normal(FEATURES)
        self.x, self.xv = rng.standard_normal((ROWS, FEATURES)), rng.standard_normal((VALIDATION, FEATURES))
        self.y = self.x @ w + NOISE * rng.standard_normal(ROWS)
        self.yv = self.xv @ w + NOISE * rng.standard_normal(VALIDATION)
        self.gram, self.moment = self.x.T @ self.x, self.x.T @ self.y
        self.steepest = np.linalg.eigvalsh(self.gram)[-1]

    def ridge(self, log_l: float) -> tuple[float, float]:
        """Validation loss and its derivative by log l, in closed form."""
        penalised = self.gram + np.exp(log_l) * np.eye(FEATURES)
        w = np.linalg.solve(penalised, self.moment)
        r = self.xv @ w - self.yv
        by_l = -(self.xv.T @ r / VALIDATION) @ np.linalg.solve(penalised, w)
        return float(r @ r) / (2 * VALIDATION), float(by_l * np.exp(log_l))

    def unrolled(self, log_l: float) -> tuple[float, float]:
        """The same of the weights after some steps of gradient descent, by the tape."""
        log_penalty = ol.Tensor(np.array(log_l), requires_grad=True)
        penalty = log_penalty.exp()
        rate = 1.0 / (self.steepest + penalty)
        w = ol.Tensor(np.zeros(FEATURES))
        for _ in range(STEPS):
            w = w - rate * (self.x.T @ (self.x @ w - self.y) + penalty * w)
        r = self.xv @ w - self.yv
        loss = (r * r).sum() / (2 * VALIDATION)
        loss.backward()
        return loss.item(), np.asarray(log_penalty.grad).item()


def difference(f: Any, at: float) -> float:
    """Relative error of f's derivative against a central difference of fourth order."""
    h = 1e-3
    numeric = (8 * (f(at + h)[0] - f(at - h)[0]) - (f(at + 2 * h)[0] - f(at - 2 * h)[0])) / (12 * h)
    return float(abs(f(at)[1] / numeric - 1))


def descend(f: Any, rounds: int) -> np.ndarray:
    """Descent on log l by our own optimizer: every point, (rounds + 1,)."""
    log_l = ol.Tensor(np.array([START]), requires_grad=True)
    optimizer = ol.Optimizer([log_l], RULE)
    path = [START]
    for _ in range(rounds):
        log_l.grad = np.array([f(path[-1])[1]])
        optimizer.step()
        path.append(float(log_l.data[0]))
    return np.array(path)


def run(setup: Setup) -> dict[str, Any]:
    """Both gradients and their checks, a fine grid, and the descents."""
    problem = Problem(setup.seed)
    rounds, grid = (DESCENT, GRID) if not setup.fast else (60, GRID[::20])
    forms = {"closed form": problem.ridge, f"{STEPS} unrolled steps": problem.unrolled}
    sparse = {"closed form": grid, f"{STEPS} unrolled steps": grid[::20]}
    return {
        "grid": sparse,
        "curves": {name: np.array([f(float(g))[0] for g in sparse[name]]) for name, f in forms.items()},
        "paths": {name: descend(f, rounds) for name, f in forms.items()},
        "errors": {name: max(difference(f, g) for g in (-1.0, 1.0, 4.0)) for name, f in forms.items()},
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Gradients against differences; the descent against the grid."""
    ends = {name: float(path[-1]) for name, path in data["paths"].items()}
    exact, rolled = ends
    best = {name: float(g[np.argmin(data["curves"][name])]) for name, g in data["grid"].items()}
    spacing = {name: float(g[1] - g[0]) for name, g in data["grid"].items()}
    return [
        Verdict(
            "hypergradient",
            "descent on log l ends at the best l of a grid, to the grid's spacing",
            {name: f"l = {np.exp(end):.4g}, grid {np.exp(best[name]):.4g}" for name, end in ends.items()},
            "log l within one spacing",
            all(abs(end - best[name]) <= spacing[name] for name, end in ends.items()),
        ),
        at_most(
            "hypergradient:ridge",
            "the closed form agrees with central differences",
            data["errors"][exact],
            1e-8,
            "largest relative error at three penalties",
        ),
        at_most(
            "hypergradient:unrolled",
            "the tape through every step agrees with central differences",
            data["errors"][rolled],
            1e-6,
            "largest relative error at three penalties",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Validation loss against the penalty, with the descents on it; log l against the step."""
    from optlab.viz.style import COLORS, MARKERS, figure

    fig = figure(size=(13.0, 5.0))
    left, right = fig.subplots(1, 2)
    for i, (name, grid) in enumerate(data["grid"].items()):
        curve, path = data["curves"][name], data["paths"][name]
        left.semilogx(np.exp(grid), curve, **line(i), linewidth=2, label=name)
        shown = path[[0, 5, 10, 15, 20, 40, -1]]
        left.plot(np.exp(shown), np.interp(shown, grid, curve), MARKERS[i], color=COLORS[i], markeredgecolor="black")
        right.semilogy(np.exp(path), **line(i), linewidth=2, label=name)
        right.axhline(np.exp(grid[np.argmin(curve)]), color=COLORS[i], linewidth=0.8, alpha=0.7)
    left.set(
        xlabel="penalty l", ylabel="loss on validation rows", title="the descents on the curve that a grid would draw"
    )
    right.set(xlabel="step of the descent on log l", ylabel="penalty l", title="thin lines: the best of a grid")
    for ax in (left, right):
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")
    return save(fig, out, "hypergradient")


if __name__ == "__main__":
    main("hypergradient")
