"""Rules against the papers' formulas (`naive.py`) and the published animations' positions."""

import naive
import numpy as np
import pytest
from contracts import run
from parity import BAR, STEPS, distance, problem
from test_parity_keras import KERAS
from test_parity_optax import OPTAX
from test_parity_torch import TORCH

import optlab as ol

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
