"""Fine-tuning with a tenth of the rate: it protects what was learned, and costs accuracy on the new task.

A network learns the digits 0 to 4. Then its last layer is replaced and it learns 5 to 9 from a hundred pictures, with
the old rate, a tenth and a hundredth of it. Two numbers belong together: the accuracy on the new digits, and that on
the old ones when the old last layer is put back on the changed body.

The rule of thumb, "a tenth of the rate", is about the second number. The first one falls with the rate at equal
epochs: a tenth of the rate wants more of them. Freezing the body protects the old task completely and leaves only the
last layer to learn with: the new task is then learned worst.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._means import above, error, shown
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_most

TITLE = "Fine-tuning with a tenth of the rate"
SOURCE = "deck, Learning rate, Tips & tricks (divide the rate by 10 when fine-tuning); the experiment is inferred"
TRY = (
    "Set EPOCHS = 300: with ten times the epochs a tenth of the rate learns the new digits about as well as the full "
    "rate did in 30, and forgets no more than that."
)
DATA = "digits"

FULL, RATES, EPOCHS, SEEDS = 0.3, (0.3, 0.03, 0.003), 30, 20
OLD, ROWS = 5, 100  # classes from 0 to 4 are the old task; pictures of the new one
KINDS = ("all layers", "frozen body")


def task(part: Part, new: bool) -> ol.data.Dataset:
    """The rows of one task, their classes counted from 0."""
    chosen = (part.y >= OLD) == new
    return ol.data.from_arrays(part.x[chosen], part.y[chosen] - OLD * new)


def tuned(seed: int, rate: float, frozen: bool, data: dict[str, Any]) -> list[Any]:
    """Old accuracy before; accuracy on the new and the old task, and the relative change of the first layer, after."""
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH, "seed": seed}
    model = mlp(data["old"], seed)
    fit(model, data["old"], None, ol.SGD(lr=FULL), **options)
    before, first, head = model.evaluate(data["old held"]).accuracy, model.parameters()[0], model.layers[-1]
    learned = first.data.copy()

    model.replace_head(data["new"].data.outputs, seed=seed)
    if frozen:
        model.freeze("0")
    fit(model, data["new"].take(ROWS, seed=seed), None, ol.SGD(lr=rate), **options)
    new = model.evaluate(data["new held"]).accuracy
    moved = np.linalg.norm(first.data - learned) / np.linalg.norm(learned)
    model.layers[-1] = head
    return [before, new, model.evaluate(data["old held"]).accuracy, moved]


def run(setup: Setup) -> dict[str, Any]:
    """(seeds, 4) for each rate, with and without a frozen body."""
    train, val, _ = parts(setup)
    data = {name: task(part, new).part() for name, part, new in (
        ("old", train, False), ("new", train, True), ("old held", val, False), ("new held", val, True)
    )}  # fmt: skip
    return {
        kind: {rate: np.array([tuned(s, rate, kind == KINDS[1], data) for s in setup.seeds(SEEDS)]) for rate in RATES}
        for kind in KINDS
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The old task is protected; the new one pays; the body moves by the rate; a frozen body."""
    free, frozen = (data[kind] for kind in KINDS)
    before, tenth = free[FULL][:, 0], FULL / 10
    full, lower = before - free[FULL][:, 2], before - free[tenth][:, 2]
    paid = free[FULL][:, 1] - free[tenth][:, 1]
    behind = {rate: free[rate][:, 1] - frozen[rate][:, 1] for rate in RATES}
    moved = [float(free[rate][:, 3].mean()) for rate in RATES]
    return [
        Verdict(
            "transfer",
            "with a tenth of the rate fine-tuning forgets less of the old task",
            {"before": shown(before)}
            | {f"old task after, rate {rate:g}": shown(values[:, 2]) for rate, values in free.items()}
            | {"spared": shown(full - lower, 4)},
            "spared > 2 standard errors",
            above(full - lower),
            f"{len(before)} seeds, each with its own {ROWS} pictures. 0.981; 0.968, 0.980, 0.981 on digits in another "
            "program",
        ),
        Verdict(
            "transfer:paid",
            "at equal epochs a tenth of the rate costs accuracy on the new task",
            {f"new task, rate {rate:g}": shown(values[:, 1]) for rate, values in free.items()} | {"paid": shown(paid)},
            "paid > 2 standard errors",
            above(paid),
            "0.954, 0.857, 0.388 on digits in another program",
        ),
        Verdict(
            "transfer:moved",
            "the first layer moves less, the lower the rate",
            {f"{rate:g}": f"{m:.3f}" for rate, m in zip(RATES, moved, strict=True)},
            "falling",
            moved[0] > moved[1] > moved[2],
            "length of the change of its weights over their length; 0.34, 0.09, 0.01 on digits in another program",
        ),
        Verdict(
            "transfer:frozen",
            "a frozen body learns the new task less well, at every rate",
            {f"{rate:g}": f"{shown(frozen[rate][:, 1])}, {shown(gap)} behind" for rate, gap in behind.items()},
            "behind > 2 standard errors, at each rate",
            all(map(above, behind.values())),
            "0.834, 0.705, 0.235 on digits in another program",
        ),
        at_most(
            "transfer:kept",
            "and keeps the old task to the last bit",
            max(float(np.abs(values[:, 0] - values[:, 2]).max() + values[:, 3].max()) for values in frozen.values()),
            0.0,
            "change of the old accuracy and of the first layer",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Accuracy on both tasks against the rate of fine-tuning."""
    from optlab.viz.style import MARKERS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    for ax, column, title in ((left, 1, "the new task"), (right, 2, "the old task, afterwards")):
        for i, kind in enumerate(KINDS):
            values = [data[kind][rate][:, column] for rate in RATES]
            means, errors = [v.mean() for v in values], [2 * error(v) for v in values]
            ax.errorbar(
                RATES, means, errors, **line(i), marker=MARKERS[i], markersize=9,
                linewidth=2, capsize=6, label=kind,
            )  # fmt: skip
        ax.set(xscale="log", xlabel="rate of fine-tuning", ylabel="accuracy", title=title)
        ax.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
        ax.set_xticks((), minor=True)
        ax.grid(alpha=0.3)
    before = float(data[KINDS[0]][FULL][:, 0].mean())
    right.axhline(before, color="grey", linestyle=":", linewidth=1.4, label="before")
    left.set_ylim(0, 1)
    for ax in (left, right):
        ax.legend(loc="lower left" if ax is right else "lower right")
    return save(fig, out, "transfer")


if __name__ == "__main__":
    main("transfer")
