"""Pictures of how many times as long a peer takes: bars, the goals as marks."""

from collections.abc import Callable, Mapping
from typing import Any

from optlab.bench import descents, kernels, sweep, training
from optlab.bench.columns import digits
from optlab.bench.record import Record
from optlab.viz.style import figure

GREY = "0.55"
# Of a library's bars, by how its name begins; the rest is grey.
COLORS = {"torch": "#0072B2", "jax": "#D55E00", "optax": "#D55E00", "scikit": "#009E73", "optuna": "#D55E00"}

Bar = tuple[str, str, float, float | None]  # case, peer, its time over ours, the goal


def ratios(records: Mapping[str, Record]) -> Any:
    """Peers' times over ours as bars from 1, goals as black marks."""
    columns: dict[str, dict[str, Callable[[Record], list[Bar]]]] = {
        "one step of Adam": {"kernels": _adam},
        "training, 2-D descents": {"training": _training, "sweep": _sweep, "descents": _descents},
    }
    found = {
        title: [bar for table, bars in parts.items() if table in records for bar in bars(records[table])]
        for title, parts in columns.items()
    }
    found = {title: bars for title, bars in found.items() if bars}
    most = max(map(_height, found.values()))
    fig = figure(size=(10.0, 0.15 * most + 1.0))
    for ax, (title, bars) in zip(fig.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        _bars(ax, bars)
        ax.set(title=title, ylim=(-most, 0.0))
    fig.supxlabel("the other's time over optlab's: right of 1 optlab is faster; black marks are goals", size="medium")
    return fig


def throughput(records: Mapping[str, Record]) -> Any:
    """Optuna's time of a trial over ours."""
    bars: list[Bar] = [
        (f"{row['what']}, d = {row['parameters']}, {row['trials']:,} trials", peer, row[peer], None)
        for row in records["throughput"]["rows"]
        for peer in ("optuna", "optuna journal")
        if row.get(peer)
    ]
    fig = figure(size=(8.0, 0.19 * _height(bars) + 1.0))
    ax = fig.add_subplot(xlabel="Optuna's time over optlab's: right of 1 optlab is faster")
    _bars(ax, bars)
    ax.set_ylim(-_height(bars), 0.0)
    return fig


def _height(bars: list[Bar]) -> float:
    return len(bars) + 1.6 * len({case for case, *_ in bars})


def _bars(ax: Any, bars: list[Bar]) -> None:
    y, previous, ticks = 0.0, "", {}
    for case, peer, ratio, goal in bars:
        if case != previous:
            y -= 1.6
            ticks[y + 0.5] = case
        previous = case
        y -= 1.0
        ticks[y + 0.5] = peer
        color = next((color for library, color in COLORS.items() if peer.startswith(library)), GREY)
        ax.barh(y + 0.5, ratio - 1.0, left=1.0, height=0.75, color=color, alpha=0.7)
        beyond = max(ratio, goal or 1.0, 1.0)
        ax.annotate(digits(ratio), (beyond, y + 0.5), (4, 0), textcoords="offset points", va="center", size="x-small")
        if goal is not None:
            ax.plot([goal, goal], [y + 0.05, y + 0.95], color="black", lw=2.5, solid_capstyle="butt")
    ax.set_xscale("log")
    ax.axvline(1.0, color="black", lw=1)
    cases = {case for case, *_ in bars}
    ax.set_yticks(list(ticks), list(ticks.values()), size="small")
    for label in ax.get_yticklabels():
        label.set_weight("bold" if label.get_text() in cases else "normal")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.8), 2.0 * high)
    ax.grid(alpha=0.3, axis="x")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _adam(made: Record) -> list[Bar]:
    return [
        (f"n = {row['n']:,}", peer, row[peer], kernels.GOALS.get(peer, {}).get(row["n"]))
        for row in made["rows"]
        for peer in ("torch fused", "torch foreach", "torch for-loop", "optax", "numpy")
        if row["rule"] == "adam" and row.get(peer)
    ]


def _training(made: Record) -> list[Bar]:
    return [
        (
            f"{row['network']}, batch {row['batch']}",
            peer,
            row[peer],
            training.GOALS[int(row["network"].split("-")[0]), row["batch"]].get(peer),
        )
        for row in made["rows"]
        for peer in ("tape", "torch fused", "jax scan", "scikit-learn")
        if row.get(peer)
    ]


def _sweep(made: Record) -> list[Bar]:
    others = ("jax vmap", "jax map", "torch.func", "torch baddbmm", "torch in turn")
    bare = sweep.CLOCKS[False]
    return [
        (f"64 models: {row['clock']}", peer, row[peer], sweep.GOALS.get(peer) if row["clock"] == bare else None)
        for row in made["rows"]
        for peer in others
        if row.get(peer)
    ]


def _descents(made: Record) -> list[Bar]:
    others = ("jax scan", "jax vmap", "python floats", "torch loop")
    return [
        (f"2-D: {row['what']}", peer, row[peer], descents.GOALS.get((row["what"], peer)))
        for row in made["rows"]
        for peer in others
        if row.get(peer)
    ]
