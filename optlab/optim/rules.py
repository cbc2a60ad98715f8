"""The settings class of every rule, by name, and the registration of a user's own."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optlab.errors import ConfigError
from optlab.optim.elementwise import check_elementwise, failed
from optlab.optim.settings import RULES as RULES
from optlab.optim.settings import Settings, parse, settings_class
from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule
from optlab_kernels.rules import RULES as BUILT_IN

SGD = settings_class(BUILT_IN["sgd"], "SGD")
Momentum = settings_class(BUILT_IN["momentum"], "Momentum")
Adagrad = settings_class(BUILT_IN["adagrad"], "Adagrad")
Adadelta = settings_class(BUILT_IN["adadelta"], "Adadelta")
RMSProp = settings_class(BUILT_IN["rmsprop"], "RMSProp")
Adam = settings_class(BUILT_IN["adam"], "Adam")
AdamW = settings_class(BUILT_IN["adamw"], "AdamW")
AMSGrad = settings_class(BUILT_IN["amsgrad"], "AMSGrad")
NAdam = settings_class(BUILT_IN["nadam"], "NAdam")
Adamax = settings_class(BUILT_IN["adamax"], "Adamax")
Lion = settings_class(BUILT_IN["lion"], "Lion")

_OURS = (SGD, Momentum, Adagrad, Adadelta, RMSProp, Adam, AdamW, AMSGrad, NAdam, Adamax, Lion)
RULES.update({kind.rule.name: kind for kind in _OURS})


def as_settings(rule: "Settings | type[Settings] | str", **defaults: Any) -> Settings:
    """Settings from what a user may name a rule by: settings, their class, ``"adam"`` or ``"adam(lr=0.1)"``.

    ``defaults`` fill in what was not given, as far as the rule has it: one ``--lr`` for several rules.
    """
    if isinstance(rule, str):
        rule = parse(rule, RULES)
    elif isinstance(rule, type) and issubclass(rule, Settings):
        rule = rule()
    elif not isinstance(rule, Settings):
        raise ConfigError(f"a rule is settings such as ol.Adam(lr=0.1) or a name such as 'adam', got {rule!r}")
    return rule.filled(**defaults) if defaults else rule


def register(
    name: str,
    hyper: Any,
    *,
    slots: tuple[str, ...] = (),
    coefficients: Callable[..., Any],
    update: Callable[..., Any],
    memory: tuple[float, ...] = (),
    initial: Mapping[str, str] | None = None,
    bounds: Mapping[str, str] | None = None,
    conventions: Mapping[str, Mapping[str, float]] | None = None,
    unbiased: Mapping[str, str] | None = None,
    decoupled: bool = False,
) -> type[Settings]:
    """Make a rule of one's own known under ``name``; returns its settings class, like `ol.Adam`.

    ``hyper`` is a named tuple of numbers with defaults, ``lr`` first; ``coefficients(t, h) -> tuple`` runs once per
    step, ``update(p, g, state, c) -> (p, state)`` once per element, without branches or literals, so that the same
    function serves floats and arrays. The rule then has the compiled step, descents, races, basins and `Optimizer`.
    See `optlab_kernels.rule.Rule` for the rest. Registering a name of one's own again replaces it.

    ``update`` is elementwise: the new value of a number depends on that number, its gradient and its slots alone, never
    on the others by a sum, a norm or a shape. The rule is compiled here, and its step compared with the same functions
    on random arrays of several lengths, in both precisions and under both kinds of weight decay, at early and late
    steps and at other settings; an operation that mixes numbers is refused also where its result does not show yet.

    Raises:
        ConfigError: the name is taken by a rule of optlab's, or the functions don't fit together, can't be compiled, or
            step otherwise when compiled than on arrays; the rules stay as they were.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConfigError(f"a rule's name is lower-case words joined by hyphens, such as 'sign-momentum', got {name!r}")
    if name in BUILT_IN:
        raise ConfigError(f"{name!r} is a rule of optlab's own; choose another name")
    fields = getattr(hyper, "_fields", ())
    if not fields or fields[0] != "lr":
        raise ConfigError("hyper must be a NamedTuple whose first field is the learning rate lr")
    missing = [f for f in fields if f not in hyper._field_defaults]
    if missing:
        raise ConfigError(f"every field of hyper needs a default; missing: {', '.join(missing)}")
    rule = Rule(
        name,
        hyper,
        slots=tuple(slots),
        coefficients=pointwise(coefficients),
        update=pointwise(update),
        memory=tuple(map(float, memory)),
        initial=dict(initial or {}),
        bounds={"lr": "[0, inf)", **(bounds or {})},
        conventions=dict(conventions or {}),
        unbiased=dict(unbiased or {}),
        decoupled=decoupled,
    )
    _try_out(rule)
    check_elementwise(rule)
    title = "".join(word.capitalize() for word in name.split("-"))
    RULES[name] = settings_class(rule, title)
    return RULES[name]


def _try_out(rule: Rule) -> None:
    """One step on two small arrays, so that a mistake shows here and not inside the compiler."""
    p, g = np.array([1.0, -2.0]), np.array([0.5, 0.25])
    h = rule.hyper()
    try:
        c, memory = rule.advance(1, h, rule.memory)
        new, state = rule.update(p, g, tuple(np.full(2, rule.start(s, h)) for s in rule.slots), c)
        shapes = [np.shape(x) for x in (new, *state)]
    except Exception as error:
        raise failed(rule, error) from error
    if shapes != [(2,)] * (1 + len(rule.slots)) or len(memory) != len(rule.memory):
        raise ConfigError(
            f"{rule.name}: update must return (p, ({', '.join(rule.slots)})), each of the shape of p; "
            f"for p of shape (2,) the shapes were {shapes}"
        )
