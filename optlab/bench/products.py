"""The matrix products of an epoch, and nothing else: how fast these products allow training to be."""

import numpy as np

from optlab.bench import epochs
from optlab.bench.timing import Anew
from optlab.train.machine import Machine
from optlab_kernels.fuse import G, P
from optlab_kernels.gemm import nn, tn
from optlab_kernels.jit import jit
from optlab_kernels.machine import LINEAR, TO_INPUT, TO_WEIGHT
from optlab_kernels.views import matrix

BATCH = 0  # its place in the work array; here it is read where it lies among the rows


@jit
def run(plan: np.ndarray, arena: np.ndarray, work: np.ndarray, x: np.ndarray, m: int, steps: int) -> None:
    """The products of a plan, in its order and its places, for ``steps`` batches of ``m`` rows of the flat ``x``."""
    params, grads = arena[P], arena[G]
    for s in range(steps):
        for r in range(plan.shape[0]):
            op, a, b, c, d = plan[r, 0], plan[r, 1], plan[r, 2], plan[r, 3], plan[r, 4]
            inputs, outputs = plan[r, 5], plan[r, 6]
            if op == TO_INPUT:
                nn(matrix(work, a, m, outputs), matrix(work, c, outputs, inputs), matrix(work, d, m, inputs))
            elif op in (LINEAR, TO_WEIGHT):
                rows = matrix(work, a, m, inputs)
                if a == BATCH:
                    rows = matrix(x, s * m * inputs, m, inputs)
                if op == LINEAR:
                    nn(rows, matrix(params, b, inputs, outputs), matrix(work, d, m, outputs))
                else:
                    tn(rows, matrix(work, b, m, outputs), matrix(grads, c, inputs, outputs))


def repeat(trained: Machine, x: np.ndarray) -> None:
    """The products of an epoch over ``x``, on the weights and results that ``trained`` has now."""
    m = trained.batch_size
    run(trained.plan.rows, trained.optimizer.arena.array, trained._work, x.reshape(-1), m, len(x) // m)


def alone(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Anew:
    """The products of an epoch as a contestant: a machine trains once, its products are repeated."""

    def start() -> Machine:
        trained = epochs.trainer(widths, batch)
        trained.epoch(x, y)
        return trained

    return start, lambda trained: repeat(trained, x)
