"""The Gaussian process against scikit-learn's, against differences, and against what must hold exactly."""

import numpy as np
import pytest
from conftest import JIT, SHRINK
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.gaussian_process import GaussianProcessRegressor, kernels

from optlab.errors import ConfigError
from optlab.search.gp import bfgs
from optlab.search.gp.covariance import RBF, Constant, Matern32, Matern52
from optlab.search.gp.factor import Factor, NotPositive
from optlab.search.gp.mean import Mean
from optlab.search.gp.model import GaussianProcess
from optlab.search.gp.prior import Belief, covariance, usual
from optlab.search.gp.records import Data, group, standardize
from optlab.search.gp.warp import FAMILY, NONE, Warp, choose
from optlab_kernels import covariance as loops

KINDS = {
    "matern52": (Matern52, lambda length: kernels.Matern(length, nu=2.5)),
    "matern32": (Matern32, lambda length: kernels.Matern(length, nu=1.5)),
    "rbf": (RBF, kernels.RBF),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
SIZES = [(20, 1), (20, 20), (200, 2), (200, 6), (1000, 20)] if JIT else [(20, 1), (20, 6)]


def problem(n, d, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, d))
    z = np.sin(4 * x[:, 0]) + x[:, -1] ** 2 + np.sqrt(noise) * rng.standard_normal(n)
    return x, (z - z.mean()) / z.std(), np.exp(rng.normal(-0.7 + 0.5 * np.log(d), 0.3, d))


def differences(f, x, step=1e-5):
    return np.array([(f(x + step * e) - f(x - step * e)) / (2 * step) for e in np.eye(len(x))])


def columns(x):
    return np.ascontiguousarray(x.T)


def test_decay_is_the_exponential():
    x = -np.concatenate([[0.0, 1e-300, 700.0, 708.0, 709.0, 1e300], np.random.default_rng(0).exponential(20, 2000)])
    with np.errstate(over="ignore"):
        got = np.array([loops.decay(v) for v in x])
    np.testing.assert_allclose(got, np.where(x < -708, 0.0, np.exp(x)), rtol=3e-16)


@EVERY_KIND
@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("noise", [1e-2, 1e-4])
def test_likelihood_gradient_and_posterior_are_scikit_learns(kind, n, d, noise):
    ours, theirs = KINDS[kind]
    x, z, length = problem(n, d, noise)
    kernel = theirs(length) + kernels.WhiteKernel(noise)
    other = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(x, z)
    value, slope = other.log_marginal_likelihood(kernel.theta, eval_gradient=True)
    process, data, theta = GaussianProcess(ours(d), Mean("zero"), 1.0), group(x).data(x, z), np.log([*length, noise])
    got, gradient = process.evidence(theta, data)
    assert -got == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(-gradient, slope, rtol=0, atol=1e-9 * np.abs(slope).max())
    q = np.random.default_rng(1).random((50, d))
    post = process.posterior(theta, data)
    mean, sd = post.predict(q)
    want, want_sd = other.predict(q, return_std=True)
    np.testing.assert_allclose(mean, want, atol=1e-9)
    np.testing.assert_allclose(sd**2, want_sd**2 - noise, atol=1e-11)
    np.testing.assert_allclose(post.fitted(), post.mean(x), atol=1e-9)


