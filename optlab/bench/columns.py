"""Tables of the page of benchmarks: how a number is written, and which columns each table shows."""

from collections.abc import Callable, Mapping
from typing import Any

Row = dict[str, Any]
Cell = Callable[[Row], str]


def digits(value: float) -> str:
    """Three of them, thousands apart.

    >>> digits(0.031251), digits(7.0), digits(93.46), digits(12345.6)
    ('0.0313', '7.00', '93.5', '12,300')
    """
    if value == 0.0:
        return "0"
    if abs(value) >= 999.5:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def plain(key: str, unit: str = "") -> Cell:
    """A value as it is; numbers to three digits."""

    def cell(row: Row) -> str:
        value = row.get(key)
        if value is None or value == "":
            return ""
        return f"{value:,}" if isinstance(value, int) else digits(value) + unit if isinstance(value, float) else value

    return cell


def times(key: str) -> Cell:
    """How many times as long it takes."""
    return plain(key, "x")


def logarithm(key: str) -> Cell:
    """Two decimals."""
    return lambda row: f"{row[key]:.2f}" if row.get(key) is not None else ""


def percent(key: str) -> Cell:
    """A share."""
    return lambda row: f"{100 * row[key]:.0f} %" if row.get(key) is not None else ""


def beside(name: str) -> Cell:
    """A peer's milliseconds, and how many times ours."""
    return lambda row: f"{digits(row[name])} ({digits(row[name + ' x'])}x)" if row.get(name) else ""


def error(key: str, of: str) -> Cell:
    """A mean with its standard error."""
    return lambda row: f"{row[key]:.2f} ± {row[of]:.2f}" if row.get(of) is not None else ""


def table(rows: list[Row], columns: Mapping[str, Cell]) -> list[str]:
    """Lines of Markdown; a column that is empty in every row is left out, an empty cell is a dash."""
    cells = {heading: [cell(row) for row in rows] for heading, cell in columns.items()}
    kept = {heading: found for heading, found in cells.items() if any(found)}
    lines = [[*kept], ["---"] * len(kept), *([one or "-" for one in line] for line in zip(*kept.values(), strict=True))]
    return ["| " + " | ".join(line) + " |" for line in lines]


PEERS = ("torch fused", "torch foreach", "torch for-loop", "optax")
TIMES: dict[str, dict[str, Cell]] = {
    "kernels": {
        "rule": plain("rule"), "n": plain("n"), "us": plain("us"), "GB/s": plain("GB/s"),
        "of the ceiling": plain("of ceiling"), "numpy": times("numpy"), **{name: times(name) for name in PEERS},
        "differs": plain("differs"),
    },
    "descents": {
        "what": plain("what"), "M steps/s": plain("M steps/s"), "Python floats": times("python floats"),
        "JAX `scan` + optax": times("jax scan"), "JAX `vmap(scan)`": times("jax vmap"),
        "torch autograd loop": times("torch loop"),
    },
    "training": {
        "network": plain("network"), "batch": plain("batch"), "us a step": plain("us/step"),
        "k samples/s": plain("k samples/s"), "our tape": times("tape"), "torch eager, fused Adam": times("torch fused"),
        "JAX `scan`": times("jax scan"), "scikit-learn": times("scikit-learn"), "of products": plain("of products"),
        "differs": plain("differs"),
    },
    "sweep": {
        "clock": plain("clock"), "ms": plain("ms"), "k steps/s": plain("k steps/s"), "JAX `vmap`": times("jax vmap"),
        "JAX `map`": times("jax map"), "torch.func": times("torch.func"), "torch `baddbmm`": times("torch baddbmm"),
        "torch in turn": times("torch in turn"), "differs": plain("differs"),
    },
    "gemm": {
        "product": plain("product"), "m x k x n": plain("m x k x n"), "dtype": plain("dtype"), "tile": plain("by"),
        "us": plain("us"), "GFLOP/s": plain("GFLOP/s"), "`np.dot`": times("np.dot"),
        "OpenBLAS kernels": plain("BLAS kernels"), "`torch.matmul`": times("torch"), "differs": plain("differs"),
    },
    "threads": {
        "what": plain("what"), "cores": plain("cores"), "ms in one thread": plain("ms"),
        "two threads gain": times("two threads"), "quartiles": plain("quartiles"),
    },
    "throughput": {
        "what": plain("what"), "parameters": plain("parameters"), "trials": plain("trials"), "ms": plain("ms"),
        "trials/s": plain("trials/s"), "Optuna": times("optuna"), "Optuna's journal": times("optuna journal"),
        "quartiles of Optuna's": plain("quartiles"), "one wait for the disk": times("one wait"),
        "MB more": plain("MB"), "Optuna's MB more": plain("optuna MB"),
    },
    "startup": {
        "from its first statement": plain("what"), "s": plain("s"), "range": plain("range"),
        "over optlab": times("over optlab"),
    },
}  # fmt: skip
COST: dict[str, Cell] = {
    "results": plain("results"), "`GP`, fits included": plain("gp"), "`GP`, between fits": plain("between fits"),
    "Optuna GP": beside("optuna gp"), "Optuna TPE": beside("optuna tpe"), "BoTorch": beside("botorch"),
    "scikit-optimize": beside("scikit-optimize"), "bayesian-optimization": beside("bayesian-optimization"),
}  # fmt: skip
RANKS: dict[str, Cell] = {
    "sampler": plain("sampler"), "cells": plain("cells"), "rank, final": logarithm("rank final"),
    "rank, mean": logarithm("rank mean"), "log10 regret, final": logarithm("log10 final"),
    "mean of trials 11-50": logarithm("log10 mean"), "within 1e-2": percent("within 1e-2"),
    "ms a suggestion": plain("ms/suggestion"),
}  # fmt: skip
PAIRS: dict[str, Cell] = {
    "to `GP`": plain("to gp"), "cells": plain("cells"), "seeds": plain("seeds"),
    "decades behind, final": error("behind, final", "± final"), "mean": error("behind, mean", "± mean"),
    "ends ahead of `GP`": percent("ahead of gp"), "within 1e-2": percent("within 1e-2"), "`GP`": percent("gp's"),
}  # fmt: skip
