"""A descent as an objective: which rule, with which settings, gets down a surface."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optlab.checks import check_amount, check_count, check_number
from optlab.descent.descent import Run, descend
from optlab.descent.tuning import TUNING, draw_starts
from optlab.errors import ConfigError, NonFiniteError
from optlab.objectives.objective import Objective, given
from optlab.objectives.points import seed_of
from optlab.objectives.rules import options_of, rule_of, rules_of, under_rules, without
from optlab.optim.rules import RULES
from optlab.search.arguments import python_entries
from optlab.search.parameters import Choice, Float, Parameter
from optlab.search.space import Space
from optlab.surfaces import Surface, as_surface


class Descent(Objective):
    """How far a rule comes on a surface: the last f - f_min (f itself where no minimum is known).

    The parameters of a trial are ``rule`` and the options of rules, ``lr``, ``beta``, ...; a descent that diverges is
    a failed trial.

    Args:
        surface: a name, or a `Surface`.
        steps: of each descent.
        target: then the value is the number of steps until f - f_min <= target; steps + 1 where it was not reached.
        starts: the median over so many starts drawn from the domain; by default the surface's own start.
        noise: standard deviation of the noise on the gradient; every trial has its own.
        seed: of the starts.
        fixed: rule and options that stay.

    Raises:
        ConfigError: with the mistakes in these.

    >>> import optlab as ol
    >>> objective = ol.objectives.descent("beale", steps=300)
    >>> objective({"rule": "adam", "lr": 0.1}) < 0.01
    True
    """

    name = "descent"

    def __init__(
        self,
        surface: str | Surface,
        steps: int = 300,
        *,
        target: float | None = None,
        starts: int | None = None,
        noise: float = 0.0,
        seed: int = 0,
        **fixed: Any,
    ) -> None:
        self.refuse_unknown(fixed)
        self.surface, self.fixed = as_surface(surface), fixed
        steps, seed = check_count("steps", steps, least=1), check_count("seed", seed)
        noise = check_amount("noise", noise)
        if target is not None:
            what = "a number, how near f - f_min must come to 0,"
            target = check_number("target", target, "(0, inf)", what=what)
        if target is not None and not self.surface.minima:
            raise ConfigError(f"{self.surface.name} has no minimum to come near to; leave out target")
        self.starts = [self.surface.start]
        if starts is not None:
            starts = check_count("starts", starts, least=1)
            self.starts = [(float(x), float(y)) for x, y in draw_starts(self.surface, starts, seed, TUNING)]
        self.steps, self.target, self.noise = steps, target, noise
        own = given(surface=surface, steps=steps, target=target, starts=starts, noise=noise or None, seed=seed or None)
        self.settings = python_entries(own | fixed)
        self.begin({})

    def __call__(self, params: Mapping[str, Any], trial: Any = None) -> float:
        """Descend from every start."""
        settings = rule_of(params, self.fixed)
        seeds = [int(s) for s in np.random.SeedSequence(seed_of(trial)).generate_state(len(self.starts))]
        runs = [
            descend(self.surface, settings, start, self.steps, noise=self.noise, seed=seed)
            for start, seed in zip(self.starts, seeds, strict=True)
        ]
        values = [self._value(run) for run in runs]
        value = float(np.quantile(values, 0.5, method="higher"))  # between a number and inf there is no mean
        if not np.isfinite(value):
            often = f"{sum(not np.isfinite(v) for v in values)} of {len(values)} descents" if len(values) > 1 else ""
            raise NonFiniteError(f"diverged{often and ': ' + often}")
        return value

    def _value(self, run: Run) -> float:
        if run.status == "diverged":
            return np.inf
        if self.target is None:
            return float(run.values[-1] - (run.surface.f_min if run.surface.minima else 0.0))
        arrived = run.steps_to(self.target)
        return self.steps + 1.0 if arrived is None else float(arrived)

    def space(self) -> Space:
        """Three rules, the rate, momentum's decay."""
        usual: dict[str, Parameter] = {
            "rule": Choice(["sgd", "momentum", "adam"]),
            "lr": Float(1e-5, 1.0, log=True),
            "beta": Float(0.5, 0.99, when={"rule": "momentum"}, limits=(0.0, 1.0)),
        }
        return Space(without(usual, self.fixed))

    @classmethod
    def options(cls) -> list[str]:
        """Also the rule and any rule's options."""
        return [*super().options(), "rule", *options_of(RULES)]

    def known(self, space: Space) -> list[str]:
        """The rule and its options."""
        return ["rule", *options_of(rules_of(space, self.fixed))]

    def parents(self, name: str, space: Space) -> list[dict[str, Any]]:
        """An option has to work under every rule that it is active with."""
        return super().parents(name, space) if name == "rule" else under_rules(name, space, self.fixed)

    def begin(self, params: Mapping[str, Any]) -> None:
        """Make the rule."""
        rule_of(params, self.fixed)


descent = Descent
