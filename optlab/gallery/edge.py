"""The grid's trap: a best value at the edge of the grid is no best value yet.

The best of a grid that stands at an end of an axis says that the grid was in the wrong place, not that the search is
over: "be careful with best values on border". Wilson et al. 2017 (section 4.1) go on until it is interior, adding
points by the grid's own ratio; so does `Grid(extend=True)`. A study's verdict warns, and says which way to go.

Two exact cases: (log2 a - 4.3)^2 from {2, 1, 0.5, 0.25, 0.125} visits 4, 8, 16 and 32, and stops with 16 after nine
evaluations; (log2 a + 1.2)^2 has its best inside, and stops at once. Then a real one: the usual small rates for SGD on
pictures, where the validation loss falls all the way to the end of the grid.

Some edges are none: a rate of decay of 0, or a kernel, have nothing beyond. And a grid can only be extended past a best
value that it has: the alarm does not hear of a second, better valley far away.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.search import Float, Grid, Space, Study
from optlab.verdict import Verdict, equals

TITLE = "A best value at the edge moves the grid"
SOURCE = "deck, Tuning hyper-parameters (pay attention at the extremes); Wilson et al. 2017, section 4.1; cs231n"
TRY = "Give the grid bounds={'lr': (1e-4, 0.1)}: it stops at 0.1, still on the edge, and the verdict still warns."
DATA = "digits"

START = (2.0, 1.0, 0.5, 0.25, 0.125)
CASES = {"outside": 4.3, "inside": -1.2}  # log2 of the best a
VISITS = {"outside": [2.0, 1.0, 0.5, 0.25, 0.125, 4.0, 8.0, 16.0, 32.0], "inside": [2.0, 1.0, 0.5, 0.25, 0.125]}
RATES, EPOCHS = (1e-4, 1e-3, 1e-2), 30


def searched(study: Study, name: str) -> dict[str, Any]:
    """What a study tried, found, and says about its edges."""
    [verdict] = [v for v in study.verdict() if v.id == f"edge:{name}"]
    return {
        "tried": [trial.params[name] for trial in study.trials],
        "values": [float(trial.value or 0.0) for trial in study.trials],
        "best": study.best.params[name],
        "interior": verdict.passed,
        "says": verdict.explanation,
    }


def run(setup: Setup) -> dict[str, Any]:
    """The two exact cases and the real one, each with a grid that stays and one that grows."""
    train, val, _ = parts(setup)
    seeds = setup.seeds(3)

    def training(params: dict[str, float]) -> float:
        losses = []
        for seed in seeds:
            model, rule = mlp(train, seed), ol.SGD(lr=params["lr"])
            fit(model, train, None, rule, epochs=EPOCHS, batch_size=BATCH, seed=seed)
            losses.append(model.evaluate(val).loss)
        return float(np.mean(losses))

    found: dict[str, Any] = {}
    for grows in (False, True):
        for case, best in CASES.items():
            study = Study(Space(a=Float(2.0**-20, 2.0**20, log=True)), Grid(a=list(START), extend=grows))
            study.run(lambda params, best=best: float((np.log2(params["a"]) - best) ** 2), trials=100)
            found[f"{case}, {'grows' if grows else 'stays'}"] = searched(study, "a")
        study = Study(Space(lr=Float(1e-8, 1e3, log=True)), Grid(lr=list(RATES), extend=grows))
        study.run(training, trials=100)
        found[f"rates, {'grows' if grows else 'stays'}"] = searched(study, "lr")
    return found


def judge(data: dict[str, Any]) -> list[Verdict]:
    """What is visited, where it stops, what the verdict says before and after; the gain of the real case."""
    grown = {case: data[f"{case}, grows"] for case in CASES}
    stays, grows = data["rates, stays"], data["rates, grows"]
    losses = min(stays["values"]), min(grows["values"])
    return [
        equals(
            "edge",
            "from {2, 1, 0.5, 0.25, 0.125} the grid goes on to 4, 8, 16, 32 and ends with 16 after nine evaluations",
            (grown["outside"]["tried"], grown["outside"]["best"]),
            (VISITS["outside"], 16.0),
        ),
        equals(
            "edge:inside",
            "where the best is interior it stops at once, with 0.5 after five",
            (grown["inside"]["tried"], grown["inside"]["best"]),
            (VISITS["inside"], 0.5),
        ),
        equals(
            "edge:verdict",
            "the verdict warns where the best of the grid as given is at its end, and nowhere else",
            {name: found["interior"] for name, found in data.items()},
            {name: name not in ("outside, stays", "rates, stays") for name in data},
            f"it says: {data['outside, stays']['says']}",
        ),
        Verdict(
            "edge:real",
            "SGD's rate on pictures: the grid has its best at its end, 0.01; the grown one has at most 3/4 of its loss",
            {"best of the grid": (stays["best"], round(losses[0], 3)), "grown": (grows["best"], round(losses[1], 3))},
            "0.01; loss <= 3/4",
            bool(stays["best"] == max(RATES) and losses[1] <= 0.75 * losses[0]),
            f"tried {grows['tried']}; {stays['says']}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Both searches: the grid as given, where it went on, and where it stopped."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    for ax, case, name in ((left, "outside", "a"), (right, "rates", "lr")):
        stays, grows = data[f"{case}, stays"], data[f"{case}, grows"]
        n = len(stays["tried"])
        order = np.argsort(grows["tried"])
        xs, ys = np.array(grows["tried"]), np.array(grows["values"])
        ax.plot(xs[order], ys[order], color="grey", linewidth=0.8)
        ax.plot(xs[:n], ys[:n], "s", color=COLORS[0], markersize=9, label="the grid as given")
        ax.plot(xs[n:], ys[n:], "o", color=COLORS[1], markersize=9, label="added by its own ratio")
        ax.plot(grows["best"], min(ys), "*", color=COLORS[2], markersize=20, label="best, interior", zorder=1)
        ax.axvline(stays["best"], color=COLORS[0], linestyle=":", linewidth=1.5)
        ax.text(stays["best"], 0.97, "  edge", color=COLORS[0], transform=ax.get_xaxis_transform(), va="top")
        ax.set_xscale("log", base=2 if name == "a" else 10)
        ax.set(
            xlabel=name, title=f"from {min(stays['tried']):g} .. {max(stays['tried']):g} to a best of {grows['best']:g}"
        )
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")
    left.set_ylabel("(log2 a - 4.3)^2")
    right.set(xlabel="learning rate", ylabel="validation loss", yscale="log")
    return save(fig, out, "edge")


if __name__ == "__main__":
    main("edge")
