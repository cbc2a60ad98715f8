import importlib.util
import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config, njit
from numba.core.errors import TypingError

from optlab_kernels.cache import digest
from optlab_kernels.dual import Dual, derive
from optlab_kernels.jit import jit, pointwise
from optlab_kernels.slopes import PLAIN, SLOPES

COMPILED = pytest.mark.skipif(config.DISABLE_JIT, reason="it is about compiled code")

ALL, POSITIVE, UNIT = (-3.0, 3.0), (0.1, 4.0), (-0.95, 0.95)
DOMAINS = {  # where a function of one argument is tested -> its names
    ALL: "positive negative absolute fabs square exp exp2 expm1 sin cos tan arctan sinh cosh tanh arcsinh "
    "sign floor ceil trunc",
    POSITIVE: "sqrt cbrt log log2 log10 log1p reciprocal",
    UNIT: "arcsin arccos arctanh",
    (1.1, 4.0): "arccosh",
}
UNARY = {name: domain for domain, names in DOMAINS.items() for name in names.split()}
BINARY = ["add", "subtract", "multiply", "divide", "power", "hypot", "arctan2", "remainder"]
BINARY += ["minimum", "maximum", "fmin", "fmax"]
MATH = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}
MATH |= {name: name for name in UNARY if hasattr(math, name) and name != "cbrt"}  # Numba has no math.cbrt
MATH2 = {"atan2": "arctan2", "pow": "power", "hypot": "hypot"}


def sample(low, high, n=40, seed=0):
    return np.random.default_rng(seed).uniform(low, high, n), np.random.default_rng(seed + 1).uniform(0.5, 2.0, n)


def run_compiled(fn, xs, ys):
    """The derived gradient inside a compiled loop; with the JIT off the same loop in Python."""
    gradient = derive(fn)

    @jit
    def loop(xs, ys, out):
        for i in range(xs.size):
            out[0, i], out[1, i] = gradient(xs[i], ys[i])

    out = np.empty((2, xs.size))
    loop(xs, ys, out)
    return out


def by_torch(name, fn, xs, ys):
    """d/dx and d/dy of ``fn(torch's function of that name)(x, y)``, by torch."""
    torch = pytest.importorskip("torch")
    special = {
        "cbrt": lambda a: a ** (1 / 3),
        "fabs": torch.abs,
        "power": torch.pow,
        "subtract": lambda a, b: a - b,
        "add": lambda a, b: a + b,
        "remainder": lambda a, b: a - b * torch.floor(a / b).detach(),
    }
    tx, ty = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (xs, ys))
    twin = special.get(name) or getattr(torch, name)
    if name in BINARY:  # most of torch's take tensors only
        twin = lambda a, b, f=twin: f(*torch.broadcast_tensors(*map(torch.as_tensor, (a, b))))  # noqa: E731
    fn(twin)(tx, ty).sum().backward()
    zero = np.zeros(xs.size)
    return np.array([zero if t.grad is None else t.grad.numpy() for t in (tx, ty)])


def check(got, want, tolerance=1e-12):
    assert np.max(np.abs(np.array(got) - want) / np.maximum(1.0, np.abs(want))) < tolerance


def times_y(fn):
    return lambda x, y: fn(x) * y


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_argument(name):
    fn, (xs, ys) = times_y(getattr(np, name)), sample(*UNARY[name])
    want = by_torch(name, times_y, xs, ys)
    check(run_compiled(fn, xs, ys), want)
    check(derive(fn)(xs, ys), want)
    check([derive(fn)(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)], want.T)


def everywhere(fn):
    """Two duals, a dual and a number, a number and a dual, weighted so that no error cancels another."""
    return lambda x, y: fn(x * y, y) + 2.0 * fn(x, 1.5) * y + 4.0 * fn(1.5, x) / y


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arguments(name):
    fn, (xs, ys) = everywhere(getattr(np, name)), sample(0.3, 3.0)
    want = by_torch(name, everywhere, xs, ys)
    check(run_compiled(fn, xs, ys), want)
    check(derive(fn)(xs, ys), want)
    check([derive(fn)(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)], want.T)


@COMPILED
@pytest.mark.parametrize("name", [*MATH, *MATH2])
def test_math_functions_in_compiled_code_equal_those_of_numpy(name):
    if name in MATH:
        twin = getattr(np, MATH[name])
        xs, ys = sample(*UNARY[MATH[name]])
        place = times_y
    else:
        twin, (xs, ys), place = getattr(np, MATH2[name]), sample(0.3, 3.0), everywhere
    check(run_compiled(place(getattr(math, name)), xs, ys), np.array(derive(place(twin))(xs, ys)))


def test_every_function_in_the_table_is_tested():
    ufuncs = {f.__name__ for f in SLOPES if isinstance(f, np.ufunc)}
    assert ufuncs == set(UNARY) | set(BINARY)
    assert {f.__name__ for f in SLOPES if getattr(f, "__module__", "") == "math"} == set(MATH) | set(MATH2)
    assert {f for f in PLAIN if getattr(f, "__module__", "") == "math"} == {math.isnan, math.isinf, math.isfinite}


