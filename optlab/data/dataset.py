"""A data set in memory, its parts, and how it is split: one copy of the numbers, parts are lists of rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from optlab.checks import check_count, check_flag, whole
from optlab.data.checks import converted, features, labels
from optlab.data.scaler import Scaler
from optlab.data.sealed import Sealed
from optlab.data.splits import TAKE, fold_rows, rows_of, split_rows
from optlab.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows, labels or targets, and what they mean.

    Attributes:
        name: for reports.
        x: (n, features), float32 or float64, C-contiguous and finite; the only copy in memory.
        y: (n,) int64 classes from 0 to k - 1, or (n, targets) floats of x's dtype for regression.
        classes: the names of the k classes; () for regression.
        image: (height, width) or (height, width, 3) if a row is a picture with values from 0 to 1.
        published: rows from here on are the data set's own test part; n if it has none.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    image: tuple[int, ...] | None
    published: int

    def __len__(self) -> int:
        return len(self.x)

    @property
    def outputs(self) -> int:
        """How many numbers a model answers with: one per class, or one per target."""
        return len(self.classes) or int(self.y.shape[1])

    @property
    def channels(self) -> int | None:
        """Colour channels of a picture, 1 for grey; None for a table."""
        return None if self.image is None else (self.image[2] if len(self.image) == 3 else 1)

    @cached_property
    def digest(self) -> str:
        """sha256 of shapes, dtypes and contents of x and y; the same numbers, the same digest."""
        sha = hashlib.sha256()
        for array in (self.x, self.y):
            sha.update(f"{array.shape} {array.dtype.str}\n".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    def astype(self, dtype: str) -> "Dataset":
        """Return the same data set in float32 or float64, as a new copy.

        Raises:
            ConfigError: another dtype.
            DataError: the values of a column are too large for it, or too close together.
        """
        kind = np.dtype(dtype)
        if kind not in (np.float32, np.float64):
            raise ConfigError(f"a data set is float32 or float64, got {dtype!r}")
        x = converted(self.x, kind, "x", spread=self.image is None)
        y = self.y if self.classes else converted(self.y, kind, "y")
        return replace(self, x=x.copy() if x is self.x else x, y=y)

    def part(self, rows: Any = None, standardize: bool = False) -> "Part":
        """All rows, or some by number; standardised by themselves if asked for.

        Raises:
            ConfigError: ``rows`` are not row numbers from 0 to n - 1, each at most once.
        """
        chosen = np.arange(len(self)) if rows is None else _positions(rows, len(self))
        return Part(self, chosen, Scaler.fit(self.x, chosen, self.channels) if standardize else None)

    def split(
        self,
        val: float = 0.15,
        test: float | str = 0.15,
        seed: int = 0,
        *,
        stratify: bool = True,
        standardize: bool = True,
    ) -> "tuple[Part, Part, Sealed]":
        """Training, validation and sealed test part: disjoint, together all rows, in random order.

        ``val`` and ``test`` are fractions in [0, 1) or whole numbers of rows; 0 gives an empty part. Every class has
        its share in every part, within one row (targets are split at random). ``test="published"`` takes the data
        set's own test rows, and fractions are then of the rest. Standardisation is fitted on the training rows only.

        Raises:
            ConfigError: a size that is none, or no training rows left.
            DataError: a part would be empty, a class too small for it, or the data set has no test part of its own.

        Example:
            >>> import optlab as ol
            >>> train, val, test = ol.data.load("digits").split(val=0.15, test=0.15, seed=0)
            >>> len(train), len(val), test
            (1257, 270, Sealed(digits, 270 rows))
        """
        stratify, standardize = check_flag("stratify", stratify), check_flag("standardize", standardize)
        if isinstance(test, str):
            if test != "published":
                raise ConfigError(f'test is a fraction, a number of rows or "published", got {test!r}')
            if self.published == len(self):
                raise DataError(f"{self.name} has no test part of its own; give test= a fraction such as 0.15")
            n, tested = self.published, 0
        else:
            n = len(self)
            tested = rows_of(test, n, "test")
        held = rows_of(val, n, "val")
        if held + tested >= n:
            raise ConfigError(f"{held} rows for validation and {tested} for the test leave none of {n} to train on")
        strata = self._strata(np.arange(n), stratify)
        _enough(self, strata, 1 + (held > 0) + (tested > 0), "parts")
        test_rows, val_rows, train_rows = split_rows(strata, (tested, held, n - held - tested), seed)
        missing = np.setdiff1d(strata, strata[train_rows])
        if missing.size:
            name = self.classes[missing[0]]
            raise DataError(
                f"class {name!r} would have no training row; make the other parts smaller, or stratify=False"
            )
        if isinstance(test, str):
            test_rows = np.arange(n, len(self))
        scaler = Scaler.fit(self.x, train_rows, self.channels) if standardize else None
        train, held_out, last = (Part(self, rows, scaler) for rows in (train_rows, val_rows, test_rows))
        return train, held_out, Sealed(last)

    def folds(
        self, k: int = 5, seed: int = 0, *, stratify: bool = True, standardize: bool = True
    ) -> "list[tuple[Part, Part]]":
        """Cross-validation over all rows: k pairs (training part, held-out part), standardised by each training part.

        Raises:
            ConfigError: k is not a whole number >= 2.
            DataError: fewer rows, or fewer of a class, than folds.
        """
        return _folds(self, np.arange(len(self)), k, seed, stratify, standardize)

    def show(self, n: int = 40, ax: "Axes | None" = None) -> "Axes":
        """A contact sheet of about n pictures, as many of each class.

        Raises:
            DataError: the rows are not pictures.
        """
        from optlab.viz.images import plot_images

        return plot_images(self, n, ax)

    def _strata(self, rows: np.ndarray, stratify: bool) -> np.ndarray:
        return self.y[rows] if stratify and self.classes else np.zeros(len(rows), np.int64)

    def __repr__(self) -> str:
        size = f"{len(self)} rows" if self.image is None else f"{len(self)} pictures of {_shape(self.image)}"
        features = f", {self.x.shape[1]} features" if self.image is None else ""
        kind = f"{len(self.classes)} classes" if self.classes else f"{self.y.shape[1]} targets"
        own = f", {len(self) - self.published} of them its own test part" if self.published < len(self) else ""
        return f"Dataset({self.name}: {size}{own}{features}, {kind}, {self.x.dtype})"


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a data set, standardised by what a training part was; the numbers are not copied.

    Attributes:
        data: the data set.
        rows: int64 row numbers in it.
        scaler: fitted on the training rows; None leaves the values as they are.
    """

    data: Dataset
    rows: np.ndarray
    scaler: Scaler | None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def x(self) -> np.ndarray:
        """These rows, standardised: a new array (rows, features)."""
        x: np.ndarray = self.data.x[self.rows]
        if self.scaler is not None:
            self.scaler.apply(x)  # in place: a part may be most of the memory
        return x

    @property
    def y(self) -> np.ndarray:
        """The labels or targets of these rows: a new array."""
        y: np.ndarray = self.data.y[self.rows]
        return y

    @cached_property
    def digest(self) -> str:
        """sha256 of the data set's digest and the sorted row numbers: the same rows in any order are the same part."""
        rows = np.sort(self.rows).astype("<i8")
        return hashlib.sha256(self.data.digest.encode() + rows.tobytes()).hexdigest()

    def take(self, rows: Any, seed: int = 0) -> Self:
        """A smaller part: so many rows, each class with its share, or the rows at these positions in this part.

        Raises:
            ConfigError: more rows than there are, none, or positions out of range or twice.
        """
        count = whole(rows)
        if count is not None:
            if not 1 <= count <= len(self):
                raise ConfigError(f"take from 1 to {len(self)} rows, got {count}")
            strata = self.data._strata(self.rows, True)
            chosen = split_rows(strata, (count, 0, len(self) - count), seed, TAKE)[0]
        else:
            chosen = _positions(rows, len(self))
        return replace(self, rows=self.rows[chosen])

    def folds(self, k: int = 5, seed: int = 0, *, stratify: bool = True) -> "list[tuple[Part, Part]]":
        """Cross-validation inside this part: k pairs (training, held-out), the scaler fitted anew in each.

        Raises:
            ConfigError: k is not a whole number >= 2.
            DataError: fewer rows, or fewer of a class, than folds.
        """
        return _folds(self.data, self.rows, k, seed, stratify, self.scaler is not None)

    def __repr__(self) -> str:
        scaled = "" if self.scaler is None else ", standardised"
        return f"Part({self.data.name}, {len(self)} of {len(self.data)} rows{scaled})"


