"""A verdict: a claim measured on data, with what was found, what was asked for, and why."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from optlab.plain import plain


@dataclass(frozen=True)
class Verdict:
    """One measured claim.

    Attributes:
        id: of the figure; a further claim of the same figure adds its own word, ``"saddle:order"``.
        claim: what should hold, one sentence.
        value: what was measured.
        threshold: what it was held against.
        passed: whether it holds; None where it was measured and not judged, as on the smaller sizes of a first look.
        explanation: how to read it, above all when it fails.
    """

    id: str
    claim: str
    value: Any
    threshold: Any
    passed: bool | None
    explanation: str = ""

    @property
    def word(self) -> str:
        """``"holds"``, ``"does not hold"`` or ``"not judged"``."""
        return "not judged" if self.passed is None else "holds" if self.passed else "does not hold"

    def unjudged(self) -> Self:
        """The same measurement without its judgement."""
        return replace(self, passed=None)

    def to_dict(self) -> dict[str, Any]:
        """As plain values; NaN and infinities are None, so that it is valid JSON."""
        made: dict[str, Any] = plain(asdict(self))
        return made


def at_most(id: str, claim: str, value: float, limit: float, explanation: str = "") -> Verdict:
    """``value <= limit``; NaN fails."""
    return Verdict(id, claim, float(value), f"<= {limit:g}", bool(value <= limit), explanation)


def at_least(id: str, claim: str, value: float, limit: float, explanation: str = "") -> Verdict:
    """``value >= limit``; NaN fails."""
    return Verdict(id, claim, float(value), f">= {limit:g}", bool(value >= limit), explanation)


def equals(id: str, claim: str, value: Any, want: Any, explanation: str = "") -> Verdict:
    """``value == want``."""
    return Verdict(id, claim, value, want, bool(value == want), explanation)
