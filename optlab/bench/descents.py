"""2-D descents: a recorded Adam trajectory and a basin map, against JAX, torch and plain Python loops."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench.timing import Times, interleave
from optlab.descent.basin import basin
from optlab.descent.descent import descend
from optlab.optim.rules import RULES

STEPS, START, RATE = 10_000, (1.0, 1.5), 0.1
SIDE, MAP_STEPS = 200, 200
GOALS = {("trajectory", "jax scan"): 1.3, ("trajectory", "torch loop"): 3000.0, ("basin", "jax vmap"): 2.5}


def beale(x: Any, y: Any) -> Any:
    """Beale's function in any library's numbers."""
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y
    return a * a + b * b + c * c


def slope(x: Any, y: Any) -> tuple[Any, Any]:
    """Its gradient by hand: the peers need not differentiate on the clock either."""
    a, b, c = 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y
    return 2 * (a * (y - 1) + b * (y * y - 1) + c * (y * y * y - 1)), 2 * x * (a + 2 * y * b + 3 * y * y * c)


def python_loop(steps: int = STEPS) -> list[Any]:
    """Adam on two Python floats, the same things recorded."""
    (x, y), (mx, my, vx, vy), (p1, p2) = START, (0.0,) * 4, (1.0, 1.0)
    record = []
    for _ in range(steps):
        gx, gy = slope(x, y)
        record.append((x, y, beale(x, y), gx, gy, mx, my, vx, vy))
        p1, p2 = p1 * 0.9, p2 * 0.999
        mx, my = 0.9 * mx + 0.1 * gx, 0.9 * my + 0.1 * gy
        vx, vy = 0.999 * vx + 0.001 * gx * gx, 0.999 * vy + 0.001 * gy * gy
        scale, rate = (1 - p2) ** -0.5, RATE / (1 - p1)
        x -= rate * mx / (vx**0.5 * scale + 1e-8)
        y -= rate * my / (vy**0.5 * scale + 1e-8)
    return record


def torch_loop(steps: int) -> Callable[[], Any]:
    """What a course's notebook does: autograd and `torch.optim.Adam`, the points recorded."""
    import torch

    def run() -> Any:
        w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([w], lr=RATE)
        points = []
        for _ in range(steps):
            points.append(w.detach().clone())
            optimizer.zero_grad()
            beale(w[0], w[1]).backward()
            optimizer.step()
        return points

    return run


def _jax_scan(steps: int) -> Any:
    """`lax.scan` over optax.adam, returning the same record: point, value, gradient, both moments."""
    import jax
    import optax

    transform = optax.adam(RATE)

    def body(carry: Any, _: Any) -> Any:
        w, state = carry
        g = jax.numpy.stack(slope(w[0], w[1]))
        updates, new = transform.update(g, state)
        kept = (w, beale(w[0], w[1]), g, state[0].mu, state[0].nu)
        return (optax.apply_updates(w, updates), new), kept

    return lambda w: jax.lax.scan(body, (w, transform.init(w)), None, length=steps)[1]


def _jax_map(steps: int) -> Any:
    """The same descent without a record: the first step on target and the last point, as `basin` keeps them."""
    import jax
    import optax

    transform = optax.adam(RATE)

    def descent(w: Any) -> Any:
        def body(carry: Any, t: Any) -> Any:
            w, state, hit = carry
            hit = jax.numpy.minimum(hit, jax.numpy.where(beale(w[0], w[1]) <= 1e-3, t, jax.numpy.inf))
            updates, state = transform.update(jax.numpy.stack(slope(w[0], w[1])), state)
            return (optax.apply_updates(w, updates), state, hit), None

        start = (w, transform.init(w), jax.numpy.array(np.inf))
        (w, _, hit), _ = jax.lax.scan(body, start, jax.numpy.arange(steps, dtype=jax.numpy.float64))
        return w, hit

    return jax.vmap(descent)


def trajectory(peers: bool, rounds: int) -> Times:
    """10,000 recorded Adam steps on Beale: seconds of all."""
    settings = RULES["adam"](lr=RATE)
    work: dict[str, Callable[[], object]] = {
        "optlab": lambda: descend("beale", settings, START, STEPS),
        "python floats": python_loop,
    }
    scale = {}
    if peers and find_spec("optax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        scan = jax.jit(_jax_scan(STEPS))
        w = jax.numpy.array(START)
        want = descend("beale", settings, START, STEPS).points[:1000]
        np.testing.assert_allclose(np.asarray(scan(w)[0])[:1000], want, rtol=1e-6)
        work["jax scan"] = lambda: jax.block_until_ready(scan(w))
    if peers and find_spec("torch"):
        short = 200
        work["torch loop"] = torch_loop(short)
        scale["torch loop"] = STEPS / short
    return interleave(work, rounds, 0.05).scaled(scale)


def basin_map(peers: bool, rounds: int) -> Times:
    """200 x 200 starts, 200 Adam steps each: seconds of all."""
    settings = RULES["adam"](lr=RATE)
    work: dict[str, Callable[[], object]] = {"optlab": lambda: basin("beale", settings, SIDE, MAP_STEPS)}
    if peers and find_spec("optax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        side = np.linspace(-4.5, 4.5, SIDE)
        starts = jax.numpy.array(np.array(np.meshgrid(side, side)).reshape(2, -1).T)
        mapped = jax.jit(_jax_map(MAP_STEPS))
        ends = np.asarray(mapped(starts)[0])
        np.testing.assert_allclose(
            ends, basin("beale", settings, SIDE, MAP_STEPS).ends.reshape(-1, 2), rtol=1e-6, atol=1e-6
        )
        work["jax vmap"] = lambda: jax.block_until_ready(mapped(starts))
    return interleave(work, rounds, 0.05)


RACES = {"trajectory": (trajectory, STEPS), "basin": (basin_map, SIDE * SIDE * MAP_STEPS)}  # and its steps


def row(what: str, times: Times) -> dict[str, Any]:
    """Millions of steps a second, each other's time over ours."""
    ratios = {name: times.ratio(name, "optlab") for name in times.rounds if name != "optlab"}
    return {"what": what, "M steps/s": RACES[what][1] / times.median("optlab") / 1e6, **ratios}


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for what, (race, _) in RACES.items():
        yield row(what, race(peers, rounds))


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        for (what, peer), goal in GOALS.items():
            if what == row["what"] and peer in row:
                good = "met   " if row[peer] >= goal else "MISSED"
                lines.append(f"{good} {what}: {row[peer]:.4g}x {peer}, goal {goal:g}x")
    return lines