def _folds(
    data: Dataset, rows: np.ndarray, k: int, seed: int, stratify: bool, standardize: bool
) -> list[tuple[Part, Part]]:
    k = check_count("k, the number of folds,", k, 2)
    stratify, standardize = check_flag("stratify", stratify), check_flag("standardize", standardize)
    if k > len(rows):
        raise DataError(f"{len(rows)} rows are not enough for {k} folds")
    strata = data._strata(rows, stratify)
    _enough(data, strata, k, "folds")
    pairs = []
    for train, held_out in fold_rows(strata, k, seed):
        scaler = Scaler.fit(data.x, rows[train], data.channels) if standardize else None
        pairs.append((Part(data, rows[train], scaler), Part(data, rows[held_out], scaler)))
    return pairs


def _enough(data: Dataset, strata: np.ndarray, parts: int, what: str) -> None:
    counts = np.bincount(strata)
    small = np.flatnonzero((counts > 0) & (counts < parts))
    if small.size:
        one = len(counts) == 1
        where = f"there are {len(strata)}" if one else f"class {data.classes[small[0]]!r} has {counts[small[0]]}"
        raise DataError(f"{where} rows for {parts} {what}; use fewer {what}, more rows, or stratify=False")


def _positions(rows: Any, n: int) -> np.ndarray:
    chosen = np.asarray(rows)
    if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
        raise ConfigError(f"rows are a list of whole numbers, got shape {chosen.shape} of {chosen.dtype}")
    if chosen.min() < 0 or chosen.max() >= n or np.bincount(chosen.astype(np.int64)).max() > 1:
        raise ConfigError(f"row numbers go from 0 to {n - 1}, each at most once")
    return np.ascontiguousarray(chosen, np.int64)


