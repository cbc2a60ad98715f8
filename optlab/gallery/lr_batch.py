"""A larger batch allows a larger rate: the linear rule, where it is exact and where it ends.

A batch of B divides the variance of the gradient's noise by B. On the noisy quadratic the loss ends at the floor
sum a s / (2 B (2 - a h)): for small rates it depends on a / B alone. So k times the batch with k times the rate follows
the same curve against the samples seen and ends as high, in a k-th of the steps; with the rate kept, the floor falls
k-fold and the way there takes as many steps, k times the samples (Goyal et al. 2017).

The trap: the slides' arrow has an end. The factor 2 - a h does not know about B: the largest stable rate, 2 / max h, is
the same for every batch. In the picture on the right the lines of equal loss rise with the batch, as the rule says, up
to a ceiling that does not. A network that can fit all of its data has no floor to be afraid of, and its best rate lies
just below that ceiling at every batch: it does not grow.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, _noisy, line, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_least, at_most

TITLE = "The learning rate and the batch size"
SOURCE = "deck, Learning rate; Tips & tricks (arrow: batch size up); Goyal et al. 2017, section 2.1 (inferred)"
TRY = (
    "Follow the rule to (1.6, 32): next to the limit 2 the floor is 2.3 times that of (0.05, 1). With BASE = 0.4 the "
    "rule fails in the network too: batch 512 would need a rate of 3.2, where nothing is learned."
)
DATA = "digits"

EXACT = {(0.05, 1): 0.003351, (0.1, 2): 0.003400, (0.2, 4): 0.003504, (0.05, 4): 0.000838}  # floors, by (rate, batch)
SCALED, KEPT = [(0.05, 1), (0.1, 2), (0.2, 4)], (0.05, 4)
SAMPLES, RUNS = 4000, 2000
CHECKED = 500  # samples after which the simulated runs are held against the expectation
BASE, EPOCHS = 0.1, 30  # the rate at BATCH
BATCHES = (16, 32, 64, 128, 256, 512)
RATES = tuple(float(r) for r in 10.0 ** np.arange(-2.0, 0.51, 0.25))
SEEDS = 3
TRAINS = 1.0  # a training loss below this is learning; guessing among ten classes is 2.3


def run(setup: Setup) -> dict[str, Any]:
    """Simulated and expected losses against samples; the network under the rule, with the rate kept, and everywhere."""
    train, _, _ = parts(setup)
    batches, rates = (BATCHES[2::3], RATES[::4]) if setup.fast else (BATCHES, RATES)

    def loss(rate: float, batch: int, seed: int) -> float:
        rule = ol.SGD(lr=rate)
        history = fit(mlp(train, seed), train, None, rule, epochs=EPOCHS, batch_size=batch, seed=seed)
        return history.last("train_loss") if history.status == "finished" else np.inf

    seeds, runs, apart = setup.seeds(SEEDS), 100 if setup.fast else RUNS, {}
    for rate, batch in EXACT:
        losses = _noisy.simulated(rate, CHECKED // batch, runs, setup.seed, batch)[-1]
        gap = losses.mean() - _noisy.expected(rate, CHECKED // batch, batch)[-1]
        apart[rate, batch] = float(abs(gap) / (losses.std(ddof=1) / runs**0.5))
    return {
        "expected": {(rate, batch): _noisy.expected(rate, SAMPLES // batch, batch) for rate, batch in EXACT},
        "apart": apart,
        "scaled": {b: float(np.mean([loss(BASE * b / BATCH, b, s) for s in seeds])) for b in batches},
        "kept": {b: float(np.mean([loss(BASE, b, s) for s in seeds])) for b in batches},
        "map": np.array([[np.mean([loss(r, b, s) for s in seeds]) for r in rates] for b in batches]),
        "batches": list(batches),
        "rates": list(rates),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The floors; the rule on them; the rule in the network; whether the best rate grows."""
    floors = {key: _noisy.floor(*key) for key in EXACT}
    end = floors[SCALED[0]]
    off = max(abs(floors[key] / end - 1) for key in SCALED)
    scaled, kept = (list(data[name].values()) for name in ("scaled", "kept"))
    best = {b: data["rates"][i] for b, i in zip(data["batches"], data["map"].argmin(axis=1), strict=True)}
    largest = {b: data["rates"][np.flatnonzero(row < TRAINS)[-1]] for b, row in zip(best, data["map"], strict=True)}
    return [
        at_most(
            "lr-batch",
            "the floors at (rate, batch) are those of the table",
            max(abs(floors[key] - value) for key, value in EXACT.items()),
            5e-7,
            ", ".join(f"{key}: {value:.6f}" for key, value in floors.items()),
        ),
        Verdict(
            "lr-batch:rule",
            "twice and four times the batch with as many times the rate: the floor stays within 5%; with the rate "
            "kept, four times the batch lowers it four-fold",
            {"under the rule": off, "rate kept": end / floors[KEPT]},
            "<= 0.05, 4",
            off <= 0.05 and bool(np.isclose(end / floors[KEPT], 4)),
        ),
        at_most(
            "lr-batch:runs",
            f"the mean loss of {RUNS} simulated runs is the expected one after {CHECKED} samples",
            max(data["apart"].values()),
            4.0,
            "the largest distance, in standard errors",
        ),
        at_most(
            "lr-batch:network",
            f"in the network, with the rate {BASE:g} B / {BATCH}, the training loss after {EPOCHS} epochs is the same "
            "at every batch, largest over smallest",
            max(scaled) / min(scaled),
            1.5,
            ", ".join(f"batch {b}: {loss:.3f}" for b, loss in data["scaled"].items()),
        ),
        at_least(
            "lr-batch:kept",
            f"with the rate {BASE:g} kept it is not",
            max(kept) / min(kept),
            4.0,
            ", ".join(f"batch {b}: {loss:.3f}" for b, loss in data["kept"].items()),
        ),
        at_most(
            "lr-batch:ceiling",
            "the largest rate that trains is a matter of curvature: from the smallest batch to the largest, 32 times "
            "that, it grows less than four-fold",
            max(largest.values()) / min(largest.values()),
            4.0,
            ", ".join(f"batch {b}: {rate:.2g}" for b, rate in largest.items()),
        ),
        at_least(
            "lr-batch:best",
            "the arrow at its word: the best rate of the largest batch is at least four times that of the smallest",
            best[data["batches"][-1]] / best[data["batches"][0]],
            4.0,
            "best by training loss after as many epochs. This network can fit all of its data, so its noise dies out "
            "and even the smallest batch wants the largest stable rate: there is no room above it for a larger one. "
            + ", ".join(f"batch {b}: {rate:.2g}" for b, rate in best.items()),
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The expected loss against the samples seen; the network's loss against the rate, and over batch and rate."""
    from matplotlib.colors import LogNorm

    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.5, 4.8))
    left, right = fig.subplots(1, 2)
    for i, (rate, batch) in enumerate(EXACT):
        losses = data["expected"][rate, batch]
        look = line(i) | {"linewidth": 2}
        left.loglog(batch * np.arange(1, len(losses)), losses[1:], label=f"rate {rate}, batch {batch}", **look)
    left.set(xlabel="samples seen", ylabel="expected loss", title="noisy quadratic: the rule keeps the curve")
    left.legend()
    batches, rates = np.array(data["batches"]), np.array(data["rates"])
    x, y = np.log2(batches), np.log10(rates)
    image = right.pcolormesh(x, y, data["map"].T, norm=LogNorm(1e-2, 3), cmap="viridis_r")
    right.plot(x, np.log10(BASE * batches / BATCH), "w--", linewidth=2)
    right.text(4.2, -1.45, "rate ∝ batch", color="white", rotation=33, fontsize="large")
    best = {"marker": "o", "color": COLORS[1], "markeredgecolor": "white", "markersize": 9}
    right.plot(x, y[data["map"].argmin(axis=1)], linestyle="none", label="best rate", **best)
    right.set_xticks(x, data["batches"])
    right.set_yticks([-2, -1, 0], ["0.01", "0.1", "1"])
    right.set(xlabel="batch size", ylabel="learning rate", title=f"network: training loss after {EPOCHS} epochs")
    right.legend(loc="upper left")
    fig.colorbar(image, label="training loss")
    return save(fig, out, "lr-batch")


if __name__ == "__main__":
    main("lr-batch")
