"""The optimizer: torch's verbs over one arena and one compiled call per step."""

import math
import weakref
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.compiling import A_RULE, COMPILE_ERRORS, compile_error
from optlab.errors import ConfigError, NonFiniteError, unknown
from optlab.optim.arena import Arena, check
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings, number
from optlab_kernels.fuse import G, fuse
from optlab_kernels.reductions import all_finite
from optlab_kernels.rule import GRADIENT_NORM, HIGH, HYPER, LOW, PARAMETER_NORM, SCALE, UPDATE_NORM, T

Policy = Literal["propagate", "raise", "skip"]
POLICIES = ("propagate", "raise", "skip")


class Optimizer:
    """Steps a list of tensors in place, all of them in one compiled call.

    After construction each ``p.data`` and ``p.grad`` is a view of one flat array: ``p.grad[...] = g`` is legal,
    `zero_grad` fills it with zeros, it is never None.

    Args:
        params: tensors of one dtype, float32 or float64.
        rule: settings such as ``ol.Adam(lr=1e-3)``, or a name.
        maximize: step up the gradient.
        nonfinite: what a NaN or infinite gradient does. ``"propagate"``: IEEE arithmetic; ``"raise"``: an error that
            names the tensor, nothing changed; ``"skip"``: no step, counted in ``skipped``. The last two read the
            gradient once before touching anything.
        norms: leave the norms of gradient, update and parameters of each step in ``self.norms``.

    Raises:
        ConfigError: see `Arena`; an unknown policy; settings that float32 can't hold.

    >>> import numpy as np, optlab as ol
    >>> w = ol.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    >>> opt = ol.Optimizer([w], ol.SGD(lr=0.5))
    >>> w.grad[...] = [1.0, 0.0]
    >>> opt.step(); print(w.data)
    [ 0.5 -1. ]
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        rule: Settings | type[Settings] | str,
        *,
        maximize: bool = False,
        nonfinite: Policy = "propagate",
        norms: bool = False,
    ) -> None:
        if nonfinite not in POLICIES:
            raise unknown("policy for non-finite gradients", nonfinite, POLICIES)
        self.settings = as_settings(rule)
        self.nonfinite = nonfinite
        self.skipped = 0
        variant = self.settings.variant
        tensors = [params] if isinstance(params, Tensor) else list(params)
        check(tensors)
        self._held_by(tensors[0].dtype)  # before packing: a refusal leaves an older optimizer at work
        self.arena = Arena(tensors, variant.slots)
        for tensor in self.arena.tensors:
            previous = tensor._owner() if tensor._owner is not None else None
            if previous is not None:
                previous._released = True
            tensor._owner = weakref.ref(self)
        self._released = False
        self._array = self.arena.array
        self._control = self.settings.control(0, self.arena.size)
        self._control[SCALE] = -1.0 if maximize else 1.0
        self._with_norms = norms
        self._step = fuse(variant, norms)
        for i, slot in enumerate(variant.slots):
            self._array[2 + i] = variant.start(slot, self.settings.hyper)

    def _held_by(self, dtype: np.dtype[Any]) -> None:
        """float32 turns 1e300 into inf and 1e-60 into 0: the step would then be 0/0 far from the mistake."""
        for name, value in self.settings.hyper._asdict().items():
            with np.errstate(over="ignore"):
                held = float(dtype.type(value))
            if not np.isfinite(held) or (held == 0.0 and float(value) != 0.0 and name == "eps"):
                raise ConfigError(
                    f"{name}={value!r} becomes {held} in {dtype}; use float64 parameters or another value"
                )

    @property
    def params(self) -> list[Tensor]:
        """The tensors, in the order given."""
        return self.arena.tensors

    @property
    def t(self) -> int:
        """How many steps were taken."""
        return int(self._control[T])

    @property
    def lr(self) -> float:
        """The learning rate of the next step; writable, so that any schedule can drive it."""
        return float(self._control[HYPER])

    @lr.setter
    def lr(self, value: float) -> None:
        value = number(self.settings, "lr", value)
        with np.errstate(over="ignore"):
            held = float(self._array.dtype.type(value))
        if not 0.0 <= held < math.inf:
            raise ConfigError(f"lr must be in [0, inf) and finite in {self._array.dtype}, got {value!r}")
        self._control[HYPER] = value

    @property
    def norms(self) -> dict[str, float]:
        """Euclidean norms of the last step: ``gradient``, ``update``, ``parameter`` (after it)."""
        if not self._with_norms:
            raise ConfigError("norms are not recorded; make the optimizer with norms=True")
        at = {"gradient": GRADIENT_NORM, "update": UPDATE_NORM, "parameter": PARAMETER_NORM}
        return {name: float(self._control[i]) for name, i in at.items()}

    def zero_grad(self) -> None:
        """Fill every gradient with zeros."""
        self._array[G] = 0.0

    def step(self) -> None:
        """One step on the present gradients.

        Raises:
            NonFiniteError: under ``nonfinite="raise"``, with the tensor and the step in the message.
            ConfigError: the parameters have been packed by a newer optimizer.
        """
        if self._released:
            raise ConfigError("these parameters belong to a newer Optimizer; step that one")
        if self.nonfinite != "propagate" and not all_finite(self._array, G, 0, self.arena.size):
            if self.nonfinite == "raise":
                raise NonFiniteError(self._complaint())
            self.skipped += 1
            return
        try:
            self._step(self._array, self._control)
        except COMPILE_ERRORS as error:
            raise compile_error(self.settings.name, error, A_RULE) from error

    def _complaint(self) -> str:
        column = int(np.flatnonzero(~np.isfinite(self._array[G, : self.arena.size]))[0])
        index = self.arena.owner(column)
        tensor = self.params[index]
        name = f"parameter {index}" + (f" ({tensor.name})" if tensor.name else "") + f" of shape {tensor.shape}"
        value = self._array[G, column]
        return f"step {self.t + 1}: the gradient of {name} is {value}; nothing was changed (lower the rate or clip)"

    def state(self, slot: str) -> list[np.ndarray]:
        """Views of one slot, such as Adam's ``"m"``, in the shapes of the parameters."""
        if slot not in self.arena.slots:
            raise unknown("slot", slot, self.arena.slots)
        return self.arena.slot(slot)

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything a resumed run needs besides the parameters; continues bit for bit."""
        return {
            "settings": {"rule": self.settings.name, **self.settings.to_dict()},
            "control": self._control.copy(),
            "slots": {s: self._array[2 + i, : self.arena.size].copy() for i, s in enumerate(self.arena.slots)},
            "skipped": self.skipped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` of an optimizer with the same rule over as many parameters.

        Raises:
            ConfigError: another rule, other slots or another number of parameters; nothing is changed then.
        """
        saved = dict(state["settings"])
        rule = saved.pop("rule")
        if rule != self.settings.name:
            raise ConfigError(f"the state is of the rule {rule!r}, this optimizer runs {self.settings.name!r}")
        settings = type(self.settings)(**saved)
        slots = {k: np.asarray(v, self._array.dtype) for k, v in state["slots"].items()}
        want = dict.fromkeys(self.arena.slots, (self.arena.size,))
        control = np.array(state["control"], dtype=np.float64)
        fits = control.shape == self._control.shape and (control[[LOW, HIGH]] == self._control[[LOW, HIGH]]).all()
        if {k: v.shape for k, v in slots.items()} != want or not fits:
            raise ConfigError(f"the state's slots { ({k: v.shape for k, v in slots.items()}) } do not fit {want}")
        self.skipped = int(state["skipped"])
        self.settings = settings
        self._control[:] = control
        for i, name in enumerate(self.arena.slots):
            self._array[2 + i, : self.arena.size] = slots[name]

    def __repr__(self) -> str:
        return f"Optimizer({self.settings!r}, {len(self.params)} tensors, {self.arena.size} numbers, t={self.t})"
