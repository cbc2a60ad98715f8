"""Groups of parameters equal optimizers of their own; clipping is torch's."""

import numpy as np
import pytest
from conftest import BOTH

import optlab as ol


def pair(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [ol.Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in ((5, 3), (3,))]


@pytest.mark.parametrize("rule", [ol.SGD(0.1), ol.Adam(0.01), ol.AdamW(0.01), ol.Momentum(0.1)], ids=repr)
def test_groups_equal_optimizers_of_their_own(rule):
    together, apart = pair(), pair()
    options = ({"weight_decay": 0.1}, {"lr": 0.5, "weight_decay": 0.0})
    one = ol.Optimizer([{"params": [t], **o} for t, o in zip(together, options, strict=True)], rule)
    two = [ol.Optimizer([t], rule.replace(**o)) for t, o in zip(apart, options, strict=True)]
    rng = np.random.default_rng(1)
    for _ in range(5):
        for a, b in zip(together, apart, strict=True):
            a.grad = b.grad = rng.standard_normal(a.shape)
        one.step()
        for optimizer in two:
            optimizer.step()
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert [group.lr for group in one.groups] == [rule.lr, 0.5]
    one.lr = 0.25
    assert [group.lr for group in one.groups] == [0.25, 0.25]


def test_groups_continue_bit_for_bit():
    def make():
        weights = pair()
        return weights, ol.Optimizer([{"params": weights[0]}, {"params": weights[1], "lr": 0.5}], "adam")

    (a, one), (b, two) = make(), make()
    for t in (*a, *b):
        t.grad[...] = 1.0
    one.step()
    two.load_state_dict(one.state_dict())
    for p, q in zip(a, b, strict=True):
        q.data = p.data
    one.step()
    two.step()
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"params": []}], "at least one tensor"),
        ([{"weight_decay": 0.1}], "a group of parameters reads"),
        ([{"params": pair(), "weight_decai": 0.1}], "weight_decay"),
        ([{"params": pair(), "lr": -1.0}], r"lr must be in \[0, inf\)"),
        ([{"params": pair()[:1]}, pair()[1]], "a group of parameters reads"),
        ([{"params": pair()[:1]}, {"params": pair()[1:], "momentum": 0.9}], "the same slots"),
    ],
)
def test_a_group_that_cannot_be_is_refused(groups, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.Optimizer(groups, "rmsprop")


@BOTH
@pytest.mark.parametrize("largest", [0.5, 3.0, 1e6])
def test_clipping_by_norm_is_torchs(dtype, largest):
    torch = pytest.importorskip("torch")
    ours = pair(dtype)
    theirs = [torch.nn.Parameter(torch.from_numpy(t.data.copy())) for t in ours]
    optimizer = ol.Optimizer(ours, ol.SGD(0.1), clip_norm=largest, norms=True)
    stepper = torch.optim.SGD(theirs, lr=0.1)
    rng = np.random.default_rng(1)
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = 3 * rng.standard_normal(a.shape)
            b.grad = torch.from_numpy(a.grad.copy())
        norm = float(torch.nn.utils.clip_grad_norm_(theirs, largest))
        optimizer.step()
        stepper.step()
        np.testing.assert_allclose(optimizer.norms["gradient"], norm, rtol=1e-6)
        np.testing.assert_allclose(optimizer.norms["update"], 0.1 * min(norm, largest), rtol=1e-5)
    for a, b in zip(ours, theirs, strict=True):  # torch divides by |g| + 1e-6
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_clipping_by_value_leaves_nan_and_comes_before_the_norm():
    w = ol.Tensor(np.zeros(4), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(1.0), clip_value=2.0, norms=True)
    w.grad = np.array([5.0, -5.0, 1.0, np.nan])
    optimizer.step()
    np.testing.assert_array_equal(w.data, [-2.0, 2.0, -1.0, np.nan])
    v = ol.Tensor(np.zeros(2), requires_grad=True)
    both = ol.Optimizer([v], ol.SGD(1.0), clip_value=3.0, clip_norm=1.0, maximize=True)
    v.grad = np.array([300.0, 400.0])
    both.step()
    np.testing.assert_allclose(v.data, [0.5**0.5] * 2)  # (3, 3) shortened to length 1, upwards
    for wrong in (0.0, -1.0, float("nan"), "1"):
        with pytest.raises(ol.ConfigError, match="clip_norm must be"):
            ol.Optimizer([v], "sgd", clip_norm=wrong)
