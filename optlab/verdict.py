"""A verdict: a claim measured on data, with what was found, what was asked for, and why."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """One measured claim.

    Attributes:
        id: of the figure; a further claim of the same figure adds its own word, ``"saddle:order"``.
        claim: what should hold, one sentence.
        value: what was measured.
        threshold: what it was held against.
        passed: whether it holds.
        explanation: how to read it, above all when it fails.
    """

    id: str
    claim: str
    value: Any
    threshold: Any
    passed: bool
    explanation: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)


def at_most(id: str, claim: str, value: float, limit: float, explanation: str = "") -> Verdict:
    """``value <= limit``; NaN fails."""
    return Verdict(id, claim, float(value), f"<= {limit:g}", bool(value <= limit), explanation)


def at_least(id: str, claim: str, value: float, limit: float, explanation: str = "") -> Verdict:
    """``value >= limit``; NaN fails."""
    return Verdict(id, claim, float(value), f">= {limit:g}", bool(value >= limit), explanation)


def equals(id: str, claim: str, value: Any, want: Any, explanation: str = "") -> Verdict:
    """``value == want``."""
    return Verdict(id, claim, value, want, bool(value == want), explanation)