def test_sums_and_products_are_scikit_learns():
    x, z, length = problem(30, 2, 0.01)
    kernel = kernels.ConstantKernel(0.7) * kernels.Matern(length, nu=2.5) + kernels.RBF(2 * length) * kernels.Matern(
        length, nu=1.5
    )
    mine = Constant(2) * Matern52(2) + RBF(2) * Matern32(2)
    other = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.01).fit(x, z)
    value, slope = other.log_marginal_likelihood(kernel.theta, eval_gradient=True)
    process, data = GaussianProcess(mine, Mean("zero"), 1.0), group(x).data(x, z)
    theta = np.append(kernel.theta, np.log(0.01))
    got, gradient = process.evidence(theta, data)
    assert -got == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(-gradient[:-1], slope, rtol=1e-8)
    assert mine.variance(kernel.theta) == pytest.approx(1.7)
    q = np.random.default_rng(1).random((5, 2))
    by_mean, by_sd = np.arange(1.0, 6.0), np.linspace(-1, 1, 5)
    mean, sd, back = process.posterior(theta, data).traced(q)
    want, want_sd = other.predict(q, return_std=True)
    np.testing.assert_allclose(mean, want, atol=1e-10)
    np.testing.assert_allclose(sd, want_sd, atol=1e-10)

    def total(flat):
        mean, sd = process.posterior(theta, data).predict(flat.reshape(5, 2))
        return by_mean @ mean + by_sd @ sd

    np.testing.assert_allclose(back(by_mean, by_sd).ravel(), differences(total, q.ravel()), rtol=1e-6, atol=1e-8)


def test_covariances_of_different_columns_cannot_be_combined():
    with pytest.raises(ConfigError, match="2 and of 3 columns"):
        _ = RBF(2) + RBF(3)


@EVERY_KIND
@pytest.mark.parametrize("additive", [False, True])
def test_a_matrix_of_one_set_is_that_of_two_equal_ones(kind, additive):
    """Only one of its triangles is worked out."""
    one = np.random.default_rng(1).random((3, 23))
    process, theta = KINDS[kind][0](3, [2], additive=additive), np.array([-0.5, 0.1, 0.4])
    np.testing.assert_array_equal(process.matrix(theta, one, one), process.matrix(theta, one, one.copy()))


def test_a_choice_is_at_distance_one_from_any_other():
    a = np.array([[0.1, 0.1, 0.9], [0.2, 0.2, 0.2]])
    got = Matern52(2, choices=[0]).matrix(np.log([0.5, 0.3]), a, a)
    far = Matern52(1).matrix(np.log([0.5]), np.array([[0.0]]), np.array([[1.0]]))[0, 0]
    np.testing.assert_allclose(got, [[1, 1, far], [1, 1, far], [far, far, 1]], rtol=1e-15)


@EVERY_KIND
def test_an_additive_covariance_is_the_mean_of_its_columns(kind):
    x, _, length = problem(9, 3)
    x[:, 2] = np.round(x[:, 2])
    cls, theta = KINDS[kind][0], np.log(length)
    mine = cls(3, choices=[2], additive=True)
    got = mine.matrix(theta, columns(x), columns(x[:4]))
    alone = [
        cls(1, choices=[0] * (k == 2)).matrix(theta[k : k + 1], columns(x[:, k, None]), columns(x[:4, k, None]))
        for k in range(3)
    ]
    np.testing.assert_allclose(got, np.mean(alone, axis=0), rtol=1e-14)
    weights = np.random.default_rng(1).standard_normal((9, 9))
    weights += weights.T
    want = differences(lambda t: (weights * mine.matrix(t, columns(x), columns(x))).sum(), theta)
    np.testing.assert_allclose(mine.pull_theta(theta, columns(x), weights), want, rtol=1e-6, atol=1e-7)
    want = differences(lambda q: weights[0] @ mine.matrix(theta, q[:, None], columns(x))[0], x[1] + 0.05)
    np.testing.assert_allclose(
        mine.pull_points(theta, columns(x[1:2] + 0.05), columns(x), weights[:1])[0, :2], want[:2], rtol=1e-6, atol=1e-8
    )


def guess(points):
    return np.cos(3 * points[0]) + points[-1]


