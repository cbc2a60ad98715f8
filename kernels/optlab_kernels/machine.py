"""The training machine: one compiled function that executes a plan, a table of layer operations, for whole epochs.

A plan is traced once from a model; any depth, width and batch size is another table for the same machine code. The
rule's step comes in as a first-class function, called once per step, so that the machine is compiled once for all
rules. The loops are those of `layers.py` and `gemm.py`, which the tape calls too: both agree bit for bit.
"""

import functools
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from optlab_kernels.dropout import dropout_mask
from optlab_kernels.fuse import G, P, fuse
from optlab_kernels.gemm import nn, tn
from optlab_kernels.jit import jit
from optlab_kernels.layers import (
    activate,
    activate_back,
    add_bias,
    batch_norm,
    batch_norm_back,
    softmax_cross_entropy,
    squared_error,
    standardise,
    sum_rows,
    weighted_cross_entropy,
)
from optlab_kernels.reductions import all_finite, sum_of_squares
from optlab_kernels.rule import GRADIENT_NORM, HIGH, HYPER, PARAMETER_NORM, SCALE, UPDATE_NORM, Rule
from optlab_kernels.views import matrix, vector

# Operations: column 0 of a plan. The other columns are places and widths, in the order that `run` unpacks them. A place
# is an index into the arena's rows (weights and biases) or into the work array (everything that depends on the batch).
(
    LINEAR,  # x, weight, bias, z, inputs, outputs
    ACTIVATE,  # z, h, width, kind;  constant: slope
    NORMALISE,  # x, gamma, beta, statistics, y, width;  constants: eps, momentum
    DROP,  # x, mask, y, width, seed;  constant: p
    CROSS_ENTROPY,  # z, dz, width;  constant: label smoothing
    SQUARED_ERROR,  # y, dy, width
    TO_WEIGHT,  # x, dz, weight, bias, inputs, outputs
    TO_INPUT,  # dz, weight, transposed, dx, inputs, outputs
    ACTIVATE_BACK,  # z, h, dh, dz, width, kind;  constant: slope
    NORMALISE_BACK,  # x, gamma, beta, statistics, dy, dx, width
    DROP_BACK,  # mask, dy, dx, width
    PENALISE,  # first and last column of the arena;  constants: l1, l2
    STANDARDISE,  # x, shift, scale, width
    WEIGHTED_CROSS_ENTROPY,  # z, dz, width, weights;  constant: label smoothing
) = range(14)
COLUMNS, CONSTANTS = 9, 2
NONE = -1  # the place of a bias that is not there
STATISTICS = 5  # of a normalisation, `width` each: mean, variance, inverse, running mean, running variance
LOSS, NORMS = 0, 1  # columns of the log: the loss, then the norms of gradient, update and parameters
LOGGED = 4
CLIP_VALUE, CLIP_NORM, SIGN = 0, 1, 2  # limits: 0 is no clipping; SIGN is -1 to maximise
PROPAGATE, RAISE, SKIP = range(3)

Machine = Callable[..., None]


