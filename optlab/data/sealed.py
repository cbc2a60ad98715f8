"""A test set that is opened once.

Whoever looks at a test set twice and changes something in between has made it a validation set. A seal stops the
accident and makes intent visible; it does not lock anything away from a programmer who wants in.
"""

from typing import TYPE_CHECKING, NoReturn

from optlab.data.ledger import Ledger as Ledger
from optlab.errors import SealError

if TYPE_CHECKING:
    from optlab.data.dataset import Part

SEALED = "the test set is sealed; open it once, at the end: model.evaluate(test, unseal='reason')"


class Sealed:
    """A part that nobody looks at by accident: anything that would show its rows raises SealError.

    Example:
        >>> import optlab as ol
        >>> train, val, test = ol.data.load("digits").split()
        >>> test, len(test)
        (Sealed(digits, 270 rows), 270)
        >>> test.x
        Traceback (most recent call last):
        optlab.errors.SealError: the test set is sealed; open it once, at the end: model.evaluate(test, unseal='reason')
    """

    __slots__ = ("_part",)

    def __init__(self, part: "Part") -> None:
        self._part = part

    def open(self, reason: str, ledger: Ledger, force: bool = False) -> "Part":
        """The part itself, once per ledger; the opening is on disk before this returns.

        Raises:
            ConfigError: no reason.
            SealError: it was opened before, or the ledger was changed by hand; ``force=True`` opens it all the same,
                and every report says so.
            StorageError: the ledger can't be written; nothing is shown then.
        """
        ledger.open(self._part.digest, reason, force)
        return self._part

    def __len__(self) -> int:
        return len(self._part)

    def __repr__(self) -> str:
        return f"Sealed({self._part.data.name}, {len(self)} rows)"

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("x", "y", "rows", "data", "scaler", "take", "folds"):
            raise SealError(SEALED)
        raise AttributeError(f"a sealed test set has no {name!r}; it has open(reason, ledger) and a length")

    def _refuse(self, *args: object, **options: object) -> NoReturn:
        raise SealError(SEALED)

    __getitem__ = __iter__ = __contains__ = __array__ = _refuse
    __copy__ = __deepcopy__ = __reduce_ex__ = __getstate__ = _refuse
