"""The layers of a small network, and `MLP`, which stacks them."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.checks import check_count, check_flag, check_number
from optlab.errors import ConfigError, unknown
from optlab.nn import functional
from optlab.nn.init import initial
from optlab.nn.module import Module
from optlab_kernels.layers import ACTIVATIONS

Seed = int | np.random.SeedSequence | np.random.Generator


def generator(seed: Seed) -> np.random.Generator:
    """A generator from what a user may give as a seed."""
    if isinstance(seed, np.random.Generator):
        return seed
    entropy = seed if isinstance(seed, np.random.SeedSequence) else check_count("seed", seed)
    return np.random.Generator(np.random.Philox(entropy))


class Linear(Module):
    """x W + b with W (in, out) and b (out,), zero at first."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, init: str = "he", seed: Seed = 0, dtype: Any = "float32"
    ) -> None:
        inputs, outputs = check_count("inputs", inputs, 1), check_count("outputs", outputs, 1)
        bias = check_flag("bias", bias)
        weight = initial(init, generator(seed), inputs, outputs).astype(dtype)
        self.weight = Tensor(weight, requires_grad=True, name="weight")
        self.bias = Tensor(np.zeros(outputs, dtype), requires_grad=True, name="bias") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) to (n, outputs)."""
        return functional.linear(x, self.weight, self.bias)

    def __repr__(self) -> str:
        return f"Linear({self.weight.shape[0]}, {self.weight.shape[1]})"


class Activation(Module):
    """One of relu, leaky-relu (with its ``slope``), tanh, sigmoid, gelu."""

    def __init__(self, name: str, slope: float = 0.01) -> None:
        if name not in ACTIVATIONS:
            raise unknown("activation", name, ACTIVATIONS)
        self.name, self.slope = name, check_number("slope", slope, "(-inf, inf)")

    def forward(self, x: Tensor) -> Tensor:
        """Element by element."""
        return functional.activation(x, self.name, self.slope)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


class BatchNorm1d(Module):
    """gamma x^ + beta, x^ the batch normalised per feature; in `eval` with running statistics.

    Running averages move by ``momentum`` towards each batch's mean and unbiased variance, as in torch.
    Source: Ioffe & Szegedy, ICML 2015, algorithms 1 and 2.
    """

    def __init__(self, features: int, *, momentum: float = 0.1, eps: float = 1e-5, dtype: Any = "float32") -> None:
        features = check_count("features", features, 1)
        momentum, eps = check_number("momentum", momentum, "[0, 1]"), check_number("eps", eps, "(0, inf)")
        self.gamma = Tensor(np.ones(features, dtype), requires_grad=True, name="gamma")
        self.beta = Tensor(np.zeros(features, dtype), requires_grad=True, name="beta")
        self.running_mean = np.zeros(features, dtype)
        self.running_variance = np.ones(features, dtype)
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Tensor) -> Tensor:
        """(n, features), n at least 2 while training."""
        if x.ndim != 2 or x.shape[1] != self.gamma.size:
            raise ConfigError(f"BatchNorm1d({self.gamma.size}) takes (n, {self.gamma.size}), got {x.shape}")
        if not self.training:
            statistics = self.running_mean, self.running_variance
            return functional.normalise(x, self.gamma, self.beta, *statistics, self.eps)
        y, mean, variance = functional.batch_norm(x, self.gamma, self.beta, self.eps)
        n = len(x.data)
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_variance += self.momentum * (variance * (n / (n - 1)) - self.running_variance)
        return y

    def __repr__(self) -> str:
        return f"BatchNorm1d({self.gamma.size})"


class Dropout(Module):
    """While training, each element is 0 with probability p, else divided by 1 - p; in `eval` nothing happens.

    The mask is a function of ``seed`` and of how often the layer was called: the same in every run, and after a resume
    that restores both, which are buffers.
    """

    def __init__(self, p: float, *, seed: int = 0) -> None:
        self.p = check_number("p", p, "[0, 1)")
        self.seed = np.array(check_count("seed", seed, 0, 2**63 - 1), np.int64)
        self.calls = np.zeros((), np.int64)

    def forward(self, x: Tensor) -> Tensor:
        """Any batch (n, features)."""
        if not self.training or self.p == 0.0:
            return x
        self.calls += 1
        return functional.dropout(x, self.p, int(self.seed), int(self.calls))

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


class Sequential(Module):
    """Layers one after the other; ``"0.weight"`` is the first one's weight."""

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise ConfigError(f"layer {i} is no module but {layer!r}")
            if layer in layers[:i]:
                raise ConfigError(
                    f"layer {i} is also layer {layers.index(layer)}; make another one: state is not shared"
                )
        self.layers = list(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Through all layers in turn."""
        for layer in self.layers:
            x = layer(x)
        return x

    def replace_head(self, outputs: int, *, seed: int = 0) -> Self:
        """Put a new linear layer in place of the last one, for another task with ``outputs`` answers.

        Raises:
            ConfigError: the last layer is not linear.
        """
        head = self.layers[-1]
        if not isinstance(head, Linear):
            raise ConfigError(f"the head to be replaced must be Linear, the last layer is {head!r}")
        stream = np.random.SeedSequence(check_count("seed", seed), spawn_key=(len(self.layers) - 1, HEAD))
        bias, dtype = head.bias is not None, head.weight.dtype
        self.layers[-1] = Linear(head.weight.shape[0], outputs, bias=bias, init="lecun", seed=stream, dtype=dtype)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


class MLP(Sequential):
    """A multi-layer perceptron: ``MLP([64, 32, 10])`` has 64 inputs, 32 hidden units and 10 logits.

    Between two linear layers come batch normalisation (if asked for), the activation and dropout. Hidden weights are
    drawn by ``init``; the output layer has no ReLU behind it to make up for, so "he" gives it LeCun's 1 / fan_in.

    Raises:
        ConfigError: fewer than two widths, a width below 1, an unknown activation or initialisation.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        init: str = "he",
        dtype: Any = "float32",
        seed: int = 0,
    ) -> None:
        if not isinstance(widths, list | tuple | range | np.ndarray) or len(widths) < 2:
            raise ConfigError(
                f"an MLP needs at least the widths of its input and output, such as [64, 10], got {widths!r}"
            )
        batch_norm, seed = check_flag("batch_norm", batch_norm), check_count("seed", seed)
        dropout = check_number("dropout", dropout, "[0, 1)")
        last = len(widths) - 2
        layers: list[Module] = []
        for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            way = OUTPUT.get(init, init) if i == last else init
            stream, masks = (np.random.SeedSequence(seed, spawn_key=(i, purpose)) for purpose in (WEIGHTS, MASKS))
            layers.append(Linear(inputs, outputs, init=way, seed=stream, dtype=dtype))
            if i < last:
                layers += [BatchNorm1d(outputs, dtype=dtype)] if batch_norm else []
                layers.append(Activation(activation))
                layers += [Dropout(dropout, seed=int(masks.generate_state(1)[0]))] if dropout else []
        super().__init__(*layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Features in, hidden units, outputs."""
        linears = [layer for layer in self.layers if isinstance(layer, Linear)]
        return (linears[0].weight.shape[0], *(layer.weight.shape[1] for layer in linears))


WEIGHTS, MASKS, HEAD = 0, 1, 2  # random streams of a layer
OUTPUT = {"he": "lecun", "he-uniform": "lecun-uniform"}
