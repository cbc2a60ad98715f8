import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, njit
from scipy.optimize import minimize

from optlab.compiling import A_SURFACE, COMPILE_ERRORS, compile_error
from optlab.errors import ConfigError
from optlab.surfaces import SURFACES, Surface, as_surface
from optlab_kernels.jit import jit

EVERY_SURFACE = pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
BOUNDED = [s for s in SURFACES.values() if s.minima]
EVERY_MINIMUM = pytest.mark.parametrize("surface", BOUNDED, ids=[s.name for s in BOUNDED])


def points(surface, n=200, seed=0):
    (x_low, x_high), (y_low, y_high) = surface.domain
    rng = np.random.default_rng(seed)
    return rng.uniform(x_low, x_high, n), rng.uniform(y_low, y_high, n)


def scaled(error, size):
    return np.max(np.abs(np.asarray(error)) / np.maximum(1.0, np.abs(np.asarray(size))))


def bowl(x, y):
    return x * x + y * y


def test_the_registry_holds_the_agreed_names():
    bowls = ["sphere", "ellipse", "booth", "matyas", "three-hump-camel"]
    saddles = ["saddle", "steep-saddle", "monkey-saddle"]
    valleys = ["valley", "rosenbrock", "beale", "mccormick"]
    assert list(SURFACES)[:12] == bowls + saddles + valleys
    assert list(SURFACES)[12:17] == ["himmelblau", "six-hump-camel", "goldstein-price", "branin", "easom"]
    assert list(SURFACES)[17:] == ["styblinski-tang", "ackley", "rastrigin", "levy", "griewank"]
    assert all(s.source and s.formula and s.title for s in SURFACES.values())
    steep, beale = SURFACES["steep-saddle"], SURFACES["beale"]
    assert (steep.start, steep.domain) == ((0.25, -1e-6), ((-1.0, 0.95), (-2.0, 0.95)))
    assert (beale.start, beale.domain) == ((1.0, 1.5), ((-4.5, 4.5), (-4.5, 4.5)))


@EVERY_SURFACE
def test_gradient_is_the_complex_step_derivative(surface):
    x, y = points(surface)
    h = 1e-150  # no difference is taken, so the step can be too small to matter
    gx, gy = surface.gradient(x, y)
    assert scaled(surface.value(x + 1j * h, y).imag / h - gx, gx) < 1e-11
    assert scaled(surface.value(x, y + 1j * h).imag / h - gy, gy) < 1e-11


@EVERY_SURFACE
def test_gradient_is_the_extrapolated_central_difference(surface):
    x, y = points(surface)
    h = 4e-3 * (1 if surface.name in {"rastrigin", "ackley"} else 2)
    for g, dx, dy in zip(surface.gradient(x, y), (h, 0.0), (0.0, h), strict=True):
        # four halvings of the step, each row removing the next even power of it from the error (Richardson)
        row = [(surface.value(x + dx * k, y + dy * k) - surface.value(x - dx * k, y - dy * k)) / (2 * h * k)
               for k in (1.0, 0.5, 0.25, 0.125)]  # fmt: skip
        for order in (4.0, 16.0, 64.0):
            row = [(order * fine - coarse) / (order - 1.0) for coarse, fine in pairwise(row)]
        assert scaled(row[0] - g, g) < 1e-8


@EVERY_SURFACE
def test_value_and_gradient_are_those_of_torch(surface):
    torch = pytest.importorskip("torch")
    from torch_surfaces import TORCH

    x, y = points(surface, seed=1)
    tx, ty = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, y))
    f = TORCH[surface.name](tx, ty)
    f.sum().backward()
    assert scaled(surface(x, y) - f.detach().numpy(), f.detach().numpy()) < 1e-12
    for g, t in zip(surface.gradient(x, y), (tx, ty), strict=True):
        assert scaled(g - t.grad.numpy(), t.grad.numpy()) < 1e-12


@EVERY_MINIMUM
def test_minima_are_stationary_equal_and_found_again(surface):
    values = [float(surface.value(*p)) for p in surface.minima]
    np.testing.assert_allclose(values, surface.f_min, rtol=1e-14, atol=1e-14)
    for x, y in surface.minima:
        assert np.hypot(*surface.gradient(x, y)) < 1e-13
        near = minimize(
            lambda p: surface(*p), (x + 0.03, y - 0.02), jac=lambda p: np.array(surface.gradient(*p)), tol=1e-12
        )
        np.testing.assert_allclose(near.x, (x, y), atol=1e-5)
        assert near.fun >= surface.f_min - 1e-13
        assert all(low <= v <= high for v, (low, high) in zip((x, y), surface.domain, strict=True))


