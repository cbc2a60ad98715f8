"""Bayesian optimization step by step: a belief, what it promises, the next point, a better belief.

After n results the Gaussian process gives a mean m(x) and a standard deviation s(x) for every x (blue line and band).
The expected improvement below the best value b so far, E[max(b - f(x), 0)] with f(x) ~ N(m, s^2), is in closed form

    EI = s (z Phi(z) + phi(z)),   z = (b - m) / s

(Jones, Schonlau & Welch 1998, equation 15; green). The next point is where it is largest (dashed): because the mean is
low there, or because the band is wide. Evaluate, add the result, fit the lengthscale again, repeat: the loop is the ten
lines of `search` below, written by hand on the model that `GP` gives out. It is checked against what `GP` proposes by
itself.

What to look for: the band is shut at every result and opens between them; the true curve (dotted) leaves it early,
since the lengthscale is a guess from a handful of points. That is the trap: begun with three results, the model can be
so sure of a wrong curve that the search spends its twelve evaluations on the local minimum at the left (5 of 15 seeds;
begun with six results, none). The green curve is scaled anew in each panel: it shows where, not how much.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from optlab.files import replacing
from optlab.gallery import Setup, main, save
from optlab.search import GP, Float, Space, Study
from optlab.verdict import Verdict, at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "Bayesian optimization step by step"
SOURCE = "post, Bayesian Optimization; Jones, Schonlau & Welch 1998, equation 15; the function: Forrester et al. 2008"
TRY = (
    "Replace the acquisition by the mean alone (`promise = -mean`), which explores nothing: with SEEDS = 20, 12 "
    "searches from three starts find the minimum, not 14; from six all still do, as the curve has only two valleys."
)

LEAST = -6.020740  # of the function on [0, 1], at 0.757249
STARTS, TOTAL, SEEDS, FINE = (3, 6), 12, 15, 1001
CLOSE, BY_CHANCE = 0.05, 0.21  # f is that close on 1.94 % of [0, 1]: 1 - (1 - 0.0194)^12
EXACT = 1e-3  # the noise that the model is told of: next to none
PANELS = 6


def forrester(x: Any) -> Any:
    """(6x - 2)^2 sin(12x - 4): a local minimum on the left, the global one on the right."""
    return (6 * x - 2) ** 2 * np.sin(12 * x - 4)


def expected_improvement(mean: Any, sd: Any, best: float) -> Any:
    """E[max(best - f, 0)], f ~ N(mean, sd^2)."""
    from scipy.special import ndtr

    z = (best - mean) / sd
    return sd * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))


def search(seed: int, starts: int, total: int) -> dict[str, np.ndarray]:
    """The loop; what was believed at each of its steps, in units of f: arrays (steps, FINE), or (steps,)."""
    space = Space(x=Float(0, 1))
    study = Study(space, GP(seed, initial=starts, noise=EXACT))
    sampler = cast(GP, study.sampler)
    study.run(lambda params: float(forrester(params["x"])), trials=starts)
    xs = np.linspace(0, 1, FINE)
    steps = []
    for _ in range(starts, total):
        seen = study.observations()
        values = np.array([o.loss for o in seen])
        # by itself, GP looks in the whole range at every fourth trial, and else near the best
        [own] = sampler.propose([4 * len(seen)], seen)
        model = sampler.posterior(seen)  # of the losses, brought to mean 0 and variance 1
        mean, sd = model.predict(xs[:, None])
        mean, sd = values.mean() + values.std() * mean, values.std() * sd
        best = float(values.min())
        promise = expected_improvement(mean, sd, best)
        following = float(xs[np.argmax(promise)])
        level, spread = model.predict(np.array([[own["x"]]]))
        at_own = expected_improvement(values.mean() + values.std() * level, values.std() * spread, best)[0]
        believed = {"mean": mean, "sd": sd, "ei": promise, "best": best, "next": following}
        steps.append(believed | {"missed": float(promise.max() - at_own)})
        study.tell(study.ask(params={"x": following}), float(forrester(following)))
    tried = np.array([trial.params["x"] for trial in study.complete])
    return {"tried": tried} | {key: np.array([step[key] for step in steps]) for key in steps[0]}


def run(setup: Setup) -> dict[str, Any]:
    """Searches with few starts, of which the first is shown, and with more."""
    runs = {
        starts: [search(seed, starts, starts + 3 if setup.fast else TOTAL) for seed in setup.seeds(SEEDS)]
        for starts in STARTS
    }
    return {"runs": runs}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """How often the minimum is found; GP's own choice."""
    runs = [r for several in data["runs"].values() for r in several]
    shares = {
        starts: float(np.mean([forrester(r["tried"]).min() < LEAST + CLOSE for r in several]))
        for starts, several in data["runs"].items()
    }
    return [
        Verdict(
            "bayes-steps",
            f"{TOTAL} evaluations find the global minimum to {CLOSE} three times as often as {TOTAL} random draws",
            {f"from {starts} starts": share for starts, share in shares.items()},
            f"mean >= 3 x {BY_CHANCE}",
            bool(np.mean(list(shares.values())) >= 3 * BY_CHANCE),
            f"{len(runs)} searches; the others stay on the local minimum",
        ),
        at_most(
            "bayes-steps:own",
            "where GP itself would look promises no less than the most promising point of a fine grid",
            max(float(r["missed"].max()) for r in runs),
            1e-3,
            "expected improvement missed, in units of f, whose range is 22; the worst of all steps",
        ),
    ]


