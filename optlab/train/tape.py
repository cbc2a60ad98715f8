"""The eager way to train: the loop by hand, for whatever the machine does not know, and to read."""

from typing import ClassVar

import numpy as np

from optlab import nn
from optlab.autograd.tensor import Tensor
from optlab.errors import ConfigError, NonFiniteError
from optlab.train.engine import LOSSES, Engine
from optlab_kernels.machine import LOSS, NORMS


class Tape(Engine):
    """Runs epochs of training operation by operation; arguments and results as in `Engine`."""

    name: ClassVar[str] = "tape"

    def _run(
        self,
        data: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        rows: np.ndarray,
        rates: np.ndarray,
        log: np.ndarray,
    ) -> int:
        optimizer, wanted = self.optimizer, targets if self.loss == "mse" else labels
        for s in range(len(log)):
            at = rows[s * self.batch_size : (s + 1) * self.batch_size]
            batch = data[at]
            for shift, scale in self.scaling:
                batch = (batch - shift) * scale
            optimizer.zero_grad()
            loss = self._penalised(self._loss(self.model(batch), wanted[at]))
            loss.backward()
            if rates.size:
                optimizer.lr = rates[s]
            skipped, log[s, LOSS] = optimizer.skipped, loss.item()
            try:
                optimizer.step()
            except NonFiniteError:
                return s
            if optimizer._with_norms and optimizer.skipped == skipped:
                log[s, NORMS:] = list(optimizer.norms.values())
        return len(log)

    def _loss(self, output: Tensor, wanted: np.ndarray) -> Tensor:
        if self.loss == "mse":
            return nn.mse(output, wanted)
        if self.loss != "cross_entropy":
            raise ConfigError(f"unknown loss {self.loss!r}; known: {', '.join(LOSSES)}")
        smoothing, weights = self.label_smoothing, self.class_weights
        return nn.cross_entropy(output, wanted, label_smoothing=smoothing, class_weights=weights)

    def _penalised(self, loss: Tensor) -> Tensor:
        if self.l1:
            loss = loss + nn.l1_penalty(self.optimizer.params, self.l1)
        if self.l2:
            loss = loss + nn.l2_penalty(self.optimizer.params, self.l2)
        return loss
