"""A user's own file: .csv, .tsv, .npy or .npz, read within bounds and never unpickled."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from optlab.data.bounded import Reader
from optlab.data.dataset import Dataset, from_arrays
from optlab.data.npy import opened, read_array
from optlab.data.tables import NUMBER, read_csv
from optlab.errors import ConfigError, DataError

SPLIT, WHOLE = ("x_train", "y_train", "x_test", "y_test"), (("x", "y"), ("X", "y"))
MANY = 20  # so many different labels are always plausible


def read(
    path: str | Path,
    label: str | int = -1,
    task: str | None = None,
    dtype: str = "float32",
    header: bool | None = None,
    index: bool | None = None,
) -> Dataset:
    """A data set from a file of one's own.

    A .csv or .tsv has a row per line and one column of labels; the first line may hold names. A .npy is such a table
    as an array. A .npz has arrays x and y, or x_train, y_train, x_test and y_test (the latter two become the published
    test part), as ``np.savez`` writes them; x may hold pictures (n, height, width[, 3]), bytes or values from 0 to 1.

    Args:
        path: the file.
        label: which column of a table is the label: its name, or its number from 0, negative from the end.
        task: "classification": labels are names or whole numbers, and become classes 0 .. k - 1 in sorted order;
            "regression": labels are numbers. By default regression if a label has a fraction.
        dtype: "float32" or "float64".
        header: whether line 1 of a text file holds names; by default, if nothing but its label is a number.
        index: whether the first column of a text file names or numbers its rows, and is no feature; False keeps all
            columns. By default columns of row numbers that pandas or R wrote (different whole numbers without a name,
            or under "Unnamed: 0"; "index", if it counts from 0 or 1) are left out with a warning.

    Raises:
        DataError: what can't be used, with line and column counted from 1, or the byte.
        ConfigError: an argument that is none of the above.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "flowers.csv"
        ...     _ = path.write_text("width,height,kind\\n1,2,rose\\n3,4.5,lily\\n")
        ...     read(path, label="kind")
        Dataset(flowers: 2 rows, 2 features, 2 classes, float32)
    """
    if task not in (None, "classification", "regression"):
        raise ConfigError(f'task is "classification" or "regression", got {task!r}')
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"a data set is float32 or float64, got dtype={dtype!r}")
    path = Path(path)
    try:
        match path.suffix.lower():
            case ".csv" | ".tsv":
                return _dataset(path, *read_csv(path, label, header, dtype, index), task, dtype)
            case ".npy":
                with path.open("rb") as file:
                    table = _filled(path, read_array(Reader(path, file), path.stat().st_size))
                return _dataset(path, *_columns(path, table, label), task, dtype)
            case ".npz":
                return _npz(path, task, dtype)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from None
    raise DataError(f"{path}: expected a .csv, .tsv, .npy or .npz file; arrays: np.savez(path, x=x, y=y)")


def _dataset(
    path: Path, x: np.ndarray, labels: np.ndarray, task: str | None, dtype: str, published: int | None = None
) -> Dataset:
    """``from_arrays``, with labels made classes from 0, and with the file's name in its complaints."""
    try:
        y, classes = _targets(labels, task)
        data = from_arrays(x, y, classes, name=path.stem, dtype=dtype)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return data if published is None else replace(data, published=published)


def _targets(labels: np.ndarray, task: str | None) -> tuple[np.ndarray, list[str] | None]:
    """Whole numbers 0 .. k - 1 and the names of the classes, or floats and None."""
    if labels.ndim != 1:
        return labels, None
    values = labels if labels.dtype.kind not in "UO" else _as_numbers(labels, task)
    if values is None:
        distinct, y = np.unique(labels, return_inverse=True)
    else:
        values = values.astype(np.float64)
        whole = (np.abs(values) < 2**53) & (values == np.trunc(values))
        if task == "regression" or (task is None and not whole.all()):
            return values, None
        if not whole.all():
            row = int(np.argmin(whole))
            raise DataError(f"the label of row {row + 1} is {values[row]}, expected a whole number or a name")
        distinct, y = np.unique(values.astype(np.int64), return_inverse=True)
    if task is None and len(distinct) > max(MANY, len(labels) / 2):
        advice = 'say task="classification" or task="regression", or choose another label='
        raise DataError(f"has {len(distinct)} different labels in {len(labels)} rows: {advice}")
    return y.astype(np.int64), [str(name) for name in distinct]


def _as_numbers(labels: np.ndarray, task: str | None) -> np.ndarray | None:
    """Labels read as text as numbers; None if they are names."""
    plain = np.array([NUMBER.fullmatch(label) is not None for label in labels.tolist()])
    if plain.all():
        return labels.astype(np.float64)
    if task == "regression" or (task is None and plain.any()):
        row = int(np.argmin(plain))
        hint = "" if task else '; if they are names: task="classification"'
        raise DataError(f"the label of row {row + 1} is {str(labels[row])[:40]!r}, expected a number{hint}")
    return None


def _filled(name: Path | str, array: np.ndarray) -> np.ndarray:
    if array.ndim > 4:
        raise DataError(f"{name}: has {array.ndim} dimensions, expected at most 4, or is malformed")
    if not array.size:
        raise DataError(f"{name}: is empty: {array.shape} of {array.dtype}")
    return array


def _columns(path: Path, table: np.ndarray, label: str | int) -> tuple[np.ndarray, np.ndarray]:
    if table.ndim != 2 or table.shape[1] < 2 or table.dtype.kind == "U":
        raise DataError(
            f"{path}: expected a table of numbers (n, features + label), got shape {table.shape} of {table.dtype}; "
            "for anything else: np.savez(path, x=x, y=y)"
        )
    if isinstance(label, str) or not -table.shape[1] <= label < table.shape[1]:
        raise DataError(f"{path}: has columns 0 to {table.shape[1] - 1}, and none is {label!r}")
    column = label % table.shape[1]
    return np.delete(table, column, axis=1), table[:, column]


def _npz(path: Path, task: str | None, dtype: str) -> Dataset:
    """Arrays by name; what the zip's headers claim is compared with the file before anything is unpacked."""
    with path.open("rb") as file, opened(path, file) as archive:
        wanted = next((names for names in (SPLIT, *WHOLE) if set(archive.names) >= set(names)), None)
        if wanted is None:
            found = ", ".join(map(ascii, archive.names[:20])) or "nothing"
            raise DataError(f"{path}: expected arrays x and y, or {', '.join(SPLIT)}; it has {found}")
        arrays = [_filled(f"{path}: {name!a}", archive.read(name)) for name in wanted]
    if wanted is not SPLIT:
        return _dataset(path, _pictures(arrays[0]), arrays[1], task, dtype)
    x, y, x_test, y_test = arrays
    if x.shape[1:] != x_test.shape[1:] or x.dtype != x_test.dtype or y.shape[1:] != y_test.shape[1:]:
        raise DataError(
            f"{path}: x_train {x.shape} {x.dtype} and x_test {x_test.shape} {x_test.dtype} don't fit together"
        )
    if len(x) != len(y) or len(x_test) != len(y_test):
        raise DataError(f"{path}: {len(x)} and {len(x_test)} rows have {len(y)} and {len(y_test)} labels")
    both = _pictures(np.concatenate((x, x_test)))
    return _dataset(path, both, np.concatenate((y, y_test)), task, dtype, published=len(x))


def _pictures(x: np.ndarray) -> np.ndarray:
    """Grey pictures may come as (n, height, width, 1)."""
    return x[..., 0] if x.ndim == 4 and x.shape[3] == 1 else x
