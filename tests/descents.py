"""What the tests of descents share: rules at rates that suit, the same descent in plain Python, a cliff."""

import numpy as np
import pytest
from conftest import SHRINK

import optlab as ol

SENSIBLE = {"sgd": 1e-3, "momentum": 1e-3, "adadelta": 1.0, "adamw": 0.05, "lion": 0.02}
USUAL = [rule(lr=SENSIBLE.get(name, 0.05)) for name, rule in ol.RULES.items()]
VARIANTS = [
    ol.Momentum(lr=1e-3, nesterov=True, dampening=0.0),
    ol.Momentum(lr=1e-3, dampening=0.3, convention="keras"),
    ol.Adagrad(lr=0.1, initial=0.1, lr_decay=0.01),
    *(ol.RMSProp(lr=0.01, centered=c, momentum=m) for c, m in ((True, 0.0), (False, 0.5), (True, 0.5))),
    ol.Adam(lr=0.05, bias_correction=False),
    ol.AMSGrad(lr=0.05, convention="optax"),
]
EVERY = {repr(s): s for s in USUAL + VARIANTS}
EVERY_RULE = pytest.mark.parametrize("settings", EVERY.values(), ids=list(EVERY))
STEPS = 200 // SHRINK


def loop(settings, surface, start, steps, noise=None):
    """The same descent by the rule's own two functions in plain Python: columns of points, values, gradients, slots."""
    rule, h, memory = settings.variant, settings.hyper, settings.variant.memory
    initial = {slot: float(getattr(h, rule.initial[slot])) if slot in rule.initial else 0.0 for slot in rule.slots}
    p, state = list(map(float, start)), [tuple(initial.values())] * 2
    rows = []
    for t in range(steps + 1):
        g = list(map(float, surface.gradient(*p)))
        if noise is not None:
            g = [a + b for a, b in zip(g, noise[t].tolist(), strict=True)]
        rows.append([*p, float(surface.value(*p)), *g, *state[0], *state[1]])
        if rule.memory:
            c, memory = rule.coefficients(t + 1, h, memory)
        else:
            c = rule.coefficients(t + 1, h)
        for i in range(2):
            q, gi = p[i], g[i]
            if settings.decoupled:
                q = q - settings.lr * settings.weight_decay * q
            else:
                gi = gi + settings.weight_decay * q
            p[i], state[i] = rule.update(q, gi, state[i], c)
    return np.array(rows, dtype=np.float64)


def cliff(x, y):
    return np.exp(x * x) + y
