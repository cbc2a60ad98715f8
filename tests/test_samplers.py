"""Grid, random, Sobol and refining search: each trial once, whatever the batches; growth past an edge."""

import itertools
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from optlab.errors import ConfigError
from optlab.search.sampler import Observation, Sampler, as_sampler, generator, sampler_class, sampler_from_dict
from optlab.search.samplers.gp import GP
from optlab.search.samplers.grid import Grid
from optlab.search.samplers.random import Random
from optlab.search.samplers.refine import Refine
from optlab.search.samplers.sobol import Sobol, SobolSequence
from optlab.search.space import Choice, Float, Int, Space
from optlab.search.study import Study

MIXED = Space(
    lr=Float(1e-5, 1, log=True),
    rule=Choice(["sgd", "momentum", "adam"]),
    hidden=Int(8, 64, step=8),
    beta=Float(0.5, 0.99, when={"rule": "momentum"}),
)


SINGLY = [1] * 1000


def loss_of(params):
    """Some smooth loss of whatever the parameters are; the same in every run."""
    return sum((math.log(v) if isinstance(v, float) else len(str(v))) ** 2 for v in params.values())


def search(sampler, space, loss=loss_of, trials=10**6, batches=SINGLY, fresh=None):
    """The finished trials of a search in batches of these sizes; ``fresh`` makes a new sampler for each (a resume)."""
    seen = []
    sampler.bind(space)
    for size in batches:
        size = min(size, trials - len(seen))
        if fresh is not None:
            sampler = fresh()
            sampler.bind(space)
        points = sampler.propose(range(len(seen), len(seen) + size), tuple(seen))
        assert len(points) <= size
        if not points:
            break
        seen += [Observation(len(seen) + i, space.check(p), loss(p), "complete") for i, p in enumerate(points)]
    return seen


def best(seen):
    return min(seen, key=lambda t: t.loss).params


def one(lr, loss, trials=10**6, **options):
    space = Space(lr=Float(1e-12, 1e12, log=True))
    return [t.params["lr"] for t in search(Grid(lr=lr, **options), space, lambda p: loss(p["lr"]), trials)]


# --- independence of batches, workers, resumes ------------------------------------------------------------------------

MAKERS = {
    "grid": lambda: Grid(points=3),
    "growing grid": lambda: Grid(lr=[1e-3, 1e-2], hidden=[24, 32], beta=2, extend=True, refine=1),
    "random": lambda: Random(3),
    "sobol": lambda: Sobol(3),
    "refine": lambda: Refine(coarse=7, seed=3),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.fault(11)
def test_trials_do_not_depend_on_batches_or_resumes(make):
    straight = search(make(), MIXED, trials=60)
    assert len(straight) >= 30

    @given(st.lists(st.integers(1, 9), min_size=60, max_size=60), st.booleans())
    def law(batches, resumed):
        assert search(make(), MIXED, trials=60, batches=batches, fresh=make if resumed else None) == straight

    law()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.fault(9)
def test_trials_do_not_depend_on_the_order_in_which_workers_finish(make):
    straight = search(make(), MIXED, trials=60)

    @given(st.integers(1, 8), st.randoms(use_true_random=False))
    def law(workers, random):
        sampler, seen, running = make(), [], []
        sampler.bind(MIXED)
        while True:
            asked = sampler.propose([len(seen)], tuple(seen)) if len(running) < workers and len(seen) < 60 else []
            if asked:
                running.append(len(seen))
                seen.append(Observation(len(seen), asked[0], None, "running"))
            elif running:
                n = running.pop(random.randrange(len(running)))
                seen[n] = Observation(n, seen[n].params, loss_of(seen[n].params), "complete")
            else:
                break
        assert seen == straight

    law()


@pytest.mark.parametrize("kind", [Random, Sobol])
def test_trial_n_is_a_function_of_seed_and_number(kind):
    sampler = kind(seed=5)
    sampler.bind(MIXED)
    points = sampler.propose(range(300), [])
    alone = kind(seed=5)
    alone.bind(MIXED)
    assert [alone.propose([n], [])[0] for n in (299, 0, 64, 63, 128)] == [points[n] for n in (299, 0, 64, 63, 128)]
    assert len({json.dumps(p) for p in points}) == 300
    other = kind(seed=6)
    other.bind(MIXED)
    assert not any(p in points for p in other.propose(range(300), []))


# --- random and Sobol -------------------------------------------------------------------------------------------------


def test_random_is_numpys_philox_by_number():
    space = Space(a=Float(0, 1), b=Float(0, 1))
    sampler = Random(7)
    sampler.bind(space)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(7, spawn_key=(1, 12))))
    assert list(sampler.propose([12], [])[0].values()) == rng.random(2).tolist()


