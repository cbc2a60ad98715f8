"""Bayesian optimisation: a scrambled Sobol sequence first, then where a Gaussian process expects the most."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from optlab.checks import finite, whole
from optlab.errors import ConfigError, unknown
from optlab.search.arguments import python_entries
from optlab.search.functions import import_function, name_of
from optlab.search.gp import trust
from optlab.search.gp.acquisition import ACQUISITIONS, LOGARITHMIC
from optlab.search.gp.candidates import WIDE
from optlab.search.gp.chain import Chain
from optlab.search.gp.lattice import Lattice
from optlab.search.gp.mean import Mean
from optlab.search.gp.model import GaussianProcess, Posterior
from optlab.search.gp.one_thread import one_thread
from optlab.search.gp.prior import Belief, covariance, usual, weighted
from optlab.search.gp.propose import fresh, next_point, promising
from optlab.search.gp.records import standardize
from optlab.search.mistakes import Found, raise_if, shown, unknown_key
from optlab.search.sampler import Observation, Sampler, generator
from optlab.search.samplers.sobol import SobolSequence
from optlab.search.space import Space

Array = np.ndarray
WIDTH = 0.2  # of a belief in one value, as a fraction of the parameter's range
WHOLE = 4  # one in so many trials looks outside the trust region: .09 decades, and no search is trapped
FADING = 10.0  # a belief weighs FADING / n after n results


class GP(Sampler):
    """Proposes where a Gaussian process of the losses expects the largest improvement.

    The first ``initial`` results come from a scrambled Sobol sequence, unless there are others already. A batch is
    proposed as if the points before had given what the model expects of them, and so are trials that still run.
    Proposals repeat bit for bit on one kind of processor; another one sums in another order.

    Args:
        seed: of the sequence and the candidates.
        initial: results before the model is asked, from 1.
        acquisition: "log-ei", "ei", "ucb" or "noisy-ei".
        noise: standard deviation of the loss where a trial is repeated; None to estimate it, 0 for none. With noise a
            point may be proposed again.
        prior: where the best is expected, per parameter: a value, or ``(value, width)`` with the width as a fraction of
            the range (0.2 if not told). It fades as results come in.
        mean: a guess of the loss, ``mean(params) -> float`` or its ``"module:function"``: how far to believe it is
            estimated.

    Raises:
        ConfigError: with every mistake at once.

    >>> from optlab.search.space import Float, Space
    >>> sampler = GP(seed=0, initial=4)
    >>> sampler.bind(Space(x=Float(-1, 1)))
    >>> seen = []
    >>> for n in range(12):
    ...     params = sampler.propose([n], seen)[0]
    ...     seen.append(Observation(n, params, (params["x"] - 0.3) ** 2, "complete"))
    >>> abs(min(seen, key=lambda o: o.loss).params["x"] - 0.3) < 1e-3
    True
    """

    name = "gp"
    functions = ("mean",)

    def __init__(
        self,
        seed: int = 0,
        initial: int = 10,
        *,
        acquisition: str = "log-ei",
        noise: float | None = None,
        prior: Any = None,
        mean: "Callable[[dict[str, Any]], float] | str | None" = None,
    ) -> None:
        super().__init__(seed)
        found: Found = []
        if whole(initial) is None or initial < 1:
            found.append(("initial", f"must be a whole number from 1, got {shown(initial)}"))
        if noise is not None and (finite(noise) is None or noise < 0):
            found.append(("noise", f"must be a number from 0, or None to estimate it, got {shown(noise)}"))
        if not isinstance(prior or {}, Mapping):
            found.append(("prior", f"must be a dictionary of parameters and values, got {shown(prior)}"))
        if mean is not None and not callable(mean) and not (isinstance(mean, str) and mean.count(":") == 1):
            found.append(("mean", f'must be a function of the parameters or "module:function", got {shown(mean)}'))
        raise_if(found, "GP")
        if acquisition not in ACQUISITIONS:
            raise unknown("acquisition", acquisition, ACQUISITIONS)
        if prior and acquisition not in LOGARITHMIC:
            raise ConfigError(
                f"GP: a prior multiplies the expected improvement, got acquisition={acquisition!r}: take log-ei"
            )
        self.initial, self.acquisition, self.noise = int(initial), acquisition, finite(noise)
        self.prior, self.mean = python_entries(prior), mean

    def options(self) -> dict[str, Any]:
        """Those that are not the default."""
        guess = None if self.mean is None else name_of(self.mean)
        others = {"acquisition": self.acquisition, "noise": self.noise, "prior": dict(self.prior), "mean": guess}
        default: dict[str, Any] = {"acquisition": "log-ei", "noise": None, "prior": {}, "mean": None}
        return {"initial": self.initial, **{k: v for k, v in others.items() if v != default[k]}}

    def bind(self, space: Space) -> None:
        """Take the space; a prior names its parameters and values of theirs."""
        super().bind(space)
        self.lattice = Lattice(space)
        self._belief = self._believe()
        self._sequence = SobolSequence(len(space), self.seed)
        even = SobolSequence(len(space), self.seed + 1)
        self._spread = np.array([even[i] for i in range(WIDE)])
        self._known: dict[int, tuple[dict[str, Any], Array]] = {}
        guess = None if self.mean is None else _on_points(_function(self.mean), space)
        process = GaussianProcess(covariance(len(space), self.lattice.choices), Mean("constant", guess))
        self.chain = Chain(process, usual(len(space)), self.seed, self.initial, self.noise, space.digest)

    def _believe(self) -> Belief | None:
        found: Found = []
        center, width = np.full(len(self.space), 0.5), np.full(len(self.space), np.inf)
        for name, given in self.prior.items():
            value, size = given if isinstance(given, list | tuple) and len(given) == 2 else (given, WIDTH)
            if name not in self.space:
                unknown_key(found, "prior", name, self.space)
            elif finite(size) is None or size <= 0:
                found.append((f"prior.{name}", f"has a width greater than 0, got {shown(size)}"))
            else:
                before = len(found)
                value = self.space[name].normalised(value, f"prior.{name}", found)
                if len(found) == before:
                    k = list(self.space).index(name)
                    center[k], width[k] = self.space[name].unit(value), float(size)
        raise_if(found, "GP")
        if not self.prior:
            return None
        return Belief(center, width, np.isin(np.arange(len(self.space)), self.lattice.choices))

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """A point per number."""
        done = [o for o in seen if o.loss is not None]
        running = self._places([o for o in seen if o.loss is None])
        if len(done) < self.initial or not np.isfinite(_losses(done)).any():
            return self._even(numbers, np.vstack([self._places(done), running]))
        with one_thread:
            return self._modelled(numbers, done, running)

    def state(self) -> str | None:
        """Return the fits that were made since the last call."""
        return self.chain.state()

    def restore(self, states: Sequence[bytes]) -> None:
        """Take fits of earlier processes: those made of the results that are seen are not made again."""
        self.chain.restore(states)

    def posterior(self, seen: Sequence[Observation]) -> Posterior:
        """The model of the (warped, standardised) losses.

        Raises:
            ConfigError: there is no finite loss.
        """
        done = [o for o in seen if o.loss is not None]
        if not np.isfinite(_losses(done)).any():
            raise ConfigError("a model needs at least one result with a finite loss")
        with one_thread:
            return self.chain.posterior(self._places(done), _losses(done))

    def losses(self, seen: Sequence[Observation], values: Array) -> Array:
        """Return ``values`` of the `posterior` as losses: a mean becomes the median, and quantiles stay quantiles.

        Raises:
            ConfigError: there is no finite loss.
        """
        done = [o for o in seen if o.loss is not None]
        if not np.isfinite(_losses(done)).any():
            raise ConfigError("a model needs at least one result with a finite loss")
        with one_thread:
            return self.chain.losses(self._places(done), _losses(done), values)

    def recommend(self, seen: Sequence[Observation]) -> dict[str, Any]:
        """The tried parameters with the lowest posterior mean: under noise, not those of the luckiest loss."""
        post = self.posterior(seen)
        best = post.data.points[:, int(np.argmin(post.fitted()))]
        done = [o for o in seen if o.loss is not None]
        away = np.abs(self._places(done) - best).max(1)  # not 0: the model's points are rounded
        return dict(done[int(np.argmin(away))].params)

    def _places(self, trials: Sequence[Observation]) -> Array:
        """Points ``(n, d)``; each trial's is worked out once."""
        new = [o for o in trials if self._known.get(o.number, (None,))[0] != o.params]
        if new:
            places = self.lattice.snap(np.array([self.space.encode(o.params) for o in new]))
            self._known.update((o.number, (o.params, place)) for o, place in zip(new, places, strict=True))
        return np.array([self._known[o.number][1] for o in trials]).reshape(len(trials), len(self.space))

    def _even(self, numbers: Sequence[int], taken: Array) -> list[dict[str, Any]]:
        """Points of the sequence by number; in a small space, the nearest ones that are not tried yet."""
        found = []
        everything = self.lattice.everything
        for n in numbers:
            point = self.lattice.snap(self._sequence[n][None])[0]
            if everything is not None:
                left = everything[fresh(everything, taken)]
                if len(left):
                    point = left[int(np.argmin(np.abs(left - point).sum(1)))]
            taken = np.vstack([taken, point])
            found.append(self.space.decode(point if everything is not None else self._sequence[n]))
        return found

    def _modelled(self, numbers: Sequence[int], done: list[Observation], running: Array) -> list[dict[str, Any]]:
        tried, losses = self._places(done), _losses(done)
        post = self.chain.posterior(tried, losses)
        for point in running:
            post = post.imagine(point)
        side = self._sides(tried, losses, np.array([_local(o.number) for o in done]))
        extra = None if self._belief is None else weighted(self._belief, FADING / len(losses))
        taken = running if self.noise else np.vstack([tried, running])
        points: list[Array] = []
        for n in numbers:
            if points:
                post, taken = post.imagine(points[-1]), np.vstack([taken, points[-1]])
            rng = generator(self.seed, "gp", 2 * n)
            promise = promising(post, ACQUISITIONS[self.acquisition], extra)
            here = side if _local(n) else lambda _: np.inf
            points.append(next_point(promise, self.lattice, here, self._spread, rng, taken, self._rival(n)))
        return [self.space.decode(point) for point in points]

    def _sides(self, tried: Array, losses: Array, local: Array) -> Callable[[Array], float]:
        """The trust region's side at a point: each combination of choices has its own, from its own results."""
        standard, choices = standardize(losses)[0], self.lattice.choices

        def side(point: Array) -> float:
            same = (tried[:, choices] == point[choices]).all(1)
            initial = max(1, int(same[: self.initial].sum()))
            return trust.side(standard[same], local[same], initial, len(self.space))

        return side

    def _rival(self, number: int) -> int | None:
        """Outside the trust region, other values of a choice are looked at, of one choice after the other."""
        choices = [k for k in self.lattice.choices if (self.lattice.levels[k] or 0) > 1]
        return None if _local(number) or not choices else choices[number // WHOLE % len(choices)]


def _losses(done: Sequence[Observation]) -> Array:
    return np.array([o.loss for o in done], float)


def _local(number: int) -> bool:
    """Whether this trial is sought in the trust region, and not in the whole space as every fourth is."""
    return number % WHOLE > 0


def _function(guess: "Callable[[dict[str, Any]], float] | str") -> Callable[[dict[str, Any]], float]:
    if not isinstance(guess, str):
        return guess
    try:
        return cast(Callable[[dict[str, Any]], float], import_function(guess))
    except ConfigError as error:
        raise ConfigError(f"GP: mean: {error}: give a module's function by name") from None


def _on_points(guess: Callable[[dict[str, Any]], float], space: Space) -> Callable[[Array], Array]:
    """The same of points ``(d, n)``."""
    return lambda points: np.array([guess(space.decode(point)) for point in points.T], float)
