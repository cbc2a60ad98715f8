"""A climb before another schedule."""

from dataclasses import dataclass, field
from typing import Annotated, Self

from optlab.errors import ConfigError
from optlab.schedules.decay import Constant
from optlab.schedules.plateau import ReduceOnPlateau
from optlab.schedules.schedule import Count, Schedule


@dataclass(frozen=True, repr=False)
class Warmup(Schedule):
    """A straight climb to ``lr`` in ``steps``, and then another schedule from its own step 0.

    a_t = lr (t + 1) / steps for t < steps; then(t - steps)

    ``start`` in [0, 1] makes it torch's ``LinearLR``, a_t = lr (start + (1 - start) t/steps), which is at ``lr`` one
    step later. The climb goes to the base rate, whatever the first rate of ``then``. An open ``then`` gets what is left
    of the training, at least 1 step.

    Source: Goyal et al. 2017, section 2.2; torch's ``SequentialLR([LinearLR(...), then], [steps])``.

    >>> import optlab as ol
    >>> ol.schedules.Warmup(5, then=ol.schedules.StepDecay(every=1, factor=0.5)).rates(7, lr=0.1).round(3).tolist()
    [0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.05]
    """

    steps: Count
    then: Schedule = field(default=Constant())
    start: Annotated[float, "[0, 1]"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.then, ReduceOnPlateau):
            raise ConfigError("Warmup: then must be a function of the step; ReduceOnPlateau follows a metric")
        if self.then.per != self.per and not isinstance(self.then, Constant):
            raise ConfigError(f"Warmup counts {self.per}s and then {self.then.per}s; give both the same per=")

    @property
    def open(self) -> bool:
        """Whether the length of ``then`` is still to be filled in by `over`."""
        return self.then.open

    def _over(self, total: int) -> Self:
        return self.replace(then=self.then.over(max(total - self.steps, 1)))

    def _rate(self, t: int, lr: float) -> float:
        if t >= self.steps:
            return self.then._rate(t - self.steps, lr)
        if self.start is None:
            return lr * ((t + 1) / self.steps)
        return lr * (self.start + (1.0 - self.start) * t / self.steps)
