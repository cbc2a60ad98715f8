"""Every rule obeys the contract, and the laws that follow from its formula."""

import re
from typing import NamedTuple

import contracts
import naive
import numpy as np
import pytest
from conftest import BOTH, JIT
from contracts import run
from examples import PARTS, Hyper, coefficients
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.optim.settings import CONVENTIONS
from optlab_kernels.rule import HYPER

VARIANTS = [
    ol.Momentum(nesterov=True, dampening=0.0),
    ol.Momentum(dampening=0.3),
    ol.Momentum(nesterov=True, convention="keras"),
    ol.Adagrad(lr_decay=0.01, initial=0.1),
    *(ol.RMSProp(centered=c, momentum=m, convention=f) for c in (0, 1) for m in (0, 0.9) for f in ("torch", "keras")),
    ol.Adam(bias_correction=False),
    ol.AMSGrad(convention="optax", beta1=0.5),
]
EVERY = {repr(s): s for s in [*(rule(convention=c) for rule in ol.RULES.values() for c in CONVENTIONS), *VARIANTS]}
numbers = st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3)
rates = st.floats(1e-5, 1.0)
decays = st.floats(0.0, 0.999)


@BOTH
@pytest.mark.parametrize("settings", EVERY.values(), ids=list(EVERY))
@pytest.mark.parametrize("check", contracts.RULE)
def test_contract(check, settings, dtype):
    check(settings, dtype)


def test_the_contract_covers_every_rule_and_slot_layout():
    assert {s.name for s in EVERY.values()} == set(ol.RULES)
    assert {s.variant.slots for s in EVERY.values() if s.name == "rmsprop"} == {
        ("v",),
        ("v", "m"),
        ("v", "b"),
        ("v", "m", "b"),
    }


# --- laws -----------------------------------------------------------------------------------------------------------


@given(g=numbers, lr=rates, beta1=decays, beta2=decays, eps=st.floats(1e-12, 1.0))
def test_first_adam_step_has_length_lr_up_to_epsilon(g, lr, beta1, beta2, eps):
    path = run(ol.Adam(lr, beta1=beta1, beta2=beta2, eps=eps), [0.0], [g])
    # 1 - b cancels against the correction: the error of 1 - b, up to eps / (1 - b), is in both and divides out
    np.testing.assert_allclose(path[1], -lr * g / (abs(g) + eps), rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "power"),
    [
        (lambda eps, c: ol.Adam(eps=eps, convention=c), 1),
        (lambda eps, c: ol.AdamW(eps=eps, convention=c), 1),
        (lambda eps, c: ol.AMSGrad(eps=eps, convention=c), 1),
        (lambda eps, c: ol.NAdam(eps=eps, convention=c), 1),
        (lambda eps, c: ol.Adamax(eps=eps, convention=c), 1),
        (lambda eps, c: ol.RMSProp(eps=eps, convention=c, centered=True, momentum=0.5, eps_inside=False), 1),
        (lambda eps, c: ol.RMSProp(eps=eps, convention=c, eps_inside=True), 2),
        (lambda eps, c: ol.Adagrad(eps=eps, convention=c, initial=0.0, eps_inside=False), 1),
        (lambda eps, c: ol.Adagrad(eps=eps, convention=c, initial=0.0, eps_inside=True), 2),
        (lambda eps, c: ol.Lion(convention=c), 0),
    ],
)
@pytest.mark.parametrize("convention", ["torch", "keras"])
@pytest.mark.parametrize("k", [2.0**-30, 0.25, 2.0, 2.0**40])
def test_adaptive_rules_see_no_gradient_scale(make, power, convention, k):
    """g -> k g with epsilon -> k epsilon (k^2 under the root) changes no bit: powers of two are exact everywhere."""
    gradients = np.random.default_rng(0).standard_normal((20, 8))
    want = run(make(1e-8, convention), np.zeros(8), gradients)
    np.testing.assert_array_equal(run(make(1e-8 * k**power, convention), np.zeros(8), k * gradients), want)


@given(gradients=st.lists(numbers, min_size=1, max_size=8), power=st.integers(-12, 0))
def test_lion_moves_by_exactly_lr(gradients, power):
    lr = 2.0**power  # multiples of a power of two add up without rounding
    moves = np.abs(np.diff(run(ol.Lion(lr), [0.0], gradients), axis=0))
    assert set(moves.ravel()) <= {lr, 0.0}
    assert moves[0] == lr


