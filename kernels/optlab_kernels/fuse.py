"""The flat step: one pass over memory, in place, for any rule."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from optlab_kernels.jit import jit, pointwise
from optlab_kernels.reductions import BLOCK, add
from optlab_kernels.rule import (
    GRADIENT_NORM,
    HIGH,
    HYPER,
    LOW,
    PARAMETER_NORM,
    SCALE,
    UPDATE_NORM,
    Rule,
    T,
    decays,
    regularise,
)
from optlab_kernels.slots import Slots, cast, gather, pack, scatter, unpack

P, G, STATE = 0, 1, 2  # rows of an arena: parameters, gradients, then one per slot

Step = Callable[[np.ndarray, np.ndarray], None]


@functools.cache
def fuse(rule: Rule, norms: bool = False) -> Step:
    """Compile ``step(arena, control)``: one step of ``rule`` over columns LOW to HIGH of ``arena`` (2 + slots, n).

    Rows are parameters, gradients and slots, float32 or float64. The step count, the hyperparameters and the rule's
    memory are read from ``control`` (see `rule.py`) and advanced in it. With ``norms`` the same pass leaves the
    Euclidean norms of gradient, update and parameters (after the step) there; beyond 1e19 a float32 norm is inf.
    """
    update, advance, hyper = rule.update, rule.advance, rule.hyper
    state_like, hyper_like, memory_like = (0.0,) * len(rule.slots), tuple(map(float, rule.hyper())), rule.memory
    memory_at = HYPER + len(hyper_like)

    @pointwise
    def begin(arena: np.ndarray, control: np.ndarray) -> tuple[Any, Slots, Slots]:
        t = control[T] + 1.0
        h = hyper(*unpack(control, HYPER, hyper_like))
        c, memory = advance(int(t), h, unpack(control, memory_at, memory_like))
        control[T] = t
        pack(control, memory_at, memory)
        return arena.dtype.type(control[SCALE]), cast(decays(control), arena), cast(c, arena)

    @jit
    def step(arena: np.ndarray, control: np.ndarray) -> None:
        scale, decay, c = begin(arena, control)
        for i in range(np.uint64(control[LOW]), np.uint64(control[HIGH])):
            p, g = regularise(arena[P, i], scale * arena[G, i], decay)
            arena[P, i], state = update(p, g, gather(arena, STATE, i, state_like), c)
            scatter(arena, STATE, i, state)

    @jit
    def step_norms(arena: np.ndarray, control: np.ndarray) -> None:
        scale, decay, c = begin(arena, control)
        gradient, change, size = 0.0, 0.0, 0.0
        zero = arena.dtype.type(0)
        high = int(control[HIGH])
        for low in range(int(control[LOW]), high, BLOCK):
            gg, uu, pp = zero, zero, zero
            for i in range(np.uint64(low), np.uint64(min(low + BLOCK, high))):
                old, raw = arena[P, i], arena[G, i]
                p, g = regularise(old, scale * raw, decay)
                new, state = update(p, g, gather(arena, STATE, i, state_like), c)
                arena[P, i] = new
                scatter(arena, STATE, i, state)
                gg, uu, pp = add(gg, raw * raw), add(uu, (new - old) * (new - old)), add(pp, new * new)
            gradient, change, size = gradient + gg, change + uu, size + pp
        control[GRADIENT_NORM] = np.sqrt(gradient)
        control[UPDATE_NORM] = np.sqrt(change)
        control[PARAMETER_NORM] = np.sqrt(size)

    return step_norms if norms else step
