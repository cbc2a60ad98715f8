"""The formulas, against code that other people wrote: torch, optax, Keras, and the papers' (`naive.py`).

One row of a table is one rule under one convention: how the library spells it, and which hyperparameters are drawn.
Both sides take the same 500 random gradients; the distance is the largest difference at any step, relative to the
largest parameter. Both sides round differently at every step, by half a unit in the last place (1.1e-16, 6e-8)
of a number of about the parameter's size; over 500 steps these errors add up like a random walk of 22 such
units. The bars leave a factor of 400 (float64) and 1.5 (float32) on top; what was measured is about 1e-15 and 5e-7.
"""

import functools
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import zlib

import naive
import numpy as np
import pytest
from conftest import SHRINK
from contracts import run

import optlab as ol

STEPS, SIZE, DRAWS = 500 // SHRINK, 24, 3
BAR = {"float64": 1e-12, "float32": 2e-6}
ROUNDINGS = {"NAdam": 2}  # torch subtracts the two parts of its step one by one: twice as many roundings of p as ours
DTYPES = pytest.mark.parametrize("dtype", list(BAR))


def distance(path, want):
    """Largest difference of two trajectories relative to the largest parameter."""
    assert path.dtype == want.dtype
    assert np.isfinite(want).all()
    return float(np.abs(path - want).max() / np.abs(want).max())


def problem(dtype):
    """A start (n,) and gradients (steps, n): normal, each coordinate on its own scale from 0.01 to 10."""
    rng = np.random.default_rng(7)
    scale = np.geomspace(1e-2, 10, SIZE)
    return rng.standard_normal(SIZE).astype(dtype), (rng.standard_normal((STEPS, SIZE)) * scale).astype(dtype)


DRAW = {
    "lr": lambda r: 10 ** r.uniform(-4, -1),
    "large_lr": lambda r: r.uniform(0.1, 2),
    "beta": lambda r: r.choice([0.5, 0.9, 0.95, r.uniform(0, 0.99)]),
    "beta1": lambda r: r.choice([0.5, 0.9, 0.95, r.uniform(0, 0.99)]),
    "beta2": lambda r: r.choice([0.99, 0.999, r.uniform(0.5, 0.9999)]),
    "alpha": lambda r: r.choice([0.9, 0.99, r.uniform(0.5, 0.999)]),
    "rho": lambda r: r.uniform(0.5, 0.99),
    "momentum": lambda r: r.uniform(0.3, 0.95),
    "dampening": lambda r: r.uniform(0, 1),
    "eps": lambda r: 10 ** r.uniform(-10, -3),
    "initial": lambda r: r.uniform(0.01, 1),
    "lr_decay": lambda r: 10 ** r.uniform(-4, -1),
    "momentum_decay": lambda r: r.uniform(0.001, 0.1),
    "weight_decay": lambda r: 10 ** r.uniform(-4, -1),
}


def draws(key, names):
    """DRAWS seeded choices of the named hyperparameters; the second is without weight decay."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    chosen = [{n.removeprefix("large_"): float(DRAW[n](rng)) for n in names.split()} for _ in range(DRAWS)]
    if "weight_decay" in names.split():
        chosen[1]["weight_decay"] = 0.0
    return chosen


def spelled(options, names):
    """``options`` under the library's names; two of ours may go to one pair: ``betas=beta1,beta2``."""
    theirs = {}
    for pair in names.split():
        name, _, ours = pair.partition("=")
        values = [options[o] for o in (ours or name).split(",")]
        theirs[name] = tuple(values) if len(values) > 1 else values[0]
    return theirs


# --- torch ------------------------------------------------------------------------------------------------------------

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
def torch():
    """One thread for small tensors; 64 bits by default, the dtype in which NAdam keeps its product of momenta."""
    torch = pytest.importorskip("torch", reason="torch is the oracle of these tests; pip install torch")
    threads, default = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_num_threads(threads)
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


# --- optax ------------------------------------------------------------------------------------------------------------

