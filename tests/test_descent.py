"""A recorded descent: its arithmetic against loops in plain Python and other people's code; every field of a run."""

import csv
import json
import math
import tracemalloc
from typing import NamedTuple

import naive
import numpy as np
import pytest
from conftest import JIT, SHRINK
from scipy import stats

import optlab as ol
from optlab_kernels.trajectory import GX, GY, STATE, trajectory

SENSIBLE = {"sgd": 1e-3, "momentum": 1e-3, "adadelta": 1.0, "adamw": 0.05, "lion": 0.02}
USUAL = [rule(lr=SENSIBLE.get(name, 0.05)) for name, rule in ol.RULES.items()]
VARIANTS = [
    ol.Momentum(lr=1e-3, nesterov=True, dampening=0.0),
    ol.Momentum(lr=1e-3, dampening=0.3, convention="keras"),
    ol.Adagrad(lr=0.1, initial=0.1, lr_decay=0.01),
    *(ol.RMSProp(lr=0.01, centered=c, momentum=m) for c, m in ((True, 0.0), (False, 0.5), (True, 0.5))),
    ol.Adam(lr=0.05, bias_correction=False),
    ol.AMSGrad(lr=0.05, convention="optax"),
]
EVERY = {repr(s): s for s in USUAL + VARIANTS}
EVERY_RULE = pytest.mark.parametrize("settings", EVERY.values(), ids=list(EVERY))
POLYNOMIALS = ("beale", "rosenbrock", "himmelblau")
STEPS = 200 // SHRINK


def loop(settings, surface, start, steps, noise=None):
    """The same descent by the rule's own two functions in plain Python: columns of points, values, gradients, slots."""
    rule, h, memory = settings.variant, settings.hyper, settings.variant.memory
    initial = {slot: float(getattr(h, rule.initial[slot])) if slot in rule.initial else 0.0 for slot in rule.slots}
    p, state = list(map(float, start)), [tuple(initial.values())] * 2
    rows = []
    for t in range(steps + 1):
        g = list(map(float, surface.gradient(*p)))
        if noise is not None:
            g = [a + b for a, b in zip(g, noise[t].tolist(), strict=True)]
        rows.append([*p, float(surface.value(*p)), *g, *state[0], *state[1]])
        if rule.memory:
            c, memory = rule.coefficients(t + 1, h, memory)
        else:
            c = rule.coefficients(t + 1, h)
        for i in range(2):
            q, gi = p[i], g[i]
            if settings.decoupled:
                q = q - settings.lr * settings.weight_decay * q
            else:
                gi = gi + settings.weight_decay * q
            p[i], state[i] = rule.update(q, gi, state[i], c)
    return np.array(rows, dtype=np.float64)


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


# --- the fields of a run ----------------------------------------------------------------------------------------------


@EVERY_RULE
def test_shapes_types_and_rows(settings):
    steps = 7
    run = ol.descend("beale", settings, steps=steps)
    slots = settings.variant.slots
    assert (run.steps, run.rows) == (steps, steps + 1)
    assert (run.points.shape, run.values.shape, run.gradients.shape) == ((8, 2), (8,), (8, 2))
    assert run.effective_lr.shape == (7, 2)
    assert tuple(run.state) == slots
    arrays = [run.points, run.values, run.gradients, run.effective_lr, *run.state.values()]
    assert all(a.dtype == np.float64 for a in arrays)
    assert all(a.shape == (8, 2) for a in run.state.values())
    x, y = run.points.T
    np.testing.assert_array_equal(run.points[0], run.surface.start)
    np.testing.assert_array_equal(run.values, run.surface.value(x, y))
    np.testing.assert_array_equal(run.gradients.T, run.surface.gradient(x, y))


def test_state_is_that_after_step_t():
    run = ol.descend("beale", ol.Momentum(lr=0.001, beta=0.9), steps=3)
    v = np.zeros(2)
    for t in range(3):
        np.testing.assert_array_equal(run.state["v"][t], v)
        v = 0.9 * v + run.gradients[t]
        np.testing.assert_array_equal(run.points[t + 1], run.points[t] - 0.001 * v)
    np.testing.assert_array_equal(run.state["v"][3], v)


