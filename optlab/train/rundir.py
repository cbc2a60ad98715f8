"""A run directory: what repeats a run, and what the run left behind.

``config.json`` holds the `Recipe`, ``log.jsonl`` every start and end with versions and machine, ``history.csv`` and
``history.jsonl`` a row per epoch, ``history.json`` all curves, ``checkpoints/`` and ``seal.jsonl`` what `Checkpoint`
and the sealed test set write.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from optlab.data.dataset import Dataset, Part
from optlab.data.ledger import Ledger
from optlab.data.sealed import Sealed
from optlab.errors import ConfigError, DataError, StorageError
from optlab.files import check_writable, write_whole
from optlab.nn.layers import MLP
from optlab.train import checkpoint
from optlab.train.callbacks import Callback, CSVLog, EarlyStopping, JSONLog
from optlab.train.config import Config
from optlab.train.fit import fit
from optlab.train.history import History
from optlab.train.recipe import Recipe

if TYPE_CHECKING:
    from optlab.train.training import Training

VERSION = 1
CONFIG, LOG, HISTORY = "config.json", "log.jsonl", "history.json"
OVER = ("finished", "stopped", "diverged")  # a run that ended so has nothing to continue


class RunDirectory:
    """A run on disk: ``RunDirectory(path)`` opens one, `new` gets one ready, `train` makes or continues it.

    Attributes:
        path: where it is.
        recipe: what repeats it.
        digest: of the data set.

    Raises:
        StorageError: ``path`` is no run directory, or its config.json is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        plain = _document(self.path / CONFIG)
        digest = plain.pop("sha256", None)
        if hashlib.sha256(_text(plain).encode()).hexdigest() != digest:
            raise StorageError(f"{self.path / CONFIG} is damaged or was edited: it does not match its sha256")
        if plain.pop("version", None) != VERSION:
            raise StorageError(f"{self.path / CONFIG} is of another version; this optlab reads {VERSION}")
        self.digest = str(plain.pop("digest", ""))
        try:
            self.recipe = Recipe.from_dict(plain)
        except ConfigError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise StorageError(f"{self.path / CONFIG} makes no sense: {error}") from None

    @classmethod
    def new(cls, recipe: Recipe, path: Path | None = None) -> Self:
        """A run that is still to be trained, in ``runs/NAME-TIME-XXXX`` by default; nothing is written yet.

        Raises:
            ConfigError: ``path`` holds a run, or no such data set.
            DataError: the data can't be used.
        """
        if path is not None and (path / CONFIG).exists():
            raise ConfigError(f"{path} holds a run; continue it with --resume {path}, or choose another directory")
        run, data = cls.__new__(cls), recipe.data()
        run.path, run.recipe, run.digest = path or _free(data.name), recipe.settled(data), data.digest
        vars(run)["data"] = data  # the cached property
        return run

    @property
    def written(self) -> bool:
        """Whether there is anything on disk."""
        return (self.path / CONFIG).exists()

    def train(self, session: Mapping[str, Any], verbose: bool | None = None) -> None:
        """Train, or continue bit for bit where it stopped; a run that is over stays as it is.

        Args:
            session: what the log shall say besides, such as versions.
            verbose: as in `fit`.

        Raises:
            ConfigError: options that can't be; nothing is written then.
            DataError: the data are not what they were.
            StorageError: something can't be written.
        """
        if self.history.status in OVER:
            return
        recipe, (train, val, _) = self.recipe, self.parts
        callbacks: list[Callback] = [] if recipe.patience is None else [EarlyStopping(recipe.patience)]
        callbacks += [_Record(self, session), CSVLog(self.path / "history.csv"), JSONLog(self.path / "history.jsonl")]
        callbacks.append(checkpoint.Checkpoint(self.path))
        options: dict[str, Any] = {field.name: getattr(recipe.config, field.name) for field in fields(Config)}
        if checkpoint.numbers(self.path):
            options = {"resume": self.path}
        try:
            held = val if len(val) else None
            fit(recipe.mlp(self.data), train, held, callbacks=callbacks, verbose=verbose, **options)
        finally:
            for name in ("history", "best_epoch"):  # they are others now
                vars(self).pop(name, None)

    @cached_property
    def data(self) -> Dataset:
        """The data set of the run.

        Raises:
            DataError: its contents are not those that were trained on.
        """
        data = self.recipe.data()
        if data.digest != self.digest:
            raise DataError(f"{self.recipe.source['name']} has changed since {self.path} was trained on it")
        return data

    @cached_property
    def parts(self) -> tuple[Part, Part, Sealed]:
        """Training, validation and sealed test part."""
        return self.recipe.parts(self.data)

    def best(self) -> MLP:
        """The network of the best checkpoint.

        Raises:
            StorageError: there is none.
        """
        model = self.recipe.mlp(self.data).load(self.path)
        model.directory = self.path
        return model

    @cached_property
    def history(self) -> History:
        """All curves, and how the run ended; ``"running"`` if it did not: it still runs, or was killed."""
        history = History()
        if (self.path / HISTORY).exists():
            plain = _document(self.path / HISTORY)
            try:
                state = {f"epochs/{name}": np.array(curve, float) for name, curve in plain["epochs"].items()}
                state |= {f"steps/{name}": np.array(curve, float) for name, curve in plain["steps"].items()}
                history.restore({**state, "seconds": np.array(plain["seconds"], float)})
                for name in ("status", "reason", "engine", "why"):
                    setattr(history, name, str(plain[name]))
            except (AttributeError, KeyError, TypeError, ValueError):
                raise StorageError(
                    f"{self.path / HISTORY} is damaged; without it, the checkpoints' curves are used"
                ) from None
        elif checkpoint.numbers(self.path):
            arrays = checkpoint.last(self.path).arrays("history/")
            history.restore({name.removeprefix("history/"): value for name, value in arrays.items()})
        return history

    @cached_property
    def best_epoch(self) -> int | None:
        """The epoch of the best checkpoint, from 1; None without whole checkpoints."""
        try:
            rest = checkpoint.last(self.path).rest
        except StorageError:
            return None
        return int(rest["best_epoch"] or rest["epoch"])

    def ledger(self) -> Ledger:
        """Of the sealed test set."""
        return Ledger(self.path)

    def openings(self) -> list[dict[str, Any]]:
        """Every opening of the test set: time, reason, whether forced, and the result, None if there is none."""
        rows: list[dict[str, Any]] = []
        for record in self.ledger().records():
            if record.get("event") == "opened":
                rows.append({**{name: record.get(name) for name in ("time", "reason", "forced")}, "result": None})
            elif rows:
                rows[-1]["result"] = record.get("result")
        return rows

    def log(self) -> list[dict[str, Any]]:
        """The lines of ``log.jsonl``; one that was cut off is left out."""
        try:
            lines = (self.path / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
        return [record for record in records if isinstance(record, dict)]

    def note(self, event: str, **content: Any) -> None:
        """One more line in the log."""
        record = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **content}
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