ADAM = "lr beta1 beta2 eps", "b1=beta1 b2=beta2 eps"
RMS_OPTAX = "decay=alpha eps"
OPTAX = {
    "sgd": (ol.SGD, {}, "sgd", {}, "lr weight_decay", ""),
    "momentum": (ol.Momentum, {}, "sgd", {}, "lr beta weight_decay", "momentum=beta"),
    "nesterov": (ol.Momentum, {"nesterov": True}, "sgd", {"nesterov": True}, "lr beta", "momentum=beta"),
    "adagrad": (ol.Adagrad, {}, "adagrad", {}, "lr eps initial", "initial_accumulator_value=initial eps"),
    "adadelta": (ol.Adadelta, {}, "adadelta", {}, "large_lr rho eps", "rho eps"),
    "rmsprop": (ol.RMSProp, {}, "rmsprop", {}, "lr alpha eps weight_decay", RMS_OPTAX),
    "rmsprop-outside": (
        ol.RMSProp, {"eps_inside": False}, "rmsprop", {"eps_in_sqrt": False}, "lr alpha eps", RMS_OPTAX,
    ),
    "rmsprop-centered": (ol.RMSProp, {"centered": True}, "rmsprop", {"centered": True}, "lr alpha eps", RMS_OPTAX),
    "rmsprop-momentum": (ol.RMSProp, {}, "rmsprop", {}, "lr alpha eps momentum", RMS_OPTAX + " momentum"),
    "rmsprop-both": (
        ol.RMSProp, {"centered": True}, "rmsprop", {"centered": True}, "lr alpha eps momentum", RMS_OPTAX + " momentum",
    ),
    "adam": (ol.Adam, {}, "adam", {}, ADAM[0] + " weight_decay", ADAM[1]),
    "adamw": (ol.AdamW, {}, "adamw", {}, ADAM[0] + " weight_decay", ADAM[1] + " weight_decay"),
    "amsgrad": (ol.AMSGrad, {}, "amsgrad", {}, *ADAM),
    "nadam": (ol.NAdam, {}, "nadam", {}, *ADAM),
    "adamax": (ol.Adamax, {}, "adamax", {}, *ADAM),
    "lion": (ol.Lion, {}, "lion", {}, "lr beta1 beta2 weight_decay", "b1=beta1 b2=beta2 weight_decay"),
}  # fmt: skip


