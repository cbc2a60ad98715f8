"""One training run: model, optimizer, engine and history, epoch after epoch; what callbacks see and resumes restore."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from optlab.data.dataset import Part
from optlab.data.splits import ORDER, generator
from optlab.errors import ConfigError, NonFiniteError
from optlab.nn.layers import BatchNorm1d
from optlab.nn.module import Module
from optlab.optim.optimizer import Optimizer
from optlab.schedules import ReduceOnPlateau, Schedule
from optlab.train.callbacks import Callback
from optlab.train.config import Config
from optlab.train.engine import Engine
from optlab.train.evaluate import default_loss, score
from optlab.train.history import History
from optlab.train.interrupt import Interrupts, leave
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
    """

    def __init__(
        self, model: Module, train: Part, val: Part | None, config: Config, callbacks: Sequence[Callback] = ()
    ) -> None:
        self.model, self.train, self.val, self.config = model, train, val, config
        self.callbacks = sorted(callbacks, key=lambda callback: callback.saves)
        self.loss = config.loss or default_loss(train)
        for name, part in (("train", train), ("val", val)):
            self._fits(name, part)
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
        rows, batch = len(train), config.batch_size
        if any(isinstance(layer, BatchNorm1d) for layer in model.modules()) and rows % batch == 1:
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

    def run(self) -> History:
        """Train to the end, or until something ends it; `fit` says what comes back."""
        for callback in self.callbacks:
            callback.on_start(self)
        self.history.status = "running"
        with Interrupts() as interrupts:
            try:
                while self.step < self.steps and self.stopped is None and interrupts.asked is None:
                    self._one_epoch()
                    for callback in self.callbacks:
                        callback.on_epoch(self)
                self.history.status = "finished" if self.stopped is None else "stopped"
                self.history.reason = self.stopped or ""
                if interrupts.asked is not None:
                    self.history.status = "interrupted"
            except NonFiniteError as error:
                self.history.status = "diverged"
                self.history.reason = f"epoch {self.epoch + 1}, {error}"
            except BaseException as error:
                self.history.status, self.history.reason = "failed", f"{type(error).__name__}: {error}"
                raise
            finally:
                for callback in reversed(self.callbacks):
                    callback.on_end(self)
        if interrupts.asked is not None:
            leave(interrupts.asked)
        return self.history

    def _one_epoch(self) -> None:
        began = time.perf_counter()
        order = self.train.rows[generator(self.config.seed, ORDER, self.epoch).permutation(len(self.train))]
        steps = min(self.steps_per_epoch, self.steps - self.step)
        rows = order[: min(self._rows, steps * self.config.batch_size)]
        rates = self._rates(steps)
        losses: list[np.ndarray] = []
        try:
            for record, some in self._batches(rows, rates):
                self.history.add_steps({**record, "lr": some})
                losses.append(record["loss"])
        except NonFiniteError as error:
            done = len(error.record["loss"])
            at = sum(map(len, losses))
            self.history.add_steps({**error.record, "lr": rates[at : at + done]})
            nothing = dict.fromkeys(self.curves, np.nan) | {"lr": float(rates[at + done - 1])}
            self.history.add_epoch(nothing, time.perf_counter() - began)
            raise
        self.epoch, self.step = self.epoch + 1, self.step + steps
        values = {"train_loss": float(np.concatenate(losses).mean())}
        if self.val is not None:
            held = score(self.model, self.val, self.loss)
            values["val_loss"] = held.loss
            if held.accuracy is not None:
                values["val_accuracy"] = held.accuracy
        values["lr"] = float(rates[-1])
        if self.plateau is not None:
            self.optimizer.lr = self.plateau.update(values.get("val_loss", values["train_loss"]))
        self.history.add_epoch(values, time.perf_counter() - began)

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
            "config": self.config.to_dict(),
            "rows": self._fingerprint(),
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
        }

    def restore(self, arrays: dict[str, np.ndarray], rest: dict[str, Any]) -> None:
        """Take over a `state`, except for the model's, which the run was made with.

        Raises:
            ConfigError: it is of other training rows, or of another optimizer.
        """
        if rest["rows"] != self._fingerprint():
            raise ConfigError("the run that is resumed was trained on other rows; give the same split of the same data")
        optimizer = self.optimizer.state_dict()
        optimizer |= {"controls": arrays["optimizer/controls"], "slots": under("optimizer/slots/", arrays)}
        self.optimizer.load_state_dict(optimizer)
        self.history.restore(under("history/", arrays))
        self.epoch, self.step = rest["epoch"], rest["step"]
        if self.plateau is not None:
            self.plateau.load_state_dict(rest["plateau"])
        for name, callback in self._named():
            state = under(f"callbacks/{name}/", arrays)
            if state:
                callback.load_state_dict(state)

    def _named(self) -> Iterator[tuple[str, Callback]]:
        """Each callback with its class and its number among those of the class."""
        count: Counter[str] = Counter()
        for callback in self.callbacks:
            kind = type(callback).__name__
            yield f"{kind}-{count[kind]}", callback
            count[kind] += 1

    def _fingerprint(self) -> str:
        """Of which rows, with which labels, in which order; their features are not read."""
        labels = self.train.data.y[self.train.rows]
        return hashlib.sha256(self.train.rows.tobytes() + np.ascontiguousarray(labels).tobytes()).hexdigest()

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
            "scaler": None if scaler is None else (scaler.shift, scaler.scale),
        }
        if config.engine == "tape":
            return Tape(self.model, self.optimizer, **options), "as asked for"
        try:
            return Machine(self.model, self.optimizer, **options), ""
        except Unplannable as reason:
            if config.engine == "machine":
                raise ConfigError(f'{reason}; engine="auto" trains on the tape then') from None
            return Tape(self.model, self.optimizer, **options), str(reason)

    def _fits(self, name: str, part: Part | None) -> None:
        if part is None:
            return
        if not len(part):
            raise ConfigError(f"{name} has no rows")
        if bool(part.data.classes) != (self.loss == "cross_entropy"):
            kind = "classes" if part.data.classes else "float targets"
            raise ConfigError(f"{name} has {kind}, which do not go with loss={self.loss!r}")
        dtype = self.model.parameters()[0].dtype
        if part.data.x.dtype != dtype:
            raise ConfigError(
                f"{name} is {part.data.x.dtype}, the model {dtype}; make one of both alike: data.astype({str(dtype)!r})"
            )
        if self.config.augment is not None and part.data.image is None:
            raise ConfigError(f"{name} has no pictures to augment: data.image is None")


def under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
