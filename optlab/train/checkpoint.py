"""Checkpoints: arrays in an npz, the rest in a manifest with its sha256, both written whole or not at all."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from optlab import locks, streams
from optlab.checks import check_count, is_whole
from optlab.data.npy import opened
from optlab.errors import ConfigError, DataError, StorageError
from optlab.files import check_folder, write_whole
from optlab.nn.serialize import load, packed, unpacked
from optlab.states import as_numbers, check_state
from optlab.train.callbacks import Callback
from optlab.train.history import direction

if TYPE_CHECKING:
    from optlab.train.training import Training

FOLDER = "checkpoints"
NAME = re.compile(r"epoch-(\d+)\.json")
VERSION = 1
MODEL = "model/"  # before the names of a model's arrays
MANIFEST_BYTES, PIECE = 16 << 20, 1 << 20
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
        self.every, self.keep = check_count("every", every, 1), check_count("keep", keep, 1)
        self.directory, self.monitor = Path(directory), best
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
        monitor = np.asarray(state["monitor"])
        if monitor.dtype.kind != "U" or monitor.ndim:
            raise ConfigError(f"monitor is a text, got {monitor.dtype} of the shape {list(monitor.shape)}")
        if str(monitor) == (self.monitor or ""):
            self._best, self._best_epoch = float(best), int(epoch)

    def _write(self, run: "Training") -> None:
        arrays, rest = run.state()
        more = {"best_epoch": self._best_epoch or None, "directory": str(self.directory.absolute())}
        write(self.directory, run.epoch, arrays, {**rest, **more})
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
    data, (npz, manifest) = packed(arrays), _paths(directory, number)
    body = {**rest, "version": VERSION, "bytes": len(data), "npz_sha256": hashlib.sha256(data).hexdigest()}
    try:
        write_whole(npz, data)
        write_whole(manifest, _sealed(body))
    except StorageError as error:
        raise StorageError(f"the checkpoint {error}; earlier ones are whole") from None


@dataclass(frozen=True)
class Saved:
    """A whole checkpoint: its content matches its checksums. ``rest`` is what JSON holds; arrays are read if asked for.

    Raises:
        StorageError: it is missing or damaged in any bit.
    """

    directory: Path
    number: int
    rest: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        npz, manifest = _paths(self.directory, self.number)
        try:
            with manifest.open("rb") as file:
                raw = file.read(MANIFEST_BYTES)
            with npz.open("rb") as file:
                size, digest = file.seek(0, 2), hashlib.sha256()
                file.seek(0)
                while piece := file.read(PIECE):
                    digest.update(piece)
        except OSError as error:
            raise StorageError(f"the checkpoint {npz.stem} can't be read: {error.strerror}: {error.filename}") from None
        try:
            body = json.loads(raw)
            intact = _sealed({k: v for k, v in body.items() if k != "sha256"}) == raw
        except (ValueError, AttributeError, RecursionError):
            intact = False
        if not intact:
            raise StorageError(f"the checkpoint {manifest} is damaged: its content does not match its sha256")
        if body.get("version") != VERSION:
            found = body.get("version")
            raise StorageError(f"the checkpoint {manifest} has version {found!r}, this optlab reads {VERSION}")
        if (size, digest.hexdigest()) != (body.get("bytes"), body.get("npz_sha256")):
            raise StorageError(f"the checkpoint {npz} is damaged: its content does not match its sha256")
        for name in ("epoch", "step", "best_epoch"):
            if not is_whole(body.get(name), 1) and (name, body.get(name, 0)) != ("best_epoch", None):
                raise StorageError(f"the checkpoint {manifest} is damaged: {name} is {body.get(name)!r}")
        object.__setattr__(self, "rest", body)

    def __str__(self) -> str:
        return f"the checkpoint {_paths(self.directory, self.number)[1]}"

    def arrays(self, prefix: str = "", model: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Return the arrays whose names begin with ``prefix``; those of ``model`` are compared before they are read.

        Raises:
            ConfigError: names, shapes or types are not those of ``model``.
            StorageError: they are not what `Checkpoint` writes.
        """
        path, _ = _paths(self.directory, self.number)
        try:
            with path.open("rb") as file, opened(path, file) as archive:
                if not archive.stored():
                    raise DataError(f"{path}: its arrays are packed, or lie over each other")
                found = {}
                if model is not None:
                    found = {MODEL + name: value for name, value in unpacked(archive, model, MODEL).items()}
                others = [name for name in archive.names if name.startswith(prefix) and name not in found]
                return found | {name: archive.read(name) for name in others}
        except DataError as error:
            raise StorageError(f"the checkpoint {error}") from None
        except OSError as error:
            raise StorageError(f"the checkpoint {path} can't be read: {error.strerror}") from None


def read(directory: Path, number: int) -> State:
    """The arrays and the rest of one checkpoint.

    Raises:
        StorageError: it is missing or damaged in any bit.
    """
    saved = Saved(directory, number)
    return saved.arrays(), saved.rest


def last(directory: str | Path) -> Saved:
    """Return the newest whole checkpoint; a damaged one is passed over with a warning.

    Raises:
        StorageError: there is none.
    """
    directory, problems = Path(directory), []
    for number in reversed(numbers(directory)):
        try:
            saved = Saved(directory, number)
        except StorageError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            streams.warn(f"{problem}; the one before it is used", stacklevel=3)
        return saved
    why = problems[0] if problems else "was it made by ol.Checkpoint?"
    raise StorageError(f"{directory / FOLDER} has no whole checkpoint: {why}")


def newest(directory: str | Path) -> State:
    """The arrays and the rest of the newest whole checkpoint.

    Raises:
        StorageError: there is none.
    """
    saved = last(directory)
    return saved.arrays(), saved.rest


def best(directory: str | Path) -> State:
    """The arrays and the rest of the best checkpoint by what its `Checkpoint` watched, else of the newest."""
    saved = _best(directory)
    return saved.arrays(), saved.rest


def _best(directory: str | Path) -> Saved:
    saved = last(directory)
    number = saved.rest["best_epoch"]
    if number is None or number == saved.number:
        return saved
    try:
        return Saved(Path(directory), number)
    except StorageError as error:
        streams.warn(f"{error}; the newest is used", stacklevel=4)
        return saved


def weights(path: str | Path, model: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """A model's state from a file of `Module.save`, or from the best checkpoint of a directory.

    ``model`` is the state of the model that is to take it over: what does not fit is refused before it is read.

    Raises:
        ConfigError: names, shapes or types are not those of ``model``.
        StorageError: nothing there, or damaged.
    """
    path = Path(path)
    if not path.is_dir():
        return load(path, model)
    arrays = _best(path).arrays(MODEL, model)
    return {name.removeprefix(MODEL): value for name, value in arrays.items()}


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
