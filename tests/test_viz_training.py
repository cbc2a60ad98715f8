"""Pictures of training: what they show, read back from the axes, and hard cases that must draw without a warning."""

import matplotlib as mpl
import numpy as np
import pytest
from figures import nothing_global as nothing_global
from matplotlib.figure import Figure
from scipy.special import log_softmax, softmax
from sklearn.metrics import confusion_matrix

import optlab as ol
from optlab.train.history import History
from optlab.train.lr_find import read
from optlab.viz.training import plot_confusion, plot_history, plot_lr_find, plot_weights, plot_worst

mpl.use("agg")
RATES = np.geomspace(1e-7, 10.0, 100)
FALL = np.interp(np.arange(100), [0, 55, 80, 99], [2.3, 2.3, 0.4, 1e6]) + 0.01 * np.sin(np.arange(100))
FOUND = read(RATES, FALL, "all steps were taken")
DATA = ol.data.load("digits")
PART = DATA.part().take(60)
LOGITS = np.random.default_rng(0).standard_normal((60, 10)) * 3.0


def history(losses=(2.0, 1.0, 0.5), status="finished", accuracy=True, norms=False, rates=None):
    """As `fit` leaves one, four steps per epoch."""
    made = History()
    for i, loss in enumerate(losses):
        steps = {"loss": np.full(4, loss), "lr": np.full(4, 0.1 if rates is None else rates[i])}
        made.add_steps(
            steps | (dict.fromkeys(("gradient", "update", "parameter"), np.full(4, 0.5 + i)) if norms else {})
        )
        held = {"val_loss": loss + 0.3 * i, "val_accuracy": 1.0 / (1.0 + loss)} if accuracy else {}
        made.add_epoch({"train_loss": loss, **held, "lr": 0.1}, 0.0)
    made.status = status
    return made


HARD = {
    "one epoch": history([1.0]),
    "diverged in the first step": history([np.nan], "diverged"),
    "diverged later": history([1.0, 0.5, np.nan], "diverged", norms=True),
    "diverged after huge losses": history([1.0, 1e300, np.nan], "diverged"),
    "regression": history(accuracy=False),
    "constant": history([1.0, 1.0]),
    "negative": history([1.0, -1.0, -2.0], accuracy=False),
    "rate zero": history(rates=[0.0, 0.0, 0.0]),
    "decades": history(np.geomspace(1.0, 1e-6, 40), rates=np.geomspace(1.0, 1e-6, 40)),
    "nothing yet": History(),
}
PLOTS = {
    "plot_history": lambda fig=None: plot_history(history(norms=True), fig),
    "plot_weights": lambda fig=None: plot_weights(ol.nn.MLP([64, 5, 10]), (8, 8), fig=fig),
    "plot_worst": lambda fig=None: plot_worst(PART, LOGITS, fig=fig),
}


def labels(ax):
    return [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]


@pytest.mark.parametrize("plot", PLOTS.values(), ids=list(PLOTS))
def test_figures_are_taken_or_made(plot):
    own = Figure(layout="constrained")
    assert plot(own) is own
    assert plot() is not own
    own.canvas.draw()


# --- history ----------------------------------------------------------------------------------------------------------


def test_a_history_has_a_panel_per_kind_of_curve():
    for made, want in (
        (history(norms=True), ["loss", "accuracy", "learning rate", "Euclidean norm"]),
        (history(), ["loss", "accuracy", "learning rate"]),
        (history(accuracy=False), ["loss", "learning rate"]),
    ):
        assert [ax.get_ylabel() for ax in made.plot().axes] == want


def test_curves_are_drawn_as_recorded():
    train, _, _ = DATA.split(seed=0)
    made = ol.fit(ol.nn.MLP([64, 8, 10]), train.take(200), train.take(50), "adam", epochs=3, norms=True, verbose=False)
    loss, accuracy, rate, norms = plot_history(made).axes
    for line, name in zip(loss.lines, ("train_loss", "val_loss"), strict=False):
        assert line.get_label() == name.replace("_", " ")
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), made[name])
    np.testing.assert_array_equal(accuracy.lines[0].get_ydata(), made["val_accuracy"])
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), made.steps["lr"])
    assert labels(norms) == ["gradient", "update", "parameter"]
    for line in norms.lines:
        np.testing.assert_array_equal(line.get_ydata(), made.steps[line.get_label()])


def test_the_best_epoch_is_marked():
    loss, accuracy, _ = history([2.0, 0.5, 0.4, 0.3]).plot().axes  # val: 2.0, 0.8, 1.0, 1.2
    star = loss.lines[-1]
    assert star.get_marker() == "*"
    assert star.get_xydata().tolist() == [[2.0, 0.8]]
    assert star.get_label() == "best: 0.8 in epoch 2"
    assert accuracy.lines[-1].get_xdata() == [4], "the highest accuracy"


