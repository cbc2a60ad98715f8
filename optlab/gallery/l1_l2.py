"""L1 and L2 in closed form: only L1 gives zeros, and only a proximal step finds them exactly.

With an orthonormal design, X'X = I, the minimum of 1/2 |X w - y|^2 + penalty can be written down, weight by weight,
with z = X'y. For L2, l/2 sum w^2, it is z / (1 + l): all weights shrink by one factor, none is 0. For L1, l sum |w|, it
is sign(z) max(|z| - l, 0): all weights move by l towards 0, and those with |z| <= l are 0.

`ol.fit(l2=...)` reaches the first to rounding. `ol.fit(l1=...)` takes the subgradient l sign(w), as every library's
trainer does: at a constant rate the weights that should be 0 keep jumping across it, by up to twice rate times l; with
a falling rate they come as close as one likes, and still none is exactly 0. The proximal step of ISTA first follows the
gradient and then moves each weight by rate times l towards 0, stopping there. It is a rule of one's own in five
lines, `ol.register`, and gives the exact zeros.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.gallery._network import fit
from optlab.train.training import Training
from optlab.verdict import Verdict, at_most

TITLE = "L1 and L2: shrinking, zeros, and what a trainer reaches"
SOURCE = "post, Overfitting (L1 and L2 regularisation); Tibshirani 1996, section 2.2; Beck & Teboulle 2009 (ISTA)"
TRY = "Set STRENGTH = 2.0: more weights are 0, and the others move by 2."

ROWS, WEIGHTS, STRENGTH = 64, 20, 0.5
STEP = 0.5  # of gradient descent on 1/2 |X w - y|^2, whose curvature is 1
EPOCHS, FALLING = 1500, 0.98


class Proximal(NamedTuple):
    """Rate, and strength of L1."""

    lr: float = 0.1
    l1: float = 0.0


def coefficients(t: int, h: Proximal) -> tuple[float, ...]:
    """The rate, how far a step shrinks, and a zero of the parameters' own precision."""
    return h.lr, h.lr * h.l1, 0.0


def update(p: Any, g: Any, s: tuple[()], c: tuple[Any, ...]) -> tuple[Any, tuple[()]]:
    """A gradient step, then the soft threshold."""
    lr, shrink, zero = c
    z = p - lr * g
    return np.sign(z) * np.maximum(np.abs(z) - shrink, zero), ()


def problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal design (ROWS, WEIGHTS) and y: half of the weights are large, half are only noise."""
    rng = np.random.default_rng([seed, 2])
    design = np.linalg.qr(rng.standard_normal((ROWS, WEIGHTS)))[0]
    weights = np.where(np.arange(WEIGHTS) < WEIGHTS // 2, 3.0, 0.0) * rng.choice((-1.0, 1.0), WEIGHTS)
    return design, design @ weights + 0.3 * rng.standard_normal(ROWS)


def path(x: np.ndarray, y: np.ndarray, rule: ol.Settings, **options: Any) -> np.ndarray:
    """The weights after each epoch of `ol.fit`, (EPOCHS, WEIGHTS); an epoch is one step with all rows."""
    model = ol.nn.Sequential(ol.nn.Linear(WEIGHTS, 1, bias=False, init="zeros", dtype="float64"))
    rows: list[np.ndarray] = []

    def keep(run: Training) -> None:
        rows.append(run.model.parameters()[0].data[:, 0].copy())

    fit(model, (x, y), None, rule, epochs=EPOCHS, batch_size=ROWS, callbacks=[keep], **options)
    return np.array(rows)


def run(setup: Setup) -> dict[str, Any]:
    """The path of each way to train; `fit` minimises the mean squared error, which is 2/n of 1/2 |X w - y|^2."""
    x, y = problem(setup.seed)
    scale, rate = 2 / ROWS, STEP * ROWS / 2
    strength = STRENGTH * scale
    falling = ol.schedules.ExponentialDecay(FALLING)
    proximal = ol.register("proximal", Proximal, coefficients=coefficients, update=update)
    paths = {
        "L2": path(x, y, ol.SGD(lr=rate), l2=strength),
        "L1, constant rate": path(x, y, ol.SGD(lr=rate), l1=strength),
        "L1, falling rate": path(x, y, ol.SGD(lr=rate), l1=strength, schedule=falling),
        "L1, proximal": path(x, y, proximal(lr=rate, l1=strength)),
    }
    del ol.RULES["proximal"]  # as it was
    return {"z": x.T @ y, "paths": paths}


def closed_forms(z: np.ndarray) -> dict[str, np.ndarray]:
    """The minimum of each problem."""
    soft = np.sign(z) * np.maximum(np.abs(z) - STRENGTH, 0.0)
    return {"L2": z / (1 + STRENGTH), "L1": soft}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Each way of training against the closed form; exact zeros; why a constant rate does not do."""
    z, want = data["z"], closed_forms(data["z"])
    ends = {name: steps[-1] for name, steps in data["paths"].items()}
    off = {name: float(np.abs(w - want[name[:2]]).max()) for name, w in ends.items()}
    zeros = {name: int((w == 0.0).sum()) for name, w in ends.items()}
    small = np.abs(z) <= STRENGTH
    jump = float(np.abs(ends["L1, constant rate"])[small].max())
    bound = STEP * (STRENGTH + float(np.abs(z[small]).max()))
    return [
        at_most("l1-l2", "fit(l2=) ends at z / (1 + l)", off["L2"], 1e-6, f"largest difference over {len(z)} weights"),
        at_most(
            "l1-l2:l1",
            "fit(l1=) with a falling rate ends at sign(z) max(|z| - l, 0)",
            off["L1, falling rate"],
            1e-6,
            f"subgradient, rate times {FALLING} an epoch",
        ),
        at_most("l1-l2:proximal", "so does the proximal step", off["L1, proximal"], 1e-6, "at a constant rate"),
        Verdict(
            "l1-l2:zeros",
            "exact zeros only for L1, and of its trainers only from the proximal step: all weights with |z| <= l",
            zeros,
            f"{small.sum()} from the proximal step, else 0",
            zeros == {**dict.fromkeys(zeros, 0), "L1, proximal": int(small.sum())}
            and bool((ends["L1, proximal"][small] == 0.0).all()),
        ),
        Verdict(
            "l1-l2:jumps",
            "at a constant rate the subgradient's small weights never settle: they jump across 0, at most to "
            "rate times (l + |z|)",
            {"largest of them at the end": jump},
            f"> 1e-3 and <= {bound:g}",
            1e-3 < jump <= bound,
            "from w > 0 a step leads to (1 - a) w - a (l - z), which is at least -a (l + |z|)",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Trained weights on the curves of the closed forms; one weight that should be 0, step by step."""
    from optlab.viz.style import COLORS, figure

    z, paths = data["z"], data["paths"]
    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    every = np.linspace(-4, 4, 401)
    left.plot(every, every, color="grey", linewidth=0.8, label="no penalty: w = z")
    for i, (name, trained) in enumerate({"L2": "L2", "L1": "L1, proximal"}.items()):
        left.plot(every, closed_forms(every)[name], **line(i), label=f"{name}, closed form")
        left.plot(z, paths[trained][-1], linestyle="none", marker="os"[i], color=COLORS[i], label=f"{name}, trained")
    left.set(
        xlabel="z = X'y",
        ylabel="w",
        title=f"l = {STRENGTH:g}: L2 scales, L1 shifts and cuts",
        xlim=(-4, 4),
        ylim=(-4, 4),
    )
    left.legend(fontsize="small")
    left.grid(alpha=0.3)
    small = int(np.flatnonzero(np.abs(z) <= STRENGTH)[-1])
    for i, name in enumerate(n for n in paths if n.startswith("L1")):
        right.plot(paths[name][:150, small], color=COLORS[(1, 4, 0)[i]], linewidth=(0.9, 1.4, 2.6)[i], label=name)
    right.set(xlabel="step", ylabel="w", title=f"a weight that should be 0: z = {z[small]:.2f}, |z| < l")
    right.legend(fontsize="small", loc="lower right")
    right.grid(alpha=0.3)
    return save(fig, out, "l1-l2")


if __name__ == "__main__":
    main("l1-l2")
