"""A recipe: everything that repeats a training run, as values that JSON holds."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from optlab.data.arrays import read
from optlab.data.catalogue import DATASETS, load
from optlab.data.dataset import Dataset, Part
from optlab.data.sealed import Sealed
from optlab.errors import ConfigError, unknown
from optlab.nn.layers import MLP
from optlab.train.config import Config

SUFFIXES = (".csv", ".tsv", ".npy", ".npz")  # what `read` reads
OWN_TEST = 0.15  # of a data set without a published test part


@dataclass(frozen=True)
class Recipe:
    """Everything that repeats a run, as plain values but for ``config``.

    Attributes:
        source: ``name`` of a known data set or a file's path, ``data_dir``, and for a file options of `read`.
        split: arguments of `Dataset.split`; ``test`` None is the data set's own test part, or 0.15 where there is none.
        model: ``hidden`` widths and options of `MLP`.
        config: options of `fit`.
        patience: of early stopping; None trains to the end.
    """

    source: Mapping[str, Any]
    split: Mapping[str, Any]
    model: Mapping[str, Any]
    config: Config
    patience: int | None = None

    def data(self) -> Dataset:
        """The data set.

        Raises:
            ConfigError: neither a known name nor a file's.
            DataError: files that are missing, damaged or unfit.
        """
        options = dict(self.source)
        name, dtype, data_dir = options.pop("name"), self.model["dtype"], options.pop("data_dir")
        if name in DATASETS:
            return load(name, data_dir, dtype)
        if Path(name).suffix.lower() in SUFFIXES:
            return read(name, dtype=dtype, **options)
        raise ConfigError(f"{unknown('data set', name, DATASETS)}; or a file: {', '.join(SUFFIXES)}")

    def settled(self, data: Dataset) -> Self:
        """The same recipe with the default test part of this data set."""
        if self.split["test"] is not None:
            return self
        own: float | str = "published" if data.published < len(data) else OWN_TEST
        return replace(self, split={**self.split, "test": own})

    def parts(self, data: Dataset) -> tuple[Part, Part, Sealed]:
        """Training, validation and sealed test part."""
        return data.split(**self.settled(data).split)

    def mlp(self, data: Dataset) -> MLP:
        """The network before its first step."""
        options = dict(self.model)
        return MLP([data.x.shape[1], *options.pop("hidden"), data.outputs], **options)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives the same recipe back."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**plain, "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The recipe that `to_dict` wrote.

        Raises:
            ConfigError: as `Config.from_dict`.
            TypeError, KeyError: it is something else.
        """
        for part, keys in (("source", ("name", "data_dir")), ("split", ("test",)), ("model", ("hidden", "dtype"))):
            if missing := set(keys) - set(dict(plain[part])):
                raise KeyError(f"{part} without {', '.join(sorted(missing))}")
        return cls(**{**plain, "config": Config.from_dict(plain["config"])})
