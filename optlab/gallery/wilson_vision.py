"""Adaptive rules against SGD on pictures, each at its own best rate: do they train better and test worse here?

The protocol of Wilson et al.: five rates for each rule, three in a decade, and more on the side where the best one
stands until it is inside; the rate with the lowest final *training* loss is kept; the rate is halved at fixed epochs;
several seeds. Their network was a VGG on CIFAR-10, where SGD had 7.65 % test errors and the best adaptive rule 9.60 %.
Here it is one hidden layer, on whatever data set the gallery is given.

A difference between two rules means something only beside two others: the spread over seeds, and what the rate does
within one rule. So the picture shows all three. On digits Adam trains sixteen times further down than SGD, and all
rules test within a point of each other: "adaptive loses" is false here, and marked so. Heavy ball trains as far down as
Adam: low training loss is not what sets adaptive rules apart.

What differs from the paper: network, data, batch size, number of epochs and the factor and times of the decay, which
the paper does not give for CIFAR-10; no augmentation, no weight decay.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import fit, mlp
from optlab.verdict import Verdict, at_least

TITLE = "Adaptive rules against SGD on pictures: training loss and test error"
SOURCE = "deck, Adaptive vs. SGD (first slide); Wilson et al. 2017, section 4 and figure 1"
TRY = (
    "Keep the rate with the lowest validation loss in place of the training loss: in `outcome` evaluate the validation "
    "rows, the second of `parts(setup)`. Or run it on other pictures: `optlab gallery wilson-vision --data "
    "fashion-mnist`."
)
DATA = "digits"

RULES: dict[str, tuple[ol.Settings, int]] = {  # rule, and the middle of its first five rates in thirds of decades
    "SGD": (ol.SGD(), 0),
    "heavy ball": (ol.Momentum(beta=0.9), -2),
    "AdaGrad": (ol.Adagrad(), -4),
    "RMSProp": (ol.RMSProp(), -7),
    "Adam": (ol.Adam(), -6),
}
EPOCHS, EVERY, FACTOR, BATCH = 40, 10, 0.5, 128
HIDDEN, SEEDS = 32, 8
LARGER_HIDDEN, LARGER_SEEDS = 128, 5  # on data sets with larger pictures


def rate(i: int) -> float:
    """0.1, 0.2, 0.5, 1, 2, 5, ...: about three rates in a decade; rate(0) = 1."""
    return float((1.0, 2.0, 5.0)[i % 3] * 10.0 ** (i // 3))


def grown(loss: Any, middle: int) -> tuple[dict[int, float], int]:
    """Losses of five rates and as many more as it takes to have worse ones on both sides; the best."""
    found = {i: loss(i) for i in range(middle - 2, middle + 3)}
    while True:
        best = min(found, key=lambda i: found[i])
        if best not in (min(found), max(found)):
            return dict(sorted(found.items())), best
        beyond = best - 1 if best == min(found) else best + 1
        found[beyond] = loss(beyond)


def run(setup: Setup) -> dict[str, Any]:
    """Every rule at every rate with every seed: training loss and test error."""
    train, _, test = parts(setup)
    hidden = HIDDEN if setup.data == "digits" else LARGER_HIDDEN
    seeds = setup.seeds(SEEDS, larger=LARGER_SEEDS)
    halving = ol.schedules.StepDecay(every=EVERY, factor=FACTOR, per="epoch")

    def outcome(rule: ol.Settings, seed: int) -> tuple[np.ndarray, float, float]:
        model = mlp(train, seed, (hidden,))
        history = fit(model, train, None, rule, epochs=EPOCHS, batch_size=BATCH, seed=seed, schedule=halving)
        final = model.evaluate(train).loss if history.status == "finished" else np.inf
        return history["train_loss"], final, 1 - (model.evaluate(test).accuracy or 0.0)

    def swept(rule: ol.Settings, middle: int) -> dict[str, Any]:
        """Every rate of one rule, and what comes of the rate that is kept."""
        outcomes: dict[int, list[tuple[np.ndarray, float, float]]] = {}

        def loss(i: int) -> float:
            outcomes[i] = [outcome(rule.replace(lr=rate(i)), seed) for seed in seeds]
            return float(np.mean([final for _, final, _ in outcomes[i]]))

        losses, best = grown(loss, middle)
        return {
            "rates": np.array([rate(i) for i in losses]),
            "losses": np.array(list(losses.values())),
            "errors": np.array([[e for *_, e in outcomes[i]] for i in losses]),  # (rates, seeds)
            "kept": rate(best),
            "loss": np.array([final for _, final, _ in outcomes[best]]),
            "error": np.array([e for *_, e in outcomes[best]]),
            "curve": np.mean([curve for curve, *_ in outcomes[best]], 0),
        }

    return {"rules": {name: swept(*case) for name, case in RULES.items()}, "tested": len(test), "data": setup.data}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The slides' claim; its first half alone; what the rate does beside what the rule does."""
    rules, adam, sgd = data["rules"], data["rules"]["Adam"], data["rules"]["SGD"]
    lower = float(sgd["loss"].mean() / adam["loss"].mean())
    gap = adam["error"].mean() - sgd["error"].mean()
    spread = float(np.sqrt((spread_of(adam["error"]) ** 2 + spread_of(sgd["error"]) ** 2) / 2))
    shown = {
        name: f"{r['error'].mean():.2%} +- {spread_of(r['error']):.2%}; "
        f"training loss {r['loss'].mean():.4f}, rate {r['kept']:g}"
        for name, r in rules.items()
    }
    between = np.ptp([r["error"].mean() for r in rules.values()])
    within = {name: float(np.ptp(r["errors"].mean(1))) for name, r in rules.items()}
    return [
        Verdict(
            "wilson-vision",
            "Adam has the lower training loss and, by more than two pooled standard deviations, the higher test error",
            shown,
            "a gap of 2 standard deviations",
            bool(lower > 1 and gap > 2 * spread),
            f"Adam's test error minus SGD's is {100 * gap:+.2f} points, the pooled standard deviation over seeds "
            f"{100 * spread:.2f}; one picture of the {data['tested']:,} tested is {100 / data['tested']:.2f}",
        ),
        at_least("wilson-vision:training", "SGD's training loss is that many times Adam's", lower, 1.0),
        at_least(
            "wilson-vision:rate",
            "the rate moves the test error more than the choice of a rule does: median over the rules, as a factor",
            float(np.median(list(within.values()))) / between,
            1.0,
            f"rules: {between:.2%} from best to worst; rates: "
            + ", ".join(f"{name} {w:.2%}" for name, w in within.items()),
        ),
    ]


