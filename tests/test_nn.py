"""Layers, losses and networks against torch; `check` on each; errors that say what to do."""

import numpy as np
import pytest

import optlab as ol
from optlab import nn
from optlab.nn import functional
from optlab.nn.init import initial

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
CLOSE = {"float64": {"rtol": 1e-11, "atol": 1e-12}, "float32": {"rtol": 1e-4, "atol": 1e-5}}
ACTIVATIONS = ("relu", "leaky-relu", "tanh", "sigmoid", "gelu")


def rows(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def leaf(*shape, dtype="float64", seed=0):
    return ol.Tensor(rows(*shape, dtype=dtype, seed=seed), requires_grad=True)


# --- initialisation ---------------------------------------------------------------------------------------------------

VARIANCES = {
    "glorot": lambda i, o: 2 / (i + o),
    "glorot-normal": lambda i, o: 2 / (i + o),
    "he": lambda i, o: 2 / i,
    "he-uniform": lambda i, o: 2 / i,
    "lecun": lambda i, o: 1 / i,
    "lecun-uniform": lambda i, o: 1 / i,
    "normal": lambda i, o: 1e-4,
    "uniform": lambda i, o: 1e-4 / 3,
    "zeros": lambda i, o: 0.0,
}


@pytest.mark.parametrize("name", nn.INITIALISERS)
def test_initial_weights_have_their_variance(name):
    w = initial(name, np.random.default_rng(0), 300, 200)
    want = VARIANCES[name](300, 200)
    assert w.shape == (300, 200)
    # 60,000 draws: the variance of a normal sample is within 5 sqrt(2 / n) of it
    assert abs(w.var() - want) <= 5 * np.sqrt(2 / w.size) * want
    assert abs(w.mean()) <= 5 * np.sqrt(want / w.size)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ol.ConfigError, match="did you mean 'glorot'"):
        nn.Linear(2, 2, init="glorat")
    with pytest.raises(ol.ConfigError, match="did you mean 'sigmoid'"):
        nn.Activation("sigmoyd")


# --- every layer and loss by central differences ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_check_activations(name):
    assert ol.autograd.check(lambda x: functional.activation(x, name).sum(), leaf(4, 3)) < 1e-6


def test_check_linear():
    x, w, b = leaf(4, 3), leaf(3, 2, seed=1), leaf(2, seed=2)
    assert ol.autograd.check(lambda x, w, b: (functional.linear(x, w, b) ** 2).sum(), x, w, b) < 1e-6


def test_check_batch_norm_in_both_modes():
    layer = nn.BatchNorm1d(3, dtype="float64")
    x = leaf(5, 3)
    assert ol.autograd.check(lambda x: (layer(x) ** 3).sum(), x) < 1e-5
    assert (
        ol.autograd.check(lambda g, b: (functional.batch_norm(x, g, b, 1e-5)[0] ** 3).sum(), layer.gamma, layer.beta)
        < 1e-5
    )
    layer.eval()
    assert ol.autograd.check(lambda x: (layer(x) ** 3).sum(), x) < 1e-6


def test_check_dropout_in_both_modes():
    assert ol.autograd.check(lambda x: (functional.dropout(x, 0.5, 3, 1) ** 2).sum(), leaf(4, 3)) < 1e-6
    layer = nn.Dropout(0.5).eval()
    x = leaf(4, 3)
    assert layer(x) is x


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_check_losses(smoothing):
    labels = [0, 2, 1, 2]
    assert ol.autograd.check(lambda z: nn.cross_entropy(z, labels, label_smoothing=smoothing), leaf(4, 3)) < 1e-6
    assert ol.autograd.check(lambda y: nn.mse(y, np.ones((4, 3))), leaf(4, 3)) < 1e-6
    a, b = leaf(4, 3), leaf(2, seed=1)
    assert ol.autograd.check(lambda a, b: nn.l1_penalty([a, b], 0.3), a, b) < 1e-6
    assert ol.autograd.check(lambda a, b: nn.l2_penalty([a, b], 0.3), a, b) < 1e-6


def test_penalties_are_the_formulas():
    a, b = leaf(4, 3), leaf(2, seed=1)
    np.testing.assert_allclose(nn.l1_penalty([a, b], 0.5).item(), 0.5 * (abs(a.data).sum() + abs(b.data).sum()))
    np.testing.assert_allclose(nn.l2_penalty([a, b], 0.5).item(), 0.25 * ((a.data**2).sum() + (b.data**2).sum()))


# --- whole networks against torch -------------------------------------------------------------------------------------


