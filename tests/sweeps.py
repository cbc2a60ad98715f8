"""What the tests of studies share: objectives that a process can import, studies, and a driver to be killed."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from optlab.search import Choice, Float, Int, Random, Space, Study

SPACE = Space(x=Float(-1.0, 1.0), lr=Float(1e-5, 1.0, log=True), width=Int(1, 64), rule=Choice(["sgd", "adam"]))
LINE = Space(x=Float(0.0, 1.0))
DESCRIPTION = {"objective": "digits", "sampler": {"name": "sobol", "seed": 3}}  # of a sweep, kept with its study


def bowl(params):
    return params["x"] ** 2 + abs(math.log10(params["lr"]) + 2) + params["width"] / 64 + (params["rule"] == "sgd")


def noisy(params, trial):
    """Also reports, and uses the trial's seed."""
    for step in range(3):
        trial.report(bowl(params) + 3 - step, step)
    return bowl(params) + trial.seed / 2**32


def curve(params, trial):
    """Comes down to its value in 20 steps, and stops when told so."""
    for step in range(1, 21):
        trial.report(bowl(params) + 3 / step, step)
        if trial.should_prune():
            return None
    return bowl(params)


def climb(params, trial):
    """The same upside down."""
    for step in range(1, 21):
        trial.report(-bowl(params) - 3 / step, step)
        if trial.should_prune():
            return None
    return -bowl(params)


def slow(params):
    time.sleep(0.03)
    return bowl(params)


def awaited(params):
    """Ends when the file is there that it is told."""
    while not os.path.exists(params["file"]):
        time.sleep(0.01)
    return 0.0


def endless(params):
    Path(os.environ["SWEEP_LOG"]).touch()
    time.sleep(3600.0)


def logged(params):
    """Leaves a line for every execution that came to its end; opened with O_APPEND, lines don't mix."""
    time.sleep(float(os.environ["SWEEP_SLEEP"]))
    with open(os.environ["SWEEP_LOG"], "a") as file:
        file.write(json.dumps(params) + "\n")
    return bowl(params)


POISON = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(0),
}


def poisoned(params):
    """One of 41 points takes its process along."""
    with open(os.environ["SWEEP_LOG"], "a") as file:
        file.write(f"{params['n']}\n")
    if params["n"] == 17:
        POISON[os.environ["SWEEP_POISON"]]()
    return float(params["n"])


def pool_size(params):
    """The threads that linear algebra may use in this worker."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return float(max((pool["num_threads"] for pool in threadpool_info()), default=1))


def flood(params):
    os.write(1, b"x" * 10_000_000)
    return bowl(params)


def table(study):
    """What must be equal to the last bit: everything but times and counts of starts."""
    return [(t.number, t.params, t.value, t.state, t.error, t.reports, t.seed) for t in study.trials]


def study_of(space=SPACE, seed=5, **options):
    return Study(space, Random(seed=seed), **options)


def ran(study, trials, objective=bowl, **options):
    study.run(objective, trials=trials, **options)
    return study


def begun(path, trials=0, **options):
    """A study kept in a file; None: in memory."""
    return ran(study_of(seed=1, storage=path, **options), trials)


def told(space, points, direction="minimize"):
    """A study of given (params, value)."""
    study = study_of(space, direction=direction)
    for params, value in points:
        study.tell(study.ask(params=params), value)
    return study


def environment():
    """This process's, with its import path, so that a child finds what the tests import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def child(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment())


def drive(path, total, workers, name="logged"):
    """A driver process: brings the study in ``path`` to ``total`` trials."""
    study = Study(SPACE, Random(seed=5), storage=path)
    ended = sum(trial.state != "running" for trial in study.trials)
    Path(f"{path}.ready").touch()
    objective = globals()[name]
    study.run(objective, trials=total - ended, executor=workers or None)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    file, count, crew, *rest = sys.argv[1:]
    try:
        drive(file, int(count), int(crew), *rest)
    except KeyboardInterrupt:
        sys.exit(130)