@EVERY_KIND
@pytest.mark.parametrize("mean", [Mean(), Mean("linear"), Mean("constant", guess)], ids=["constant", "linear", "guess"])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_gradients_are_differences_with_repeats_choices_and_every_mean(kind, mean, scale):
    x, z, length = problem(14, 3, 0.1)
    x[:, 1] = np.round(x[:, 1])  # a choice of two
    x, z = np.vstack([x, x[:4], x[:1]]), np.append(z, z[:5] + 0.3)
    data = group(x).data(x, z)
    process = GaussianProcess(KINDS[kind][0](3, choices=[1]), mean, scale)
    theta = np.log([*length, 0.05])
    assert data.spread > 0
    assert data.total == 19
    want = differences(lambda t: process.evidence(t, data)[0], theta)
    np.testing.assert_allclose(process.evidence(theta, data)[1], want, rtol=1e-6, atol=1e-8)
    post = process.posterior(theta, data)
    q = np.random.default_rng(2).random((3, 3))
    q[:, 1] = 1.0
    by_mean, by_sd = np.array([1.0, -2, 0.5]), np.array([0.3, 1, -1])
    slopes = post.traced(q)[2](by_mean, by_sd)

    def total(flat):
        mean, sd = post.predict(flat.reshape(3, 3))
        return by_mean @ mean + by_sd @ sd

    want = differences(total, q.ravel(), 1e-5).reshape(3, 3)
    free = [0, 2]
    np.testing.assert_allclose(slopes[:, free], want[:, free], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scale", [None, 1.0])
def test_merged_repeats_are_as_likely_as_separate_ones(scale):
    x, z, length = problem(10, 2, 0.1)
    x, z = np.vstack([x, x[:3], x[:3]]), np.append(z, np.arange(6) / 3)
    theta, process = np.log([*length, 0.2]), GaussianProcess(Matern52(2), Mean(), scale)
    merged, apart = group(x).data(x, z), Data(columns(x), z, np.ones(16), 0.0)
    (a, da), (b, db) = process.evidence(theta, merged), process.evidence(theta, apart)
    assert a == pytest.approx(b, rel=1e-12)
    np.testing.assert_allclose(da, db, rtol=1e-9)
    q = np.random.default_rng(1).random((5, 2))
    for got, want in zip(
        process.posterior(theta, merged).predict(q), process.posterior(theta, apart).predict(q), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-9)


def test_generalised_least_squares_is_the_minimiser():
    x, z, length = problem(25, 2, 0.1)
    data, theta = group(x).data(x, z), np.log([*length, 0.1])
    process = GaussianProcess(Matern52(2), Mean("linear"), 1.0)
    post = process.posterior(theta, data)
    a = Matern52(2).matrix(theta[:-1], data.points, data.points) + 0.1 * np.eye(25)
    h = process.mean.basis(data.points).T
    want = np.linalg.solve(h.T @ np.linalg.solve(a, h), h.T @ np.linalg.solve(a, z))
    np.testing.assert_allclose(post.beta, want, rtol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 30, 300 // SHRINK])
def test_appended_rows_are_a_new_factorisation(n):
    x, _, length = problem(n + 3, 2)
    k = Matern52(2).matrix(np.log(length), columns(x), columns(x)) + 1e-4 * np.eye(n + 3)
    grown = Factor.of(k[:n, :n])
    for m in range(n, n + 3):
        grown = grown.append(k[m, :m], k[m, m])
    anew = Factor.of(k)
    np.testing.assert_allclose(np.tril(grown.lower), np.tril(anew.lower), atol=1e-11)
    np.testing.assert_allclose(np.tril(anew.lower), np.linalg.cholesky(k), atol=1e-11)
    b = np.random.default_rng(0).standard_normal((2, n + 3))
    np.testing.assert_allclose(grown.solve(b) @ k, b, atol=1e-8)
    np.testing.assert_allclose(np.tril(anew.inverse()), np.tril(np.linalg.inv(k)), rtol=1e-6, atol=1e-6)
    assert anew.log_det == pytest.approx(np.linalg.slogdet(k)[1], rel=1e-9)


def test_jitter_climbs_its_ladder_and_gives_up():
    same = np.ones((5, 5))
    factor = Factor.of(same)
    assert 0 < factor.jitter <= 1e-8
    assert 0 < factor.retries <= 6
    with pytest.raises(NotPositive, match="5 x 5"):
        Factor.of(same - 2 * np.eye(5))
    with pytest.raises(NotPositive, match="combination"):
        Factor.of(np.eye(2)).append(np.array([1.0, 0.0]), 1.0)


@pytest.mark.parametrize(("n", "d"), [(15, 1), (40 // SHRINK, 3)])
def test_a_fit_is_as_good_as_scipys(n, d):
    x, z, _ = problem(n, d, 0.05)
    data, prior, process = group(x).data(x, z), usual(d), GaussianProcess(covariance(d))

    def target(theta):
        (value, slope), (more, steeper) = process.evidence(theta, data), prior.penalty(theta)
        return value + more, slope + steeper

    theta = process.fit(data, np.array([prior.start, prior.draw(np.random.default_rng(0))]), prior, 60)
    bounds = list(zip(prior.low, prior.high, strict=True))
    want = optimize.minimize(target, prior.start, jac=True, method="L-BFGS-B", bounds=bounds).fun
    assert target(theta)[0] <= want + 1e-3
    assert ((theta >= prior.low) & (theta <= prior.high)).all()


def test_bfgs_reaches_bounded_minima_from_every_start():
    def rosenbrock(x):
        value = 100 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2
        across = -400 * x[:, 0] * (x[:, 1] - x[:, 0] ** 2) - 2 * (1 - x[:, 0])
        return value, np.column_stack([across, 200 * (x[:, 1] - x[:, 0] ** 2)])

    starts = np.random.default_rng(0).uniform(-2, 2, (6, 2))
    for high in (2.0, 0.5):  # the minimum inside, and cut off
        low, top = np.array([-2.0, -2.0]), np.array([high, 2.0])
        x, f = bfgs.minimize(rosenbrock, starts, low, top, 400, first=0.1, longest=0.5, gain=0.0)
        want = [1.0, 1.0] if high == 2.0 else [0.5, 0.25]
        np.testing.assert_allclose(x, np.tile(want, (6, 1)), atol=2e-3)
        np.testing.assert_array_equal(f, rosenbrock(x)[0])
        alone = bfgs.minimize(rosenbrock, starts[2:3], low, top, 400, first=0.1, longest=0.5, gain=0.0)[0]
        np.testing.assert_allclose(alone[0], x[2], atol=1e-12)


def test_priors_are_their_densities():
    prior, theta = usual(2), np.array([0.3, -1.0, 0.4, 0.1, -0.2, -8.0])
    whole, each = (stats.lognorm(np.sqrt(3), scale=np.exp(np.sqrt(2) + 0.5 * np.log(d))) for d in (2, 1))

    def density(t):
        lengths = whole.logpdf(np.exp(t[:2])).sum() + each.logpdf(np.exp(t[3:5])).sum()
        return -lengths - stats.norm(0, 1).logpdf(t[2]) - stats.norm(-12, 4).logpdf(t[5])

    value, slope = prior.penalty(theta)
    assert value - prior.penalty(prior.start)[0] == pytest.approx(density(theta) - density(prior.start), rel=1e-12)
    np.testing.assert_allclose(slope, differences(density, theta), rtol=1e-7, atol=1e-9)
    for d in (1, 5):
        assert len(usual(d).start) == covariance(d).size + 1
    belief = Belief(np.array([0.2, 0.5, 0.5]), np.array([0.1, np.inf, 0.2]), np.array([False, False, True]))
    x = np.array([0.25, 0.1, 0.5])
    assert belief.log(x[None])[0] == pytest.approx(-0.125)
    assert belief.log(np.array([[0.2, 0.9, 0.1]]))[0] == pytest.approx(-0.5 / 0.2**2)
    np.testing.assert_allclose(belief.log(x[None])[1][0], [-5, 0, 0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.integers(-900, 900))
def test_standardised_losses_do_not_depend_on_powers_of_two(losses, k):
    y = np.round(np.array(losses) * 1024) / 1024  # no bits that a small power would cut off
    want, unit = standardize(y)
    got, other = standardize(np.ldexp(y, k))
    np.testing.assert_array_equal(got, want)
    if np.isfinite(unit):
        assert other == np.ldexp(unit, k)
        np.testing.assert_allclose([want.mean(), want.std()], [0, 1], atol=1e-9)


@pytest.mark.parametrize(
    "losses",
    [[1e300, -1e300, 1.7e308], [1e-300, 3e-300, 5e-324], [1.0, 2, 1e30, 1.5], [7.0], [3.0, 3.0, 3.0], [0.0, -0.0]],
)
def test_standardised_losses_are_finite_and_ordered(losses):
    got, unit = standardize(np.array(losses))
    assert np.isfinite(got).all()
    assert (np.argsort(got, kind="stable") == np.argsort(losses, kind="stable")).all()
    assert unit > 0


def test_failures_are_worse_than_the_worst():
    got, _ = standardize(np.array([1.0, np.nan, 5.0, np.inf, -np.inf, 2.0]))
    assert (got[[1, 3, 4]] > got[2]).all()
    one, _ = standardize(np.array([2.0, np.nan]))
    assert one[1] > one[0]


@pytest.mark.parametrize("exponent", [-3.0, 0.0, 0.6, 1.0, 2.0])
def test_power_warp_is_scipys(exponent):
    y = np.random.default_rng(0).standard_normal(40)
    want = stats.yeojohnson(y, exponent)
    np.testing.assert_allclose(Warp("power", exponent)(y)[0], (want - want.mean()) / want.std(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("warp", [NONE, Warp("power", -1.0), Warp("power", 1.6), Warp("log", 0.1)])
def test_jacobians_are_log_derivatives(warp):
    """Before the standardisation, whose own factor is 1 / sd for each."""
    y = np.sort(np.random.default_rng(0).standard_normal(12))
    values, jacobian = warp(y)
    fine = np.array([y - 1e-6, y + 1e-6])
    raw = {
        "none": lambda v: v,
        "power": lambda v: stats.yeojohnson(v.ravel(), warp.parameter).reshape(v.shape),
        "log": lambda v: np.log(v - y[0] + warp.parameter),
    }[warp.kind]
    slope = np.diff(raw(fine), axis=0)[0] / 2e-6
    sd = raw(y[None])[0].std()
    assert jacobian == pytest.approx(np.log(slope / sd).sum(), rel=1e-5, abs=1e-5)
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("warp", FAMILY, ids=str)
def test_an_inverse_undoes_a_warp(warp):
    y = np.array([-1.2, -0.8, -0.1, 0.0, 0.3, 2.5, 6.0])
    values, _ = warp(y)
    np.testing.assert_allclose(warp.inverse(y, values), y, rtol=1e-6, atol=1e-9)
    between = warp.inverse(y, np.linspace(values.min(), values.max(), 50))
    assert (np.diff(between) > 0.0).all()


def test_the_warp_chosen_has_the_largest_likelihood():
    x, z, length = problem(30, 2)
    y, _ = standardize(np.exp(2.5 * z))
    process, theta, groups = GaussianProcess(Matern52(2)), np.log([*length, 1e-4]), group(x)
    factor = process.factor(theta, groups.data(x, y))
    best = choose(y, groups, factor, 1e-4)
    scores = {}
    for warp in FAMILY:
        values, jacobian = warp(y)
        scores[warp] = -process.evidence(theta, groups.data(x, values))[0] + jacobian
    assert best == max(scores, key=scores.get)
    assert best.kind != "none"
    assert scores[best] > scores[NONE] + 5


def test_an_imagined_point_is_an_observation_of_the_mean():
    x, z, length = problem(12, 2, 0.05)
    data, theta, process = group(x).data(x, z), np.log([*length, 0.05]), GaussianProcess(Matern52(2))
    post, point = process.posterior(theta, data), np.array([0.3, 0.4])
    more = post.imagine(point)
    value = float(post.mean(point[None])[0])
    want = process.posterior(theta, group(np.vstack([x, point])).data(np.vstack([x, point]), np.append(z, value)))
    q = np.vstack([point, np.random.default_rng(0).random((5, 2))])
    for got, other in zip(more.predict(q), want.predict(q), strict=True):
        np.testing.assert_allclose(got, other, rtol=1e-9)
    assert more.predict(point[None])[1] < post.predict(point[None])[1]
    assert more.imagine(point) is more
