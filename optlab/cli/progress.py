"""How a sweep shows itself: a bar with the best so far on a terminal, lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from optlab import streams
from optlab.cli.common import tell_people
from optlab.search.study import Study
from optlab.search.trial import Live, Outcome, summary

LINES = 20  # besides those of a new best and of failures


class Watched(Study):
    """A study that tells of every trial that ends."""

    watch: Callable[[Live, Outcome], None] | None = None

    def finish(self, live: Live, outcome: Outcome) -> None:
        """Record it, then tell."""
        super().finish(live, outcome)
        if self.watch is not None:
            self.watch(live, outcome)


@contextmanager
def progress(study: Watched, total: int, done: int, quiet: bool) -> Iterator[None]:
    """Show the trials that end within it, on stderr."""
    if quiet or done >= total:
        yield
        return
    with _bar(total, done) if streams.is_terminal(sys.stderr) else _lines() as tell:
        study.watch = _Watcher(study, total, done, tell)
        yield
    study.watch = None


class _Watcher:
    def __init__(self, study: Study, total: int, done: int, tell: Callable[[int, str, str, bool], None]) -> None:
        self._study, self._total, self._done, self._tell = study, total, done, tell
        self._best = study.best if study.complete else None

    def __call__(self, live: Live, outcome: Outcome) -> None:
        self._done += 1
        best, value = self._best, outcome.value
        sign = 1.0 if self._study.direction == "minimize" else -1.0
        better = value is not None and (best is None or best.value is None or sign * value < sign * best.value)
        if better:
            self._best = best = self._study.best
        now = f"{value:.4g}" if value is not None else f"{outcome.state}: {outcome.error}"
        text = "" if best is None else f"best {best.value:.4g} (trial {best.number})"
        if better:
            text += f": {summary(live.params)}"
        loud = better or outcome.state in ("failed", "crashed") or self._done % max(1, self._total // LINES) == 0
        self._tell(self._done, f"{self._done}/{self._total}  trial {live.number}: {now}", text, loud)


@contextmanager
def _lines() -> Iterator[Callable[[int, str, str, bool], None]]:
    def tell(done: int, now: str, best: str, loud: bool) -> None:
        if loud:
            tell_people(f"{now}; {best}" if best else now)

    yield tell


@contextmanager
def _bar(total: int, done: int) -> Iterator[Callable[[int, str, str, bool], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("trial"), MofNCompleteColumn(), BarColumn(20), TimeRemainingColumn())
    bar: Any = Progress(*columns, TextColumn("{task.fields[best]}", markup=False), console=Console(stderr=True))
    task = bar.add_task("", total=total, completed=done, best="")

    def tell(done: int, now: str, best: str, loud: bool) -> None:
        bar.update(task, completed=done, **({"best": best} if loud and best else {}))

    bar.start()
    try:
        yield tell
    finally:
        with suppress(OSError):  # the terminal hung up
            bar.stop()
