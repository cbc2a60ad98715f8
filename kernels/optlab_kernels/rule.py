"""A rule: the pure functions of one optimizer, and the layout of the vector that drives its compiled loops."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.slots import Slots

# One float64 vector, the control, holds all of a compiled step that is not an array: unboxing one array costs less
# than unboxing a dozen scalars (0.84 against 3.05 us for a small Adam step). It governs the columns LOW to HIGH of an
# arena, so parameter groups are several controls over one arena. The hyperparameters follow from HYPER on, then the
# rule's memory.
T, LOW, HIGH = 0, 1, 2  # the number of steps taken; the first column and the one after the last
SCALE = 3  # factor on the gradient: -1 maximises, clipping makes it less than 1
L2, DECOUPLED = 4, 5  # weight decay: in the gradient; beside it
GRADIENT_NORM, UPDATE_NORM, PARAMETER_NORM = 6, 7, 8  # written by a step that was compiled with norms
HYPER = 9


@pointwise
def decays(control: np.ndarray) -> tuple[float, float]:
    """The weights of `regularise`: decay in the gradient, and what decoupled decay leaves of p in one step."""
    return control[L2], 1.0 - control[HYPER] * control[DECOUPLED]


@pointwise
def regularise(p: Any, g: Any, weights: tuple[Any, Any]) -> tuple[Any, Any]:
    """Weight decay, alike for every rule (Loshchilov & Hutter 2019, algorithms 1 and 2).

    In the gradient, g <- g + l2 p, or decoupled, p <- (1 - lr wd) p. The factor is torch's; optax and Keras outside
    torch subtract lr wd p, which in float32 is not biased by the factor's own rounding (up to 3e-8 a step).
    """
    l2, keep = weights
    return keep * p, g + l2 * p


NEGLIGIBLE = 1e-20  # 1 - w is exactly 1 below 1.1e-16


@pointwise
def power(w: float, beta: float) -> float:
    """The next power of a decay, w <- w beta, and 0 once 1 - w can't tell: denormal numbers double a step's time."""
    w = w * beta
    return w if w > NEGLIGIBLE else 0.0


@dataclass(frozen=True, eq=False)
class Rule:
    """One update rule.

    Attributes:
        name: its spelling everywhere: command line, JSON, test id.
        hyper: a named tuple of numbers with defaults, the learning rate ``lr`` first.
        slots: names of the state arrays, each as large as the parameters.
        coefficients: ``(t, hyper) -> c``, or ``(t, hyper, memory) -> (c, memory)`` for a rule with a memory; once
            per step, t = 1, 2, ...; may branch, float64.
        update: ``(p, g, state, c) -> (p, state)``, once per element: no branch, no literal, no index, so that the
            same function serves scalars, arrays, float32 and float64.
        memory: first value of what `coefficients` carries from step to step, such as running products of decays.
        initial: slot -> hyperparameter that fills it at first; other slots start at 0.
        bounds: hyperparameter -> interval, such as ``"[0, 1)"``.
        conventions: name -> what differs under it, hyperparameters or ``weight_decay`` (``torch`` is the default).
        decay: weight decay by default.
        decoupled: whether weight decay acts beside the gradient (AdamW) and not in it.
        unbiased: slot -> the decay b whose power 1 - b^t corrects its bias towards 0.
        select: hyper -> the variant of this rule that has the slots its options need.
        text: what its settings say of it; the docstring of `update`'s module if empty.
    """

    name: str
    hyper: Any
    slots: tuple[str, ...]
    coefficients: Callable[..., Any]
    update: Callable[..., Any]
    memory: tuple[float, ...] = ()
    initial: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    decay: float = 0.0
    decoupled: bool = False
    unbiased: Mapping[str, str] = field(default_factory=dict)
    select: "Callable[[Any], Rule] | None" = None
    text: str = ""

    def variant(self, hyper: Any) -> "Rule":
        """The rule that these hyperparameters ask for: itself, or one with more slots."""
        return self if self.select is None else self.select(hyper)

    @cached_property
    def advance(self) -> Callable[[int, Any, Slots], tuple[Slots, Slots]]:
        """``(t, hyper, memory) -> (c, memory)``, whether or not the rule has a memory."""
        coefficients = self.coefficients
        if self.memory:
            return coefficients

        @pointwise
        def advance(t: int, hyper: Any, memory: Slots) -> tuple[Slots, Slots]:
            return coefficients(t, hyper), memory

        return advance

    def control(self, hyper: Any, low: int, high: int, l2: float = 0.0, decoupled: float = 0.0) -> np.ndarray:
        """The vector that drives a compiled step of this rule over the columns ``low`` to ``high`` of an arena."""
        head = (0.0, low, high, 1.0, l2, decoupled, 0.0, 0.0, 0.0)
        return np.array([*head, *hyper, *self.memory], dtype=np.float64)

    def start(self, slot: str, hyper: Any) -> float:
        """What ``slot`` holds before the first step."""
        return float(getattr(hyper, self.initial[slot])) if slot in self.initial else 0.0
