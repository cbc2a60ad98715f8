"""One update of n float32 parameters: rule x library x size. Quality beside speed: how far the step came out."""

import numpy as np
import pytest

from optlab.bench.kernels import SIZES, entrants, label
from optlab.bench.peers import contenders
from optlab.bench.roofline import bytes_moved, ceiling

EVERY_RULE = pytest.mark.parametrize("settings", entrants(), ids=label)
EVERY_SIZE = pytest.mark.parametrize("n", SIZES)
LIBRARIES = ("optlab", "numpy", "torch fused", "torch foreach", "torch for-loop", "optax")


@EVERY_SIZE
@EVERY_RULE
@pytest.mark.parametrize("library", LIBRARIES)
def test_step(benchmark, library, settings, n):
    p, g = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    racing = contenders(settings, p, g, peers=True)
    if library not in racing:
        pytest.skip(f"{library} is not installed or has no {label(settings)}")
    step, result = racing[library]
    step()  # compile outside the clock
    benchmark.extra_info["bytes"] = bytes_moved(len(settings.variant.slots), n, 4)
    benchmark(step)
    benchmark.extra_info["finite"] = bool(np.isfinite(result()).all())


@EVERY_SIZE
@pytest.mark.parametrize("slots", [0, 1, 2, 3])
def test_ceiling(benchmark, slots, n):
    work = ceiling(slots, n, np.dtype(np.float32))
    work()
    benchmark.extra_info["bytes"] = bytes_moved(slots, n, 4)
    benchmark(work)
