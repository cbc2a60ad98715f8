"""What a Gaussian process believes after some trials, and why it looks where it looks next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optlab.errors import ConfigError, unknown
from optlab.search.gp.acquisition import ACQUISITIONS, LOGARITHMIC
from optlab.search.gp.propose import promising
from optlab.search.sampler import Observation
from optlab.search.samplers.gp import GP
from optlab.viz.style import COLORS, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINE = 501  # points of the curves
BAND = 2.0  # standard deviations


def plot_posterior(
    sampler: GP, seen: Sequence[Observation], along: str | None = None, fig: "Figure | None" = None
) -> "Figure":
    """Mean, band of two standard deviations and results above; acquisition and next point below.

    Losses are shown as the model sees them: warped and standardised. With several parameters, the curves run ``along``
    one, the others being those of the recommended trial; the results are then seen from the side.

    Raises:
        ConfigError: a choice, which has no axis, an unknown parameter, or too few results for the model.
    """
    space = sampler.space
    along = next(iter(space)) if along is None else along
    if along not in space:
        raise unknown("parameter", along, space)
    done = [o for o in seen if o.loss is not None]
    if len(done) < sampler.initial:
        raise ConfigError(f"the model starts after {sampler.initial} results, there are {len(done)}")
    k = list(space).index(along)
    if k in sampler.lattice.choices:
        raise ConfigError(f"{along} is a choice, which has no axis: take another parameter")
    post = sampler.posterior(seen)
    tried = post.data.points.T
    points = np.tile(tried[int(np.argmin(post.fitted()))], (FINE, 1))
    points[:, k] = np.linspace(0.0, 1.0, FINE)
    points = sampler.lattice.snap(points)
    mean, sd = post.predict(points)
    value = promising(post, ACQUISITIONS[sampler.acquisition], None)(points)
    value = np.exp(value) if sampler.acquisition in LOGARITHMIC else value
    after = max(o.number for o in seen) + 1
    following = sampler.propose([after], seen)[0].get(along)

    fig = figure(fig, size=(6.4, 5.4))
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    x = np.array([space[along].value(float(u)) for u in points[:, k]], float)
    above.fill_between(
        x, mean - BAND * sd, mean + BAND * sd, color=COLORS[0], alpha=0.2, linewidth=0, label=f"mean ± {BAND:g} sd"
    )
    above.plot(x, mean, color=COLORS[0], label="posterior mean")
    places = [space[along].value(float(u)) for u in tried[:, k]]
    above.plot(places, post.data.values, "o", color=COLORS[6], markersize=4, label="results")
    above.set_ylabel("loss, as the model sees it")
    below.fill_between(x, np.minimum(value.min(), 0.0), value, color=COLORS[2], alpha=0.3, linewidth=0)
    below.plot(x, value, color=COLORS[2])
    below.set_ylabel("expected improvement" if sampler.acquisition in (*LOGARITHMIC, "ei") else sampler.acquisition)
    below.set_xlabel(along)
    if following is not None:
        for ax in (above, below):
            ax.axvline(following, color=COLORS[1], linestyle="--", label=f"next: {along} = {following:.4g}")
    if space[along].log:
        below.set_xscale("log")
    above.legend(loc="best", fontsize="small")
    return fig
