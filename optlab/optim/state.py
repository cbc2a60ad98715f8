"""The saved state of an optimizer: made, and compared with another optimizer before anything is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.checks import is_whole
from optlab.containers import typed
from optlab.errors import ConfigError
from optlab.optim.settings import Settings
from optlab.states import as_numbers, check_state
from optlab_kernels.rule import DECOUPLED, HIGH, HYPER, L2, LOW, SCALE, T

if TYPE_CHECKING:
    from optlab.optim.optimizer import Optimizer

KEYS, NEWER_KEYS = ("rule", "settings", "controls", "slots", "skipped"), ("parameters",)


@dataclass(frozen=True)
class State:
    """A state that fits: what `Optimizer.load_state_dict` writes."""

    settings: list[Settings]
    controls: np.ndarray
    slots: list[np.ndarray]
    skipped: int


def described(tensors: Sequence[Tensor]) -> list[dict[str, Any]]:
    """The name and the shape of each tensor, as plain values."""
    return [{"name": tensor.name, "shape": list(tensor.shape)} for tensor in tensors]


def saved(optimizer: "Optimizer") -> dict[str, Any]:
    """A copy of everything that a resumed run needs besides the parameters."""
    arena = optimizer.arena
    return {
        "rule": optimizer.settings.name,
        "settings": [group.settings.to_dict() for group in optimizer.groups],
        "parameters": described(arena.tensors),
        "controls": optimizer._controls.copy(),
        "slots": {name: arena.array[2 + i, : arena.size].copy() for i, name in enumerate(arena.slots)},
        "skipped": optimizer.skipped,
    }


def checked(optimizer: "Optimizer", state: Any) -> State:
    """Read a `saved` state of an optimizer with the same rule over the same tensors, grouped alike.

    Raises:
        ConfigError: it is not one, or of other tensors; the message names everything that differs.
    """
    check_state("an optimizer", state, KEYS, NEWER_KEYS)
    if state["rule"] != optimizer.settings.name:
        raise ConfigError(
            f"the state is of the rule {state['rule']!r}, this optimizer runs {optimizer.settings.name!r}"
        )
    if not is_whole(state["skipped"], 0):
        raise ConfigError(f"the state's skipped is a whole number >= 0, got {state['skipped']!r}")
    problems = _other_tensors(optimizer.params, state["parameters"]) if "parameters" in state else []
    settings = _settings(optimizer, state["settings"], problems)
    slots = _slots(optimizer, state["slots"], problems)
    controls = _array("controls", state["controls"], np.dtype(np.float64), optimizer._controls.shape, problems)
    if not problems:
        problems += _other_controls(optimizer, settings, controls)
    if problems:
        raise ConfigError("the state and this optimizer do not fit: " + "; ".join(problems))
    return State(settings, controls, slots, int(state["skipped"]))


def _other_tensors(tensors: Sequence[Tensor], given: Any) -> list[str]:
    """What differs between the tensors and those of the state; names are compared where both have one."""
    listed = isinstance(given, list | tuple) and all(isinstance(entry, Mapping) for entry in given)
    if not listed or not all({"name", "shape"} == set(entry) for entry in given):
        return [f"parameters are a list of names and shapes, got {given!r}"]
    problems = []
    if len(given) != len(tensors):
        problems.append(f"it is of {len(given)} parameters, this optimizer has {len(tensors)}")
    for i, (tensor, entry) in enumerate(zip(tensors, given, strict=False)):
        ours, theirs = list(tensor.shape), entry["shape"]
        name = f"parameter {i}" + (f" ({tensor.name})" if tensor.name else "")
        if not isinstance(theirs, list | tuple) or list(theirs) != ours:
            problems.append(f"{name} has the shape {ours}, the state's {theirs}")
        if tensor.name and entry["name"] and entry["name"] != tensor.name:
            problems.append(f"{name} is {entry['name']!r} in the state")
    return problems


def _settings(optimizer: "Optimizer", given: Any, problems: list[str]) -> list[Settings]:
    """Settings for each group, as the state has them."""
    if not isinstance(given, list | tuple) or not all(isinstance(options, Mapping) for options in given):
        raise ConfigError(f"the state's settings are a list of dictionaries, one per group, got {given!r}")
    if len(given) != len(optimizer.groups):
        problems.append(f"it has {len(given)} groups of parameters, this optimizer {len(optimizer.groups)}")
    try:
        settings = [type(optimizer.settings)(**options) for options in given]
    except TypeError as error:  # an option that the rule does not have
        raise ConfigError(f"the state's settings: {error}") from None
    for i, options in enumerate(settings):
        if options.variant.slots != optimizer.arena.slots:
            ours, theirs = (", ".join(slots) or "none" for slots in (optimizer.arena.slots, options.variant.slots))
            problems.append(f"the settings of group {i} need the slots {theirs}, this optimizer has {ours}")
    return settings


def _slots(optimizer: "Optimizer", given: Any, problems: list[str]) -> list[np.ndarray]:
    """The slots in the order of the arena's."""
    names, arena = optimizer.arena.slots, optimizer.arena
    if not isinstance(given, Mapping):
        raise ConfigError(f"the state's slots are arrays by name, got {given!r}")
    if set(given) != set(names):
        problems.append(
            f"it has the slots {', '.join(map(str, given)) or 'none'}, the rule {', '.join(names) or 'none'}"
        )
        return []
    return [_array(f"slot {name}", given[name], arena.array.dtype, (arena.size,), problems) for name in names]


