"""Data sets: small vision sets, arrays of one's own, splits, and a test set that is opened once."""

from typing import TYPE_CHECKING

from optlab.lazy import lazily

if TYPE_CHECKING:
    from optlab.data.arrays import read as read
    from optlab.data.augment import Augment as Augment
    from optlab.data.catalogue import DATASETS as DATASETS
    from optlab.data.catalogue import load as load
    from optlab.data.dataset import Dataset as Dataset
    from optlab.data.dataset import Part as Part
    from optlab.data.dataset import from_arrays as from_arrays
    from optlab.data.ledger import Ledger as Ledger
    from optlab.data.scaler import Scaler as Scaler
    from optlab.data.sealed import Sealed as Sealed

_HOME = {
    "Augment": "optlab.data.augment",
    "Ledger": "optlab.data.ledger",
    **dict.fromkeys(("DATASETS", "load"), "optlab.data.catalogue"),
    **dict.fromkeys(("Dataset", "Part", "from_arrays"), "optlab.data.dataset"),
    "Scaler": "optlab.data.scaler",
    "Sealed": "optlab.data.sealed",
    "read": "optlab.data.arrays",
}
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazily(__name__, _HOME)
