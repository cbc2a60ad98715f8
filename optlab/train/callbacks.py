"""What happens between epochs: early stopping, logs, and functions of the user's own."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

import numpy as np

from optlab import locks
from optlab.checks import check_amount, check_count, check_flag
from optlab.errors import ConfigError, StorageError
from optlab.files import check_writable, write_whole
from optlab.nn.serialize import check_fit
from optlab.spreadsheet import inert
from optlab.states import as_numbers, check_state
from optlab.train.history import direction

if TYPE_CHECKING:
    from optlab.train.training import Training


class Callback:
    """Called by `fit`; a subclass overrides what it needs, and a plain function ``f(run)`` is called as `on_epoch`.

    ``run`` is the `Training`: ``run.model``, ``run.optimizer``, ``run.history``, ``run.epoch`` (epochs done), and
    ``run.stop(reason)``. Callbacks run in the order given, those with ``saves`` last, and at the end first. Before the
    first one starts, `fit` takes the `locks` of all and lets all of them `check`; those without locks start first.
    """

    saves: ClassVar[bool] = False  # writes down what the model and the other callbacks are after an epoch

    def locks(self) -> dict[Path, str]:
        """Return the lock file of each file and folder that no other run may write to meanwhile, and what it is of."""
        return {}

    def check(self, run: "Training") -> None:
        """Refuse what can't work, by an error; nothing may be opened or changed here."""

    def on_start(self, run: "Training") -> None:
        """Before the first epoch, or the first after a resume."""

    def on_epoch(self, run: "Training") -> None:
        """After each epoch, with its entry in the history."""

    def on_end(self, run: "Training") -> None:
        """After the last epoch, however it ended."""

    def settings(self) -> dict[str, Any] | None:
        """What it was made with, for a resumed run to make it again; None if it must be given again."""
        return None

    def state_dict(self) -> dict[str, np.ndarray]:
        """Arrays that a resumed run needs to go on as if it had not stopped."""
        return {}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state_dict`."""


class Each(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[["Training"], Any]) -> None:
        self.function = function

    def on_epoch(self, run: "Training") -> None:
        """Call it."""
        self.function(run)


class EarlyStopping(Callback):
    """Stop once a curve has not improved for ``patience`` epochs; the best epoch's parameters come back.

    An epoch improves if it is below the best so far by more than ``min_delta`` (above, for an accuracy); NaN does not.
    The same decisions as Keras's callback, for which, however, a NaN in the first epoch is the best for ever.

    Args:
        patience: epochs without improvement that end the training.
        monitor: a curve of the history.
        min_delta: the least improvement that counts.
        restore_best: leave the model as it was after its best epoch.
    """

    def __init__(
        self, patience: int = 5, *, monitor: str = "val_loss", min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.patience, self.min_delta = check_count("patience", patience), check_amount("min_delta", min_delta)
        self.monitor, self.restore_best = monitor, check_flag("restore_best", restore_best)
        self.best, self.best_epoch, self.waited = np.inf, 0, 0
        self._kept: dict[str, np.ndarray] = {}

    def check(self, run: "Training") -> None:
        """Refuse a curve that there will not be, and kept parameters of another model."""
        run.need(self.monitor)
        if run.epoch and self._kept:
            check_fit({name: (value.dtype, value.shape) for name, value in self._kept.items()}, run.model.state_dict())

    def on_start(self, run: "Training") -> None:
        """A callback used for a second training starts anew."""
        if run.epoch == 0:
            self.best, self.best_epoch, self.waited, self._kept = np.inf, 0, 0, {}

    def on_epoch(self, run: "Training") -> None:
        """Compare, remember, and perhaps stop."""
        value = direction(self.monitor) * run.history.last(self.monitor)
        self.waited += 1
        if value + self.min_delta < self.best:  # rounded as in Keras
            self.best, self.best_epoch, self.waited = value, run.epoch, 0
            if self.restore_best:
                self._kept = run.model.state_dict()
        elif self.waited >= self.patience and run.epoch > 1:
            best = f"best in epoch {self.best_epoch}" if self.best_epoch else "it was never a number"
            run.stop(f"{self.monitor} has not improved for {self.waited} epochs; {best}")

    def on_end(self, run: "Training") -> None:
        """Bring the best epoch back."""
        if self._kept:
            run.model.load_state_dict(self._kept)

    def settings(self) -> dict[str, Any]:
        """The arguments."""
        return {name: getattr(self, name) for name in ("patience", "monitor", "min_delta", "restore_best")}

    def state_dict(self) -> dict[str, np.ndarray]:
        """The best so far, and its parameters."""
        numbers = {"best": np.array(self.best), "counts": np.array([self.best_epoch, self.waited])}
        return numbers | {f"model/{name}": value for name, value in self._kept.items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state_dict`.

        Raises:
            ConfigError: it is not one; nothing is changed then.
        """
        check_state("EarlyStopping", state, ("best", "counts"), ("model/",))
        best, counts = as_numbers("best", state["best"], ()), as_numbers("counts", state["counts"], (2,), kinds="iu")
        if (counts < 0).any():
            raise ConfigError(f"the epochs of EarlyStopping are whole numbers >= 0, got {counts.tolist()}")
        self.best, (self.best_epoch, self.waited) = float(best), counts.tolist()
        self._kept = {key.removeprefix("model/"): v for key, v in state.items() if key.startswith("model/")}


class _Log(Callback):
    """A file with a line per epoch, written as the epochs end; one run at a time writes to it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def locks(self) -> dict[Path, str]:
        """Return the lock of the file."""
        return {locks.of_file(self.path): f"the log {self.path}"}

    def check(self, run: "Training") -> None:
        """Refuse a file that can't be written."""
        check_writable(self.path, f"the log {self.path}")

    def __getstate__(self) -> dict[str, Any]:
        """Copies have no open file; `on_start` opens theirs."""
        return {**vars(self), "_file": None}

    def settings(self) -> dict[str, Any]:
        """The argument; a resume may run in another folder."""
        return {"path": str(self.path.absolute())}

    def on_start(self, run: "Training") -> None:
        """Begin the file anew with the epochs there are: those before a resume."""
        curves = {name: run.history[name] for name in run.history} if run.epoch else {}
        rows = [{"epoch": i + 1, **{name: float(curves[name][i]) for name in curves}} for i in range(run.epoch)]
        try:
            write_whole(self.path, "".join(self._line(row, i == 0) for i, row in enumerate(rows)))
        except StorageError as error:
            raise StorageError(f"the log {error}") from None
        try:
            self._file = self.path.open("a", newline="", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"the log {self.path} can't be written: {error.strerror}") from None

    def on_epoch(self, run: "Training") -> None:
        """Write one more line.

        Raises:
            StorageError: the disk is full.
        """
        assert self._file is not None
        row = {"epoch": run.epoch, **{name: run.history.last(name) for name in run.history}}
        try:
            self._file.write(self._line(row, run.epoch == 1))
            self._file.flush()
        except OSError as error:
            raise StorageError(f"the log {self.path} can't be written: {error.strerror}") from None

    def on_end(self, run: "Training") -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _line(self, row: dict[str, float], first: bool) -> str:
        raise NotImplementedError


class JSONLog(_Log):
    """One JSON object per epoch and line; NaN and infinities are null."""

    def _line(self, row: dict[str, float], first: bool) -> str:
        return json.dumps({name: value if np.isfinite(value) else None for name, value in row.items()}) + "\n"


class CSVLog(_Log):
    """A table: a heading, then a row per epoch."""

    def _line(self, row: dict[str, float], first: bool) -> str:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([inert(row), row.values()] if first else [row.values()])
        return text.getvalue()