@pytest.mark.parametrize("columns", [1, 2, 5, 30])
def test_sobol_is_scipys_sequence(columns):
    sequence = SobolSequence(columns, 4)
    want = qmc.Sobol(columns, scramble=True, rng=generator(4, "sobol", 0)).random(512)
    np.testing.assert_array_equal([sequence[n] for n in range(512)], want)
    rng = generator(4, "random", 0)
    assert qmc.discrepancy(want) < qmc.discrepancy(rng.random((512, columns))) / (3 if columns < 30 else 1)


def test_sobol_draws_every_level_alike():
    space = Space(a=Choice(list("abcd")), b=Int(1, 8), c=Float(0, 1))
    sampler = Sobol(1)
    sampler.bind(space)
    points = sampler.propose(range(64), [])
    assert {v: sum(p["a"] == v for p in points) for v in "abcd"} == dict.fromkeys("abcd", 16)
    assert {v: sum(p["b"] == v for p in points) for v in range(1, 9)} == dict.fromkeys(range(1, 9), 8)
    with pytest.raises(ConfigError, match="at most 21201 parameters, this space has 21202"):
        Sobol().bind(Space({f"p{i}": Choice([0]) for i in range(21202)}))


def test_sixty_draws_reach_the_best_5_percent():  # 1 - 0.95^60 = 0.954 (figures.md, grid-random)
    space = Space(a=Float(0, 1), b=Float(0, 1))
    hits = 0
    for seed in range(400):
        sampler = Random(seed)
        sampler.bind(space)
        hits += any(p["a"] * p["b"] >= TOP for p in sampler.propose(range(60), []))
    assert abs(hits / 400 - (1 - 0.95**60)) < 4 * math.sqrt(0.954 * 0.046 / 400)


def top_share(share):
    """c with P(a b >= c) = 1 - c + c log c = share for uniform a and b."""
    low, high = 0.0, 1.0
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if 1 - c + c * math.log(c) > share else (low, c)
    return low


TOP = top_share(0.05)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_random_beats_a_grid_where_one_parameter_matters(dimensions):  # Bergstra and Bengio; figures.md: 0.498, 0.795
    names = "xyz"[:dimensions]
    space = Space({name: Float(0, 1) for name in names})
    rng = np.random.default_rng(0)
    means = {"grid": [], "random": []}
    for seed in range(60):
        place = rng.random()
        for name, sampler in (("grid", Grid(points=4)), ("random", Random(seed))):
            sampler.bind(space)
            points = sampler.propose(range(4**dimensions), [])
            assert len(points) == 4**dimensions
            means[name].append(max(math.exp(-((p["x"] - place) ** 2) / (2 * 0.05**2)) for p in points))
    assert np.mean(means["random"]) > np.mean(means["grid"]) + 0.2


# --- grid -------------------------------------------------------------------------------------------------------------


@given(st.permutations(["a", "b", "c"]), st.permutations([1, 2, 3]), st.permutations(["x", "y"]), st.data())
def test_a_grid_is_the_product_of_its_axes(order, ints, texts, data):
    floats = data.draw(st.permutations([0.5, 0.25, 1.0]))
    whole = {"a": Int(0, 9), "b": Choice(["x", "y"]), "c": Float(0, 1)}
    axes = {"a": ints, "b": texts, "c": floats}
    space = Space({name: whole[name] for name in order})
    got = [t.params for t in search(Grid({name: axes[name] for name in "bca"}), space)]
    assert got == [dict(zip(order, p, strict=True)) for p in itertools.product(*(axes[name] for name in order))]


def test_axes_that_are_not_given():
    space = Space(lr=Float(1e-4, 1, log=True), n=Int(1, 101), few=Int(2, 4), c=Choice([*"abcdef"]),
                  step=Float(0, 0.2, step=0.1), powers=Int(1, 1000, log=True), lin=Float(-1, 1))  # fmt: skip
    sampler = Grid(c=["a"], lin=1, points=5)
    sampler.bind(space)
    points = sampler.propose(range(10**5), [])
    values = {name: sorted({p[name] for p in points}) for name in space}
    assert values == {
        "lr": [1e-4, 1e-3, 1e-2, 1e-1, 1.0], "n": [1, 26, 51, 76, 101], "few": [2, 3, 4], "c": ["a"],
        "step": [0.0, 0.1, 0.2], "powers": [1, 6, 32, 178, 1000], "lin": [0.0],
    }  # fmt: skip
    assert len(points) == math.prod(map(len, values.values()))
    assert Grid(lr=np.array([1e-2, 1e-1])).to_dict()["axes"] == {"lr": [0.01, 0.1]}