@pytest.mark.parametrize(("settings", "first"), [(ol.Adagrad(initial=0.1), 0.1), (ol.Adagrad(), 0.0)])
def test_state_begins_with_its_initial_value(settings, first):
    run = ol.descend("beale", settings, steps=1)
    np.testing.assert_array_equal(run.state["c"][0], first)
    np.testing.assert_array_equal(run.state["c"][1], first + run.gradients[0] * run.gradients[0])


@pytest.mark.parametrize(
    ("settings", "slots"), [(ol.Adam(), "mv"), (ol.AMSGrad(), "mv"), (ol.NAdam(), "v"), (ol.Adamax(), "m")]
)
def test_corrected_moments(settings, slots):
    """The moving average over b^(t-k) (1 - b) / (1 - b^t), summed afresh for every t."""
    run = ol.descend("beale", settings, steps=30)
    assert "".join(run.corrected) == slots
    decay, power = {"m": settings.beta1, "v": settings.beta2}, {"m": 1, "v": 2}
    for slot, values in run.corrected.items():
        assert np.isnan(values[0]).all()
        for t in (1, 2, 30):
            weights = decay[slot] ** np.arange(t - 1, -1, -1.0)
            want = weights / weights.sum() @ run.gradients[:t] ** power[slot]
            np.testing.assert_allclose(values[t], want, rtol=1e-11)  # 1 - b^t loses up to 3 digits to cancellation
    assert ol.descend("beale", ol.Adam(bias_correction=False), steps=2).corrected == {}
    assert ol.descend("beale", ol.Momentum(), steps=2).corrected == {}


def test_effective_lr_is_nan_where_there_is_no_gradient():
    run = ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=20)
    np.testing.assert_allclose(run.effective_lr[:, 0], 0.1, rtol=1e-12)
    assert np.isnan(run.effective_lr[:, 1]).all()
    assert np.isnan(ol.descend(lambda x, y: 1.0, ol.Adam(), steps=3).effective_lr).all()


def test_effective_lr_of_sign_descent_is_the_rate_over_the_gradient():
    run = ol.descend("sphere", ol.Lion(lr=0.01), steps=50)
    np.testing.assert_allclose(run.effective_lr, 0.01 / np.abs(run.gradients[:-1]), rtol=1e-12)


def cliff(x, y):
    return np.exp(x * x) + y


def drain(x, y):
    return -np.exp(x * x) + y


def test_status_converged_by_value():
    run = ol.descend("sphere", ol.SGD(lr=0.1), steps=100)
    assert run.status == "converged"
    assert run.values[-1] <= 1e-8
    assert ol.descend("sphere", ol.SGD(lr=0.1), steps=100, tol=0.0).status == "running"
    assert ol.descend("sphere", ol.SGD(lr=1e-3), steps=3).status == "running"
    assert ol.descend("sphere", ol.SGD(lr=1e-3), steps=3, tol=100.0).status == "converged"


def test_status_converged_by_flat_gradient_on_the_ridge_of_a_saddle():
    run = ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=200)
    assert run.surface.f_min == -math.inf
    assert np.hypot(*run.gradients[-1]) <= 1e-10
    assert run.status == "converged"
    assert ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=50).status == "running"
    assert ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.01), steps=50).status == "running"