@jit
def execute(
    step: Any,
    plan: np.ndarray,
    constants: np.ndarray,
    arena: np.ndarray,
    controls: np.ndarray,
    work: np.ndarray,
    x: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray,
    order: np.ndarray,
    batch: int,
    calls: int,
    rates: np.ndarray,
    limits: np.ndarray,
    policy: int,
    log: np.ndarray,
    place: np.ndarray,
    until: int,
) -> None:
    """Train on the rows ``order`` of ``x``, ``batch`` at a time (the last may be smaller), as far as step ``until``.

    ``labels`` are classes or ``targets`` (n, outputs) values, the other is empty. ``rates`` is empty or has a learning
    rate per step. ``calls`` counts earlier steps, for dropout's masks. ``log`` (steps, 4) receives the loss and, from a
    step compiled with norms, the three norms. Under RAISE the machine stops before the step whose gradient is not
    finite; under SKIP it leaves that step out and logs a NaN for its norms.

    ``place`` holds the number of steps done, from which it goes on: an epoch may be any number of calls. It is counted
    here, since a signal may raise between a call and what Python does with its result.
    """
    n, inputs = order.size, x.shape[1]
    params, grads = arena[P], arena[G]
    chosen, wanted = np.empty(batch, np.int64), np.empty((batch, targets.shape[1]), work.dtype)
    zero = work.dtype.type(0)
    flat = x.reshape(-1)
    direct = plan.shape[0] > 0 and plan[0, 0] != STANDARDISE
    size = int(controls[controls.shape[0] - 1, HIGH])  # the row is longer, up to a whole cache line
    for s in range(place[0], until):
        first = s * batch
        m = min(batch, n - first)
        here = order[first]
        together = direct  # rows that stand one after the other are read where they are
        for i in range(1, m):
            together = together and order[first + i] == here + i
        if not together:
            for i in range(m):
                row = order[first + i]
                for j in range(np.uint64(inputs)):
                    work[np.uint64(i * inputs) + j] = x[row, j]
        loss = 0.0
        for r in range(plan.shape[0]):
            op, a, b, c = plan[r, 0], plan[r, 1], plan[r, 2], plan[r, 3]
            d, e, f, g = plan[r, 4], plan[r, 5], plan[r, 6], plan[r, 7]
            if op == LINEAR:
                z = matrix(work, d, m, f)
                rows = matrix(flat, here * inputs, m, e) if a == 0 and together else matrix(work, a, m, e)
                nn(rows, matrix(params, b, e, f), z)
                if c != NONE:
                    add_bias(z, vector(params, c, f))
            elif op == ACTIVATE:
                activate(d, constants[r, 0], matrix(work, a, m, c), matrix(work, b, m, c))
            elif op == NORMALISE:
                mean, variance = vector(work, d, f), vector(work, d + f, f)
                batch_norm(
                    matrix(work, a, m, f),
                    vector(params, b, f),
                    vector(params, c, f),
                    constants[r, 0],
                    mean,
                    variance,
                    vector(work, d + 2 * f, f),
                    matrix(work, e, m, f),
                )
                pace = work.dtype.type(constants[r, 1])
                unbias = work.dtype.type(m / (m - 1.0))
                for j in range(f):
                    at = d + 3 * f + j
                    work[at] = work[at] + pace * (mean[j] - work[at])
                    work[at + f] = work[at + f] + pace * (variance[j] * unbias - work[at + f])
            elif op == DROP:
                mask = matrix(work, b, m, d)
                dropout_mask(mask, e, calls + s + 1, constants[r, 0])
                for i in range(np.uint64(m * d)):
                    work[np.uint64(c) + i] = work[np.uint64(a) + i] * work[np.uint64(b) + i]
            elif op == STANDARDISE:
                standardise(matrix(work, a, m, d), vector(work, b, d), vector(work, c, d))
            elif op == CROSS_ENTROPY:
                for i in range(m):
                    chosen[i] = labels[order[first + i]]
                z = matrix(work, a, m, c)
                loss += softmax_cross_entropy(z, chosen[:m], constants[r, 0], matrix(work, b, m, c))
            elif op == WEIGHTED_CROSS_ENTROPY:
                for i in range(m):
                    chosen[i] = labels[order[first + i]]
                z, dz = matrix(work, a, m, c), matrix(work, b, m, c)
                loss += weighted_cross_entropy(z, chosen[:m], constants[r, 0], vector(work, d, c), dz)
            elif op == SQUARED_ERROR:
                y, dy = matrix(work, a, m, c), matrix(work, b, m, c)
                for i in range(m):
                    for j in range(c):
                        wanted[i, j] = targets[order[first + i], j]
                loss += squared_error(y, wanted[:m], dy)
            elif op == TO_WEIGHT:
                dz = matrix(work, b, m, f)
                rows = matrix(flat, here * inputs, m, e) if a == 0 and together else matrix(work, a, m, e)
                tn(rows, dz, matrix(grads, c, e, f))
                if d != NONE:
                    sum_rows(dz, vector(grads, d, f))
            elif op == TO_INPUT:
                weight, turned = matrix(params, b, e, f), matrix(work, c, f, e)
                for i in range(e):
                    for j in range(f):
                        turned[j, i] = weight[i, j]
                nn(matrix(work, a, m, f), turned, matrix(work, d, m, e))
            elif op == ACTIVATE_BACK:
                activate_back(
                    f,
                    constants[r, 0],
                    matrix(work, a, m, e),
                    matrix(work, b, m, e),
                    matrix(work, c, m, e),
                    matrix(work, d, m, e),
                )
            elif op == NORMALISE_BACK:
                batch_norm_back(
                    matrix(work, a, m, g),
                    vector(params, b, g),
                    vector(work, d, g),
                    vector(work, d + 2 * g, g),
                    matrix(work, e, m, g),
                    matrix(work, f, m, g),
                    vector(grads, b, g),
                    vector(grads, c, g),
                )
            elif op == DROP_BACK:
                for i in range(np.uint64(m * d)):
                    work[np.uint64(c) + i] = work[np.uint64(b) + i] * work[np.uint64(a) + i]
            else:
                l1, l2 = work.dtype.type(constants[r, 0]), work.dtype.type(constants[r, 1])
                sizes, squares = 0.0, 0.0
                for i in range(a, b):
                    w = params[i]
                    sizes += abs(float(w))
                    squares += float(w) * float(w)
                    grads[i] = grads[i] + (l1 * np.sign(w) + l2 * w)
                loss += constants[r, 0] * sizes + 0.5 * constants[r, 1] * squares
        log[s, LOSS] = loss
        if policy != PROPAGATE and not all_finite(arena, G, 0, size):
            if policy == RAISE:
                return
            log[s, NORMS] = log[s, NORMS + 1] = log[s, NORMS + 2] = np.nan
            place[0] = s + 1
            continue
        if limits[CLIP_VALUE] > 0.0:
            ceiling = work.dtype.type(limits[CLIP_VALUE])
            for i in range(size):
                if grads[i] > ceiling:
                    grads[i] = ceiling
                elif grads[i] < zero - ceiling:
                    grads[i] = zero - ceiling
        scale = limits[SIGN]
        if limits[CLIP_NORM] > 0.0:
            norm = np.sqrt(sum_of_squares(arena, G, 0, size))
            if not norm <= limits[CLIP_NORM]:
                scale = scale * (limits[CLIP_NORM] / norm)
        for k in range(controls.shape[0]):
            controls[k, SCALE] = scale
            if rates.size > 0:
                controls[k, HYPER] = rates[s]
            step(arena, controls[k])
        gradient, change, length = 0.0, 0.0, 0.0
        for k in range(controls.shape[0]):
            gradient += controls[k, GRADIENT_NORM] * controls[k, GRADIENT_NORM]
            change += controls[k, UPDATE_NORM] * controls[k, UPDATE_NORM]
            length += controls[k, PARAMETER_NORM] * controls[k, PARAMETER_NORM]
        log[s, NORMS], log[s, NORMS + 1], log[s, NORMS + 2] = np.sqrt(gradient), np.sqrt(change), np.sqrt(length)
        place[0] = s + 1