@pytest.fixture(scope="module")
def optax():
    """With 64-bit numbers on, for float32 parameters too: optax then computes 1 - b^t as exactly as torch and we do."""
    jax = pytest.importorskip("jax", reason="jax runs optax, the oracle of these tests; pip install jax optax")
    optax = pytest.importorskip("optax", reason="optax is the oracle of these tests; pip install optax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield optax
    jax.config.update("jax_enable_x64", before)


@functools.cache
def optax_runner(kind, fixed, coupled):
    """``run(start, gradients, lr, options, decay) -> path``, compiled once for all draws of a row."""
    import jax
    import optax

    @jax.jit
    def run(start, gradients, lr, options, decay):
        rule = getattr(optax, kind)(lr, **dict(fixed), **options)
        if coupled:
            rule = optax.chain(optax.add_decayed_weights(decay), rule)

        def step(carry, g):
            p, state = carry
            update, state = rule.update(g, state, p)
            p = optax.apply_updates(p, update)
            return (p, state), p

        return jax.lax.scan(step, (start, rule.init(start)), gradients)[1]

    return run


@DTYPES
@pytest.mark.parametrize("row", OPTAX.values(), ids=list(OPTAX))
def test_optax(optax, row, dtype):
    ours, fixed, kind, theirs, drawn, names = row
    start, gradients = problem(dtype)
    coupled = "weight_decay" in drawn and "weight_decay" not in names
    reference = optax_runner(kind, tuple(theirs.items()), coupled)
    for options in draws(kind + drawn, drawn):
        settings = ours(**fixed, **{"weight_decay": 0.0, **options}, convention="optax")
        path = run(settings, start, gradients)
        decay = options.get("weight_decay", 0.0)
        want = np.asarray(reference(start, gradients, options["lr"], spelled(options, names), decay))
        # We and torch round 1 - lr wd once to float32, to within 2^-25; optax subtracts lr wd p instead. The difference
        # has the same sign at every step and does not average out.
        biased = dtype == "float32" and settings.decoupled and decay
        assert distance(path[1:], want) <= BAR[dtype] + (STEPS * 2.0**-25 if biased else 0.0), options


# --- Keras ------------------------------------------------------------------------------------------------------------

ADAM = "lr beta1 beta2 eps weight_decay", "beta_1=beta1 beta_2=beta2 epsilon=eps"
RMS_KERAS = "rho=alpha epsilon=eps"
KERAS = {
    "sgd": (ol.SGD, {}, "SGD", {}, "lr weight_decay", ""),
    "momentum": (ol.Momentum, {}, "SGD", {}, "lr beta weight_decay", "momentum=beta"),
    "nesterov": (ol.Momentum, {"nesterov": True}, "SGD", {"nesterov": True}, "lr beta weight_decay", "momentum=beta"),
    "adagrad": (
        ol.Adagrad, {}, "Adagrad", {}, "lr eps initial weight_decay", "initial_accumulator_value=initial epsilon=eps",
    ),
    "adadelta": (ol.Adadelta, {}, "Adadelta", {}, "large_lr rho eps weight_decay", "rho epsilon=eps"),
    "rmsprop": (ol.RMSProp, {}, "RMSprop", {}, "lr alpha eps weight_decay", RMS_KERAS),
    "rmsprop-centered": (
        ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, "lr alpha eps weight_decay", RMS_KERAS,
    ),
    "rmsprop-momentum": (ol.RMSProp, {}, "RMSprop", {}, "lr alpha eps momentum", RMS_KERAS + " momentum"),
    "rmsprop-both": (
        ol.RMSProp, {"centered": True}, "RMSprop", {"centered": True}, "lr alpha eps momentum", RMS_KERAS + " momentum",
    ),
    "adam": (ol.Adam, {}, "Adam", {}, *ADAM),
    "adamw": (ol.AdamW, {}, "AdamW", {}, *ADAM),
    "amsgrad": (ol.AMSGrad, {}, "Adam", {"amsgrad": True}, *ADAM),
    "nadam": (ol.NAdam, {}, "Nadam", {}, *ADAM),
    "adamax": (ol.Adamax, {}, "Adamax", {}, *ADAM),
    "lion": (ol.Lion, {}, "Lion", {}, "lr beta1 beta2 weight_decay", "beta_1=beta1 beta_2=beta2"),
}  # fmt: skip

KERAS_DRAWS = {"float64": 2, "float32": 1}  # a step of Keras takes 0.4 ms

# Runs in a process of its own: Keras has one backend and one float type per process, and writes to KERAS_HOME.
KERAS_SCRIPT = """
import inspect, json, sys
import keras, numpy as np
jobs, out = json.load(open(sys.argv[1])), {}
data = np.load(sys.argv[2])
for number, (kind, dtype, options) in enumerate(jobs):
    keras.config.set_floatx(dtype)
    p = keras.Variable(data[dtype + "_start"], dtype=dtype)
    optimizer = getattr(keras.optimizers, kind)(**options)
    optimizer.build([p])
    path = [data[dtype + "_start"]]
    for g in data[dtype + "_gradients"]:
        optimizer.apply([keras.ops.convert_to_tensor(g, dtype=dtype)])
        path.append(keras.ops.convert_to_numpy(p.value).copy())
    out[str(number)] = np.array(path)
np.savez(sys.argv[3], **out)
signatures = {
    kind: {
        n: v.default for n, v in inspect.signature(getattr(keras.optimizers, kind).__init__).parameters.items()
        if isinstance(v.default, float | int | None)
    }
    for kind in {job[0] for job in jobs}
}
json.dump(signatures, open(sys.argv[4], "w"))
"""


@pytest.fixture(scope="module")
def keras_runs(tmp_path_factory):
    """Trajectories of Keras's own classes for all rows, draws and dtypes, and its constructors' defaults."""
    if not all(map(importlib.util.find_spec, ("keras", "torch"))):
        pytest.skip("keras is the oracle of these tests and runs here on torch; pip install keras torch")
    folder = tmp_path_factory.mktemp("keras")
    jobs, keys, arrays = [], [], {}
    for dtype in BAR:
        arrays[f"{dtype}_start"], arrays[f"{dtype}_gradients"] = problem(dtype)
        for name, (_, _, kind, theirs, drawn, names) in KERAS.items():
            for i, options in enumerate(draws(kind + drawn, drawn)[: KERAS_DRAWS[dtype]]):
                rest = {"learning_rate": options["lr"], "weight_decay": options.get("weight_decay", 0.0)}
                jobs.append((kind, dtype, {**theirs, **spelled(options, names), **rest}))
                keys.append((name, dtype, i))
    (folder / "jobs.json").write_text(json.dumps(jobs))
    np.savez(folder / "data.npz", **arrays)
    files = [str(folder / n) for n in ("jobs.json", "data.npz", "out.npz", "signatures.json")]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KERAS_SCRIPT, *files], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(files[2]) as out:
        paths = {key: out[str(i)] for i, key in enumerate(keys)}
    return paths, json.loads((folder / "signatures.json").read_text())


