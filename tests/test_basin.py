"""Basins: each lane is a descent, block edges included, and small steps follow the gradient flow."""

import json

import numpy as np
import pytest
from conftest import JIT, SHRINK
from scipy.integrate import solve_ivp

import optlab as ol
from optlab_kernels.basin import LANES

RULES = {
    "no slot": ol.SGD(lr=0.005),
    "one slot": ol.Momentum(lr=0.003, weight_decay=0.01),
    "an initial value": ol.Adagrad(lr=0.5, initial=0.1),
    "two initial slots, a memory": ol.Adam(lr=0.1),
    "a memory, decoupled": ol.AdamW(lr=0.1, weight_decay=0.1),
    "a running product": ol.NAdam(lr=0.1),
    "three slots": ol.RMSProp(lr=0.02, centered=True, momentum=0.5),
    "three slots, a memory": ol.AMSGrad(lr=0.1),
    "a sign": ol.Lion(lr=0.02),
}
EVERY_RULE = pytest.mark.parametrize("settings", RULES.values(), ids=list(RULES))
RESOLUTIONS = (2, 7, 8, 9, 20) if JIT else (2, 9)  # 4 and 49 starts in part of a block, one block, 81 and 400 in more


def compare(surface, settings, resolution, steps, **options):
    """Every start against its own descent; returns the basin."""
    basin = ol.basin(surface, settings, resolution, steps, **options)
    target = options.get("target", 1e-3)
    for j, i in np.ndindex(resolution, resolution):
        run = ol.descend(surface, settings, (basin.xs[i], basin.ys[j]), steps)
        arrival = run.steps_to(target)
        assert basin.steps[j, i] == (-1 if arrival is None else arrival)
        if run.status == "diverged":
            assert basin.minimum[j, i] == -1
            continue
        np.testing.assert_array_equal(basin.ends[j, i], run.points[-1])
        nearest = np.linalg.norm(np.array(basin.surface.minima) - run.points[-1], axis=1).argmin()
        assert basin.minimum[j, i] == (-1 if arrival is None else nearest)
    return basin