class _Record(Callback):
    """Writes the recipe when all checks have passed, and at the end the curves; `Checkpoint` locks the directory."""

    def __init__(self, run: RunDirectory, session: Mapping[str, Any]) -> None:
        self.run, self.session, self.new = run, session, not run.written

    def check(self, run: "Training") -> None:
        if self.new and self.run.written:
            raise StorageError(f"{self.run.path} has become another run's meanwhile; choose another directory")
        for name in (CONFIG, LOG, HISTORY):
            check_writable(self.run.path / name)

    def on_start(self, run: "Training") -> None:
        path = self.run.path
        path.mkdir(parents=True, exist_ok=True)
        if not self.run.written:
            plain = {"version": VERSION, "digest": self.run.digest, **self.run.recipe.to_dict()}
            digest = hashlib.sha256(_text(plain).encode()).hexdigest()
            write_whole(path / CONFIG, _text({**plain, "sha256": digest}))
        (path / HISTORY).unlink(missing_ok=True)
        self.run.note("started", epoch=run.epoch, **self.session)

    def on_end(self, run: "Training") -> None:
        history = run.history
        write_whole(self.run.path / HISTORY, _text(_finite(history.to_dict())))
        self.run.note("ended", epoch=run.epoch, status=history.status, reason=history.reason)


def _text(plain: Any) -> str:
    return json.dumps(plain, indent=1, default=np.generic.item)


def _finite(value: Any) -> Any:
    """NaN and infinities are null in JSON."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if not isinstance(value, float) or np.isfinite(value) else None


def _document(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StorageError(f"{path} is missing: is {path.parent} what optlab train wrote?") from None
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is damaged: {error}") from None
    if not isinstance(plain, dict):
        raise StorageError(f"{path} is damaged: it is no JSON object")
    return plain


def _free(name: str) -> Path:
    """A path that no other run has, though it starts in the same second."""
    short = re.sub(r"[^\w.-]+", "-", name)[:40].strip("-.") or "data"
    return Path("runs") / f"{short}-{datetime.now():%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
