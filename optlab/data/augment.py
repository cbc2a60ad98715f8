"""Pictures changed a little at every sight: moved, mirrored, noisier. The label stays."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from optlab.checks import check_count, check_flag, check_number
from optlab.data.splits import AUGMENT, generator
from optlab.errors import DataError, unknown


@dataclass(frozen=True)
class Augment:
    """What may happen to a picture with values from 0 to 1, before it is standardised.

    Attributes:
        shift: moved by up to so many pixels each way along height and width; zeros (background) move in.
        flip: mirrored left to right, every second time: right for photographs, wrong for digits.
        noise: standard deviation of Gaussian noise; the values stay within 0 and 1.

    Raises:
        ConfigError: ``shift`` is not a whole number >= 0, ``noise`` not in [0, 1].

    Example:
        >>> import numpy as np
        >>> augment = Augment(shift=1)
        >>> augment(np.ones((2, 64), "f4"), (8, 8), augment.generator(seed=0, epoch=3)).shape
        (2, 64)
    """

    shift: int = 2
    flip: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        change = object.__setattr__
        change(self, "shift", check_count("shift, in pixels,", self.shift))
        change(self, "flip", check_flag("flip", self.flip))
        change(self, "noise", check_number("noise", self.noise, "[0, 1]", what="a standard deviation"))

    @staticmethod
    def generator(seed: int, epoch: int) -> np.random.Generator:
        """The random numbers of one epoch: a run that is resumed sees the same pictures."""
        return generator(seed, AUGMENT, epoch)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` gives the same settings back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The settings that `to_dict` wrote.

        Raises:
            ConfigError: an option that there is not, or a value that can't be.
        """
        for name in plain:
            if name not in cls.__dataclass_fields__:
                raise unknown("option of Augment", name, cls.__dataclass_fields__)
        return cls(**plain)

    def __call__(self, x: np.ndarray, image: tuple[int, ...] | None, random: np.random.Generator) -> np.ndarray:
        """Pictures (m, features) of shape ``image``, changed: a new array of x's dtype.

        Raises:
            DataError: the rows are not pictures, or not of this shape.
        """
        if image is None:
            raise DataError("only pictures can be augmented; this data set is a table (image=None)")
        if x.ndim != 2 or x.shape[1] != np.prod(image):
            raise DataError(f"pictures of shape {image} are rows of {np.prod(image)} numbers, got shape {x.shape}")
        m, (height, width) = len(x), image[:2]
        if self.shift >= min(height, width):
            raise DataError(f"a shift of {self.shift} pixels can empty a picture of {height}x{width}")
        s = self.shift
        pictures = np.pad(x.reshape(m, height, width, -1), ((0, 0), (s, s), (s, s), (0, 0)))
        down, right = random.integers(-s, s, size=(2, m), endpoint=True)
        rows, columns = np.arange(height) + s - down[:, None], np.arange(width) + s - right[:, None]
        if self.flip:
            mirrored = random.random(m) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        out: np.ndarray = pictures[np.arange(m)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(m, -1)
        if self.noise:
            out += x.dtype.type(self.noise) * random.standard_normal(out.shape, np.float32)
            out.clip(0, 1, out=out)
        return out
