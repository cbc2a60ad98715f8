"""Rules and defaults against optax."""

import functools

import numpy as np
import pytest
from contracts import run
from parity import BAR, DTYPES, STEPS, defaults_of, distance, draws, problem, same_defaults, spelled

import optlab as ol

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


# --- defaults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", OPTAX.values(), ids=list(OPTAX))
def test_defaults_are_those_of_optax(optax, row):
    ours, _, kind, _, _, names = row
    same_defaults(ours, "optax", defaults_of(getattr(optax, kind)), names)
    if "weight_decay" not in names:
        assert ours(convention="optax").weight_decay == 0.0
