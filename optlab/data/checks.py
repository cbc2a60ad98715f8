"""Arrays of a user's own, checked: what a data set takes, and one clear error for everything else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from optlab.containers import as_array, column_names
from optlab.errors import DataError, unknown

BLOCK = 1 << 20  # numbers looked at at once, so that a check needs no second array of the data's size
STEPS = 1024  # of a precision, that the values of a column must span: less would lose a thousandth of their spread


def features(
    x: Any, image: tuple[int, ...] | None, dtype: str, spread: bool = True
) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """(n, features) in ``dtype``, C-contiguous and finite, and the shape of a picture, if rows are pictures.

    An array that is already so is not copied. uint8 pictures are divided by 255. ``spread`` is for `converted`.
    """
    given = _array(x, "X")
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise DataError(f"a data set is float32 or float64, got dtype={dtype!r}")
    if given.ndim in (3, 4) and image is None:
        image = given.shape[1:]
    pictures = given.ndim in (3, 4)
    if given.ndim != 2 and not pictures:
        raise DataError(f"X must be (n, features) or pictures (n, height, width[, 3]), got shape {given.shape}")
    if image is not None:
        image = tuple(int(side) for side in image)
        if not (len(image) == 2 or (len(image) == 3 and image[2] == 3)):
            raise DataError(f"a picture is (height, width) or (height, width, 3), got {image}; colours come last")
        if int(np.prod(image)) != int(np.prod(given.shape[1:])) or (pictures and given.shape[1:] != image):
            raise DataError(f"rows of shape {given.shape[1:]} are no pictures of shape {image}")
    if len(given) < 2 or not all(given.shape):
        raise DataError(f"X needs at least two rows and one feature, got shape {given.shape}")
    flat = given.reshape(len(given), -1)
    bytes_of_pictures = image is not None and given.dtype == np.uint8
    ready = converted(flat, kind, "X", _namer("X", x), spread and image is None)
    if bytes_of_pictures:
        ready /= 255
    if image is not None and (ready.min() < 0 or ready.max() > 1):
        raise DataError(
            f"pictures have values from 0 to 1, or uint8 from 0 to 255; got {ready.min():g} to {ready.max():g}: "
            "scale them, or give X as (n, features) without image="
        )
    return ready, image


def labels(
    y: Any, n: int, classes: Sequence[str] | None, dtype: str, spread: bool = True
) -> tuple[np.ndarray, tuple[str, ...]]:
    """int64 classes (n,) and their names, or float targets (n, targets) and ()."""
    given = _array(y, "y", text=True)
    if len(given) != n if given.ndim else True:
        raise DataError(f"y must have one entry for each of X's {n} rows, got shape {given.shape}")
    if given.dtype.kind == "f":
        if classes is not None:
            raise DataError(f"classes= needs integer or string labels, got {given.dtype}; convert them: y.astype(int)")
        if given.ndim > 2 or not given.size:
            raise DataError(f"targets must be (n,) or (n, targets), got shape {given.shape}")
        return converted(given.reshape(n, -1), np.dtype(dtype), "y", _namer("y", y), spread), ()
    if given.ndim != 1:
        hint = "; for one column per class: y.argmax(axis=1)" if given.shape[1:] != (1,) else ": y.ravel()"
        raise DataError(f"labels must be one number for each row, got shape {given.shape}{hint}")
    names = None if classes is None else _names(classes)
    if given.dtype.kind in "US":
        return _coded(given.astype(str), names)
    if given.dtype.kind == "b" and names is None:
        names = ("False", "True")
    return _numbered(given, names)


def converted(
    given: np.ndarray,
    kind: np.dtype[Any],
    what: str,
    column: Callable[[int], str] | None = None,
    spread: bool = True,
) -> np.ndarray:
    """Return the table ``given`` in the precision ``kind``, C-contiguous and writable; uncopied if it is so already.

    ``what`` is what messages call the table, ``column`` gives what they call a column.

    Raises:
        DataError: a value is not finite, or too large; with ``spread``, the values of a column are too close together
            for the precision.
    """
    with np.errstate(over="ignore"):
        ready = np.require(given, kind, ["C", "W", "A"])
    _finite(ready, given, what)
    exact = np.can_cast(given.dtype, kind) and (given.dtype.kind == "f" or given.dtype.itemsize < 8)  # not NumPy's view
    if spread and given.size and not exact:
        _refuse_lost_spread(given, ready, column or (lambda c: f"{what}'s column {c}"))
    return ready


def _refuse_lost_spread(given: np.ndarray, ready: np.ndarray, column: Callable[[int], str]) -> None:
    """Refuse the columns whose values ``ready`` can't tell apart, as 1.7e9, 1.7e9 + 1, 1.7e9 + 2 in float32."""
    low, high = given.min(0), given.max(0)
    if given.dtype.kind in "iu":  # exact modulo 2^64; as floats, whole numbers of 64 bits would lose their spread, too
        span = (high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)
    else:
        with np.errstate(over="ignore"):
            span = (high - low).astype(np.float64)
    step = np.spacing(np.maximum(np.abs(ready.min(0)), np.abs(ready.max(0)))).astype(np.float64)
    for c in np.flatnonzero((span > 0) & (span < STEPS * step)):
        if all(kept == value for kept, value in zip(ready[:, c].tolist(), given[:, c].tolist(), strict=True)):
            continue
        advice = "subtract a constant such as its minimum" if abs(float(low[c])) > span[c] else "scale it"
        wider = ", or use float64 for data and model" if ready.dtype == np.float32 else ""
        raise DataError(
            f"{column(int(c))} goes from {low[c]} to {high[c]}, where {ready.dtype} has steps of {step[c]:g} and "
            f"would lose the differences; {advice}{wider}"
        )