@pytest.mark.parametrize(
    ("surface", "settings", "start"),
    [
        ("saddle", ol.SGD(lr=0.5), (1.0, 1.0)),  # doubles y: out of bounds with a finite value
        ("rosenbrock", ol.SGD(lr=1.0), None),  # overflows
        (ol.Surface(cliff), ol.Momentum(lr=1.0), (1.0, 0.0)),
        (ol.Surface(drain), ol.SGD(lr=1.0), (1.0, 0.0)),
        (ol.Surface(cliff), ol.Adam(lr=1.0), (30.0, 0.0)),  # not finite where it starts
    ],
)
def test_status_diverged(surface, settings, start):
    run = ol.descend(surface, settings, start, steps=60)
    assert run.status == "diverged"
    assert len(run.points) == len(run.values) == len(run.gradients) == 61
    assert 1 <= run.rows <= 60
    assert np.isnan(run.record[run.rows :]).all()
    far = np.array([1e6 * (high - low) / 2 for low, high in run.surface.domain])  # half a domain to either side
    middle = np.array([(high + low) / 2 for low, high in run.surface.domain])
    inside = (np.abs(run.points[: run.rows] - middle) <= far).all(axis=1) & np.isfinite(run.values[: run.rows])
    assert inside[:-1].all()
    assert not inside[-1]
    assert run.steps_to(-1e300) is None
    assert "diverged" in repr(run)


def test_status_diverged_at_the_very_last_step():
    whole = ol.descend("saddle", ol.SGD(lr=0.5), start=(1.0, 1.0), steps=60)
    short = ol.descend("saddle", ol.SGD(lr=0.5), start=(1.0, 1.0), steps=whole.rows - 1)
    assert (short.rows, short.status) == (short.steps + 1, "diverged")


def test_steps_to_is_the_first_or_none():
    run = ol.descend("sphere", ol.SGD(lr=0.1), start=(1.0, 0.0), steps=50)
    assert run.steps_to(1.0) == 0
    assert run.steps_to(0.1) == next(t for t in range(51) if 0.64**t <= 0.1) == 6  # f is multiplied by 0.8^2
    assert run.steps_to(1e-30) is None
    assert run.steps_within(0.5) == 4  # 0.8^4 = 0.41
    assert run.steps_within(0.0) is None
    assert ol.descend("saddle", "sgd", steps=5).steps_to(1.0) is None


def test_repr_says_where_it_ended():
    assert repr(ol.descend("sphere", ol.SGD(lr=0.5), steps=1)) == (
        "Run(SGD(lr=0.5) on sphere: converged after 1 steps at (0, 0), f = 0)"
    )


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


# --- what it takes ----------------------------------------------------------------------------------------------------


def test_no_steps():
    run = ol.descend("beale", "adam", steps=0)
    assert (run.points.shape, run.effective_lr.shape, run.status) == ((1, 2), (0, 2), "running")
    np.testing.assert_array_equal(run.points[0], ol.SURFACES["beale"].start)
    assert ol.descend("beale", "adam", start=(3.0, 0.5), steps=0).status == "converged"
    assert json.loads(json.dumps(run.to_dict()))["effective_lr"] == []


