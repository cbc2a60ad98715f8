"""A module: something with parameters and a `forward`; modules are made of modules."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.errors import ConfigError


class Module:
    """Attributes that are tensors with ``requires_grad`` are parameters; NumPy arrays are buffers; modules nest.

    Names are dotted paths, ``"0.weight"``, in the order in which the attributes were set.
    """

    training = True

    def forward(self, x: Tensor) -> Tensor:
        """The output for a batch ``x`` (n, features)."""
        raise TypeError(f"{type(self).__name__} has no forward of its own")

    def __call__(self, x: Any) -> Tensor:
        """`forward`, of a tensor or of anything that makes one."""
        return self.forward(x if isinstance(x, Tensor) else Tensor(x))

    def children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly inside, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                yield from ((str(i), item) for i, item in enumerate(value) if isinstance(item, Module))

    def modules(self) -> Iterator["Module"]:
        """This module and all inside it, outermost first."""
        yield self
        for _, child in self.children():
            yield from child.modules()

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its path."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and value.requires_grad:
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Every array that is state and not a parameter, such as running means, with its path."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_buffers(f"{prefix}{name}.")

    def parameters(self) -> list[Tensor]:
        """Every parameter, each once, in a fixed order."""
        return list({id(p): p for _, p in self.named_parameters()}.values())

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Two groups for `Optimizer`: matrices with this weight decay; biases and norms, vectors all, without."""
        matrices = [p for p in self.parameters() if p.ndim > 1]
        vectors = [p for p in self.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def zero_grad(self) -> None:
        """Forget all gradients; those that an optimizer packed are filled with zeros."""
        for p in self.parameters():
            if p.grad is not None:
                p.grad[...] = 0.0

    def train(self, mode: bool = True) -> "Module":
        """Batch statistics and dropout on (or, with False, running statistics and no dropout)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Running statistics, no dropout."""
        return self.train(False)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Path -> copy of every parameter and buffer."""
        parameters = {name: p.data.copy() for name, p in self.named_parameters()}
        return parameters | {name: b.copy() for name, b in self.named_buffers()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Write a `state_dict` into this module's own memory.

        Raises:
            ConfigError: names or shapes differ; nothing is changed then.
        """
        targets = {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())
        if set(state) != set(targets):
            missing, strange = sorted(set(targets) - set(state)), sorted(set(state) - set(targets))
            raise ConfigError(f"the state does not fit: missing {missing or 'nothing'}, unknown {strange or 'nothing'}")
        arrays = {name: np.asarray(value) for name, value in state.items()}
        for name, target in targets.items():
            if arrays[name].shape != target.shape:
                raise ConfigError(f"{name} has shape {target.shape}, the state's has {arrays[name].shape}")
        for name, target in targets.items():
            target[...] = arrays[name]
