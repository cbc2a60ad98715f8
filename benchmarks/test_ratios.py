"""The tables of `optlab bench --peers`: medians of interleaved ratios, the goals and what was measured against them.

A missed goal is recorded, not failed: speed depends on the machine and belongs in the record.
"""

import pytest

from optlab.bench import descents, kernels

ROUNDS = 5


@pytest.mark.parametrize("n", kernels.SIZES)
@pytest.mark.parametrize("settings", kernels.entrants(), ids=kernels.label)
def test_kernel(benchmark, settings, n):
    row = benchmark.pedantic(kernels.measure, (settings, n), {"rounds": ROUNDS}, rounds=1, iterations=1)
    benchmark.extra_info.update(row, goals=kernels.verdicts([row]))
    assert not row["differs"], f"{row['differs']} did other work"


@pytest.mark.parametrize("measure", [descents.trajectory, descents.basin_map])
def test_descent(benchmark, measure):
    row = benchmark.pedantic(measure, (True, ROUNDS), rounds=1, iterations=1)
    benchmark.extra_info.update(row, goals=descents.verdicts([row]))