def _signatures(dtype: np.dtype) -> tuple[Any, tuple[Any, ...]]:
    real = numba.from_dtype(dtype)
    table, numbers = types.Array(real, 2, "C"), types.Array(types.float64, 1, "C")
    whole = types.Array(types.int64, 1, "C")
    step = types.void(table, numbers)
    rows = types.Array(types.float64, 2, "C")
    arguments = (
        types.FunctionType(step),
        types.Array(types.int64, 2, "C"),
        rows,
        table,
        rows,
        types.Array(real, 1, "C"),
        table,
        whole,
        table,
        whole,
        types.int64,
        types.int64,
        numbers,
        numbers,
        types.int64,
        rows,
        whole,
        types.int64,
    )
    return step, arguments


@functools.cache
def machine(dtype: np.dtype) -> Machine:
    """`execute`, compiled for float32 or float64; every rule, depth, width and batch size runs on the same code."""
    if not numba.config.DISABLE_JIT:
        compiled: Any = execute
        compiled.disable_compile(False)
        compiled.compile(_signatures(dtype)[1])
        compiled.disable_compile()  # else a call would compile once more, for the very step that it is given
    return execute


@functools.cache
def first_class(rule: Rule, dtype: np.dtype, norms: bool) -> Any:
    """The step of ``rule`` as a value that a compiled function can be given: one signature, compiled now."""
    step: Any = fuse.__wrapped__(rule, norms)
    if not numba.config.DISABLE_JIT:
        step.compile(_signatures(dtype)[0].args)
        step.disable_compile()
    return step