def twin(torch, model):
    """The same network in torch, with the same weights."""
    layers = []
    for layer in model.layers:
        if isinstance(layer, nn.Linear):
            copy = torch.nn.Linear(*layer.weight.shape)
            copy.weight.data = torch.from_numpy(layer.weight.data.T.copy())
            copy.bias.data = torch.from_numpy(layer.bias.data.copy())
            layers.append(copy)
        elif isinstance(layer, nn.BatchNorm1d):
            layers.append(torch.nn.BatchNorm1d(layer.gamma.size, dtype=torch.from_numpy(layer.gamma.data).dtype))
        else:
            kinds = {"relu": "ReLU", "leaky-relu": "LeakyReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "gelu": "GELU"}
            layers.append(getattr(torch.nn, kinds[layer.name])())
    return torch.nn.Sequential(*layers)


RULES = {
    "sgd": (ol.SGD(0.1), lambda t, p: t.optim.SGD(p, 0.1)),
    "momentum": (ol.Momentum(0.05), lambda t, p: t.optim.SGD(p, 0.05, momentum=0.9)),
    "adagrad": (ol.Adagrad(0.05), lambda t, p: t.optim.Adagrad(p, 0.05)),
    "rmsprop": (ol.RMSProp(0.003, alpha=0.9), lambda t, p: t.optim.RMSprop(p, 0.003, alpha=0.9)),
    "adam": (ol.Adam(0.01), lambda t, p: t.optim.Adam(p, 0.01)),
}


@DTYPES
@pytest.mark.parametrize("rule", RULES)
def test_the_losses_of_two_hundred_steps_are_torchs(rule, dtype):
    torch = pytest.importorskip("torch")
    model = nn.MLP([12, 16, 8, 5], activation="tanh", dtype=dtype)
    other = twin(torch, model)
    settings, make = RULES[rule]
    optimizer, stepper = ol.Optimizer(model.parameters(), settings), make(torch, other.parameters())
    x = rows(200, 12, dtype=dtype)
    labels = np.random.default_rng(1).integers(0, 5, 200)
    ours, theirs = [], []
    for step in range(200):
        at = np.random.default_rng(step).permutation(200)[:32]
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(x[at]), labels[at])
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
        stepper.zero_grad()
        loss = torch.nn.functional.cross_entropy(other(torch.from_numpy(x[at])), torch.from_numpy(labels[at]))
        loss.backward()
        stepper.step()
        theirs.append(loss.item())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 if dtype == "float64" else 1e-4)
    assert ours[-1] < ours[0]


