"""The optimizer: torch's verbs over one arena and one compiled call per step."""

import math
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.checks import check_flag, finite
from optlab.compiling import A_RULE, COMPILE_ERRORS, compile_error
from optlab.errors import ConfigError, NonFiniteError, unknown
from optlab.optim.arena import Arena, check
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings, number
from optlab.optim.state import checked, saved
from optlab_kernels.fuse import G, fuse
from optlab_kernels.reductions import all_finite, sum_of_squares
from optlab_kernels.rule import GRADIENT_NORM, HYPER, PARAMETER_NORM, SCALE, UPDATE_NORM, Rule, T

Policy = Literal["propagate", "raise", "skip"]
POLICIES = ("propagate", "raise", "skip")
NORMS = {"gradient": GRADIENT_NORM, "update": UPDATE_NORM, "parameter": PARAMETER_NORM}


@dataclass(eq=False)
class Group:
    """Tensors that share settings: a range of columns of the arena, driven by a control of its own."""

    params: list[Tensor]
    settings: Settings
    control: np.ndarray
    dtype: np.dtype

    @property
    def lr(self) -> float:
        """The learning rate of the next step; writable, so that any schedule can drive it."""
        return float(self.control[HYPER])

    @lr.setter
    def lr(self, value: float) -> None:
        value = number(self.settings, "lr", value)
        with np.errstate(over="ignore"):
            held = float(self.dtype.type(value))
        if not 0.0 <= held < math.inf:
            raise ConfigError(f"lr must be in [0, inf) and finite in {self.dtype}, got {value!r}")
        self.control[HYPER] = value


