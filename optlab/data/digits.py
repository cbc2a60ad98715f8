"""Handwritten digits of 8 by 8 pixels: the small set that needs no download."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from optlab.data.dataset import Dataset
from optlab.errors import DataError

ROWS, FULL = 1797, 16


def digits() -> Dataset:
    """1797 pictures (8, 8) of the digits 0 to 9, ink from 0 to 1 in steps of 1/16, in scikit-learn's order.

    E. Alpaydin & C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (CC BY 4.0), the test part. The
    file that scikit-learn ships is read; scikit-learn is not imported.

    Raises:
        DataError: scikit-learn is not installed, or its file is not what it was.

    Example:
        >>> digits()
        Dataset(digits: 1797 pictures of 8x8, 10 classes, float32)
    """
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("the digits are a file of scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets/data/digits.csv.gz"
    try:
        text = gzip.decompress(path.read_bytes())
        table = np.array(text.replace(b"\n", b",").rstrip(b",").split(b","), np.uint8).reshape(ROWS, 65)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} can't be read; install scikit-learn again ({error})") from None
    x = table[:, :64].astype(np.float32) / FULL
    return Dataset("digits", x, table[:, 64].astype(np.int64), tuple("0123456789"), (8, 8), ROWS)
