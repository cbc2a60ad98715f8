"""The sampler as a study uses it: the same after any resume, whatever the losses are, in spaces of every kind."""

import threading

import numpy as np
import pytest
from conftest import SHRINK
from gp_runs import MIXED, PLANE, bound, bowl, mixed_loss, searched, sobol_results, told
from gp_runs import small_without_the_compiler as small_without_the_compiler

from optlab.errors import ConfigError
from optlab.search.gp import candidates, chain, propose, trust
from optlab.search.gp.factor import Factor
from optlab.search.gp.lattice import Lattice
from optlab.search.sampler import Observation
from optlab.search.samplers.gp import GP
from optlab.search.samplers.sobol import SobolSequence
from optlab.search.space import Choice, Float, Int, Space
from optlab.viz.posterior import plot_posterior

# --- what it finds ----------------------------------------------------------------------------------------------------


def test_it_starts_with_the_sequence_and_finds_the_minimum():
    seen = searched(bound(PLANE, seed=1), bowl, 20 if SHRINK > 1 else 30)
    even = SobolSequence(2, 1)
    assert [o.params for o in seen[:10]] == [PLANE.decode(even[i]) for i in range(10)]
    assert min(o.loss for o in seen) < (1e-3 if SHRINK > 1 else 1e-5) < min(o.loss for o in seen[:10])


@pytest.mark.skipif(SHRINK > 1, reason="takes a minute without the compiler")
@pytest.mark.parametrize(
    "options", [{"acquisition": a} for a in ("log-ei", "ei", "ucb", "noisy-ei")] + [{"noise": 0.0}]
)
def test_every_acquisition_finds_the_minimum(options):
    assert min(o.loss for o in searched(bound(PLANE, **options), bowl, 25)) < 1e-3


@pytest.mark.skipif(SHRINK > 1, reason="takes a minute without the compiler")
def test_a_mixed_conditional_space():
    seen = searched(bound(MIXED, seed=0), mixed_loss, 45)
    best = min(seen, key=lambda o: o.loss)
    assert best.params["rule"] == "momentum"
    assert best.params["nesterov"] is True
    assert best.params["layers"] == 2
    assert best.params["decay"] == 0.0
    assert abs(best.params["width"] - 64) <= 8
    assert all(MIXED.check(o.params) == o.params for o in seen)
    assert len({str(o.params) for o in seen}) == 45


def test_a_recommendation_is_not_the_luckiest_loss():
    rng = np.random.default_rng(0)
    u = np.linspace(0.02, 0.98, 48)
    losses = (u - 0.5) ** 2 * 4 + 0.05 * rng.standard_normal(len(u))
    losses[-2] = -0.05  # luck, far from the minimum
    sampler, space = GP(seed=0), Space(x=Float(0, 1))
    sampler.bind(space)
    assert abs(sampler.recommend(told(space, u[:, None], losses))["x"] - 0.5) < 0.2


def test_a_recommendation_before_the_model_starts():
    seen = sobol_results(PLANE, 3, bowl)
    assert bound(PLANE).recommend(seen) == pytest.approx(min(seen, key=lambda o: o.loss).params)
    with pytest.raises(ConfigError, match="finite"):
        bound(PLANE).recommend([])


