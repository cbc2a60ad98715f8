"""A run as data: dictionary, CSV, npz, JSON."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.errors import ConfigError
from optlab.files import replacing, write_whole
from optlab.spreadsheet import inert

if TYPE_CHECKING:
    from optlab.descent.descent import Run


def columns(run: "Run") -> dict[str, np.ndarray]:
    """Name -> (steps + 1,): step, x, y, f, the gradient, each slot, the effective rates (NaN in the last row)."""
    table = {"step": np.arange(run.steps + 1), "x": run.points[:, 0], "y": run.points[:, 1], "f": run.values}
    pairs = {"g": run.gradients, **run.state}
    pairs["effective_lr"] = np.vstack([run.effective_lr, [[np.nan, np.nan]]])
    for name, pair in pairs.items():
        table[f"{name}_x"], table[f"{name}_y"] = pair.T
    return table


def about(run: "Run") -> dict[str, Any]:
    """What the numbers are of."""
    return {
        "surface": run.surface.name,
        "rule": run.settings.name,
        "settings": run.settings.to_dict(),
        "status": run.status,
        "noise": run.noise,
        "seed": run.seed,
        "tol": run.tol,
    }


def finite(values: np.ndarray) -> list[Any]:
    """Nested lists with None in place of what JSON can't say."""
    masked = values.astype(object)
    masked[~np.isfinite(values)] = None
    return list(masked.tolist())


def to_dict(run: "Run") -> dict[str, Any]:
    """See `Run.to_dict`."""
    return {
        **about(run),
        "points": finite(run.points),
        "values": finite(run.values),
        "gradients": finite(run.gradients),
        "state": {slot: finite(values) for slot, values in run.state.items()},
        "corrected": {slot: finite(values) for slot, values in run.corrected.items()},
        "effective_lr": finite(run.effective_lr),
    }


def save(run: "Run", path: Path) -> Path:
    """See `Run.save`.

    Raises:
        ConfigError: another suffix.
        StorageError: it can't be written; what was there before is unharmed.
    """
    if path.suffix == ".csv":
        table = columns(run)
        with replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(inert(table))
            rows.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    elif path.suffix == ".npz":
        with replacing(path) as draft:
            np.savez_compressed(draft, about=json.dumps(about(run)), **columns(run))  # type: ignore[arg-type]
    elif path.suffix == ".json":
        write_whole(path, json.dumps(to_dict(run), allow_nan=False))
    else:
        raise ConfigError(f"a run is saved as .csv, .npz or .json, got {path.name!r}")
    return path
