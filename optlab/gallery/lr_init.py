"""A good learning rate belongs to a rule and to first weights: change either and it moves.

A rule decides what the rate multiplies. SGD's step is a g: its unit is weight squared per loss, so it follows the size
of gradients. Adam's step is about a itself, whatever the gradient: its rate is a length in weights. So a rate that is
good for one is absurd for the other, here by a factor of 20 to 50.

First weights decide through the same units. Where a network does not care about the size of its weights, as batch
normalisation sees to, there is an exact law: f(c w) = f(w) makes gradients 1/c as large, so with weights c times as
large SGD takes the same path, c times as large, at c^2 times the rate, and Adam at c times the rate. Without
normalisation there is a tendency only: weights that are too small leave a plateau to cross, which wants larger rates
and narrows the band of those that work; weights ten times too large want a smaller one from SGD, and never recover.

The trap: a rate is often passed on without the rule, the initialisation and the batch size that it was found with.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_least, at_most, equals

TITLE = "The learning rate, the rule and the first weights"
SOURCE = "deck, Learning rate (what it depends on); the experiment is ours (inferred)"
TRY = (
    "Add a rule to RULES, such as ol.Lion: its best rate is below Adam's, as its steps are always as long as the rate. "
    "In `law`, leave the rate at 0.1 for the larger weights: the paths part at the first step."
)
DATA = "digits"

RULES = {"SGD": ol.SGD, "Momentum": ol.Momentum, "Adagrad": ol.Adagrad, "RMSProp": ol.RMSProp, "Adam": ol.Adam}
SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)  # times He's first weights
RATES = tuple(float(r) for r in 10.0 ** (np.arange(-10, 4) / 3))
STEPS, SEEDS = 340, 3  # 20 epochs of the digits
LARGER, FIRST = 8.0, 50  # of the law, and its steps; a power of two, which rounding does not see


def law(setup: Setup, rule: ol.Settings, power: int) -> bool:
    """Whether LARGER times the weights take the same path at LARGER^power times the rate, to the last bit."""
    train, _, _ = parts(setup)
    x, y = train.x[:256], train.y[:256]
    losses = []
    for c in (1.0, LARGER):
        model = mlp(train, setup.seed, batch_norm=True)
        layers: list[Any] = list(model.layers)
        first, norm = layers[:2]
        first.weight.data = first.weight.data * np.float32(c)
        norm.eps *= c * c  # it is added to the variance
        rest = [p for layer in layers[1:] for p in layer.parameters()]
        groups = [{"params": first.parameters(), "lr": rule.lr * c**power}, {"params": rest}]
        optimizer = ol.Optimizer(groups, rule)
        path = []
        for _ in range(FIRST):
            optimizer.zero_grad()
            loss = ol.nn.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            path.append(loss.data.item())
        losses.append(path)
    return losses[0] == losses[1]


def run(setup: Setup) -> dict[str, Any]:
    """Final training loss and accuracy for each rate: by rule, and by scale of the first weights; the law."""
    train, val, _ = parts(setup)
    rates, scales = (RATES[1::4], SCALES[::2]) if setup.fast else (RATES, SCALES)

    def sweep(rule: Any, scale: float) -> dict[str, np.ndarray]:
        """Means over the seeds, (rates,)."""
        ends = np.empty((len(rates), len(setup.seeds(SEEDS)), 2))
        for i, rate in enumerate(rates):
            for j, seed in enumerate(setup.seeds(SEEDS)):
                model = mlp(train, seed, scale=scale)
                history = fit(model, train, None, rule(lr=rate), steps=STEPS, batch_size=BATCH, seed=seed)
                held = model.evaluate(val).accuracy or 0.0
                ends[i, j] = history.last("train_loss") if history.status == "finished" else np.inf, held
        loss, accuracy = ends.mean(axis=1).T
        return {"loss": loss, "accuracy": accuracy}

    exact = {"SGD, c²": (ol.SGD(lr=0.1), 2), "Adam, c": (ol.Adam(lr=0.01, eps=1e-30), 1), "SGD, c": (ol.SGD(lr=0.1), 1)}
    by_rule = {name: sweep(rule, 1.0) for name, rule in RULES.items()}
    return {
        "rates": np.array(rates),
        "rule": by_rule,
        "scale": {
            name: {c: by_rule[name] if c == 1.0 else sweep(RULES[name], c) for c in scales} for name in ("SGD", "Adam")
        },
        "law": {name: law(setup, *case) for name, case in exact.items()},
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """How far the best rates of the rules lie apart; how they move with the first weights; the law."""

    def best(row: dict[str, np.ndarray]) -> float:
        return float(data["rates"][row["loss"].argmin()])

    rules = {name: best(row) for name, row in data["rule"].items()}
    scales = {name: {c: best(row) for c, row in rows.items()} for name, rows in data["scale"].items()}
    told = {name: ", ".join(f"{c:g} times: {rate:.2g}" for c, rate in row.items()) for name, row in scales.items()}
    middle = [rate for c, rate in scales["Adam"].items() if 0.3 <= c <= 3.0]
    return [
        at_least(
            "lr-init",
            "the best rate of SGD is at least a decade above that of Adam",
            rules["SGD"] / rules["Adam"],
            10.0,
            "best by training loss: " + ", ".join(f"{name} {rate:.2g}" for name, rate in rules.items()),
        ),
        at_most(
            "lr-init:sgd",
            "ten times the weights want a smaller rate from SGD: best rate there over that of He's weights",
            scales["SGD"][10.0] / scales["SGD"][1.0],
            0.5,
            "curvature alone would say a hundredth; but the softmax of such weights is saturated, and flat. "
            + told["SGD"],
        ),
        at_most(
            "lr-init:adam",
            "Adam's best rate stays within half a decade for weights from 0.3 to 3 times He's",
            max(middle) / min(middle),
            10**0.5,
            told["Adam"],
        ),
        equals(
            "lr-init:law",
            f"with batch normalisation, weights {LARGER:g} times as large take the same path at c^2 times the rate of "
            "SGD and c times the rate of Adam, to the last bit; SGD at c times the rate does not",
            data["law"],
            {"SGD, c²": True, "Adam, c": True, "SGD, c": False},
            f"{FIRST} losses; the epsilon of the normalisation is scaled by c^2, Adam's is 1e-30",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Accuracy against the rate: by rule, and for SGD and Adam by the scale of the first weights."""
    from optlab.viz.style import MARKERS, figure

    fig = figure(size=(14.0, 4.6))
    panels = {"rules, He's weights": data["rule"]} | {
        f"{name}, first weights times ...": rows for name, rows in data["scale"].items()
    }
    for ax, (title, rows) in zip(fig.subplots(1, 3, sharey=True), panels.items(), strict=True):
        for i, (label, row) in enumerate(rows.items()):
            look = line(i) | {"marker": MARKERS[i], "markersize": 4}
            ax.semilogx(data["rates"], row["accuracy"], label=label if isinstance(label, str) else f"{label:g}", **look)
        ax.set(xlabel="learning rate", title=title, xlim=(3e-4, 200), ylim=(0, 1))
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", loc="upper right")
    fig.axes[0].set_ylabel(f"validation accuracy after {STEPS} steps")
    return save(fig, out, "lr-init")


if __name__ == "__main__":
    main("lr-init")
