"""Rules of one's own that are no elementwise ones: refused when they are registered, with the reason."""

from typing import NamedTuple

import numba
import numpy as np
import pytest
from conftest import BOTH, JIT
from contracts import run

import optlab as ol
from optlab_kernels.choose import choose
from optlab_kernels.jit import pointwise
from optlab_kernels.rules import RULES as BUILT_IN

compiled_only = pytest.mark.skipif(not JIT, reason="with NUMBA_DISABLE_JIT=1 nothing is compiled")


class Hyper(NamedTuple):
    lr: float = 0.01


def coefficients(t, h):
    return (h.lr,)


def step(change):
    """A rule without slots: p <- p - change(g, lr)."""
    change = pointwise(change)
    return {"coefficients": coefficients, "update": lambda p, g, s, c: (p - change(g, c[0]), s)}


def register(parts):
    return ol.register("mine", Hyper, **parts)


FACTOR = 2.0
OTHERS = {
    "a norm by hand": lambda g, lr: lr * g / np.sqrt(np.sum(g * g)),
    "a norm": lambda g, lr: lr * g / np.linalg.norm(g),
    "a sum": lambda g, lr: lr * np.sum(g),
    "a sum that hardly shows": lambda g, lr: lr * g / (1e6 + np.sum(g * g)),
    "a mean": lambda g, lr: lr * (g - np.mean(g)),
    "a mean, as a method": lambda g, lr: lr * (g - g.mean()),
    "a maximum": lambda g, lr: lr * g / np.max(np.abs(g)),
    "a median": lambda g, lr: lr * np.median(g),
    "a deviation": lambda g, lr: lr * g / (np.std(g) + lr),
    "a product": lambda g, lr: lr * g * np.dot(g, g),
    "running sums": lambda g, lr: lr * np.cumsum(g),
    "sorting": lambda g, lr: lr * np.sort(g),
    "ranks": lambda g, lr: lr * np.argsort(np.argsort(g)),
    "an index": lambda g, lr: lr * g[0],
    "an order": lambda g, lr: lr * g[::-1],
    "neighbors": lambda g, lr: lr * (g - np.roll(g, 1)),
    "a size": lambda g, lr: lr * g / g.size,
    "a length": lambda g, lr: lr * g / len(g),
    "a shape": lambda g, lr: lr * g / np.shape(g)[0],
    "whether any is large": lambda g, lr: lr * g * (1 + np.any(np.abs(g) > 1)),
    "whether all are zero": lambda g, lr: lr * (1 - np.all(g == 0)),
}


@pytest.mark.fault(33, cases=len(OTHERS))
@pytest.mark.parametrize("change", OTHERS.values(), ids=list(OTHERS))
def test_a_rule_that_looks_at_other_numbers_is_refused(registry, change):
    before = dict(registry)
    with pytest.raises(
        ol.ConfigError, match=r"mine: update is not elementwise: of [23] numbers, .* depends on the others"
    ):
        register(step(change))
    assert registry == before


class Gated(NamedTuple):
    lr: float = 0.1
    share: float = 0.0


def gated(gate, change=lambda g: g * np.sum(g * g)):
    """A rule whose mixing part counts for ``gate(t, h)``."""
    change = change if hasattr(change, "py_func") else pointwise(change)
    return {
        "coefficients": lambda t, h: (h.lr, gate(t, h)),
        "update": lambda p, g, s, c: (p - c[0] * (g + c[1] * change(g)), s),
    }


compiled_norm = numba.njit(lambda g: g * np.sum(g * g)) if JIT else lambda g: g * np.sum(g * g)
HIDDEN = {
    "by a setting": gated(lambda t, h: h.share),
    "by a setting, in compiled code": gated(lambda t, h: h.share, compiled_norm),
    "by a late step": gated(lambda t, h: 1.0 if t > 1000 else 0.0),
    "by nothing but a factor 0": gated(lambda t, h: 0.0),
    "by a bound": step(lambda g, lr: lr * g * np.minimum(1.0, 1e9 / np.sqrt(np.sum(g * g)))),
    "by a size": step(lambda g, lr: lr * g * np.minimum(np.maximum(np.size(g) - 1e6, 1.0), 2.0)),
    "by numbers that never are": step(lambda g, lr: lr * g * (1.0 - np.any(np.isnan(g)))),
    "by dimensions": step(lambda g, lr: lr * g * (1 + np.ndim(g))),
    "by a running maximum": step(lambda g, lr: lr * g * np.minimum(np.maximum.accumulate(g), 1.0)),
}


@pytest.mark.fault(33, cases=len(HIDDEN))
@pytest.mark.parametrize("parts", HIDDEN.values(), ids=list(HIDDEN))
def test_a_rule_that_hides_its_look_at_other_numbers_is_refused(registry, parts):
    with pytest.raises(ol.ConfigError, match=r"mine: update is not elementwise: of .* depends on the others"):
        ol.register("mine", Gated, **parts)


def test_the_example_that_stepped_otherwise(registry):
    """On the gradient (3, 4) the array form gives (-0.6, -0.8); compiled it gave (-1, -1)."""
    parts = step(OTHERS["a norm by hand"])
    on_arrays, _ = parts["update"](np.zeros(2), np.array([3.0, 4.0]), (), (1.0,))
    np.testing.assert_allclose(on_arrays, [-0.6, -0.8], rtol=1e-15)
    with pytest.raises(ol.ConfigError, match="not elementwise"):
        register(parts)


