"""How far a mean over seeds, the first axis of the values, can be trusted."""

import numpy as np


def error(values: np.ndarray) -> float:
    """Standard error of the mean; NaN for a single seed."""
    n = len(values)
    return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def shown(values: np.ndarray, digits: int = 3) -> str:
    """Mean and standard error."""
    return f"{np.mean(values):.{digits}f} ± {error(values):.{digits}f}"


def above(values: np.ndarray, limit: float = 0.0) -> bool:
    """Whether the mean is above ``limit`` by more than two standard errors."""
    return bool(np.mean(values) - 2 * error(values) > limit)
