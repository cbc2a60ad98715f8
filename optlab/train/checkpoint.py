"""Checkpoints: arrays in an npz, the rest in a manifest with its sha256, both written whole or not at all."""

import hashlib
import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from optlab import locks
from optlab.checks import check_count
from optlab.errors import StorageError
from optlab.files import check_folder, write_whole
from optlab.states import as_numbers, check_state
from optlab.train.callbacks import Callback
from optlab.train.history import direction

if TYPE_CHECKING:
    from optlab.train.training import Training

FOLDER = "checkpoints"
NAME = re.compile(r"epoch-(\d+)\.json")
VERSION = 1
# what zipfile and NumPy raise on a damaged file
BROKEN = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
State = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays, and what JSON holds


class Checkpoint(Callback):
    """Writes ``directory/checkpoints/epoch-00001.npz`` and ``.json``; `fit` with ``resume=directory`` continues there.

    Each file is written under another name, flushed to the disk and renamed: whatever dies, the older ones stay whole.
    One run at a time holds the directory; a second one is refused before it writes anything.

    Args:
        directory: made if missing.
        every: epochs between two checkpoints; the last epoch always has one.
        keep: how many of the newest to keep.
        best: also keep the best by this curve of the history (None: do not).

    Raises:
        StorageError: the disk is full, or can't be written; another run is at work there, or was.
    """

    saves: ClassVar[bool] = True

    def __init__(self, directory: str | Path, *, every: int = 1, keep: int = 3, best: str | None = "val_loss") -> None:
        check_count("every", every, 1)
        check_count("keep", keep, 1)
        self.directory, self.every, self.keep, self.monitor = Path(directory), every, keep, best
        self._best, self._best_epoch, self._written = np.inf, 0, 0

    def locks(self) -> dict[Path, str]:
        """Return the lock of the directory.

        Raises:
            StorageError: it can't be made.
        """
        check_folder(self.directory / FOLDER, "the checkpoints' folder")
        return {locks.of_folder(self.directory): f"the run directory {self.directory}"}

    def check(self, run: "Training") -> None:
        """Refuse a curve that there will not be, and a second training in the directory that is no resume."""
        if self.monitor is not None and not (run.val is None and self.monitor.startswith("val_")):
            run.need(self.monitor)
        if run.epoch == 0 and numbers(self.directory):
            raise StorageError(
                f"{self.directory / FOLDER} has the checkpoints of another run; "
                f'continue it with resume="{self.directory}"'
            )

    def on_start(self, run: "Training") -> None:
        """Make the folder."""
        folder = self.directory / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for draft in folder.glob(".epoch-*"):  # of a run that was killed while it wrote
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"the checkpoints' folder can't be made: {error}") from None
        if run.epoch == 0:
            self._best, self._best_epoch = np.inf, 0
        self._written = run.epoch
        run.model.directory = self.directory.absolute()

    def on_epoch(self, run: "Training") -> None:
        """Perhaps write one."""
        value = np.nan
        if self.monitor is not None:
            value = direction(self.monitor) * run.history.last(self.monitor)
        better = bool(value < self._best)
        if better:
            self._best, self._best_epoch = value, run.epoch
        if better or run.epoch % self.every == 0:
            self._write(run)

    def on_end(self, run: "Training") -> None:
        """The last epoch, if it has none yet; not when one was broken off, by a divergence or a second Ctrl-C."""
        if not run.midway and self._written != run.epoch > 0:
            self._write(run)

    def settings(self) -> dict[str, Any]:
        """The arguments, except for the directory, which may have been moved."""
        return {"every": self.every, "keep": self.keep, "best": self.monitor}

    def state_dict(self) -> dict[str, np.ndarray]:
        """The best so far, and of which curve."""
        return {
            "best": np.array(self._best),
            "epoch": np.array(self._best_epoch),
            "monitor": np.array(self.monitor or ""),
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state_dict`; the best only of the curve that is watched now, too.

        Raises:
            ConfigError: it is not one; nothing is changed then.
        """
        check_state("Checkpoint", state, ("best", "epoch", "monitor"))
        best, epoch = as_numbers("best", state["best"], ()), as_numbers("epoch", state["epoch"], (), kinds="iu")
        if str(state["monitor"]) == (self.monitor or ""):
            self._best, self._best_epoch = float(best), int(epoch)

    def _write(self, run: "Training") -> None:
        arrays, rest = run.state()
        write(self.directory, run.epoch, arrays, {**rest, "best_epoch": self._best_epoch or None})
        self._written = run.epoch
        old = [number for number in numbers(self.directory)[: -self.keep] if number != self._best_epoch]
        try:
            for number in old:
                for path in reversed(_paths(self.directory, number)):  # the manifest first: half a one is none
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"old checkpoints of {self.directory} can't be removed: {error.strerror}") from None


def write(directory: Path, number: int, arrays: dict[str, np.ndarray], rest: dict[str, Any]) -> None:
    """Write one checkpoint; the manifest comes last, and without it the arrays do not count.

    Raises:
        StorageError: the disk is full, or can't be written; what was there before is unharmed.
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    data, (npz, manifest) = content.getvalue(), _paths(directory, number)
    body = {**rest, "version": VERSION, "bytes": len(data), "npz_sha256": hashlib.sha256(data).hexdigest()}
    try:
        write_whole(npz, data)
        write_whole(manifest, _sealed(body))
    except StorageError as error:
        raise StorageError(f"the checkpoint {error}; earlier ones are whole") from None


def read(directory: Path, number: int) -> State:
    """The arrays and the rest of one checkpoint.

    Raises:
        StorageError: it is missing or damaged in any bit.
    """
    npz, manifest = _paths(directory, number)
    try:
        raw, data = manifest.read_bytes(), npz.read_bytes()
    except OSError as error:
        raise StorageError(f"the checkpoint {npz.stem} can't be read: {error.strerror}: {error.filename}") from None
    try:
        body = json.loads(raw)
        intact = _sealed({k: v for k, v in body.items() if k != "sha256"}) == raw
    except (ValueError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise StorageError(f"the checkpoint {manifest} is damaged: its content does not match its sha256")
    if body["version"] != VERSION:
        raise StorageError(f"the checkpoint {manifest} has version {body['version']}, this optlab reads {VERSION}")
    if len(data) != body["bytes"] or hashlib.sha256(data).hexdigest() != body["npz_sha256"]:
        raise StorageError(f"the checkpoint {npz} is damaged: its content does not match its sha256")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays), body


def newest(directory: str | Path) -> State:
    """The newest whole checkpoint; a damaged one is passed over with a warning.

    Raises:
        StorageError: there is none.
    """
    directory, problems = Path(directory), []
    for number in reversed(numbers(directory)):
        try:
            state = read(directory, number)
        except StorageError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            warnings.warn(f"{problem}; the one before it is used", stacklevel=2)
        return state
    why = problems[0] if problems else "was it made by ol.Checkpoint?"
    raise StorageError(f"{directory / FOLDER} has no whole checkpoint: {why}")


def best(directory: str | Path) -> State:
    """The best checkpoint by what its `Checkpoint` watched, else the newest."""
    arrays, rest = newest(directory)
    number = rest["best_epoch"]
    if number is None or number == rest["epoch"]:
        return arrays, rest
    try:
        return read(Path(directory), number)
    except StorageError as error:
        warnings.warn(f"{error}; the newest is used", stacklevel=2)
        return arrays, rest


def weights(path: str | Path) -> dict[str, np.ndarray]:
    """A model's state from an npz file, or from the best checkpoint of a directory.

    Raises:
        StorageError: nothing there, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        arrays, _ = best(path)
        return {key.removeprefix("model/"): value for key, value in arrays.items() if key.startswith("model/")}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:  # np.load alone leaks a broken one
            return dict(arrays)
    except OSError as error:
        raise StorageError(f"the model {path} can't be read: {error.strerror or error}") from None
    except BROKEN as error:
        raise StorageError(f"{path} is no model that model.save wrote, or it is damaged: {error}") from None


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz, whole or not at all.

    Raises:
        StorageError: the disk is full, or can't be written.
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_whole(path, content.getvalue())


def numbers(directory: Path) -> list[int]:
    """The epochs that have a checkpoint, in order."""
    names = (NAME.fullmatch(path.name) for path in (directory / FOLDER).glob("epoch-*.json"))
    return sorted(int(name[1]) for name in names if name is not None)


def _paths(directory: Path, number: int) -> tuple[Path, Path]:
    stem = directory / FOLDER / f"epoch-{number:05}"
    return stem.with_suffix(".npz"), stem.with_suffix(".json")


def _sealed(body: dict[str, Any]) -> bytes:
    """The one spelling of a manifest: any changed bit of the file is then a change of its content."""
    text = json.dumps(body, sort_keys=True, indent=1, default=np.generic.item)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({**body, "sha256": digest}, sort_keys=True, indent=1, default=np.generic.item).encode()