def test_a_divergence_is_said_and_marked():
    figure = plot_history(HARD["diverged later"])
    assert figure.get_suptitle() == "diverged in epoch 3"
    assert [3, 3] in [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert plot_history(history()).get_suptitle() == ""
    early = plot_history(HARD["diverged in the first step"])
    assert early.axes[0].get_xlabel() == "step"


def test_axes_are_logarithmic_where_it_helps():
    loss, _, rate = plot_history(HARD["decades"]).axes
    assert loss.get_yscale() == rate.get_yscale() == "log"
    loss, _, rate = plot_history(history(rates=[0.1, 0.2, 1e-7])).axes
    assert loss.get_yscale() == rate.get_yscale() == "linear"
    assert rate.get_ylim()[0] == 0.0


@pytest.mark.parametrize("made", HARD.values(), ids=list(HARD))
def test_hard_histories_draw_without_a_warning(made):
    plot_history(made).canvas.draw()


# --- the sweep --------------------------------------------------------------------------------------------------------


def test_the_sweep_shows_both_curves_and_every_suggestion():
    own = Figure().add_subplot()
    assert FOUND.plot(own) is own
    assert own.get_xscale() == "log"
    raw, smoothed = own.lines[:2]
    np.testing.assert_array_equal(raw.get_xydata(), np.column_stack([FOUND.lrs, FOUND.losses]))
    np.testing.assert_array_equal(smoothed.get_ydata(), FOUND.smoothed)
    marks = {line.get_label(): line.get_xdata()[0] for line in own.lines if ": " in line.get_label()}
    for name, rate in {**FOUND.suggestions, "suggested": FOUND.suggestion}.items():
        (label,) = [label for label in marks if label.startswith(f"{name}: ")]
        assert marks[label] == rate


@pytest.mark.parametrize("offset", [0.0, -5.0])
def test_a_divergence_or_a_spike_does_not_flatten_the_sweep(offset):
    losses = FALL + offset
    losses[3] += 1e9
    found = read(RATES, losses, stop=np.inf)
    low, high = plot_lr_find(found).get_ylim()
    assert found.losses.max() > 9e8
    assert low < losses.min()
    assert 2.3 + offset < high < 4.0 + offset


@pytest.mark.parametrize("losses", [[], [1.0], [1.0] * 100, [1.0] * 11 + [1e9], [-1.0] * 50])
def test_hard_sweeps_draw_without_a_warning(losses):
    found = read(RATES, np.array(losses), "the loss was not finite", smoothing=0.0)
    plot_lr_find(found).figure.canvas.draw()


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_confusion_matrix_says_its_counts():
    true, said = np.repeat(np.arange(3), 5), np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 0, 2])
    counts = confusion_matrix(true, said)
    ax = plot_confusion(counts, ["cat", "dog", "bird"])
    texts = {tuple(reversed(text.get_position())): text.get_text() for text in ax.texts}
    assert texts == {(i, j): str(counts[i, j]) for i, j in np.argwhere(counts)}
    np.testing.assert_allclose(ax.images[0].get_array(), confusion_matrix(true, said, normalize="true"))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["cat", "dog", "bird"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("true", "predicted")
    assert ax.get_title() == "12 of 15 right"


def test_large_and_empty_confusions_draw():
    ax = plot_confusion(np.eye(40), [f"class {i}" for i in range(40)])
    assert not ax.texts
    ax.figure.canvas.draw()
    plot_confusion(np.zeros((2, 2)), "ab", Figure().add_subplot()).figure.canvas.draw()
    for matrix in (np.zeros((2, 3)), np.zeros(3), np.eye(2)):
        with pytest.raises(ol.ConfigError, match=r"has shape \(3, 3\)"):
            plot_confusion(matrix, "abc")


def test_weights_are_those_of_the_largest_units():
    model = ol.nn.MLP([64, 6, 10])
    weight = model.layers[0].weight
    weight.data = weight.data * np.array([1, 5, 2, 6, 3, 4], "f4")
    axes = plot_weights(model, (8, 8), n=4).axes
    assert [ax.get_title() for ax in axes] == ["unit 3", "unit 1", "unit 5", "unit 4"]
    for ax, unit in zip(axes, (3, 1, 5, 4), strict=True):
        (image,) = ax.images
        np.testing.assert_array_equal(image.get_array(), weight.data[:, unit].reshape(8, 8))
        assert image.get_clim()[0] == -image.get_clim()[1], "white is zero"
        assert image.get_clim() == axes[0].images[0].get_clim()


def test_colour_weights_and_mistakes():
    colour = plot_weights(ol.nn.MLP([48, 3, 2], init="zeros"), (4, 4, 3)).axes
    assert len(colour) == 3
    np.testing.assert_array_equal(colour[0].images[0].get_array(), np.full((4, 4, 3), 0.5))
    with pytest.raises(ol.ConfigError, match="takes 64 features"):
        plot_weights(ol.nn.MLP([64, 10]), (28, 28))
    with pytest.raises(ol.ConfigError, match="no linear layer"):
        plot_weights(ol.nn.Activation("relu"), (8, 8))


def test_the_worst_are_those_with_the_largest_loss():
    losses = -log_softmax(LOGITS, axis=1)[np.arange(60), PART.y]
    axes = plot_worst(PART, LOGITS, n=7).axes
    assert len(axes) == 7
    for ax, i in zip(axes, np.argsort(-losses), strict=False):
        np.testing.assert_array_equal(ax.images[0].get_array(), DATA.x[PART.rows[i]].reshape(8, 8))
        said = LOGITS[i].argmax()
        assert ax.get_title() == f"true {PART.y[i]}, said {said}\n({softmax(LOGITS[i])[said]:.0%})"


def test_the_worst_of_hopeless_logits_and_mistakes():
    """Probabilities of 0.0 and 1.0: the gap still counts."""
    logits = np.zeros((60, 10))
    logits[np.arange(60), (PART.y + 1) % 10] = 1000.0 + np.arange(60)
    first = plot_worst(PART, logits, n=1).axes[0]
    np.testing.assert_array_equal(first.images[0].get_array(), DATA.x[PART.rows[59]].reshape(8, 8))
    assert len(plot_worst(PART, LOGITS, n=99).axes) == 60
    with pytest.raises(ol.ConfigError, match=r"outputs have shape \(60, 10\), .* got \(59, 10\)"):
        plot_worst(PART, LOGITS[1:])
    table = ol.data.from_arrays(np.eye(4), [0, 1, 0, 1]).part()
    with pytest.raises(ol.DataError, match="no pictures"):
        plot_worst(table, np.zeros((4, 2)))
