"""How a training run shows itself: a bar on a terminal, plain lines elsewhere."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from optlab import streams
from optlab.train.callbacks import Callback

if TYPE_CHECKING:
    from optlab.train.training import Training


def progress(stream: TextIO | None, verbose: bool | None) -> list[Callback]:
    """The callback that shows the progress, if it is wanted: on a terminal unless refused, elsewhere if asked for."""
    terminal = streams.is_terminal(stream)
    if verbose is False or (verbose is None and not terminal):
        return []
    return [Bar()] if terminal else [Lines(stream)]


def summary(run: "Training") -> str:
    """The newest values of the curves."""
    return "  ".join(f"{name} {run.history.last(name):.4g}" for name in run.history)


class Lines(Callback):
    """A line per epoch."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def on_epoch(self, run: "Training") -> None:
        """Print it."""
        seconds = run.history.seconds[-1]
        self._say(f"epoch {run.epoch}/{run.epochs}  {summary(run)}  {seconds:.2f} s")

    def on_end(self, run: "Training") -> None:
        """How it ended, unless as planned."""
        if run.history.status != "finished":
            self._say(f"{run.history.status}: {run.history.reason}")

    def _say(self, text: str) -> None:
        streams.write(self.stream, text + "\n")


class Bar(Callback):
    """A bar with the time that is left."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def on_start(self, run: "Training") -> None:
        """Show it, as far as a resumed run has come."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._task = self._bar.add_task("", total=run.epochs, completed=run.epoch, now="")
        self._bar.start()

    def on_epoch(self, run: "Training") -> None:
        """Move on."""
        self._bar.update(self._task, completed=run.epoch, now=summary(run))

    def on_end(self, run: "Training") -> None:
        """Leave the bar, and say how it ended, unless as planned."""
        with suppress(OSError):  # the terminal hung up
            self._bar.stop()
            if run.history.status != "finished":
                self._bar.console.print(f"{run.history.status}: {run.history.reason}", markup=False)
