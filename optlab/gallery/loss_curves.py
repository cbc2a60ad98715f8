"""Four learning rates, four shapes of the loss curve: what a good rate looks like, and why.

The cartoon of the slides: a low rate falls slowly and nearly straight; a high one falls fastest, then stalls above the
rest; a very high one dips and shoots up; a good one ends lowest. On the noisy quadratic, with curvatures h and gradient
noise of variance s, each curve is known exactly: a coordinate shrinks by (1 - a h) a step and picks up noise a^2 s, so
the loss ends at the floor sum a s / (2 (2 - a h)). It grows with the rate, and above 2 / max h there is none.

The trap: the cartoon's order is that of its own last epoch. The low curve has the lowest floor of all, 0.001, and wins
after some thousand steps; "good" is good for a budget. And a network that can fit all of its data has no floor: there
the best rate stands next to the collapse, with no "high" curve between; at 1.5 some seeds learn and some die.

The companions are the checks that cs231n asks for before any tuning: the first loss is ln(classes), twenty samples can
be fitted, the gradient is right, the updates are about a thousandth of the weights.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, _checks, _noisy, line, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_most, equals

TITLE = "What a good learning rate looks like"
SOURCE = "deck, What does a good learning rate look like?; cs231n, learningrates.jpeg; the exact version is ours"
TRY = (
    "Set STEPS to 4000: the low rate ends lowest. Set the high rate to 1.9: it settles more than three times as high; "
    "from 2 on it no longer settles."
)
DATA = "digits"

RATES = {"very high": 2.05, "high": 1.5, "good": 0.25, "low": 0.015}
ORDER = ["good", "low", "high", "very high"]  # of the cartoon's ends, from the lowest
STEPS, RUNS = 400, 2000
GOLDEN = {  # expected loss after some steps
    "very high": {0: 2.643, 1: 1.443, 2: 1.365, 20: 10.01, 100: 2.637e4, 400: 1.36e17},
    "high": {0: 2.643, 1: 0.8084, 10: 0.2508, 100: 0.2091, 400: 0.2091},
    "good": {0: 2.643, 1: 1.975, 10: 0.4354, 100: 0.03715, 400: 0.01811},
    "low": {0: 2.643, 1: 2.599, 10: 2.242, 100: 0.7363, 400: 0.1637},
}
FLOORS = {"high": 0.2091, "good": 0.0178, "low": 9.95e-4}
DROPS = {"low": [0.401, 0.323], "good": [2.21, 0.22]}  # what the first ten steps and the next ten take off
RULES = {"SGD": ol.SGD, "Adam": ol.Adam}
SWEEP = {"SGD": (0.01, 0.03, 0.1, 0.3, 1.0, 1.5, 2.0), "Adam": (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3)}
BEST = {"SGD": (0.3, 1.5), "Adam": (0.01, 0.05)}  # where the network's best rate lies
EPOCHS, SEEDS = 30, 5


def run(setup: Setup) -> dict[str, Any]:
    """The exact curves and their simulation; the network at each rate, (seeds, epochs); the companions."""
    train, val, _ = parts(setup)

    def trained(rule: ol.Settings, seed: int) -> np.ndarray:
        return fit(mlp(train, seed), train, val, rule, epochs=EPOCHS, batch_size=BATCH, seed=seed)["train_loss"]

    losses = {n: _noisy.simulated(rate, STEPS, 100 if setup.fast else RUNS, setup.seed) for n, rate in RATES.items()}
    return {
        "exact": {n: _noisy.expected(rate, STEPS) for n, rate in RATES.items()},
        "mean": {n: runs.mean(axis=1) for n, runs in losses.items()},
        "error": {n: runs.std(axis=1, ddof=1) / runs.shape[1] ** 0.5 for n, runs in losses.items()},
        "one": {n: runs[:, 0] for n, runs in losses.items()},
        "network": {
            n: {rate: np.array([trained(rule(lr=rate), s) for s in setup.seeds(SEEDS)]) for rate in SWEEP[n]}
            for n, rule in RULES.items()
        },
        "companions": _checks.measured(setup),
        "digits": setup.data == "digits",
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The exact curves, their simulation, the cartoon's order and shapes; the network's best rates; the companions."""
    exact, at = data["exact"], [1, 10, 100, 400]
    closed = max(float(np.abs(exact[n] / _noisy.closed_form(rate, STEPS) - 1).max()) for n, rate in RATES.items())
    table = [exact[n][t] / value for n, row in GOLDEN.items() for t, value in row.items()]
    table += [_noisy.floor(RATES[n]) / value for n, value in FLOORS.items()]
    apart = [float((np.abs(data["mean"][n] - exact[n])[at] / data["error"][n][at]).max()) for n in RATES]
    drops = {n: [float(exact[n][i] - exact[n][i + 10]) for i in (0, 10)] for n in DROPS}
    ends = {n: {rate: float(runs[:, -1].mean()) for rate, runs in row.items()} for n, row in data["network"].items()}
    best = {n: min(row, key=row.__getitem__) for n, row in ends.items()}
    ranges = BEST if data["digits"] else {n: (rates[1], rates[-2]) for n, rates in SWEEP.items()}
    return [
        at_most("loss-curves", "the recursion is the closed form, relatively, at each rate and step", closed, 1e-12),
        at_most(
            "loss-curves:table",
            "expected losses and floors are those of the table, relatively",
            float(np.abs(np.array(table) - 1).max()),
            4e-3,
            "the table has three or four digits",
        ),
        at_most(
            "loss-curves:runs",
            "the mean loss of the simulated runs is the expected one after 1, 10, 100 and 400 steps",
            max(apart),
            4.0,
            "the largest distance, in standard errors",
        ),
        equals("loss-curves:order", "the ends, from the lowest", sorted(RATES, key=lambda n: exact[n][-1]), ORDER),
        Verdict(
            "loss-curves:shape",
            "the low rate is nearly straight: its second ten steps take off nearly as much as its first ten",
            drops,
            DROPS,
            all(np.allclose(drops[n], DROPS[n], atol=0.005) for n in DROPS),
        ),
        Verdict(
            "loss-curves:network",
            "the rate with the lowest training loss lies inside the sweep: above it nothing is learned",
            best,
            ranges,
            all(low <= best[n] <= high for n, (low, high) in ranges.items()),
            "; ".join(
                f"{n} " + ", ".join(f"{rate:g}: {loss:.3g}" for rate, loss in row.items()) for n, row in ends.items()
            ),
        ),
        _checks.judged("loss-curves:companions", data["companions"]),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The cartoon's curves, exact and simulated, and their floors; a network at seven rates, and each sweep's end."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.5, 4.8))
    left, right = fig.subplots(1, 2)
    for i, (name, rate) in enumerate(RATES.items()):
        look = line(i)
        left.plot(data["exact"][name], linewidth=2.2, label=f"{name}, {rate}", **look)
        right.semilogy(data["one"][name], color=COLORS[i], alpha=0.35, linewidth=0.7)
        right.semilogy(data["exact"][name], linewidth=1.8, **look)
        if name in FLOORS:
            right.axhline(_noisy.floor(rate), color=COLORS[i], linewidth=0.8, linestyle=":")
            right.text(STEPS, _noisy.floor(rate), f" floor of {name}", color=COLORS[i], fontsize="small", va="center")
    left.set(xlim=(0, 60), ylim=(0, 3), xlabel="step", ylabel="loss", title="the cartoon, computed: expected loss")
    right.set(xlim=(0, STEPS), ylim=(5e-4, 20), xlabel="step", ylabel="loss")
    right.set_title("one run each, and the expectation: the floor grows with the rate")
    left.legend(title="learning rate")
    second = figure(size=(12.5, 4.8))
    left, right = second.subplots(1, 2)
    for i, (rate, runs) in enumerate(data["network"]["SGD"].items()):
        epochs = np.arange(1, EPOCHS + 1)
        left.semilogy(epochs, runs.T, color=COLORS[i], alpha=0.3, linewidth=0.7)
        left.semilogy(epochs, runs.mean(axis=0), **line(i), linewidth=2, label=f"{rate:g}")
    left.set(xlabel="epoch", ylabel="training loss", title="a small network, SGD: thin lines are single seeds")
    left.legend(title="learning rate", fontsize="small", ncols=2)
    for i, (name, row) in enumerate(data["network"].items()):
        ends = np.array([runs[:, -1] for runs in row.values()])
        right.loglog(list(row), ends, ".", color=COLORS[i], alpha=0.6)
        right.loglog(list(row), ends.mean(axis=1), **line(i), linewidth=2, label=name)
    right.set(xlabel="learning rate", ylabel=f"training loss after {EPOCHS} epochs")
    right.set_title("the best rate is next to the cliff")
    right.legend()
    return [*save(fig, out, "loss-curves"), *save(second, out, "loss-curves-network")]


if __name__ == "__main__":
    main("loss-curves")