def _namer(what: str, value: Any) -> Callable[[int], str]:
    names = column_names(value)
    return lambda c: f"{what}'s column {c}" + (f" ({names[c]!r})" if names else "")


def _array(value: Any, what: str, text: bool = False) -> np.ndarray:
    array = as_array(value, what)
    if text and array.dtype.kind == "O" and all(isinstance(entry, str) for entry in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind not in ("biufUS" if text else "biuf"):
        wanted = "numbers or strings" if text else "numbers"
        raise DataError(f"{what} must hold {wanted}, got dtype {array.dtype}{_which(value)}; convert it first")
    return array


def _which(value: Any) -> str:
    """The columns of a frame that are no numbers, by name."""
    try:
        wrong = [str(name) for name in value.columns if np.asarray(value[name]).dtype.kind not in "biuf"]
    except Exception:  # whatever it is, it is no frame
        return ""
    return f" from column {', '.join(map(repr, wrong[:5]))}" if wrong else ""


def _finite(ready: np.ndarray, given: np.ndarray, what: str) -> None:
    step = max(1, BLOCK // ready.shape[1])
    for start in range(0, len(ready), step):
        bad = np.argwhere(~np.isfinite(ready[start : start + step]))
        if len(bad):
            row, column = int(bad[0, 0]) + start, int(bad[0, 1])
            value = given[row, column]
            reason = f"which {ready.dtype} can't hold" if np.isfinite(value) else "not a finite number"
            raise DataError(f"{what} at row {row}, column {column} is {value}, {reason}")


def _names(classes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(classes, str):
        raise DataError(f"classes is a list of names, got the string {classes!r}")
    names = tuple(str(name) for name in classes)
    if len(set(names)) < max(2, len(names)):
        raise DataError(f"classes must be two or more different names, got {names}")
    return names


def _coded(given: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    found, codes = np.unique(given, return_inverse=True)
    present = tuple(str(name) for name in found)
    if names is None:
        return codes.astype(np.int64), _names(present)
    for name in present:
        if name not in names:
            raise unknown("class", name, names)
    return np.array([names.index(name) for name in present], np.int64)[codes], names


def _numbered(given: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    low, high = int(given.min()), int(given.max())
    if low < 0:
        raise DataError(f"labels go from 0 to k - 1, got {low} at row {int(given.argmin())}")
    if names is not None and high >= len(names):
        raise DataError(f"{len(names)} classes have labels up to {len(names) - 1}, got {high} at row {given.argmax()}")
    if names is None:
        present = np.unique(given)
        if len(present) <= high:
            lost = int(np.flatnonzero(np.arange(len(present)) != present)[0])
            raise DataError(
                f"labels go up to {high}, but none is {lost}; number them from 0 without gaps "
                "(np.unique(y, return_inverse=True)[1]), or name all classes with classes=[...]"
            )
        if high == 0:
            raise DataError("all labels are 0; at least two classes are needed")
        names = tuple(str(label) for label in range(high + 1))
    return np.require(given, np.int64, ["C", "W", "A"]), names