def _array(name: str, given: Any, dtype: np.dtype[Any], shape: tuple[int, ...], problems: list[str]) -> np.ndarray:
    """``given`` as a new array; a list of numbers is one too, in any precision."""
    try:
        array = as_numbers(name, given, shape)
    except ConfigError as error:
        problems.append(str(error))
        return np.zeros(shape, dtype)
    if array.dtype.kind == "f" and typed(given) and array.dtype != dtype:
        problems.append(f"{name} has the dtype {array.dtype}, not {dtype}")
    return array.astype(dtype)


def _other_controls(optimizer: "Optimizer", settings: Sequence[Settings], controls: np.ndarray) -> list[str]:
    """What in the controls is not as the settings and the groups have it."""
    problems = []
    ours, steps = optimizer._controls, controls[:, T]
    fixed = [L2, DECOUPLED, *range(HYPER + 1, HYPER + len(settings[0].hyper))]  # the rate may be a schedule's
    for i, (options, group) in enumerate(zip(settings, optimizer.groups, strict=True)):
        ends = ours[i, LOW], ours[i, HIGH]
        want = options.control(*map(int, ends))
        if (controls[i, LOW], controls[i, HIGH]) != ends:
            problems.append(f"group {i} has {int(ends[1] - ends[0])} numbers, the state's another range of them")
        if not np.array_equal(controls[i, fixed], want[fixed]):
            problems.append(f"the controls of group {i} are not those of its settings {options!r}")
        if not 0.0 <= group.dtype.type(controls[i, HYPER]) < np.inf:
            problems.append(f"the rate of group {i} is {controls[i, HYPER]}")
    if not (
        np.isfinite(steps).all() and (steps >= 0).all() and (steps == np.floor(steps)).all() and len(set(steps)) == 1
    ):
        problems.append(f"the number of steps is one whole number >= 0, got {steps.tolist()}")
    if np.isnan(controls[:, HYPER + len(settings[0].hyper) :]).any():
        problems.append("what the rule carries from step to step is NaN")
    scale = controls[:, SCALE]
    if (np.isfinite(scale) & (np.signbit(scale) != np.signbit(optimizer._sign))).any():
        problems.append(f"it is of an optimizer that {'minimizes' if optimizer._sign < 0 else 'maximizes'}")
    return problems