def panel(above: "Axes", below: "Axes", run: dict[str, np.ndarray], k: int) -> None:
    """Step ``k`` of a search: belief above, promise below."""
    from optlab.viz.style import COLORS, DASHES

    xs, n = np.linspace(0, 1, FINE), STARTS[0] + k
    mean, sd, tried = run["mean"][k], run["sd"][k], run["tried"][:n]
    above.fill_between(xs, mean - 2 * sd, mean + 2 * sd, color=COLORS[0], alpha=0.2, linewidth=0, label="± 2 sd")
    above.plot(xs, mean, color=COLORS[0], label="mean")
    above.plot(xs, forrester(xs), color="black", linestyle=DASHES[2], linewidth=1.2, label="the true curve")
    above.plot(tried, forrester(tried), "o", color="black", markersize=6, label="results")
    below.fill_between(xs, 0, run["ei"][k], color=COLORS[2], alpha=0.35, linewidth=0)
    below.plot(xs, run["ei"][k], color=COLORS[2])
    for ax in (above, below):
        ax.axvline(run["next"][k], color=COLORS[1], linestyle=DASHES[1], label="next")
    above.set(ylim=(-14, 20), title=f"{n} results, best {run['best'][k]:.2f}")
    below.set(ylim=(0, 1.15 * run["ei"][k].max()), yticks=[])


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Six steps of one search; all of them as an animation."""
    from optlab.viz.style import figure

    shown = data["runs"][STARTS[0]][0]
    fig = figure(size=(13.5, 8.2))
    grid = fig.subplots(4, 3, sharex=True, height_ratios=(2.2, 1, 2.2, 1))
    for k in range(min(PANELS, len(shown["best"]))):
        row, column = divmod(k, 3)
        panel(grid[2 * row, column], grid[2 * row + 1, column], shown, k)
        grid[3, column].set_xlabel("x")
    for row in (0, 2):
        grid[row, 0].set_ylabel("f")
        grid[row + 1, 0].set_ylabel("EI")
    grid[0, 0].legend(fontsize="small", loc="upper left", ncols=2)
    return [*save(fig, out, "bayes-steps"), animate(shown, out / "bayes-steps.gif")]


def animate(run: dict[str, np.ndarray], path: Path) -> Path:
    """Every step of a search as a GIF, a second and a half each."""
    from PIL import Image

    from optlab.viz.style import off_screen

    frames = []
    for k in range(len(run["best"])):
        fig = off_screen(640, 520)
        above, below = fig.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        panel(above, below, run, k)
        above.set_ylabel("f")
        above.legend(fontsize="small", loc="upper left", ncols=2)
        below.set(xlabel="x", ylabel="expected gain")
        fig.canvas.draw()
        frames.append(Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB").quantize(128))
    with replacing(path) as draft:
        frames[0].save(draft, save_all=True, append_images=frames[1:], duration=1500, loop=0)
    return path


if __name__ == "__main__":
    main("bayes-steps")
