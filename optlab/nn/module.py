"""A module: something with parameters and a `forward`; modules are made of modules."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from optlab.autograd.tensor import Tensor, raw
from optlab.errors import ConfigError, unknown
from optlab.states import as_numbers, check_state

if TYPE_CHECKING:
    from optlab.train.evaluate import Score
    from optlab.train.history import History


class Module:
    """Attributes that are tensors are parameters; NumPy arrays are buffers; modules nest.

    Names are dotted paths, ``"0.weight"``, in the order in which the attributes were set. A parameter is trained if it
    has ``requires_grad``; `freeze` takes that away.

    Attributes:
        training: whether batch normalisation and dropout do what they do while training.
        frozen: whether it stays in eval mode whatever `train` says.
        directory: where the checkpoints of its last `fit` or `load` are, if there are any.
        history: the curves of its last `fit`.
    """

    training = True
    frozen = False
    directory: Path | None = None
    history: "History | None" = None

    def forward(self, x: Tensor) -> Tensor:
        """The output for a batch ``x`` (n, features)."""
        raise TypeError(f"{type(self).__name__} has no forward of its own")

    def __call__(self, x: Any) -> Tensor:
        """`forward`, of a tensor or of anything that makes one: numbers in any container take the model's dtype."""
        return self.forward(x if isinstance(x, Tensor) else Tensor(x, dtype=precision(self)))

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
            if isinstance(value, Tensor):
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

    def train(self, mode: bool = True) -> Self:
        """Batch statistics and dropout on (or, with False, running statistics and no dropout)."""
        for module in self.modules():
            module.training = mode and not module.frozen
        return self

    def eval(self) -> Self:
        """Running statistics, no dropout."""
        return self.train(False)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Path -> copy of every parameter and buffer."""
        parameters = {name: p.data.copy() for name, p in self.named_parameters()}
        return parameters | {name: b.copy() for name, b in self.named_buffers()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Write a `state_dict` into this module's own memory.

        Raises:
            ConfigError: names, shapes or kinds of numbers differ (all of them are named); nothing is changed then.
        """
        parameters, buffers = dict(self.named_parameters()), dict(self.named_buffers())
        targets = {name: p.data for name, p in parameters.items()} | buffers
        check_state("this model", state, targets)
        arrays: dict[str, np.ndarray] = {}
        problems = []
        for name, target in targets.items():
            try:
                arrays[name] = _fitting(name, target, raw(state[name]))
            except ConfigError as error:
                problems.append(str(error))
        if problems:
            raise ConfigError("the state does not fit: " + "; ".join(problems))
        for name, parameter in parameters.items():
            parameter.data = arrays[name]  # not `[...] =`: a graph made before must know that its numbers are gone
        for name, buffer in buffers.items():
            buffer[...] = arrays[name]

    # --- fine-tuning --------------------------------------------------------------------------------------------------

    def freeze(self, *paths: str) -> Self:
        """Keep what these parts have learned: ``freeze("0", "2.bias")``; without paths, everything.

        Their parameters lose ``requires_grad``, so `fit` leaves them out; frozen modules stay in eval mode.

        Raises:
            ConfigError: there is no such part; nothing is changed then.
        """
        return self._set_frozen(paths, True)

    def unfreeze(self, *paths: str) -> Self:
        """Undo `freeze`."""
        return self._set_frozen(paths, False)

    def _set_frozen(self, paths: tuple[str, ...], frozen: bool) -> Self:
        modules, tensors = dict(self._named_modules()), dict(self.named_parameters())
        for path in paths:
            if path not in modules and path not in tensors:
                raise unknown("part of the model", path, [name for name in (*modules, *tensors) if name])
        for path in paths or ("",):
            for module in modules[path].modules() if path in modules else ():
                module.frozen, module.training = frozen, module.training and not frozen
            for name, tensor in tensors.items():
                if path in ("", name) or name.startswith(f"{path}."):
                    tensor.requires_grad = not frozen
        return self

    def _named_modules(self, path: str = "") -> Iterator[tuple[str, "Module"]]:
        yield path, self
        for name, child in self.children():
            yield from child._named_modules(f"{path}.{name}" if path else name)

    # --- looking and keeping ------------------------------------------------------------------------------------------

    def predict(self, data: Any) -> np.ndarray:
        """Outputs in eval mode, (rows, outputs), for a part of a data set or an array (rows, features)."""
        from optlab.train.evaluate import predict

        return predict(self, data)

    def evaluate(self, data: Any, unseal: str | None = None, *, force: bool = False) -> "Score":
        """Loss and accuracy on a part or on arrays (X, y); a sealed test set is opened once, with a reason.

        Raises:
            SealError: it was opened before in this run directory (without one, in this process) and not ``force``.
        """
        from optlab.train.evaluate import evaluate

        return evaluate(self, data, unseal, force=force)

    def save(self, path: str | Path) -> Path:
        """Write parameters and buffers to ``path``: as .safetensors if it ends so, else as .npz; `load` reads both.

        Names and shapes are ours: a `Linear` has its weight as (inputs, outputs), the transpose of PyTorch's.

        Raises:
            ConfigError: the suffix of another format, such as .pt; or the package safetensors is not installed.
            StorageError: it can't be written; what was there before is unharmed.
        """
        from optlab.nn.serialize import save

        save(Path(path), self.state_dict())
        return Path(path)

    def load(self, path: str | Path) -> Self:
        """Take over parameters and buffers from a file of `save`, or the best ones of a `Checkpoint`'s directory.

        The format is known by the file's first bytes. Names and shapes are compared before anything else is read, so
        that no file takes more memory than the model.

        Raises:
            ConfigError: names or shapes differ; nothing is changed then.
            StorageError: nothing there, or damaged.
        """
        from optlab.train.checkpoint import weights

        self.load_state_dict(weights(path, self.state_dict()))
        if Path(path).is_dir():  # the test set that was opened there stays opened
            self.directory = Path(path).absolute()
        return self


def precision(model: Module) -> "np.dtype[Any] | None":
    """Return the dtype of a model's parameters; None if it has none."""
    return next((p.dtype for _, p in model.named_parameters()), None)


def _fitting(name: str, target: np.ndarray, value: Any) -> np.ndarray:
    """What a state has for a parameter or buffer, as an array of its shape and dtype.

    Raises:
        ConfigError: it can't be that.
    """
    given = as_numbers(name, value, kinds="biuf")
    if given.shape != target.shape:
        raise ConfigError(f"{name} has shape {target.shape}, the state's has {given.shape}")
    if not np.can_cast(given.dtype, target.dtype, "same_kind"):
        raise ConfigError(f"{name} holds {target.dtype}, the state has {given.dtype}")
    with np.errstate(over="ignore"):
        held = given.astype(target.dtype)
    if (np.isfinite(given) & ~np.isfinite(held)).any():
        raise ConfigError(f"{name} has numbers beyond the range of {target.dtype}")
    return held