@given(g=numbers, beta=st.floats(0.0, 0.99))
def test_momentum_velocity_under_a_constant_gradient(g, beta):
    tensor = ol.Tensor(np.zeros(1))
    optimizer = ol.Optimizer([tensor], ol.Momentum(beta=beta))
    tensor.grad[...] = g
    for t in range(1, 30):
        optimizer.step()
        want = g * sum(beta**k for k in range(t))  # = g (1 - b^t) / (1 - b), without its cancellation
        np.testing.assert_allclose(optimizer.state("v")[0], want, rtol=1e-13)
    np.testing.assert_allclose(want, g * (1 - beta**t) / (1 - beta), rtol=1e-11)


def test_momentum_multiplies_the_step_by_ten_in_the_limit():
    path = run(ol.Momentum(0.01, beta=0.9), [0.0], [1.0] * 400)
    np.testing.assert_allclose(np.diff(path, axis=0)[-1], -0.01 / (1 - 0.9), rtol=1e-13)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9, 0.99])
def test_nesterov_stores_the_look_ahead_of_the_textbook_form(convention, mu):
    def gradient(x):
        return np.array([1.0, 30.0]) * x + np.sin(x)

    path = run(ol.Momentum(0.01, beta=mu, nesterov=True, convention=convention), [1.0, 1.0], [gradient] * 100)
    want = naive.walk(naive.sutskever(0.01, mu, gradient), [1.0, 1.0], lambda x, t: None, 100)
    np.testing.assert_allclose(path, want, atol=1e-14)  # figures.md: 2e-15 over 100 steps


@given(st.floats(0.5, 0.9999), rates, st.integers(0, 99))
def test_adam_without_momentum_is_rmsprop(beta2, lr, seed):
    gradients = np.random.default_rng(seed).standard_normal((10, 4))
    adam = run(ol.Adam(lr, beta1=0.0, beta2=beta2, bias_correction=False), np.ones(4), gradients)
    # the same order of operations: equal; torch's order, (g / r) lr in place of (lr g) / r: one rounding more a step
    inside = run(ol.RMSProp(lr, alpha=beta2, lr_inside=True), np.ones(4), gradients)
    np.testing.assert_array_equal(adam, inside)
    np.testing.assert_allclose(adam, run(ol.RMSProp(lr, alpha=beta2), np.ones(4), gradients), rtol=1e-13, atol=1e-14)

    corrected = run(ol.Adam(lr, beta1=0.0, beta2=beta2), np.ones(4), gradients)
    p, v = np.ones(4), np.zeros(4)
    for t, g in enumerate(gradients, 1):
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * g / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
        np.testing.assert_allclose(corrected[t], p, rtol=1e-11, atol=1e-12)  # 1 - b2^t loses up to 4 digits at 0.9999


@given(g=numbers, w=numbers, decay=st.floats(1e-4, 1.0))
def test_first_step_of_adam_with_coupled_and_decoupled_decay(g, w, decay):
    lr, eps = 0.01, 1e-14
    if abs(g + decay * w) > 1e-6:
        coupled = run(ol.Adam(lr, eps=eps, weight_decay=decay), [w], [g])
        np.testing.assert_allclose(coupled[1], w - lr * np.sign(g + decay * w), rtol=1e-13, atol=1e-9)
    decoupled = run(ol.AdamW(lr, eps=eps, weight_decay=decay), [w], [g])
    np.testing.assert_allclose(decoupled[1], w - lr * np.sign(g) - lr * decay * w, rtol=1e-13, atol=1e-12)