def spread_of(errors: np.ndarray) -> float:
    """Standard deviation over seeds; 0 for a single one."""
    return float(errors.std(ddof=1)) if len(errors) > 1 else 0.0


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Training loss by epoch; test error of each seed; test error against the rate."""
    from optlab.viz.style import figure, looks

    fig = figure(size=(14.0, 4.8))
    left, middle, right = fig.subplots(1, 3, width_ratios=(1, 1, 1.2))
    rules = data["rules"]
    for i, (name, (color, dash, marker)) in enumerate(looks(rules).items()):
        r = rules[name]
        left.semilogy(np.arange(1, EPOCHS + 1), r["curve"], color=color, linestyle=dash, label=f"{name} {r['kept']:g}")
        errors = 100 * r["error"]
        middle.plot(i + np.linspace(-0.15, 0.15, len(errors)), errors, marker, color=color, alpha=0.6, markersize=5)
        middle.plot([i - 0.3, i + 0.3], [errors.mean()] * 2, color=color, linewidth=2.5)
        right.plot(r["rates"], 100 * r["errors"].mean(1), color=color, linestyle=dash, marker=marker, label=name)
        right.plot(r["kept"], errors.mean(), "o", markersize=15, fillstyle="none", color=color)
    left.set(xlabel="epoch", ylabel="training loss", title="rate kept: the lowest final training loss")
    middle.set(ylabel="test error, %", title="test error: every seed, and the mean")
    middle.set_xticks(range(len(rules)), list(rules), fontsize="small")
    right.set(xlabel="learning rate", ylabel="test error, %", title="what the rate does; circles: kept")
    right.set(xscale="log", yscale="log")
    right.set_yticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    for ax in (left, middle, right):
        ax.grid(alpha=0.3)
    left.legend(fontsize="small")
    return save(fig, out, "wilson-vision")


if __name__ == "__main__":
    main("wilson-vision")