@EVERY_RULE
def test_every_lane_is_the_descent_from_its_start(settings):
    """Bit for bit: a lane runs the same operations in the same order as the loop over one start."""
    basin = compare("himmelblau", settings, 20 if JIT else 3, 120 // SHRINK, target=0.5)
    assert (basin.minimum >= 0).any() or not JIT, "in 12 steps few arrive"


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_edges_of_blocks(resolution):
    assert {n * n % LANES for n in RESOLUTIONS} >= {4, 17}
    compare("himmelblau", ol.Adam(lr=0.2), resolution, 50 // SHRINK, target=1.0)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_first_and_the_last_point_count(steps):
    """From the minimum itself, and one SGD step of 1/2 away from it."""
    basin = compare("sphere", ol.SGD(lr=0.5), 3, steps)
    want = np.full((3, 3), -1 if steps == 0 else 1)
    want[1, 1] = 0
    np.testing.assert_array_equal(basin.steps, want)
    np.testing.assert_array_equal(basin.minimum, np.minimum(want, 0))


def test_starts_that_overflow_reach_nothing():
    basin = compare("rosenbrock", ol.SGD(lr=0.01), 5, 40)
    assert basin.minimum[0, 0] == -1
    assert not np.isfinite(basin.ends).all()


def test_small_steps_follow_the_gradient_flow():
    """SciPy's integrator on starts whose neighbours all share a basin: there the flow and its Euler steps agree."""
    rate, steps, n = 1e-3, 4000 // SHRINK**2, 21 if JIT else 7
    surface = ol.SURFACES["himmelblau"]
    basin = ol.basin(surface, ol.SGD(lr=rate), n, steps, target=1e-2 if JIT else 100.0)
    assert (basin.minimum >= 0).all() or not JIT
    shifts = [np.roll(basin.minimum, (j, i), (0, 1))[1:-1, 1:-1] for j in (-1, 0, 1) for i in (-1, 0, 1)]
    inner = np.argwhere(np.ptp(shifts, axis=0) == 0) + 1
    assert len(inner) > (200 if JIT else 0)
    for j, i in inner[:: 5 if JIT else 1]:
        if basin.minimum[j, i] < 0:
            continue
        flow = solve_ivp(
            lambda t, p: np.negative(surface.gradient(*p)), (0.0, 10.0), (basin.xs[i], basin.ys[j]), method="LSODA",
            rtol=1e-6, atol=1e-8,
        )  # fmt: skip
        end = flow.y[:, -1]
        assert np.linalg.norm(np.array(surface.minima) - end, axis=1).argmin() == basin.minimum[j, i]
        assert surface.distance([end])[0] < 1e-3


def test_rows_are_y_and_columns_are_x():
    basin = ol.basin("himmelblau", ol.SGD(lr=1e-3), 5, 0, window=((-1.0, 3.0), (0.5, 2.5)))
    np.testing.assert_array_equal(basin.xs, [-1.0, 0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(basin.ys, [0.5, 1.0, 1.5, 2.0, 2.5])
    np.testing.assert_array_equal(basin.ends[3, 4], (3.0, 2.0))
    assert basin.window == ((-1.0, 3.0), (0.5, 2.5))
    assert basin.steps[3, 4] == 0
    assert (basin.steps >= 0).sum() == 1
    assert basin.minimum.shape == basin.steps.shape == (5, 5)
    assert basin.ends.shape == (5, 5, 2)
    assert ol.basin("branin", "sgd", 2, 0).window == ol.SURFACES["branin"].domain


def test_a_surface_without_minima():
    basin = ol.basin("saddle", ol.SGD(lr=0.1), 9, 20)
    assert (basin.minimum == -1).all()
    assert (basin.steps == -1).all()
    assert basin.share == []
    assert "no minima" in repr(basin)
    assert basin.to_dict()["median_steps"] is None


def test_target():
    near, far = (ol.basin("sphere", ol.SGD(lr=0.1), 5, 10, target=t) for t in (1e-9, 1e9))
    assert near.share == [1 / 25]
    assert far.share == [1.0]
    assert (far.steps == 0).all()


def test_summary_and_file(tmp_path):
    basin = ol.basin("himmelblau", ol.Momentum(lr=0.01), 9, 200 // SHRINK, target=0.1)
    data = basin.to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["share"] == [np.mean(basin.minimum == k) for k in range(4)]
    assert data["reached"] == pytest.approx(sum(data["share"]), abs=1e-12)
    assert ol.RULES[data["rule"]](**data["settings"]) == basin.settings
    with np.load(basin.save(tmp_path / "basin.npz")) as file:
        for name in ("xs", "ys", "minimum", "steps", "ends"):
            np.testing.assert_array_equal(file[name], getattr(basin, name))
    with pytest.raises(ol.ConfigError, match=r"a basin is saved as .npz, got 'basin.csv'"):
        basin.save(tmp_path / "basin.csv")


def test_a_users_function():
    def two_wells(x, y):
        return (x * x - 1) ** 2 + y * y

    surface = ol.Surface(two_wells, minima=[(-1, 0), (1, 0)], domain=((-2, 2), (-2, 2)))
    basin = ol.basin(surface, ol.SGD(lr=0.05), 8, 200 // SHRINK, target=0.1)
    np.testing.assert_array_equal(basin.minimum, np.tile([0] * 4 + [1] * 4, (8, 1)))
    assert basin.share == [0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 1}, "resolution is a whole number >= 2, got 1"),
        ({"resolution": 4.0}, "resolution is a whole number"),
        ({"steps": -1}, "steps is a whole number >= 0"),
        ({"target": -1.0}, "target is a finite number >= 0"),
        ({"target": np.nan}, "target is a finite number >= 0"),
        ({"target": "near"}, "target is a finite number >= 0, got 'near'"),
        ({"window": ((0, 1), (1, 1))}, "window y: expected low < high"),
        ({"window": (0, 1)}, "window x: expected two finite numbers"),
        ({"window": 3}, "window: expected"),
        ({"rule": "adm"}, "did you mean 'adam'?"),
        ({"surface": "himelblau"}, "did you mean 'himmelblau'?"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.basin(**{"surface": "himmelblau", "rule": "sgd", **options})