@DTYPES
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_batch_norm_networks_are_torchs_in_both_modes(activation, dtype):
    torch = pytest.importorskip("torch")
    model = nn.MLP([6, 9, 4], activation=activation, batch_norm=True, dtype=dtype)
    other = twin(torch, model)
    labels = np.random.default_rng(1).integers(0, 4, 16)
    for seed in range(3):
        x = rows(16, 6, dtype=dtype, seed=seed)
        model.zero_grad()
        other.zero_grad()
        nn.cross_entropy(model(x), labels).backward()
        torch.nn.functional.cross_entropy(other(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
        for name, p in model.named_parameters():
            at, which = name.split(".")
            q = getattr(other[int(at)], {"gamma": "weight", "beta": "bias"}.get(which, which)).grad.numpy()
            np.testing.assert_allclose(p.grad, q.T if p.ndim == 2 else q, **CLOSE[dtype])
    norm, theirs = model.layers[1], other[1]
    np.testing.assert_allclose(norm.running_mean, theirs.running_mean.numpy(), **CLOSE[dtype])
    np.testing.assert_allclose(norm.running_variance, theirs.running_var.numpy(), **CLOSE[dtype])
    model.eval()
    other.eval()
    x = rows(1, 6, dtype=dtype, seed=9)  # a batch of one is fine here
    np.testing.assert_allclose(model(x).data, other(torch.from_numpy(x)).detach().numpy(), **CLOSE[dtype])


# --- modules ----------------------------------------------------------------------------------------------------------


def test_names_groups_and_order():
    model = nn.MLP([4, 3, 2], batch_norm=True, dropout=0.1)
    names = [name for name, _ in model.named_parameters()]
    assert names == ["0.weight", "0.bias", "1.gamma", "1.beta", "4.weight", "4.bias"]
    assert [name for name, _ in model.named_buffers()] == ["1.running_mean", "1.running_variance", "3.seed", "3.calls"]
    matrices, vectors = model.parameter_groups(0.1)
    assert [p.ndim for p in matrices["params"]] == [2, 2]
    assert [p.ndim for p in vectors["params"]] == [1, 1, 1, 1]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert len(ol.Optimizer(model.parameter_groups(0.1), "adamw").groups) == 2
    assert repr(nn.MLP([4, 3, 2])) == "MLP(Linear(4, 3), Activation('relu'), Linear(3, 2))"


def test_the_same_seed_is_the_same_network_and_streams_are_apart():
    a, b, c = nn.MLP([5, 4, 3], seed=1), nn.MLP([5, 4, 3], seed=1), nn.MLP([5, 4, 3], seed=2)
    deeper = nn.MLP([5, 4, 3, 3], seed=1)
    np.testing.assert_array_equal(a.layers[0].weight.data, b.layers[0].weight.data)
    assert (a.layers[0].weight.data != c.layers[0].weight.data).any()
    np.testing.assert_array_equal(a.layers[0].weight.data, deeper.layers[0].weight.data)
    assert a.layers[0].weight.dtype == np.float32
    masks = [
        int(layer.seed) for layer in nn.MLP([5, 4, 3, 2], dropout=0.5, seed=1).layers if isinstance(layer, nn.Dropout)
    ]
    assert len(set(masks)) == 2


def test_he_hidden_and_lecun_output():
    """The gallery's common set-up: N(0, 2 / fan_in), then N(0, 1 / fan_in), zero biases."""
    model = nn.MLP([400, 300, 200])
    first, last = model.layers[0], model.layers[2]
    assert abs(first.weight.data.var() * 400 / 2 - 1) < 0.03
    assert abs(last.weight.data.var() * 300 - 1) < 0.03
    assert not first.bias.data.any()


def test_a_state_travels_bit_for_bit_and_a_wrong_one_changes_nothing():
    a, b = (nn.MLP([4, 6, 3], batch_norm=True, dropout=0.5, seed=s) for s in (1, 2))
    nn.cross_entropy(a(rows(8, 4, dtype="float32")), [0] * 8).backward()
    b.load_state_dict(a.state_dict())
    x = rows(8, 4, dtype="float32", seed=3)
    np.testing.assert_array_equal(a(x).data, b(x).data)
    before = b.state_dict()
    for wrong in (
        {k: v for k, v in before.items() if k != "0.bias"},
        {**before, "9.bias": np.zeros(3)},
        {**before, "4.bias": np.zeros(4)},
    ):
        with pytest.raises(ol.ConfigError):
            b.load_state_dict(wrong)
    after = b.state_dict()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_dropout_repeats_and_scales():
    x = ol.Tensor(np.ones((400, 50)))
    first, again = nn.Dropout(0.4, seed=7), nn.Dropout(0.4, seed=7)
    a, b = first(x).data, first(x).data
    assert (a != b).any()
    np.testing.assert_array_equal(again(x).data, a)
    assert abs(a.mean() - 1) < 0.03
    assert set(np.unique(a)) == {0.0, 1 / 0.6}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MLP([4]), "at least the widths"),
        (lambda: nn.MLP([4, 0]), "outputs is a whole number >= 1"),
        (lambda: nn.MLP([4, 3])(rows(5, 3, dtype="float32")), "x needs 4 columns"),
        (lambda: nn.MLP([4, 3])(leaf(5, 4)), "x is float64, the weights are float32"),
        (lambda: nn.MLP([4, 3])(rows(4, dtype="float32")), r"a batch of shape \(n, features\)"),
        (lambda: nn.BatchNorm1d(3)(rows(1, 3, dtype="float32")), "batch of one has no variance"),
        (lambda: nn.BatchNorm1d(3)(rows(4, 2, dtype="float32")), r"BatchNorm1d\(3\) takes"),
        (lambda: nn.Dropout(1.0), r"p must be in \[0, 1\)"),
        (lambda: nn.cross_entropy(leaf(3, 2), [0, 1, 2]), "label 2 of row 2 is out of range: there are 2 classes"),
        (lambda: nn.cross_entropy(leaf(3, 2), [0, -1, 1]), "label -1 of row 1"),
        (lambda: nn.cross_entropy(leaf(3, 2), [0, 1]), r"labels of shape \(3,\), got \(2,\)"),
        (lambda: nn.cross_entropy(leaf(3, 2), [0.0, 1.0, 1.0]), "labels are integers"),
        (lambda: nn.cross_entropy(leaf(0, 2), []), "the batch is empty"),
        (lambda: nn.cross_entropy(leaf(1, 2), [0], label_smoothing=2), "label_smoothing must be"),
        (lambda: nn.mse(leaf(3, 1), np.zeros(3)), "reshape one"),
        (lambda: nn.l2_penalty([], 1.0), "at least one parameter"),
        (lambda: nn.l1_penalty([leaf(2)], -1.0), "a finite number >= 0"),
        (lambda: nn.Sequential(nn.Dropout(0.1), 3), "layer 1 is no module"),
    ],
)
@pytest.mark.fault(17)
def test_a_mistake_is_explained(call, message):
    with pytest.raises(ol.ConfigError, match=message):
        call()


def test_a_layer_cannot_be_in_a_network_twice():
    layer = nn.Linear(3, 3)
    with pytest.raises(ol.ConfigError, match="layer 1 is also layer 0"):
        nn.Sequential(layer, layer)


@pytest.mark.parametrize("row", [[1e308, -1e308, 0.0], [0.0] * 3, [-np.inf, 0.0, 1.0]])
@pytest.mark.fault(17)
def test_extreme_logits_have_a_finite_loss(row):
    z = ol.Tensor(np.array([row]), requires_grad=True)
    with np.errstate(over="ignore"):
        loss = nn.cross_entropy(z, [2])
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(z.grad).all()


@pytest.mark.fault(17)
def test_one_class_has_no_loss():
    z = leaf(3, 1)
    loss = nn.cross_entropy(z, [0, 0, 0])
    loss.backward()
    assert loss.item() == 0.0
    assert not z.grad.any()


@pytest.mark.fault(17)
def test_inputs_may_be_read_only_or_strided():
    model = nn.MLP([4, 3], dtype="float64")
    x = rows(6, 8)
    view = x[:, ::2]
    x.flags.writeable = False
    np.testing.assert_array_equal(model(view).data, model(view.copy()).data)