def test_integer_powers_are_exact_at_negative_bases_and_at_zero():
    def powers(x, y):
        return x**2 + y**3 + x**1 * 4 + y**0 + x**4 + 3 * y**5

    xs = np.array([-3.0, -2.0, 0.0, 1.0, 5.0])
    ys = np.array([-2.0, 0.0, 4.0, -1.0, 3.0])
    want = np.array([2 * xs + 4 + 4 * xs**3, 3 * ys**2 + 15 * ys**4])
    np.testing.assert_array_equal(run_compiled(powers, xs, ys), want)
    np.testing.assert_array_equal(derive(powers)(xs, ys), want)


def test_negative_float_and_dual_exponents():
    def powers(x, y):
        return x**-2 + x**y + 2**y + y**2.5 + 2.0**-x

    xs, ys = sample(0.5, 3.0)
    want = np.array([
        -2 * xs**-3 + ys * xs ** (ys - 1) - math.log(2) * 2**-xs,
        xs**ys * np.log(xs) + math.log(2) * 2**ys + 2.5 * ys**1.5,
    ])  # fmt: skip
    check(run_compiled(powers, xs, ys), want)
    check(derive(powers)(xs, ys), want)


def test_the_value_inside_a_dual_is_the_value_of_the_function():
    def fn(x, y):
        return x**3 / (1.0 + y**2) + math.sin(x) ** 2 if not config.DISABLE_JIT else x**3 / (1.0 + y**2)

    inner = pointwise(fn)

    @jit
    def pair(x, y):
        return inner(x, y), inner(Dual(x, 1.0, 0.0), Dual(y, 0.0, 1.0)).value

    for x, y in zip(*sample(-3.0, 3.0), strict=True):
        plain, dual = pair(x, y)
        assert plain == dual


def kinks(x, y):
    return min(x, 2) + max(1.0, y) + abs(-x) - (+y) + np.floor(x) * y


def branches(x, y):
    if x > 1:
        return 0.0
    if x < -1.0 or np.isnan(y):
        return 3
    return x * y if y != 0.5 and x else y


def loops(x, y):
    total = 0
    for z in (x, y, x):
        total += z**3
    total /= 2.0
    total -= y
    total *= x
    return total


@pytest.mark.parametrize(
    ("fn", "point", "want"),
    [
        (kinks, (3.5, 0.5), (1.0, 2.0)),
        (kinks, (-1.5, 4.0), (0.0, -2.0)),
        (kinks, (2.0, 1.0), (2.0, 1.0)),  # a tie: the first of min(x, 2) and of max(1.0, y)
        (branches, (2.0, 3.0), (0.0, 0.0)),
        (branches, (-2.0, 3.0), (0.0, 0.0)),
        (branches, (0.5, 3.0), (3.0, 0.5)),
        (branches, (0.5, 0.5), (0.0, 1.0)),
        (loops, (1.0, 2.0), (11.0 / 1.0 - 5.0 + 0.0 * 1.0, 5.0)),
    ],
)
def test_branches_loops_and_builtins(fn, point, want):
    if fn is loops:
        x, y = point
        want = ((2 * x**3 + y**3) / 2 - y + 3 * x**3, x * (1.5 * y**2 - 1.0))
    assert derive(fn)(*point) == pytest.approx(want, abs=1e-15)
    np.testing.assert_allclose(run_compiled(fn, *np.array(point).reshape(2, 1))[:, 0], want, atol=1e-15)


@pytest.mark.parametrize("constant", [lambda x, y: 5.0, lambda x, y: 3, lambda x, y: x > y])
def test_a_constant_has_gradient_zero_in_the_shape_of_its_arguments(constant):
    gx, gy = derive(constant)(np.ones((2, 1)), np.ones(3))
    assert np.array_equal(gx, np.zeros((2, 3)))
    assert np.array_equal(gy, np.zeros((2, 3)))
    assert not np.shares_memory(gx, gy)
    assert derive(constant)(1.0, 2.0) == (0.0, 0.0)
    assert np.all(run_compiled(constant, np.ones(1), np.ones(1)) == 0.0)


@pytest.mark.parametrize(
    "norm", [lambda x, y: np.sqrt(x * x + y * y), lambda x, y: np.hypot(x, y), lambda x, y: (x**2 + y**2) ** 0.5]
)
def test_a_norm_has_gradient_zero_at_its_minimum(norm):
    assert derive(norm)(0.0, 0.0) == (0.0, 0.0)
    assert np.all(run_compiled(norm, np.zeros(1), np.zeros(1)) == 0.0)
    np.testing.assert_allclose(run_compiled(norm, np.array([3.0]), np.array([4.0]))[:, 0], (0.6, 0.8), rtol=1e-15)


