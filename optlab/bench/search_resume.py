"""What the first suggestion after a resume costs: CPU time of `ask` in a fresh process, with n results in its file.

The results are points of a Sobol sequence. The first process makes all fits and keeps them in the file, as a search
would have one after the other; the second one resumes. Importing SciPy and loading compiled code are in its time.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optlab.bench.search_cost import bowl
from optlab.search.samplers.gp import GP
from optlab.search.samplers.sobol import Sobol
from optlab.search.study import Study

SIZES = {1000: 0.3, 3000: 1.0, 6000: 1.0}  # results: seconds that the first suggestion may take


def fill(path: Path, n: int) -> None:
    """Write a study with ``n`` results."""
    problem = bowl()
    study = Study(problem.space, Sobol(seed=0), storage=path)
    for trial in study.ask(n):
        study.tell(trial, problem.loss(trial.params))
    study.close()


def first_ask(path: str) -> None:
    """Print the CPU seconds of the first suggestion, the opening not included."""
    study = Study(bowl().space, GP(seed=0), storage=path)
    clock = time.process_time()
    study.ask()
    print(json.dumps(time.process_time() - clock))


def seconds(path: Path) -> float:
    """Return what `first_ask` measures in a fresh process."""
    script = f"from optlab.bench.search_resume import first_ask; first_ask({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)


def rows(sizes: Sequence[int] = tuple(SIZES)) -> Iterator[dict[str, Any]]:
    """Yield a row per number of results: without any saved fit, and resumed."""
    with TemporaryDirectory() as place:
        for n in sizes:
            path = Path(place) / f"{n}.db"
            fill(path, n)
            yield {"results": n, "fits made s": seconds(path), "resumed s": seconds(path)}


def goals(found: Sequence[dict[str, Any]]) -> list[str]:
    """Each with what was measured."""
    return [
        f"{'met   ' if row['resumed s'] <= SIZES[row['results']] else 'MISSED'} first suggestion after a resume,"
        f" {row['results']} results: {row['resumed s']:.2f} s, goal at most {SIZES[row['results']]} s"
        for row in found
        if row["results"] in SIZES
    ]
