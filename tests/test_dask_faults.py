"""Dask workers that are paused: the scheduler takes them for dead and begins their trials elsewhere."""

import asyncio
import collections
import contextlib
import os
import queue
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import LONG
from faults import straight
from sweeps import SPACE, bowl, environment, logged, noisy, table
from test_executors import cluster_of

from optlab.integrations.dask import Dask
from optlab.search import Random, Study, executors

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP")
TRIALS = 40
PAUSE, SILENCE = 60.0, "30s"  # the long count waits for both; the short one has Dask believe that they have passed


def paused(params, trial):
    """The first to come pauses its process; the last waits for the end of that story."""
    note("begun", trial.number)
    try:
        file("pid").open("x").close()
    except FileExistsError:
        until(lambda: trial.number < TRIALS - 1 or file("over").exists())
    else:
        file("pid").write_text(f"{os.getpid()} {trial.number}\n")
        os.kill(os.getpid(), signal.SIGSTOP)
        until(file("go").exists)  # this thread may live a moment longer than its process
    value = noisy(params, trial)
    note("ended", trial.number)
    return value


def file(name):
    return Path(f"{os.environ['SWEEP_LOG']}.{name}")


def note(name, number):
    with file(name).open("a") as log:
        log.write(f"{number}\n")


def counts(name):
    """How often each trial was noted there."""
    return collections.Counter(map(int, file(name).read_text().split()) if file(name).exists() else [])


def until(true):
    while not true():
        time.sleep(0.01)


@contextlib.contextmanager
def nobodys(cluster, count):
    """Workers that no nanny kills and starts again, as batch systems have them; their processes by address."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster.scheduler_address]
    command += ["--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "300"]
    processes = [subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) for _ in range(count)]
    try:
        until(lambda: len(cluster.scheduler.workers) == count)
        pids = pids_of(cluster)
        yield {address: next(p for p in processes if p.pid == pid) for address, pid in pids.items()}
    finally:
        for process in processes:
            process.kill()
            process.wait()


def pids_of(cluster):
    """The workers' processes by address."""
    import distributed

    with distributed.Client(cluster, set_as_default=False) as client:
        return client.run(os.getpid)


def forget(cluster, address):
    """Dask's own end of a worker that it has not heard of for long; here it believes that this is so."""
    scheduler = cluster.scheduler

    async def look():
        while worker := scheduler.workers.get(address):
            worker.last_seen -= 3600.0
            await scheduler.check_worker_ttl()
            await asyncio.sleep(0.05)

    cluster.sync(look)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("fate", ["wakes", "is killed", "has a nanny"])
