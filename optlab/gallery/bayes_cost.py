"""What Bayesian optimization costs: n^3 for a factorisation, n^2 for one more result.

The model of n results needs the Cholesky factor of an n x n matrix: n^3 / 3 multiplications and additions. A result
more adds a row to the factor, which takes a triangular solve, n^2. What a proposal does besides, a few hundred
candidates at n^2 each, is cheap until n is large; and `GP` fits its hyperparameters anew only when the number of
results has grown by a tenth, and beyond 2,000 results looks at the 1,000 nearest the best.

What to look for: a straight line of slope 3 on two log axes, and far below it the appended row. That one only moves
memory: where the factor outgrows a cache its time rises faster than n^2, whatever the count of operations says.
Proposals take milliseconds; one network takes longer to train, so the cost is no reason against a model. It is one if
an evaluation takes microseconds.

Times are the least of several repetitions, which other work on the machine moves little.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from optlab.gallery import Setup, main, save
from optlab.search import GP, Float, Space
from optlab.search.gp.covariance import Matern52
from optlab.search.gp.factor import Factor
from optlab.search.gp.one_thread import one_thread
from optlab.search.sampler import Observation
from optlab.verdict import Verdict, at_least, at_most

TITLE = "What Bayesian optimization costs"
SOURCE = "post, Bayesian Optimization (computational cost)"
TRY = "Add 4400 to SIZES: eight times the work of 2,200, and 155 MB of memory for the matrix alone."

SIZES, FAST_SIZES = (1000, 1500, 2200, 3200), (100, 150, 220, 320)
RESULTS, FAST_RESULTS = (25, 50, 100, 200, 400), (25, 50)
REPEATS = 4
DIMENSION = 4
LENGTHSCALE, NOISE = 0.5, 1e-3


def least(repeats: int, work: Callable[..., Any], *arguments: Any) -> float:
    """The least CPU seconds of several repetitions."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work(*arguments)
        taken.append(time.process_time() - began)
    return min(taken)


def exponent(n: Any, seconds: Any) -> float:
    """b of seconds = a n^b, by least squares on logarithms."""
    return float(np.polyfit(np.log(n), np.log(seconds), 1)[0])


def matrix(n: int, rng: np.random.Generator) -> np.ndarray:
    """A covariance matrix of n random points."""
    points = rng.random((DIMENSION, n))
    found = Matern52(DIMENSION).matrix(np.full(DIMENSION, np.log(LENGTHSCALE)), points, points)
    found.flat[:: n + 1] += NOISE
    return found


def proposals(results: tuple[int, ...], rng: np.random.Generator) -> list[float]:
    """Seconds of a proposal after so many results, the fits before it done."""
    space = Space({f"x{k}": Float(0, 1) for k in range(DIMENSION)})
    points = rng.random((max(results), DIMENSION))
    losses = ((points - 0.4) ** 2).sum(1) + 0.1 * np.sin(9 * points).sum(1)
    seen = [
        Observation(i, space.decode(point), float(loss), "complete")
        for i, (point, loss) in enumerate(zip(points, losses, strict=True))
    ]
    sampler = GP(0)
    sampler.bind(space)
    taken = []
    for n in results:
        sampler.propose([n], seen[:n])  # makes the fits up to n
        taken.append(least(REPEATS, sampler.propose, [n], seen[:n]))
    return taken


def run(setup: Setup) -> dict[str, Any]:
    """Seconds of factorisations, of appended rows and of proposals; the appended factor's error."""
    rng = np.random.default_rng([setup.seed, 3])
    sizes, results = (FAST_SIZES, FAST_RESULTS) if setup.fast else (SIZES, RESULTS)
    whole, row, error = [], [], 0.0
    seconds_proposal = proposals(results, rng)
    with one_thread:
        for n in sizes:
            a = matrix(n, rng)
            before, last = Factor.of(np.ascontiguousarray(a[:-1, :-1])), (a[-1, :-1], a[-1, -1])
            whole.append(least(REPEATS, Factor.of, a))
            row.append(least(3 * REPEATS, before.append, *last))
            grown, new = before.append(*last), Factor.of(a)
            error = max(error, float(np.abs(np.tril(grown.lower - new.lower)).max()))
    return {
        "sizes": np.array(sizes),
        "results": np.array(results),
        "error": error,
        "seconds_whole": np.array(whole),
        "seconds_row": np.array(row),
        "seconds_proposal": np.array(seconds_proposal),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The exponent of the factorisation and of an appended row; their agreement; the time of a proposal."""
    cubic = exponent(data["sizes"], data["seconds_whole"])
    square = exponent(data["sizes"], data["seconds_row"])
    last = dict(zip(data["results"].tolist(), (1000 * data["seconds_proposal"]).round(1).tolist(), strict=True))
    gain = float(data["seconds_whole"][-1] / data["seconds_row"][-1])
    return [
        Verdict(
            "bayes-cost",
            "from n = 1,000 on, the time of a factorisation grows about as n^3",
            round(cubic, 2),
            "exponent in [2.5, 3.2]",
            2.5 <= cubic <= 3.2,
            "n^2 parts, such as copying the matrix, still count at these sizes",
        ),
        at_least(
            "bayes-cost:append",
            "at the largest n, one more row is at least ten times as fast as a new factor",
            gain,
            10.0,
            f"its time grows as n^{square:.2f} here: n^2 operations, bound by memory",
        ),
        at_most("bayes-cost:same", "the appended factor is the new factor", data["error"], 1e-10),
        Verdict(
            "bayes-cost:proposal",
            "a proposal takes less than a quarter of a second after 400 results",
            {f"{n} results": f"{ms} ms" for n, ms in last.items()},
            "< 250 ms each",
            max(last.values()) < 250,
            "CPU time, without the fits, which come after one result in ten",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Seconds against n, with lines of slope 3 and 2; milliseconds of a proposal."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.5, 5.0))
    left, right = fig.subplots(1, 2)
    for i, (key, label, power) in enumerate((("seconds_whole", "a new factor", 3), ("seconds_row", "one more row", 2))):
        n, seconds = data["sizes"], data[key]
        left.loglog(n, seconds, marker="os"[i], color=COLORS[i], linestyle="none", markersize=8, label=label)
        line = seconds[-1] * (n / n[-1]) ** float(power)
        left.loglog(n, line, color=COLORS[i], linewidth=1.0, label=f"slope {power}")
    left.set_xticks(data["sizes"], [f"{n:,}" for n in data["sizes"]])
    left.minorticks_off()
    left.set(xlabel="results n", ylabel="CPU seconds", title="the Cholesky factor of n results")
    right.plot(data["results"], 1000 * data["seconds_proposal"], marker="o", color=COLORS[2])
    right.set(
        xlabel="results", ylabel="milliseconds", ylim=(0, None), title="a proposal in four parameters, without the fits"
    )
    for ax in (left, right):
        ax.grid(alpha=0.3)
    left.legend(fontsize="small")
    return save(fig, out, "bayes-cost")


if __name__ == "__main__":
    main("bayes-cost")
