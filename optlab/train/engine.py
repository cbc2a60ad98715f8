"""What both ways to train share: the loss, the checks of a batch's source, the record of an epoch."""

import weakref
from typing import Any, ClassVar

import numpy as np

from optlab.checks import check_count, finite
from optlab.errors import ConfigError, DataError, NonFiniteError
from optlab.interrupt import Pace
from optlab.nn.functional import as_labels, as_weights
from optlab.nn.layers import BatchNorm1d
from optlab.nn.module import Module
from optlab.optim.optimizer import Optimizer
from optlab_kernels.machine import LOGGED, LOSS, NORMS
from optlab_kernels.reductions import all_finite

LOSSES = ("cross_entropy", "mse")
FIRST_NUMBERS = 1 << 20  # read in the first compiled call, about 0.1 ms
Scaler = tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, np.ndarray | None]


class Engine:
    """Runs epochs of training. `Machine` does it in a few compiled calls, `Tape` operation by operation.

    Args:
        model: in training mode.
        optimizer: over the model's parameters; its clipping, policy and groups hold.
        batch_size: rows per step; the last step of an epoch takes what is left.
        loss: ``"cross_entropy"`` (integer labels) or ``"mse"`` (targets of the output's width).
        label_smoothing, class_weights: as in `nn.cross_entropy`.
        l1, l2: as `nn.l1_penalty` and `nn.l2_penalty` over all parameters of the optimizer.
        scaler: (shift, scale), (inputs,) each: every batch is turned into (x - shift) scale first; with a third, the
            rest of the shift, into (x - shift - rest) scale.

    Raises:
        ConfigError: an option outside its range.
    """

    name: ClassVar[str]

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        *,
        batch_size: int = 32,
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        scaler: Scaler | None = None,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.batch_size = check_count("batch_size", batch_size, 1)
        smoothing, *penalties = (finite(value) for value in (label_smoothing, l1, l2))
        if smoothing is None or not 0.0 <= smoothing <= 1.0 or any(p is None or p < 0.0 for p in penalties):
            raise ConfigError(
                f"label_smoothing must be in [0, 1], l1 and l2 finite and >= 0, got {label_smoothing!r}, {l1!r}, {l2!r}"
            )
        self.label_smoothing, self.l1, self.l2 = smoothing, float(l1), float(l2)
        self.inputs, self.outputs = widths(model)
        self._dtype = optimizer.arena.array.dtype
        self.class_weights = None if class_weights is None else as_weights(class_weights, self.outputs, self._dtype)
        self.scaler = scaler
        self.scaling = [] if scaler is None else self._scaling(*scaler)
        self._norms = [layer for layer in model.modules() if isinstance(layer, BatchNorm1d)]
        self._finite: dict[str, weakref.ref[np.ndarray]] = {}  # the arrays that were last found to be finite

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is made anew over the copies of model and optimizer, which hold all that lasts from epoch to epoch."""
        names = ("batch_size", "loss", "label_smoothing", "class_weights", "l1", "l2", "scaler")
        return _made, (type(self), self.model, self.optimizer, {name: getattr(self, name) for name in names})

    def epoch(self, x: Any, y: Any, order: Any = None, rates: Any = None) -> dict[str, np.ndarray]:
        """Train on the rows ``order`` (all in order if None) of ``x`` (n, inputs) and ``y``; one entry per step.

        Returns ``loss`` and, with ``Optimizer(norms=True)``, the norms ``gradient``, ``update`` and ``parameter``.
        ``rates`` is a learning rate per step.

        Raises:
            ConfigError: shapes, labels or dtypes do not fit; nothing is changed then.
            DataError: NaN or infinite values in ``x`` or ``y`` (which row and column); nothing is changed then.
            NonFiniteError: under the optimizer's policy ``"raise"``; the steps before it were taken.
        """
        data, labels, targets, rows = self._checked(x, y, order)
        steps = -(-len(rows) // self.batch_size)
        schedule = np.zeros(0) if rates is None else np.ascontiguousarray(rates, np.float64)
        if schedule.shape not in ((0,), (steps,)):
            raise ConfigError(f"an epoch of {steps} steps needs {steps} rates, got {schedule.size}")
        if not (np.isfinite(schedule).all() and (schedule >= 0.0).all()):
            raise ConfigError("learning rates are finite and >= 0")
        if self._norms and steps and (len(rows) - 1) % self.batch_size == 0:
            raise ConfigError("the last batch would have one row, which has no variance; leave it out of the order")
        if not self.model.training:
            raise ConfigError("the model is in eval mode; call model.train() first")
        if self.optimizer._released:
            raise ConfigError("these parameters belong to a newer Optimizer; train with that one")
        log = np.full((steps, LOGGED), np.nan)
        done = self._run(data, labels, targets, rows, schedule, log)
        if done < steps:
            error = NonFiniteError(self.optimizer._complaint())
            error.record = self._record(log[: done + 1])
            raise error
        return self._record(log)

    def _record(self, log: np.ndarray) -> dict[str, np.ndarray]:
        record = {"loss": log[:, LOSS]}
        if self.optimizer._with_norms:
            names = ("gradient", "update", "parameter")
            record |= {name: log[:, NORMS + i] for i, name in enumerate(names)}
        return record

    def _run(
        self,
        data: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        rows: np.ndarray,
        rates: np.ndarray,
        log: np.ndarray,
    ) -> int:
        """Fill the log; the number of steps done, less than it is long if a gradient was refused."""
        raise NotImplementedError

    def _scaling(self, shift: Any, scale: Any, rest: Any = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """What is subtracted and then multiplied, one after the other."""
        steps = [(shift, scale)] if rest is None else [(shift, np.ones(self.inputs)), (rest, scale)]
        return [(self._per_feature(less), self._per_feature(times)) for less, times in steps]

    def _per_feature(self, numbers: Any) -> np.ndarray:
        array = np.asarray(numbers, self._dtype)
        if array.shape != (self.inputs,) or not np.isfinite(array).all():
            raise ConfigError(f"a scaler has {self.inputs} finite numbers, one per feature, got shape {array.shape}")
        return array

    def _checked(self, x: Any, y: Any, order: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        data = np.asarray(x)
        if data.ndim != 2 or data.shape[1] != self.inputs:
            raise ConfigError(f"x must have shape (n, {self.inputs}), got {data.shape}")
        if data.dtype != self._dtype:
            raise ConfigError(f"x is {data.dtype}, the model {self._dtype}; convert one: x.astype(...)")
        self._refuse_what_is_not_finite("x", data)
        data = plain(data)
        n = len(data)
        rows = np.arange(n) if order is None else np.ascontiguousarray(order, np.int64)
        if rows.ndim != 1 or (rows.size and not (rows.min() >= 0 and rows.max() < n)):
            raise ConfigError(f"order must be row numbers from 0 to {n - 1}")
        if self.loss == "mse":
            targets = np.asarray(y, self._dtype)
            if targets.shape != (n, self.outputs):
                raise ConfigError(f"y must have shape ({n}, {self.outputs}), got {np.shape(y)}")
            self._refuse_what_is_not_finite("y", targets)
            return data, np.zeros(0, np.int64), plain(targets), rows
        labels = as_labels(y, n, self.outputs) if n else np.zeros(0, np.int64)
        return data, plain(labels), np.zeros((0, 0), self._dtype), rows

    def _refuse_what_is_not_finite(self, name: str, data: np.ndarray) -> None:
        """Once per array: a reading of the whole data set in every epoch would cost a twentieth of it."""
        seen = self._finite.get(name)
        if seen is None or seen() is not data:
            refuse(name, data)
            self._finite[name] = weakref.ref(data)


def _made(kind: type[Engine], model: Module, optimizer: Optimizer, options: dict[str, Any]) -> Engine:
    return kind(model, optimizer, **options)


def refuse(name: str, data: np.ndarray) -> None:
    """Refuse values that are not finite.

    Raises:
        DataError: with the first row and column that has one.
    """
    table = plain(data)
    with np.errstate(all="ignore"):  # with the JIT off, 0 x infinity would warn
        flat = table.reshape(1, -1)
        fine = all(all_finite(flat, 0, first, end) for first, end in Pace(FIRST_NUMBERS).pieces(table.size))
    if not fine:
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        value, count = table[row, column], int((~np.isfinite(table)).any(1).sum())
        raise DataError(
            f"{name} has {value} in row {row}, column {column} ({count} of {len(table)} rows are not finite); "
            "mend or drop them: X[np.isfinite(X).all(axis=1)]"
        )


def plain(array: np.ndarray) -> np.ndarray:
    """The array itself where it is contiguous and writable, the one kind that compiled code is compiled for."""
    return array if array.flags.c_contiguous and array.flags.writeable else np.array(array, order="C")


def widths(model: Module) -> tuple[int, int]:
    """How many features a model takes and gives: the shapes of its first and last matrix.

    Raises:
        ConfigError: it has none.
    """
    matrices = [p for p in model.parameters() if p.ndim == 2]
    if not matrices:
        raise ConfigError(f"{model!r} has no linear layer to train")
    return matrices[0].shape[0], matrices[-1].shape[1]
