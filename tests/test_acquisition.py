"""Acquisitions against integrals, and their derivatives against differences."""

import numpy as np
import pytest
from scipy import integrate, stats

from optlab.search.gp.acquisition import ACQUISITIONS
from optlab_kernels.acquisition import log_h

EVERY = pytest.mark.parametrize("name", ACQUISITIONS)
FAR = -np.array([0.0, 0.5, 0.999, 1.0, 1.001, 2.5, 3.999, 4.0, 4.001, 7.0, 15.0, 38.0, 1e2, 1e4, 1e8, 1e100])


def scaled(z, power):
    """The integral of s^power exp(-s - s^2 / 2z^2) over s > 0: what is left of h and of cdf without pdf(z)."""
    if abs(z) > 1e7:
        return 1.0
    return integrate.quad(lambda s: s**power * np.exp(-s - 0.5 * (s / z) ** 2), 0, np.inf, epsabs=0, epsrel=1e-13)[0]


@pytest.mark.parametrize("z", FAR[1:])
def test_log_h_is_its_integral_however_far(z):
    """h(z) = integral of t pdf(t - z) over t > 0 = pdf(z) / z^2 scaled(z, 1); cdf(z) = pdf(z) / |z| scaled(z, 0)."""
    value, ratio = log_h(z)
    assert value == pytest.approx(stats.norm.logpdf(z) - 2 * np.log(-z) + np.log(scaled(z, 1)), rel=1e-12)
    assert ratio == pytest.approx(-z * scaled(z, 0) / scaled(z, 1), rel=1e-11)


@pytest.mark.parametrize("z", [0.0, 0.3, 2.0, 6.0, 40.0, 1e6])
def test_log_h_where_improvement_is_likely(z):
    value, ratio = log_h(z)
    h = stats.norm.pdf(z) + z * stats.norm.cdf(z)
    assert value == pytest.approx(np.log(h), rel=1e-13)
    assert ratio == pytest.approx(stats.norm.cdf(z) / h, rel=1e-13)


def test_expected_improvement_is_its_integral():
    mean, sd, best = np.array([0.3, -1.0, 2.0]), np.array([0.5, 0.1, 1.5]), 0.2
    got = ACQUISITIONS["ei"](mean, sd, best, 0.0)[0]
    for i in range(3):
        law = stats.norm(mean[i], sd[i])
        low = mean[i] - 12 * sd[i]
        want = integrate.quad(lambda f, law=law: (best - f) * law.pdf(f), low, best, epsabs=0, epsrel=1e-12)[0]
        assert got[i] == pytest.approx(want, rel=1e-9)
    np.testing.assert_allclose(ACQUISITIONS["log-ei"](mean, sd, best, 0.0)[0], np.log(got), rtol=1e-13)


def test_noise_hides_what_is_known_already():
    mean, sd = np.array([0.0]), np.array([0.4])
    plain, noisy = (ACQUISITIONS[name](mean, sd, 0.1, 0.3)[0, 0] for name in ("log-ei", "noisy-ei"))
    assert noisy - plain == pytest.approx(np.log(1 - 0.3 / np.hypot(0.4, 0.3)), rel=1e-12)
    assert ACQUISITIONS["noisy-ei"](mean, sd, 0.1, 0.0)[0, 0] == plain
    assert ACQUISITIONS["ucb"](mean, sd, 0.1, 0.3)[0, 0] == pytest.approx(0.8)


@EVERY
@pytest.mark.parametrize("best", [1.0, 0.0, -3.0, -20.0])
def test_derivatives_are_differences(name, best):
    rng = np.random.default_rng(0)
    mean, sd = rng.standard_normal(20), np.exp(rng.normal(-0.5, 0.7, 20))
    f, step = ACQUISITIONS[name], 1e-6
    out = f(mean, sd, best, 0.2)
    by_mean = (f(mean + step, sd, best, 0.2)[0] - f(mean - step, sd, best, 0.2)[0]) / (2 * step)
    by_sd = (f(mean, sd + step, best, 0.2)[0] - f(mean, sd - step, best, 0.2)[0]) / (2 * step)
    np.testing.assert_allclose(out[1], by_mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(out[2], by_sd, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["log-ei", "ei"])
def test_better_means_and_wider_ones_promise_more(name):
    f = ACQUISITIONS[name]
    mean, sd = np.linspace(-2, 2, 30), np.linspace(0.1, 2, 30)
    assert (np.diff(f(mean, np.full(30, 0.5), 0.0, 0.0)[0]) < 0).all()
    assert (np.diff(f(np.full(30, 0.5), sd, 0.0, 0.0)[0]) > 0).all()