def test_an_inactive_parameter_takes_no_part():  # the post's search: 16 + 4 + 4, not 48 (figures.md, svm-digits)
    values = [0.1, 1.0, 10.0, 100.0]
    space = Space(C=Float(1e-3, 1e3, log=True), gamma=Float(1e-3, 1e3, log=True, when={"kernel": "rbf"}),
                  kernel=Choice(["linear", "poly", "rbf"]))  # fmt: skip
    points = [t.params for t in search(Grid(C=values, gamma=values), space)]
    assert len(points) == 24
    want = [{"C": c, "gamma": g, "kernel": k} for c, g, k in itertools.product(values, values, space["kernel"].values)]
    want = [{name: p[name] for name in p if name != "gamma" or p["kernel"] == "rbf"} for p in want]
    assert {json.dumps(p) for p in points} == {json.dumps(p) for p in want}


def test_trials_that_had_a_point_count():
    space = Space(a=Int(1, 4))
    sampler = Grid()
    sampler.bind(space)
    seen = [Observation(0, {"a": 3}, 1.0, "complete"), Observation(1, {"a": 1}, None, "running")]
    assert sampler.propose([2, 3, 4], seen) == [{"a": 2}, {"a": 4}]
    assert sampler.propose([2], [*seen, Observation(2, {"a": 4}, math.nan, "failed")]) == [{"a": 2}]


def test_a_grid_asked_about_another_history_answers_for_that():
    sampler = Grid()
    sampler.bind(Space(a=Int(1, 4)))
    one, two = ([Observation(i, {"a": a}, 1.0, "complete") for i, a in enumerate(past)] for past in ([1, 2], [4, 3, 1]))
    for past, want in ((one, [3, 4]), (two, [2]), (one, [3, 4]), (one[:1], [2, 3, 4]), ([], [1, 2, 3, 4])):
        assert [p["a"] for p in sampler.propose(range(9), past)] == want


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Grid(points=0), "Grid: points must be a whole number from 1 to 100000, got 0"),
        (lambda: Grid(points=10**9), "points must be a whole number from 1 to 100000, got 1000000000"),
        (lambda: Grid(extend="yes"), "extend must be True or False"),
        (lambda: Grid([1, 2]), "axes must be a dictionary"),
        (lambda: Grid(lr=[]), "axes.lr is empty"),
        (lambda: Grid(lr=[0.1, 0.2, 0.1]), "axes.lr[2] is 0.1 as [0] is"),
        (lambda: Grid(lr=[0.1, 2]), "axes.lr[1] must be in [1e-05, 1.0], got 2.0"),
        (lambda: Grid(lr="0.1"), "axes.lr must be a list of values or a number of them"),
        (lambda: Grid(lr=True), "axes.lr must be a list of values or a number of them"),
        (lambda: Grid(lrr=[1]), "axes.lrr is unknown; did you mean 'lr'?"),
        (lambda: Grid(bounds={"lr": (1e-9, 1)}), "bounds.lr must be (low, high) within [1e-05, 1.0]"),
        (lambda: Grid(bounds={"rule": (0, 1)}), "bounds.rule a Choice has no ends"),
        (lambda: Grid(lr=1000, beta=1000), "Grid: has up to 15,000,000 points, more than 100,000"),
        (lambda: Random(-1), "seed must be a whole number from 0"),
        (lambda: Random(True), "seed must be a whole number"),
        (lambda: Refine(coarse=0, shrink=1), "Refine: 2 mistakes"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make().bind(MIXED)


# --- growth past an edge: Wilson et al. 2017, 4.1; the cases of figures.md, edge --------------------------------------

FIVE = [2, 1, 0.5, 0.25, 0.125]


def test_a_grid_grows_until_the_best_is_interior():
    visited = one(FIVE, lambda a: (math.log2(a) - 4.3) ** 2, extend=True)
    assert visited == [*FIVE, 4, 8, 16, 32]
    assert one(FIVE, lambda a: (math.log2(a) + 1.2) ** 2, extend=True) == FIVE
    assert one(FIVE, lambda a: (math.log2(a) + 5.2) ** 2, extend=True) == [*FIVE, 2**-4, 2**-5, 2**-6]
    assert one(FIVE, lambda a: (math.log2(a) - 4.3) ** 2) == FIVE


def test_growth_keeps_the_ratio_of_the_end():  # Wilson's own grid for SGD
    assert one([2, 1, 0.5, 0.25, 0.05, 0.01], lambda a: a, trials=8, extend=True)[6:] == [0.002, 0.0004]
    assert one([1e-3, 1e-2, 1e-1], lambda a: -a, trials=6, extend=True)[3:] == [1.0, 10.0, 100.0]


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        (lambda a: 1.0, []),  # flat
        (lambda a: abs(math.log2(a)), []),  # interior
        (lambda a: max(a, 0.25), []),  # the end ties with its neighbour
        (lambda a: -abs(math.log2(a) + 1), []),  # both ends tie
        (lambda a: math.nan, []),  # nothing to go by
        (lambda a: math.nan if a < 2 else 1.0, [4]),  # one that works, at the end
        (lambda a: -a if a <= 8 else math.inf, [4, 8, 16]),  # until it diverges
    ],
)
def test_growth_goes_by_what_was_measured(loss, want):
    assert one(FIVE, loss, extend=True) == FIVE + want


