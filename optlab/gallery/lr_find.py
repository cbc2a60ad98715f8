"""The learning-rate finder: a hundred steps at growing rates, and what can be read off their loss.

Step i trains one batch at a_i = low (high / low)^(i / (N - 1)) and records the loss before its update; the record is
smoothed by s_i, a moving average corrected for its start (beta 0.98), and the sweep ends where s exceeds four times its
best value. Read off: *steepest*, where s falls fastest against ln a; *minimum/10*; *valley*, in the middle of the
longest fall. On the quadratic sum h w^2 / 2, h from 0.1 to 10, all of it is a deterministic trace.

The trap: the bottom of the curve is no rate to train with. The loss is lowest where divergence has long begun: on the
quadratic the largest stable rate is 2 / 10 = 0.2, and the smoothed loss is lowest at 1.29, more than six times above.
On a noiseless curve *valley* is decades too low, and *steepest* can be anywhere that noise puts it.

A classifier's sweep usually ends because its steps are used up: the cross-entropy of a network whose units have died
stays near ln(classes), no four times anything. So the finder says why it ended.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_least

TITLE = "The learning-rate finder"
SOURCE = "deck, Learning rate finder (two slides; both pictures lost, inferred); Smith 2015, section 3.3; fastai"
TRY = (
    "Set smoothing=0 in the quadratic's sweep: it ends two steps earlier and steepest falls to 0.015. Sweep the "
    "networks from low=0.01: no flat part is left to read from, and valley grows fourfold and more."
)
DATA = "digits"

CURVATURE = np.geomspace(0.1, 10.0, 50)
TRACE = {  # of the quadratic, to the digits given
    "steps": 91, "steps if unsmoothed": 89, "last rate": 1.87382, "lowest smoothed": 1.29155, "lowest raw": 1.072,
    "valley": 5.214e-4, "minimum/10": 0.07391, "steepest": 0.06579,
}  # fmt: skip
LIMIT = 2 / CURVATURE.max()
RULES = {"SGD": ol.SGD(), "Momentum": ol.Momentum(), "Adam": ol.Adam()}
NAMES = ("valley", "minimum/10", "steepest")
MEDIANS = {  # by name; of ten seeds of another program with fastai's formulas
    "SGD": (0.042, 0.17, 0.89),
    "Momentum": (0.012, 0.11, 0.42),
    "Adam": (0.0059, 0.047, 0.087),
}
SLACK = 1.6  # the factor that medians of ten may differ by: single seeds differ by three
EPOCHS, SEEDS = 30, 10


def quadratic(smoothing: float = 0.98) -> ol.Found:
    """The sweep of sum h w^2 / 2 from w = 1, as a regression: mean of (x w)^2 over the 50 rows sqrt(25 h_i) e_i."""
    layer = ol.nn.Linear(50, 1, bias=False, dtype="float64")
    layer.weight.data = np.ones((50, 1))
    data = np.diag(np.sqrt(25.0 * CURVATURE)), np.zeros((50, 1))
    return ol.lr_find(ol.nn.Sequential(layer), data, ol.SGD(), batch_size=50, smoothing=smoothing)


def run(setup: Setup) -> dict[str, Any]:
    """The trace; a sweep per rule and seed, and a training at each suggestion."""
    train, val, _ = parts(setup)
    seeds = setup.seeds(SEEDS)

    def accuracy(rule: ol.Settings, seed: int) -> float:
        model = mlp(train, seed)
        fit(model, train, val, rule, epochs=EPOCHS, batch_size=BATCH, seed=seed)
        return model.evaluate(val).accuracy or 0.0

    shown, suggested, reached, used = {"the quadratic, SGD": quadratic()}, {}, {}, {}
    for name, rule in RULES.items():
        found = [ol.lr_find(mlp(train, seed), train, rule, batch_size=BATCH, seed=seed) for seed in seeds]
        shown[f"a network, {name}"] = found[0]
        rates = {k: [f.suggestions[k] for f in found] for k in NAMES}
        suggested[name] = rates
        reached[name] = {
            k: [accuracy(rule.replace(lr=r), s) for r, s in zip(rates[k], seeds, strict=True)] for k in NAMES
        }
        used[name] = sum(f.reason.startswith(f"all {len(f.lrs)} steps") for f in found)
    return {
        "sweeps": {t: {"lr": f.lrs, "loss": f.losses, "s": f.smoothed, **f.suggestions} for t, f in shown.items()},
        "unsmoothed": len(quadratic(smoothing=0.0).lrs),
        "reason": shown["the quadratic, SGD"].reason,
        "suggested": suggested,
        "accuracy": reached,
        "used up": used,
        "digits": setup.data == "digits",
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The trace; the network's suggestions against another program's; what they are good for; why sweeps end."""
    sweep = data["sweeps"]["the quadratic, SGD"]
    trace = {
        "steps": len(sweep["lr"]),
        "steps if unsmoothed": data["unsmoothed"],
        "last rate": float(sweep["lr"][-1]),
        "lowest smoothed": float(sweep["lr"][sweep["s"].argmin()]),
        "lowest raw": float(sweep["lr"][sweep["loss"].argmin()]),
        **{name: sweep[name] for name in NAMES},
    }
    medians = {n: [float(np.median(rates)) for rates in row.values()] for n, row in data["suggested"].items()}
    ratios = np.array(list(medians.values())) / list(MEDIANS.values())
    close = not data["digits"] or bool(np.abs(np.log(ratios)).max() <= np.log(SLACK))
    means = {n: {k: float(np.mean(row[k])) for k in NAMES} for n, row in data["accuracy"].items()}
    steep = [accuracy for row in data["accuracy"].values() for accuracy in row["steepest"]]
    return [
        Verdict(
            "lr-find",
            "the sweep of the quadratic: its length, its last rate, where the loss was lowest, what is suggested",
            trace,
            TRACE,
            all(np.isclose(trace[name], want, rtol=3e-4) for name, want in TRACE.items()),
            f"lowest at {trace['lowest smoothed'] / LIMIT:.1f} times the largest stable rate; " + data["reason"],
        ),
        Verdict(
            "lr-find:network",
            "valley, minimum/10 and steepest of the network rise in this order, on the digits as in another program",
            {n: [float(f"{rate:.2g}") for rate in row] for n, row in medians.items()},
            f"{MEDIANS} within a factor of {SLACK}" if data["digits"] else "ascending",
            all(row == sorted(row) for row in medians.values()) and close,
        ),
        at_least(
            "lr-find:good",
            f"minimum/10 and valley are good for {EPOCHS} epochs of training: lowest mean accuracy of the three rules",
            min(row[k] for row in means.values() for k in NAMES[:2]),
            0.9,
            "; ".join(f"{n} " + ", ".join(f"{k} {v:.3f}" for k, v in row.items()) for n, row in means.items())
            + f". Steepest is not safe: {sum(a < 0.5 for a in steep)} of {len(steep)} trainings at it end below 0.5",
        ),
        at_least(
            "lr-find:reason",
            "a classifier's sweep usually ends because its steps are used up: share of the sweeps",
            sum(data["used up"].values()) / len(steep),
            0.5,
            ", ".join(f"{n} {count}" for n, count in data["used up"].items()) + "; else the loss passed 4 x its best",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Three sweeps with their suggestions; the error that each seed's suggestions lead to."""
    from optlab.viz.style import COLORS, MARKERS, figure

    fig = figure(size=(14.0, 4.6))
    for ax, title in zip(fig.subplots(1, 3), ("the quadratic, SGD", "a network, SGD", "a network, Adam"), strict=True):
        sweep = data["sweeps"][title]
        ax.semilogx(sweep["lr"], sweep["loss"], color="grey", alpha=0.5, linewidth=0.8, label="loss of the batch")
        ax.semilogx(sweep["lr"], sweep["s"], color=COLORS[6], linewidth=2, label="smoothed")
        for i, name in enumerate(NAMES):
            height = np.interp(sweep[name], sweep["lr"], sweep["s"])
            ax.plot(sweep[name], height, MARKERS[i], color=COLORS[i], markersize=9, label=f"{name} {sweep[name]:.2g}")
        if title == "the quadratic, SGD":
            ax.axvline(LIMIT, color=COLORS[3], linestyle=":", label="largest stable rate")
        ax.set(xlabel="learning rate", ylabel="loss", title=title, ylim=(0, 1.6 * sweep["s"][0]))
        ax.legend(fontsize="small", loc="upper left")
    second = figure(size=(12.5, 4.2))
    for ax, (rule, row) in zip(second.subplots(1, 3, sharey=True), data["suggested"].items(), strict=True):
        for i, name in enumerate(NAMES):
            wrong = 100 * (1 - np.array(data["accuracy"][rule][name]))
            ax.loglog(row[name], wrong, MARKERS[i], color=COLORS[i], alpha=0.8, label=name)
        ax.set(xlabel="suggested rate", title=rule, xlim=(1e-4, 10))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
    second.axes[0].set_ylabel(f"wrong after {EPOCHS} epochs, %")
    second.axes[0].legend(loc="upper left")
    return [*save(fig, out, "lr-find"), *save(second, out, "lr-find-network")]


if __name__ == "__main__":
    main("lr-find")
