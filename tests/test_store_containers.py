"""Containers and cloned machines: who has a driver's name or boot, and not its pids, can't look it up."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweeps import begun, bowl, environment

from optlab.search import owner as owners
from optlab.search.owner import LEASE, Owner, this_host, this_process

NOW = 1.8e9
GONE = 2**22 + 1  # above the kernel's largest pid
WORLDS = {"its own /proc": ["--mount-proc"], "the host's /proc": []}
HOLD = """
import sys
from sweeps import *
study = begun(sys.argv[1])
print(study.ask().number, flush=True)
sys.stdin.read()
"""
TAKE = "import sys; from sweeps import *; begun(sys.argv[1]).run(bowl, trials=1)"


def in_a_namespace(world, script, path):
    """Python in a pid namespace as a container has it."""
    command = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", *WORLDS[world]]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this system allows no namespaces")
    options = {"env": environment(), "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, sys.executable, "-c", script, str(path)], **options)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.fault(41, cases=2)
def test_a_container_and_its_host_leave_each_other_their_trials(world, tmp_path):
    path = tmp_path / "a.db"
    with in_a_namespace(world, HOLD, path) as there:
        assert there.stdout.readline() == "0\n"
        here = begun(path)
        here.run(bowl, trials=1)
        held = here.ask()
        with in_a_namespace(world, TAKE, path) as other:
            other.communicate()
        there.communicate()
    assert [(t.number, t.state, t.starts) for t in here.trials] == [
        (0, "running", 1), (1, "complete", 1), (held.number, "running", 1), (3, "complete", 1),
    ]  # fmt: skip


def test_one_namespace_knows_its_dead_at_once(tmp_path):
    """The lease is for what can't be looked up."""
    path = tmp_path / "a.db"
    script = HOLD.replace("sys.stdin.read()", "os._exit(9)")
    both = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '''{script}''', sys.argv[1]])\n" + TAKE
    with in_a_namespace("its own /proc", both, path) as there:
        there.communicate()
    assert [(t.number, t.state, t.starts) for t in begun(path).trials] == [(0, "complete", 2)]


def elsewhere(host=None, boot=None, namespace=None):
    name, this_boot, this_namespace = f"{this_host()}/".split("/")[:3]
    return "/".join((host or name, boot or this_boot, namespace or this_namespace))


HOSTS = {
    "another machine": elsewhere(host="elsewhere", boot="1", namespace="1"),
    "a clone with one name": elsewhere(boot="1"),
    "a container": elsewhere(namespace="1"),
    "another name on one boot": elsewhere(host="elsewhere"),
    "an older file": this_host().rpartition("/")[0],
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("pid", [os.getpid(), GONE], ids=["a pid that is here too", "no such pid here"])
@pytest.mark.fault(41, cases=3)
def test_who_is_elsewhere_lives_as_long_as_it_is_heard_of(host, pid):
    owner = Owner(HOSTS[host], pid, this_process().birth)
    for ahead in (0.0, 1.0 - LEASE, LEASE - 1.0):  # its clock is right, behind or ahead
        assert owner.alive(NOW + ahead, NOW)
    for ahead in (-LEASE - 1.0, LEASE + 1.0):
        assert not owner.alive(NOW + ahead, NOW)


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces")
@pytest.mark.parametrize("hidden", ["readlink", "stat"])
@pytest.mark.fault(41)
def test_without_a_known_namespace_the_lease_decides(hidden, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(path)

    monkeypatch.setattr(os, hidden, refuse)
    me = Owner(this_host(), GONE, "1")
    assert me.host.endswith(owners.UNKNOWN)
    assert me.alive(NOW, NOW)
    assert not me.alive(NOW, NOW + LEASE)


@pytest.mark.skipif(os.name == "nt", reason="asks by a signal")
@pytest.mark.parametrize(("error", "answer"), [(PermissionError, None), (ProcessLookupError, False), (None, False)])
@pytest.mark.fault(41)
def test_a_proc_that_hides_a_process_of_another_user_is_no_proof_of_its_death(error, answer, monkeypatch):
    """Mounted with hidepid=2; None is a zombie."""

    def kill(pid, signal):
        if error is not None:
            raise error(pid)

    monkeypatch.setattr(owners, "birth_of", lambda pid: "")
    monkeypatch.setattr(os, "kill", kill)
    owner, proc = this_process(), Path("/proc/self/stat").exists()
    now = time.time()
    if error is None and not proc:
        answer = True
    assert owner.alive(now, now) == (answer is not False)
    assert owner.alive(now - 2 * LEASE, now) == (answer is True)
