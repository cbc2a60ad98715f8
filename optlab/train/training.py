"""One training run: model, optimizer, engine and history, epoch after epoch; what callbacks see and resumes restore."""

import hashlib
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from optlab import streams
from optlab.data.dataset import Part
from optlab.data.splits import ORDER, shuffled
from optlab.errors import ConfigError, NonFiniteError
from optlab.interrupt import Interrupts, leave
from optlab.locks import exclusive
from optlab.nn.layers import BatchNorm1d
from optlab.nn.module import Module
from optlab.optim.optimizer import NORMS, Optimizer
from optlab.schedules import ReduceOnPlateau, Schedule
from optlab.train.callbacks import Callback
from optlab.train.config import Config
from optlab.train.engine import Engine
from optlab.train.evaluate import check, default_loss, score
from optlab.train.history import History
from optlab.train.machine import Machine
from optlab.train.plan import Unplannable
from optlab.train.tape import Tape

CHUNK = 64  # batches of augmented pictures that are made at a time


class Training:
    """The state of a run between epochs.

    Attributes:
        model, train, val, config: as given to `fit`.
        optimizer, engine: made for them.
        history: the curves so far.
        epoch, step: how many were done.
        stopped: why a callback asked to stop, or None.
        midway: whether an epoch has begun and not all callbacks have seen its end: there is no state to save then.
    """

    def __init__(
        self, model: Module, train: Part, val: Part | None, config: Config, callbacks: Sequence[Callback] = ()
    ) -> None:
        self.model, self.train, self.val, self.config = model, train, val, config
        self.callbacks = sorted(callbacks, key=lambda callback: callback.saves)
        self.loss = config.loss or default_loss(train)
        self._check()
        self._made = described(model)
        self.optimizer = Optimizer(
            [p for p in model.parameters() if p.requires_grad],
            config.rule,
            nonfinite="raise",
            clip_norm=config.clip_norm,
            clip_value=config.clip_value,
            norms=config.norms,
        )
        self.history = History()
        model.train()
        self.engine, self.history.why = self._chosen()
        self.history.engine = self.engine.name
        self.epoch = self.step = 0
        self.stopped: str | None = None
        self.midway = False
        rows, batch = len(train), config.batch_size
        if self._has_batch_norm() and rows % batch == 1:
            rows -= 1  # a batch of one has no variance; which row is left out changes with the order
        self._rows = rows
        self.steps_per_epoch = -(-rows // batch)
        self.steps = config.steps or config.epochs * self.steps_per_epoch
        self.epochs = -(-self.steps // self.steps_per_epoch)
        schedule = config.schedule
        self.plateau = schedule.start(config.rule.lr) if isinstance(schedule, ReduceOnPlateau) else None
        self.schedule: Schedule | None = None
        if schedule is not None and self.plateau is None:
            self.schedule = schedule.over(self.steps if schedule.per == "step" else self.epochs)

    # --- for callbacks ------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """Make this epoch the last."""
        self.stopped = reason

    def need(self, curve: str) -> None:
        """Refuse to watch a curve that this run will not have.

        Raises:
            ConfigError: it will not.
        """
        if curve not in self.curves:
            raise ConfigError(f"there will be no curve {curve!r} to watch; this run has {', '.join(self.curves)}")

    @property
    def curves(self) -> list[str]:
        """The names of the curves by epoch."""
        held = [] if self.val is None else ["val_loss", "val_accuracy"][: 2 if self.loss == "cross_entropy" else 1]
        return ["train_loss", *held, "lr"]

    # --- running ------------------------------------------------------------------------------------------------------

    def claim(self, held: ExitStack, *locked: Path) -> None:
        """Take the places that callbacks write to, for as long as ``held`` is open; then all of them may refuse.

        ``locked`` are lock files that the caller has taken.

        Raises:
            StorageError: another run is at work there.
            ConfigError: two callbacks write to one place; or what a callback refuses.
        """
        taken: set[Path] = set()
        before = {_place(lock) for lock in locked}
        for callback in self.callbacks:
            for lock, what in callback.locks().items():
                if (place := _place(lock)) in taken:
                    raise ConfigError(f"two callbacks write to {what}; give each a place of its own")
                taken.add(place)
                if place not in before:
                    held.enter_context(exclusive(lock, what))
        for callback in self.callbacks:
            callback.check(self)

    def run(self) -> History:
        """Train to the end, or until something ends it; `fit` says what comes back."""
        history = self.history
        finishing = "this epoch and saving" if any(callback.saves for callback in self.callbacks) else "this epoch"
        with (
            Interrupts(finishing) as interrupts,
            ExitStack() as ends,
        ):  # every callback that began gets its end, whatever fails
            try:
                for callback in sorted(self.callbacks, key=lambda callback: type(callback).locks is not Callback.locks):
                    callback.on_start(self)
                    ends.callback(callback.on_end, self)
                while self.step < self.steps and self.stopped is None and interrupts.asked is None:
                    self.midway = True
                    self._one_epoch()
                    for callback in self.callbacks:
                        callback.on_epoch(self)
                    self.midway = False
                history.status, history.reason = "finished" if self.stopped is None else "stopped", self.stopped or ""
                if interrupts.asked is not None:
                    history.status, history.reason = "interrupted", signal.Signals(interrupts.asked).name
            except NonFiniteError as error:
                history.status, history.reason = "diverged", f"epoch {self.epoch + 1}, {error}"
            except (KeyboardInterrupt, SystemExit):
                history.status, history.reason = "interrupted", "at once"
                raise
            except BaseException as error:
                history.status, history.reason = "failed", f"{type(error).__name__}: {error}"
                raise
        if interrupts.asked is not None:
            leave(interrupts.asked)
        return self.history

    def _one_epoch(self) -> None:
        began = time.perf_counter()
        order = self.train.rows[shuffled(len(self.train), self.config.seed, ORDER, self.epoch)]
        steps = min(self.steps_per_epoch, self.steps - self.step)
        rows = order[: min(self._rows, steps * self.config.batch_size)]
        rates = self._rates(steps)
        records: list[dict[str, np.ndarray]] = []  # an epoch that a signal ends leaves none of its steps in the history
        try:
            for record, _ in self._batches(rows, rates):
                records.append(record)
        except NonFiniteError as error:
            done = self._add_steps([*records, error.record], rates)
            nothing = dict.fromkeys(self.curves, np.nan) | {"lr": float(rates[done - 1])}
            self.history.add_epoch(nothing, time.perf_counter() - began)
            raise
        self._add_steps(records, rates)
        self.epoch, self.step = self.epoch + 1, self.step + steps
        values = {"train_loss": float(np.concatenate([record["loss"] for record in records]).mean())}
        if self.val is not None:
            held = score(self.model, self.val, self.loss)
            values["val_loss"] = held.loss
            if held.accuracy is not None:
                values["val_accuracy"] = held.accuracy
        values["lr"] = float(rates[-1])
        if self.plateau is not None:
            self.optimizer.lr = self.plateau.update(values.get("val_loss", values["train_loss"]))
        self.history.add_epoch(values, time.perf_counter() - began)

    def _add_steps(self, records: list[dict[str, np.ndarray]], rates: np.ndarray) -> int:
        """Write the steps of an epoch into the history; how many there are."""
        done = 0
        for record in records:
            taken = len(record["loss"])
            self.history.add_steps({**record, "lr": rates[done : done + taken]})
            done += taken
        return done

    def _rates(self, steps: int) -> np.ndarray:
        """The learning rate of each step of this epoch."""
        if self.schedule is None:
            return np.full(steps, self.optimizer.lr)
        if self.schedule.per == "epoch":
            return np.full(steps, self.schedule(self.epoch, self.config.rule.lr))
        return self.schedule.rates(steps, self.config.rule.lr, self.step)

    def _batches(self, rows: np.ndarray, rates: np.ndarray) -> Any:
        """Train on these rows: in one go, or chunk by chunk where pictures are changed first."""
        data, augment = self.train.data, self.config.augment
        if augment is None:
            yield self.engine.epoch(data.x, data.y, rows, rates), rates
            return
        generator, size = augment.generator(self.config.seed, self.epoch), CHUNK * self.config.batch_size
        for i in range(0, len(rows), size):
            some = rows[i : i + size]
            part = rates[i // self.config.batch_size :][: -(-len(some) // self.config.batch_size)]
            pictures = augment(data.x[some], data.image, generator)
            yield self.engine.epoch(pictures, data.y[some], None, part), part

    # --- resuming -----------------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything that `restore` needs to go on bit for bit: arrays, and values for JSON."""
        optimizer = self.optimizer.state_dict()
        arrays = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        arrays["optimizer/controls"] = optimizer["controls"]
        arrays |= {f"optimizer/slots/{name}": value for name, value in optimizer["slots"].items()}
        arrays |= {f"history/{name}": value for name, value in self.history.state().items()}
        for name, callback in self._named():
            arrays |= {f"callbacks/{name}/{key}": value for key, value in callback.state_dict().items()}
        return arrays, {
            "epoch": self.epoch,
            "step": self.step,
            "stopped": self.stopped,
            "config": self.config.to_dict(),
            "data": {name: _digest(part) for name, part in (("train", self.train), ("val", self.val))},
            "model": self._made,
            "parameters": optimizer["parameters"],
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
            "callbacks": {name: callback.settings() for name, callback in self._named()},
        }

    def restore(self, arrays: dict[str, np.ndarray], rest: dict[str, Any]) -> None:
        """Take over a `state`, except for the model's, which the run was made with.

        Raises:
            ConfigError: it is of other data.
        """
        for name, part in (("train", self.train), ("val", self.val)):
            if rest["data"][name] != _digest(part):
                raise ConfigError(f"the run had other data as {name}; give the same rows, standardised alike")
        optimizer = self.optimizer.state_dict()
        optimizer["parameters"] = rest.get("parameters", optimizer["parameters"])  # older runs have none
        optimizer |= {"controls": arrays["optimizer/controls"], "slots": under("optimizer/slots/", arrays)}
        self.optimizer.load_state_dict(optimizer)
        self.history.restore(under("history/", arrays))
        self.epoch, self.step, self.stopped = rest["epoch"], rest["step"], rest["stopped"]
        lengths = {len(curve) for curve in self.history.values()}, {len(curve) for curve in self.history.steps.values()}
        names = {"loss", "lr", *(NORMS if self.config.norms else ())}
        if lengths != ({self.epoch}, {self.step}) or [*self.history] != self.curves or {*self.history.steps} != names:
            raise ConfigError(f"the run's curves are not those of {self.epoch} epochs and {self.step} steps")
        if self.plateau is not None:
            self.plateau.load_state_dict(rest["plateau"])
        left = {name.partition("/")[0] for name in under("callbacks/", arrays)}
        for name, callback in self._named():
            if name in left:
                left.remove(name)
                callback.load_state_dict(under(f"callbacks/{name}/", arrays))
        if left:
            streams.warn(f"the run had callbacks that are not given again: {', '.join(sorted(left))}", stacklevel=4)

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """Each callback with its class and its number among those of the class."""
        count: Counter[str] = Counter()
        for callback in self.callbacks:
            kind = type(callback).__name__
            yield f"{kind}-{count[kind]}", callback
            count[kind] += 1

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _chosen(self) -> tuple[Engine, str]:
        """The engine, and why it is not the machine."""
        config, scaler = self.config, self.train.scaler
        options: dict[str, Any] = {
            "batch_size": config.batch_size,
            "loss": self.loss,
            "label_smoothing": config.label_smoothing,
            "class_weights": config.class_weights,
            "l1": config.l1,
            "l2": config.l2,
            "scaler": None if scaler is None else (scaler.shift, scaler.scale, scaler.rest),
        }
        if config.engine == "tape":
            return Tape(self.model, self.optimizer, **options), "as asked for"
        try:
            return Machine(self.model, self.optimizer, **options), ""
        except Unplannable as reason:
            if config.engine == "machine":
                raise ConfigError(f'{reason}; engine="auto" trains on the tape then') from None
            return Tape(self.model, self.optimizer, **options), str(reason)

    def _check(self) -> None:
        """Refuse what can't work before anything is changed."""
        if not any(p.requires_grad for p in self.model.parameters()):
            raise ConfigError("the model has nothing to train; unfreeze() a part of it")
        for name, part in (("train", self.train), ("val", self.val)):
            if part is not None:
                check(name, part, self.model, self.loss)
        if self.val is not None:
            ours, theirs = self.train.data.classes, self.val.data.classes
            common = min(len(ours), len(theirs))
            if ours[:common] != theirs[:common]:
                raise ConfigError(f"train has the classes {', '.join(ours)}, but val {', '.join(theirs)}")
        config = self.config
        if self.loss == "mse" and (config.label_smoothing or config.class_weights is not None):
            raise ConfigError("label_smoothing and class_weights belong to cross_entropy, not to loss='mse'")
        if isinstance(config.schedule, ReduceOnPlateau) and config.schedule.mode == "max":
            raise ConfigError('fit lowers the rate by a loss, which is the better the lower: mode="min"')
        if config.augment is not None and self.train.data.image is None:
            raise ConfigError("train has no pictures to augment: data.image is None")
        if self._has_batch_norm() and min(config.batch_size, len(self.train)) < 2:
            raise ConfigError("batch normalisation needs batches of at least two rows: one has no variance")

    def _has_batch_norm(self) -> bool:
        return any(isinstance(layer, BatchNorm1d) for layer in self.model.modules())


def _place(lock: Path) -> Path:
    """Return one name for a file, however it is reached."""
    return lock.parent.resolve() / lock.name


def _digest(part: Part | None) -> str | None:
    """Of what a part shows, in which order."""
    if part is None:
        return None
    sha = hashlib.sha256(part.data.digest.encode() + part.rows.tobytes())
    if part.scaler is not None:
        scaler = part.scaler
        sha.update(
            b"".join(numbers.tobytes() for numbers in (scaler.shift, scaler.scale, scaler.rest) if numbers is not None)
        )
    return sha.hexdigest()


def under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def same(model: Module, description: list[str]) -> None:
    """Refuse a model that is not made like the one of a saved run.

    Raises:
        ConfigError: with the first difference.
    """
    for ours, theirs in zip_longest(described(model), description, fillvalue="nothing"):
        if ours != theirs:
            raise ConfigError(f"the model is not made like that of the run: {ours} where that had {theirs}")


def described(model: Module) -> list[str]:
    """Each module with its options, and each parameter: what a run that goes on bit for bit must have again."""
    lines = []
    for module in model.modules():
        options = {k: v for k, v in vars(module).items() if isinstance(v, int | float | str)}
        shown = ", ".join(f"{k}={v!r}" for k, v in options.items() if k not in ("training", "frozen"))
        lines.append(f"{type(module).__name__}({shown})" + " frozen" * module.frozen)
    for name, p in model.named_parameters():
        lines.append(f"{name} {p.shape} {p.dtype}" + " frozen" * (not p.requires_grad))
    return lines