def _shape(image: tuple[int, ...]) -> str:
    return f"{image[0]}x{image[1]}" + (" in colour" if len(image) == 3 else "")


def from_arrays(
    X: Any,
    y: Any,
    classes: Sequence[str] | None = None,
    image: tuple[int, ...] | None = None,
    name: str = "arrays",
    dtype: str = "float32",
) -> Dataset:
    """A data set of one's own.

    Args:
        X: (n, features), or pictures (n, height, width[, 3]) with values from 0 to 1 or uint8 from 0 to 255. An array
            that is C-contiguous and of ``dtype`` is used as it is, not copied: do not change it later.
        y: n labels, whole numbers from 0 to k - 1 or strings (sorted: their order is the classes'), or float targets
            (n,) or (n, targets) for regression.
        classes: names of the classes, if labels are numbers; their order, if labels are strings.
        image: (height, width[, 3]) if X is (n, features) and a row is a picture.
        dtype: "float32" or "float64".

    Both may be NumPy arrays, frames of pandas or polars, PyTorch tensors, lists or buffers.

    Raises:
        DataError: a shape, dtype, value or label that can't be used, or a column whose values are too close together
            for ``dtype`` to tell apart, such as times in seconds; the message says which and where.

    Example:
        >>> import numpy as np
        >>> from_arrays(np.eye(4), ["cat", "dog", "cat", "dog"], name="pets")
        Dataset(pets: 4 rows, 4 features, 2 classes, float32)
    """
    x, picture = features(X, image, dtype)
    targets, names = labels(y, len(x), classes, dtype)
    return Dataset(str(name), x, targets, names, picture, len(x))
