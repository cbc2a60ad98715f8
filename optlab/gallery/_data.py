"""What a figure measured, as one file of arrays: the same bytes for the same figure, set-up and seed.

Nested entries are flattened to names such as ``race/runs/Adam/record``:

- a number, a flag or a string becomes an array of no dimension; a list of them one of a single dimension;
- a dictionary has an entry per key, any other list or tuple one per position, a record (`Run`, `Race`, a named tuple)
  one per field, a `History` its curves, its status and its reason;
- the settings of a rule are written as they print;
- times are left out, since they never repeat: every key that begins with ``seconds``;
- so is what holds no data: None, functions, objects of any other kind.
"""

import dataclasses
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optlab.files import replacing
from optlab.optim.settings import Settings
from optlab.train.history import History

TIMES = "seconds"
SCALARS = (bool, int, float, complex, str, np.generic)


def write_data(data: Mapping[str, Any], path: Path) -> Path:
    """Write ``path``, to be read by ``numpy.load`` without pickles.

    Raises:
        ValueError: two entries have the same name.
    """
    with replacing(path) as draft, zipfile.ZipFile(draft, "w") as archive:
        for name, array in arrays(data).items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, not now
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return path


def arrays(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The flattened entries.

    >>> arrays({"rates": [0.1, 0.2], "runs": {"a": 1.0, "seconds": 3.7}})
    {'rates': array([0.1, 0.2]), 'runs/a': array(1.)}
    """
    found: dict[str, np.ndarray] = {}
    for name, array in _entries("", data):
        if name in found:
            raise ValueError(f"two entries of the figure's data are called {name!r}")
        found[name] = array
    return found


def _entries(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, Settings):
        value = repr(value)
    if isinstance(value, SCALARS) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        yield name, np.asarray(value)
    elif isinstance(value, list | tuple) and value and all(isinstance(v, SCALARS) for v in value) and _alike(value):
        yield name, np.array(value)
    else:
        for key, part in _parts(value):
            if not str(key).startswith(TIMES):
                yield from _entries(f"{name}/{key}" if name else str(key), part)


def _alike(values: list[Any] | tuple[Any, ...]) -> bool:
    """Words or numbers: of a mixture NumPy would make words."""
    return len({isinstance(v, str) for v in values}) == 1


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """The names and values of what a value consists of."""
    if isinstance(value, History):
        return {**value.state(), "status": value.status, "reason": value.reason}.items()
    if isinstance(value, Mapping):
        return value.items()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if hasattr(value, "_asdict"):
        return dict(value._asdict()).items()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return enumerate(value) if isinstance(value, list | tuple) else ()
