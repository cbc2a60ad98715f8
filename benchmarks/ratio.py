"""Ratios for pytest-benchmark: it keeps, shows and compares them as it does seconds.

A time means nothing on another machine, a ratio to a library that ran in the same rounds does. Here the clock that
pytest-benchmark reads is set forward by optlab's time over the fastest peer's, once a round; everything after that
(`--benchmark-compare`, `--benchmark-compare-fail=median:25%`, storage) is pytest-benchmark's own.
"""

import pytest

GROUP = "optlab's time over the fastest peer's"
now = 0.0


def clock():
    return now


def _pass(ratio):
    global now
    now += ratio


in_ratios = pytest.mark.benchmark(group=GROUP, timer=clock)


def keep(benchmark, times, ours, *bystanders):
    """The rounds of ``times``: ``ours`` over the fastest of the others, ``bystanders`` aside. Skips without others."""
    others = [name for name in times.rounds if name not in (ours, *bystanders)]
    if not others:
        pytest.skip("no peer is installed")
    fastest = min(others, key=times.median)
    ratios = times.ratios(ours, fastest)
    rounds = iter(ratios)
    benchmark.pedantic(lambda: _pass(next(rounds)), rounds=len(ratios), iterations=1)
    benchmark.extra_info["fastest"] = fastest
