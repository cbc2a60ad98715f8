"""Half a cosine from the base rate to the lowest, once or again and again."""

import math
from dataclasses import dataclass

from optlab.errors import ConfigError
from optlab.schedules.schedule import Count, Rate, Schedule


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """From ``lr`` to ``min_lr`` (absolute) along half a cosine; ``min_lr`` from there on, or warm restarts.

    a_t = min_lr + (lr - min_lr) (1 + cos(pi t/T)) / 2

    Without ``period`` T is ``steps``, None for as long as the training. With it the curve starts again from ``lr``
    after ``period`` steps, then after ``mult`` times as many as the time before, without end; t counts from the
    last restart and T is the length of the present period.

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5; torch's ``CosineAnnealingLR`` (which climbs again after T)
    and ``CosineAnnealingWarmRestarts``.

    >>> import optlab as ol
    >>> round(ol.schedules.Cosine(steps=100)(25, lr=0.1), 7)
    0.0853553
    >>> ol.schedules.Cosine(period=10, mult=2).rates(3, lr=0.1, start=29).round(6).tolist()
    [0.000616, 0.1, 0.099846]
    """

    steps: Count | None = None
    min_lr: Rate = 0.0
    period: Count | None = None
    mult: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.period is not None and self.steps is not None:
            raise ConfigError("Cosine with a period never ends: give period= or steps=, not both")
        if self.period is None and self.mult != 1:
            raise ConfigError(f"Cosine: mult={self.mult} multiplies the period; give period= too")

    @property
    def open(self) -> bool:
        """Whether its length is still to be filled in by `over`."""
        return super().open and self.period is None

    def _rate(self, t: int, lr: float) -> float:
        if self.period is None:
            length = self.steps or 1
            t = min(t, length)
        elif self.mult == 1:
            length = self.period
            t %= length
        else:
            length = self.period
            while t >= length:
                t -= length
                length *= self.mult
        return self.min_lr + (lr - self.min_lr) * (1.0 + math.cos(math.pi * t / length)) / 2.0
