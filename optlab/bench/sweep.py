"""A sweep of learning rates: many small networks, each with its own Adam, from the same weights on the same batches.

The machine trains one model after the other; JAX and torch.func train all at once, stacked, and torch in a loop. Before
anything is timed, the losses of every model's first steps must agree.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench import epochs, training
from optlab.bench.stacked import Contestant, jax_models, torch_stacked
from optlab.bench.timing import Anew, Times, interleave_anew
from optlab.train.machine import Machine

WIDTHS, BATCH, STEPS = training.SMALL, 32, 56
RATES = np.geomspace(1e-4, 1e-1, 64)
EVERY = 16  # torch trains its models in turn too slowly for all of them: one in sixteen, and the time times sixteen
EPOCHS = 2  # in a round
CLOCKS = {False: "an epoch", True: "making the models, an epoch"}
GOALS = {"jax vmap": 1.4, "torch.func": 6.0}
FIRST = 6  # steps compared, to `training.SAME` of the loss: a rate of 0.1 amplifies rounding later


def machines(rates: np.ndarray, x: np.ndarray, y: np.ndarray) -> Contestant:
    """A `Machine` each, one epoch after the other."""

    def start() -> list[Machine]:
        return [epochs.trainer(WIDTHS, BATCH, float(rate)) for rate in rates]

    return start, lambda models: np.array([model.epoch(x, y)["loss"] for model in models])


def torch_in_turn(rates: np.ndarray, x: np.ndarray, y: np.ndarray) -> Contestant:
    """One eager model after the other, one in `EVERY`."""
    single = [epochs.torch_eager(WIDTHS, BATCH, x, y, float(rate)) for rate in rates[::EVERY]]

    def start() -> list[Any]:
        return [start() for start, _ in single]

    return start, lambda models: np.array([epoch(model) for (_, epoch), model in zip(single, models, strict=True)])


def contestants(rates: np.ndarray, steps: int, peers: bool) -> dict[str, Contestant]:
    """Every library that is installed."""
    x, y = epochs.problem(WIDTHS, BATCH, steps)
    found = {"machine": machines(rates, x, y)}
    if peers and find_spec("optax"):
        found |= {f"jax {over}": jax_models(over, WIDTHS, BATCH, rates, x, y) for over in ("vmap", "map")}
    if peers and find_spec("torch"):
        found["torch.func"] = torch_stacked("func", WIDTHS, BATCH, rates, x, y)
        found["torch baddbmm"] = torch_stacked("baddbmm", WIDTHS, BATCH, rates, x, y)
        found["torch in turn"] = torch_in_turn(rates, x, y)
    return found


def differing(racing: dict[str, Contestant]) -> list[str]:
    """Who does not reach the machine's losses in the first steps of every model."""
    losses = {name: epoch(start())[:, :FIRST] for name, (start, epoch) in racing.items()}
    mine = losses["machine"]
    return [
        name
        for name, theirs in losses.items()
        if not np.allclose(theirs, mine[:: EVERY if name == "torch in turn" else 1], rtol=training.SAME, atol=0)
    ]


def _made_inside(start: Callable[[], Any], epoch: Callable[[Any], np.ndarray]) -> Anew:
    return lambda: None, lambda _: epoch(start())


def race(
    new: bool, rates: np.ndarray = RATES, steps: int = STEPS, peers: bool = True, rounds: int = 11
) -> tuple[Times, list[str]]:
    """Seconds of an epoch of every model, with ``new`` making them inside the clock; and who did other work."""
    racing = contestants(rates, steps, peers)
    odd = differing(racing)
    work = {name: _made_inside(*contestant) if new else contestant for name, contestant in racing.items()}
    return interleave_anew(work, EPOCHS, rounds).scaled({"torch in turn": float(EVERY)}), odd


def row(new: bool, times: Times, odd: list[str], models: int = len(RATES), steps: int = STEPS) -> dict[str, Any]:
    """Milliseconds, thousands of steps a second, each other's time over the machines'."""
    took = times.median("machine")
    return {
        "clock": CLOCKS[new],
        "models": models,
        "ms": took * 1e3,
        "k steps/s": models * steps / took / 1e3,
        **{name: times.ratio(name, "machine") for name in times.rounds if name != "machine"},
        "differs": ", ".join(odd),
    }


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for new in (False, True):
        yield row(new, *race(new, peers=peers, rounds=rounds))


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured; they are for trained epochs, the models made."""
    return [
        f"{'met   ' if row[peer] >= goal else 'MISSED'} {row['clock']}: {row[peer]:.2f}x {peer}, goal {goal}x"
        for row in rows
        if row["clock"] == CLOCKS[False]
        for peer, goal in GOALS.items()
        if peer in row
    ]
