"""Settings: immutable, validated where they are made, printable, comparable, readable from text."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from conftest import BOTH

import optlab as ol
from optlab.optim.rules import as_settings
from optlab.optim.settings import CONVENTIONS, parse

# face.md, section 1; the numbers it leaves open are torch's, and of Lion the paper's
DEFAULTS = {
    ol.SGD: {"lr": 1e-3},
    ol.Momentum: {"lr": 1e-3, "beta": 0.9, "dampening": 0.0, "nesterov": False},
    ol.Adagrad: {"lr": 1e-2, "eps": 1e-10, "initial": 0.0},
    ol.Adadelta: {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    ol.RMSProp: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "centered": False, "momentum": 0.0},
    ol.Adam: {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "bias_correction": True},
    ol.AdamW: {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01},
    ol.AMSGrad: {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ol.NAdam: {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 0.004},
    ol.Adamax: {"lr": 2e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    ol.Lion: {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99},
}
EVERY_RULE = pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
CHANGED = [
    ol.SGD(0.5),
    ol.Momentum(nesterov=True),
    ol.Adam(lr=1 / 3, convention="keras"),
    ol.Adam(convention="keras", eps_hat=False),
    ol.RMSProp(centered=True, momentum=0.9, eps_inside=True),
    ol.AdamW(weight_decay=0.0),
    ol.AdamW(weight_decay=0.01, convention="optax"),
    ol.Adagrad(convention="cs231n", initial=1e-300),
]
EXAMPLES = [kind(convention=c) for kind in DEFAULTS for c in CONVENTIONS] + CHANGED


@EVERY_RULE
def test_signature_and_defaults(kind):
    signature = inspect.signature(kind)
    want = {"weight_decay": 0.0, "convention": "torch", **DEFAULTS[kind]}
    assert {n: signature.parameters[n].default for n in want} == want
    assert {n: getattr(kind(), n) for n in want} == want
    assert next(iter(signature.parameters)) == "lr"
    assert all(p.kind is p.KEYWORD_ONLY for n, p in signature.parameters.items() if n != "lr")
    assert kind(0.25).lr == kind(lr=0.25).lr == 0.25
    assert set(kind().to_dict()) == set(signature.parameters)


def test_the_registry_is_a_dictionary_by_name():
    assert list(ol.RULES.values()) == list(DEFAULTS)
    assert all(ol.RULES[kind().name] is kind for kind in DEFAULTS)


@EVERY_RULE
def test_the_docstring_tells_formula_source_and_intervals(kind):
    assert "Source" in kind.__doc__
    assert "<-" in kind.__doc__
    assert all(f"{name} in {interval}" in kind.__doc__ for name, interval in kind.rule.bounds.items())


@pytest.mark.parametrize("settings", EXAMPLES, ids=repr)
def test_round_trips(settings):
    assert eval(repr(settings), vars(ol) | {kind.__name__: kind for kind in DEFAULTS}) == settings
    assert type(settings)(**settings.to_dict()) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert copy.deepcopy(settings) == settings
    text = ", ".join(f"{k}={v}" for k, v in settings.to_dict().items())
    assert parse(f"{settings.name}({text})", ol.RULES) == settings
    for twin in (settings.replace(), copy.copy(settings)):
        assert twin == settings
        assert hash(twin) == hash(settings)
        assert twin.to_dict() == settings.to_dict()


@EVERY_RULE
def test_equality_is_of_rule_and_numbers(kind):
    assert kind() == kind()
    assert kind(lr=0.5) != kind(lr=0.25)
    assert kind(weight_decay=0.5) != kind(weight_decay=0.25)
    assert kind() != "adam"
    assert len({kind(0.5), kind(0.5), kind(0.25)}) == 2


def test_equality_sees_through_names():
    assert ol.Adam() != ol.AdamW(weight_decay=0.0)
    assert ol.Adam(convention="cs231n") == ol.Adam(eps_inside=True)  # the same numbers, the same step
    assert ol.Adam(weight_decay=0.1, convention="keras", eps=1e-8, eps_hat=False) != ol.Adam(weight_decay=0.1)  # beside


@EVERY_RULE
def test_settings_do_not_change(kind):
    settings = kind()
    with pytest.raises(AttributeError, match=re.escape("settings.replace(lr=1.0)")):
        settings.lr = 1.0
    with pytest.raises(AttributeError):
        settings.hyper = ()
    with pytest.raises(AttributeError):
        settings.hyper.lr = 1.0
    with pytest.raises(AttributeError, match="has no 'beta3'; it has lr"):
        _ = settings.beta3
    assert settings == kind()


def test_replace_keeps_what_was_given_and_lets_a_convention_bring_its_own():
    settings = ol.Adam(0.1, beta2=0.99).replace(convention="keras")
    assert settings == ol.Adam(0.1, beta2=0.99, convention="keras")
    assert (settings.lr, settings.beta2, settings.eps, settings.eps_hat) == (0.1, 0.99, 1e-7, True)
    assert settings.replace(convention="torch") == ol.Adam(0.1, beta2=0.99)
    assert ol.Adam(0.1).replace(lr=0.2, weight_decay=0.3) == ol.Adam(0.2, weight_decay=0.3)
    with pytest.raises(TypeError, match="beta_2"):
        settings.replace(beta_2=0.5)
    with pytest.raises(ol.ConfigError, match="beta2 must be in"):
        settings.replace(beta2=1.0)


def test_a_convention_has_its_own_decay_and_options_win():
    assert [ol.AdamW(convention=c).weight_decay for c in CONVENTIONS] == [0.01, 0.004, 1e-4, 0.01, 0.01]
    assert ol.AdamW(convention="keras", weight_decay=0.01).weight_decay == 0.01
    assert ol.AdamW(convention="keras").replace(convention="torch").weight_decay == 0.01


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("adam", ol.Adam()),
        ("Adam", ol.Adam()),
        ("  adam ( ) ", ol.Adam()),
        ("adam(lr=0.1, convention=keras)", ol.Adam(0.1, convention="keras")),
        ("adam(lr=1e-1,convention='keras')", ol.Adam(0.1, convention="keras")),
        ("momentum(nesterov=true,beta=0.5)", ol.Momentum(nesterov=True, beta=0.5)),
        ("momentum(nesterov=False)", ol.Momentum()),
        ("adamw(weight_decay=0)", ol.AdamW(weight_decay=0)),
        ("sgd(lr=1,)", ol.SGD(1)),
    ],
)
def test_text_is_read(text, want):
    assert parse(text, ol.RULES) == want
    assert as_settings(text) == want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adm", "unknown rule 'adm'; did you mean 'adam'?"),
        ("momentun(lr=0.1)", "did you mean 'momentum'?"),
        ("RMS-prop", "did you mean 'rmsprop'?"),
        ("xyzzy", "unknown rule 'xyzzy'. Known: sgd, momentum"),
        ("adam(beta_1=0.9)", "Adam has no option 'beta_1'; did you mean beta1?"),
        ("adam(conventions=keras)", "did you mean convention?"),
        ("sgd(weightdecay=1)", "did you mean weight_decay?"),
        ("adam(convention=kers)", "unknown convention 'kers'; did you mean 'keras'?"),
        ("adam(0.1)", "reads like lr=0.1, got '0.1'"),
        ("adam(lr=fast)", "lr must be a number, got 'fast'"),
        ("adam(lr=True)", "lr must be a number, got True"),
        ("adam(lr=-1)", "lr must be in [0, inf), got -1.0"),
        ("adam(lr=[0.1])", "lr must be a number"),
        ("adam(lr=__import__)", "lr must be a number"),
        ("momentum(nesterov=yes)", "nesterov must be True or False, got 'yes'"),
        ("adam(lr=0.1", "a rule reads like"),
        ("", "a rule reads like"),
        ("adam sgd", "a rule reads like"),
    ],
)
def test_text_that_is_no_rule_is_refused_with_advice(text, message):
    with pytest.raises(ol.ConfigError, match=re.escape(message)):
        parse(text, ol.RULES)


def test_whatever_names_a_rule_becomes_settings():
    assert as_settings(ol.Adam) == as_settings("adam") == as_settings(ol.Adam()) == ol.Adam()
    assert as_settings("adam", lr=0.5, beta=0.1) == ol.Adam(0.5)  # the options that the rule has
    for wrong in (None, 3, {"adam": 1}, int, [ol.Adam()]):
        with pytest.raises(ol.ConfigError, match=re.escape("ol.Adam(lr=0.1)")):
            as_settings(wrong)


def test_unknown_options_are_type_errors_as_in_python():
    with pytest.raises(
        TypeError, match=re.escape("SGD has no option 'momentum' (it takes lr, weight_decay, convention)")
    ):
        ol.SGD(momentum=0.9)
    with pytest.raises(TypeError):
        ol.Adam(0.1, 0.9)  # by position: lr only


# --- faults.md, row 16 ------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
REFUSED = [
    *((kind, "lr", v) for kind in DEFAULTS for v in (-1.0, -5e-324, NAN, INF, -INF)),
    *((kind, "weight_decay", v) for kind in DEFAULTS for v in (-1e-3, NAN, INF)),
    *((ol.Adam, beta, v) for beta in ("beta1", "beta2") for v in (1.0, 1.5, -0.1, NAN, INF)),
    *((kind, "beta1", 1.0) for kind in (ol.AdamW, ol.AMSGrad, ol.NAdam, ol.Adamax, ol.Lion)),
    *((kind, "eps", v) for kind in DEFAULTS if "eps" in DEFAULTS[kind] for v in (0.0, -1e-8, NAN, INF)),
    (ol.Momentum, "beta", 1.5), (ol.Momentum, "beta", -0.1), (ol.Momentum, "beta", NAN), (ol.Momentum, "dampening", 2),
    (ol.RMSProp, "alpha", 1.0), (ol.RMSProp, "alpha", 1.5), (ol.RMSProp, "momentum", -0.5),
    (ol.Adadelta, "rho", 1.0), (ol.Adagrad, "initial", -1.0), (ol.Adagrad, "lr_decay", -1.0),
    (ol.NAdam, "momentum_decay", -1.0), (ol.NAdam, "momentum_dip", 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "value"), REFUSED, ids=lambda v: getattr(v, "__name__", str(v)))
@pytest.mark.fault(16)
def test_numbers_outside_their_interval_are_refused(kind, name, value):
    with pytest.raises(ol.ConfigError, match=rf"^{kind.__name__}: {name} must be in .*, got {float(value)!r}"):
        kind(**{name: value})


@EVERY_RULE
@pytest.mark.parametrize("lr", [0.0, 5e-324, 1e-320, 1e300])
@BOTH
@pytest.mark.fault(16)
def test_extreme_rates_step_exactly_or_are_refused(kind, lr, dtype):
    settings = kind(lr, weight_decay=0.0)
    tensor = ol.Tensor(np.array([1.0, -2.0], dtype))
    if dtype == np.float32 and lr > 1e38:
        with pytest.raises(ol.ConfigError, match=r"lr=.* becomes inf in float32"):
            ol.Optimizer([tensor], settings)
        return
    optimizer = ol.Optimizer([tensor], settings)
    tensor.grad[...] = [0.5, 0.0]
    with np.errstate(all="ignore"):
        optimizer.step()
    assert not np.isnan(tensor.data).any()
    assert tensor.data[1] == -2.0
    if lr < 1e-300:
        assert tensor.data[0] == 1.0
    else:
        assert tensor.data[0] < -1e290


@pytest.mark.parametrize("kind", [k for k in DEFAULTS if "beta1" in DEFAULTS[k]])
@pytest.mark.parametrize("beta", [0.0, 5e-324, 1 - 2.0**-53])
@pytest.mark.fault(16)
def test_extreme_betas_take_finite_steps(kind, beta):
    for dtype in (np.float32, np.float64):
        tensor = ol.Tensor(np.array([1.0, -2.0], dtype))
        optimizer = ol.Optimizer([tensor], kind(beta1=beta, beta2=beta))
        tensor.grad[...] = [0.5, 0.0]
        for _ in range(3):
            optimizer.step()
        assert np.isfinite(optimizer._array).all(), dtype


@pytest.mark.parametrize("kind", [k for k in DEFAULTS if "eps" in DEFAULTS[k]])
@pytest.mark.fault(16)
def test_an_epsilon_that_float32_rounds_to_zero_is_refused_there(kind):
    tensors = {dtype: ol.Tensor(np.zeros(2, dtype)) for dtype in ("f4", "f8")}
    older = ol.Optimizer([tensors["f4"]], kind())
    with pytest.raises(ol.ConfigError, match=r"eps=1e-60 becomes 0.0 in float32; use float64"):
        ol.Optimizer([tensors["f4"]], kind(eps=1e-60))
    older.step()  # which the refusal has not replaced
    optimizer = ol.Optimizer([tensors["f8"]], kind(eps=1e-60))
    optimizer.step()
    np.testing.assert_array_equal(tensors["f8"].data, 0.0)


@pytest.mark.parametrize(
    "value", [True, False, np.True_, "0.1", 1j, np.complex64(1), [0.1], {}, b"1", 10**400], ids=repr
)
def test_what_is_no_number_is_refused(value):
    for name in ("lr", "beta1", "weight_decay"):
        with pytest.raises(ol.ConfigError, match=f"Adam: {name} must be a number, got"):
            ol.Adam(**{name: value})


@pytest.mark.parametrize("value", [2, "yes", 0.5, NAN])
def test_what_is_no_truth_value_is_refused(value):
    with pytest.raises(ol.ConfigError, match="nesterov must be True or False"):
        ol.Momentum(nesterov=value)


@pytest.mark.parametrize("make", [int, np.int64, np.uint8, np.float32, np.float64, np.longdouble, np.float16])
def test_any_real_scalar_is_a_number_and_becomes_a_float(make):
    settings = ol.Adam(make(1), weight_decay=make(2), eps=make(1))
    assert settings == ol.Adam(1.0, weight_decay=2.0, eps=1.0)
    assert type(settings.lr) is type(settings.weight_decay) is type(settings.eps) is float
    assert repr(settings) == "Adam(lr=1.0, eps=1.0, weight_decay=2.0)"
    assert ol.Momentum(nesterov=np.bool_(True)).nesterov is True


@pytest.mark.parametrize("kind", ol.RULES.values(), ids=ol.RULES)
def test_settings_travel_to_other_processes(kind):
    settings = kind(0.25, weight_decay=0.5, convention="keras")
    assert settings.variant is settings.rule.variant(settings.hyper)  # what was derived stays behind
    for copied in (pickle.loads(pickle.dumps(settings)), copy.deepcopy(settings)):
        assert copied == settings
        assert repr(copied) == repr(settings)
        assert copied.replace(convention="torch") == settings.replace(convention="torch")
