"""What the tests of faults share: every sampler, an uninterrupted study, and a driver as a process of its own."""

import subprocess
import sys

import sweeps
from sweeps import SPACE, bowl

from optlab.search import GP, Grid, Random, Sobol, Study

SAMPLERS = {
    "grid": lambda: Grid(x=[-0.5, -0.25, 0.0, 0.25, 0.5], lr=[1e-3, 1e-2], width=[4, 8], rule=["sgd", "adam"]),
    "random": lambda: Random(seed=5),
    "sobol": lambda: Sobol(seed=5),
}
LEARNS = {**SAMPLERS, "gp": lambda: GP(seed=5)}


def straight(sampler, trials, objective=bowl, **options):
    study = Study(SPACE, LEARNS[sampler](), **options)
    study.run(objective, trials=trials)
    return study


def driver(path, total, workers, name="logged", **environment):
    command = [sys.executable, sweeps.__file__, str(path), str(total), str(workers), name]
    environment = {**sweeps.environment(), **environment}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
