"""Many figures, one after the other or several at once; one that can't be made does not lose the others."""

import multiprocessing
import signal
import traceback
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from optlab.gallery import figure, make
from optlab.gallery._made import Made
from optlab.gallery._setup import Setup
from optlab.gallery._topics import longest_first


def make_all(ids: Sequence[str], out: Path, jobs: int = 1, **options: Any) -> Iterator[Made]:
    """Make figures, each as it is done; ``options`` are those of `make`.

    When a process dies, all figures that were begun or waiting are lost with it: they are tried together once more,
    and then alone, so that only the guilty one is lost for good.
    """
    if jobs == 1 or len(ids) == 1:
        for id in ids:
            yield attempt(id, out, options)
        return
    waiting = longest_first(list(ids))
    for _ in range(2):
        waiting = yield from _together(waiting, out, jobs, options)
    for id in waiting:
        if (yield from _together([id], out, 1, options)):
            yield _failed(id, options, "its process died: out of memory, or a crash in compiled code")


def _together(ids: list[str], out: Path, jobs: int, options: dict[str, Any]) -> Generator[Made, None, list[str]]:
    """The figures, each as it is done; at the end those whose process died."""
    lost = []
    # Spawned: a fork after threads were started may hang. Ctrl-C ends the processes without tracebacks of their own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, signal.signal, (signal.SIGINT, signal.SIG_DFL)) as pool:
        futures = {pool.submit(attempt, id, out, options): id for id in ids}
        try:
            for future in as_completed(futures):
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(futures[future])
                else:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C: nothing new is begun
    return longest_first(lost)


def attempt(id: str, out: Path, options: dict[str, Any]) -> Made:
    """The figure, or why it could not be made."""
    try:
        return make(id, out, **options)
    except Exception as error:
        return _failed(id, options, f"{type(error).__name__}: {error}", traceback.format_exc())


def _failed(id: str, options: dict[str, Any], error: str, trace: str = "") -> Made:
    try:
        module = figure(id)
        title, source = module.TITLE, module.SOURCE
    except Exception:  # what is wrong may be the module itself
        title, source = id, ""
    setup = Setup(options.get("fast", False), options.get("data") or "", options.get("seed", 0))
    return Made(id, title, source, setup=setup, error=error, trace=trace)
