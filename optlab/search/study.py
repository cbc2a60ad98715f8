"""A study: a space, a sampler and a store, asked for trials and told how they ended."""

import math
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from optlab.checks import check_count
from optlab.errors import ConfigError
from optlab.search.load import Stored, bound, samplers
from optlab.search.pruners import Pruner, replay
from optlab.search.sampler import Observation, Sampler, sequence
from optlab.search.space import Space
from optlab.search.store import Moments, Store, batch_of
from optlab.search.trial import Live, Outcome, Trial, judge, printable, unheard
from optlab.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from optlab.search.repeats import Repeats
    from optlab.search.replay import Replay

SIGNS = {"minimize": 1.0, "maximize": -1.0}
Told = Live | Trial | int


class Study(Stored):
    """Search ``space`` with ``sampler``.

    Args:
        space: the parameters.
        sampler: what proposes them.
        direction: "minimize" or "maximize" the objective.
        storage: a file that keeps the trials, made if it isn't there and resumed if it is (also as sqlite:///a.db);
            None or ":memory:" keeps them in memory.
        name: of the study; a file may hold several.

    Raises:
        ConfigError: a direction that is none, a sampler that can't sample this space, a study of this name with
            another space.
        StorageError: the file can't be made or read, or belongs to another program.

    >>> from optlab.search import Float, Random, Space
    >>> study = Study(Space(x=Float(-1, 1)), Random(seed=0))
    >>> study.run(lambda params: params["x"] ** 2, trials=20)
    >>> len(study.trials), study.best.state, study.best.value < 0.05
    (20, 'complete', True)
    """

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        direction: str = "minimize",
        storage: str | os.PathLike[str] | None = None,
        name: str = "study",
    ) -> None:
        if not isinstance(space, Space):
            raise ConfigError(f"a study's space is a Space, got {space!r}")
        if direction not in SIGNS:
            raise ConfigError(f"direction= is 'minimize' or 'maximize', got {direction!r}")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"name= is a text, got {name!r}")
        sampler = bound(sampler, space)
        store = Store(storage)
        try:
            store.study(name, direction, space)
            self._begin(space, sampler, direction, name, store)
        except BaseException:
            store.close()
            raise

    def _begin(self, space: Space, sampler: Sampler, direction: str, name: str, store: Store) -> None:
        self.space, self.sampler, self.direction, self.name = space, sampler, direction, name
        self._sign = SIGNS[direction]
        self._store = store
        self._seen: list[Observation] = []
        self._asked: set[int] = set()  # points of one's own that wait for `run` or `tell`
        self._lives: dict[int, Live] = {}
        self._lock = threading.RLock()
        self._pruner: Pruner | None = None
        self._described: Sampler | None = None  # the sampler that the file knows to propose
        sampler.restore(store.states())
        self.close = weakref.finalize(self, store.close)

    # --- ask and tell -------------------------------------------------------------------------------------------------

    @overload
    def ask(self, n: None = None, *, params: Mapping[str, Any] | None = None) -> Live: ...
    @overload
    def ask(self, n: int) -> list[Live]: ...
    def ask(self, n: int | None = None, *, params: Mapping[str, Any] | None = None) -> Live | list[Live]:
        """A trial to run, or ``n`` proposed together; ``params`` makes it a point of one's own.

        A point of one's own that isn't told is what `run` begins with.

        Raises:
            ConfigError: the sampler has nothing left (with ``n`` the list is shorter); ``params`` not in the space.
        """
        if n is not None:
            n = check_count("ask(n=)", n, 1)
        if params is not None and n is not None:
            raise ConfigError("ask takes n= or params=, not both")
        if params is not None:
            checked = self.space.check(params)
            [live] = self._claim(1, lambda numbers: [checked], batch=0)
            self._asked.add(live.number)
            return live
        lives = self._claim(n or 1, self._propose)
        if n is not None:
            return lives
        if not lives:
            raise ConfigError("the sampler has nothing left to propose (a running trial may change that)")
        return lives[0]

    def tell(self, trial: Told, value: Any = None, *, error: str | None = None) -> None:
        """How a trial ended: with a finite value, or failed; anything else as a value is a failure with its reason.

        The first result stands; a second one is noted in `log`.

        Raises:
            ConfigError: both a value and an error, or a trial that was never asked for.
        """
        number = trial.number if isinstance(trial, Live | Trial) else check_count("a trial's number", trial)
        if error is not None and value is not None:
            raise ConfigError("tell takes a value or error=, not both")
        self._store.refresh()
        if number not in self._store.trials:
            raise ConfigError(f"there is no trial {number}; ask for it first")
        live = trial if isinstance(trial, Live) else self._lives.get(number)
        reports = tuple(live.reports) if live else ()
        if error is not None:
            outcome = Outcome("failed", None, printable(str(error)), reports)
        elif live and live.pruned:
            outcome = Outcome("pruned", None, "stopped early", reports)
        else:
            outcome = judge(value, reports)
        self._end(number, outcome)

    def run(
        self,
        objective: Callable[..., Any],
        trials: int = 50,
        executor: Any = None,
        retries: int = 1,
        timeout: float | None = None,
        max_failures: int | None = None,
        pruner: Any = None,
        batch: int | None = None,
        total: int | None = None,
    ) -> None:
        """Run ``objective(params)`` or ``objective(params, trial)`` on so many trials.

        Trials that a dead driver left unfinished come first and count. Ctrl-C finishes what runs, saves and raises
        KeyboardInterrupt; a second one stops at once, and what was running is unfinished.

        Args:
            objective: returns the value; whatever else it returns or raises makes a failed trial.
            trials: how many to run, >= 0; fewer if the sampler has nothing left.
            executor: None for this thread; how many workers (processes, or threads for what can't be sent to one); any
                `concurrent.futures.Executor`; "dask" or "tcp://host:port".
            retries: how often a trial that kills its worker is run again, alone, before it is "crashed".
            timeout: seconds, after which a trial has failed and its process is killed.
            max_failures: more failed trials than this end the run.
            pruner: "median", "halving" or a `Pruner` for trials that report.
            batch: propose so many trials together, when all before have ended; then a sampler that learns proposes the
                same at any number of workers. `GP` does so on one kind of processor: BLAS and the vector width decide
                its last bits. Grid, Random and Sobol propose the same everywhere.
            total: the study gets no more trials than that, those before and those of other drivers included.

        Raises:
            TrialError: more than ``max_failures`` failed, or the workers can't be had.
            StorageError: a result can't be written; all before it is safe.
        """
        from optlab.search.run import run

        try:
            run(self, objective, trials, executor, retries, timeout, max_failures, pruner, batch, total)
        finally:
            self._store.checkpoint()

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def trials(self) -> list[Trial]:
        """All records in the order of their numbers, other drivers' too."""
        self._store.refresh()
        with self._store.lock:
            return [trial for _, trial in sorted(self._store.trials.items())]

    @property
    def complete(self) -> list[Trial]:
        """The records with a value."""
        return [trial for trial in self.trials if trial.value is not None]

    @property
    def best(self) -> Trial:
        """The complete trial with the best value; of equal ones the first.

        Raises:
            ConfigError: none is complete.
        """
        complete = self.complete
        if not complete:
            failed = [trial for trial in self.trials if trial.error]
            last = f"; {len(failed)} ended otherwise, the last: {failed[-1].error}" if failed else ""
            raise ConfigError(f"no trial of study {self.name!r} is complete{last}")
        return min(complete, key=lambda trial: (self.loss(trial), trial.number))

    def loss(self, trial: Trial) -> float:
        """What is minimised: the value, or its negative when maximising; NaN without a value."""
        return math.nan if trial.value is None else self._sign * trial.value

    def observations(self) -> list[Observation]:
        """The trials as a sampler sees them."""
        self._store.refresh()
        with self._store.lock:
            return list(self._observations())

    def seen(self, number: int) -> list[Observation]:
        """What the sampler saw when it proposed this trial: those before it, as they stood then.

        Raises:
            ConfigError: there is no such trial, it is a point of one's own, or the file does not tell.
        """
        from optlab.search.replay import seen

        return seen(self, number)

    def replay(self) -> "Replay":
        """Propose every trial again, each from what its sampler saw then, in whatever order the trials ended.

        Returns:
            Numbers of trials as ``(same, different, left_out)``: proposed again, proposed otherwise, and those that no
            sampler proposed or of which the file does not tell what was known.
        """
        from optlab.search.replay import replay

        return replay(self)

    def log(self) -> list[tuple[float, int, str]]:
        """(time, trial's number, text): second results, retries, trials given back."""
        return self._store.log()

    def verdict(self, test: float | None = None) -> list[Verdict]:
        """Is the best on an edge, would more trials pay, and (given its ``test`` value) was validation fitted?"""
        from optlab.search.judgement import verdicts

        return verdicts(self, test)

    def importance(self) -> dict[str, float]:
        """Share of the variance of the value that each parameter explains by itself, largest first."""
        from optlab.search.importance import importance

        return importance(self)

    def repeat(self, objective: Callable[..., Any], n: int = 5) -> "Repeats":
        """Run the best parameters again under ``n`` new seeds; mean and 95 % interval. Not recorded as trials."""
        from optlab.search.repeats import repeat

        return repeat(self, objective, n)

    def copy(self, path: str | os.PathLike[str]) -> Path:
        """Write everything into a new file, as of now, while drivers run; return its path.

        The copy has no drivers: what runs now is unfinished there. It works for a study in memory too, and for one
        whose file was deleted, moved or replaced: also results that could not be written are in the copy.

        Raises:
            ConfigError: ``path`` names no file.
            StorageError: there is a file already, or it can't be written.
        """
        return self._store.copy(path)

    def to_csv(self, path: str | os.PathLike[str], *, spreadsheet_safe: bool = True) -> None:
        """Write a row per trial.

        Args:
            path: of the file.
            spreadsheet_safe: write an apostrophe before a text (a choice, an error, a name) that begins with =, +, -,
                @, a tab or a line break, which a spreadsheet would run as a formula. Numbers stay numbers.

        Raises:
            StorageError: the file can't be written.
        """
        from optlab.search.export import to_csv

        to_csv(self, path, spreadsheet_safe)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Space, direction and every record with its reports; NaN is null."""
        from optlab.search.export import to_json

        to_json(self, path)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """A row per trial; needs pyarrow or polars."""
        from optlab.search.export import to_parquet

        to_parquet(self, path)

    def to_optuna(self, storage: str | os.PathLike[str] | None = None, name: str | None = None) -> Any:
        """Copy the study into an Optuna storage (a file, an address, or None for memory); the ``optuna.Study``."""
        from optlab.integrations.convert import to_optuna

        return to_optuna(self, storage if storage is None else os.fspath(storage), name)

    def plot_history(self, ax: "Axes | None" = None) -> "Axes":
        """Every value by number, and the best so far."""
        from optlab.viz.study import plot_history

        return plot_history(self, ax)

    def plot_slice(self, fig: Any = None) -> Any:
        """Value against each parameter."""
        from optlab.viz.study import plot_slice

        return plot_slice(self, fig)

    def plot_contour(self, a: str, b: str, ax: "Axes | None" = None) -> "Axes":
        """Value over two parameters."""
        from optlab.viz.study import plot_contour

        return plot_contour(self, a, b, ax)

    def plot_posterior(self, along: str | None = None, trial: int | None = None) -> "Figure":
        """What the Gaussian process believes along one parameter and where it looks next, now or before ``trial``.

        Raises:
            ConfigError: another sampler, too few results, a choice, which has no axis, or what `seen` raises.
        """
        from optlab.search.samplers.gp import GP
        from optlab.viz.posterior import plot_posterior

        if not isinstance(self.sampler, GP):
            raise ConfigError(f"the sampler {self.sampler.name!r} has no posterior; use GP()")
        return plot_posterior(self.sampler, self.observations() if trial is None else self.seen(trial), along)

    def html(self, path: str | os.PathLike[str]) -> Path:
        """One offline page: curves, slices, importance, verdicts, every failed trial; the path."""
        from optlab.viz.study_report import write_study_report

        return write_study_report(self, Path(path))

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.trials)} trials, {self.sampler!r}, {self.direction})"

    # --- for the driver -----------------------------------------------------------------------------------------------

    def take(self, count: int, batch: int | None, exposed: bool, total: int | None = None) -> list[Live]:
        """Up to ``count`` trials to run: unfinished ones, points of one's own, or new ones; none while a batch runs."""
        self._store.refresh()
        lives = [self._live(trial) for trial in self._store.adopt(count, exposed)]
        with self._lock:
            waiting = sorted(number for number in self._asked if self._store.trials[number].state == "running")
            self._asked -= set(waiting[: count - len(lives)])
        lives += [self._live(self._store.trials[number]) for number in waiting[: count - len(lives)]]
        if lives or batch is None:
            return lives or self._claim(count, self._propose, exposed, total=total)
        if self.others_running():
            return []
        return self._claim(count, lambda numbers: self._propose_batch(numbers, batch), exposed, batch, total)

    def finish(self, live: Live, outcome: Outcome) -> None:
        """Record how a trial of `take` ended."""
        self._end(live.number, outcome)

    def again(self, live: Live) -> Live:
        """The same trial from its beginning."""
        return self._live(self._store.trials[live.number])

    def drop(self, numbers: Sequence[int]) -> None:
        """Give back trials that did not end."""
        if numbers:
            self._store.release(numbers)
        with self._lock:
            for number in numbers:
                self._silence(number)

    def others_running(self) -> bool:
        """Whether some trial still runs; asked when none of this driver's does."""
        self._store.refresh()
        return self._store.running

    def lost(self) -> str:
        """Return what became of the file while it was open, so that nothing can be written; "" if all is well."""
        return self._store.lost()

    def note(self, number: int, text: str) -> None:
        """Write into the log."""
        self._store.note(number, text)

    def course(self) -> list[Moments]:
        """When the trials were claimed and when they ended."""
        return self._store.course()

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Keep with the study what its sweep is: objective, settings, sampler, as plain data."""
        self._store.describe(settings)

    @property
    def description(self) -> dict[str, Any]:
        """What the last `describe` kept; {} if there was none."""
        told = self._store.descriptions()[-1:]
        return {key: value for key, value in told[0].items() if key != "first"} if told else {}

    def samplers(self) -> list[tuple[int, Sampler]]:
        """What has proposed trials, as far as the file tells, each with the trial from which on it did."""
        return samplers(self._store, self.space)

    def use_pruner(self, pruner: Pruner | None) -> None:
        """Let this pruner hear of the trials so far and of all reports from now on."""
        self._pruner = pruner
        if pruner is not None:
            for trial in self.trials:
                if trial.reports:
                    replay(pruner, trial, self._sign)

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _claim(
        self,
        count: int,
        propose: Callable[[Sequence[int]], Sequence[dict[str, Any]]],
        exposed: bool = False,
        batch: int | None = None,
        total: int | None = None,
    ) -> list[Live]:
        before = self._described
        try:
            claimed = self._store.claim(count, propose, self._seed, exposed, batch, total)
        except BaseException:
            self._described = before  # what the claim wrote is not in the file
            raise
        return [self._live(trial) for trial in claimed]

    def _propose(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        return self._ask_sampler(numbers, self._observations())

    def _propose_batch(self, numbers: Sequence[int], batch: int) -> list[dict[str, Any]]:
        """The part of the batch that is still to do; it is a function of what ended before the batch began."""
        together = batch_of(numbers[0], batch)
        start = together.start
        seen = [observation for observation in self._observations() if observation.number < start]
        proposed = self._ask_sampler(together, seen)
        return [proposed[number - start] for number in numbers if number - start < len(proposed)]

    def _ask_sampler(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """Propose, inside a claim's transaction; keep there which sampler did, and what a later process starts from."""
        proposed = self.sampler.propose(numbers, seen)
        if self._described is not self.sampler and proposed:
            self._store.describe_sampler(self.sampler.to_dict(), numbers[0])
            self._described = self.sampler
        state = self.sampler.state()
        if state is not None:
            self._store.keep_state(numbers[0], state)
        return proposed

    def _seed(self, number: int) -> int:
        """The trial's own seed, 32 bits."""
        return int(sequence(self.sampler.seed, "trial", number).generate_state(1)[0])

    def _observations(self) -> list[Observation]:
        """What the sampler sees, in the order of the numbers; only what is new is looked at."""
        trials, changed = self._store.trials, self._store.changed
        for number in dict.fromkeys(changed):
            seen = self._observation(trials[number])
            if number < len(self._seen) and self._seen[number].number == number:
                self._seen[number] = seen
            elif number == len(self._seen):
                self._seen.append(seen)
            else:  # numbers that a damaged file lost
                self._seen = [self._observation(trials[n]) for n in sorted(trials)]
        changed.clear()
        return self._seen

    def _observation(self, trial: Trial) -> Observation:
        loss: float | None = self.loss(trial)
        if trial.state == "running":
            loss = None
        elif trial.state == "pruned" and trial.reports:
            loss = self._sign * trial.reports[-1][1]
        return Observation(trial.number, trial.params, loss, trial.state)

    def _live(self, trial: Trial) -> Live:
        live = Live(trial.number, dict(trial.params), trial.seed, partial(self._report, trial.number))
        self._lives[trial.number] = live
        return live

    def _report(self, number: int, step: int, value: float) -> bool:
        with self._lock:
            return self._pruner is not None and self._pruner.poor(number, step, self._sign * value)

    def _end(self, number: int, outcome: Outcome) -> None:
        self._store.record(number, outcome)
        with self._lock:
            self._asked.discard(number)
            self._silence(number)
            if self._pruner is not None:
                self._pruner.ended(number, outcome.state == "complete")

    def _silence(self, number: int) -> None:
        """Ignore what a thread that the trial left behind reports from now on."""
        live = self._lives.pop(number, None)
        if live is not None:
            live.channel = unheard
