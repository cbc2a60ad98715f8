"""Many models of one shape trained at once, each at a rate of its own: what users of JAX and of torch.func write."""

from collections.abc import Callable
from typing import Any

import numpy as np

from optlab.bench import epochs

# `start` makes the models; `epoch` trains them all on, and gives the losses (models, steps).
Contestant = tuple[Callable[[], Any], Callable[[Any], np.ndarray]]


def jax_models(over: str, widths: list[int], batch: int, rates: np.ndarray, x: np.ndarray, y: np.ndarray) -> Contestant:
    """A jitted `vmap` or `lax.map` of a `lax.scan` over the batches, parameters and state donated."""
    import jax
    import optax

    transform = optax.scale_by_adam()
    rows, labels = jax.numpy.array(x.reshape(-1, batch, x.shape[1])), jax.numpy.array(y.reshape(-1, batch))
    paces = jax.numpy.array(rates, "float32")

    def one(rate: Any, parameters: Any, state: Any) -> Any:
        def body(carry: Any, now: Any) -> Any:
            parameters, state = carry
            loss, gradients = jax.value_and_grad(epochs.jax_loss)(parameters, *now)
            updates, state = transform.update(gradients, state)
            return (jax.tree.map(lambda p, u: p - rate * u, parameters, updates), state), loss

        return jax.lax.scan(body, (parameters, state), (rows, labels))

    def every(parameters: Any, state: Any) -> Any:
        if over == "vmap":
            return jax.vmap(one)(paces, parameters, state)
        return jax.lax.map(lambda model: one(*model), (paces, parameters, state))

    run = jax.jit(every, donate_argnums=(0, 1))

    def start() -> list[Any]:
        models = len(rates)
        parameters = [
            (jax.numpy.array(np.tile(w, (models, 1, 1))), jax.numpy.zeros((models, w.shape[1]), "float32"))
            for w in epochs.weights(widths)
        ]
        return [parameters, jax.vmap(transform.init)(parameters)]

    def epoch(carry: list[Any]) -> np.ndarray:
        carry[:], losses = run(*carry)
        return np.asarray(jax.block_until_ready(losses))

    return start, epoch


def torch_stacked(
    form: str, widths: list[int], batch: int, rates: np.ndarray, x: np.ndarray, y: np.ndarray
) -> Contestant:
    """Stacked parameters under `torch.func.vmap` or `torch.baddbmm`; Adam by hand, as torch's has one rate for all."""
    import torch

    rows, labels = torch.from_numpy(x).split(batch), torch.from_numpy(y).split(batch)
    paces = torch.tensor(rates, dtype=torch.float32)
    slopes = _by_func(widths) if form == "func" else _by_hand(len(rates))

    def start() -> dict[str, Any]:
        single = dict(epochs.torch_model(widths).named_parameters())
        stacked = {k: p.detach().repeat(len(rates), *(1,) * p.ndim) for k, p in single.items()}
        return {"t": 0, "p": stacked} | {s: {k: torch.zeros_like(p) for k, p in stacked.items()} for s in "mv"}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def adam(carry: dict[str, Any], gradients: dict[str, Any]) -> None:
        carry["t"] += 1
        first, second = 1 - 0.9 ** carry["t"], 1 - 0.999 ** carry["t"]
        for name, g in gradients.items():
            p, m, v = carry["p"][name], carry["m"][name], carry["v"][name]
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            denominator = v.sqrt().div_(second**0.5).add_(1e-8)
            p.sub_((paces / first).view(-1, *(1,) * (p.ndim - 1)) * (m / denominator))

    def epoch(carry: dict[str, Any]) -> np.ndarray:
        losses = []
        for now in zip(rows, labels, strict=True):
            gradients, loss = slopes(carry["p"], *now)
            adam(carry, gradients)
            losses.append(loss)
        return np.asarray(torch.stack(losses, 1).numpy())

    return start, epoch


def _by_func(widths: list[int]) -> Callable[..., Any]:
    """Gradients as torch's tutorial on model ensembling takes them."""
    import torch

    model = epochs.torch_model(widths)

    def loss(parameters: Any, rows: Any, labels: Any) -> Any:
        logits = torch.func.functional_call(model, parameters, (rows,))
        return torch.nn.functional.cross_entropy(logits, labels)

    return torch.func.vmap(torch.func.grad_and_value(loss), in_dims=(0, None, None))  # type: ignore[no-any-return]


def _by_hand(models: int) -> Callable[..., Any]:
    """One batched product a layer, and one backward pass from the sum of the losses."""
    import torch

    def slopes(stacked: dict[str, Any], rows: Any, labels: Any) -> Any:
        parameters = {name: p.detach().requires_grad_() for name, p in stacked.items()}
        numbers = [name.removesuffix(".weight") for name in parameters if name.endswith("weight")]
        h = rows.expand(models, *rows.shape)
        for i, number in enumerate(numbers):
            h = torch.relu(h) if i else h
            h = torch.baddbmm(parameters[f"{number}.bias"].unsqueeze(1), h, parameters[f"{number}.weight"].mT)
        each = torch.nn.functional.cross_entropy(h.flatten(0, 1), labels.repeat(models), reduction="none")
        losses = each.view(models, -1).mean(1)
        gradients = torch.autograd.grad(losses.sum(), list(parameters.values()))
        return dict(zip(parameters, gradients, strict=True)), losses.detach()

    return slopes
