"""The tables of `optlab bench --peers` as ratios, to compare with those of another day or machine; see `ratio.py`.

Their goals stand beside them. A missed one is recorded, not failed: speed depends on the machine.
"""

import pytest
from ratio import in_ratios, keep

from optlab.bench import descents, kernels, sweep, training

ROUNDS = 5
pytestmark = in_ratios


@pytest.mark.parametrize("n", kernels.SIZES)
@pytest.mark.parametrize("settings", kernels.entrants(), ids=kernels.label)
def test_kernel(benchmark, settings, n):
    times, odd = kernels.race(settings, n, rounds=ROUNDS)
    assert not odd, f"{odd} did other work"
    keep(benchmark, times, "optlab", "numpy", "ceiling")
    benchmark.extra_info["goals"] = kernels.verdicts([kernels.row(settings, n, times, odd)])


@pytest.mark.parametrize("what", descents.RACES)
def test_descent(benchmark, what):
    times = descents.RACES[what][0](True, ROUNDS)
    keep(benchmark, times, "optlab", "python floats")
    benchmark.extra_info["goals"] = descents.verdicts([descents.row(what, times)])


@pytest.mark.parametrize(("widths", "batch", "steps"), training.CASES)
def test_training(benchmark, widths, batch, steps):
    times, odd = training.race(widths, batch, steps, rounds=ROUNDS)
    assert not odd, f"{odd} did other work"
    keep(benchmark, times, "machine", "tape", "products")
    benchmark.extra_info["goals"] = training.verdicts([training.row(widths, batch, times, odd)])


@pytest.mark.parametrize("new", [False, True])
def test_models(benchmark, new):
    times, odd = sweep.race(new, rounds=ROUNDS)
    assert not odd, f"{odd} did other work"
    keep(benchmark, times, "machine")
    benchmark.extra_info["goals"] = sweep.verdicts([sweep.row(new, times, odd)])