@DTYPES
@pytest.mark.parametrize("name", KERAS)
def test_keras(keras_runs, name, dtype):
    ours, fixed, kind, _, drawn, _ = KERAS[name]
    start, gradients = problem(dtype)
    for i, options in enumerate(draws(kind + drawn, drawn)[: KERAS_DRAWS[dtype]]):
        settings = ours(**fixed, **{"weight_decay": 0.0, **options}, convention="keras")
        path = run(settings, start, gradients)
        assert distance(path, keras_runs[0][name, dtype, i]) <= BAR[dtype], options


# --- defaults ---------------------------------------------------------------------------------------------------------


def same_defaults(ours, convention, theirs, names):
    """Each hyperparameter in ``names`` has the library's default; None there means that the option is off."""
    settings = ours(convention=convention)
    for pair in names.split():
        name, _, own = pair.partition("=")
        if ours is ol.Momentum and name == "momentum":
            continue  # off in every library: without it the rule is ol.SGD
        want = theirs[name]
        got = [getattr(settings, o) for o in (own or name).split(",")]
        assert got == list(want if isinstance(want, tuple) else [want or 0.0]), name


def defaults_of(function):
    return {n: p.default for n, p in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize("row", TORCH.values(), ids=list(TORCH))
def test_defaults_are_those_of_torch(torch, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "torch", defaults_of(getattr(torch.optim, kind)), names)


@pytest.mark.parametrize("row", OPTAX.values(), ids=list(OPTAX))
def test_defaults_are_those_of_optax(optax, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "optax", defaults_of(getattr(optax, kind)), names)
    if "weight_decay" not in names:
        assert ours(convention="optax").weight_decay == 0.0


@pytest.mark.parametrize("row", KERAS.values(), ids=list(KERAS))
def test_defaults_are_those_of_keras(keras_runs, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "keras", keras_runs[1][kind], names + " learning_rate=lr weight_decay")
    assert ours(convention="keras").decoupled


# --- papers and published animations ----------------------------------------------------------------------------------

NO_EPS = 1e-300  # the paper has none
PAPERS = {
    "sgd": (ol.SGD(0.01, convention="paper"), naive.robbins_monro(0.01)),
    "momentum": (ol.Momentum(0.01, beta=0.8, convention="paper"), naive.polyak(0.01, 0.8)),
    "adagrad": (ol.Adagrad(0.1, eps=1e-3, convention="paper"), naive.duchi(0.1, 1e-3)),
    "adadelta": (ol.Adadelta(convention="paper"), naive.zeiler(0.95, 1e-6)),
    "rmsprop": (ol.RMSProp(0.01, convention="paper"), naive.tieleman_hinton(0.01, 0.0, 1e-8)),
    "rmsprop-momentum": (
        ol.RMSProp(0.01, momentum=0.9, eps=NO_EPS, convention="paper"), naive.tieleman_hinton(0.01, 0.9, NO_EPS),
    ),
    "rmsprop-graves": (
        ol.RMSProp(1e-4, alpha=0.95, momentum=0.9, eps=1e-4, centered=True, eps_inside=True, convention="paper"),
        naive.graves(1e-4, 0.95, 0.9, 1e-4),
    ),
    "adam": (ol.Adam(convention="paper"), naive.kingma_ba(1e-3, 0.9, 0.999, 1e-8)),
    "adam-reordered": (
        ol.Adam(0.01, eps=1e-3, eps_hat=True, convention="paper"), naive.kingma_ba_reordered(0.01, 0.9, 0.999, 1e-3),
    ),
    "adamax": (ol.Adamax(eps=NO_EPS, convention="paper"), naive.kingma_ba_infinity(0.002, 0.9, 0.999)),
    "adamw": (ol.AdamW(0.1, convention="paper"), naive.loshchilov_hutter(0.1, 0.9, 0.999, 1e-8, 0.01)),
    "amsgrad": (ol.AMSGrad(beta2=0.9, eps=NO_EPS, convention="paper"), naive.reddi(1e-3, 0.9, 0.9)),
    "nadam": (ol.NAdam(0.01, convention="paper"), naive.dozat(0.01, 0.9, 0.999, 1e-8, 0.004)),
    "lion": (ol.Lion(0.01, weight_decay=0.1, convention="paper"), naive.chen(0.01, 0.9, 0.99, 0.1)),
}  # fmt: skip
CS231N = {
    "sgd": (ol.SGD(0.01, convention="cs231n"), naive.robbins_monro(0.01)),
    "momentum": (ol.Momentum(0.001, beta=0.95, convention="cs231n"), naive.cs231n_momentum(0.001, 0.95)),
    "nag": (ol.Momentum(0.001, beta=0.95, nesterov=True, convention="cs231n"), naive.cs231n_nag(0.001, 0.95)),
    "adagrad": (ol.Adagrad(1.0, convention="cs231n"), naive.cs231n_adagrad(1.0, 1e-6)),
    "adadelta": (ol.Adadelta(5.0, convention="cs231n"), naive.cs231n_adadelta(5.0, 0.95, 1e-6)),
    "rmsprop": (ol.RMSProp(0.075, convention="cs231n"), naive.cs231n_rmsprop(0.075, 0.95, 1e-6)),
    "adam": (ol.Adam(eps=1e-3, convention="cs231n"), naive.epsilon_inside(1e-3, 0.9, 0.999, 1e-3)),
    "adamw": (ol.AdamW(0.1, convention="cs231n"), naive.epsilon_inside(0.1, 0.9, 0.999, 1e-8, decay=0.01)),
    "amsgrad": (
        ol.AMSGrad(0.1, beta2=0.9, eps=0.01, convention="cs231n"),
        naive.epsilon_inside(0.1, 0.9, 0.9, 0.01, largest=True),
    ),
}


@pytest.mark.parametrize(("table", "name"), [*(("papers", n) for n in PAPERS), *(("cs231n", n) for n in CS231N)])
def test_transcriptions(table, name):
    settings, reference = (PAPERS if table == "papers" else CS231N)[name]
    start, gradients = problem("float64")
    want = naive.walk(reference, start, lambda x, t: gradients[t], STEPS)
    assert distance(run(settings, start, gradients), want) <= BAR["float64"]


def test_every_rule_has_an_oracle_under_every_convention_that_it_names():
    for name, kind in ol.RULES.items():
        for convention, tables in {"keras": KERAS, "optax": OPTAX, "paper": PAPERS, "cs231n": CS231N}.items():
            assert convention not in kind.rule.conventions or name in tables, (name, convention)
        assert name in TORCH or name == "lion"  # torch has no Lion: optax, Keras and the paper stand in


# figures.md, contours: positions of the animation's rules on Beale's function from (1, 1.6), recomputed there
CONTOURS = {
    "sgd": (
        ol.SGD(0.001, convention="cs231n"),
        [(0.950168, 1.483541), (0.837614, 1.062099), (1.007414, 0.508716), (1.305403, 0.246445)],
    ),
    "momentum": (
        ol.Momentum(0.001, beta=0.95, convention="cs231n"),
        [(0.950168, 1.483541), (0.409188, -0.531331), (0.643900, -1.403443), (2.812550, 0.436705)],
    ),
    "nag": (
        ol.Momentum(0.001, beta=0.95, nesterov=True, convention="cs231n"),
        [(0.902828, 1.372906), (0.571639, -0.364041), (1.357428, -0.586839), (2.919164, 0.455670)],
    ),
    "adagrad": (
        ol.Adagrad(1.0, convention="cs231n"),
        [(0.0, 0.6), (1.253951, 0.279453), (2.363616, 0.278463), (2.621600, 0.385841)],
    ),
    "adadelta": (
        ol.Adadelta(5.0, convention="cs231n"),
        [(0.977639, 1.577639), (1.031198, 0.421567), (2.619014, 0.382160), (2.841466, 0.456589)],
    ),
    "rmsprop": (
        ol.RMSProp(0.075, convention="cs231n"),
        [(0.664590, 1.264590), (0.588650, 0.808735), (2.148103, 0.186260), (2.698127, 0.412593)],
    ),
    "adam": (
        ol.Adam(0.1),
        [(0.9, 1.5), (0.264702, 0.802768), (1.742453, 0.003203), (2.373903, 0.310619)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTOURS)
def test_golden_iterates_on_beale(name):
    settings, want = CONTOURS[name]
    path = run(settings, np.array([1.0, 1.6]), [naive.beale_gradient] * 100)
    np.testing.assert_allclose(path[[1, 10, 50, 100]], want, atol=1e-6)  # the digits shown, and figures.md's bar


# figures.md, saddle: z = 5 x^2 - y^2 from (0.25, -1e-6); steps 5, 20, 40 to the digits shown
SADDLE = {
    "sgd": (
        ol.SGD(0.01),
        [(0.14762, -1.10408e-6), (0.030394, -1.48595e-6), (0.0036952, -2.20804e-6)],
    ),
    "momentum": (
        ol.Momentum(0.01, beta=0.95),
        [(-0.025025, -1.29413e-6), (0.14685, -6.84605e-6), (0.084743, -7.49536e-5)],
    ),
    "nag": (
        ol.Momentum(0.01, beta=0.95, nesterov=True),
        [(-0.04758, -1.39829e-6), (0.050028, -8.43767e-6), (0.0098106, -1.07963e-4)],
    ),
    "adagrad": (
        ol.Adagrad(0.05),
        [(0.11135, -0.152948), (0.019824, -0.525866), (0.002154, -0.80855)],
    ),
    "adadelta": (
        ol.Adadelta(1.0),
        [(0.22773, -2.42881e-4), (0.16872, -0.196951), (0.11025, -2.18543)],
    ),
    "rmsprop": (
        ol.RMSProp(0.01),
        [(0.12083, -0.0965321), (0.01845, -0.473074), (3.8148e-4, -0.785422)],
    ),
    "adam": (
        ol.Adam(0.01),
        [(0.20022, -0.0436828), (0.065628, -0.200344), (-0.020199, -0.454746)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SADDLE)
def test_golden_iterates_at_a_saddle(name):
    settings, want = SADDLE[name]
    settings = settings if name == "adam" else settings.replace(convention="cs231n")
    path = run(settings, np.array([0.25, -1e-6]), [lambda p: np.array([10.0, -2.0]) * p] * 40)
    np.testing.assert_allclose(path[[5, 20, 40]], want, rtol=2e-4)  # at least four digits are shown


def test_a_halved_rate_tells_the_forms_of_momentum_apart():
    """Twenty steps under gradient 1, then rate / 2 and no gradient: torch's velocity is rescaled, cs231n's not."""
    paths = {}
    for convention in ("torch", "optax", "keras", "paper", "cs231n"):
        tensor = ol.Tensor(np.zeros(1))
        optimizer = ol.Optimizer([tensor], ol.Momentum(0.1, beta=0.5, convention=convention))
        for t in range(60):
            tensor.grad[...], optimizer.lr = (1.0, 0.1) if t < 20 else (0.0, 0.05)
            optimizer.step()
        paths[convention] = tensor.data[0]
    v, before = 0.0, 0.0
    for _ in range(20):
        v = 0.5 * v + 1.0
        before -= 0.1 * v
    np.testing.assert_allclose([paths["torch"], paths["optax"]], before - 0.05 * v, rtol=1e-12)  # v (1/2 + 1/4 + ...)
    np.testing.assert_allclose([paths[c] for c in ("keras", "paper", "cs231n")], before - 0.1 * v, rtol=1e-12)
