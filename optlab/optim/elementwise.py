"""Whether a rule is elementwise: its compiled step, which sees one number at a time, against the step on arrays."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from optlab.compiling import A_RULE, COMPILE_ERRORS, compile_error
from optlab.errors import ConfigError
from optlab.optim.traced import Mixed, Traced
from optlab_kernels.fuse import STATE, G, P, Step, fuse
from optlab_kernels.reference import on_arrays
from optlab_kernels.rule import HIGH, LOW, Rule, T

LENGTHS = (1, 2, 3, 7, 64, 65, 257)  # below, at and beyond a vector register
DECAYS: tuple[dict[str, float], ...] = ({}, {"l2": 0.1}, {"decoupled": 0.1})
STEPS = 4
LATE, LONG = (1, 2, 11, 101, 1001, 100_001), 4099
# Of the larger of a number before and after the step. Functions such as exp may differ in the last bits between NumPy
# and compiled code; in float32 a literal, which makes compiled code compute in float64, differs by a rounding.
TOLERANCES: dict[Any, float] = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}
CHOOSE = "choose with np.maximum, np.minimum, np.sign or optlab_kernels.choose.choose"


def check_elementwise(rule: Rule) -> None:
    """Step random vectors of several lengths, in both precisions: on arrays, on parts of them, and compiled.

    Raises:
        ConfigError: the three differ, or one fails; the message says why.
    """
    try:
        with np.errstate(all="ignore"):
            for dtype in TOLERANCES:
                for arena, control in _steps(rule, dtype):
                    _compare_parts(rule, arena, control)
            for arena, control in _unusual(rule):
                with suppress(ArithmeticError):  # settings that make no sense together
                    _compare_parts(rule, arena, control)
                    _trace(rule, arena, control)
            for dtype in TOLERANCES:
                # In float64 the very function of an optimizer; in float32 one whose machine code the disk cache keeps.
                step = fuse(rule, False) if dtype == np.float64 else fuse.__wrapped__(rule)
                for arena, control in _steps(rule, dtype):
                    _compare_compiled(rule, step, arena, control)
    except COMPILE_ERRORS as error:
        raise compile_error(rule.name, error, A_RULE) from error
    except (ConfigError, Warning):  # a warning is an error only where the user has made it one
        raise
    except Exception as error:
        raise failed(rule, error) from error


def failed(rule: Rule, error: Exception) -> ConfigError:
    """The error for a step on arrays that raised one."""
    hint = f"; a rule has no branch: {CHOOSE}" if "truth value" in str(error) else ""
    return ConfigError(f"{rule.name}: one step on small arrays failed: {type(error).__name__}: {error}{hint}")


def _steps(rule: Rule, dtype: np.dtype[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Arenas with their controls before a step: every length under each decay, then every convention's settings."""
    rng = np.random.default_rng(0)
    usual = rule.hyper()
    hypers = [usual._replace(**{k: v for k, v in c.items() if k in usual._fields}) for c in rule.conventions.values()]
    cases = [(n, usual, decay) for n in LENGTHS for decay in DECAYS] + [(7, hyper, {}) for hyper in hypers]
    for n, hyper, decay in cases:
        arena, control = np.zeros((STATE + len(rule.slots), n), dtype), rule.control(hyper, 0, n, **decay)
        arena[P] = _numbers(rng, n)
        arena[P, ::2] = 0.0  # there the result is the step alone, however small it is
        for i, slot in enumerate(rule.slots):
            arena[STATE + i] = rule.start(slot, hyper)
        for i in range(STEPS):
            arena[G] = _numbers(rng, n)
            if i == STEPS - 2:
                arena[G, : n // 2] = 0.0  # a part that is zero, a whole that is not
            yield arena, control
            on_arrays(rule, arena, control)


def _unusual(rule: Rule) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Long arenas with their controls: late steps, and each hyperparameter away from its default."""
    rng = np.random.default_rng(1)
    usual = rule.hyper()
    others = [usual._replace(**{k: v}) for k, old in usual._asdict().items() for v in (0.5, 1.0) if v != old]
    for hyper, t in [(usual, t) for t in LATE] + [(hyper, 2) for hyper in others]:
        arena, control = np.zeros((STATE + len(rule.slots), LONG)), rule.control(hyper, 0, LONG)
        arena[P], arena[G] = _numbers(rng, LONG), _numbers(rng, LONG)
        arena[STATE:] = np.abs(rng.standard_normal(arena[STATE:].shape))  # many a slot is a mean of squares
        control[T] = t - 1
        yield arena, control


def _numbers(rng: np.random.Generator, n: int) -> np.ndarray:
    """Of both signs and of all sizes from about 0.01 to 100."""
    return rng.standard_normal(n) * 10.0 ** rng.uniform(-2.0, 2.0, n)


def _compare_parts(rule: Rule, arena: np.ndarray, control: np.ndarray) -> None:
    n = arena.shape[1]
    want, again, parts = (_on_arrays(rule, arena, control, cut) for cut in (0, 0, n // 2))
    if not np.array_equal(want, again, equal_nan=True):
        raise ConfigError(
            f"{rule.name}: update gives another result for the same numbers when it is called again; "
            "it must not draw random numbers or keep anything outside its slots"
        )
    if _differs(parts, want, arena).any():
        raise _mixing(rule, n, "a sum, mean, norm, maximum, sort, index or shape")


def _trace(rule: Rule, arena: np.ndarray, control: np.ndarray) -> None:
    """Refuse operations that mix numbers, whether or not the result shows it."""
    arena, control = arena.copy(), control.copy()
    seen: list[str] = []

    def update(p: Any, g: Any, state: Any, c: Any) -> Any:
        traced = Traced(p), Traced(g), tuple(map(Traced, state)), c
        try:
            rule.update(*traced)
        except Mixed as mixed:
            seen.append(str(mixed))
        except Exception:  # what takes arrays only, such as a compiled function: its results were compared
            pass
        return p, state

    on_arrays(replace(rule, update=update), arena, control)
    if seen:
        raise _mixing(rule, arena.shape[1], seen[0])


def _mixing(rule: Rule, n: int, how: str) -> ConfigError:
    return ConfigError(
        f"{rule.name}: update is not elementwise: of {n} numbers, the result for one depends on the others "
        f"(by {how}); it runs once per number"
    )


def _compare_compiled(rule: Rule, step: Step, arena: np.ndarray, control: np.ndarray) -> None:
    want, compiled = _on_arrays(rule, arena, control), arena.copy()
    step(compiled, control.copy())
    wrong = _differs(compiled, want, arena)
    if wrong.any():
        row, at = (int(i) for i in np.argwhere(wrong)[0])
        what = "p" if row == P else rule.slots[row - STATE]
        raise ConfigError(
            f"{rule.name}: compiled, update makes {what} = {compiled[row, at]} of p = {arena[P, at]} and "
            f"g = {arena[G, at]}, but {want[row, at]} on an array of {arena.shape[1]} numbers; "
            "it must do the same with a number as with an array"
        )


def _on_arrays(rule: Rule, arena: np.ndarray, control: np.ndarray, cut: int = 0) -> np.ndarray:
    """The arena after a step on arrays: of all columns, or of those before ``cut`` and then of the others."""
    arena, n = arena.copy(), arena.shape[1]
    for low, high in ((0, cut), (cut, n)) if cut else ((0, n),):
        part = control.copy()
        part[LOW], part[HIGH] = low, high
        on_arrays(rule, arena, part)
    return arena


def _differs(got: np.ndarray, want: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where two results differ by more than rounding; those of nothing, NaN twice and equal infinities do not."""
    scale = np.maximum(np.maximum(np.abs(got), np.abs(want)), np.abs(before))
    close = np.abs(got - want) <= TOLERANCES[want.dtype] * scale
    different: np.ndarray = ~(close | (got == want) | (np.isnan(got) & np.isnan(want)))
    different[G] = False  # an input
    return different