@EVERY_MINIMUM
def test_no_other_point_of_the_domain_is_as_low(surface):
    """Polish the 25 lowest cells of a fine grid that are local minima of it: none lies below, equals are listed."""
    xs, ys, values = surface.grid(401)
    inner = values[1:-1, 1:-1]
    ring = [values[1 + j : 400 + j, 1 + i : 400 + i] for j in (-1, 0, 1) for i in (-1, 0, 1) if i or j]
    js, is_ = np.nonzero(np.all([inner <= other for other in ring], axis=0))
    lowest = np.argsort(inner[js, is_])[:25]
    bounds = surface.domain
    found = []
    for j, i in zip(js[lowest], is_[lowest], strict=True):
        near = minimize(
            lambda p: surface(*p), (xs[i + 1], ys[j + 1]), jac=lambda p: np.array(surface.gradient(*p)), bounds=bounds,
            method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10},
        )  # fmt: skip
        assert near.fun >= surface.f_min - 1e-12
        if near.fun < surface.f_min + 1e-9:
            found.append(near.x)
    assert np.all(surface.distance(np.array(found)) < 1e-3)
    assert all(np.min(np.linalg.norm(np.array(found) - p, axis=1)) < 1e-3 for p in surface.minima)
    assert values.min() >= surface.f_min


@pytest.mark.parametrize("name", ["saddle", "steep-saddle", "monkey-saddle"])
def test_a_saddle_has_no_minimum(name):
    surface = SURFACES[name]
    assert surface.minima == ()
    assert surface.f_min == -math.inf
    assert np.all(surface.distance([(0.0, 0.0), (1.0, 1.0)]) == math.inf)
    assert surface.gradient(0.0, 0.0) == (0.0, 0.0)
    assert surface.value(3.0, 100.0) < -1000.0


@EVERY_SURFACE
def test_scalars_arrays_and_compiled_code_agree(surface):
    value, gradient = surface.value, surface.gradient

    @jit
    def compiled(xs, ys, out):
        for i in range(xs.size):
            gx, gy = gradient(xs[i], ys[i])
            out[0, i], out[1, i], out[2, i] = value(xs[i], ys[i]), gx, gy

    x, y = points(surface, 50)
    out = np.empty((3, x.size))
    compiled(x, y, out)
    arrays = np.array([value(x, y), *gradient(x, y)])
    scalars = np.array([[value(a, b), *gradient(a, b)] for a, b in zip(x.tolist(), y.tolist(), strict=True)]).T
    # libm, NumPy's vector functions and LLVM's round the last bits of sin and exp differently
    assert scaled(out - arrays, arrays) < 1e-12
    assert scaled(scalars - arrays, arrays) < 1e-12
    assert surface(x[:, None], y[None, :]).shape == (50, 50)
    assert surface(1.0, 2.0) == value(1.0, 2.0)


@EVERY_SURFACE
@settings(max_examples=25, deadline=None)
@given(x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3))
def test_gradient_is_finite_everywhere(surface, x, y):
    with np.errstate(under="ignore"):
        assert np.all(np.isfinite(surface.gradient(x, y)))


def test_the_tip_of_ackley_has_gradient_zero_for_scalars_and_arrays():
    ackley = SURFACES["ackley"]
    assert ackley.gradient(0.0, 0.0) == (0.0, 0.0)
    gx, gy = ackley.gradient(np.zeros(3), np.array([0.0, 1e-3, 0.0]))
    assert np.all(gx == 0.0)
    assert gy[0] == 0.0
    assert gy[1] > 2.0


@EVERY_SURFACE
def test_grid_is_indexed_row_by_y_and_column_by_x(surface):
    xs, ys, values = surface.grid(7, window=((-1.0, 1.0), (0.5, 2.0)))
    assert values.shape == (7, 7)
    assert (xs[0], xs[-1], ys[0], ys[-1]) == (-1.0, 1.0, 0.5, 2.0)
    np.testing.assert_allclose(values[5, 2], surface.value(xs[2], ys[5]), rtol=1e-12)


def test_defaults():
    def My_Wavy_bowl(x, y):
        return x * x + y * y

    surface = Surface(My_Wavy_bowl, domain=((0, 8), (-4, 4)))
    assert (surface.name, surface.title, surface.start) == ("my-wavy-bowl", "My wavy bowl", (2.0, -2.0))
    assert surface.f_min == -math.inf
    assert surface.gradient(3.0, -1.0) == (6.0, -2.0)
    assert Surface(lambda x, y: x).name == "surface"
    assert Surface(bowl, start=(100.0, 100.0)).start == (100.0, 100.0)
    assert Surface(bowl, minima=np.zeros((1, 2))).f_min == 0.0
    with pytest.raises(AttributeError):
        surface.name = "other"


def test_math_functions_and_branches_work_in_grid_and_on_scalars():
    def ridge(x, y):
        return math.exp(-x * x) if x > y else 0.5

    surface = Surface(ridge)
    xs, ys, values = surface.grid(21)
    assert values[20, 0] == 0.5
    np.testing.assert_allclose(values[0, 10], math.exp(-(xs[10] ** 2)), rtol=1e-15)
    assert surface(2.0, 1.0) == math.exp(-4.0)
    with pytest.raises(ConfigError, match=r"ridge does not take arrays .*use grid"):
        surface(xs, ys)


