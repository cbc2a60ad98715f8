"""Error against complexity: the loss may be a U, the accuracy is not.

The textbook picture has one axis, "complexity", along which the training error falls and the validation error is a U.
Two things that are called complexity, on a hundred pictures each, after 200 epochs:

L2, from strong to none: the picture as in the book. Strong decay leaves both losses high, none at all lets the network
become certain of its mistakes. Width, from 1 to 512 units: the training loss falls by four orders of magnitude, and the
validation loss falls and then stays. That the widest network is worse than a narrow one, as a single draw of pictures
may show, does not hold on the average over draws of digits; on MNIST, whose pictures have twelve times the pixels, it
does. The accuracy has no U on either axis worth the name, on no data: the widest network is among the best.

So "too complex" is a statement about the loss, and about weights that nothing holds back; a wide network is not by
itself an overfitted one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from optlab.gallery import Setup, main, parts, save
from optlab.gallery._few import FAST_EPOCHS, train_few
from optlab.gallery._means import above, error, shown
from optlab.verdict import Verdict

TITLE = "Error against complexity: a U of the loss, not of the accuracy"
SOURCE = "post, picture 'overfitting and the role of hyperparameters'; its content is inferred"
TRY = "Train the widths with a little decay, `ends(width=width, l2=1e-3)`: the loss of wide ones falls by a fifth."
DATA = "digits"

STRENGTHS, WIDTHS, EPOCHS, SEEDS = (0.1, 0.03, 1e-2, 1e-3, 1e-4, 0.0), (1, 2, 4, 8, 16, 64, 256, 512), 200, 10
NARROW = 16  # the best width of another program's one draw


def run(setup: Setup) -> dict[str, Any]:
    """(seeds, 3) for each strength and each width: training loss, validation loss, validation accuracy at the end."""
    train, val, _ = parts(setup)
    epochs = FAST_EPOCHS if setup.fast else EPOCHS

    def ends(**options: Any) -> np.ndarray:
        rows = []
        for seed in setup.seeds(SEEDS):
            model, few, _ = train_few(train, None, seed, epochs=epochs, **options)
            held = model.evaluate(val)
            rows.append((model.evaluate(few).loss, held.loss, held.accuracy))
        return np.array(rows)

    return {"l2": {l2: ends(l2=l2) for l2 in STRENGTHS}, "width": {width: ends(width=width) for width in WIDTHS}}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Training loss falls along both axes; the U in each; the accuracy."""
    l2, width = data["l2"], data["width"]
    training = {axis: [float(ends[:, 0].mean()) for ends in data[axis].values()] for axis in ("l2", "width")}
    losses = {k: float(ends[:, 1].mean()) for k, ends in l2.items()}
    best = min(losses, key=lambda k: losses[k])
    sides = l2[0.1][:, 1] - l2[best][:, 1], l2[0.0][:, 1] - l2[best][:, 1]
    rise = width[512][:, 1] - width[NARROW][:, 1]
    gained = width[512][:, 2] - width[NARROW][:, 2]
    return [
        Verdict(
            "overfit",
            "along decreasing L2 the final validation loss is a U: higher at both ends than between",
            {f"{k:g}": shown(ends[:, 1]) for k, ends in l2.items()} | {"ends over the best": list(map(shown, sides))},
            "best between the ends, both > 2 standard errors",
            best not in (0.1, 0.0) and all(map(above, sides)),
            f"{len(rise)} draws of 100 pictures. One draw of digits in another program: 1.334, 0.592, 0.407, 0.320, "
            "0.340, 0.389",
        ),
        Verdict(
            "overfit:training",
            "the training loss falls along both axes",
            {axis: [f"{v:.2g}" for v in values] for axis, values in training.items()},
            "every mean below the one before",
            all(bool((np.diff(values) < 0).all()) for values in training.values()),
        ),
        Verdict(
            "overfit:width",
            "along the width, too, it is a U: higher at 512 units than at 16",
            {str(k): shown(ends[:, 1]) for k, ends in width.items()}
            | {"512 over 16": shown(rise), "draws with a rise": f"{(rise > 0).sum()} of {len(rise)}"},
            "rise > 2 standard errors",
            above(rise),
            "one draw of digits in another program had 0.342 at 16 and 0.420 at 512 units. Over 50 draws of digits the "
            "loss falls up to some 16 to 64 units and then stays, rising in 23; on MNIST it rises, 1.25 to 1.45",
        ),
        Verdict(
            "overfit:accuracy",
            "the accuracy is no U: it is higher at 512 units than at 16",
            {str(k): shown(ends[:, 2]) for k, ends in width.items()} | {"512 over 16": shown(gained)},
            "gain > 2 standard errors",
            above(gained),
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Training loss, validation loss and accuracy along both axes, with every draw behind the mean."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 8.6))
    panels = fig.subplots(3, 2, sharex="col", sharey="row", height_ratios=(1.0, 1.4, 1.0))
    for column, axis in enumerate(("l2", "width")):
        values = np.array(list(data[axis].values()))
        for row in range(3):
            ax, of = panels[row, column], values[:, :, row]
            ax.plot(of, color=COLORS[row], linewidth=0.5, alpha=0.4)
            errors = [2 * error(v) for v in of] if row else None  # on a log axis the draws show more
            ax.errorbar(range(len(of)), of.mean(1), errors, color=COLORS[row], marker="o", linewidth=2.4)
            ax.set_xticks(range(len(of)), [f"{key:g}" for key in data[axis]])
            ax.grid(alpha=0.3)
    panels[0, 0].set(yscale="log", ylabel="training loss", title="ever less L2: the validation loss is a U")
    turns = above(data["width"][512][:, 1] - data["width"][NARROW][:, 1])
    panels[0, 1].set_title(f"ever more units: it {'is a U' if turns else 'falls and stays'}")
    losses, accuracies = (np.array([ends[:, i] for ends in data["width"].values()]) for i in (1, 2))
    lowest = min(ends[:, 1].min() for axis in ("l2", "width") for ends in data[axis].values())
    panels[1, 0].set(ylim=(0.8 * lowest, 2.2 * losses.mean(1).min()), ylabel="validation loss")
    panels[2, 0].set(ylim=(accuracies.mean(1).max() - 0.2, accuracies.max() + 0.03), ylabel="validation accuracy")
    panels[2, 0].set_xlabel("strength of L2 (complexity grows →)")
    panels[2, 1].set_xlabel("hidden units (complexity grows →)")
    return save(fig, out, "overfit")


if __name__ == "__main__":
    main("overfit")
