"""The box in which the next point is sought: wide after successes, narrow after failures.

Source: Eriksson et al. 2019 ("TuRBO"), section 3, with a start of .8, doubling after 3 successes in a row and halving
after max(4, d) failures in a row; below 2^-7 it starts again. It is replayed from the losses, never stored.
"""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
START, WIDEST, NARROWEST = 0.8, 1.6, 2.0**-7
SUCCESSES, FAILURES = 3, 4
LONGEST = 2.0
PROGRESS = 1e-3  # of what the first results had left to gain, to count as a success


def side(losses: Array, local: Sequence[bool] | Array, initial: int, d: int) -> float:
    """The box's side after ``losses (n,)``, of which the first ``initial``, and those not ``local``, don't count."""
    if not len(losses):
        return START
    best = float(losses[:initial].min())
    gain = PROGRESS * (float(np.median(losses[:initial])) - best)
    length, won, lost = START, 0, 0
    for loss, inside in zip(losses[initial:].tolist(), local[initial:], strict=True):
        if inside:
            won, lost = (won + 1, 0) if loss < best - gain else (0, lost + 1)
        best = min(best, loss)
        if won == SUCCESSES:
            length, won = min(2.0 * length, WIDEST), 0
        if lost == max(FAILURES, d):
            length, lost = length / 2.0, 0
        if length < NARROWEST:
            length = START
    return length


def box(center: Array, lengths: Array, side: float, coarse: Array, levels: list[int | None]) -> tuple[Array, Array]:
    """Low and high ends ``(d,)``: sides in proportion to the lengthscales, with the given geometric mean.

    ``coarse`` columns are never cut, and of the others with levels at least the next ones are inside.
    """
    lengths = np.minimum(lengths, LONGEST)
    half = 0.5 * side * lengths / np.exp(np.log(lengths[~coarse]).mean() if not coarse.all() else 0.0)
    half = np.maximum(half, [1.5 / n if n else 0.0 for n in levels])
    return (
        np.where(coarse, 0.0, np.clip(center - half, 0.0, 1.0)),
        np.where(coarse, 1.0, np.clip(center + half, 0.0, 1.0)),
    )
