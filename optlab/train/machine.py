"""The compiled way to train: a model, an optimizer and a loss bound to a plan, run for many steps at a time."""

from typing import Any, ClassVar

import numpy as np

from optlab.errors import ConfigError
from optlab.interrupt import Pace
from optlab.nn.module import Module
from optlab.optim.arena import aligned
from optlab.optim.optimizer import POLICIES, Optimizer
from optlab.train.engine import Engine
from optlab.train.plan import trace
from optlab_kernels.machine import NORMS, first_class, machine


class Machine(Engine):
    """Runs epochs of training in few compiled calls each, bit for bit as the `Tape` would; arguments as in `Engine`.

    A signal is handled between two calls, about 50 ms apart; the steps taken by then are all counted.

    Raises:
        Unplannable: the machine does not know a layer or the loss, or the optimizer does not hold a parameter; train on
            the tape then.
        ConfigError: an option outside its range.
    """

    name: ClassVar[str] = "machine"

    def __init__(self, model: Module, optimizer: Optimizer, **options: Any) -> None:
        super().__init__(model, optimizer, **options)
        self.plan = trace(
            model,
            optimizer,
            self.batch_size,
            self.loss,
            label_smoothing=self.label_smoothing,
            l1=self.l1,
            l2=self.l2,
            class_weights=self.class_weights,
            scaling=self.scaling,
        )
        self._work = aligned(1, self.plan.size, self._dtype)[0]
        for at, numbers in self.plan.fixed:
            self._work[at : at + numbers.size] = numbers
        self._machine = machine(self._dtype)
        self._step = first_class(optimizer.rule, self._dtype, optimizer._with_norms)
        self._limits = np.array([optimizer.clip_value or 0.0, optimizer.clip_norm or 0.0, optimizer._sign])
        self._policy = POLICIES.index(optimizer.nonfinite)
        self._pace = Pace()

    def _run(
        self,
        data: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        rows: np.ndarray,
        rates: np.ndarray,
        log: np.ndarray,
    ) -> int:
        if len({int(drop.calls) for drop in self.plan.drops}) > 1:
            raise ConfigError("the dropout layers were called differently often; the machine counts for all of them")
        for layer, at in self.plan.norms:
            self._work[at : at + 2 * layer.gamma.size] = np.concatenate([layer.running_mean, layer.running_variance])
        calls = int(self.plan.drops[0].calls) if self.plan.drops else 0
        place = np.zeros(1, np.int64)
        try:
            with np.errstate(all="ignore"):  # with the JIT off, divergence and hashing would warn
                for _, until in self._pace.pieces(len(log)):
                    self._machine(
                        self._step, self.plan.rows, self.plan.constants, self.optimizer.arena.array,
                        self.optimizer._controls, self._work, data, labels, targets, rows, self.batch_size, calls,
                        rates, self._limits, self._policy, log, place, until,
                    )  # fmt: skip
                    if place[0] < until:
                        break
        finally:
            self._take_over(log[: place[0]])
        return int(place[0])

    def _take_over(self, log: np.ndarray) -> None:
        """Bring to the layers and the optimizer what the steps of ``log`` changed in the machine's memory."""
        self.optimizer._changed()
        for layer, at in self.plan.norms:
            width = layer.gamma.size
            layer.running_mean[:], layer.running_variance[:] = self._work[at : at + 2 * width].reshape(2, width)
        for drop in self.plan.drops:
            drop.calls += len(log)
        self.optimizer.skipped += int(np.isnan(log[:, NORMS]).sum()) if self.optimizer.nonfinite == "skip" else 0