# --- nothing but seed and results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.fault(11)
def test_resuming_is_going_on(batch):
    stop = 16 if SHRINK > 1 else 34
    straight = searched(bound(MIXED, seed=3), mixed_loss, stop + batch, batch=batch)
    for cut in {4 * (stop // 8), stop - stop % batch}:
        numbers = range(cut, cut + batch)
        again = bound(MIXED, seed=3).propose(numbers, straight[:cut])
        assert again == [o.params for o in straight[cut : cut + batch]]
    assert bound(MIXED, seed=4).propose([11], straight[:4]) != bound(MIXED, seed=3).propose([11], straight[:4])


def test_a_changed_past_is_seen():
    seen = sobol_results(PLANE, 13, bowl)
    sampler = bound(PLANE)
    sampler.propose([13], seen)
    seen[11] = Observation(11, seen[11].params, 7.0, "complete")
    assert sampler.propose([13], seen) == bound(PLANE).propose([13], seen)
    seen[11] = Observation(11, {"x": 0.1, "y": 0.5}, 7.0, "complete")
    assert sampler.propose([13], seen) == bound(PLANE).propose([13], seen)


def test_appended_rows_are_walked_alike_with_repeats_between(monkeypatch):
    monkeypatch.setattr(chain, "EACH", 10)
    monkeypatch.setattr(chain, "GROWTH", 2.0)
    seen = sobol_results(PLANE, 18, bowl)
    seen[14] = Observation(14, seen[2].params, 1.0, "complete")
    sampler = bound(PLANE)
    step_by_step = [sampler.propose([n], seen[:n]) for n in range(11, 19)]
    assert step_by_step[-1] == bound(PLANE).propose([18], seen)
    post = sampler.posterior(seen)
    anew = Factor.of(post.factor.lower @ post.factor.lower.T * 0 + _matrix(post))
    np.testing.assert_allclose(np.tril(post.factor.lower), np.tril(anew.lower), atol=1e-9)


def _matrix(post):
    points = post.data.points
    return post.process.covariance.matrix(post.theta[:-1], points, points) + np.diag(post.noise / post.data.counts)


@pytest.mark.fault(24, cases=4)
def test_threads_do_not_change_a_bit():
    from threadpoolctl import threadpool_limits

    seen, found = sobol_results(PLANE, 14, bowl), []
    for count in (1, 2):
        with threadpool_limits(count):
            found.append(bound(PLANE).propose([14], seen))
    threads = [threading.Thread(target=lambda: found.append(bound(PLANE).propose([14], seen))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 4


def test_the_last_one_out_gives_the_threads_back():
    """Proposals that overlap: had the first to leave set the number back, the other's sums would change half way."""
    from threadpoolctl import threadpool_info, threadpool_limits

    from optlab.search.gp.one_thread import one_thread

    def blas():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with one_thread:
            with one_thread:
                assert blas() == {1}
            assert blas() == {1}
        assert blas() == {2}


# --- batches, running trials, small spaces ----------------------------------------------------------------------------


def test_a_batch_is_of_distinct_points_and_so_is_what_runs():
    seen = sobol_results(PLANE, 12, bowl)
    batch = bound(PLANE).propose(range(12, 16), seen)
    running = [Observation(n, p, None, "running") for n, p in zip(range(12, 16), batch, strict=True)]
    (more,) = bound(PLANE).propose([16], seen + running)
    points = np.array([PLANE.encode(p) for p in [*(o.params for o in seen), *batch, more]])
    gaps = np.abs(points[:, None] - points).max(2)[np.triu_indices(len(points), 1)]
    assert gaps.min() > 1e-6


@pytest.mark.parametrize("initial", [1, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_small_space_is_exhausted_before_anything_comes_twice(initial, batch):
    space = Space(a=Int(1, 2), b=Int(5, 6))
    seen = searched(bound(space, initial=initial), lambda p: p["a"] * p["b"], 6, batch=batch)
    assert len({tuple(o.params.values()) for o in seen[:4]}) == 4
    space = Space(c=Choice(["p", "a", "b"]), d=Int(1, 2, when={"c": "a"}))
    seen = searched(bound(space, initial=initial), lambda p: len(str(p)), 6, batch=batch)
    assert len({str(o.params) for o in seen[:4]}) == 4  # p, a1, a2, b


def test_known_noise_allows_a_repeat():
    space = Space(a=Int(0, 9))
    rng = np.random.default_rng(0)
    seen = searched(bound(space, noise=0.5), lambda p: (p["a"] - 4) ** 2 / 9 + 0.5 * rng.standard_normal(), 24)
    assert len({o.params["a"] for o in seen[10:]}) < 14


def test_more_results_than_a_model_takes(monkeypatch):
    monkeypatch.setattr(chain, "MANY", 20)
    monkeypatch.setattr(chain, "KEPT", 12)
    seen = sobol_results(PLANE, 24, bowl)
    post = bound(PLANE).posterior(seen)
    assert post.data.total == 12
    best = min(seen, key=lambda o: o.loss)
    assert np.abs(post.data.points.T - PLANE.encode(best.params)).max(1).min() < 1e-9
    sampler = bound(PLANE)
    for n in (19, 20, 21):
        sampler.propose([n], seen[:n])
    assert sampler.propose([24], seen) == bound(PLANE).propose([24], seen)


@pytest.mark.parametrize(
    "space", [PLANE, MIXED, Space(a=Int(1, 10**9), b=Int(1, 7, step=2))], ids=["real", "mixed", "int"]
)
def test_snapping_is_encoding_what_is_decoded(space):
    u = np.random.default_rng(0).random((60, len(space)))
    got = Lattice(space).snap(u)
    want = np.array([space.encode(space.decode(v)) for v in u])
    np.testing.assert_allclose(got, want, atol=1e-9)
    np.testing.assert_array_equal(Lattice(space).snap(got), got)
    for near in Lattice(space).neighbours(got[0]):
        assert space.decode(near) != space.decode(got[0])


def test_everything_in_a_small_space():
    lattice = Lattice(Space(a=Int(1, 3), c=Choice(["x", "y"]), d=Choice([1, 2], when={"c": "y"})))
    found = [lattice.space.decode(u) for u in lattice.everything]
    assert len(found) == len({str(p) for p in found}) == 9
    assert Lattice(PLANE).everything is None


# --- what the user knows ----------------------------------------------------------------------------------------------


def test_a_prior_draws_and_fades():
    seen = sobol_results(PLANE, 10, lambda p: 1.0)
    (pulled,) = bound(PLANE, prior={"x": (-0.9, 0.02)}).propose([12], seen)  # not in the trust region
    assert abs(pulled["x"] + 0.9) < 0.2
    wrong = bound(PLANE, prior={"x": -0.9})
    assert min(o.loss for o in searched(wrong, bowl, 18 if SHRINK > 1 else 35)) < (0.05 if SHRINK > 1 else 1e-3)


def hint(params):
    """A guess of `bowl` in other units."""
    return 100 + 50 * bowl(params)


def test_a_good_guess_of_the_loss_is_used_at_once():
    (params,) = bound(PLANE, initial=6, mean=hint).propose([6], sobol_results(PLANE, 6, bowl))
    assert bowl(params) < 1e-2
    by_name = bound(PLANE, initial=6, mean=f"{__name__}:hint")
    assert by_name.propose([6], sobol_results(PLANE, 6, bowl)) == [params]


def test_options_are_data_and_equal_when_read_again():
    sampler = GP(seed=5, initial=7, acquisition="ucb", noise=0.1)
    data = sampler.to_dict()
    assert data == {"name": "gp", "seed": 5, "initial": 7, "acquisition": "ucb", "noise": 0.1}
    assert GP(**{k: v for k, v in data.items() if k != "name"}) == sampler
    assert GP().to_dict() == {"name": "gp", "seed": 0, "initial": 10}
    assert GP(prior={"x": (0.1, 0.2)}, mean=hint).to_dict() == {
        "name": "gp",
        "seed": 0,
        "initial": 10,
        "prior": {"x": [0.1, 0.2]},
        "mean": f"{__name__}:hint",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0}, "initial must be a whole number from 1"),
        ({"initial": "ten"}, "initial"),
        ({"noise": -1.0}, "noise must be a number from 0"),
        ({"acquisition": "log-eq"}, "log-ei"),
        ({"acquisition": 3}, "acquisition"),
        ({"prior": [1]}, "prior must be a dictionary"),
        ({"mean": "guess"}, "mean must be a function"),
        ({"prior": {"x": 0}, "acquisition": "ucb"}, "take log-ei"),
        ({"prior": {"z": 0.5}}, "prior.z is unknown"),
        ({"prior": {"x": 7}}, "prior.x must be"),
        ({"prior": {"x": (0.5, 0)}}, "prior.x has a width"),
        ({"mean": "optlab.search:nothing"}, "can't be imported"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        bound(PLANE, **options)


# --- the trust region -------------------------------------------------------------------------------------------------


def test_the_box_grows_with_success_and_shrinks_with_failure():
    start = [1.0, 2.0, 3.0]
    assert trust.side(np.array([*start, 0.5, 0.4, 0.3]), [True] * 6, 3, 2) == 1.6
    assert trust.side(np.array(start + 4 * [5.0]), [True] * 7, 3, 2) == 0.4
    assert trust.side(np.array(start + 4 * [5.0]), [False] * 7, 3, 2) == 0.8
    assert trust.side(np.array(start + 6 * [5.0]), [True] * 9, 3, 6) == 0.4
    assert trust.side(np.array(start + 28 * [5.0]), [True] * 31, 3, 2) == trust.START
    low, high = trust.box(
        np.array([0.5, 0.1, 0.5]), np.array([0.1, 0.4, 5.0]), 0.4, np.array([0, 0, 1], bool), [None] * 3
    )
    np.testing.assert_allclose(low, [0.4, 0.0, 0.0])
    np.testing.assert_allclose(high, [0.6, 0.5, 1.0])


# --- other values of a choice -----------------------------------------------------------------------------------------

KINDS = Space(kind=Choice(["a", "b", "c"]), x=Float(0, 1), y=Float(0, 1, when={"kind": ["a", "b"]}))


def uneven(params):
    """Flat and good with a, a narrow and better well with b, hopeless with c."""
    if params["kind"] == "b":
        return min(0.3, 3 * abs(params["x"] - 0.2) + 3 * abs(params["y"] - 0.8))
    return 0.1 if params["kind"] == "a" else 0.5 + params["x"]


def test_each_combination_of_choices_has_its_own_box():
    sampler = bound(KINDS)
    seen = sobol_results(KINDS, 10, uneven)
    post = sampler.posterior(seen)
    found = candidates.candidates(post, sampler.lattice, lambda _: 0.1, sampler._spread, np.random.default_rng(0))
    points, fitted = post.data.points.T, post.fitted()
    for kind in np.unique(points[:, 0]):
        own = found.points[found.points[:, 0] == kind]
        home = points[points[:, 0] == kind][np.argmin(fitted[points[:, 0] == kind])]
        low, high = trust.box(home, np.exp(post.theta[:3]), 0.1, sampler.lattice.coarse, sampler.lattice.levels)
        inside = ((own >= low - 1e-9) & (own <= high + 1e-9))[:, 1]
        assert inside.sum() >= len(sampler._spread) // 8  # the rest stands around the best points of other kinds
    assert ((found.points >= found.low - 1e-9) & (found.points <= found.high + 1e-9))[:, 1].all()


def test_failures_with_one_choice_do_not_narrow_the_box_of_another():
    sampler = bound(KINDS, initial=4)
    u = np.array([[0.1, 0.5, 0.5], [0.5, 0.5, 0.5]] * 2 + [[0.1, x, 0.5] for x in np.linspace(0, 1, 4)])
    tried = sampler.lattice.snap(u)
    side = sampler._sides(tried, np.array([1.0, 1, 2, 2, 3, 3, 3, 3]), np.ones(8, bool))
    assert side(tried[0]) == trust.START / 2
    assert side(tried[1]) == trust.START
    assert side(sampler.lattice.snap(np.array([[0.9, 0.5, 0.5]]))[0]) == trust.START


def test_choices_take_turns():
    assert [bound(MIXED)._rival(n) for n in range(4, 17, 4)] == [3, 0, 3, 0]
    assert bound(MIXED)._rival(5) is None
    assert bound(Space(c=Choice(["one"]), x=Float(0, 1)))._rival(4) is None


def test_outside_the_box_another_value_gets_its_turn_unless_it_is_hopeless(monkeypatch):
    seen = searched(bound(KINDS, seed=1), uneven, 12)
    best = min(seen, key=lambda o: o.loss).params["kind"]
    monkeypatch.setattr(propose, "HOPELESS", np.inf)
    (params,) = bound(KINDS, seed=1).propose([12], seen)  # every fourth
    assert params["kind"] != best
    monkeypatch.setattr(propose, "HOPELESS", -np.inf)
    (same,) = bound(KINDS, seed=1).propose([12], seen)
    monkeypatch.setattr(GP, "_rival", lambda *_: None)
    assert bound(KINDS, seed=1).propose([12], seen) == [same]


def test_a_value_that_is_used_up_is_not_tried_again():
    space = Space(kind=Choice(["a", "b"]), x=Float(0, 1, when={"kind": "a"}))
    seen = searched(bound(space, initial=4), lambda p: p.get("x", 0.5) + 0.1, 14 if SHRINK > 1 else 24)
    assert sum(o.params["kind"] == "b" for o in seen[4:]) <= 1


# --- the picture ------------------------------------------------------------------------------------------------------


def test_the_picture_shows_the_model_and_its_next_point():
    space = Space(x=Float(0.1, 10, log=True))
    seen = sobol_results(space, 6, lambda p: np.log(p["x"]) ** 2)
    sampler = bound(space, initial=4)
    fig = plot_posterior(sampler, seen)
    above, below = fig.axes
    mean, results, following = above.get_lines()
    np.testing.assert_allclose(results.get_xdata(), [o.params["x"] for o in seen], rtol=1e-9)
    np.testing.assert_allclose(
        mean.get_ydata(), sampler.posterior(seen).mean(np.linspace(0, 1, 501)[:, None]), atol=1e-6
    )
    assert following.get_xdata()[0] == sampler.propose([6], seen)[0]["x"]
    assert below.get_xscale() == "log"
    assert below.get_lines()[0].get_ydata().min() >= 0
    side = plot_posterior(bound(MIXED, initial=4), sobol_results(MIXED, 5, mixed_loss), along="width")
    assert side.axes[1].get_xlabel() == "width"
    for options, message in [
        ({"along": "rule"}, "a choice"),
        ({"along": "z"}, "unknown parameter"),
        ({}, "starts after"),
    ]:
        with pytest.raises(ConfigError, match=message):
            plot_posterior(bound(MIXED, initial=4 if options else 9), sobol_results(MIXED, 5, mixed_loss), **options)
