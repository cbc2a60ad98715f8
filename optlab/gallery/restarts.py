"""Local minima and restarts: how often one descent finds the minimum, and how many starts make it nearly sure.

A descent from a random start ends where its valley ends. If one start succeeds with probability p, k independent starts
all fail with probability (1 - p)^k, so that for 95 % it takes

    k = ceil(ln 0.05 / ln(1 - p))

What to look for: p is the area of the basin of attraction, and it belongs to the rule and its rate as much as to the
surface. On Beale, Adam with a rate of 0.1 arrives from half of the square, with 0.01 from less than a third, and SGD
with 1e-4 from a tenth: it overflows on the walls and is too slow on the floor. On Rastrigin, with a hundred minima,
only the middle cell leads to the lowest one: its area is 1/121 of the square.

The 20,000 starts are an even grid here, not draws: its share of successes has a smaller error. Rastrigin looks like a
reason to give up on descent; but its minima follow a smooth trend that leads to the lowest. Restarts forget that trend,
as random search does; a model does not.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict

TITLE = "Local minima: how many restarts does it take?"
SOURCE = "post, Challenges (local minima)"
TRY = (
    "Change the rate of Adam on Beale to 0.3, or the number of steps to 300: the share p moves, and with it the number "
    "of restarts; the surface is the same."
)

RESOLUTION, FAST_RESOLUTION = 141, 41  # 141^2 = 19,881 starts; odd, so that a cell lies on Rastrigin's minimum
NEAR = 0.5  # of the minimum: success
SURE = 0.95
CASES: dict[str, tuple[str, ol.Settings, int]] = {
    "Beale, Adam 0.1": ("beale", ol.Adam(lr=0.1), 3000),
    "Beale, Adam 0.01": ("beale", ol.Adam(lr=0.01), 3000),
    "Beale, SGD 1e-4": ("beale", ol.SGD(lr=1e-4), 3000),
    "Rastrigin, SGD 1e-3": ("rastrigin", ol.SGD(lr=1e-3), 2000),
}
SHARES = {"Beale, Adam 0.1": 0.497, "Beale, Adam 0.01": 0.301, "Beale, SGD 1e-4": 0.095, "Rastrigin, SGD 1e-3": 0.0084}
SLACK = {"beale": 0.02, "rastrigin": 0.003}


def restarts(p: float) -> int:
    """The number of starts of which one succeeds with probability 0.95."""
    return math.ceil(math.log(1 - SURE) / math.log(1 - p))


def successes(surface: str, rule: ol.Settings, steps: int, resolution: int) -> np.ndarray:
    """Which starts end within 0.5 of the minimum: (resolution, resolution), at the middles of even cells."""
    sides = []
    for low, high in ol.SURFACES[surface].domain:
        half = 0.5 * (high - low) / resolution
        sides.append((low + half, high - half))
    ends = ol.basin(surface, rule, resolution, steps, window=(sides[0], sides[1])).ends
    return np.asarray(ol.SURFACES[surface].distance(ends.reshape(-1, 2)).reshape(ends.shape[:2]) < NEAR)


def run(setup: Setup) -> dict[str, Any]:
    """The starts that succeed in each case; restarts drawn from them."""
    resolution = FAST_RESOLUTION if setup.fast else RESOLUTION
    found = {name: successes(*case, resolution) for name, case in CASES.items()}
    rng = np.random.default_rng([setup.seed, 0])
    drawn = {}
    for name, good in found.items():
        starts = rng.integers(0, good.size, (4000, restarts(SHARES[name])))
        drawn[name] = float(good.ravel()[starts].any(axis=1).mean())
    return {"found": found, "drawn": drawn}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The shares; the restarts that follow; that so many restarts succeed."""
    shares = {name: float(good.mean()) for name, good in data["found"].items()}
    needed = {name: restarts(p) if 0 < p < 1 else None for name, p in shares.items()}
    want = {name: restarts(p) for name, p in SHARES.items()}
    return [
        Verdict(
            "restarts",
            "the share of starts that end within 0.5 of the minimum",
            {name: round(p, 4) for name, p in shares.items()},
            f"{SHARES}, Beale to 0.02, Rastrigin to 0.003",
            all(abs(p - SHARES[name]) <= SLACK[CASES[name][0]] for name, p in shares.items()),
            f"{data['found']['Beale, Adam 0.1'].size} starts on an even grid",
        ),
        Verdict(
            "restarts:count",
            "restarts for 95 %: a few with a good rate, 30 with a slow one, hundreds among a hundred minima",
            needed,
            f"{want}, each to a quarter",
            all(k is not None and abs(k / want[name] - 1) <= 0.25 for name, k in needed.items()),
        ),
        Verdict(
            "restarts:sure",
            "so many restarts, drawn at random, succeed nineteen times in twenty",
            data["drawn"],
            "0.95 or up to 0.03 less (p is known to its third digit only)",
            all(p >= SURE - 0.03 for p in data["drawn"].values()),
            "4,000 repetitions; a whole number of restarts is at or above 0.95, and 5 of p = 0.5 are well above",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The basins over the surfaces; the chance of success against the number of restarts."""
    from matplotlib.colors import ListedColormap

    from optlab.viz.contour import levels
    from optlab.viz.style import COLORS, figure, looks

    fig = figure(size=(13.5, 8.4))
    axes = fig.subplot_mosaic([[*"abc"], ["d", "e", "e"]])
    for key, (name, good) in zip("abcd", data["found"].items(), strict=True):
        ax, surface = axes[key], ol.SURFACES[CASES[name][0]]
        (x0, x1), (y0, y1) = surface.domain
        colors = ListedColormap(["#f2f2f2", COLORS[0]])
        ax.imshow(good, origin="lower", extent=(x0, x1, y0, y1), cmap=colors, vmin=0, vmax=1, aspect="auto")
        xs, ys, values = surface.grid(200)
        ax.contour(xs, ys, values, levels=levels(values, 12), colors="grey", linewidths=0.4)
        ax.plot(*surface.minima[0], marker="*", markersize=15, color="white", markeredgecolor="black")
        ax.set(title=f"{name}: {100 * good.mean():.2g} % of starts arrive", xlabel="x", ylabel="y")
    k = np.arange(1, 501)
    chances = {name: 1 - (1 - good.mean()) ** k for name, good in data["found"].items()}
    for (name, chance), look in zip(chances.items(), looks(chances).values(), strict=True):
        axes["e"].semilogx(k, chance, color=look.color, linestyle=look.dash, linewidth=2, label=name)
    axes["e"].axhline(SURE, color="grey", linewidth=0.8)
    axes["e"].text(1.05, SURE + 0.01, "95 %", fontsize="small", color="dimgrey")
    axes["e"].set(xlabel="restarts", ylabel="chance that one arrives", title="1 − (1 − p)^k", ylim=(0, 1.04))
    axes["e"].set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    axes["e"].grid(alpha=0.3)
    axes["e"].legend(fontsize="small", loc="lower right")
    return save(fig, out, "restarts")


if __name__ == "__main__":
    main("restarts")
