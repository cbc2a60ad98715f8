"""What every rule must do, whoever wrote it: each `rule_*` function here takes settings and a dtype, and asserts.

They compare the compiled loops with the same functions on NumPy arrays. That proves the loops and not the formulas;
the formulas are compared with other people's code in `test_parity_*.py`.
"""

import numpy as np
from conftest import JIT

import optlab as ol
from optlab_kernels.fuse import BLOCK, STATE, G, P, fuse
from optlab_kernels.reference import on_arrays
from optlab_kernels.rule import (
    DECOUPLED,
    GRADIENT_NORM,
    HIGH,
    HYPER,
    L2,
    LOW,
    PARAMETER_NORM,
    SCALE,
    UPDATE_NORM,
    T,
)

SIZES = (1, 7, 64, 1001, 5000) if JIT else (1, 7, 64)  # below, at and beyond a vector register; beyond a block of norms
EPSILON = {np.float32: 2.0**-23, np.float64: 2.0**-52}


def run(settings, start, gradients, **options):
    """Positions (steps + 1, n) of an `Optimizer` from ``start`` (n,), fed ``gradients`` (steps, n) or a function."""
    tensor = ol.Tensor(np.array(start))
    optimizer = ol.Optimizer([tensor], settings, **options)
    path = [tensor.data.copy()]
    with np.errstate(all="ignore"):
        for g in gradients:
            tensor.grad[...] = g(tensor.data) if callable(g) else g
            optimizer.step()
            path.append(tensor.data.copy())
    return np.array(path)


def arena_of(settings, n, dtype, seed=0):
    """Random parameters and gradients over fresh slots, and the control of all columns."""
    variant = settings.variant
    arena = np.empty((2 + len(variant.slots), n), dtype)
    arena[:STATE] = np.random.default_rng(seed).standard_normal((STATE, n))
    for i, slot in enumerate(variant.slots):
        arena[STATE + i] = variant.start(slot, settings.hyper)
    return arena, settings.control(0, n)


def compare(settings, arena, control, steps=4, norms=False):
    """Step copies of one arena both ways and require every bit of arena and control to agree; returns the compiled."""
    want, want_control = arena.copy(), control.copy()
    arena, control = arena.copy(), control.copy()
    gradients = np.random.default_rng(1).standard_normal((steps, arena.shape[1])).astype(arena.dtype)
    for g in gradients:
        arena[G] = want[G] = g
        fuse(settings.variant, norms)(arena, control)
        on_arrays(settings.variant, want, want_control)
        np.testing.assert_array_equal(arena, want)
        np.testing.assert_array_equal(np.delete(control, NORMS), np.delete(want_control, NORMS))
    return arena, control


NORMS = [GRADIENT_NORM, UPDATE_NORM, PARAMETER_NORM]


def rule_step_is_the_same_function_on_arrays(settings, dtype):
    for n in SIZES:
        compare(settings, *arena_of(settings, n, dtype))


def rule_keeps_to_its_columns(settings, dtype):
    arena, control = arena_of(settings, 40, dtype)
    for low, high in [(0, 0), (0, 3), (7, 29), (39, 40), (5, 5)]:
        control[[LOW, HIGH]] = low, high
        after, _ = compare(settings, arena, control)
        outside = np.r_[0:low, high:40]
        np.testing.assert_array_equal(after[P, outside], arena[P, outside])
        np.testing.assert_array_equal(after[STATE:, outside], arena[STATE:, outside])


def rule_decays_weights(settings, dtype):
    arena, control = arena_of(settings, 64, dtype)
    plain, _ = compare(settings.replace(weight_decay=0.0), *arena_of(settings.replace(weight_decay=0.0), 64, dtype))
    for weights in [(0.1, 0.0), (0.0, 0.1), (0.03, 0.2)]:
        control[[L2, DECOUPLED]] = weights
        decayed, _ = compare(settings, arena, control)
        assert (decayed[P] != plain[P]).any(), "the decay does something"


def rule_scale_of_minus_one_maximises(settings, dtype):
    arena, control = arena_of(settings, 64, dtype)
    up, down = arena.copy(), arena.copy()
    down[G] *= -1
    step = fuse(settings.variant)
    step(down, control.copy())
    control[SCALE] = -1.0
    step(up, control)
    np.testing.assert_array_equal(np.delete(up, G, 0), np.delete(down, G, 0))


def rule_step_with_norms_moves_alike(settings, dtype):
    """Norms: sums of at most BLOCK terms in the dtype, whose rounding errors add up like a random walk, times 4."""
    tolerance = 4 * np.sqrt(BLOCK) * EPSILON[dtype]
    for n in SIZES:
        arena, control = arena_of(settings, n, dtype)
        before, control = compare(settings, arena, control, steps=2, norms=True)
        after, control = compare(settings, before, control, steps=1, norms=True)
        wide = [after[G], after[P] - before[P], after[P]]
        want = [np.sqrt(np.sum(np.square(row.astype(np.float64)))) for row in wide]
        np.testing.assert_allclose(control[NORMS], want, rtol=tolerance)


def rule_rests_without_gradient(settings, dtype):
    arena, control = arena_of(settings.replace(weight_decay=0.0), 64, dtype)
    before = arena[P].copy()
    arena[G] = 0.0
    for _ in range(5):
        fuse(settings.variant)(arena, control)
    np.testing.assert_array_equal(arena[P], before)
    assert np.isfinite(arena).all()


def rule_stops_at_rate_zero(settings, dtype):
    settings = settings.replace(lr=0.0)
    arena, control = arena_of(settings, 64, dtype)
    after, _ = compare(settings, arena, control)
    np.testing.assert_array_equal(after[P], arena[P])


def rule_counts_and_remembers(settings, dtype):
    arena, control = arena_of(settings, 7, dtype)
    whole, end = compare(settings, arena, control, steps=5)
    assert end[T] == 5
    memory = settings.variant.memory
    for t in range(1, 6):
        _, memory = settings.variant.advance(t, settings.hyper, memory)
    np.testing.assert_array_equal(end[HYPER + len(settings.hyper) :], memory)
    np.testing.assert_array_equal(end[HYPER : HYPER + len(settings.hyper)], settings.hyper)
    # stopped after two steps and continued from copies
    gradients = np.random.default_rng(1).standard_normal((5, 7)).astype(dtype)
    for g in gradients:
        arena, control = arena.copy(), control.copy()
        arena[G] = g
        fuse(settings.variant)(arena, control)
    np.testing.assert_array_equal(arena, whole)


RULE = [check for name, check in list(globals().items()) if name.startswith("rule_")]