@pytest.mark.parametrize("start", [(1, 2), [1.0, 2.0], np.array([1.0, 2.0]), (np.float32(1), np.int8(2))])
def test_starts(start):
    np.testing.assert_array_equal(ol.descend("beale", "sgd", start, steps=1).points[0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": (1.0, 2.0, 3.0)}, r"start: expected two finite numbers, got \(1.0, 2.0, 3.0\)"),
        ({"start": (1.0, math.nan)}, "start: expected two finite numbers"),
        ({"start": (math.inf, 0.0)}, "start: expected two finite numbers"),
        ({"start": ("1", "2")}, "start: expected two finite numbers"),
        ({"start": "12"}, "start: expected two finite numbers, got '12'"),
        ({"start": 1.0}, "start: expected two finite numbers"),
        ({"start": (10**400, 0)}, "start: expected two finite numbers"),
        ({"steps": -1}, "steps is a whole number >= 0, got -1"),
        ({"steps": 3.0}, "steps is a whole number >= 0, got 3.0"),
        ({"steps": True}, "steps is a whole number"),
        ({"noise": -0.1}, "noise is a finite number >= 0, got -0.1"),
        ({"noise": math.nan}, "noise is a finite number >= 0, got nan"),
        ({"noise": math.inf}, "noise is a finite number"),
        ({"noise": "much"}, "noise is a finite number >= 0, got 'much'"),
        ({"seed": -1}, "seed is a whole number >= 0, got -1"),
        ({"seed": 1.5}, "seed is a whole number"),
        ({"seed": None}, "seed is a whole number"),
        ({"tol": -1.0}, "tol is a finite number >= 0"),
        ({"surface": "beal"}, "unknown surface 'beal'; did you mean 'beale'?"),
        ({"rule": "adm"}, "unknown rule 'adm'; did you mean 'adam'?"),
        ({"rule": "adam(lr=-1)"}, r"lr must be in \[0, inf\), got -1.0"),
        ({"rule": 3}, "a rule is settings such as"),
        ({"surface": 3}, "expected a plain function of two floats"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ol.ConfigError, match=message) as caught:
        ol.descend(**{"surface": "beale", "rule": "adam", **options})
    assert "\n" not in str(caught.value)


# --- a user's own surfaces and rules ----------------------------------------------------------------------------------


def by_hand(x, y):
    return x**2 + 10 * y**2


def with_math(x, y):
    s = math.sqrt(1 + x * x)
    return s + math.cos(y) if y > 0 else s + 1.0


def test_a_users_function_its_gradient_derived():
    """Against the derivative on paper, to a few ulp: the dual numbers multiply in another order."""
    steps = 20
    for fn in (by_hand, lambda x, y: x**2 + 10 * y**2, ol.Surface(by_hand, start=(-2.5, -2.5))):
        run = ol.descend(fn, ol.SGD(lr=0.01), steps=steps)
        t = np.arange(steps + 1)
        want = -2.5 * np.column_stack([0.98**t, 0.8**t])
        np.testing.assert_allclose(run.points, want, rtol=1e-14)
    assert run.surface.name == "by-hand"


@pytest.mark.skipif(not JIT, reason="math.* takes dual numbers in compiled code only")
def test_a_users_function_of_math_and_branches():
    run = ol.descend(with_math, ol.SGD(lr=0.1), start=(1.0, 1.0), steps=20)
    x, y = run.points.T
    np.testing.assert_allclose(run.gradients[:, 0], x / np.sqrt(1 + x * x), rtol=1e-13)
    np.testing.assert_allclose(run.gradients[:, 1], np.where(y > 0, -np.sin(y), 0.0), rtol=1e-13)


def opens_a_file(x, y):
    return float(open(str(x)).read()) + y


@pytest.mark.skipif(not JIT, reason="nothing is compiled, so nothing can fail to compile")
@pytest.mark.parametrize("study", [ol.descend, lambda *a: ol.race(a[0], [a[1]]), lambda *a: ol.basin(*a, resolution=2)])
def test_a_function_that_cannot_be_compiled_is_explained_in_one_line(study):
    with pytest.raises(ol.ConfigError, match=r"opens-a-file cannot be compiled .*: expected a function of") as caught:
        study(opens_a_file, "adam")
    assert "\n" not in str(caught.value)


class Hyper(NamedTuple):
    lr: float = 0.01
    beta: float = 0.9


def coefficients(t, h):
    return h.lr, h.beta


def update(p, g, s, c):
    (v,), (lr, beta) = s, c
    v = beta * v + g
    return p - lr * np.sign(v), (v,)


def test_a_users_rule_descends_races_and_has_basins(registry):
    kind = ol.register("sign-momentum", Hyper, slots=("v",), coefficients=coefficients, update=update)
    settings = kind(lr=0.02)
    run = ol.descend("beale", settings, steps=STEPS)
    np.testing.assert_array_equal(run.record, loop(settings, run.surface, run.surface.start, STEPS))
    by_name = ol.race("beale", ["sign-momentum(lr=0.02)", "adam"], steps=STEPS).runs["SignMomentum"]
    np.testing.assert_array_equal(by_name.record, run.record)
    basin = ol.basin("beale", settings, resolution=3, steps=10)
    start = (basin.xs[2], basin.ys[1])
    np.testing.assert_array_equal(basin.ends[1, 2], ol.descend("beale", settings, start, 10).points[-1])


# --- data out ---------------------------------------------------------------------------------------------------------

RECORDED = {
    "plain": lambda: ol.descend("beale", ol.Adam(lr=0.1), steps=20),
    "noisy": lambda: ol.descend("beale", ol.AMSGrad(lr=0.1), steps=20, noise=0.1, seed=np.int64(3)),
    "diverged": lambda: ol.descend("beale", ol.Momentum(lr=1.0), steps=20),
    "infinite": lambda: ol.descend(cliff, ol.SGD(lr=1.0), start=(1.0, 0.0), steps=20),
    "ridge": lambda: ol.descend("saddle", ol.RMSProp(), start=(1.0, 0.0), steps=20),
    "no steps": lambda: ol.descend("beale", "sgd", steps=0),
}
EVERY_RECORD = pytest.mark.parametrize("make", RECORDED.values(), ids=list(RECORDED))


def assert_same(listed, array):
    """``listed`` has None where ``array`` is not finite, and its very numbers elsewhere."""
    got = np.array(listed, dtype=np.float64).reshape(array.shape)
    np.testing.assert_array_equal(got, np.where(np.isfinite(array), array, np.nan))


@EVERY_RECORD
def test_to_dict_is_strict_json_and_comes_back(make):
    run = make()
    data = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert data == run.to_dict()
    for name in ("points", "values", "gradients", "effective_lr"):
        assert_same(data[name], getattr(run, name))
    for slot, values in run.state.items():
        assert_same(data["state"][slot], values)
    settings = ol.RULES[data["rule"]](**data["settings"])
    assert settings == run.settings
    if run.surface.name in ol.SURFACES:
        again = ol.descend(data["surface"], settings, data["points"][0], run.steps, noise=run.noise, seed=run.seed)
        np.testing.assert_array_equal(again.record, run.record)


@EVERY_RECORD
def test_csv_holds_every_bit(make, tmp_path):
    run = make()
    with run.save(tmp_path / "run.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == run.steps + 1
    table = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    np.testing.assert_array_equal(table["step"], np.arange(run.steps + 1))
    np.testing.assert_array_equal(np.column_stack([table["x"], table["y"]]), run.points)
    np.testing.assert_array_equal(table["f"], run.values)
    for name, pair in {"g": run.gradients, **run.state}.items():
        np.testing.assert_array_equal(np.column_stack([table[f"{name}_x"], table[f"{name}_y"]]), pair)
    np.testing.assert_array_equal(table["effective_lr_x"][:-1], run.effective_lr[:, 0])


@EVERY_RECORD
def test_npz_and_json_hold_every_bit(make, tmp_path):
    run = make()
    with np.load(run.save(str(tmp_path / "run.npz"))) as file:  # no pickles
        np.testing.assert_array_equal(np.column_stack([file["x"], file["y"]]), run.points)
        np.testing.assert_array_equal(file["f"], run.values)
        for slot, values in run.state.items():
            np.testing.assert_array_equal(np.column_stack([file[f"{slot}_x"], file[f"{slot}_y"]]), values)
        about = json.loads(str(file["about"]))
    assert about["status"] == run.status
    assert json.loads(run.save(tmp_path / "run.json").read_text(encoding="utf-8")) == run.to_dict()


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(ol.ConfigError, match=r"a run is saved as .csv, .npz or .json, got"):
        ol.descend("beale", "sgd", steps=1).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [100_000, 1_000_000] if JIT else [1000])
def test_a_descent_holds_its_record_and_nothing_else(steps):
    """64 KiB for small objects, the same for any length."""
    ol.descend("beale", ol.Adam(lr=0.01), steps=3)
    tracemalloc.start()
    try:
        run = ol.descend("beale", ol.Adam(lr=0.01), steps=steps)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.record.nbytes == (steps + 1) * 8 * (5 + 2 * 2)
    assert peak <= run.record.nbytes + 2**16
