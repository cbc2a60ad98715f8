"""A recorded descent: its arithmetic and its noise, against loops in plain Python and other people's code."""

import naive
import numpy as np
import pytest
from conftest import SHRINK
from descents import EVERY_RULE, STEPS, loop
from scipy import stats

import optlab as ol
from optlab_kernels.trajectory import GX, GY, STATE, trajectory

POLYNOMIALS = ("beale", "rosenbrock", "himmelblau")


# --- the arithmetic ---------------------------------------------------------------------------------------------------


@EVERY_RULE
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_a_descent_is_the_loop_in_plain_python(settings, name):
    """Bit for bit: sums, products and roots are rounded alike, and compiled code contracts no product into a sum."""
    surface = ol.SURFACES[name]
    settings = settings.replace(weight_decay=0.0)
    run = ol.descend(name, settings, steps=STEPS)
    assert run.status != "diverged"
    np.testing.assert_array_equal(run.record, loop(settings, surface, surface.start, STEPS))


@pytest.mark.parametrize("name", ["ackley", "branin", "griewank"])
def test_on_surfaces_with_sines_to_rounding(name):
    """The last bits of sin and exp differ between libm and NumPy; 50 small steps multiply them by under 1e3."""
    surface = ol.SURFACES[name]
    run = ol.descend(name, ol.Adam(lr=0.01), steps=50 // SHRINK)
    want = loop(ol.Adam(lr=0.01), surface, surface.start, run.steps)
    np.testing.assert_allclose(run.record, want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("decay", [0.01, 0.5])
@EVERY_RULE
def test_weight_decay_is_the_loop_in_plain_python(settings, decay):
    """Decoupled: p (1 - lr decay) and p - lr decay p differ by rounding, which Booth's bowl does not let grow."""
    settings = settings.replace(weight_decay=decay)
    run = ol.descend("booth", settings, steps=STEPS // 4)
    want = loop(settings, run.surface, run.surface.start, run.steps)
    if settings.decoupled:
        np.testing.assert_allclose(run.record, want, rtol=1e-9, atol=1e-9)
    else:
        np.testing.assert_array_equal(run.record, want)


def test_torch_walks_the_same_way_on_beale():
    torch = pytest.importorskip("torch")
    from torch_surfaces import TORCH

    start, steps = (1.0, 1.5), 100
    for rule, theirs in (
        (ol.Adam(lr=0.1), lambda p: torch.optim.Adam(p, lr=0.1)),
        (ol.AdamW(lr=0.1, weight_decay=0.1), lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1)),
        (ol.SGD(lr=0.005, weight_decay=0.1), lambda p: torch.optim.SGD(p, lr=0.005, weight_decay=0.1)),
    ):
        p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer, path = theirs([p]), [start]
        for _ in range(steps):
            optimizer.zero_grad()
            TORCH["beale"](p[0], p[1]).backward()
            optimizer.step()
            path.append(tuple(p.detach().tolist()))
        np.testing.assert_allclose(ol.descend("beale", rule, start, steps).points, path, atol=1e-10)


def test_papers_walk_the_same_way_on_beale():
    def gradient(p, t):
        return naive.beale_gradient(p)

    start, lr, decay = (1.0, 1.5), 0.01, 0.2
    for settings, paper, slope in (
        (ol.Adam(lr), naive.kingma_ba(lr, 0.9, 0.999, 1e-8), gradient),
        (ol.AdamW(lr, weight_decay=decay), naive.loshchilov_hutter(lr, 0.9, 0.999, 1e-8, decay), gradient),
        (ol.SGD(lr, weight_decay=decay), naive.robbins_monro(lr), lambda p, t: naive.beale_gradient(p) + decay * p),
    ):
        want = naive.walk(paper, start, slope, 100)
        np.testing.assert_allclose(ol.descend("beale", settings, start, 100).points, want, atol=1e-10)


@EVERY_RULE
def test_the_loop_without_noise_and_decay_equals_the_general_one(settings):
    settings = settings.replace(weight_decay=0.0)
    want = ol.descend("beale", settings, steps=STEPS).record
    surface, rule = ol.SURFACES["beale"], settings.variant
    record = np.empty_like(want)
    record[0, :2], record[0, STATE:] = surface.start, want[0, STATE:]
    record[:, GX : GY + 1] = 0.0
    box = np.array([-1e9, 1e9, -1e9, 1e9])
    rows = trajectory(rule, surface.value, surface.gradient, False)(record, settings.control(), box)
    assert rows == STEPS + 1
    np.testing.assert_array_equal(record, want)


# --- noise ------------------------------------------------------------------------------------------------------------


def noise_of(run):
    return run.gradients - np.column_stack(run.surface.gradient(*run.points.T))


def test_noise_is_gaussian_and_independent():
    """At rate 0 the true gradient stands still. Bounds of 5 standard errors: a right program fails once in 1e6."""
    sigma, n = 0.3, 20_000 // SHRINK
    run = ol.descend("sphere", ol.SGD(lr=0.0), steps=n - 1, noise=sigma, seed=3)
    z = noise_of(run) / sigma
    assert np.abs(z.mean(axis=0)).max() <= 5 / np.sqrt(n)
    assert np.abs(z.std(axis=0) - 1).max() <= 5 / np.sqrt(2 * n)
    assert abs(np.mean(z[:, 0] * z[:, 1])) <= 5 / np.sqrt(n)
    assert np.abs(np.mean(z[1:] * z[:-1], axis=0)).max() <= 5 / np.sqrt(n)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-6


def test_noise_is_seeded_and_enters_the_step():
    def noisy(seed, noise=0.1, **options):
        return ol.descend("beale", ol.Adam(lr=0.05), steps=STEPS, noise=noise, seed=seed, **options)

    run = noisy(3)
    np.testing.assert_array_equal(run.record, noisy(3).record)
    np.testing.assert_array_equal(run.record, noisy(np.int64(3)).record)
    assert (run.gradients[0] != noisy(4).gradients[0]).all()
    # subtracting the true gradient (up to 100 long) leaves the noise with an error of 1e-14
    np.testing.assert_allclose(noise_of(run)[0], 2 * noise_of(noisy(3, noise=0.05))[0], atol=1e-12)
    want = loop(ol.Adam(lr=0.05), run.surface, run.surface.start, STEPS, noise=noise_of(run))
    np.testing.assert_allclose(run.points, want[:, :2], rtol=1e-9)
    np.testing.assert_array_equal(run.values, run.surface.value(*run.points.T))
    np.testing.assert_array_equal(noisy(3, noise=0.0).record, ol.descend("beale", ol.Adam(lr=0.05), steps=STEPS).record)


def test_longer_runs_begin_with_the_same_noise():
    short, long = (ol.descend("beale", "sgd", steps=n, noise=1.0, seed=1) for n in (5, 10))
    np.testing.assert_array_equal(short.record, long.record[:6])
