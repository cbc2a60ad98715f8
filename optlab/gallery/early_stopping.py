"""Early stopping: the validation loss turns and rises while the training loss goes on to fall.

A network of 19,000 weights learns a hundred pictures by heart. The training loss falls for as long as one trains,
from 2.3 to a ten-thousandth; the validation loss is lowest after some twenty epochs and then climbs for the rest.
`ol.EarlyStopping(patience=20)` stops twenty epochs after the lowest value and gives back the weights of that epoch.

The best epoch is not a number to remember: it depends on which hundred pictures were drawn (here each run has its own)
and on the rate. The one value in the notes behind this figure, 17, is of one draw.

What rises is the loss, not the number of mistakes: a network that has learned everything by heart becomes ever more
certain, of its mistakes as well. If only the answers count and not their probabilities, stopping early gains nothing
here.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._few import EPOCHS, train_few
from optlab.gallery._means import above, shown
from optlab.verdict import Verdict, at_most, equals

TITLE = "Early stopping: the validation loss rises while the training loss falls"
SOURCE = "post, Practical Tips (monitor the loss) and Overfitting; the post has no picture of it"
TRY = (
    "Train on more pictures, `ROWS = 400` in _few.py: the lowest validation loss is less than half as high. "
    "Set PATIENCE = 1: most runs stop before their best epoch."
)
DATA = "digits"

SEEDS, PATIENCE = 20, 20
KNOWN = 17  # the best epoch of another program's one draw: a fixed epoch has not looked at these curves


def run(setup: Setup) -> dict[str, Any]:
    """The full curves for each seed, and the same trainings with early stopping."""
    train, val, _ = parts(setup)
    curves: dict[str, list[np.ndarray]] = {"train_loss": [], "val_loss": [], "val_accuracy": []}
    stopped = []
    for seed in setup.seeds(SEEDS):
        _, _, history = train_few(train, val, seed)
        for name, curve in curves.items():
            curve.append(history[name])
        early = ol.EarlyStopping(patience=PATIENCE)
        model, _, short = train_few(train, val, seed, callbacks=[early])
        stopped.append((short.epochs, early.best_epoch, model.evaluate(val).loss, short["val_loss"].min()))
    return {"data": setup.data, "stopped": np.array(stopped), **{k: np.array(v) for k, v in curves.items()}}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """It rises; where it was lowest; what early stopping gives back; accuracy does not fall."""
    train, val, accuracy = data["train_loss"], data["val_loss"], data["val_accuracy"]
    rise = val[:, -1] - val[:, KNOWN - 1]
    median = float(np.median(val.argmin(axis=1) + 1))
    epochs, taken, given_back, lowest = data["stopped"].T
    lost = accuracy[:, KNOWN - 1] - accuracy[:, -1]
    verdicts = [
        Verdict(
            "early-stopping",
            f"from epoch {KNOWN} to epoch {EPOCHS} the validation loss rises while the training loss falls",
            {
                "validation": f"{val[:, KNOWN - 1].mean():.3f} to {val[:, -1].mean():.3f}",
                "rise": shown(rise),
                "training": f"{train[:, KNOWN - 1].mean():.3f} to {train[:, -1].mean():.5f}",
            },
            "rise > 2 standard errors, training falls in every run",
            above(rise) and bool((train[:, -1] < train[:, KNOWN - 1]).all()),
            f"{len(val)} draws of 100 pictures; one draw of digits in another program had 0.342, 0.389 and 0.0003",
        ),
        equals(
            "early-stopping:restored",
            "early stopping gives back the weights of its best epoch, to the last bit",
            float(np.abs(given_back - lowest).max()),
            0.0,
            "largest difference between the loss of the model that comes back and the lowest of its curve",
        ),
        at_most(
            "early-stopping:cost",
            "its validation loss is within 2 % of the lowest of the full curve",
            float(np.mean(given_back / val.min(axis=1)) - 1.0),
            0.02,
            f"mean over runs, after {np.median(epochs):.0f} epochs (median) in place of {EPOCHS}",
        ),
        Verdict(
            "early-stopping:accuracy",
            f"the accuracy is no lower at epoch {EPOCHS} than at epoch {KNOWN}: what rises is the loss alone",
            f"{accuracy[:, KNOWN - 1].mean():.4f} to {accuracy[:, -1].mean():.4f}; lost {shown(lost, 4)}",
            "lost not > 2 standard errors",
            not above(lost),
        ),
    ]
    if data["data"] == "digits":
        verdicts.append(
            Verdict(
                "early-stopping:epoch",
                f"the median best epoch is within a factor of 2 of {KNOWN}",
                {"of the full curve": median, "taken": float(np.median(taken)), "from": f"{val.argmin(1).min() + 1}",
                 "to": f"{val.argmin(1).max() + 1}"},
                "8.5 to 34",
                8.5 <= median <= 34,
                "single runs are farther apart: how early depends on the hundred pictures",
            )
        )  # fmt: skip
    return verdicts


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Losses of every run and their mean, the turn of the validation loss enlarged; accuracy beside them."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(14.0, 4.6))
    both, zoomed, right = fig.subplots(1, 3)
    epochs = np.arange(1, data["val_loss"].shape[1] + 1)
    best = int(data["val_loss"].mean(0).argmin()) + 1
    panels = ((both, "train_loss"), (both, "val_loss"), (zoomed, "val_loss"), (right, "val_accuracy"))
    for ax, name in panels:
        i = int(name != "train_loss")
        ax.plot(epochs, data[name].T, color=COLORS[i], linewidth=0.5, alpha=0.3)
        label = "validation" if i else "training"
        ax.plot(epochs, data[name].mean(0), **line(i), linewidth=2.5, label=label)
        ax.axvline(best, color="grey", linewidth=0.8, linestyle=":")
        ax.set(xscale="log", xlabel="epoch", xlim=(1, len(epochs)))
        ax.grid(alpha=0.3)
    both.set(yscale="log", ylabel="loss", ylim=(5e-5, 3), title="both losses")
    both.legend(loc="lower left")
    low, high = data["val_loss"].min(), data["val_accuracy"].max()
    zoomed.set(ylim=(0.8 * low, 3 * low), ylabel="validation loss", title=f"lowest at epoch {best}, then it rises")
    right.set(ylim=(high - 0.25, high + 0.03), ylabel="validation accuracy", title="right answers: no fall")
    return save(fig, out, "early-stopping")


if __name__ == "__main__":
    main("early-stopping")