def test_epsilon_hat_is_epsilon_times_the_root_of_the_correction():
    """figures.md, adam-eps (b): equal to rounding at every t when e^ = e sqrt(1 - b2^t)."""
    gradients = np.random.default_rng(0).standard_normal((50, 4)) * 1e-3
    want = run(ol.Adam(0.01, eps=1e-4), np.zeros(4), gradients)
    tensor = ol.Tensor(np.zeros(4))
    optimizer = ol.Optimizer([tensor], ol.Adam(0.01, eps=1e-4, eps_hat=True))
    at = HYPER + ol.Adam.rule.hyper._fields.index("eps")
    for t, g in enumerate(gradients, 1):
        optimizer._controls[0][at] = 1e-4 * np.sqrt(1 - 0.999**t)
        tensor.grad[...] = g
        optimizer.step()
        np.testing.assert_allclose(tensor.data, want[t], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("beta1", "beta2", "first", "peak", "at", "last_above"),
    [
        (0.9, 0.999, 3.1623, 6.5685, 12, 3924),
        (0.9, 0.9999, 10.0, 20.7202, 12, 39267),
        (0.9, 0.99, 1.0, 2.1311, 13, None),
        (0.0, 0.999, 31.6228, None, None, None),
        (0.0, 0.9999, 100.0, None, None, None),
    ],
)
def test_how_much_too_long_uncorrected_adam_steps_are(beta1, beta2, first, peak, at, last_above):
    """figures.md, adam-bias: R_t = (1 - b1^t) / sqrt(1 - b2^t) under a constant gradient."""
    steps = last_above + 10 if last_above and JIT else 100
    lengths = [
        -np.diff(
            run(ol.Adam(2.0**-20, beta1=beta1, beta2=beta2, eps=1e-30, bias_correction=b), [0.0], [1.0] * steps)[:, 0]
        )
        for b in (False, True)
    ]
    ratio = lengths[0] / lengths[1]
    t = np.arange(1, steps + 1)
    np.testing.assert_allclose(ratio, (1 - beta1**t) / np.sqrt(1 - beta2**t), rtol=1e-8)  # differences of positions
    np.testing.assert_allclose(ratio[0], first, rtol=2e-5)
    if peak is not None:
        assert ratio.argmax() + 1 == at
        np.testing.assert_allclose(ratio.max(), peak, rtol=2e-5)
    if last_above is not None and JIT:
        assert np.flatnonzero(ratio > 1.01)[-1] + 1 == last_above


def test_first_step_on_beale_with_and_without_correction():
    """figures.md, adam-bias: (0.9, 1.5) corrected, (0.6838, 1.2838) not."""
    for correction, want in [(True, (0.9, 1.5)), (False, (0.6838, 1.2838))]:
        path = run(ol.Adam(0.1, bias_correction=correction), [1.0, 1.6], [naive.beale_gradient])
        np.testing.assert_allclose(path[1], want, atol=5e-5)


@given(g=numbers, lr=rates, seen=st.integers(1, 9))
def test_adagrad_gives_a_rare_feature_a_first_step_of_full_size(g, lr, seen):
    gradients = np.zeros((10, 2))
    gradients[:, 0], gradients[seen, 1] = 1.0, g
    path = run(ol.Adagrad(lr), np.zeros(2), gradients)
    np.testing.assert_allclose(path[-1, 1], -lr * g / (abs(g) + 1e-10), rtol=1e-13)


def test_dampening_spares_the_first_step():
    path = run(ol.Momentum(1.0, beta=0.5, dampening=0.5), [0.0], [1.0, 1.0])
    np.testing.assert_array_equal(path[:, 0], [0.0, -1.0, -2.0])  # v = 1, then 0.5 + 0.5


@pytest.mark.parametrize("name", ol.RULES)
@pytest.mark.parametrize("t", [2**31 - 1, 2**31, 2**53 - 1])
@pytest.mark.fault(16)
def test_a_very_late_step_is_finite_and_uncorrected(name, t):
    """At t = 2^31 every b^t is 0: no overflow of an integer, no 0/0 in the correction."""
    settings = ol.RULES[name]()
    tensor = ol.Tensor(np.ones(3))
    optimizer = ol.Optimizer([tensor], settings)
    memory_at = HYPER + len(settings.hyper)
    optimizer._controls[0][0], optimizer._controls[0][memory_at:] = t - 1, 0.0
    tensor.grad[...] = 0.5
    want = optimizer._array.copy()
    contracts.on_arrays(settings.variant, want, optimizer._controls[0].copy())
    optimizer.step()
    assert optimizer.t == t
    assert np.isfinite(optimizer._array).all()
    np.testing.assert_array_equal(optimizer._array, want)
    if name == "adam":
        np.testing.assert_allclose(tensor.data, 1 - 1e-3 * 0.05 / (np.sqrt(0.001 * 0.25) + 1e-8), rtol=1e-14)


# --- a user's own rule ------------------------------------------------------------------------------------------------


@BOTH
def test_a_users_rule_obeys_the_contract(registry, dtype):
    SignMomentum = ol.register("sign-momentum", Hyper, **PARTS)
    assert registry["sign-momentum"] is SignMomentum
    for check in contracts.RULE:
        check(SignMomentum(lr=0.02), dtype)


