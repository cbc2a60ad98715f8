"""What the whole suite shares: switches, hypothesis profiles, faults by row, a clean registry."""

import os
import signal

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import optlab as ol
from optlab.data import ledger

JIT = not numba.config.DISABLE_JIT
SHRINK = 1 if JIT else 10  # interpreted loops are about 100 times slower: that run has fewer steps and smaller arrays
LONG = bool(os.environ.get("OPTLAB_LONG"))  # the counts of docs/faults.md instead of those of every change
FUZZ = 10_000 if LONG else 200 // SHRINK
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])

# Derandomised: a red run is red for everyone. The first example of a law compiles, so no deadline; and a busy machine
# is no fault of a law.
settings.register_profile(
    "optlab",
    deadline=None,
    derandomize=True,
    max_examples=100 // SHRINK,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz",
    settings.get_profile("optlab"),
    max_examples=FUZZ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("optlab")


# A shell has what it starts in the background ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Matplotlib's list of fonts, before there is company: processes that make it at once wait 5 s for each other, and
    then fail; one that takes longer says so on the standard error that a test reads."""
    if not hasattr(config, "workerinput"):
        import matplotlib.font_manager  # noqa: F401


def pytest_addoption(parser):
    parser.addoption("--fault", type=int, metavar="N", help="only the tests of row N of docs/faults.md")


def pytest_collection_modifyitems(config, items):
    """With ``--fault N``, which test made how many cases of row N goes into the report that scripts/soak.py reads."""
    row = config.getoption("--fault")
    if row is None:
        return
    others = []
    for item in items:
        mark = next((mark for mark in item.iter_markers("fault") if mark.args == (row,)), None)
        if mark is None:
            others.append(item)
        else:
            item.user_properties.append(("cases", mark.kwargs.get("cases", 1)))
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)


@pytest.fixture(autouse=True)
def openings(monkeypatch):
    """Test sets that earlier tests of this process opened are sealed again: in memory, one opens once per process."""
    monkeypatch.setattr(ledger, "_process", {})


@pytest.fixture
def registry():
    """`ol.RULES`, put back as it was afterwards."""
    before = dict(ol.RULES)
    yield ol.RULES
    ol.RULES.clear()
    ol.RULES.update(before)


@pytest.fixture(scope="module")
def torch():
    """On one thread: with small tensors several wait for each other, on a busy machine a hundred times as long."""
    torch = pytest.importorskip("torch", reason="torch is the oracle of these tests; pip install torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)
