"""Trials on a Dask cluster: one on this machine, or one that is already running somewhere."""

import importlib
import pickle
from concurrent.futures import Executor, Future
from typing import Any

from optlab.errors import ConfigError
from optlab.search.executors import Foreign, Objective, named, pickled, settle
from optlab.search.trial import TrialError

LOCAL = "dask"
WAIT = 30  # seconds for a scheduler to answer
# A process per core: what one trial does to its process is nothing to the others. Any port that is free: without one,
# Dask takes 8787, and warns where another cluster has it.
HERE = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}


class Dask(Foreign):
    """As many trials at once as the cluster has threads; a worker that dies costs no other trial.

    Dask runs a task again when its worker dies, so a trial may be run twice: the first result stands. A trial that
    kills four workers is given back; `Study.run` tries it once more, alone, and then it is "crashed". A worker that
    says nothing for five minutes (Dask's `distributed.scheduler.worker-ttl`) counts as dead, be it paused or in a
    trial that holds Python's lock for so long.

    Raises:
        ConfigError: an address that is none, Dask is not installed, or the cluster can't import the objective.
        TrialError: no scheduler answers there.
    """

    def __init__(self, objective: Objective, address: str, timeout: float | None) -> None:
        if address != LOCAL and not address.startswith(("tcp://", "tls://")):
            expected = "'dask' or the address of a scheduler, 'tcp://host:port'"
            raise ConfigError(f"executor= as text is {expected}; got {address!r}")
        try:
            distributed: Any = importlib.import_module("distributed")  # it has no types
        except ImportError:
            raise ConfigError(f"executor={address!r} needs Dask: pip install 'optlab[dask]'") from None
        try:
            options = HERE if address == LOCAL else {"address": address}
            self._client = distributed.Client(**options, timeout=WAIT, set_as_default=False)
        except OSError as error:  # its own TimeoutError is one
            raise TrialError(f"no Dask scheduler answers at {address}: {error}") from None
        super().__init__(objective, _Tasks(self._client), timeout)
        self.places = max(1, sum(self._client.nthreads().values()))
        if (payload := pickled(objective)) is not None:
            self._check(payload, named(objective))

    def _check(self, payload: bytes, name: str) -> None:
        """Load the objective everywhere: a worker that can't would hang up on its scheduler without a word."""
        try:
            self._client.run_on_scheduler(pickle.loads, payload)
            self._client.run(pickle.loads, payload)
        except OSError:  # a worker died just now; others do its work
            return
        except Exception as error:
            self.close(kill=True)
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            advice = "install its module on the scheduler and on every worker, or name its folder in their PYTHONPATH"
            raise ConfigError(f"the Dask cluster can't load {name}: {why}; {advice}") from None

    def close(self, kill: bool) -> None:
        """Leave the cluster; one that was started here ends."""
        self._client.close()  # Dask forgets what still runs: it has been given up


class _Tasks(Executor):
    """As Dask's own executor, which calls a result an error if the worker that holds it is lost as it is fetched."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, function: Any, /, *args: Any, **options: Any) -> "Future[Any]":
        """Begin it somewhere."""
        task = self._client.submit(function, *args, **options, pure=False)
        future: Future[Any] = Future()
        self._client.loop.add_callback(self._bring, task, future)
        return future

    async def _bring(self, task: Any, future: "Future[Any]") -> None:
        try:
            settle(future, await task)
        except Exception as error:
            settle(future, error)
