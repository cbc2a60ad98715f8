"""Orders of magnitude first, then finer: random search in stages, each in a smaller box around the best so far."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from optlab.checks import finite, whole
from optlab.search.best import best_trials
from optlab.search.mistakes import Found, raise_if, shown
from optlab.search.sampler import Observation, Sampler, generator


class Refine(Sampler):
    """Stage 0 draws from the whole space, stage s from a box of shrink^s of every range around the best before it.

    The box stays inside the space. A Choice keeps the best value with probability 1 - shrink^s and is drawn anew
    otherwise. A stage waits for the trials of the stages before it, so that trial n does not depend on the workers.

    Args:
        coarse: trials in a stage, from 1.
        shrink: between 0 and 1.
        seed: of the draws.

    Source: Karpathy, CS231n notes, "Hyperparameter optimization": "stage your search from coarse to fine".

    >>> from optlab.search.space import Float, Space
    >>> sampler = Refine(coarse=2, shrink=0.1)
    >>> sampler.bind(Space(lr=Float(0, 1)))
    >>> seen = [Observation(0, {"lr": 0.5}, 1.0, "complete"), Observation(1, {"lr": 0.9}, 2.0, "complete")]
    >>> [0.45 <= p["lr"] <= 0.55 for p in sampler.propose([2, 3, 4], seen)]
    [True, True]
    """

    name = "refine"

    def __init__(self, coarse: int = 20, shrink: float = 0.25, seed: int = 0) -> None:
        super().__init__(seed)
        found: Found = []
        trials, share = whole(coarse), finite(shrink)
        if trials is None or trials < 1:
            found.append(("coarse", f"must be a whole number from 1, got {shown(coarse)}"))
        if share is None or not 0.0 < share < 1.0:
            found.append(("shrink", f"must be between 0 and 1, got {shown(shrink)}"))
        raise_if(found, "Refine")
        self.coarse, self.shrink = int(coarse), float(shrink)

    def options(self) -> dict[str, Any]:
        """Coarse and shrink."""
        return {"coarse": self.coarse, "shrink": self.shrink}

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """A draw per number, as far as the stages before have ended."""
        proposals = []
        for n in numbers:
            stage = n // self.coarse
            before = [t for t in seen if t.number < stage * self.coarse]
            if len(before) < stage * self.coarse or any(t.state == "running" for t in before):
                break
            proposals.append(self.space.decode(self._draw(n, self.shrink**stage, before)))
        return proposals

    def _draw(self, n: int, width: float, before: Sequence[Observation]) -> np.ndarray:
        rng = generator(self.seed, "refine", n)
        u, keep = rng.random(len(self.space)), rng.random(len(self.space)) >= width
        best = best_trials(before)
        if not best:
            return u
        params = best[0].params
        centre = self.space.encode(params)
        boxed = np.clip(centre - width / 2, 0.0, 1.0 - width) + width * u
        choice = np.array([column.kind == "choice" for column in self.space.columns])
        near = np.where(choice, np.where(keep, centre, u), boxed)
        # What the best trial does not have has no place to stay near to.
        return np.where([name in params for name in self.space], near, u)
