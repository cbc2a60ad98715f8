"""What a suggestion costs: CPU time of an ask and a tell with n results in six parameters, on one thread.

A smooth function with its n first results on a Sobol sequence; the first suggestion, which takes all of them in and may
compile, is not counted. Contestants take turns in shuffled order. Ours fits anew when the results have grown by a
tenth, so that its turns go through such a growth: its mean has the fit in it. Peers fit at every suggestion.
"""

import math
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from optlab.bench.problems import Problem, real
from optlab.bench.search_peers import Contestant
from optlab.search.gp.chain import GROWTH
from optlab.search.sampler import Observation
from optlab.search.samplers.sobol import SobolSequence

SIZES = (50, 200, 500, 1000, 2000)
COLUMNS = 6
OURS, THEIRS = "gp", "optuna gp"  # by the goals
FEW = 200  # results beyond which only these two are measured
TURNS = 5
LONGEST = 60.0  # seconds that a suggestion may take; it grows as the cube of the results at most
Times = dict[str, list[float]]


def bowl() -> Problem:
    """A slope of six parameters with a wave in two of them."""
    weights = np.random.default_rng(3).uniform(0.3, 1.0, COLUMNS)

    def loss(x: np.ndarray) -> float:
        return float(weights @ (x - 0.4) ** 2 + 0.3 * np.sin(6 * x[0]) * np.cos(4 * x[-1]))

    return real("bowl", loss, 0, 1, COLUMNS, 0.0)


class Search:
    """One contestant's search, with ``n`` results of the sequence."""

    def __init__(self, contestant: Contestant, problem: Problem, n: int) -> None:
        self._problem, self._ask, self._seen = problem, contestant(problem, 0), list[Observation]()
        even = SobolSequence(COLUMNS, 0)
        for i in range(n):
            self._tell(problem.space.decode(even[i]))

    def suggest(self) -> float:
        """Seconds that one suggestion takes."""
        clock = time.process_time()
        params = self._ask(self._seen)
        took = time.process_time() - clock
        self._tell(params)
        return took

    def _tell(self, params: dict[str, Any]) -> None:
        self._seen.append(Observation(len(self._seen), params, self._problem.loss(params), "complete"))


def measure(racing: Mapping[str, Contestant], n: int, turns: int = TURNS) -> Times:
    """Seconds of every suggestion after ``n`` results."""
    problem = bowl()
    searches = {name: Search(contestant, problem, n) for name, contestant in racing.items()}
    for search in searches.values():
        search.suggest()
    share = {name: max(1, 1000 // n // turns) for name in racing}
    share[OURS] = math.ceil(max(20, round((GROWTH - 1) * n)) / turns)
    taken: Times = {name: [] for name in racing}
    order, shuffle = list(racing), random.Random(0)
    for _ in range(turns):
        shuffle.shuffle(order)
        for name in order:
            taken[name] += [searches[name].suggest() for _ in range(share[name])]
    return taken


def row(n: int, taken: Times) -> dict[str, Any]:
    """Milliseconds, and how many times as long as ours a peer takes."""
    mean = {name: 1e3 * float(np.mean(seconds)) for name, seconds in taken.items()}
    found: dict[str, Any] = {"results": n, OURS: mean[OURS], "between fits": 1e3 * float(np.median(taken[OURS]))}
    for name in taken:
        if name != OURS:
            found |= {name: mean[name], f"{name} x": mean[name] / mean[OURS]}
    return found


def entrants(racing: Mapping[str, Contestant], n: int, before: Mapping[str, Any]) -> dict[str, Contestant]:
    """Who is measured with ``n`` results, given the row of the size before."""
    growth = (n / before["results"]) ** 3 if before else 0.0
    return {
        name: contestant
        for name, contestant in racing.items()
        if name not in ("sobol", "random")
        and (n <= FEW or name in (OURS, THEIRS))
        and (not before or (name in before and growth * before[name] <= 1e3 * LONGEST))
    }


def exponent(rows: list[dict[str, Any]], name: str, least: int = 200) -> float | None:
    """b of the least-squares fit milliseconds = a results^b, from ``least`` results on."""
    known = [(r["results"], r[name]) for r in rows if r["results"] >= least and r.get(name)]
    if len(known) < 2:
        return None
    n, ms = np.log(np.array(known)).T
    return float(np.polyfit(n, ms, 1)[0])
