"""A published image set on disk: where it is looked for, how it is read, whether its files are the published ones."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optlab.data import cifar, idx
from optlab.data.bounded import unpacked
from optlab.data.dataset import Dataset
from optlab.errors import DataError

PACKED = ("", ".gz", ".xz")


@dataclass(frozen=True)
class Download:
    """A file as its publisher offers it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """A set of images that its authors publish as files.

    Attributes:
        url: the publisher's folder, ending in a slash.
        downloads: the files there.
        contents: name -> sha256 of the unpacked files inside, in the order of their rows.
        rows: of the training part, of the test part.
        image: shape of a picture.
        read: fills x and y, training rows first, from a folder.
        pickled: names of a version that is never opened.
        elsewhere: names under which torchvision and others keep the set's folder; "." is the folder of all sets.
    """

    name: str
    url: str
    downloads: tuple[Download, ...]
    contents: Mapping[str, str]
    classes: tuple[str, ...]
    rows: tuple[int, int]
    image: tuple[int, ...]
    read: "Callable[[Published, Path, np.ndarray, np.ndarray], None]"
    pickled: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def features(self) -> int:
        """Numbers in a row."""
        return int(np.prod(self.image))

    def load(self, data_dir: str | Path | None = None, dtype: str = "float32") -> Dataset:
        """The set from the first folder that has something of it; x is decoded into place block by block.

        Raises:
            DataError: it is nowhere, incomplete or damaged.
        """
        folder = self.find(data_dir)
        if folder is None:
            places = " or ".join(str(base / self.name) for base in folders(data_dir))
            raise DataError(f"no file of {self.name} in {places}: {self.advice(folders(data_dir)[0] / self.name)}")
        n = sum(self.rows)
        x, y = np.empty((n, self.features), dtype), np.empty(n, np.int64)
        self.read(self, folder, x, y)
        return Dataset(self.name, x, y, self.classes, self.image, self.rows[0])

    def find(self, data_dir: str | Path | None = None) -> Path | None:
        """Return the first folder that has something of the set, its own name before others; None if none has."""
        places = [base / name for base in folders(data_dir) for name in (self.name, *self.elsewhere)]
        of_use = (folder for has in (self.files, self._pickled) for folder in places if has(folder))
        return next(of_use, None)

    def files(self, folder: Path) -> list[Path]:
        """What there is of the set in its folder: contents, plain or packed, and archives."""
        names = [*self.contents, *(d.name for d in self.downloads)]
        return list(dict.fromkeys(path for name in names if (path := source(folder, name))))

    def file(self, folder: Path, name: str) -> Path:
        """The file with these contents, or an error that says what to do."""
        if path := source(folder, name):
            return path
        if pickled := self._pickled(folder):
            raise DataError(f"{pickled} is a pickle, which can run code: {cifar.PICKLE_ADVICE}; {self.advice(folder)}")
        raise DataError(f"{folder} has no {name} (nor .gz, .xz): {self.advice(folder)}")

    def advice(self, folder: Path) -> str:
        """How to get the files into a folder."""
        names = ", ".join(d.name for d in self.downloads)
        return f"run `optlab data fetch {self.name}`, or download {names} from {self.url} into {folder}"

    def verify(self, folder: Path) -> Iterator[tuple[Path, str, bool | None]]:
        """Every file with its state, "ok" or what is wrong, and whether it has exactly the published contents."""
        archives = {d.name: d.sha256 for d in self.downloads if d.name.removesuffix(".gz") not in self.contents}
        for path in self.files(folder):
            if path.name in archives:
                with path.open("rb") as file:
                    yield path, "ok", hashlib.file_digest(file, "sha256").hexdigest() == archives[path.name]
                continue
            name = next(n for n in self.contents if path in _candidates(folder, n))
            try:
                with unpacked(path) as reader:
                    yield path, "ok", reader.digest(sum(self.rows) * (self.features + 1)) == self.contents[name]
            except DataError as error:
                yield path, str(error).removeprefix(f"{path}: "), None

    def _pickled(self, folder: Path) -> Path | None:
        return next((path for name in self.pickled if (path := folder / name).exists()), None)


def source(folder: Path, name: str) -> Path | None:
    """Return the file, plain or packed, in the folder or one below it that others make."""
    return next((path for path in _candidates(folder, name) if path.is_file()), None)


def _candidates(folder: Path, name: str) -> list[Path]:
    """Where a file may be: torchvision has ``raw``, an archive its own folder, and some unpack each file into one."""
    places = (folder, folder / "raw", folder / cifar.FOLDER, folder / name)
    spellings = dict.fromkeys((name, name.replace("-idx", ".idx")))  # train-images.idx3-ubyte
    return [place / f"{spelled}{packed}" for place in places for spelled in spellings for packed in PACKED]


def folders(data_dir: str | Path | None = None) -> list[Path]:
    """Where sets are looked for, each in a folder of its name: the one given, else $OPTLAB_DATA, then the cache."""
    if data_dir is not None:
        return [Path(data_dir)]
    named = os.environ.get("OPTLAB_DATA")
    return [*([Path(named)] if named else []), cache()]


def cache() -> Path:
    """The user's cache folder of optlab by the system's convention, the same as ``pooch.os_cache("optlab")``."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local") / "optlab/optlab/Cache"
    if sys.platform == "darwin":
        return home / "Library/Caches/optlab"
    return Path(os.environ.get("XDG_CACHE_HOME", "").strip() or home / ".cache") / "optlab"


def read_idx(published: Published, folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    """MNIST's layout: images and labels of the training part (train-), then of the test part (t10k-)."""
    height, width = published.image
    split = published.rows[0]
    for prefix, rows in (("train", slice(0, split)), ("t10k", slice(split, None))):
        idx.read_images(published.file(folder, f"{prefix}-images-idx3-ubyte"), x[rows], (height, width))
        idx.read_labels(published.file(folder, f"{prefix}-labels-idx1-ubyte"), y[rows], len(published.classes))


def read_cifar(published: Published, folder: Path, x: np.ndarray, y: np.ndarray) -> None:
    """CIFAR-10's layout: batches with the same number of rows, the test batch last, as files or in the archive."""
    names, each = list(published.contents), len(y) // len(published.contents)
    rows = [slice(start, start + each) for start in range(0, len(y), each)]
    slots = {name: (x[part], y[part]) for name, part in zip(names, rows, strict=True)}
    archive = folder / published.downloads[0].name
    if archive.is_file() and not any(source(folder, name) for name in names):
        cifar.read_archive(archive, slots)
    else:
        cifar.read_files({name: published.file(folder, name) for name in names}, slots)
