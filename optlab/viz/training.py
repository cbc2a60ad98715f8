"""Training as a teacher shows it: curves, the learning-rate sweep, confusions, weights, the worst mistakes."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.data.dataset import Part
from optlab.errors import ConfigError, DataError
from optlab.nn.module import Module
from optlab.train.history import History
from optlab.train.lr_find import Found
from optlab.viz.style import COLORS, axes, figure, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECADE = 10.0  # values that span more get a logarithmic axis
HEADROOM = 1e6  # what is this many times above the median leaves the picture
NUMBERED = 20  # classes: with more, the numbers in a confusion matrix can't be read
FEW = 30  # points of a curve: with more, markers would hide it
NORMS = ("gradient", "update", "parameter")
_LOOKS = list(looks("abcd").values())


# --- curves -----------------------------------------------------------------------------------------------------------


def plot_history(history: History, fig: "Figure | None" = None) -> "Figure":
    """Loss and accuracy by epoch with the best epoch, the learning rate and the norms by step, as far as recorded."""
    norms = [name for name in NORMS if name in history.steps]
    panels = [_plot_losses, *([_plot_accuracy] if "val_accuracy" in history else []), _plot_rates]
    panels += [_plot_norms] if norms else []
    rows = 1 if len(panels) < 4 else 2
    across = -(-len(panels) // rows)
    fig = figure(fig, size=(4.4 * across, 3.5 * rows))
    for i, panel in enumerate(panels):
        panel(history, fig.add_subplot(rows, across, i + 1))
    if history.status == "diverged":
        fig.suptitle(f"diverged in epoch {max(1, history.epochs)}", color=COLORS[1], fontsize="medium")
    return fig


def _plot_losses(history: History, ax: "Axes") -> None:
    curves = {name: history[name] for name in ("train_loss", "val_loss") if name in history}
    if all(np.isfinite(curve).sum() < 2 for curve in curves.values()):
        losses = history.steps.get("loss", np.zeros(0))  # one epoch, or not even that: its steps say more
        _lines(ax, "step", {"train loss": (np.arange(len(losses)) + 1, losses)})
        shown = losses
    else:
        _lines(ax, "epoch", {name.replace("_", " "): (_epochs(history), curve) for name, curve in curves.items()})
        _mark_best(history, "val_loss" if "val_loss" in curves else "train_loss", ax)
        shown = np.concatenate(list(curves.values()))
    _scale(ax, shown)
    if history.status == "diverged":
        ax.axvline(ax.dataLim.x1 if ax.get_xlabel() == "step" else history.epochs, color=COLORS[1], linestyle=":")
    ax.set_ylabel("loss")


def _plot_accuracy(history: History, ax: "Axes") -> None:
    _lines(ax, "epoch", {"val accuracy": (_epochs(history), history["val_accuracy"])}, first=1)
    _mark_best(history, "val_accuracy", ax)
    ax.set_ylabel("accuracy")


def _plot_rates(history: History, ax: "Axes") -> None:
    rates = history.steps.get("lr", np.zeros(0))
    ax.set_ylabel("learning rate")
    _lines(ax, "step", {"learning rate": (np.arange(len(rates)) + 1, rates)}, fine=True)
    if rates.size and np.median(rates) < rates.max() / DECADE:
        ax.set_yscale("log")  # decays by decades; a cosine's last steps alone would bend its shape
    elif rates.any():
        ax.set_ylim(0.0, 1.1 * rates.max())


def _plot_norms(history: History, ax: "Axes") -> None:
    curves = {name: history.steps[name] for name in NORMS if name in history.steps}
    _lines(ax, "step", {name: (np.arange(len(curve)) + 1, curve) for name, curve in curves.items()}, fine=True)
    _scale(ax, np.concatenate(list(curves.values())))
    ax.set_ylabel("Euclidean norm")


def _epochs(history: History) -> np.ndarray:
    return np.arange(history.epochs) + 1


def _lines(
    ax: "Axes", unit: str, curves: dict[str, tuple[np.ndarray, np.ndarray]], *, first: int = 0, fine: bool = False
) -> None:
    from matplotlib.ticker import MaxNLocator

    for (label, (x, y)), (color, dash, marker) in zip(curves.items(), _LOOKS[first:], strict=False):
        width, marker = (1.0, "") if fine or len(x) > FEW else (1.5, marker)
        shown = np.where(np.isfinite(y), y, np.nan)
        ax.plot(x, shown, color=color, linestyle=dash, linewidth=width, marker=marker, markersize=3.5, label=label)
    ax.set_xlabel(unit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(x) == 1:
        ax.set_xlim(0, 2)
    ax.grid(alpha=0.3)
    if list(curves) != [ax.get_ylabel()]:
        ax.legend(fontsize="small")


def _mark_best(history: History, name: str, ax: "Axes") -> None:
    epoch, value = history.best(name)
    if np.isfinite(value):
        label = f"best: {value:.3g} in epoch {epoch}" + ", the last: train longer" * history.still_improving(name)
        ax.plot(epoch, value, "*", color="black", markersize=11, zorder=3, label=label)
        ax.legend(fontsize="small")


def _scale(ax: "Axes", values: np.ndarray) -> None:
    positive = values[np.isfinite(values)]
    if positive.size and positive.min() > 0.0 and positive.max() > DECADE * positive.min():
        top = HEADROOM * np.percentile(positive, 50, method="lower")
        if positive.max() > top:
            ax.set_ylim(positive.min() / 2.0, top)
        ax.set_yscale("log")


# --- the sweep --------------------------------------------------------------------------------------------------------


def plot_lr_find(found: Found, ax: "Axes | None" = None) -> "Axes":
    """Loss of each batch and its moving average against the rate, with the suggestions; the blow-up is cut off."""
    ax = axes(ax)
    ax.plot(found.lrs, found.losses, color="0.7", linewidth=1.0, label="loss of each batch")
    ax.plot(found.lrs, found.smoothed, color=COLORS[0], linewidth=2.0, label="smoothed")
    for (name, rate), look in zip(found.suggestions.items(), _LOOKS[1:], strict=True):
        if np.isfinite(rate):
            height = np.interp(np.log(rate), np.log(found.lrs), found.smoothed)
            ax.axvline(rate, color=look.color, linestyle=look.dash, linewidth=1.0)
            ax.plot(rate, height, look.marker, color=look.color, markersize=8, zorder=3, label=f"{name}: {rate:.2g}")
    if np.isfinite(found.suggestion):
        ax.axvline(found.suggestion, color="black", linewidth=2.0, label=f"suggested: {found.suggestion:.2g}")
    ax.set_xscale("log")
    ax.set(xlabel="learning rate", ylabel="loss")
    if len(found.losses):
        # what most steps reach; the smoothed minimum may lie below every early loss
        low, usual = min(found.losses.min(), found.smoothed.min()), float(np.percentile(found.losses, 75))
        top = max(usual, float(np.median(found.losses[: max(1, len(found.losses) // 10)])))
        if top > low:
            ax.set_ylim(low - 0.08 * (top - low), top + 0.35 * (top - low))
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    if found.edge is not None or np.isnan(found.suggestion):
        ax.set_title(textwrap.fill(found.reason.rpartition("; ")[2], 60), fontsize="small", color=COLORS[1])
    return ax


# --- pictures ---------------------------------------------------------------------------------------------------------


def plot_confusion(matrix: Any, classes: Sequence[str], ax: "Axes | None" = None) -> "Axes":
    """Counts (k, k), a row per true class and a column per predicted one, coloured by the share of the row.

    Raises:
        ConfigError: the matrix is not square, or has another number of classes.
    """
    counts, k = np.asarray(matrix), len(classes)
    if counts.shape != (k, k) or not k:
        raise ConfigError(f"a confusion matrix of {k} classes has shape ({k}, {k}), got {counts.shape}")
    from matplotlib.colors import PowerNorm

    side = min(10.0, 2.0 + 0.42 * k)
    ax = axes(ax, (side, side))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # a square root: among hundreds of right answers a single mistake must be seen
    ax.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0.0, 1.0))
    for i, j in np.argwhere(counts > 0) if k <= NUMBERED else ():
        color = "white" if share[i, j] > 0.3 else "black"
        ax.text(j, i, f"{counts[i, j]:g}", ha="center", va="center", color=color, fontsize="small")
    rotation = 90 if max(map(len, classes)) > 3 else 0
    ax.set_xticks(range(k), classes, rotation=rotation, fontsize="small")
    ax.set_yticks(range(k), classes, fontsize="small")
    right, rows = np.trace(counts), counts.sum()
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(f"{right:g} of {rows:g} right", fontsize="medium")
    return ax


def plot_weights(model: Module, image_shape: Sequence[int], n: int = 16, fig: "Figure | None" = None) -> "Figure":
    """What the n units with the largest weights of the first layer look for: red adds, blue takes away.

    ``image_shape`` is (height, width), or (height, width, 3), which shows grey for 0. One scale holds for all.

    Raises:
        ConfigError: the model has no matrix, or pictures of this shape have another number of pixels.
    """
    matrices = [p.data for p in model.parameters() if p.ndim == 2]
    if not matrices or matrices[0].shape[0] != int(np.prod(image_shape)):
        takes = f"takes {matrices[0].shape[0]} features" if matrices else "has no linear layer"
        raise ConfigError(f"the first layer {takes}; pictures of shape {tuple(image_shape)} do not fit")
    weights = matrices[0].T
    largest = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:n]
    span = float(np.percentile(np.abs(weights[largest]), 99.5)) or 1.0  # a few pixels must not pale the rest
    fig = figure(fig, size=_size(len(largest), 1.1))
    for unit, ax in zip(largest, _tiles(fig, len(largest)), strict=True):
        picture = weights[unit].reshape(tuple(image_shape))
        if picture.ndim == 3:
            ax.imshow(np.clip(0.5 + picture / (2.0 * span), 0.0, 1.0))
        else:
            ax.imshow(picture, cmap="RdBu_r", vmin=-span, vmax=span, interpolation="nearest")
        ax.set_title(f"unit {unit}", fontsize="x-small", pad=2)
    return fig


def plot_worst(part: Part, outputs: Any, n: int = 16, fig: "Figure | None" = None) -> "Figure":
    """The n pictures whose true class a classifier gave the least, ``outputs`` (rows, k) its logits for ``part``.

    Each says the true class, the predicted one, and what probability it had.

    Raises:
        DataError: the rows are not pictures with classes.
        ConfigError: there are not as many outputs as rows and classes.
    """
    data, logits = part.data, np.asarray(outputs, np.float64)
    if data.image is None or not data.classes:
        raise DataError(f"{data.name} has no pictures with classes to show")
    if logits.shape != (len(part), len(data.classes)):
        raise ConfigError(
            f"outputs have shape ({len(part)}, {len(data.classes)}), one row per picture; got {logits.shape}"
        )
    odds = np.exp(logits - logits.max(1, keepdims=True))
    share, true = odds / odds.sum(1, keepdims=True), part.y
    # by logits: of two pictures whose true class has probability 0.0, the one with the larger gap is worse
    gap = logits[np.arange(len(true)), true] - logits.max(1) - np.log(odds.sum(1))
    worst = np.argsort(gap, kind="stable")[:n]
    fig = figure(fig, size=_size(len(worst), 1.45))
    for i, ax in zip(worst, _tiles(fig, len(worst)), strict=True):
        said = int(share[i].argmax())
        ax.imshow(data.x[part.rows[i]].reshape(data.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(
            f"true {data.classes[true[i]]}, said {data.classes[said]}\n({share[i, said]:.0%})",
            fontsize="x-small",
            pad=3,
            color="black" if said == true[i] else COLORS[1],
        )
    return fig


def _size(count: int, inches: float) -> tuple[float, float]:
    across = int(np.ceil(np.sqrt(count)))
    return inches * across + 0.2, 1.15 * inches * -(-count // across) + 0.2


def _tiles(fig: "Figure", count: int) -> "Iterable[Axes]":
    across = int(np.ceil(np.sqrt(count)))
    for i in range(count):
        ax = fig.add_subplot(-(-count // across), across, i + 1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        yield ax