def test_a_users_rule_steps_as_its_author_meant(registry):
    SignMomentum = ol.register("sign-momentum", Hyper, **PARTS)
    path = run(SignMomentum(0.5, beta=0.5), [0.0, 0.0], [[1.0, -1.0], [-0.25, 4.0], [-0.25, 0.0]])
    np.testing.assert_array_equal(
        path[1:], [[-0.5, 0.5], [-1.0, 0.0], [-0.5, -0.5]]
    )  # v: 1, 0.25, -0.125; -1, 3.5, 1.75


def test_a_users_rule_is_known_by_name_with_bounds_conventions_and_repr(registry):
    kind = ol.register(
        "sign-momentum", Hyper, **PARTS, bounds={"beta": "[0, 1)"}, conventions={"keras": {"beta": 0.5}}, decoupled=True
    )
    assert kind.__name__ == kind.title == "SignMomentum"
    assert repr(kind(convention="keras", lr=2)) == "SignMomentum(lr=2.0, convention='keras')"
    assert kind(convention="keras").beta == 0.5
    assert kind().decoupled
    with pytest.raises(ol.ConfigError, match=re.escape("beta must be in [0, 1), got 1.0")):
        kind(beta=1)
    with pytest.raises(ol.ConfigError, match="lr must be in"):
        kind(lr=-1)
    optimizer = ol.Optimizer([ol.Tensor([1.0])], "sign-momentum(lr=0.5)")
    assert optimizer.settings == kind(lr=0.5)


def test_registering_again_replaces_and_compiles_anew(registry):
    first = ol.register("mine", Hyper, **PARTS)
    second = ol.register("mine", Hyper, slots=(), coefficients=coefficients, update=lambda p, g, s, c: (p - c[0], ()))
    assert registry["mine"] is second
    assert run(first(1.0), [0.0], [-3.0])[-1] == 1.0
    assert run(second(1.0), [0.0], [-3.0])[-1] == -1.0
    assert first(1.0) != second(1.0)


def test_a_rule_with_memory_and_initial_slots(registry):
    """The memory counts the steps; the slot starts where `initial` says."""
    kind = ol.register(
        "counting",
        Hyper,
        slots=("v",),
        coefficients=lambda t, h, w: ((h.lr * (w[0] + 1.0),), (w[0] + 1.0,)),
        update=lambda p, g, s, c: (p - c[0] * s[0], s),
        memory=(0.0,),
        initial={"v": "beta"},
    )
    path = run(kind(1.0, beta=0.5), [0.0], [0.0] * 3)
    np.testing.assert_array_equal(path[:, 0], [0.0, -0.5, -1.5, -3.0])


class NoRate(NamedTuple):
    beta: float = 0.9


class NoDefault(NamedTuple):
    lr: float
    beta: float = 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adam"}, "optlab's own"),
        ({"name": "Sign"}, "lower-case"),
        ({"name": "sign_momentum"}, "lower-case"),
        ({"name": ""}, "lower-case"),
        ({"hyper": NoRate}, "lr"),
        ({"hyper": NoDefault}, "missing: lr"),
        ({"hyper": dict}, "NamedTuple"),
        ({"slots": ()}, "not enough values"),
        ({"slots": ("v", "w")}, "too many values"),
        ({"update": lambda p, g, s, c: (p, ())}, "must return"),
        ({"update": lambda p, g, s, c: (p, (s[0], s[0]))}, "must return"),
        ({"update": lambda p, g, s, c: (p.sum(), s)}, "must return"),
        ({"update": lambda p, g, s, c: p}, "mine"),
        ({"update": lambda p, g: (p, ())}, "mine"),
        ({"coefficients": lambda h: (h.lr, h.beta)}, "mine"),
        ({"coefficients": lambda t, h: (h.rate, h.beta)}, "rate"),
        ({"coefficients": lambda t, h: (h.lr,)}, "not enough values"),
        ({"memory": (1.0,)}, "mine"),
        ({"initial": {"v": "start"}}, "start"),
    ],
)
def test_a_rule_that_does_not_fit_together_is_refused(registry, changes, message):
    arguments = {"name": "mine", "hyper": Hyper, **PARTS, **changes}
    name, hyper = arguments.pop("name"), arguments.pop("hyper")
    before = dict(registry)
    with pytest.raises(ol.ConfigError, match=message):
        ol.register(name, hyper, **arguments)
    assert registry == before