@pytest.mark.parametrize(
    ("parameter", "axis", "bounds", "down", "added"),
    [
        (Float(0, 1), [0.5, 0.7, 0.9], None, True, [0.3, 0.1, 0.0]),  # momentum: no further than 0
        (Float(0, 1), [0.0, 0.5, 0.9], None, True, []),
        (Float(0, 0.99), [0.5, 0.7, 0.9], None, False, [0.99]),
        (Float(1e-6, 1, log=True), [1e-3, 1e-2, 1e-1], None, True, [1e-4, 1e-5, 1e-6]),
        (Float(1e-6, 1, log=True), [1e-3, 1e-2, 1e-1], (5e-5, 0.5), True, [1e-4, 5e-5]),
        (Float(1e-6, 1, log=True), [1e-3, 1e-2, 1e-1], (5e-5, 0.5), False, [0.5]),
        (Float(1e-6, 1, log=True), [1e-5, 1e-2], (5e-5, 0.5), True, []),
        (Int(1, 64), [8, 16, 24], None, True, [1]),
        (Int(1, 1024, log=True), [8, 16, 32], None, True, [4, 2, 1]),
        (Int(1, 100, log=True), [8, 16, 32], None, False, [64, 100]),
        (Int(8, 64, step=8), [24, 32], None, False, [40, 48, 56, 64]),
        (Float(0, 1), [0.5], None, False, []),  # one value has no spacing
        (Choice([1, 2, 3]), [1, 2], None, False, []),  # no order
    ],
)
@pytest.mark.fault(30)
def test_growth_stops_at_the_parameters_bound(parameter, axis, bounds, down, added):
    space = Space(p=parameter)
    sampler = Grid(p=axis, extend=True, bounds=None if bounds is None else {"p": bounds})
    seen = search(sampler, space, lambda p: p["p"] if down else -p["p"])
    assert [t.params["p"] for t in seen[len(axis) :]] == added
    if not isinstance(parameter, Choice):
        assert sampler.ranges(seen) == {"p": (min(axis + added), max(axis + added))}


def test_growth_in_two_axes_is_a_grid_again_and_repeats_nothing():
    space = Space(a=Float(1e-9, 1e9, log=True), b=Float(-100, 100), c=Choice(["x", "y"]))

    def loss(p):
        return (math.log10(p["a"]) - 2.1) ** 2 + (p["b"] + 4) ** 2 + (p["c"] == "x")

    points = [t.params for t in search(Grid(a=[0.1, 1], b=[0, 1], extend=True), space, loss)]
    a, b = sorted({p["a"] for p in points}), sorted({p["b"] for p in points})
    assert a == [0.1, 1, 10, 100, 1000]
    assert b == [-5, -4, -3, -2, -1, 0, 1]
    assert len(points) == len({json.dumps(p) for p in points}) == len(a) * len(b) * 2
    assert points[:8] == [dict(zip("abc", p, strict=True)) for p in itertools.product([0.1, 1], [0, 1], "xy")]


def test_orders_of_magnitude_then_finer():  # figures.md, decades: edge rule, then 4 points round the winner, <= 13 runs
    def loss(lr):
        return (math.log10(lr) + 2.4) ** 2

    coarse = [10.0**k for k in range(-6, 1)]
    visited = one(coarse, loss, extend=True, refine=2)
    assert visited[:7] == coarse
    assert np.log10(visited[7:]) == pytest.approx([-2 - 1 / 3, -2 - 2 / 3, -2 + 1 / 3, -2 + 2 / 3])
    sweep = np.logspace(-6, 0, 40)
    assert min(map(loss, visited)) < min(loss(lr) for lr in sweep) + 0.01


