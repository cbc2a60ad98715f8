"""The compiled way to train: a model, an optimizer and a loss bound to a plan, run for an epoch at a time."""

from typing import Any

import numpy as np

from optlab.errors import ConfigError, NonFiniteError
from optlab.nn.functional import as_labels
from optlab.nn.module import Module
from optlab.optim.arena import aligned
from optlab.optim.optimizer import POLICIES, Optimizer
from optlab.train.plan import trace
from optlab_kernels.machine import LOGGED, LOSS, NORMS, first_class, machine


class Machine:
    """Runs epochs of training in one compiled call each, bit for bit as the tape would.

    Args:
        model: a `Sequential` (an `MLP`) of the layers in `optlab.nn`.
        optimizer: over all of the model's parameters; its clipping, policy and groups hold.
        batch_size: rows per step; the last step of an epoch takes what is left.
        loss: ``"cross_entropy"`` (integer labels) or ``"mse"`` (targets of the output's width).
        label_smoothing, l1, l2: as `nn.cross_entropy`, `nn.l1_penalty` and `nn.l2_penalty` over all parameters.

    Raises:
        Unplannable: the machine does not know a layer or the loss; train on the tape then.
        ConfigError: parameters of the model that the optimizer does not hold.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        *,
        batch_size: int = 32,
        loss: str = "cross_entropy",
        label_smoothing: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ConfigError(f"batch_size is a whole number >= 1, got {batch_size!r}")
        if not (0.0 <= label_smoothing <= 1.0 and 0.0 <= l1 < np.inf and 0.0 <= l2 < np.inf):
            raise ConfigError(
                f"label_smoothing must be in [0, 1], l1 and l2 finite and >= 0, got {label_smoothing!r}, {l1!r}, {l2!r}"
            )
        self.model, self.optimizer, self.batch_size, self.loss = model, optimizer, int(batch_size), loss
        penalties = {"label_smoothing": label_smoothing, "l1": l1, "l2": l2}
        self.plan = trace(model, optimizer, self.batch_size, loss, **penalties)
        dtype = optimizer.arena.array.dtype
        self._dtype = dtype
        self._work = aligned(1, self.plan.size, dtype)[0]
        self._run = machine(dtype)
        self._step = first_class(optimizer.settings.variant, dtype, optimizer._with_norms)
        self._limits = np.array([optimizer.clip_value or 0.0, optimizer.clip_norm or 0.0, optimizer._sign])
        self._policy = POLICIES.index(optimizer.nonfinite)

    def epoch(self, x: Any, y: Any, order: Any = None, rates: Any = None) -> dict[str, np.ndarray]:
        """Train on the rows ``order`` (all in order if None) of ``x`` (n, inputs) and ``y``; one entry per step.

        Returns ``loss`` and, with ``Optimizer(norms=True)``, the norms ``gradient``, ``update`` and ``parameter``.
        ``rates`` is a learning rate per step.

        Raises:
            ConfigError: shapes, labels or dtypes do not fit; nothing is changed then.
            NonFiniteError: under the optimizer's policy ``"raise"``; the steps before it were taken.
        """
        data, labels, targets, rows = self._checked(x, y, order)
        steps = -(-len(rows) // self.batch_size)
        schedule = np.zeros(0) if rates is None else np.ascontiguousarray(rates, np.float64)
        if schedule.size not in (0, steps):
            raise ConfigError(f"an epoch of {steps} steps needs {steps} rates, got {schedule.size}")
        if self.plan.norms and steps and (len(rows) - 1) % self.batch_size == 0:
            raise ConfigError("the last batch would have one row, which has no variance; leave it out of the order")
        if len({int(drop.calls) for drop in self.plan.drops}) > 1:
            raise ConfigError("the dropout layers were called differently often; the machine counts for all of them")
        if self.optimizer._released:
            raise ConfigError("these parameters belong to a newer Optimizer; make a Machine with that one")
        for layer, at in self.plan.norms:
            self._work[at : at + 2 * layer.gamma.size] = np.concatenate([layer.running_mean, layer.running_variance])
        calls = int(self.plan.drops[0].calls) if self.plan.drops else 0
        log = np.empty((steps, LOGGED))
        with np.errstate(all="ignore"):  # with the JIT off, divergence and hashing would warn
            done = self._run(
                self._step, self.plan.rows, self.plan.constants, self.optimizer.arena.array, self.optimizer._controls,
                self._work, data, labels, targets, rows, self.batch_size, calls, schedule, self._limits, self._policy,
                log,
            )  # fmt: skip
        self.optimizer._changed()
        for layer, at in self.plan.norms:
            width = layer.gamma.size
            layer.running_mean[:], layer.running_variance[:] = self._work[at : at + 2 * width].reshape(2, width)
        for drop in self.plan.drops:
            drop.calls += done
        if done < steps:
            raise NonFiniteError(f"step {done} of the epoch: {self.optimizer._complaint()}")
        self.optimizer.skipped += int(np.isnan(log[:, NORMS]).sum()) if self.optimizer.nonfinite == "skip" else 0
        record = {"loss": log[:, LOSS]}
        if self.optimizer._with_norms:
            names = ("gradient", "update", "parameter")
            record |= {name: log[:, NORMS + i] for i, name in enumerate(names)}
        return record

    def _checked(self, x: Any, y: Any, order: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        data = np.asarray(x)
        if data.ndim != 2 or data.shape[1] != self.plan.inputs:
            raise ConfigError(f"x must have shape (n, {self.plan.inputs}), got {data.shape}")
        if data.dtype != self._dtype:
            raise ConfigError(f"x is {data.dtype}, the model {self._dtype}; convert one: x.astype(...)")
        if not data.flags.c_contiguous or not data.flags.writeable:
            data = np.array(data)
        n = len(data)
        rows = np.arange(n) if order is None else np.ascontiguousarray(order, np.int64)
        if rows.ndim != 1 or (rows.size and not (rows.min() >= 0 and rows.max() < n)):
            raise ConfigError(f"order must be row numbers from 0 to {n - 1}")
        if self.loss == "mse":
            targets = np.array(y, self._dtype, ndmin=2)
            if targets.shape != (n, self.plan.outputs):
                raise ConfigError(f"y must have shape ({n}, {self.plan.outputs}), got {np.shape(y)}")
            return data, np.zeros(0, np.int64), np.ascontiguousarray(targets), rows
        labels = as_labels(y, n, self.plan.outputs) if n else np.zeros(0, np.int64)
        if not labels.flags.c_contiguous or not labels.flags.writeable:
            labels = np.array(labels)
        return data, labels, np.zeros((0, 0), self._dtype), rows
