"""Rules, defaults and changes of the rate against `torch.optim`."""

import numpy as np
import pytest
from contracts import run
from parity import BAR, DTYPES, defaults_of, distance, draws, problem, same_defaults, spelled

import optlab as ol

ROUNDINGS = {"NAdam": 2}  # torch subtracts the two parts of its step one by one: twice as many roundings of p as ours

# id: our class and fixed options, torch's class and fixed options, drawn hyperparameters, torch's names of them
ADAM = "lr beta1 beta2 eps weight_decay", "lr betas=beta1,beta2 eps weight_decay"
RMS = "lr alpha eps weight_decay", "lr alpha eps weight_decay"
RMS_MOMENTUM = "lr alpha eps momentum weight_decay", "lr alpha eps momentum weight_decay"
TORCH = {
    "sgd": (ol.SGD, {}, "SGD", {}, "lr weight_decay", "lr weight_decay"),
    "momentum": (
        ol.Momentum, {}, "SGD", {}, "lr beta dampening weight_decay", "lr momentum=beta dampening weight_decay",
    ),
    "nesterov": (
        ol.Momentum, {"nesterov": True}, "SGD", {"nesterov": True},
        "lr beta weight_decay", "lr momentum=beta weight_decay",
    ),
    "adagrad": (
        ol.Adagrad, {}, "Adagrad", {}, "lr eps initial lr_decay weight_decay",
        "lr eps initial_accumulator_value=initial lr_decay weight_decay",
    ),
    "adadelta": (
        ol.Adadelta, {}, "Adadelta", {}, "large_lr rho eps weight_decay", "lr rho eps weight_decay",
    ),
    "rmsprop": (ol.RMSProp, {}, "RMSprop", {}, *RMS),
    "rmsprop-centered": (ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, *RMS),
    "rmsprop-momentum": (ol.RMSProp, {}, "RMSprop", {}, *RMS_MOMENTUM),
    "rmsprop-both": (ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, *RMS_MOMENTUM),
    "adam": (ol.Adam, {}, "Adam", {}, *ADAM),
    "adamw": (ol.AdamW, {}, "AdamW", {}, *ADAM),
    "amsgrad": (ol.AMSGrad, {}, "Adam", {"amsgrad": True}, *ADAM),
    "nadam": (
        ol.NAdam, {}, "NAdam", {},
        "lr beta1 beta2 eps momentum_decay weight_decay", "lr betas=beta1,beta2 eps momentum_decay weight_decay",
    ),
    "adamax": (ol.Adamax, {}, "Adamax", {}, *ADAM),
}  # fmt: skip


@pytest.fixture(scope="module")
def torch(torch):
    """64 bits by default, the dtype in which NAdam keeps its product of momenta."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(default)


def torch_path(torch, kind, start, gradients, **options):
    p = torch.nn.Parameter(torch.tensor(start))
    optimizer = getattr(torch.optim, kind)([p], foreach=False, **options)
    path = [start]
    for g in torch.tensor(gradients):
        p.grad = g
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


@DTYPES
@pytest.mark.parametrize("maximize", [False, True], ids=["down", "up"])
@pytest.mark.parametrize("row", TORCH.values(), ids=list(TORCH))
def test_torch(torch, row, maximize, dtype):
    ours, fixed, kind, theirs, drawn, names = row
    start, gradients = problem(dtype)
    for options in draws(kind + drawn, drawn):
        path = run(ours(**fixed, **options), start, gradients, maximize=maximize)
        want = torch_path(torch, kind, start, gradients, maximize=maximize, **theirs, **spelled(options, names))
        assert distance(path, want) <= BAR[dtype] * ROUNDINGS.get(kind, 1), options


@DTYPES
@pytest.mark.parametrize("name", TORCH)
def test_torch_defaults_give_the_same_steps(torch, name, dtype):
    ours, fixed, kind, theirs, _, names = TORCH[name]
    start, gradients = problem(dtype)
    options = {"momentum": 0.9} if ours is ol.Momentum else {}
    if "momentum" in names.split():
        fixed, options = {**fixed, "momentum": 0.9}, {"momentum": 0.9}
    want = torch_path(torch, kind, start, gradients, **theirs, **options)
    assert distance(run(ours(**fixed), start, gradients), want) <= BAR[dtype]


@DTYPES
def test_torch_learning_rate_changed_on_the_way(torch, dtype):
    """`opt.lr = ...` against `group["lr"] = ...`, at every step; the rate of momentum acts outside the velocity."""
    start, gradients = problem(dtype)
    for ours, theirs in [(ol.Momentum(0.1), ("SGD", {"momentum": 0.9})), (ol.AdamW(0.1), ("AdamW", {}))]:
        tensor = ol.Tensor(start.copy())
        p = torch.nn.Parameter(torch.tensor(start))
        optimizer = ol.Optimizer([tensor], ours)
        reference = getattr(torch.optim, theirs[0])([p], lr=0.1, foreach=False, **theirs[1])
        for t, g in enumerate(gradients):
            optimizer.lr = reference.param_groups[0]["lr"] = 0.1 / (1 + t)
            tensor.grad[...], p.grad = g, torch.tensor(g)
            optimizer.step()
            reference.step()
        assert distance(tensor.data, p.detach().numpy()) <= BAR[dtype]


# --- defaults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TORCH.values(), ids=list(TORCH))
def test_defaults_are_those_of_torch(torch, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "torch", defaults_of(getattr(torch.optim, kind)), names)
