"""What cs231n checks before any tuning: the first loss, twenty samples, the gradient, the size of the updates."""

import numpy as np

import optlab as ol
from optlab.gallery._network import BATCH, fit, mlp
from optlab.gallery._setup import Setup, parts
from optlab.verdict import Verdict

RANGES = {  # cs231n, "Sanity checks" and "Ratio of weights:updates"; a central difference in float64 is good to 1e-9
    "first loss / ln(classes)": (0.98, 1.02),
    "loss on 20 samples": (0.0, 0.01),
    "error of the gradient": (0.0, 1e-7),
    "update / weight": (1e-4, 1e-2),
}


def measured(setup: Setup) -> dict[str, float]:
    """The numbers that belong to RANGES."""
    train, _, _ = parts(setup)
    few, seed = train.take(20, seed=setup.seed), setup.seed
    fitted = fit(mlp(train, seed), few, None, ol.Adam(lr=0.01), epochs=300, seed=seed)
    model = mlp(train, seed, hidden=(8,), activation="tanh", dtype="float64")  # ReLU's kinks upset differences
    x = few.x.astype("float64")
    history = fit(mlp(train, seed), train, None, ol.SGD(lr=0.3), epochs=30, batch_size=BATCH, seed=seed, norms=True)
    numbers = (
        mlp(train, seed, init="normal").evaluate(train).loss / float(np.log(train.data.outputs)),
        float(fitted["train_loss"][-1]),
        ol.autograd.check(lambda *_: ol.nn.cross_entropy(model(x), few.y), *model.parameters()),
        float(np.median(history.steps["update"] / history.steps["parameter"])),
    )
    return dict(zip(RANGES, numbers, strict=True))


def judged(id: str, numbers: dict[str, float]) -> Verdict:
    """Whether all of them are in their ranges."""
    return Verdict(
        id,
        "small weights start at a loss of ln(classes), 20 samples are fitted, the gradient is that of central "
        "differences, an update is within a decade of a thousandth of the weights",
        numbers,
        RANGES,
        all(low <= numbers[name] <= high for name, (low, high) in RANGES.items()),
        "the update is the median over a training with SGD 0.3: so small a network takes large steps",
    )
