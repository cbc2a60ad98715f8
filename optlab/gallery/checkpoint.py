"""Checkpoints: stop at any step, go on, and end with the same bits as if nothing had happened.

A training that goes on needs more than the weights: the moments of the rule and its count of steps, the position in the
schedule, the order of the data, the masks of dropout, the curves, what callbacks have counted. `ol.Checkpoint` writes
all of it after every epoch, and `fit(resume=...)` goes on there. A run that is killed inside an epoch goes on from the
end of the one before, and repeats the lost steps exactly. In a loop by hand the states of model and optimizer are two
dictionaries, and the loop can stop after any step. Early stopping takes the weights of the best epoch back.

The trap: weights alone are not a checkpoint. Adam with fresh moments starts over with its long first steps, and a
schedule that starts over warms up again: the run goes on, no error is shown, and it is another run.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_least, equals

TITLE = "Checkpoints: resumed to the last bit"
SOURCE = "post, Best Practices (save checkpoints, resume, revert); the experiment is ours"
TRY = (
    "Change the rule or the schedule: the resumed runs stay the same bits. Resume with epochs=EPOCHS + 2: an open "
    "schedule is as long as the training, so the rates differ, and no run is the same any more."
)
DATA = "digits"

EPOCHS, STEPS, PATIENCE = 10, 25, 5
RULE = ol.Adam(lr=0.01)
OPTIONS: dict[str, Any] = {"rule": RULE, "schedule": ol.schedules.OneCycle(), "batch_size": BATCH}


def network(train: Any, seed: int) -> ol.nn.MLP:
    """With batch normalisation and dropout, which have states of their own."""
    return mlp(train, seed, batch_norm=True, dropout=0.2)


def same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    """Whether all arrays agree to the last bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def by_hand(train: Any, seed: int, stop: int | None) -> dict[str, np.ndarray]:
    """The model after STEPS steps of a loop; after ``stop`` of them all is made anew from the saved states."""
    model = network(train, seed)
    optimizer = ol.Optimizer(model.parameters(), RULE)
    for t in range(STEPS):
        if t == stop:
            weights, moments = model.state_dict(), optimizer.state_dict()
            model = network(train, seed + 1)
            model.load_state_dict(weights)
            optimizer = ol.Optimizer(model.parameters(), RULE)
            optimizer.load_state_dict(moments)
        rows = np.random.default_rng([seed, t]).integers(0, len(train), BATCH)
        x, y = train.data.x[train.rows[rows]], train.data.y[train.rows[rows]]
        optimizer.zero_grad()
        ol.nn.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.state_dict()


def best_epoch(train: Any, val: Any, seed: int) -> dict[str, Any]:
    """Early stopping on 100 rows: whether it and the run directory give back a training of as many epochs."""
    few, model, as_long = train.take(100, seed=seed), network(train, seed), network(train, seed)
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [ol.EarlyStopping(PATIENCE), ol.Checkpoint(folder)]
        history = fit(model, few, val, RULE, epochs=200, seed=seed, callbacks=callbacks)
        loaded = network(train, seed + 1).load(folder)
    best, _ = history.best("val_loss")
    fit(as_long, few, val, RULE, epochs=best, seed=seed)
    found = {"early stopping": model, "loaded checkpoint": loaded}
    agree = {name: same(back.state_dict(), as_long.state_dict()) for name, back in found.items()}
    return {"same": agree, "epochs": f"best epoch {best} of {history.epochs}"}


def run(setup: Setup) -> dict[str, Any]:
    """Whole and resumed trainings, a loop stopped after every step, weights without their state, early stopping."""
    (train, val, _), seed = parts(setup), setup.seed
    options = {**OPTIONS, "seed": seed}

    def stop_after(epoch: int) -> Any:
        return lambda run: run.stop("enough for today") if run.epoch == epoch else None

    model, resumed = network(train, seed), []
    whole = fit(model, train, val, epochs=EPOCHS, **options)
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(1, EPOCHS):
            place = Path(folder) / str(epoch)
            saving = [stop_after(epoch), ol.Checkpoint(place)]
            fit(network(train, seed), train, val, epochs=EPOCHS, callbacks=saving, **options)
            again = network(train, seed + 1)
            history = fit(again, train, val, resume=place, epochs=EPOCHS)
            curves = same(history, whole) and same(history.steps, whole.steps)
            resumed.append(curves and same(again.state_dict(), model.state_dict()))
    half = network(train, seed)
    first = fit(half, train, val, epochs=EPOCHS, callbacks=[stop_after(EPOCHS // 2)], **options)
    rest = fit(half, train, val, epochs=EPOCHS - EPOCHS // 2, **options)  # the weights only: all else starts over
    return {
        "resumed": resumed,
        "by hand": [same(by_hand(train, seed, stop), by_hand(train, seed, None)) for stop in range(1, STEPS)],
        "whole": whole,
        "weights only": {k: np.concatenate([first.steps[k], rest.steps[k]]) for k in ("loss", "lr")},
        "best": best_epoch(train, val, seed),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Every resumed run and every stopped loop against the whole one; weights alone; the best epoch."""
    whole, alone = data["whole"].steps, data["weights only"]
    half = len(alone["lr"]) // 2
    return [
        equals(
            "checkpoint",
            "a run stopped after any epoch and resumed has the weights and curves of the whole run, bit for bit",
            sum(data["resumed"]),
            EPOCHS - 1,
            "of as many runs; Adam, one cycle, dropout, batch normalisation",
        ),
        equals(
            "checkpoint:any-step",
            "a loop by hand may stop after any step",
            sum(data["by hand"]),
            STEPS - 1,
        ),
        at_least(
            "checkpoint:weights-only",
            "with the weights alone it is another run: highest rate after the stop over that of the whole run",
            float(alone["lr"][half:].max() / whole["lr"][half:].max()),
            1.05,
        ),
        equals(
            "checkpoint:best",
            "the weights of the best epoch come back; they are those of a training that was as long",
            data["best"]["same"],
            dict.fromkeys(data["best"]["same"], True),
            data["best"]["epochs"],
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Rate and loss of the whole run and of one resumed from its weights alone."""
    from optlab.viz.style import figure

    fig = figure(size=(12.5, 4.8))
    left, right = fig.subplots(1, 2)
    runs = {"whole, or resumed": data["whole"].steps, "resumed from the weights alone": data["weights only"]}
    for i, (label, steps) in enumerate(runs.items()):
        look = line(i) | {"linewidth": 1.8, "label": label}
        left.plot(steps["lr"], **look)
        right.semilogy(np.convolve(steps["loss"], np.full(5, 0.2), "valid"), **look)
    for ax in (left, right):
        ax.axvline(len(data["weights only"]["lr"]) // 2, color="grey", linestyle=":")
        ax.set_xlabel("step; dotted: the stop")
    left.set(ylabel="learning rate", title="the schedule starts over", ylim=(0, 1.25 * data["whole"].steps["lr"].max()))
    left.legend(loc="upper right")
    right.set(ylabel="training loss, mean of 5 steps", title="and the run is another one")
    return save(fig, out, "checkpoint")


if __name__ == "__main__":
    main("checkpoint")