@pytest.mark.fault(33, cases=2)
@pytest.mark.parametrize("where", ["update", "coefficients"])
def test_a_rule_with_a_memory_of_its_own_is_refused(registry, where):
    calls = []

    def counting(*arguments):
        calls.append(1)
        return ((0.1 * len(calls),), *arguments[2:])[0] if where == "coefficients" else (arguments[0] - len(calls), ())

    with pytest.raises(ol.ConfigError, match="another result for the same numbers when it is called again"):
        register({**step(lambda g, lr: lr * g), where: counting})


@pytest.mark.fault(33, cases=2)
@pytest.mark.parametrize("rng", [np.random, np.random.default_rng(0)], ids=["the shared generator", "its own"])
def test_a_rule_that_draws_is_refused(registry, rng):
    with pytest.raises(ol.ConfigError, match="must not draw random numbers"):
        register(step(lambda g, lr: lr * g * rng.normal(size=np.shape(g))))


def if_positive(p, g, s, c):
    if g > 0:
        return p - c[0], s
    return p, s


BRANCHES = {
    "if": {"coefficients": coefficients, "update": if_positive},
    "max": step(lambda g, lr: max(lr * g, lr)),
    "and": step(lambda g, lr: lr * (g > 0 and g)),
    "while": step(lambda g, lr: next(lr for _ in iter(lambda: g > 0, False))),
}


@pytest.mark.fault(33, cases=len(BRANCHES))
@pytest.mark.parametrize("parts", BRANCHES.values(), ids=list(BRANCHES))
def test_a_branch_is_refused_with_what_to_write(registry, parts):
    with pytest.raises(ol.ConfigError, match=r"a rule has no branch: choose with np\.maximum, .*choose\.choose"):
        register(parts)


def helper(x):
    return x * x


UNKNOWN = {
    "a helper that is not compiled": (lambda g, lr: lr * helper(g), "helper means nothing there"),
    "a function that Numba has not": (lambda g, lr: lr * np.clip(g, -lr, lr), "clip is not known there"),
    "a type": (lambda g, lr: lr * g * (2 if isinstance(g, np.ndarray) else 1), "ndarray is not known there"),
}


@compiled_only
@pytest.mark.fault(33, cases=len(UNKNOWN))
@pytest.mark.parametrize(("change", "reason"), UNKNOWN.values(), ids=list(UNKNOWN))
def test_what_can_not_be_compiled_is_refused_when_it_is_registered(registry, change, reason):
    with pytest.raises(ol.ConfigError, match=f"mine cannot be compiled .*{reason}"):
        register(step(change))


@pytest.mark.fault(33)
def test_a_rule_that_differs_between_a_number_and_an_array_of_one_is_refused(registry):
    """Compiled it takes the first way, on arrays of whatever length the second."""

    def update(p, g, s, c):
        return p - c[0] * (g if is_number(g) else 2.0 * g), s

    with pytest.raises(ol.ConfigError, match=r"compiled, update makes p = .* but .* on an array of 1 numbers"):
        register({"coefficients": coefficients, "update": update})


def is_number(x):
    return not isinstance(x, np.ndarray)


if JIT:
    from numba.extending import overload

    @overload(is_number)
    def _is_number(x):
        return lambda x: True


GOOD = {
    "a literal": (lambda g, lr: 2.0 * lr * g, lambda g, lr: 2.0 * lr * g),
    "a whole number": (lambda g, lr: 2 * lr * g**2, lambda g, lr: 2.0 * lr * g * g),
    "functions": (lambda g, lr: lr * np.tanh(np.exp(-g * g)), lambda g, lr: lr * np.tanh(np.exp(-g * g))),
    "a power": (lambda g, lr: lr * np.sign(g) * np.abs(g) ** 0.3, lambda g, lr: lr * np.sign(g) * np.abs(g) ** 0.3),
    "a choice": (lambda g, lr: choose(g > lr, lr, g), lambda g, lr: np.minimum(g, lr)),
    "a setting that divides by 0": (lambda g, lr: g * lr / (1 - lr), lambda g, lr: g * lr / (1 - lr)),
    "two results": (lambda g, lr: lr * np.divmod(g, 0.25)[0], lambda g, lr: lr * np.divmod(g, 0.25)[0]),
    "np.where": (lambda g, lr: np.where(g > lr, lr, g), lambda g, lr: np.minimum(g, lr)),
    "steps": (lambda g, lr: lr * np.floor(g * 3.3), lambda g, lr: lr * np.floor(g * 3.3)),
    "a global number": (lambda g, lr: lr * g * FACTOR, lambda g, lr: 2.0 * lr * g),
    "NaN": (lambda g, lr: lr * np.log(g), lambda g, lr: lr * np.log(g)),
}


@BOTH
@pytest.mark.parametrize(("change", "want"), GOOD.values(), ids=list(GOOD))
def test_what_is_elementwise_is_taken_and_steps_as_written(registry, change, want, dtype):
    kind = register(step(change))
    g = np.array([[0.5, -2.0, 0.0, 7.0]], dtype)
    path = run(kind(0.25), np.zeros(4, dtype), g)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            path[1], -want(g[0].astype(float), 0.25), rtol=1e-5 if dtype == np.float32 else 1e-13
        )


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_rule_of_ours_would_be_taken(registry, name):
    """In each of its conventions, under a name of its own."""
    rule = BUILT_IN[name]
    parts = {"slots": rule.slots, "memory": rule.memory, "initial": rule.initial, "conventions": rule.conventions}
    functions = {k: getattr(f, "py_func", f) for k, f in (("coefficients", rule.coefficients), ("update", rule.update))}
    assert ol.register("mine", rule.hyper, **parts, **functions).title == "Mine"
