"""Under noise, recommend by the posterior mean, not by the best observation.

Branin with N(0, 5^2) added to every evaluation, 40 evaluations. Of many noisy results the lowest is lowest because its
point is good and because it was lucky; the more points are tried, the more luck is in it. So the best observation
promises what its point does not hold: here it lies below the minimum of the function itself. The Gaussian process has
averaged the noise over the neighbourhood, and `sampler.recommend` gives the tried point with the lowest posterior mean.

What to look for: left, the true regret of what is recommended. The model's search is far ahead of the random one; the
way of choosing changes little here, since the points lie far apart for a noise of 5 (random) or are all good (model).
What the lowest result gets wrong is its value. Right, one search by the model: every point below the line was lucky,
and the lowest result is the luckiest.

The same holds for accuracies of networks, whose noise is that of initial weights and of a small validation set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.search import GP, Random, Study
from optlab.search.sampler import Observation
from optlab.verdict import Verdict, at_least

TITLE = "Noise: recommend by the posterior mean"
SOURCE = "post, Bayesian Optimization (noisy evaluations); the noise is inferred"
TRY = "Set NOISE to 0.5: the lowest result and the lowest mean are then mostly the same point, and nothing is gained."

NOISE, TRIALS, INITIAL, SEEDS = 5.0, 40, 5, 20
WAYS = ("random, lowest result", "random, lowest mean", "model, lowest result", "model, lowest mean")


def regret(params: dict[str, Any]) -> float:
    """True, without noise."""
    surface = ol.SURFACES["branin"]
    return float(surface(params["x"], params["y"])) - surface.f_min


def recommended(study: Study, seed: int) -> dict[str, Any]:
    """The tried point with the lowest posterior mean, by a model that is told the noise and fitted once."""
    model = GP(seed, initial=TRIALS, noise=NOISE)
    model.bind(study.space)
    return model.recommend(study.observations())


def lucky(seen: Sequence[Observation]) -> Observation:
    """The trial with the lowest result."""
    return min(seen, key=lambda o: o.loss if o.loss is not None else np.inf)


def run(setup: Setup) -> dict[str, Any]:
    """Searches by the model and at random; what each way would recommend; one search by the model in full."""
    objective = ol.objectives.surface("branin", noise=NOISE)
    regrets: dict[str, list[float]] = {way: [] for way in WAYS}
    shown: dict[str, Any] = {}
    lowest = []
    for seed in setup.seeds(SEEDS):
        for name, sampler in (("random", Random(seed)), ("model", GP(seed, initial=INITIAL))):
            study = Study(objective.space(), sampler)
            study.run(objective, trials=TRIALS)
            seen = study.observations()
            best, chosen = lucky(seen), recommended(study, seed)
            regrets[f"{name}, lowest result"].append(regret(best.params))
            regrets[f"{name}, lowest mean"].append(regret(chosen))
            if name == "model":
                lowest.append(best.loss)
            if name == "model" and not shown:
                shown = {
                    "true": np.array([regret(o.params) + ol.SURFACES["branin"].f_min for o in seen]),
                    "seen": np.array([o.loss for o in seen]),
                    "lucky": best.number,
                    "chosen": [o.params for o in seen].index(chosen),
                }
    return {"regrets": {k: np.array(v) for k, v in regrets.items()}, "lowest": np.array(lowest), "shown": shown}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The model against random search; mean against lowest result; how optimistic the lowest result is."""
    regrets, least = data["regrets"], ol.SURFACES["branin"].f_min
    quartiles = {way: np.quantile(v, (0.5, 0.75)).round(2).tolist() for way, v in regrets.items()}
    median = {way: q[0] for way, q in quartiles.items()}
    by_result, by_mean = (float(np.median([regrets[way] for way in ways])) for ways in (WAYS[::2], WAYS[1::2]))
    return [
        Verdict(
            "bayes-noise",
            "the model's recommendation has at most two thirds of the true regret of random search's lowest result",
            quartiles,
            "median <= 0.67 of random's",
            median["model, lowest mean"] <= 0.67 * median["random, lowest result"],
            f"median and upper quartile over {len(data['lowest'])} seeds",
        ),
        Verdict(
            "bayes-noise:mean",
            "on the same trials, the lowest posterior mean is no worse a choice than the lowest result",
            {"lowest mean": round(by_mean, 2), "lowest result": round(by_result, 2)},
            "median regret at most 1.1 times the other's",
            by_mean <= 1.1 * by_result,
            "both kinds of search together; a tenth is allowed for chance, for a strict gain is not seen here",
        ),
        at_least(
            "bayes-noise:luck",
            "the model's lowest result is below the minimum of the function: a value that no point has",
            float(np.mean(data["lowest"] < least)),
            0.9,
            f"share of seeds; the lowest results have a median of {np.median(data['lowest']):.1f}, f's minimum is "
            f"{least:.1f}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The true regret of four recommendations; results against true values."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(13.0, 5.2))
    left, right = fig.subplots(1, 2, width_ratios=(1.15, 1.0))
    for i, way in enumerate(WAYS):
        values = np.maximum(data["regrets"][way], 1e-3)
        left.scatter(values, np.full(len(values), i) + np.linspace(-0.15, 0.15, len(values)), color=COLORS[i], s=28)
        left.plot([np.median(values)] * 2, [i - 0.3, i + 0.3], color="black", linewidth=2.5)
    left.set_yticks(range(len(WAYS)), WAYS)
    left.set(xscale="log", xlabel="true regret of the recommended point (bars: medians)")
    left.set_title(f"{TRIALS} evaluations of Branin with noise {NOISE:g}")
    left.invert_yaxis()
    left.grid(alpha=0.3, axis="x")
    shown = data["shown"]
    limits = (-12.0, 25.0)
    right.plot(limits, limits, color="grey", linewidth=0.8)
    right.fill_between(limits, np.array(limits) - 2 * NOISE, np.array(limits) + 2 * NOISE, color="grey", alpha=0.12)
    right.scatter(shown["true"], shown["seen"], color=COLORS[5], edgecolor="black", s=40)
    for key, color, marker, label in (
        ("lucky", COLORS[1], "v", "lowest result"),
        ("chosen", COLORS[2], "*", "lowest posterior mean"),
    ):
        n = shown[key]
        right.scatter(
            shown["true"][n], shown["seen"][n], color=color, marker=marker, s=190, edgecolor="black", label=label
        )
    right.set(xlim=(-2, 25), ylim=limits, xlabel="true value", ylabel="result, with noise")
    right.set_title("one search by the model; below the line: luck")
    right.legend(fontsize="small", loc="lower right")
    return save(fig, out, "bayes-noise")


if __name__ == "__main__":
    main("bayes-noise")