class Optimizer:
    """Steps a list of tensors in place: one compiled call, or one per group of parameters.

    `copy.deepcopy` and pickle take the tensors along: ``copy.deepcopy((model, optimizer))`` trains on by itself; a copy
    of the optimizer alone steps copies of the tensors, which are its ``params``.

    After construction each ``p.data`` and ``p.grad`` is a view of one flat array: ``p.grad[...] = g`` is legal,
    `zero_grad` fills it with zeros, it is never None.

    Args:
        params: tensors of one dtype, float32 or float64; or groups, ``{"params": [...], "weight_decay": 0.0}``, whose
            other entries replace those of the rule (see `Module.parameter_groups`).
        rule: settings such as ``ol.Adam(lr=1e-3)``, or a name.
        maximize: step up the gradient.
        nonfinite: what a NaN or infinite gradient does. ``"propagate"``: IEEE arithmetic; ``"raise"``: an error that
            names the tensor, nothing changed; ``"skip"``: no step, counted in ``skipped``. The last two read the
            gradient once before touching anything.
        clip_norm: g <- g min(1, clip_norm / |g|), |g| the norm over all groups (Pascanu et al. 2013, algorithm 1).
        clip_value: g <- min(max(g, -clip_value), clip_value), before the norm is taken.
        norms: leave the norms of gradient, update and parameters of each step in ``self.norms``.

    Raises:
        ConfigError: see `Arena`; an unknown policy; settings that float32 can't hold; groups whose options need
            different slots.

    >>> import numpy as np, optlab as ol
    >>> w = ol.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    >>> opt = ol.Optimizer([w], ol.SGD(lr=0.5))
    >>> w.grad[...] = [1.0, 0.0]
    >>> opt.step(); print(w.data)
    [ 0.5 -1. ]
    """

    def __init__(
        self,
        params: Tensor | Iterable[Tensor] | Iterable[Mapping[str, Any]],
        rule: Settings | type[Settings] | str,
        *,
        maximize: bool = False,
        nonfinite: Policy = "propagate",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        norms: bool = False,
    ) -> None:
        if nonfinite not in POLICIES:
            raise unknown("policy for non-finite gradients", nonfinite, POLICIES)
        self.settings = as_settings(rule)
        self.nonfinite = nonfinite
        self.clip_norm, self.clip_value = limit("clip_norm", clip_norm), limit("clip_value", clip_value)
        self.skipped = 0
        listed = _listed(params, self.settings)
        tensors = [tensor for group, _ in listed for tensor in group]
        check(tensors)
        variant = listed[0][1].variant
        for _, settings in listed:  # before packing: a refusal leaves an older optimizer at work
            if settings.variant is not variant:
                raise ConfigError(f"all groups must need the same slots; {settings!r} needs others")
            _held_by(tensors[0].dtype, settings)
        self.arena = Arena(tensors, variant.slots)
        self._sign = -1.0 if check_flag("maximize", maximize) else 1.0
        self._with_norms = check_flag("norms", norms)
        self._controls = np.empty((len(listed), len(self.settings.control())))
        self.groups: list[Group] = []
        low = 0
        for control, (group, settings) in zip(self._controls, listed, strict=True):
            high = low + sum(tensor.size for tensor in group)
            control[:] = settings.control(low, high)
            control[SCALE] = self._sign
            for i, slot in enumerate(variant.slots):
                self.arena.array[2 + i, low:high] = variant.start(slot, settings.hyper)
            self.groups.append(Group(group, settings, control, tensors[0].dtype))
            low = high
        self._link()
        self._own()

    def _link(self) -> None:
        """What follows from the arena, the controls and the settings: views of them, and the compiled step."""
        self._array = self.arena.array
        self._versions = [tensor._version for tensor in self.params]
        self._step = fuse(self.rule, self._with_norms)
        # as a list: indexing rows of an array would make a new view in every step
        self._rows = list(self._controls)
        for group, control in zip(self.groups, self._rows, strict=True):
            group.control = control

    def _own(self) -> None:
        """Take the tensors over from the optimizers that had packed them."""
        for tensor in self.params:
            previous = tensor._owner() if tensor._owner is not None else None
            if previous is not None:
                previous._released = True
            tensor._owner = weakref.ref(self)
        self._released = False

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of: everything but `_link`'s."""
        linked = ("_array", "_versions", "_step", "_rows")
        return {name: value for name, value in vars(self).items() if name not in linked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Pack the tensors that were copied along; those of an optimizer that had lost its own stay as they are."""
        vars(self).update(state)
        self._link()
        if not self._released:
            self.arena.bind()
            self._own()

    def __copy__(self) -> NoReturn:
        raise ConfigError(
            "a shallow copy of an optimizer would step the same parameters; "
            "copy them along: model, optimizer = copy.deepcopy((model, optimizer))"
        )

    @property
    def rule(self) -> Rule:
        """The update rule that its settings, or those of its groups, select."""
        return self.groups[0].settings.variant

    @property
    def params(self) -> list[Tensor]:
        """The tensors, in the order given."""
        return self.arena.tensors

    @property
    def t(self) -> int:
        """How many steps were taken."""
        return int(self._controls[0, T])

    @property
    def lr(self) -> float:
        """The learning rate of the next step, of the first group; writing it sets that of every group."""
        return self.groups[0].lr

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.groups:
            group.lr = value

    @property
    def norms(self) -> dict[str, float]:
        """Euclidean norms of the last step: ``gradient`` (before clip_norm), ``update``, ``parameter`` (after it)."""
        if not self._with_norms:
            raise ConfigError("norms are not recorded; make the optimizer with norms=True")
        return {name: float(np.linalg.norm(self._controls[:, at])) for name, at in NORMS.items()}

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
        if self.clip_value is not None:
            gradient = self._array[G]
            np.clip(gradient, -self.clip_value, self.clip_value, out=gradient)
        if self.clip_norm is not None:
            norm = math.sqrt(sum_of_squares(self._array, G, 0, self.arena.size))
            self._controls[:, SCALE] = self._sign * (1.0 if norm <= self.clip_norm else self.clip_norm / norm)
        try:
            for control in self._rows:
                self._step(self._array, control)
        except COMPILE_ERRORS as error:
            raise compile_error(self.settings.name, error, A_RULE) from error
        self._changed()

    def _changed(self) -> None:
        """A graph made before a step can no longer be walked back: its tensors say so."""
        for version in self._versions:
            version[0] += 1

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
        return saved(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict` of an optimizer with the same rule over the same tensors, grouped alike.

        Raises:
            ConfigError: it is not one, or of tensors of other shapes, names or dtype; the message names everything
                that differs, and nothing is changed.
        """
        fits = checked(self, state)
        self.skipped = fits.skipped
        self._controls[:] = fits.controls
        if self.clip_norm is None:  # else each step sets it
            self._controls[:, SCALE] = self._sign
        for group, settings in zip(self.groups, fits.settings, strict=True):
            group.settings = settings
        for i, numbers in enumerate(fits.slots):
            self._array[2 + i, : self.arena.size] = numbers

    def __repr__(self) -> str:
        groups = "" if len(self.groups) == 1 else f"{len(self.groups)} groups, "
        return (
            f"Optimizer({self.settings!r}, {groups}{len(self.params)} tensors, {self.arena.size} numbers, t={self.t})"
        )


def _listed(params: Any, settings: Settings) -> list[tuple[list[Tensor], Settings]]:
    """Groups of tensors, each with its settings; a plain list of tensors is one group."""
    entries: list[Any] = [params] if isinstance(params, Tensor | Mapping) else list(params)
    if not any(isinstance(entry, Mapping) for entry in entries):
        return [(entries, settings)]
    groups = []
    for entry in entries:
        if not isinstance(entry, Mapping) or "params" not in entry:
            raise ConfigError("a group of parameters reads {'params': [...], 'weight_decay': 0.0}, for each of them")
        members = [entry["params"]] if isinstance(entry["params"], Tensor) else list(entry["params"])
        if not members:
            raise ConfigError("a group of parameters needs at least one tensor, got none")
        try:
            groups.append((members, settings.replace(**{k: v for k, v in entry.items() if k != "params"})))
        except TypeError as error:
            raise ConfigError(str(error)) from None
    return groups


def limit(name: str, value: float | None) -> float | None:
    """A bound for clipping, or None for no clipping.

    Raises:
        ConfigError: not a number above 0.
    """
    number = finite(value)
    if value is not None and (number is None or number <= 0.0):
        raise ConfigError(f"{name} must be a number above 0, or None, got {value!r}")
    return number


def _held_by(dtype: np.dtype, settings: Settings) -> None:
    """float32 turns 1e300 into inf and 1e-60 into 0: the step would then be 0/0 far from the mistake."""
    for name, value in settings.hyper._asdict().items():
        with np.errstate(over="ignore"):
            held = float(dtype.type(value))
        if not np.isfinite(held) or (held == 0.0 and float(value) != 0.0 and name == "eps"):
            raise ConfigError(f"{name}={value!r} becomes {held} in {dtype}; use float64 parameters or another value")
