"""`lr_find`: sweep the learning rate up within one short training, and read good rates off the loss."""

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from optlab.checks import check_count, finite, real
from optlab.data.augment import Augment
from optlab.data.splits import ORDER, shuffled
from optlab.errors import ConfigError, NonFiniteError
from optlab.nn.module import Module
from optlab.optim.settings import Settings
from optlab.train.config import Config, EngineName
from optlab.train.evaluate import as_part
from optlab.train.falls import FEWEST_LOSSES, FIRST_Z, fall_z, falls
from optlab.train.training import Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 20  # steps: fewer leave nothing between the two ends that are not looked at
TAIL = 5  # steps at the end that are not looked at: there the loss is about to blow up
STEEPEST, VALLEY, STEADY = NAMES = "steepest", "valley", "minimum/10"  # noise moves the last one least
NO_FALL = (
    "the loss does not fall below its start by more than the batches' noise, so no rate stands out: sweep to higher "
    "rates, in more steps or with larger batches; a model that learns at no rate is broken"
)
ROUNDING = 1e-6  # of the largest loss: sums of float32 in another order differ by as much
APART = 1e3  # suggestions further apart than this are not averaged


@dataclass(frozen=True, eq=False)
class Found:
    """What a sweep of the learning rate showed.

    Attributes:
        lrs, losses, smoothed: one entry per step, up to the one where the sweep ended; ``losses[i]`` was measured
            before the update with ``lrs[i]``.
        suggestions: by name, see `suggest`; NaN where the sweep ended too soon, where the loss does not fall by more
            than the batches' noise, and of a point that stands at an end of the sweep.
        reason: why it ended, and why a suggestion is NaN.
        engine: ``"machine"`` or ``"tape"``.
        edge: the end of the sweep at which its steepest fall or its lowest loss stands, ``"low"`` or ``"high"``:
            extend the sweep there; None if both are interior.
    """

    lrs: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestions: dict[str, float]
    reason: str
    engine: str
    edge: Literal["low", "high"] | None = None

    @property
    def suggestion(self) -> float:
        """The rate to start with: the geometric mean of the three, whose errors lie on both sides.

        Where they are more than 1,000 times apart, noise has led one astray, and it is the tenth of the minimum. NaN
        where the steepest fall is not known; ``reason`` says why.
        """
        if np.isnan(self.suggestions[STEEPEST]):
            return np.nan
        rates = np.array([rate for rate in self.suggestions.values() if np.isfinite(rate)])
        if rates.max() > APART * rates.min():
            return self.suggestions[STEADY]
        return float(np.exp(np.log(rates).mean()))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Losses against the rate, with the suggestions."""
        from optlab.viz.training import plot_lr_find

        return plot_lr_find(self, ax)

    def __repr__(self) -> str:
        rates = ", ".join(f"{name} {rate:.3g}" for name, rate in self.suggestions.items())
        return f"Found({self.suggestion:.3g}; {rates}; {self.reason})"


def lr_find(
    model: Module,
    train: Any,
    rule: Settings | str,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
    smoothing: float = 0.98,
    stop: float = 4.0,
    loss: str | None = None,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    l1: float = 0.0,
    l2: float = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    augment: Augment | None = None,
    engine: EngineName = "auto",
) -> Found:
    """Train a copy of ``model`` while the rate grows, a_i = low (high/low)^(i/(steps - 1)), and suggest rates.

    The model, its gradients, an optimizer that is at work on it and the global random state stay as they are.

    Args:
        model, train: as in `fit`.
        rule: settings or a name; its own learning rate does not matter.
        low, high: the first and the last rate.
        steps: of the sweep, a batch each; the rows are used again, in a new order, when they run out.
        batch_size, seed: as in `fit`.
        smoothing: b in [0, 1) of the moving average, see `smooth`.
        stop: the sweep ends where s > s_min + (stop - 1) |s_min|, s the smoothed loss and s_min its lowest value so
            far: above ``stop`` times the best. It also ends where loss or gradient are not finite.
        loss, label_smoothing, class_weights, l1, l2, clip_norm, clip_value, augment, engine: as in `fit`.

    Raises:
        ConfigError: an option outside its range, or options that do not fit model and data.
        DataError: NaN or infinities in the data.

    Source: Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3; as fastai does it.

    >>> import optlab as ol
    >>> train, val, test = ol.data.load("digits").split(seed=0)
    >>> model = ol.nn.MLP([64, 32, 10], seed=0)
    >>> found = ol.lr_find(model, train, ol.SGD())
    >>> 0.03 < found.suggestion < 0.3
    True
    >>> history = ol.fit(model, train, val, ol.SGD(lr=found.suggestion), epochs=3)
    """
    if not isinstance(model, Module):
        raise ConfigError(f"model is a Module such as ol.nn.MLP([64, 32, 10]), got {model!r}")
    first, last = finite(low), finite(high)
    if first is None or last is None or not 0.0 < first < last:
        raise ConfigError(f"the rates go from low to high, 0 < low < high, got low={low!r} and high={high!r}")
    beta, ratio = finite(smoothing), real(stop)
    if beta is None or not 0.0 <= beta < 1.0:
        raise ConfigError(f"smoothing is in [0, 1), got {smoothing!r}")
    if ratio is None or not ratio > 1.0:
        raise ConfigError(f"stop is a multiple of the best loss above 1, got {stop!r}")
    steps = check_count("steps", steps, FEWEST)
    config = Config(
        rule=rule,  # type: ignore[arg-type]  # Config makes settings of a name
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        loss=loss,
        label_smoothing=label_smoothing,
        class_weights=None if class_weights is None else tuple(class_weights),
        l1=l1,
        l2=l2,
        clip_norm=clip_norm,
        clip_value=clip_value,
        augment=augment,
        engine=engine,
    )
    rates = np.geomspace(first, last, steps)
    with _random_state_kept(), np.errstate(all="ignore"):  # to diverge is what a sweep is for
        training = Training(copy.deepcopy(model), as_part(train, model), None, config)
        losses, reason = _sweep(training, rates)
        return read(rates, losses, reason, smoothing=beta, stop=ratio, engine=training.engine.name)


def read(
    rates: np.ndarray,
    losses: np.ndarray,
    reason: str = "",
    *,
    smoothing: float = 0.98,
    stop: float = 4.0,
    engine: str = "",
) -> Found:
    """What a sweep that was planned at these ``rates`` says; its finite ``losses`` end early for this ``reason``."""
    skip = len(rates) // 10
    smoothed = smooth(losses, smoothing, skip)
    lowest = np.minimum.accumulate(smoothed)
    limit = lowest + (stop - 1.0) * np.abs(lowest)
    above = np.flatnonzero(smoothed > limit)
    if above.size:
        end = int(above[0])
        reason = f"the smoothed loss passed {limit[end]:.4g} (its best was {lowest[end]:.4g}) at {_at(end, rates)}"
        losses, smoothed = losses[: end + 1], smoothed[: end + 1]
    lrs = rates[: len(losses)]
    suggestions, edge, doubt = _judged(rates, losses, smoothed, skip)
    return Found(lrs, losses, smoothed, suggestions, f"{reason}; {doubt}" if doubt else reason, engine, edge)


def _judged(
    rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, skip: int
) -> tuple[dict[str, float], Literal["low", "high"] | None, str]:
    """The suggestions that can be relied on, the end of the sweep that one stands at, and why others are NaN."""
    lrs, nothing, size = rates[: len(losses)], dict.fromkeys(NAMES, np.nan), max(skip, FEWEST_LOSSES)
    suggestions = suggest(lrs, smoothed, skip)
    if np.isnan(suggestions[STEADY]):
        return nothing, None, "too soon to suggest a rate: sweep from a lower one, or in more steps"
    if np.ptp(losses) <= ROUNDING * np.abs(losses).max():
        return nothing, None, "the loss did not change: no rate of this sweep trains the model"
    if not falls(losses, size):
        return nothing, None, NO_FALL
    inner = lrs[skip:-TAIL]
    steepest, lowest = np.searchsorted(inner, [suggestions[STEEPEST], inner[smoothed[skip:-TAIL].argmin()]])
    if steepest < skip and fall_z(losses[: 2 * size], size).max(initial=0.0) >= FIRST_Z:
        text = f"the steepest fall is at the low end of what was searched: extend low below {lrs[0]:.3g}"
        return suggestions | {STEEPEST: np.nan}, "low", text
    blown_up = len(losses) < len(rates) or np.median(losses[-TAIL:]) > smoothed[-TAIL - 1]
    if blown_up or lowest < len(inner) - 1:
        return suggestions, None, ""
    text = f"is at the high end of what was searched: extend high above {lrs[-1]:.3g}"
    if steepest < len(inner) - 3:  # the last two slopes are one step apart
        return suggestions | {STEADY: np.nan}, "high", f"the lowest loss {text}"
    return suggestions | {STEEPEST: np.nan, STEADY: np.nan}, "high", f"the steepest fall {text}"


def smooth(losses: np.ndarray, beta: float, skip: int) -> np.ndarray:
    """s_i = m_i / (1 - b^(i+1)), m_i = b m_(i-1) + (1 - b) l_i: the moving average, corrected for its start.

    The first ``skip`` losses count as their median: so slow a start is flat but for the batches, and a spike there
    would bend the average for a hundred steps.
    """
    held = losses.copy()
    if skip and len(held):
        held[:skip] = np.median(held[:skip])
    mean, smoothed = 0.0, np.empty(len(held))
    for i, value in enumerate(held):
        mean = beta * mean + (1.0 - beta) * value
        smoothed[i] = mean / (1.0 - beta ** (i + 1))
    return smoothed


def suggest(lrs: np.ndarray, smoothed: np.ndarray, skip: int) -> dict[str, float]:
    """Three rates, read off the curve without its first ``skip`` and last five steps; NaN if three are not left.

    - steepest: where ds / d ln a is most negative.
    - valley: half-way along the longest falling stretch. Of the longest strictly falling subsequence, of n steps and
      with its last at e: the step e - n + int(n/3) + int(n/6).
    - minimum/10: a tenth of the rate with the lowest loss, ``lrs[0]`` at least.

    Source: fastai, ``callback/schedule.py``: ``steep``, ``valley`` and ``minimum``.
    """
    rates, losses = lrs[skip:-TAIL], smoothed[skip:-TAIL]
    if len(losses) < 3:
        return dict.fromkeys(NAMES, np.nan)
    falling = np.ones(len(losses), int)  # the length of the longest falling subsequence that ends here
    for i in range(1, len(losses)):
        falling[i] += falling[:i].max(where=losses[:i] > losses[i], initial=0)
    end = int(falling.argmax())
    n = int(falling[end])
    return {
        STEEPEST: float(rates[(np.diff(losses) / np.diff(np.log(rates))).argmin()]),
        VALLEY: float(rates[max(0, end - n + int(n / 3) + int(n / 6))]),
        STEADY: max(float(lrs[0]), float(rates[losses.argmin()]) / 10.0),
    }


def _sweep(training: Training, rates: np.ndarray) -> tuple[np.ndarray, str]:
    """The losses, as far as they are finite, and why they end."""
    n, losses = len(training.train), []
    wanted = len(rates) * training.engine.batch_size
    epochs = [shuffled(n, training.config.seed, ORDER, epoch) for epoch in range(-(-wanted // n))]
    rows = training.train.rows[np.concatenate(epochs)[:wanted]]
    reason = f"all {len(rates)} steps were taken; the loss did not blow up"
    try:
        for record, _ in training._batches(rows, rates):
            losses.append(record["loss"])
    except NonFiniteError as error:
        losses.append(error.record["loss"])
        reason = f"the gradient was not finite at {_at(sum(map(len, losses)) - 1, rates)}"
    record = np.concatenate(losses)
    bad = np.flatnonzero(~np.isfinite(record))
    if bad.size:
        record, reason = record[: bad[0]], f"the loss was not finite at {_at(int(bad[0]), rates)}"
    return record, reason


def _at(step: int, rates: np.ndarray) -> str:
    return f"step {step + 1} of {len(rates)}, lr {rates[step]:.3g}"


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """A layer of the user's may draw from the global generators."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
