"""The pictures of the page of benchmarks, each from one record or a few."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optlab.bench import kernels, search_cost
from optlab.bench.bars import GREY, ratios, throughput
from optlab.bench.record import Record
from optlab.bench.search_peers import INITIAL
from optlab.files import replacing
from optlab.viz.style import Look, figure, looks, own_style

LIBRARIES = ("optlab", "torch fused", "torch foreach", "torch for-loop", "optax", "numpy")
SAMPLERS = (
    "gp", "optuna gp", "optuna tpe", "botorch", "scikit-optimize", "bayesian-optimization", "sobol", "random",
)  # fmt: skip
NAMES = {
    "gp": "optlab GP",
    "sobol": "Sobol",
    "random": "random",
    "optuna gp": "Optuna GP",
    "optuna tpe": "Optuna TPE",
    "botorch": "BoTorch",
}
ACROSS = ("data", "axes fraction")


def roofline(records: Mapping[str, Record]) -> Any:
    """Gigabytes a second against n: Adam in every library, under the ceiling and over the caches; and how much of its
    ceiling every rule of ours reaches."""
    made = records["kernels"]
    fig = figure(size=(10.0, 4.6))
    left, right = fig.subplots(1, 2)
    _libraries(left, made, "adam")
    each = 4 * (2 + _slots("adam"))
    for level, size in made["caches"].items():
        left.axvline(size / each, color=GREY, lw=1, ls=":")
        left.annotate(
            f"{level} full ", (size / each, 0.97), xycoords=ACROSS, ha="right", va="top", size="small", rotation=90
        )
    left.set(title="Adam, every library", yscale="log", ylabel="GB read and written per second")
    left.legend(frameon=False, fontsize="small", loc="lower right")
    names = list(dict.fromkeys(row["rule"] for row in made["rows"]))
    for rule, look in looks(names).items():
        n, share = zip(*((row["n"], row["of ceiling"]) for row in made["rows"] if row["rule"] == rule), strict=True)
        right.plot(n, share, color=look.color, ls=look.dash, marker=look.marker, ms=4, label=rule)
    right.axhline(1.0, color=GREY, lw=5, alpha=0.4)
    right.set(title="optlab, every rule", ylabel="share of the memory's ceiling")
    right.set_ylim(bottom=0.0)
    right.legend(frameon=False, fontsize="small", loc="lower right", ncols=3)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="parameters n, float32")
        ax.grid(alpha=0.3)
    return fig


def rules(records: Mapping[str, Record]) -> Any:
    """The left half of the roofline for every rule."""
    made = records["kernels"]
    names = list(dict.fromkeys(row["rule"] for row in made["rows"]))
    fig = figure(size=(10.0, 2.3 * -(-len(names) // 4)))
    axes = fig.subplots(-(-len(names) // 4), 4, sharex=True, sharey=True, squeeze=False).flat
    for ax, rule in zip(axes, names, strict=False):
        _libraries(ax, made, rule)
        ax.set(xscale="log", yscale="log", title=rule)
        ax.set_xlabel("n" if ax.get_subplotspec().is_last_row() else "")
        ax.grid(alpha=0.3)
    handles = {label: line for ax in fig.axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(handles.values(), handles, frameon=False, ncols=len(handles), loc="outside lower center")
    fig.supylabel("GB read and written per second")
    return fig


def _libraries(ax: Any, made: Record, rule: str) -> None:
    rows = [row for row in made["rows"] if row["rule"] == rule]
    n = [row["n"] for row in rows]
    ax.plot(n, [row["GB/s"] / row["of ceiling"] for row in rows], color=GREY, lw=5, alpha=0.4, label="memory's ceiling")
    for name, look in looks(LIBRARIES).items():
        over = {"optlab": 1.0}.get(name)
        known = [(row["n"], row["GB/s"] / (over or row[name])) for row in rows if over or row.get(name)]
        if known:
            ax.plot(*zip(*known, strict=True), color=look.color, ls=look.dash, marker=look.marker, ms=4, label=name)


def _slots(rule: str) -> int:
    settings = {kernels.label(s): s for s in kernels.entrants()}
    return len(settings[rule].variant.slots)


def regret(records: Mapping[str, Record]) -> Any:
    """The median regret so far by trial, the best at the end first; every tenth trial the interval of the median."""
    curves = sorted(records["search"]["curves"], key=lambda row: row["median"][-1])
    fig = figure(size=(8.0, 4.8))
    ax = fig.add_subplot(xlabel="trial", ylabel="regret so far, in regrets of a random point", yscale="log")
    for i, row in enumerate(curves):
        low, median, high = (10.0 ** np.array(row[what]) for what in ("low", "median", "high"))
        trial, look = np.arange(1, len(median) + 1), _sampler(row["sampler"])
        ax.plot(trial, median, color=look.color, ls=look.dash, label=NAMES.get(row["sampler"], row["sampler"]))
        at = np.arange(19, len(median), 10)
        ax.vlines(trial[at] + 0.35 * (i - len(curves) + 1), low[at], high[at], color=look.color, lw=2, alpha=0.6)
    ax.axvspan(1, INITIAL, color="0.93", zorder=0)
    ax.text(5.5, 0.02, "the same ten\nfor all", transform=ax.get_xaxis_transform(), ha="center", size="small")
    ax.set(xlim=(1, None))
    ax.grid(alpha=0.3)
    fig.legend(frameon=False, fontsize="small", loc="outside right upper")
    return fig


def _sampler(name: str) -> Look:
    """Of those without a model, grey."""
    look = looks(SAMPLERS)[name]
    return look._replace(color=GREY) if name in ("sobol", "random") else look


def cost(records: Mapping[str, Record]) -> Any:
    """Milliseconds against results, both logarithmic, with the exponents and a cubic to compare with."""
    rows = records["search"]["cost"]
    fig = figure(size=(8.0, 4.2))
    ax = fig.add_subplot(xscale="log", yscale="log", xlabel="results", ylabel="milliseconds per suggestion, CPU")
    for name in SAMPLERS:
        look = _sampler(name)
        points = [(row["results"], row[name]) for row in rows if row.get(name)]
        if not points:
            continue
        b, label = search_cost.exponent(rows, name), NAMES.get(name, name)
        text = label if b is None else f"{label}: n^{b:.2f} from 200 on"
        ax.plot(*zip(*points, strict=True), color=look.color, ls=look.dash, marker=look.marker, label=text)
    if large := [row for row in rows if row["results"] >= 200]:
        n = np.array([row["results"] for row in large])
        ax.plot(n, large[0][search_cost.OURS] * (n / n[0]) ** 3.0, color=GREY, lw=1, label="n^3")
    ax.set_xticks([row["results"] for row in rows], [str(row["results"]) for row in rows], minor=False)
    ax.set_xticks([], minor=True)
    ax.grid(alpha=0.3)
    fig.legend(frameon=False, fontsize="small", loc="outside right upper")
    return fig


# File -> how it is drawn, and which entries of which record it needs.
PICTURES: dict[str, tuple[Callable[[Mapping[str, Record]], Any], str, str]] = {
    "bench-roofline": (roofline, "kernels", "rows"),
    "bench-rules": (rules, "kernels", "rows"),
    "bench-ratios": (ratios, "kernels", "rows"),
    "bench-throughput": (throughput, "throughput", "rows"),
    "bench-regret": (regret, "search", "curves"),
    "bench-cost": (cost, "search", "cost"),
}


def drawn(records: Mapping[str, Record]) -> list[str]:
    """The names of those that the records have the numbers for."""
    return [name for name, (_, table, entry) in PICTURES.items() if records.get(table, {}).get(entry)]


@own_style()
def draw(records: Mapping[str, Record], folder: Path) -> list[Path]:
    """Write them all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in drawn(records)]
    for path in paths:
        with replacing(path) as draft:
            PICTURES[path.stem][0](records).savefig(draft, dpi=110)
    return paths
