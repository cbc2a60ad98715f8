"""A rule's step in plain NumPy: its own functions on whole arrays. The compiled step must equal it bit for bit."""

import numpy as np

from optlab_kernels.fuse import STATE, G, P
from optlab_kernels.rule import HIGH, HYPER, LOW, SCALE, Rule, T, decays, regularise


def on_arrays(rule: Rule, arena: np.ndarray, control: np.ndarray) -> None:
    """What ``fuse(rule)(arena, control)`` does, with the temporaries that NumPy makes."""
    kind = arena.dtype.type
    memory_at = HYPER + len(rule.hyper._fields)
    columns = slice(int(control[LOW]), int(control[HIGH]))
    t = int(control[T]) + 1
    h = rule.hyper(*control[HYPER:memory_at].tolist())
    c, memory = rule.advance(t, h, tuple(control[memory_at:].tolist()))
    control[T], control[memory_at:] = t, memory
    l2, keep = decays(control)
    p, g = regularise(
        arena[P, columns],
        kind(control[SCALE]) * arena[G, columns],
        (kind(l2), kind(keep)),
    )
    p, state = rule.update(p, g, tuple(arena[STATE:, columns]), tuple(map(kind, c)))
    arena[P, columns] = p
    for row, slot in zip(arena[STATE:, columns], state, strict=True):
        row[...] = slot
