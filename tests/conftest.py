"""What the whole suite shares: a switch for runs without the compiler, a hypothesis profile, a clean registry."""

import signal

import numba
import pytest
from hypothesis import settings

import optlab as ol

JIT = not numba.config.DISABLE_JIT
SHRINK = 1 if JIT else 10  # interpreted loops are about 100 times slower: that run has fewer steps and smaller arrays

# Derandomised: a red run is red for everyone. The first example of a law compiles, so no deadline.
settings.register_profile("optlab", deadline=None, derandomize=True, max_examples=100 // SHRINK)
settings.load_profile("optlab")


# A shell has what it starts in the background ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def registry():
    """`ol.RULES`, put back as it was afterwards."""
    before = dict(ol.RULES)
    yield ol.RULES
    ol.RULES.clear()
    ol.RULES.update(before)
