"""A fit as text: what a fresh process starts from, in place of all the fits before.

A fit is a function of the results it was made of. Its text holds a digest of those results, of the model's settings
and of the fit itself: a fit is used where the digest of the results at hand is the same, and made again elsewhere.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from optlab.search.gp.warp import FAMILY, Warp

Array = np.ndarray


class Fit(NamedTuple):
    """The most probable ``theta (p,)`` and the warp it was found under."""

    theta: Array
    warp: Warp


@dataclass(frozen=True)
class SavedFit:
    """A fit after the first ``results``, as it stands in a file: not checked yet."""

    results: int
    fit: Fit
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; theta as the hexadecimal digits of its 64-bit numbers, so that no bit is lost."""
        theta = self.fit.theta.astype("<f8").tobytes().hex()
        warp = [self.fit.warp.kind, self.fit.warp.parameter]
        return {"results": self.results, "theta": theta, "warp": warp, "digest": self.digest}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "SavedFit":
        """Return what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: it is something else.
        """
        theta = np.frombuffer(bytes.fromhex(data["theta"]), "<f8").astype(np.float64)
        kind, parameter = data["warp"]
        return cls(int(data["results"]), Fit(theta, Warp(kind, parameter)), str(data["digest"]))

    def plausible(self, low: Array, high: Array) -> bool:
        """Whether a fit between these bounds can have given it."""
        theta, warp = self.fit
        inside = theta.shape == low.shape and bool(((low <= theta) & (theta <= high)).all())
        return inside and warp in FAMILY


def digest(settings: Sequence[Any], arrays: Sequence[Array], fit: Fit) -> str:
    """Return 32 hexadecimal digits of what a fit was made of and of itself; -0.0 counts as 0.0, as in a file."""
    found = hashlib.blake2b(json.dumps([*settings, fit.warp.kind, fit.warp.parameter]).encode(), digest_size=16)
    for array in (*arrays, fit.theta):
        found.update((array + 0.0).astype("<f8").tobytes())
    return found.hexdigest()


def parsed(text: bytes) -> list[SavedFit]:
    """Return the fits in a text that `written` made; none if it is damaged."""
    try:
        return [SavedFit.from_dict(data) for data in json.loads(text)]
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return []


def written(fits: Sequence[SavedFit]) -> str:
    """Return the fits as text."""
    return json.dumps([fit.to_dict() for fit in fits])
