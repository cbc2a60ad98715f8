"""One epoch of each library on the same batches, from the same weights: what a user of it would write, at its best.

Adam, float32, cross-entropy, a network of ReLUs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from optlab import nn
from optlab.optim.optimizer import Optimizer
from optlab.optim.rules import RULES
from optlab.train.machine import Machine

RATE = 1e-3

# `start` makes a new model; `epoch` trains it on and gives the losses of the steps, where the library has them.
Contestant = tuple[Callable[[], Any], Callable[[Any], np.ndarray | None]]


def problem(widths: list[int], batch: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Random rows in [0, 1) and labels."""
    rng = np.random.default_rng(0)
    rows = batch * steps
    return rng.random((rows, widths[0]), dtype=np.float32), rng.integers(0, widths[-1], rows)


def weights(widths: list[int]) -> list[np.ndarray]:
    """Everyone's first weights, (inputs, outputs); all biases begin at 0."""
    return [layer.weight.data.copy() for layer in nn.MLP(widths, seed=0).layers if isinstance(layer, nn.Linear)]


def trainer(widths: list[int], batch: int, rate: float = RATE) -> Machine:
    """A machine over a new model."""
    model = nn.MLP(widths, seed=0)
    return Machine(model, Optimizer(model.parameters(), RULES["adam"](rate)), batch_size=batch)


def machine(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Contestant:
    """One compiled call."""
    return lambda: trainer(widths, batch), lambda model: model.epoch(x, y)["loss"]


def tape(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Contestant:
    """The loop by hand."""

    def start() -> tuple[nn.MLP, Optimizer]:
        model = nn.MLP(widths, seed=0)
        return model, Optimizer(model.parameters(), RULES["adam"](RATE))

    def epoch(made: tuple[nn.MLP, Optimizer]) -> np.ndarray:
        (model, optimizer), losses = made, []
        for first in range(0, len(x), batch):
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x[first : first + batch]), y[first : first + batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses)

    return start, epoch


def torch_model(widths: list[int]) -> Any:
    """`torch.nn.Sequential` with the first weights."""
    import torch

    layers: list[Any] = []
    for weight in weights(widths):
        layer = torch.nn.Linear(*weight.shape)
        layer.weight.data = torch.from_numpy(weight.T.copy())
        layer.bias.data.zero_()
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_eager(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray, rate: float = RATE) -> Contestant:
    """The loop of torch's tutorials with fused Adam; losses stay tensors, as a fast loop would keep them."""
    import torch

    batches = [
        (torch.from_numpy(x[i : i + batch]), torch.from_numpy(y[i : i + batch])) for i in range(0, len(x), batch)
    ]

    def start() -> tuple[Any, Any]:
        model = torch_model(widths)
        return model, torch.optim.Adam(model.parameters(), lr=rate, fused=True)

    def epoch(made: tuple[Any, Any]) -> np.ndarray:
        (model, optimizer), losses = made, []
        for rows, labels in batches:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(rows), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return np.array([float(loss) for loss in losses])

    return start, epoch


def jax_loss(parameters: Any, rows: Any, labels: Any) -> Any:
    """Mean cross-entropy of a network of ReLUs."""
    import jax
    import optax

    for weight, bias in parameters[:-1]:
        rows = jax.nn.relu(rows @ weight + bias)
    logits = rows @ parameters[-1][0] + parameters[-1][1]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def jax_scan(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Contestant:
    """One jitted `lax.scan` over the batches, its buffers donated."""
    import jax
    import optax

    transform = optax.adam(RATE)
    rows = jax.numpy.array(x.reshape(-1, batch, widths[0]))
    labels = jax.numpy.array(y.reshape(-1, batch))

    def body(carry: Any, one: Any) -> Any:
        parameters, state = carry
        loss, gradients = jax.value_and_grad(jax_loss)(parameters, *one)
        updates, state = transform.update(gradients, state)
        return (optax.apply_updates(parameters, updates), state), loss

    run = jax.jit(lambda carry: jax.lax.scan(body, carry, (rows, labels)), donate_argnums=0)

    def start() -> list[Any]:
        parameters = [(jax.numpy.array(w), jax.numpy.zeros(w.shape[1], "float32")) for w in weights(widths)]
        return [(parameters, transform.init(parameters))]

    def epoch(box: list[Any]) -> np.ndarray:
        box[0], losses = run(box[0])
        return np.asarray(jax.block_until_ready(losses))

    return start, epoch


def scikit_learn(widths: list[int], batch: int, x: np.ndarray, y: np.ndarray) -> Contestant:
    """`MLPClassifier.partial_fit`, batch by batch, from the same weights."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    classes = np.arange(widths[-1])

    def start() -> Any:
        model = MLPClassifier(tuple(widths[1:-1]), solver="adam", alpha=0.0, batch_size=batch, learning_rate_init=RATE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.partial_fit(x[:batch], y[:batch], classes=classes)
        model.coefs_ = weights(widths)
        model.intercepts_ = [np.zeros(w.shape[1], np.float32) for w in model.coefs_]
        del model._optimizer  # made anew over these weights
        return model

    def epoch(model: Any) -> None:
        for first in range(0, len(x), batch):
            model.partial_fit(x[first : first + batch], y[first : first + batch])

    return start, epoch
