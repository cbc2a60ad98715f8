"""A rate that goes down when a metric stops getting better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn

from optlab.checks import real
from optlab.errors import ConfigError
from optlab.schedules.schedule import Rate, Schedule, checked
from optlab.states import check_state

NEGLIGIBLE = 1e-8  # torch keeps the rate where the change would not be above this


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Schedule):
    """The rate times ``factor`` in (0, 1) when a metric has stalled, not below ``min_lr``; no function of the step.

    ``tracker = schedule.start(lr)`` keeps the count, and ``tracker.update(metric)``, once per epoch, returns the rate.

    A metric is better when it beats the best so far by more than ``threshold``: by an amount (``"abs"``) or by a
    share of the best, in [0, 1) (``"rel"``; meant for metrics above 0). ``mode`` is ``"min"`` or ``"max"``.

    ``convention="torch"``: reduces when more than ``patience`` epochs in a row were not better; ``threshold_mode``
    None is ``"rel"``; in ``cooldown`` epochs none counts; a change of 1e-8 or less is left out.
    ``convention="keras"``: reduces when ``patience`` epochs were not better, one epoch earlier; ``threshold_mode``
    None is ``"abs"``; the last epoch of a cooldown counts.

    NaN is never better. In Keras's convention, as in Keras 3, the first metric is the best so far whatever it is, and
    after a first NaN none is ever better.

    Source: torch's ``ReduceLROnPlateau``; Keras's callback of the same name (its ``min_delta`` is ``threshold``).

    >>> import optlab as ol
    >>> tracker = ol.schedules.ReduceOnPlateau(patience=2).start(lr=0.5)
    >>> [tracker.update(metric) for metric in (1.0, 0.8, 0.8, 0.8, 0.8, 0.7)]
    [0.5, 0.5, 0.5, 0.5, 0.05, 0.05]
    """

    mode: Literal["min", "max"] = "min"
    factor: Annotated[float, "(0, 1)"] = 0.1
    patience: Annotated[int, "[0, inf)"] = 10
    threshold: Rate = 1e-4
    threshold_mode: Literal["rel", "abs"] | None = None
    cooldown: Annotated[int, "[0, inf)"] = 0
    min_lr: Rate = 0.0
    convention: Literal["torch", "keras"] = "torch"
    per: Literal["epoch"] = field(default="epoch", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.relative and self.threshold >= 1.0:
            raise ConfigError(f"ReduceOnPlateau: a relative threshold must be in [0, 1), got {self.threshold!r}")

    @property
    def relative(self) -> bool:
        """Whether the threshold is a share of the best."""
        return (self.threshold_mode or ("rel" if self.convention == "torch" else "abs")) == "rel"

    def better(self, metric: float, best: float) -> bool:
        """Whether ``metric`` beats ``best`` by more than the threshold, rounded as the convention's library does."""
        sign = 1.0 if self.mode == "min" else -1.0
        gap = sign * self.threshold
        if self.relative:
            return sign * metric < sign * (best * (1.0 - gap))
        if self.convention == "keras":
            return sign * (metric + gap) < sign * best
        return sign * metric < sign * (best - gap)

    def start(self, lr: float = 1.0) -> "Tracker":
        """A fresh count from the rate ``lr`` >= 0."""
        return Tracker(self, lr)

    def rates(self, steps: int, lr: float = 1.0, start: int = 0) -> NoReturn:
        """Refused: the rate depends on metrics, which `start`'s tracker takes."""
        raise ConfigError(
            "ReduceOnPlateau follows a metric, not the step: tracker = schedule.start(lr), then .update(metric)"
        )


class Tracker:
    """The count behind a `ReduceOnPlateau`.

    Attributes:
        settings: what it follows.
        lr: the present rate.
        best: the best metric so far; None before the first.
        bad: epochs in a row that were not better.
        cooling: epochs of cooldown that are left.
    """

    def __init__(self, settings: ReduceOnPlateau, lr: float = 1.0) -> None:
        self.settings = settings
        self.lr: float = checked("lr", Rate, lr)
        self.best: float | None = None
        self.bad = self.cooling = 0

    def update(self, metric: float) -> float:
        """Take the metric of one more epoch (any number, nan too) and return the rate of the next.

        Raises:
            ConfigError: the metric is not a number.
        """
        number = real(metric)
        if number is None:
            raise ConfigError(f"a metric is a number, got {metric!r}")
        if self.settings.convention == "keras":
            self._update_keras(number)
        else:
            self._update_torch(number)
        return self.lr

    def _update_torch(self, metric: float) -> None:
        s = self.settings
        worst = math.inf if s.mode == "min" else -math.inf
        if s.better(metric, worst if self.best is None else self.best):
            self.best, self.bad = metric, 0
        else:
            self.bad += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.bad = 0
        if self.bad > s.patience:
            lower = max(self.lr * s.factor, s.min_lr)
            if self.lr - lower > NEGLIGIBLE:
                self.lr = lower
            self.cooling, self.bad = s.cooldown, 0

    def _update_keras(self, metric: float) -> None:
        s = self.settings
        if self.cooling > 0:
            self.cooling -= 1
            self.bad = 0
        if self.best is None or s.better(metric, self.best):
            self.best, self.bad = metric, 0
        elif self.cooling == 0:
            self.bad += 1
            if self.bad >= s.patience and self.lr > s.min_lr:
                self.lr = max(self.lr * s.factor, s.min_lr)
                self.cooling, self.bad = s.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """The count as plain numbers (``best`` may be None, nan or infinite); the settings are not in it."""
        return {"lr": self.lr, "best": self.best, "bad": self.bad, "cooling": self.cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises:
            ConfigError: it is not one; nothing is changed then.
        """
        check_state("a tracker", state, self.state_dict())
        lr = checked("lr", Rate, state["lr"])
        bad, cooling = (checked(k, Annotated[int, "[0, inf)"], state[k]) for k in ("bad", "cooling"))
        best = real(state["best"])
        if best is None and state["best"] is not None:
            raise ConfigError(f"the best metric is a number or None, got {state['best']!r}")
        self.lr, self.best, self.bad, self.cooling = lr, best, bad, cooling

    def __repr__(self) -> str:
        return f"Tracker({self.settings!r}: lr={self.lr!r}, best={self.best!r}, bad={self.bad}, cooling={self.cooling})"