@pytest.mark.fault(4)
def test_a_paused_worker_that_dask_takes_for_dead_costs_nothing(fate, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    nanny = fate == "has a nanny"  # of three workers one is paused, one waits with the last trial, one is free

    def story(cluster, pids):
        until(lambda: file("pid").exists() and file("pid").read_text().endswith("\n"))
        began = time.monotonic()
        pid, first = map(int, file("pid").read_text().split())
        address = next(address for address, its in pids.items() if its == pid)
        if fate == "is killed":
            os.kill(pid, signal.SIGKILL)
        elif not LONG:
            forget(cluster, address)
        until(lambda: address not in cluster.scheduler.workers)
        until(lambda: counts("ended")[first] == 1)
        if fate == "wakes":
            time.sleep(max(0.0, began + PAUSE - time.monotonic()) if LONG else 0.0)
            file("go").touch()
            os.kill(pid, signal.SIGCONT)
            until(lambda: counts("ended")[first] == 2)
        return first, pid

    options = {"worker_ttl": SILENCE} if LONG else {}
    with (
        cluster_of(3 if nanny else 0, **options) as cluster,
        contextlib.nullcontext() if nanny else nobodys(cluster, 3) as processes,
        ThreadPoolExecutor(1) as pool,
    ):
        told = pool.submit(story, cluster, pids_of(cluster))
        told.add_done_callback(lambda future: file("over").touch())
        study = Study(SPACE, Random(seed=5), storage=tmp_path / "a.db")
        study.run(paused, trials=TRIALS, executor=cluster.scheduler_address)
        first, pid = told.result()
        if nanny:
            until(lambda: not alive(pid))
        else:
            assert next(p for p in processes.values() if p.pid == pid).wait() == (0 if fate == "wakes" else -9)
    assert table(study) == table(straight("random", TRIALS, noisy))
    assert {trial.starts for trial in study.trials} == {1}
    assert study.log() == [], "Dask itself keeps the late result from us"
    assert counts("begun") == collections.Counter([*range(TRIALS), first])
    assert counts("ended") == collections.Counter([*range(TRIALS), *[first] * (fate == "wakes")])


@pytest.mark.skipif(not LONG, reason="starts a dozen workers")
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.fault(4, cases=5)
def test_workers_paused_at_any_instant_cost_nothing(seed, tmp_path, monkeypatch):
    """Between two trials, before a result is fetched, with one begun and one to begin; some wake, some don't."""
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SWEEP_SLEEP", "0.02")
    chance, total = random.Random(seed), 400

    def story(cluster, processes):
        for address, process in list(processes.items())[:-1]:
            time.sleep(chance.uniform(0.0, 0.4))
            process.send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(0.0, 0.3))
            forget(cluster, address)
            if chance.random() < 0.6:
                process.send_signal(signal.SIGCONT)
                assert process.wait() == 0, "it finds that nobody waits for it"

    study = Study(SPACE, Random(seed=5), storage=tmp_path / "a.db")
    with cluster_of(0) as cluster, nobodys(cluster, 6) as processes, ThreadPoolExecutor(1) as pool:
        told = pool.submit(story, cluster, processes)
        study.run(logged, trials=total // 2, executor=cluster.scheduler_address)
        while not told.done():
            study.run(logged, trials=20, executor=cluster.scheduler_address)
        told.result()
        study.run(logged, trials=20, executor=cluster.scheduler_address)
    assert table(study) == table(straight("random", len(study.trials)))
    assert {trial.starts for trial in study.trials} == {1}
    assert study.log() == []


@pytest.mark.fault(4)
def test_a_result_counts_though_its_worker_is_lost_as_it_is_fetched(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'optlab[dask]'")
    gather = distributed.Client._gather

    async def last(client, futures, **options):
        results = await gather(client, futures, **options)
        for future in futures:
            future._state.lose()  # what the scheduler's word of it does
        return results

    study = Study(SPACE, Random(seed=5))
    with cluster_of(1) as cluster:
        monkeypatch.setattr(distributed.Client, "_gather", last)
        study.run(noisy, trials=3, executor=cluster.scheduler_address, retries=0)
    assert table(study) == table(straight("random", 3, noisy))
    assert study.log() == []


@pytest.mark.fault(4)
def test_a_result_that_dask_brings_after_the_timeout_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    arrived, settle = queue.Queue(), executors.settle

    def heard(future, result):
        settle(future, result)
        arrived.put(result)

    monkeypatch.setattr(executors, "settle", heard)
    study = Study(SPACE, Random(seed=5), storage=tmp_path / "a.db")
    with cluster_of(0) as cluster, nobodys(cluster, 1) as processes:
        crew = Dask(paused, cluster.scheduler_address, timeout=1.0)
        [live] = study.take(1, None, crew.exposed)
        future = crew.submit(live)
        study.finish(live, future.result())
        assert arrived.get().error == "timed out after 1 s; its executor was not told"
        [process] = processes.values()
        until(lambda: file("pid").exists())
        file("go").touch()
        until(lambda: process.send_signal(signal.SIGCONT) or file("ended").exists())
        late = arrived.get()
        assert (late.state, late.value) == ("complete", noisy(live.params, live))
        assert future.result().state == "failed"
        study.finish(live, late)
        crew.close(kill=False)
    assert [(trial.state, trial.starts) for trial in study.trials] == [("failed", 1)]
    assert [text.split(":")[0] for _, _, text in study.log()] == ["a second result was not taken"]
    study.run(bowl, trials=1)
    assert study.trials[1].state == "complete"
