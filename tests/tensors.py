"""What the tests of tensors and optimizers share: leaves, packed tensors of odd shapes, steps on random gradients."""

import numpy as np

import optlab as ol

SAVED = [rule() for rule in ol.RULES.values()] + [
    ol.Momentum(nesterov=True, convention="keras"),
    ol.RMSProp(centered=True),
    ol.RMSProp(momentum=0.9, convention="keras"),
    ol.RMSProp(centered=True, momentum=0.9),
    ol.Adagrad(convention="optax", lr_decay=0.1),
    ol.AdamW(0.1, weight_decay=0.5),
]


def leaf(*values, dtype=np.float64, name=None):
    return ol.Tensor(np.array(values, dtype), requires_grad=True, name=name)


def tensors(dtype=np.float64):
    """Four tensors of odd shapes; the second has a name."""
    rng = np.random.default_rng(0)
    shapes = [(3,), (2, 5), (), (1, 1, 7)]
    return [ol.Tensor(rng.standard_normal(s).astype(dtype), name="weights" * (s == (2, 5))) for s in shapes]


def pull(optimizer, steps=1, seed=1):
    """Steps on random gradients."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for p in optimizer.params:
            p.grad[...] = rng.standard_normal(p.shape)
        optimizer.step()


def frozen(optimizer):
    """Everything that a step may change, as bytes."""
    return optimizer._array.tobytes(), optimizer._controls.tobytes()
