"""Points among which the next one is sought, each with the box that a search from it stays in.

Every combination of choices that was tried has a trust region of its own, around its own best point and as wide as its
own successes made it: a narrow good region of another kernel is then not lost in the box of the kernel that leads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optlab.search.gp.lattice import Lattice
from optlab.search.gp.model import Posterior
from optlab.search.gp.trust import box

Array = np.ndarray
WIDE, NEAR, AROUND = 512, 128, 4  # candidates: in the boxes; around this many of the best points, or of boxes


@dataclass(frozen=True)
class Candidates:
    """``points``, and the ``low`` and ``high`` ends of their boxes, each ``(m, d)``."""

    points: Array
    low: Array
    high: Array

    def only(self, rows: Array) -> "Candidates":
        """Some of them."""
        return Candidates(self.points[rows], self.low[rows], self.high[rows])


def candidates(
    posterior: Posterior, lattice: Lattice, side: Callable[[Array], float], spread: Array, rng: np.random.Generator
) -> Candidates:
    """Even ones in the boxes, then normal steps around the best points.

    Args:
        posterior: of the data, whose best points lead.
        lattice: the space.
        side: of the box around a point.
        spread: ``(WIDE, d)`` even points of the unit cube.
        rng: of this trial.
    """
    tried = posterior.data.points.T[np.argsort(posterior.fitted(), kind="stable")]
    lengths = np.exp(posterior.theta[: lattice.d])
    leaders = tried[_leaders(tried, lattice.choices)]
    low, high = np.array([box(x, lengths, side(x), lattice.coarse, lattice.levels) for x in leaders]).swapaxes(0, 1)
    wide, home = _wide(leaders, low, high, lattice.choices, (spread + rng.random(lattice.d)) % 1.0)
    near, of = _near(np.vstack([tried[:AROUND], leaders[1:]]), lengths, low, high, lattice.coarse, rng)
    home = np.append(home, of)
    return Candidates(lattice.snap(np.vstack([wide, near])), low[home], high[home])


def _leaders(tried: Array, choices: list[int]) -> Array:
    """The rows of ``tried (n, d)``, the best first, that are the best with their choices; at most AROUND."""
    if not choices:
        return np.zeros(1, int)
    _, first = np.unique(tried[:, choices], axis=0, return_index=True)
    return np.asarray(np.sort(first)[:AROUND])


def _wide(leaders: Array, low: Array, high: Array, choices: list[int], even: Array) -> tuple[Array, Array]:
    """``even (m, d)`` in the boxes, and in whose: every second one in the first leader's, with any choices."""
    turn = np.arange(len(even))
    home = np.where(turn % 2, turn // 2 % len(leaders), 0)
    q = low[home] + even * (high[home] - low[home])
    if len(leaders) > 1:
        q[np.ix_(turn[1::2], np.array(choices))] = leaders[home[1::2]][:, choices]
    return q, home


def _near(
    centers: Array, lengths: Array, low: Array, high: Array, coarse: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Normal steps of all sizes around ``centers``, and in whose box; a choice is now and then drawn anew.

    The last centers are those of the boxes after the first one, to which the others belong.
    """
    d = len(lengths)
    pick = rng.integers(0, len(centers), NEAR)
    home = np.maximum(pick - (len(centers) - len(low)), 0)
    size = 10.0 ** rng.uniform(-3.0, -0.5, (NEAR, 1)) * np.minimum(lengths, 1.0)
    moved = rng.random((NEAR, d)) < max(0.5, 2.0 / d)
    out = np.clip(centers[pick] + size * rng.standard_normal((NEAR, d)) * moved, low[home], high[home])
    for k in np.flatnonzero(coarse):
        redrawn = rng.random(NEAR) < 0.2
        out[redrawn, k] = rng.random(int(redrawn.sum()))
    return out, home
