"""Training steps of small networks: the compiled machine and the tape against torch, JAX and scikit-learn.

Every contestant starts from the same weights, sees the same batches in the same order and runs Adam with the same
settings; before anything is timed, their losses must agree.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab import nn
from optlab.bench.timing import interleave
from optlab.optim.optimizer import Optimizer
from optlab.optim.rules import RULES
from optlab.train.machine import Machine

RATE = 1e-3
LARGE, SMALL = [784, 128, 64, 10], [64, 32, 16, 10]
CASES = ((LARGE, 32, 8), (LARGE, 128, 8), (LARGE, 512, 4), (SMALL, 32, 56))
GOALS = {
    (784, 32): {"torch fused": 3.5, "jax scan": 1.3},
    (784, 128): {"torch fused": 2.8, "jax scan": 1.15},
    (784, 512): {"torch fused": 2.3, "jax scan": 1.1},
    (64, 32): {"torch fused": 25.0, "jax scan": 2.0, "scikit-learn": 20.0},
}
SAME = 2e-4  # of the first steps' losses, float32

Epoch = Callable[[], np.ndarray | None]  # one pass over the batches; the losses, where the library gives them


def problem(widths: list[int], batch: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows in [0, 1) and labels."""
    rng = np.random.default_rng(0)
    rows = batch * steps
    return rng.random((rows, widths[0]), dtype=np.float32), rng.integers(0, widths[-1], rows)


def _model(widths: list[int]) -> tuple[nn.MLP, Optimizer]:
    model = nn.MLP(widths, seed=0)
    return model, Optimizer(model.parameters(), RULES["adam"](RATE))


def machine(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """One compiled call."""
    model, optimizer = _model(widths)
    trainer = Machine(model, optimizer, batch_size=batch)
    return lambda: trainer.epoch(x, y)["loss"]


def tape(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """The loop by hand."""
    model, optimizer = _model(widths)

    def epoch() -> np.ndarray:
        losses = []
        for first in range(0, len(x), batch):
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x[first : first + batch]), y[first : first + batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses)

    return epoch


def torch_eager(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """`torch.nn.Sequential` with fused Adam; losses stay tensors, as a fast loop would keep them."""
    import torch

    ours, _ = _model(widths)
    layers: list[Any] = []
    for layer in ours.layers:
        if isinstance(layer, nn.Linear):
            copy = torch.nn.Linear(*layer.weight.shape)
            copy.weight.data = torch.from_numpy(layer.weight.data.T.copy())
            copy.bias.data.zero_()
            layers.append(copy)
        else:
            layers.append(torch.nn.ReLU())
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    batches = [
        (torch.from_numpy(x[i : i + batch]), torch.from_numpy(y[i : i + batch])) for i in range(0, len(x), batch)
    ]

    def epoch() -> np.ndarray:
        losses = []
        for rows, labels in batches:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(rows), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return np.array([float(loss) for loss in losses])

    return epoch


def jax_scan(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """One jitted `lax.scan` over the batches, its buffers donated."""
    import jax
    import optax

    ours, _ = _model(widths)
    parameters = [
        (jax.numpy.array(layer.weight.data), jax.numpy.zeros(layer.weight.shape[1], "float32"))
        for layer in ours.layers
        if isinstance(layer, nn.Linear)
    ]
    transform = optax.adam(RATE)
    rows = jax.numpy.array(x.reshape(-1, batch, widths[0]))
    labels = jax.numpy.array(y.reshape(-1, batch))

    def loss_of(parameters: Any, rows: Any, labels: Any) -> Any:
        for weight, bias in parameters[:-1]:
            rows = jax.nn.relu(rows @ weight + bias)
        logits = rows @ parameters[-1][0] + parameters[-1][1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def body(carry: Any, one: Any) -> Any:
        parameters, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *one)
        updates, state = transform.update(gradients, state)
        return (optax.apply_updates(parameters, updates), state), loss

    run = jax.jit(lambda carry: jax.lax.scan(body, carry, (rows, labels)), donate_argnums=0)
    box = [(parameters, transform.init(parameters))]

    def epoch() -> np.ndarray:
        box[0], losses = run(box[0])
        return np.asarray(jax.block_until_ready(losses))

    return epoch


def scikit_learn(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Epoch:
    """`MLPClassifier.partial_fit`, batch by batch, from the same weights."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    ours, _ = _model(widths)
    linears = [layer for layer in ours.layers if isinstance(layer, nn.Linear)]
    model = MLPClassifier(tuple(widths[1:-1]), solver="adam", alpha=0.0, batch_size=batch, learning_rate_init=RATE)
    classes = np.arange(widths[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.partial_fit(x[:batch], y[:batch], classes=classes)
    model.coefs_ = [layer.weight.data.copy() for layer in linears]
    model.intercepts_ = [np.zeros(layer.weight.shape[1], np.float32) for layer in linears]
    del model._optimizer  # made anew over these weights

    def epoch() -> None:
        for first in range(0, len(x), batch):
            model.partial_fit(x[first : first + batch], y[first : first + batch])

    return epoch


def contestants(widths: list[int], batch: int, steps: int, peers: bool) -> dict[str, Epoch]:
    """Every library that is installed."""
    x, y = problem(widths, batch, steps)
    makers: dict[str, Callable[..., Epoch]] = {"machine": machine, "tape": tape}
    if peers:
        if find_spec("torch"):
            makers["torch fused"] = torch_eager
        if find_spec("optax"):
            makers["jax scan"] = jax_scan
        if find_spec("sklearn"):
            makers["scikit-learn"] = scikit_learn
    return {name: make(widths, batch, x, y) for name, make in makers.items()}


def measure(widths: list[int], batch: int, steps: int, peers: bool = True, rounds: int = 11) -> dict[str, Any]:
    """One row: microseconds a step, thousands of samples a second, each other's time over the machine's."""
    racing = contestants(widths, batch, steps, peers)
    losses = {name: epoch() for name, epoch in racing.items()}
    mine = losses["machine"]
    assert mine is not None
    odd = [name for name, theirs in losses.items() if theirs is not None and np.abs(theirs - mine).max() > SAME]
    times = interleave(racing, rounds, 0.05)
    each = times.median("machine") / steps
    return {
        "network": "-".join(map(str, widths)),
        "batch": batch,
        "us/step": each * 1e6,
        "k samples/s": batch / each / 1e3,
        **{name: times.ratio(name, "machine") for name in racing if name != "machine"},
        "differs": ", ".join(odd),
    }


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for widths, batch, steps in CASES:
        yield measure(widths, batch, steps, peers, rounds)


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        for peer, goal in GOALS[int(row["network"].split("-")[0]), row["batch"]].items():
            if peer in row:
                mark = "met   " if row[peer] >= goal else "MISSED"
                lines.append(f"{mark} {row['network']} batch {row['batch']}: {row[peer]:.2f}x {peer}, goal {goal}x")
    return lines