# --- refine -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("centre", [-4.7, -1.5, 0.0])
def test_refining_draws_closer_to_the_best(centre):
    space = Space(lr=Float(1e-5, 1, log=True), c=Choice(["a", "b", "c"]))

    def loss(p):
        return abs(math.log10(p["lr"]) - centre) + 3 * (p["c"] != "b")

    seen = search(Refine(coarse=20, seed=1), space, loss, trials=60)
    for stage in (1, 2):
        middle = math.log10(best(seen[: 20 * stage])["lr"])
        drawn = [math.log10(t.params["lr"]) for t in seen[20 * stage : 20 * (stage + 1)]]
        width = 5 * 0.25**stage
        assert max(drawn) - min(drawn) <= width + 1e-9
        assert max(drawn) - min(drawn) > 0.6 * width
        assert all(-5 <= d <= 0 for d in drawn)
        assert all(abs(d - middle) <= width for d in drawn)
    assert sum(t.params["c"] == "b" for t in seen[40:]) >= 17


def test_refining_comes_closer_than_random_draws():
    space = Space(lr=Float(1e-5, 1, log=True), b=Float(-1, 1))
    bests = {Refine: [], Random: []}
    for kind, found in bests.items():
        for seed in range(20):
            seen = search(kind(seed=seed), space, lambda p: (math.log10(p["lr"]) + 1.5) ** 2 + p["b"] ** 2, trials=60)
            found.append(min(t.loss for t in seen))
    assert np.median(bests[Refine]) < np.median(bests[Random]) / 10


def test_refining_without_a_result_searches_the_whole_space():
    sampler = Refine(coarse=5)
    sampler.bind(MIXED)
    seen = [Observation(i, p, math.nan, "failed") for i, p in enumerate(sampler.propose(range(5), []))]
    assert len(sampler.propose(range(5, 12), seen)) == 5
    waiting = [*seen[:4], Observation(4, seen[4].params, None, "running")]
    assert sampler.propose([5], waiting) == []


# --- names and forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [make() for make in MAKERS.values()], ids=MAKERS)
def test_samplers_come_back_from_their_form(sampler):
    form = json.loads(json.dumps(sampler.to_dict()))
    assert sampler_from_dict(form) == sampler
    assert sampler_class(sampler.name) is type(sampler)
    assert as_sampler(sampler) is sampler
    assert isinstance(as_sampler(sampler.name, 4), Sampler)
    assert as_sampler(sampler.name, 4).seed == 4
    assert repr(sampler).startswith(type(sampler).__name__ + "(")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "sampler.name is missing"),
        ({"name": "tpe"}, "sampler.name must be one of grid, random, sobol, refine, gp, got 'tpe'"),
        ({"name": "random", "sed": 1}, "sampler.sed is unknown; did you mean 'seed'?"),
        ({"name": "refine", "coarse": "a", "x": 1}, "2 mistakes"),
    ],
)
def test_forms_that_are_no_sampler(form, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        sampler_from_dict(form)
    with pytest.raises(ConfigError, match="unknown sampler 'rando'; did you mean 'random'"):
        as_sampler("rando")
    with pytest.raises(ConfigError, match="got 3"):
        as_sampler(3)


# --- another processor ------------------------------------------------------------------------------------------------

PROCESSORS = {
    "BLAS of 2008": {"OPENBLAS_CORETYPE": "Nehalem"},
    "compiled for any": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "NumPy without AVX": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX"},
}


@pytest.mark.parametrize("environment", PROCESSORS.values(), ids=PROCESSORS)
@pytest.mark.fault(9, cases=3)
def test_grid_random_and_sobol_propose_the_same_on_another_processor(environment):
    script = (
        "import json; from optlab.search import *\n"
        "space = Space(x=Float(-1, 1), n=Int(1, 64), m=Int(2, 900, log=True), c=Choice(['a', 'b']))\n"
        "for sampler in Grid(x=[-1.0, 0.1], n=[3, 5]), Random(seed=3), Sobol(seed=3):\n"
        "    sampler.bind(space); print(json.dumps(sampler.propose(range(200), [])))"
    )
    command = [sys.executable, "-W", "ignore", "-c", script]  # NumPy warns of features that are not there
    here, there = (
        subprocess.run(command, env=os.environ | other, capture_output=True, text=True, check=True).stdout
        for other in ({}, environment)
    )
    assert here.count("\n") == 3
    assert here == there


def test_documentation_of_a_batch_says_what_gp_depends_on():
    from optlab.cli.sweep import sweep

    option = next(p for p in sweep.params if p.name == "batch")
    for text in (Study.run.__doc__, GP.__doc__, option.help):
        assert "on one kind of processor" in " ".join(text.split())
