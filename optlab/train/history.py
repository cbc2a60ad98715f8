"""What a training run leaves behind: curves by epoch and by step, and how it ended."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.errors import ConfigError, unknown
from optlab.files import replacing
from optlab.spreadsheet import inert
from optlab.states import as_numbers, check_state

if TYPE_CHECKING:
    from matplotlib.figure import Figure


KINDS = ("epochs/", "steps/")


class History(Mapping[str, np.ndarray]):
    """Curves of one training run; ``history["val_loss"]`` is an array with one entry per epoch.

    Attributes:
        steps: curves with one entry per step: ``loss``, ``lr`` and, from ``fit(norms=True)``, ``gradient``, ``update``
            and ``parameter``, the Euclidean norms.
        seconds: how long each epoch took; not part of the curves, which repeat exactly.
        status: ``"finished"``, ``"stopped"`` by a callback, ``"diverged"``, ``"interrupted"``,
            ``"failed"`` with an exception, or ``"running"``.
        reason: why it stopped or diverged.
        engine, why: ``"machine"`` or ``"tape"``, and for the tape the reason.
    """

    def __init__(self) -> None:
        self._epochs: dict[str, list[float]] = {}
        self._steps: dict[str, list[np.ndarray]] = {}
        self.seconds: list[float] = []
        self.status, self.reason, self.engine, self.why = "running", "", "", ""

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._epochs:
            raise KeyError(f"{unknown('curve', name, self._epochs)}")
        return np.array(self._epochs[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return max((len(curve) for curve in self._epochs.values()), default=0)

    @property
    def steps(self) -> dict[str, np.ndarray]:
        """The curves with one entry per step."""
        return {name: np.concatenate(parts) for name, parts in self._steps.items()}

    def last(self, name: str) -> float:
        """The newest value of a curve; NaN where there is none."""
        curve = self._epochs.get(name)
        return curve[-1] if curve else np.nan

    def add_epoch(self, values: Mapping[str, float], seconds: float) -> None:
        """One more epoch."""
        for name, value in values.items():
            self._epochs.setdefault(name, []).append(float(value))
        self.seconds.append(seconds)

    def add_steps(self, curves: Mapping[str, np.ndarray]) -> None:
        """More steps."""
        for name, part in curves.items():
            self._steps.setdefault(name, []).append(np.asarray(part, np.float64).copy())

    def best(self, monitor: str = "val_loss") -> tuple[int, float]:
        """The epoch (from 1) with the lowest value of a curve, the highest of an accuracy, and that value.

        (0, NaN) where no epoch has a finite value.

        Raises:
            KeyError: no such curve.
        """
        curve = self[monitor] * direction(monitor)
        curve[~np.isfinite(curve)] = np.inf
        at = int(curve.argmin()) if np.isfinite(curve).any() else -1
        return at + 1, float(self[monitor][at]) if at >= 0 else np.nan

    def still_improving(self, monitor: str = "val_loss") -> bool:
        """Whether the best epoch of a curve is its last one: a best at the end of what was trained is no best yet."""
        at, value = self.best(monitor)
        return bool(np.isfinite(value)) and 1 < at == len(self[monitor])

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that `restore` continues from."""
        by_epoch = {f"epochs/{k}": np.array(v) for k, v in self._epochs.items()}
        by_step = {f"steps/{k}": v for k, v in self.steps.items()}
        return by_epoch | by_step | {"seconds": np.array(self.seconds)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over a `state`.

        Raises:
            ConfigError: it is not one; nothing is changed then.
        """
        check_state("a history", state, ("seconds",), KINDS)
        curves = {key: as_numbers(key, value).astype(np.float64) for key, value in state.items()}
        for key, curve in curves.items():
            if curve.ndim != 1:
                raise ConfigError(f"{key} is one row of numbers, got the shape {list(curve.shape)}")
        by_kind = {kind: {k[len(kind) :]: v for k, v in curves.items() if k.startswith(kind)} for kind in KINDS}
        self.seconds = curves["seconds"].tolist()
        self._epochs = {name: curve.tolist() for name, curve in by_kind["epochs/"].items()}
        self._steps = {name: [curve] for name, curve in by_kind["steps/"].items()}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "status": self.status,
            "reason": self.reason,
            "engine": self.engine,
            "why": self.why,
            "epochs": {name: list(curve) for name, curve in self._epochs.items()},
            "steps": {name: curve.tolist() for name, curve in self.steps.items()},
            "seconds": [float(s) for s in self.seconds],
        }

    def save(self, path: str | Path) -> Path:
        """The curves by epoch as CSV, a row per epoch; the path."""
        path = Path(path)
        with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(inert(["epoch", *self]))
            writer.writerows([i + 1, *(self._epochs[name][i] for name in self)] for i in range(self.epochs))
        return path

    def plot(self) -> "Figure":
        """Loss, accuracy and learning rate by epoch."""
        from optlab.viz.training import plot_history

        return plot_history(self)

    def __repr__(self) -> str:
        ends = ", ".join(f"{name} {self.last(name):.4g}" for name in self if name != "lr")
        reason = f": {self.reason}" if self.reason else ""
        return f"History({self.epochs} epochs on the {self.engine}, {self.status}{reason}{', ' + ends if ends else ''})"


def direction(monitor: str) -> int:
    """1 where lower is better, -1 for accuracies."""
    return -1 if monitor.endswith("accuracy") else 1
