"""Up and down: triangles that repeat, and the one cycle of a whole training."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from optlab.errors import ConfigError
from optlab.schedules.schedule import Count, Factor, Rate, Schedule

# Smith 2015, section 3.3: "set base_lr to 1/3 or 1/4 of max_lr"
LOW = 0.25


@dataclass(frozen=True, repr=False)
class Cyclical(Schedule):
    """Triangles between ``low`` and ``high`` (absolute), ``up`` steps up and ``down`` steps down, without end.

    a_t = low + (high - low) h_t s_t, with the height h of the triangle in [0, 1] and, in cycle c = 0, 1, ...:
    s = 1 (``"triangular"``), 2^-c (``"triangular2"``) or gamma^t (``"exp_range"``, ``gamma`` in (0, 1])

    ``high`` None is the base rate ``lr``; ``low`` None a quarter of ``high``; ``down`` None the same as ``up``.

    Source: Smith 2015, section 3; torch's ``CyclicLR``, where both bounds must be given.

    >>> import optlab as ol
    >>> ol.schedules.Cyclical(low=0.001, high=0.006)(1000)
    0.0035
    >>> ol.schedules.Cyclical(up=2, mode="triangular2").rates(7, lr=0.4).round(3).tolist()
    [0.1, 0.25, 0.4, 0.25, 0.1, 0.175, 0.25]
    """

    low: Rate | None = None
    high: Rate | None = None
    up: Count = 2000
    down: Count | None = None
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Factor = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low is not None and self.high is not None:
            self._bounds(0.0)

    def _bounds(self, lr: float) -> tuple[float, float]:
        high = lr if self.high is None else self.high
        low = LOW * high if self.low is None else self.low
        if low > high:
            raise ConfigError(f"Cyclical: low={low!r} is above the highest rate {high!r} (high=, or the base rate)")
        return low, high

    def _rate(self, t: int, lr: float) -> float:
        low, high = self._bounds(lr)
        down = self.up if self.down is None else self.down
        cycle, at = divmod(t, self.up + down)
        height = at / self.up if at <= self.up else (self.up + down - at) / down
        scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**t}[self.mode]
        return low + (high - low) * height * scale


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """Once up to the peak ``max_lr`` and down to nearly nothing, where it stays.

    From max_lr/div_factor at t = 0 to max_lr at pct_start steps - 1, to max_lr/(div_factor final_div_factor) at
    steps - 1; between a and b, at the share x of the way: b + (a - b)(1 + cos(pi x))/2, or a straight line with
    ``anneal="linear"``. ``three_phase`` puts a second phase between, back to the first rate in as many steps.

    ``max_lr`` None is the base rate ``lr``; ``steps`` None as long as the training; ``pct_start`` in [0, 1]; the
    divisors >= 1. `momentum` is the matching cycle of the momentum, for a loop of one's own.

    Source: Smith & Topin 2018, "Super-convergence"; the phases are those of torch's ``OneCycleLR``.

    >>> import optlab as ol
    >>> [round(ol.schedules.OneCycle(steps=100)(t, lr=0.1), 7) for t in (0, 10, 29, 50, 99)]
    [0.004, 0.0295164, 0.1, 0.0793893, 4e-07]
    """

    max_lr: Rate | None = None
    steps: Count | None = None
    pct_start: Annotated[float, "[0, 1]"] = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, "[1, inf)"] = 25.0
    final_div_factor: Annotated[float, "[1, inf)"] = 1e4
    three_phase: bool = False
    base_momentum: Annotated[float, "[0, 1)"] = 0.85
    max_momentum: Annotated[float, "[0, 1)"] = 0.95

    def momentum(self, t: int) -> float:
        """The momentum of step ``t`` >= 0: ``max_momentum``, ``base_momentum`` at the peak, and back."""
        self.rates(1, start=t)  # refuses what a call refuses
        return self._along(t, self.max_momentum, self.base_momentum, self.max_momentum, self.max_momentum)

    def _rate(self, t: int, lr: float) -> float:
        peak = lr if self.max_lr is None else self.max_lr
        first = peak / self.div_factor
        return self._along(t, first, peak, first, first / self.final_div_factor)

    def _along(self, t: int, first: float, peak: float, back: float, last: float) -> float:
        """The value at ``t`` of what goes from ``first`` to ``peak`` (to ``back``, in three phases) to ``last``."""
        steps = self.steps or 1
        t, rise = min(t, steps - 1), self.pct_start * steps
        phases = [(rise - 1.0, first, peak), (2.0 * rise - 2.0, peak, back), (steps - 1.0, back, last)]
        if not self.three_phase:
            phases[1:] = [(steps - 1.0, peak, last)]
        now = next(i for i, (end, _, _) in enumerate(phases) if t <= end)
        begin, (end, a, b) = phases[now - 1][0] if now else 0.0, phases[now]
        share = (t - begin) / (end - begin) if end > begin else 1.0
        return b + (a - b) * (1.0 + math.cos(math.pi * share)) / 2.0 if self.anneal == "cos" else a + (b - a) * share
