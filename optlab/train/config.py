"""What one training run is made of, besides the model and the data: immutable, checked at once, written to disk."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from optlab.checks import check_count, check_flag, real
from optlab.data.augment import Augment
from optlab.errors import ConfigError, unknown
from optlab.optim.optimizer import limit
from optlab.optim.rules import RULES, as_settings
from optlab.optim.settings import Settings
from optlab.schedules import Schedule, as_schedule
from optlab.train.engine import LOSSES

EngineName = Literal["auto", "machine", "tape"]
ENGINES = ("auto", "machine", "tape")


@dataclass(frozen=True)
class Config:
    """The options of `fit`, with the same names and defaults."""

    rule: Settings
    epochs: int = 20
    steps: int | None = None
    batch_size: int = 32
    seed: int = 0
    schedule: Schedule | None = None
    loss: str | None = None
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    augment: Augment | None = None
    norms: bool = False
    engine: EngineName = "auto"

    def __post_init__(self) -> None:
        change = object.__setattr__
        change(self, "rule", as_settings(self.rule))
        if self.schedule is not None:
            change(self, "schedule", as_schedule(self.schedule))
        if self.class_weights is not None:
            change(self, "class_weights", tuple(_weights(self.class_weights)))
        for name in ("epochs", "batch_size"):
            change(self, name, check_count(name, getattr(self, name), 1))
        change(self, "seed", check_count("seed", self.seed))
        if self.steps is not None:
            change(self, "steps", check_count("steps", self.steps, 1))
        if self.loss is not None and self.loss not in LOSSES:
            raise unknown("loss", self.loss, LOSSES)
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        for name in ("label_smoothing", "l1", "l2"):
            if (number := real(getattr(self, name))) is None:
                raise ConfigError(f"{name} is a number, got {getattr(self, name)!r}")
            change(self, name, number)
        change(self, "clip_norm", limit("clip_norm", self.clip_norm))
        change(self, "clip_value", limit("clip_value", self.clip_value))
        change(self, "norms", check_flag("norms", self.norms))
        if self.augment is not None and not isinstance(self.augment, Augment):
            raise ConfigError(f"augment is ol.data.Augment(...), got {self.augment!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives the same configuration back."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["rule"] = {"name": self.rule.name, **self.rule.to_dict()}
        plain["schedule"] = None if self.schedule is None else self.schedule.to_dict()
        plain["augment"] = None if self.augment is None else asdict(self.augment)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """The configuration that `to_dict` wrote.

        Raises:
            ConfigError: a rule that is not registered in this process, or values that no configuration has.
        """
        options = dict(plain)
        rule = dict(options.pop("rule"))
        name = rule.pop("name")
        if name not in RULES:
            raise unknown("rule", name, RULES)
        if options.get("schedule") is not None:
            options["schedule"] = Schedule.from_dict(options["schedule"])
        if options.get("augment") is not None:
            options["augment"] = Augment(**options["augment"])
        return cls(RULES[name](**rule), **options)


def _weights(given: Any) -> list[float]:
    """Class weights as floats; how many there are and in which range is checked with the model at hand."""
    try:
        weights = [real(weight) for weight in given]
    except TypeError:
        weights = [None]
    if None in weights:
        raise ConfigError(f"class_weights are numbers, one per class, got {given!r}")
    return weights  # type: ignore[return-value]  # none is None
