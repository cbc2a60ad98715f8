#!/usr/bin/env python3
"""Measures the grid behind the benchmark problem `svc`: errors of scikit-learn's SVC by kernel, C and gamma.

    python scripts/svc_grid.py        # some minutes; writes optlab/bench/svc_digits.npy

The problem is interpolated, so that a regret costs nothing to evaluate and the best value is known.
"""

from pathlib import Path

import numpy as np
from sklearn.svm import SVC

import optlab as ol
import optlab.bench

ROWS, FOLDS, POINTS = 900, 3, 21
C, GAMMA = np.geomspace(1e-2, 1e3, POINTS), np.geomspace(1e-5, 10.0, POINTS)
STEPS = 20_000  # of the solver: a hopeless C and gamma must not hold up the rest


def main() -> None:
    """Measure and write, (kernels, C, gamma)."""
    part = ol.data.load("digits").part().take(ROWS, seed=0)
    folds = [(train.x, train.y, held.x, held.y) for train, held in part.folds(FOLDS, seed=0)]

    def error(**options: object) -> float:
        fitted = (SVC(max_iter=STEPS, **options).fit(x, y).score(a, b) for x, y, a, b in folds)
        return 1.0 - float(np.mean(list(fitted)))

    errors = np.empty((3, POINTS, POINTS))
    for i, c in enumerate(C):
        errors[0, i] = error(kernel="linear", C=c)  # has no gamma
        for j, gamma in enumerate(GAMMA):
            errors[1, i, j], errors[2, i, j] = (error(kernel=kernel, C=c, gamma=gamma) for kernel in ("poly", "rbf"))
        print(".", end="", flush=True)
    path = Path(optlab.bench.__file__).with_name("svc_digits.npy")
    np.save(path, errors)
    print(f" {path.name}: {errors.min():.4f} to {errors.max():.4f}")


if __name__ == "__main__":
    main()
