"""What every figure is told before it runs, and the vision data that figures share."""

from dataclasses import dataclass

import numpy as np

import optlab as ol
from optlab.data.dataset import Part

DIGITS = (1_077, 360, 360)  # rows to train on, to validate on and to test on
OTHERS = (10_000, 2_000, 2_000)  # the same of any larger data set


@dataclass(frozen=True)
class Setup:
    """How a figure is to be made.

    Attributes:
        fast: a first look with fewer seeds and smaller sizes; the claims are then not judged.
        data: the data set of a figure that trains on pictures.
        seed: every random number of the figure comes from it.
    """

    fast: bool = False
    data: str = "digits"
    seed: int = 0

    def seeds(self, n: int, larger: int | None = None) -> range:
        """n seeds, other ones for another `seed`; one for a first look.

        ``larger`` is their number on data sets larger than the digits, where a run takes forty times as long.
        """
        if larger is not None and self.data != "digits":
            n = larger
        return range(self.seed * 1000, self.seed * 1000 + (1 if self.fast else n))


def parts(setup: Setup) -> tuple[Part, Part, Part]:
    """Training, validation and test rows of the figure's data set: pixels from 0 to 1, every class with its share.

    The test rows are not sealed: a figure is made again and again, and shows what looking at them does.
    """
    train_rows, val_rows, test_rows = DIGITS if setup.data == "digits" else OTHERS
    drawn = setup.data in ("glyphs", "shapes")
    data = ol.data.load(setup.data, n=sum(OTHERS) if drawn else None)
    train, rest, _ = data.split(val_rows + test_rows, 0, seed=setup.seed, standardize=False)
    val = rest.take(val_rows, seed=setup.seed)
    test = rest.take(np.flatnonzero(~np.isin(rest.rows, val.rows)))
    return train if len(train) == train_rows else train.take(train_rows, seed=setup.seed), val, test
