"""What `ol.data.load` knows by name: published sets, and small ones that come with optlab or are drawn by it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optlab.data.dataset import Dataset
from optlab.data.known import PUBLISHED
from optlab.data.published import Published
from optlab.errors import ConfigError, unknown


@dataclass(frozen=True)
class Local:
    """A set that needs no files: ``make``, "module:function", returns it.

    A drawn one is made to order: the function takes a seed and how many rows, ``rows`` unless n is given.
    """

    name: str
    make: str
    rows: int
    features: int
    classes: int
    drawn: bool = False

    def load(self, dtype: str, **options: int) -> Dataset:
        """Make it."""
        module, function = self.make.split(":")
        make: Callable[..., Dataset] = getattr(importlib.import_module(module), function)
        data = make(**options)
        return data if data.x.dtype == dtype else data.astype(dtype)


_LOCAL = (
    Local("digits", "optlab.data.digits:digits", 1797, 64, 10),
    Local("glyphs", "optlab.data.glyphs:glyphs", 10_000, 784, 10, drawn=True),
    Local("shapes", "optlab.data.shapes:shapes", 10_000, 3072, 10, drawn=True),
)
DATASETS: dict[str, Local | Published] = {entry.name: entry for entry in (*_LOCAL, *PUBLISHED)}


def load(
    name: str, data_dir: str | Path | None = None, dtype: str = "float32", n: int | None = None, seed: int = 0
) -> Dataset:
    """A data set by name: digits, glyphs, shapes, mnist, fashion-mnist, cifar-10 (``optlab data`` lists them).

    Nothing is downloaded: files of the published sets come from `optlab data fetch NAME` or are put there by hand.

    Args:
        name: as above.
        data_dir: folder that holds a folder per published set; else $OPTLAB_DATA, then the user's cache.
        dtype: "float32" or "float64"; pixels are divided by 255 in it.
        n: rows of a drawn set (glyphs, shapes).
        seed: of a drawn set.

    Raises:
        ConfigError: an unknown name or dtype; n for a set that is not drawn.
        DataError: files that are not there or damaged; the message says what to do.

    Example:
        >>> import optlab as ol
        >>> ol.data.load("digits")
        Dataset(digits: 1797 pictures of 8x8, 10 classes, float32)
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"a data set is float32 or float64, got dtype={dtype!r}")
    entry = DATASETS[name]
    if isinstance(entry, Local) and entry.drawn:
        return entry.load(dtype, seed=seed, **({} if n is None else {"n": n}))
    if n is not None:
        raise ConfigError(f"n is for drawn sets; {name} has its own rows: take fewer of a part with part.take({n})")
    return entry.load(dtype) if isinstance(entry, Local) else entry.load(data_dir, dtype)
