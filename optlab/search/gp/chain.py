"""The model after n results, as a function of those results alone: whatever ran, stopped and resumed in between.

A fit starts from the one before, so that the fits form a chain; which results each one sees is fixed by their number.
Between two fits the Cholesky factor grows by a row per result. Both are kept in memory and dropped as soon as an
earlier result turns out to be another one. A fresh process starts from the latest saved fit that was made of the same
results (see `fits`), or from the chain's start, and arrives at the same bits.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optlab.search.gp.factor import Factor
from optlab.search.gp.fits import Fit, SavedFit, digest, parsed, written
from optlab.search.gp.model import GaussianProcess, Posterior
from optlab.search.gp.prior import Prior
from optlab.search.gp.records import Data, group, snap, standardize
from optlab.search.gp.warp import NONE, Warp, choose
from optlab.search.sampler import generator

Array = np.ndarray
EACH = 40  # results up to which every one is followed by a fit
GROWTH = 1.1  # of the results between two fits after that: measured no worse than a fit after each
FRESH = 5  # one fit in so many has fresh starts besides the one before,
LARGE, ROUNDS, FEWER = 200, 15, 8  # up to LARGE results; then none has, and a few rounds follow the slow change
MANY, KEPT = 2000, 1000  # beyond MANY results, the model sees the KEPT nearest the best
EXACT, NOISIEST = 1e-8, 1e3  # the noise ratio of losses declared free of noise; the largest of a known noise


class Chain:
    """Fits after the first ``initial`` results, then along `schedule`.

    Args:
        process: `prior.covariance` and a mean; theta begins with lengthscales.
        prior: of its theta.
        seed: of the fresh starts.
        initial: results before the first fit.
        noise: standard deviation of the losses' noise; None to estimate it, 0 for none.
        space: a digest of what the points mean.
    """

    def __init__(
        self,
        process: GaussianProcess,
        prior: Prior,
        seed: int,
        initial: int,
        noise: float | None = None,
        space: str = "",
    ) -> None:
        self.process, self.prior, self.seed, self.initial, self.noise = process, prior, seed, initial, noise
        self._points, self._losses = np.zeros((0, process.covariance.d)), np.zeros(0)
        self._settings = [seed, initial, noise, space]
        self._fits: dict[int, Fit] = {}
        self._unsaved: list[int] = []  # results of the fits that `state` has not given yet
        self._saved: dict[int, list[SavedFit]] = defaultdict(list)
        self._factor: tuple[int, int, Factor] | None = None  # results in the fit, results in the factor, the factor

    def posterior(self, points: Array, losses: Array) -> Posterior:
        """Of the warped, standardised losses: ``points (n, d)`` and ``losses (n,)`` in the order of their trials.

        A loss that is not finite counts as a failure, worse than all others; at least one is finite.
        """
        points = snap(points)
        self._forget(points, losses)
        theta, warp, at = self._walk(points, losses)
        data = self._data(points, losses, warp)
        if len(losses) > MANY or at == 0:
            return self.process.posterior(theta, data)
        return self.process.posterior(theta, data, self._grow(theta, points, at))

    def losses(self, points: Array, losses: Array, values: Array) -> Array:
        """Return what the model of these results knows as ``values``, in the units of ``losses``."""
        points = snap(points)
        _, warp, _ = self._walk(points, losses)
        kept, standard, unit = self._standard(points, losses)
        best = int(np.argmin(standard))
        if not np.isfinite(unit):  # all are equal
            return np.full(np.shape(values), losses[kept[best]])
        return np.asarray(losses[kept[best]] + unit * (warp.inverse(standard, values) - standard[best]))

    def state(self) -> str | None:
        """Return the fits made since the last call as text for `restore`; None if there are none."""
        new = [m for m in dict.fromkeys(self._unsaved) if m in self._fits]
        self._unsaved.clear()
        return written([SavedFit(m, self._fits[m], self._digest(m, self._fits[m])) for m in new]) if new else None

    def restore(self, states: Sequence[bytes]) -> None:
        """Take what `state` gave other chains."""
        for saved in (saved for text in states for saved in parsed(text)):
            self._saved[saved.results].append(saved)

    def _digest(self, m: int, fit: Fit) -> str:
        points = self._points[:m]
        return digest(self._settings, [points, self._losses[:m], self.process.mean.basis(points.T)], fit)

    def _known(self, m: int) -> bool:
        """Whether the fit after ``m`` results is at hand, or saved."""
        for saved in () if m in self._fits else self._saved.get(m, ()):
            if saved.plausible(*self._bounds()) and saved.digest == self._digest(m, saved.fit):
                self._fits[m] = saved.fit
        return m in self._fits

    def _bounds(self) -> tuple[Array, Array]:
        if self.noise is None:
            return self.prior.low, self.prior.high
        return _with_noise(self.prior, EXACT).low, _with_noise(self.prior, NOISIEST).high

    def _forget(self, points: Array, losses: Array) -> None:
        """Drop what was derived from results that are different now."""
        n = min(len(losses), len(self._losses))
        same = (points[:n] == self._points[:n]).all(1)
        same &= (losses[:n] == self._losses[:n]) | (np.isnan(losses[:n]) & np.isnan(self._losses[:n]))
        common = n if same.all() else int(np.argmin(same))
        self._fits = {m: fit for m, fit in self._fits.items() if m <= common}
        if self._factor is not None and self._factor[1] > common:
            self._factor = None
        self._points, self._losses = points.copy(), losses.copy()

    def _walk(self, points: Array, losses: Array) -> tuple[Array, Warp, int]:
        """The latest fit of the schedule, all those before it made first."""
        first = max(self.initial, int(np.argmax(np.isfinite(losses))) + 1)
        steps = schedule(first, len(losses))
        known = next((k for k in reversed(range(len(steps))) if self._known(steps[k])), -1)
        for k in range(known + 1, len(steps)):
            m = steps[k]
            theta = self._fits[steps[k - 1]].theta if k else self.prior.start
            anew = k % FRESH == 0 and (k == 0 or m <= LARGE)
            self._fits[m] = self._fit(points[:m], losses[:m], theta, anew)
            self._unsaved.append(m)
        return (*self._fits[steps[-1]], steps[-1]) if steps else (self.prior.start, NONE, 0)

    def _fit(self, points: Array, losses: Array, theta: Array, anew: bool) -> Fit:
        prior, n = self.prior, len(losses)
        starts = [theta]
        if anew:
            starts += [prior.start, prior.draw(generator(self.seed, "gp", 2 * n + 1))]
        if self.noise:
            return Fit(self._fit_known_noise(points, losses, np.array(starts)), NONE)
        if self.noise == 0.0:
            prior = _with_noise(prior, EXACT)
        kept, standard, _ = self._standard(points, losses)
        groups = group(points[kept])
        data = groups.data(points[kept], standard)
        factor = None if theta is prior.start else self.process.factor(theta, data)
        bent = self.process.mean.guess is None  # a guess is of the losses as they are
        warp = choose(standard, groups, factor, float(np.exp(theta[-1]))) if bent else NONE
        data = groups.data(points[kept], warp(standard)[0])
        return Fit(self.process.fit(data, np.array(starts), prior, ROUNDS if n <= LARGE else FEWER), warp)

    def _fit_known_noise(self, points: Array, losses: Array, starts: Array) -> Array:
        """The ratio eta depends on the scale s2, which depends on eta: three rounds settle it."""
        _, _, unit = self._standard(points, losses)
        data = self._data(points, losses, NONE)
        variance = min((self.noise or 0.0) / max(unit, 1e-300), 1e3) ** 2
        eta, theta = variance, starts[0]
        for _ in range(3):
            prior = _with_noise(self.prior, min(max(eta, EXACT), NOISIEST))
            theta = self.process.fit(data, np.vstack([starts, theta]), prior)
            eta = variance / self.process.posterior(theta, data).scale
        return np.asarray(theta)

    def _standard(self, points: Array, losses: Array) -> tuple[Array, Array, float]:
        """Which results the model sees, their standardised losses, the unit."""
        standard, unit = standardize(losses)
        n = len(losses)
        if n <= MANY:
            return np.arange(n), standard, unit
        away = ((points - points[int(np.argmin(standard))]) ** 2).sum(1)
        kept = np.sort(np.argsort(away, kind="stable")[:KEPT])
        return kept, standard[kept], unit

    def _data(self, points: Array, losses: Array, warp: Warp) -> Data:
        kept, standard, _ = self._standard(points, losses)
        return group(points[kept]).data(points[kept], warp(standard)[0])

    def _grow(self, theta: Array, points: Array, at: int) -> Factor:
        """The factor of the fit after ``at`` results, then row by row: in the same steps whoever asks."""
        held = self._factor
        if held is not None and held[0] == at:
            done, factor = held[1], held[2]
        else:
            done, factor = at, self._anew(theta, points[:at])
        groups = group(points)
        for n in range(done, len(points)):
            old = np.ascontiguousarray(points[groups.first[groups.first < n]].T)
            repeated = groups.first[groups.index[n]] < n
            grown = None if repeated else self.process.grow(theta, factor, old, points[n])
            factor = self._anew(theta, points[: n + 1]) if grown is None else grown
        self._factor = (at, len(points), factor)
        return factor

    def _anew(self, theta: Array, points: Array) -> Factor:
        return self.process.factor(theta, group(points).data(points, np.zeros(len(points))))


def schedule(first: int, n: int) -> list[int]:
    """After how many results there is a fit, up to ``n``.

    >>> schedule(38, 50)
    [38, 39, 40, 44, 49]
    """
    found = []
    while first <= n:
        found.append(first)
        first = max(first + 1, int(np.ceil(first * GROWTH)) if first >= EACH else 0)
    return found


def _with_noise(prior: Prior, ratio: float) -> Prior:
    """With the noise fixed."""
    value = np.log(ratio)
    fixed = [np.append(part[:-1], value) for part in (prior.low, prior.high, prior.start)]
    return replace(prior, low=fixed[0], high=fixed[1], start=fixed[2])
