"""Weight decay helps small data, in a U: a little is better than none, and much is worse than none.

L2 adds l/2 sum w^2 to the loss and so l w to the gradient. On a hundred pictures the lowest validation loss of the
training falls until l = 0.001 and then climbs steeply: the strongest decay leaves hardly any weights to learn with.

Under Adam, L2 is not what it is under SGD. Adam divides the gradient by its own size, and with it the decay: from a
zero state the first step is -a sign(g + l w), in which l decides a sign and nothing else. Decoupled decay (AdamW) acts
beside the gradient: -a sign(g) - a l w, twice the decay for twice the l. `ol.fit(l2=...)` and
`ol.Adam(weight_decay=...)` are the first, `ol.AdamW(weight_decay=...)` is the second; a strength for the one says
nothing about the other.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._few import EPOCHS, FAST_EPOCHS, train_few
from optlab.gallery._means import above, error, shown
from optlab.gallery._pictures import plain_numbers
from optlab.verdict import Verdict, at_most, equals

TITLE = "Weight decay: a U, and what Adam makes of it"
SOURCE = "post, Practical Tips (weight decay); Loshchilov & Hutter 2019, algorithm 2; the source has no picture"
TRY = (
    "Train on more pictures, `ROWS = 400` in _few.py: the gain over no decay shrinks, since more data need less of it."
)
DATA = "digits"

STRENGTHS, SEEDS = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1), 10
RATE, EPS = 0.01, 1e-8
WEIGHT, GRADIENT = 1.0, -0.01  # the gradient pushes up, the decay down; they balance at l = 0.01
DECAYS = np.append(0.0, np.geomspace(1e-4, 1.0, 81))


def first_step(rule: ol.Settings, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    """What one step from a zero state changes."""
    tensor = ol.Tensor(w.copy(), requires_grad=True)
    optimizer = ol.Optimizer([tensor], rule)
    tensor.grad = g
    optimizer.step()
    return np.asarray(tensor.data - w)


def run(setup: Setup) -> dict[str, Any]:
    """Lowest validation loss for each strength and seed; first steps on random numbers, and on one weight."""
    train, val, _ = parts(setup)
    epochs = FAST_EPOCHS if setup.fast else EPOCHS
    lowest = {
        l2: np.array([train_few(train, val, s, l2=l2, epochs=epochs)[2].best()[1] for s in setup.seeds(SEEDS)])
        for l2 in STRENGTHS
    }
    w, g = np.random.default_rng([setup.seed, 1]).standard_normal((2, 1000))
    rules = {"in the gradient": ol.Adam, "decoupled": ol.AdamW}
    steps = {
        name: {l2: first_step(rule(lr=RATE, eps=EPS, weight_decay=l2), w, g) for l2 in (0.0, 0.1, 0.2)}
        for name, rule in rules.items()
    }
    one = np.array([WEIGHT]), np.array([GRADIENT])
    curves = {
        name: np.array([first_step(rule(lr=RATE, eps=EPS, weight_decay=float(l2)), *one)[0] for l2 in DECAYS])
        for name, rule in rules.items()
    }
    return {"data": setup.data, "lowest": lowest, "w": w, "g": g, "steps": steps, "curves": curves}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The U and where it is lowest; both first steps in closed form; what doubling the decay does."""
    lowest = data["lowest"]
    means = {l2: float(values.mean()) for l2, values in lowest.items()}
    best = min(means, key=lambda l2: means[l2])
    gain, loss = lowest[0.0] - lowest[best], lowest[0.1] - lowest[0.0]
    w, g = data["w"], data["g"]
    adam, adamw = data["steps"]["in the gradient"], data["steps"]["decoupled"]
    closed = max(float(np.abs(s + RATE * (g + l2 * w) / (np.abs(g + l2 * w) + EPS)).max()) for l2, s in adam.items())
    beside = max(float(np.abs(s + RATE * (g / (np.abs(g) + EPS) + l2 * w)).max()) for l2, s in adamw.items())
    same = np.sign(g + 0.1 * w) == np.sign(g + 0.2 * w)
    doubled = float(np.abs(adam[0.2] - adam[0.1])[same].max())
    twice = (adamw[0.2] - adamw[0.0]) / (adamw[0.1] - adamw[0.0])
    verdicts = [
        Verdict(
            "weight-decay",
            "the lowest validation loss is a U: some decay is better than none, and 0.1 is worse than none",
            {f"{l2:g}": shown(values) for l2, values in lowest.items()}
            | {"gain of the best": shown(gain), "0.1 over none": shown(loss)},
            "gain and loss > 2 standard errors",
            0.0 < best < 0.1 and above(gain) and above(loss),
            f"{len(gain)} draws of 100 pictures, the same for every strength. One draw of digits in another "
            "program: 0.342, 0.338, 0.311, 0.385, 0.554, 1.03",
        ),
        at_most(
            "weight-decay:l2",
            "Adam's first step with L2 is -a sign(g + l w)",
            closed,
            1e-15,
            "largest difference from -a h / (|h| + epsilon), h = g + l w, over 1,000 weights and l = 0, 0.1, 0.2",
        ),
        at_most(
            "weight-decay:decoupled",
            "AdamW's first step is -a sign(g) - a l w",
            beside,
            1e-15,
            "largest difference from -a g / (|g| + epsilon) - a l w, over the same",
        ),
        Verdict(
            "weight-decay:doubled",
            "twice the decay changes nothing in the L2 step where the sign stays, and doubles the decoupled part",
            {"largest change of the L2 step": doubled, "decoupled part times": float(np.median(twice))},
            f"change < {RATE:g} / 1000, 2",
            doubled < RATE / 1000 and float(np.abs(twice - 2).max()) < 1e-9,
            f"the sign stays for {same.sum()} of {len(same)} weights; the change left is epsilon's",
        ),
    ]
    if data["data"] == "digits":
        verdicts.append(equals("weight-decay:best", "of these strengths 0.001 is the best", best, 1e-3))
    return verdicts


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The U; the first step of one weight against the strength."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    values = np.array(list(data["lowest"].values()))
    left.plot(values, color=COLORS[0], linewidth=0.6, alpha=0.4)
    errors = [2 * error(v) for v in values]
    left.errorbar(range(len(values)), values.mean(1), errors, color=COLORS[0], linewidth=2.2, marker="o", capsize=5)
    left.set_xticks(range(len(values)), [f"{l2:g}" for l2 in data["lowest"]])
    left.set(yscale="log", xlabel="L2 strength", ylabel="lowest validation loss", title="100 pictures: a U")
    plain_numbers(left)
    left.grid(alpha=0.3)
    names = {"in the gradient": "L2 in the gradient (Adam)", "decoupled": "decoupled (AdamW)"}
    for i, (name, label) in enumerate(names.items()):
        right.plot(DECAYS[1:], data["curves"][name][1:] / RATE, **line(i), linewidth=2, label=label)
    right.set(
        xscale="log", xlabel="strength", ylabel="first step / rate", title="first step of a weight w = 1, g = −0.01"
    )
    right.grid(alpha=0.3)
    right.legend(loc="lower left")
    return save(fig, out, "weight-decay")


if __name__ == "__main__":
    main("weight-decay")
