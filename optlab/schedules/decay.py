"""Rates that go down: by steps, exponentially, as 1/t, as a power."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from optlab.checks import whole
from optlab.errors import ConfigError
from optlab.schedules.schedule import Count, Factor, Rate, Schedule


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The base rate at every step.

    >>> import optlab as ol
    >>> ol.schedules.Constant().rates(3, lr=0.1).tolist()
    [0.1, 0.1, 0.1]
    """

    def _rate(self, t: int, lr: float) -> float:
        return lr


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """The rate times ``factor`` in (0, 1] every ``every`` >= 1 steps, without end.

    a_t = lr factor^floor(t / every)

    Source: cs231n, "Annealing the learning rate"; torch's ``StepLR``.

    >>> import optlab as ol
    >>> ol.schedules.StepDecay(every=5, factor=0.5)(14, lr=0.1)
    0.025
    """

    every: Count
    factor: Factor = 0.1

    def _rate(self, t: int, lr: float) -> float:
        return lr * self.factor ** (t // self.every)


@dataclass(frozen=True, repr=False)
class MultiStep(Schedule):
    """The rate times ``factor`` in (0, 1] at each of the steps ``milestones``, which ascend from 1 or more.

    a_t = lr factor^(number of milestones <= t)

    Source: torch's ``MultiStepLR``; Keras's ``PiecewiseConstantDecay`` changes one step later.

    >>> import optlab as ol
    >>> ol.schedules.MultiStep((30, 60)).rates(3, lr=1.0, start=29).tolist()
    [1.0, 0.1, 0.1]
    """

    milestones: tuple[int, ...]
    factor: Factor = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.milestones
        steps = [whole(m) or 0 for m in given] if isinstance(given, tuple | list | np.ndarray) else []
        if not steps or any(a >= b for a, b in zip((0, *steps), steps, strict=False)):
            raise ConfigError(f"MultiStep: milestones must be ascending steps such as (30, 60), got {given!r}")
        object.__setattr__(self, "milestones", tuple(steps))

    def _rate(self, t: int, lr: float) -> float:
        return lr * self.factor ** bisect_right(self.milestones, t)


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Schedule):
    """The rate times the same number at every step, without end; give ``factor`` in (0, 1] or ``k`` >= 0.

    a_t = lr factor^t = lr e^(-k t)

    Source: torch's ``ExponentialLR`` (``factor`` is its gamma); cs231n, "Annealing the learning rate" (``k``).

    >>> import optlab as ol
    >>> round(ol.schedules.ExponentialDecay(k=0.05)(10, lr=0.1), 7)
    0.0606531
    """

    factor: Factor | None = None
    k: Rate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.factor is None) == (self.k is None):
            raise ConfigError(f"ExponentialDecay takes either factor= or k=, got {self.factor!r} and {self.k!r}")

    def _rate(self, t: int, lr: float) -> float:
        return lr * (math.exp(-self.k * t) if self.k is not None else (self.factor or 1.0) ** t)


@dataclass(frozen=True, repr=False)
class InverseTime(Schedule):
    """The rate over a straight line, without end; ``k`` >= 0.

    a_t = lr / (1 + k t)

    Source: cs231n, "Annealing the learning rate" ("1/t decay"); Keras's ``InverseTimeDecay``, whose decay rate over
    decay steps is ``k``.

    >>> import optlab as ol
    >>> round(ol.schedules.InverseTime(k=0.05)(10, lr=0.1), 7)
    0.0666667
    """

    k: Rate

    def _rate(self, t: int, lr: float) -> float:
        return lr / (1.0 + self.k * t)


@dataclass(frozen=True, repr=False)
class Polynomial(Schedule):
    """From ``lr`` to ``min_lr`` (absolute) in ``steps`` as a power of what is left; ``min_lr`` from there on.

    a_t = min_lr + (lr - min_lr) (1 - t/steps)^power

    ``steps`` None is as long as the training; ``power`` > 0, 1 is a straight line.

    Source: torch's ``PolynomialLR`` (``min_lr`` 0); Keras's ``PolynomialDecay``.

    >>> import optlab as ol
    >>> ol.schedules.Polynomial(steps=4).rates(6, lr=0.2).tolist()
    [0.2, 0.15000000000000002, 0.1, 0.05, 0.0, 0.0]
    """

    steps: Count | None = None
    power: Annotated[float, "(0, inf)"] = 1.0
    min_lr: Rate = 0.0

    def _rate(self, t: int, lr: float) -> float:
        left = max(1.0 - t / (self.steps or 1), 0.0)
        return self.min_lr + (lr - self.min_lr) * math.pow(left, self.power)
