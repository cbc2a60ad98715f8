"""The curse of dimensionality: a grid of four values is 16 runs in two dimensions and 4,096 in six.

A grid of k values has k^d runs. The way out is not a smaller k, which is blind, but a smaller d: find out which one or
two parameters matter (figure `lr-first`), leave the others at usual values, and spend the budget there. Random search
suffers less, for it tries as many values of each parameter as it has runs.

Look for: with 16 trials, random search over rate and width alone is ahead of random search over all six, at which four
of the parameters vary for nothing. The trap: where the others are left must be usable, and what the small search can
reach is bounded by it, whatever the budget.
"""

from pathlib import Path
from typing import Any

import numpy as np

from optlab.errors import ConfigError
from optlab.gallery import Setup, main, save
from optlab.gallery._settings import SPACE, expected_best, few_parts, right, settings, train
from optlab.search import Float, Grid, Random, Space, Study
from optlab.verdict import Verdict, at_least, equals

TITLE = "The curse of dimensionality: search two parameters or six"
SOURCE = "post, Challenges; Bergstra & Bengio 2012; the comparison inferred"
TRY = "Set the usual momentum to 0.99: at 16 trials the lead is gone. The small search needs usable values elsewhere."
DATA = "digits"

VALUES, BUDGET = 4, 16
KEPT = ("lr", "log2_width")
USUAL = {"log2_batch": 5, "layers": 1, "momentum": 0.9, "l2": 1e-4}  # the others
SHOWN = (1, 2, 4, 8, 16, 32, 64, 128)


def grid_size(d: int) -> int | str:
    """How many points a grid of four values has in d parameters, or why there is none."""
    space = Space({f"x{i}": Float(0, 1) for i in range(d)})
    try:
        return len(Study(space, Grid(points=VALUES)).ask(n=10_000))
    except ConfigError as error:
        return str(error)


def run(setup: Setup) -> dict[str, Any]:
    """Sizes of grids; accuracies of the settings in six dimensions, and of others in the two that are kept."""
    table = settings(setup)
    rows, val, _ = few_parts(setup)
    study = Study(Space({name: SPACE[name] for name in KEPT}), Random(seed=setup.seed), direction="maximize")

    def accuracy(params: dict[str, Any], trial: Any) -> float:
        return float(right(train({**USUAL, **params}, trial.seed, rows), val).mean())

    study.run(accuracy, trials=len(table.params) // 2)
    two = np.array([trial.value for trial in study.trials], np.float64)
    rng, six = np.random.default_rng([setup.seed, 5]), table.val_accuracy
    resampled = {
        name: np.array([expected_best(rng.choice(values, len(values)), [BUDGET])[0] for _ in range(200)])
        for name, values in (("six", six), ("two", two))
    }
    return {
        "sizes": {d: grid_size(d) for d in (1, 2, 3, 4, 5, 6)},
        "refusal": str(grid_size(9)),
        "six": six,
        "two": two,
        "expected": {name: expected_best(values, SHOWN) for name, values in (("six", six), ("two", two))},
        "resampled": resampled,
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """4^d runs; two parameters ahead of six at 16 trials, by two standard errors."""
    six, two = data["resampled"]["six"], data["resampled"]["two"]
    gap, error = float(np.mean(two) - np.mean(six)), float(np.hypot(two.std(), six.std()))
    shown = {name: [round(float(v), 4) for v in values] for name, values in data["expected"].items()}
    return [
        equals(
            "curse",
            "a grid of four values has 4^d runs: 16 in two dimensions, 4,096 in six",
            data["sizes"],
            {d: VALUES**d for d in data["sizes"]},
            f"in nine dimensions optlab refuses: {data['refusal']}",
        ),
        at_least(
            "curse:two",
            f"with {BUDGET} trials, random search over {' and '.join(KEPT)} finds better settings than over all six",
            100 * gap,
            200 * error,
            f"points of accuracy, held against two standard errors from the settings drawn; expected "
            f"best of {list(SHOWN)} trials: {shown}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The size of a grid by dimension; the expected best of n trials in two dimensions and in six."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    d, sizes = list(data["sizes"]), list(data["sizes"].values())
    left.plot(d, sizes, color=COLORS[0], marker="o", label=f"a grid of {VALUES} values of each")
    for x, size in zip(d, sizes, strict=True):
        left.annotate(f"{size:,}", (x, size), (-6, 6), textcoords="offset points", ha="right")
    left.axhline(60, color=COLORS[1], linestyle="--", label="60 random draws, in any dimension")
    left.set(
        xlabel="parameters", ylabel="runs", yscale="log", title="runs that it takes", xlim=(min(d) - 0.6, max(d) + 0.3)
    )
    left.grid(alpha=0.3)
    left.legend(loc="lower right")
    for i, (name, values) in enumerate(data["expected"].items()):
        right.plot(SHOWN, values, color=COLORS[i], marker="os"[i], label=f"random search over {name} parameters")
    right.axvline(BUDGET, color="grey", linestyle=":")
    right.set(xscale="log", xlabel="trials", ylabel="expected best validation accuracy")
    right.set_xticks(SHOWN, [str(n) for n in SHOWN])
    right.set_title("the two that matter, or all six")
    right.grid(alpha=0.3)
    right.legend()
    return save(fig, out, "curse")


if __name__ == "__main__":
    main("curse")
