"""Sixty-four networks with learning rates of their own, two threads, a fresh process."""

import pytest

from optlab.bench import startup, sweep, threads

LIBRARIES = ("machine", "jax vmap", "jax map", "torch.func", "torch baddbmm", "torch in turn")
ROUNDS = 5


@pytest.mark.parametrize("library", LIBRARIES)
def test_models(benchmark, library):
    racing = sweep.contestants(sweep.RATES, sweep.STEPS, peers=True)
    if library not in racing:
        pytest.skip(f"{library} is not installed")
    start, epoch = racing[library]
    losses = epoch(start())  # compile outside the clock
    benchmark.extra_info["models"] = len(losses)
    benchmark.pedantic(epoch, setup=lambda: ((start(),), {}), rounds=ROUNDS)


@pytest.mark.parametrize("module", [threads, startup])
def test_wall_clock(benchmark, module):
    rows = benchmark.pedantic(lambda: list(module.table(True, ROUNDS)), rounds=1, iterations=1)
    benchmark.extra_info.update(rows=rows, goals=module.verdicts(rows))