def test_constant_and_one_sided_functions_fill_the_shape():
    assert Surface(lambda x, y: 3.0)(np.zeros((2, 1)), np.zeros(3)).shape == (2, 3)
    assert Surface(lambda x, y: x)([1.0, 2.0], 0.0).tolist() == [1.0, 2.0]


def another(x, y):
    return x - y


def calls_another(x, y):
    return another(x, y)


def misspells(x, y):
    return anothr(x, y)  # noqa: F821


def returns_nothing(x, y):
    return None


def imports(x, y):
    import os

    return os.getpid()


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled, so nothing can fail to compile")
@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (lambda x, y: np.linalg.cond(x), "cond is not known there"),
        (misspells, "anothr means nothing there"),
        (calls_another, "another means nothing there; .* needs @numba.njit"),
        (returns_nothing, "it returns no number"),
        (imports, "unsupported opcode"),
    ],
)
def test_a_function_that_cannot_be_compiled_is_explained(fn, reason):
    with pytest.raises(ConfigError, match=rf"cannot be compiled \(.*{reason}.*\): expected a function of two floats"):
        Surface(fn).grid(5)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled, so nothing can fail to compile")
def test_a_derivative_that_cannot_be_compiled_is_explained():
    gradient = Surface(lambda x, y: math.erf(x)).gradient
    with pytest.raises(COMPILE_ERRORS) as caught:
        jit(lambda x, y: gradient(x, y))(1.0, 2.0)
    told = str(compile_error("bell", caught.value, A_SURFACE))
    assert told.startswith("bell cannot be compiled with its derivative (erf is not known there; pass gradient=)")


def test_a_compiled_function_and_one_used_twice_are_surfaces_too():
    def wave(x, y):
        return np.sin(x) * y**2

    for surface in (Surface(wave), Surface(wave), Surface(njit(wave))):
        value, gradient = surface.value, surface.gradient

        both = jit(lambda x, y: (value(x, y), gradient(x, y)))  # noqa: B023 - called before the next turn
        f, g = both(0.5, 2.0)
        np.testing.assert_allclose([f, *g], [4 * np.sin(0.5), 4 * np.cos(0.5), 4 * np.sin(0.5)])


def test_distance_is_to_the_nearest_minimum():
    d = SURFACES["himmelblau"].distance([(3.0, 3.0), (-2.805118086952745, 0.0), (0.0, 0.0)])
    np.testing.assert_allclose(d, [1.0, 3.131312518250573, math.sqrt(13.0)], rtol=1e-15)
    with pytest.raises(ConfigError, match=r"expected shape \(n, 2\), got \(2,\)"):
        SURFACES["sphere"].distance([1.0, 2.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": 3.0}, "fn: expected a plain function of two floats .* got 3.0"),
        ({"fn": np.hypot}, "fn: expected a plain function"),
        ({"fn": lambda x: x}, r"fn: expected a function of two floats, got <lambda>\(x\)"),
        ({"fn": lambda x, y, z: x}, r"got <lambda>\(x, y, z\)"),
        ({"gradient": lambda x: x}, "gradient: expected a function of two floats"),
        ({"gradient": "derived"}, "gradient: expected a plain function"),
        ({"domain": (-1.0, 1.0)}, "domain x: expected two finite numbers, got -1.0"),
        ({"domain": 5.0}, r"domain: expected \(\(x_low"),
        ({"domain": ((0.0, 1.0), (1.0, 1.0))}, r"domain y: expected low < high, got \(1.0, 1.0\)"),
        ({"domain": ((0.0, math.inf), (0.0, 1.0))}, "domain x: expected two finite numbers"),
        ({"start": (1.0,)}, r"start: expected two finite numbers, got \(1.0,\)"),
        ({"start": (math.nan, 0.0)}, "start: expected two finite numbers"),
        ({"start": "ab"}, "start: expected two finite numbers, got 'ab'"),
        ({"minima": (0.0, 0.0)}, "a minimum: expected two finite numbers, got 0.0"),
        ({"minima": [(0.0, math.inf)]}, "a minimum: expected two finite numbers"),
        ({"minima": 3.0}, "minima: expected a list of pairs"),
    ],
)
def test_mistakes_are_explained(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Surface(**{"fn": bowl, **arguments})


@pytest.mark.parametrize("resolution", [1, 0, 2.5, True])
def test_resolution_is_checked(resolution):
    with pytest.raises(ConfigError, match="resolution: expected an integer of at least 2"):
        SURFACES["sphere"].grid(resolution)


def test_as_surface_takes_a_name_a_surface_or_a_function():
    assert as_surface("beale") is SURFACES["beale"]
    assert as_surface(SURFACES["beale"]) is SURFACES["beale"]
    assert as_surface(bowl).name == "bowl"
    with pytest.raises(ConfigError, match=r"unknown surface 'beal'; did you mean 'beale'"):
        as_surface("beal")