def test_integers_may_be_passed():
    assert derive(lambda x, y: x * y / 2)(3, 5) == (2.5, 1.5)
    assert run_compiled(lambda x, y: x * y / 2, np.array([3]), np.array([5])).tolist() == [[2.5], [1.5]]


COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne, np.less, np.equal]


def test_comparisons_look_at_values_alone():
    def count(x, y):
        total = 0.0 * x
        if x < y and x <= 2.0 and x < 2.0 and y >= x and x != y and np.isfinite(x) and not np.isinf(y):
            total = x * x
        if x == y:
            total = y
        return total

    xs, ys = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.0])
    want = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(run_compiled(count, xs, ys), want)
    np.testing.assert_array_equal(np.transpose([derive(count)(x, y) for x, y in zip(xs, ys, strict=True)]), want)
    for compare in COMPARISONS:
        for a, b in ((1.0, 2.0), (2.0, 2.0), (3.0, 2.0)):
            assert compare(Dual(a, 1.0, 0.0), Dual(b, 5.0, 1.0)) == compare(a, b) == compare(a, Dual(b, 0.0, 0.0))


@pytest.mark.parametrize(
    ("fn", "named"),
    [
        (lambda x, y: np.sinc(x), "sinc"),
        (lambda x, y: np.where(x > 0, x, y), "where"),
        (lambda x, y: np.logaddexp(x, y), "logaddexp"),
        (lambda x, y: x // y, "floor_?div"),
    ],
)
def test_an_uncovered_function_is_named_with_the_remedy(fn, named):
    with pytest.raises(TypeError, match=rf"np\.{named}.* has no derivative here; pass .* gradient="):
        derive(fn)(1.0, 2.0)
    if not config.DISABLE_JIT:
        with pytest.raises(TypingError, match=rf">>> {named}\w*\(.*pass the surface gradient="):
            run_compiled(fn, np.ones(1), np.ones(1))


def test_other_uses_without_a_derivative_are_explained():
    with pytest.raises(TypeError, match=r"np\.add\.reduce has no derivative"):
        derive(lambda x, y: np.add.reduce(x))(np.ones(2), 1.0)
    with pytest.raises(TypeError, match=r"np\.exp with dtype= has no derivative"):
        derive(lambda x, y: np.exp(x, dtype=np.float64))(1.0, 1.0)
    with pytest.raises(TypeError, match=r"write np\.\*, or pass the surface its gradient"):
        derive(lambda x, y: math.sin(x))(1.0, 1.0)


@COMPILED
def test_a_helper_compiled_by_the_user_is_differentiated_in_compiled_code():
    @njit
    def cube(z):
        return z * z * z

    def fn(x, y):
        return cube(x) * y

    assert run_compiled(fn, np.array([2.0]), np.array([5.0]))[:, 0].tolist() == [60.0, 8.0]
    with pytest.raises(
        TypeError, match=r"a compiled function takes a dual number in compiled code only; pass .* gradient="
    ):
        derive(fn)(2.0, 5.0)


@COMPILED
def test_an_uncovered_math_function_is_named_in_compiled_code():
    with pytest.raises(TypingError, match=r">>> erf\(.*pass the surface gradient="):
        run_compiled(lambda x, y: math.erf(x), np.ones(1), np.ones(1))


LEAVES = st.sampled_from([lambda x, y: x, lambda x, y: y]) | st.floats(-2, 2).map(lambda c: lambda x, y: c)
UNARIES = st.sampled_from([np.sin, np.cos, np.tanh, np.arctan, np.square, np.negative, lambda z: np.exp(-z * z)])
BINARIES = st.sampled_from([operator.add, operator.sub, operator.mul, lambda a, b: a / (2.0 + np.cos(b))])
TREES = st.recursive(
    LEAVES,
    lambda sub: (
        st.builds(lambda f, a: lambda x, y: f(a(x, y)), UNARIES, sub)
        | st.builds(lambda f, a, b: lambda x, y: f(a(x, y), b(x, y)), BINARIES, sub, sub)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(tree=TREES, x=st.floats(-1.0, 1.0), y=st.floats(-1.0, 1.0))
def test_random_expressions_match_the_complex_step(tree, x, y):
    h = 1e-40
    with np.errstate(under="ignore"):
        want = [np.imag(tree(complex(x, h), y)) / h, np.imag(tree(x, complex(y, h))) / h]
        got = derive(tree)(x, y)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * max(1.0, *map(abs, want)))


def from_file(path, body):
    path.write_text(f"def fn(x, y):\n    return {body}\n")
    spec = importlib.util.spec_from_file_location("of_a_user", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fn


def test_the_digest_of_a_gradient_follows_its_function(tmp_path):
    digests = [
        digest(derive(from_file(tmp_path / f"{i}.py", body))) for i, body in enumerate(("x * y", "x * y", "x + y"))
    ]
    assert digests[0] == digests[1] != digests[2]
