"""Search hyperparameters: a space, a sampler that proposes, a study that runs and remembers."""

from typing import TYPE_CHECKING

from optlab.lazy import lazily

if TYPE_CHECKING:
    from optlab.search.minimize import minimize as minimize
    from optlab.search.pruners import Halving as Halving
    from optlab.search.pruners import Median as Median
    from optlab.search.sampler import Sampler as Sampler
    from optlab.search.samplers.gp import GP as GP
    from optlab.search.samplers.grid import Grid as Grid
    from optlab.search.samplers.random import Random as Random
    from optlab.search.samplers.refine import Refine as Refine
    from optlab.search.samplers.sobol import Sobol as Sobol
    from optlab.search.space import Choice as Choice
    from optlab.search.space import Float as Float
    from optlab.search.space import Int as Int
    from optlab.search.space import Space as Space
    from optlab.search.spec import SweepSpec as SweepSpec
    from optlab.search.spec import load_sweep as load_sweep
    from optlab.search.study import Study as Study
    from optlab.search.trial import Pruned as Pruned
    from optlab.search.trial import Trial as Trial
    from optlab.search.trial import TrialError as TrialError

_HOME = {
    "GP": "optlab.search.samplers.gp",
    "Grid": "optlab.search.samplers.grid",
    "Random": "optlab.search.samplers.random",
    "Refine": "optlab.search.samplers.refine",
    "Sobol": "optlab.search.samplers.sobol",
    "Sampler": "optlab.search.sampler",
    "Study": "optlab.search.study",
    "minimize": "optlab.search.minimize",
    **dict.fromkeys(("Choice", "Float", "Int", "Space"), "optlab.search.space"),
    **dict.fromkeys(("Halving", "Median"), "optlab.search.pruners"),
    **dict.fromkeys(("SweepSpec", "load_sweep"), "optlab.search.spec"),
    **dict.fromkeys(("Pruned", "Trial", "TrialError"), "optlab.search.trial"),
}
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazily(__name__, _HOME)
