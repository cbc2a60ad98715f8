"""Epochs of small networks: the compiled machine, the tape and every peer; the table of `optlab bench training`."""

import pytest

from optlab.bench import training

EVERY_CASE = pytest.mark.parametrize(("widths", "batch", "steps"), training.CASES)
LIBRARIES = ("machine", "tape", "torch fused", "jax scan", "scikit-learn")


@EVERY_CASE
@pytest.mark.parametrize("library", LIBRARIES)
def test_epoch(benchmark, library, widths, batch, steps):
    racing = training.contestants(widths, batch, steps, peers=True)
    if library not in racing:
        pytest.skip(f"{library} is not installed")
    start, epoch = racing[library]
    losses = epoch(start())  # compile outside the clock
    benchmark.extra_info["first losses"] = None if losses is None else losses[:3].tolist()
    benchmark.pedantic(epoch, setup=lambda: ((start(),), {}), rounds=20)
