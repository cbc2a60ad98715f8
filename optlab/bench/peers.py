"""One step of each library on one flat vector: what a user of it would write, at its best setting."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.optim.optimizer import Optimizer
from optlab.optim.settings import Settings
from optlab_kernels.reference import on_arrays

Step = Callable[[], object]
Result = Callable[[], np.ndarray]
Contender = tuple[Step, Result]  # one step; the parameters so far


def optlab(settings: Settings, p: np.ndarray, g: np.ndarray) -> Contender:
    """`Optimizer.step`, as a user calls it."""
    tensor = Tensor(p.copy(), requires_grad=True)
    optimizer = Optimizer([tensor], settings)
    tensor.grad = g
    return optimizer.step, lambda: tensor.data


def numpy(settings: Settings, p: np.ndarray, g: np.ndarray) -> Contender:
    """The same functions on whole arrays: a reader's first version, with its temporaries."""
    rule = settings.variant
    arena = np.empty((2 + len(rule.slots), p.size), p.dtype)
    arena[0], arena[1] = p, g
    for i, slot in enumerate(rule.slots):
        arena[2 + i] = rule.start(slot, settings.hyper)
    control = settings.control(0, p.size)
    return lambda: on_arrays(rule, arena, control), lambda: arena[0]


def _torch_class(settings: Settings) -> tuple[Any, dict[str, Any]] | None:
    import torch

    o, h = torch.optim, settings.hyper
    table: dict[str, tuple[Any, dict[str, Any]]] = {
        "sgd": (o.SGD, {}),
        "momentum": (o.SGD, {"momentum": getattr(h, "beta", 0.0), "nesterov": getattr(h, "nesterov", False)}),
        "adagrad": (o.Adagrad, {}),
        "adadelta": (o.Adadelta, {}),
        "rmsprop": (o.RMSprop, {}),
        "adam": (o.Adam, {}),
        "adamw": (o.AdamW, {}),
        "amsgrad": (o.Adam, {"amsgrad": True}),
        "nadam": (o.NAdam, {}),
        "adamax": (o.Adamax, {}),
    }
    return table.get(settings.name)


def torch(settings: Settings, p: np.ndarray, g: np.ndarray, form: str) -> Contender | None:
    """``torch.optim`` in one of its three forms; None where the rule has not got that form on the CPU."""
    import torch as lib

    found = _torch_class(settings)
    if found is None:
        return None
    kind, options = found
    parameter = lib.nn.Parameter(lib.from_numpy(p.copy()))
    parameter.grad = lib.from_numpy(g.copy())
    if form == "fused" and settings.name not in {"sgd", "momentum", "adagrad", "adam", "adamw", "amsgrad"}:
        return None
    flags = {"fused": {"fused": True}, "foreach": {"foreach": True}, "for-loop": {"foreach": False}}[form]
    optimizer = kind([parameter], lr=settings.lr, weight_decay=settings.weight_decay, **options, **flags)
    return optimizer.step, lambda: np.asarray(parameter.detach().numpy())


def optax(settings: Settings, p: np.ndarray, g: np.ndarray) -> Contender | None:
    """One jitted update with its buffers donated, waited for."""
    import jax
    import optax as lib

    h = settings.hyper
    table: dict[str, Callable[[], Any]] = {
        "sgd": lambda: lib.sgd(h.lr),
        "momentum": lambda: lib.sgd(h.lr, momentum=h.beta, nesterov=h.nesterov),
        "adagrad": lambda: lib.adagrad(h.lr, initial_accumulator_value=h.initial, eps=h.eps),
        "adadelta": lambda: lib.adadelta(h.lr),
        "rmsprop": lambda: lib.rmsprop(h.lr, decay=h.alpha, eps=h.eps, eps_in_sqrt=False),
        "adam": lambda: lib.adam(h.lr),
        "adamw": lambda: lib.adamw(h.lr, weight_decay=settings.weight_decay),
        "amsgrad": lambda: lib.amsgrad(h.lr),
        "nadam": lambda: lib.nadam(h.lr),
        "adamax": lambda: lib.adamax(h.lr),
        "lion": lambda: lib.lion(h.lr, weight_decay=0.0),
    }
    if settings.name not in table:
        return None
    transform = table[settings.name]()
    gradient = jax.numpy.asarray(g)

    def update(parameters: Any, state: Any, gradient: Any) -> tuple[Any, Any]:
        updates, state = transform.update(gradient, state, parameters)
        return lib.apply_updates(parameters, updates), state

    jitted = jax.jit(update, donate_argnums=(0, 1))
    box: list[Any] = [jax.numpy.array(p), transform.init(jax.numpy.asarray(p))]

    def step() -> None:
        box[0], box[1] = jitted(box[0], box[1], gradient)
        box[0].block_until_ready()

    return step, lambda: np.asarray(box[0])


def contenders(settings: Settings, p: np.ndarray, g: np.ndarray, peers: bool) -> dict[str, Contender]:
    """Every library that is installed and has the rule."""
    found: dict[str, Contender | None] = {"optlab": optlab(settings, p, g), "numpy": numpy(settings, p, g)}
    if peers and find_spec("torch"):
        for form in ("fused", "foreach", "for-loop"):
            found[f"torch {form}"] = torch(settings, p, g, form)
    if peers and find_spec("optax"):
        found["optax"] = optax(settings, p, g)
    return {name: contender for name, contender in found.items() if contender is not None}
