"""Who holds a claim: alone, by the names and clocks of the system; tests/test_store_containers.py has the whole."""

import os
import platform
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest

from optlab.search import owner as owners
from optlab.search.owner import LEASE, RENEWAL, Owner, birth_of, this_host, this_process

NOW = 1.8e9  # on a clock of seconds
MOMENT = 2.0**-20  # far less than a lease, and exact beside such a time
NO_PID = 2**22 + 1  # above the kernel's largest
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
POSIX = pytest.mark.skipif(os.name == "nt", reason="asks by a signal")


@pytest.fixture
def child():
    """A process that waits for its input to end."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def no_proc(monkeypatch):
    """A system without /proc."""
    read, exists = Path.read_text, Path.exists

    def hidden(path):
        return path.parts[:2] == ("/", "proc")

    def read_text(path, *args, **kwargs):
        if hidden(path):
            raise FileNotFoundError(path)
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(Path, "exists", lambda path, **kwargs: not hidden(path) and exists(path, **kwargs))


# --- the key ----------------------------------------------------------------------------------------------------------


def test_a_process_is_its_host_its_pid_and_its_birth():
    me = this_process()
    assert (me.host, me.pid, me.birth) == (this_host(), os.getpid(), birth_of(os.getpid()))
    assert me == this_process()
    assert len({me, this_process()}) == 1
    others = [Owner("x", 1, "1"), Owner("y", 1, "1"), Owner("x", 2, "1"), Owner("x", 1, "2")]
    assert all(one != other for one, other in combinations(others, 2))
    with pytest.raises(AttributeError):
        me.pid = 1


@LINUX
def test_a_host_is_its_name_its_boot_and_its_namespace_of_pids():
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:-1]
    namespace = os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")
    assert this_host() == f"{platform.node()}/{boot}/{namespace}"


def test_a_host_that_tells_no_boot(no_proc, monkeypatch):
    monkeypatch.setattr(owners, "_namespace", lambda: "7")
    assert this_host() == f"{platform.node()}//7"


def test_only_linux_has_namespaces_of_pids(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert owners._namespace() == ""


@LINUX
def test_a_proc_of_another_namespace_tells_nothing(monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda path: str(os.getpid() + 1))
    assert owners._namespace() == "?"


# --- a birth ----------------------------------------------------------------------------------------------------------


@LINUX
def test_a_birth_is_the_22nd_field_of_the_kernels_answer(child):
    """By proc(5), which counts from 1; field 2, the name in parentheses, has no spaces here."""
    fields = Path(f"/proc/{child.pid}/stat").read_text().split()
    assert birth_of(child.pid) == fields[21]
    began = int(fields[21]) / os.sysconf("SC_CLK_TCK")
    assert 0.0 <= time.clock_gettime(time.CLOCK_BOOTTIME) - began < 60.0


@LINUX
@pytest.mark.parametrize("name", ["a b", "a) R 1 2", "))", "((", ") Z 0"])
def test_a_name_may_hold_anything(name, monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda path: f"12 ({name}) S " + " ".join(map(str, range(4, 53))))
    assert birth_of(12) == "22"


@pytest.mark.parametrize(("state", "birth"), [*((state, "22") for state in "RSDTtIWKP"), ("Z", ""), ("X", "")])
def test_a_zombie_and_a_dead_process_have_no_birth(state, birth, monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda path: f"12 (a) {state} " + " ".join(map(str, range(4, 53))))
    assert birth_of(12) == birth


def test_who_is_not_there_has_no_birth(no_proc):
    assert birth_of(os.getpid()) == ""


# --- looked up --------------------------------------------------------------------------------------------------------

LOST, HEARD = (NOW - 2 * LEASE, NOW), (NOW, NOW)  # by the lease alone: dead, alive


@LINUX
@pytest.mark.parametrize("heard", [LOST, HEARD])
def test_who_can_be_looked_up_needs_no_lease(heard, child):
    here = this_host()
    assert Owner(here, child.pid, birth_of(child.pid)).alive(*heard)
    assert not Owner(here, child.pid, str(int(birth_of(child.pid)) - 1)).alive(*heard), "a pid that is used again"
    assert not Owner(here, child.pid, "").alive(*heard)
    assert not Owner(here, NO_PID, "1").alive(*heard)
    assert not Owner(here, 2**70, "1").alive(*heard), "no pid at all"


@LINUX
@pytest.mark.parametrize("heard", [LOST, HEARD])
def test_a_zombie_is_dead_and_so_is_who_is_buried(heard):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner(this_host(), process.pid, birth_of(process.pid))
    assert owner.alive(*heard)
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert not owner.alive(*heard)
    process.wait()
    assert not owner.alive(*heard)


@POSIX
def test_without_proc_a_signal_that_does_nothing_asks(no_proc, monkeypatch, child):
    asked, kill = [], os.kill
    monkeypatch.setattr(os, "kill", lambda *question: (asked.append(question), kill(*question)))
    owner = Owner(this_host(), child.pid, "")
    assert owner.alive(*LOST)
    child.communicate()
    assert not owner.alive(*HEARD)
    assert asked == [(child.pid, 0)] * 2


def test_where_no_question_is_harmless_the_lease_decides(monkeypatch):
    """On Windows a signal ends the process, whichever it is."""

    def kill(pid, signal):
        raise AssertionError("that would end it")

    owner = this_process()
    monkeypatch.setattr(owners, "this_host", lambda: owner.host)
    monkeypatch.setattr(owners, "birth_of", lambda pid: "")
    monkeypatch.setattr(owners, "os", SimpleNamespace(name="nt", kill=kill))
    assert owner.alive(*HEARD)
    assert not owner.alive(*LOST)


# --- by its lease -----------------------------------------------------------------------------------------------------


def test_a_driver_is_heard_of_several_times_within_a_lease():
    """One heartbeat may be late, or lost, by what the store waits for another driver's write."""
    assert 0.0 < 5 * RENEWAL < LEASE <= 3600.0


@pytest.mark.parametrize("pid", [os.getpid(), NO_PID], ids=["a pid that is here too", "no such pid here"])
@pytest.mark.parametrize(
    ("seen", "alive"),
    [
        (NOW, True),
        (NOW - 1.0, True),
        (NOW - LEASE + MOMENT, True),
        (NOW - LEASE, False),
        (NOW - 2 * LEASE, False),
        (0.0, False),
        (NOW + 1.0, True),
        (NOW + LEASE - MOMENT, True),
        (NOW + LEASE, False),
        (NOW + 2 * LEASE, False),
    ],
)
def test_elsewhere_a_lease_counts_to_its_exact_end_in_both_directions(seen, alive, pid):
    """A clock that is ahead by more than a lease would hold a trial for as long as it is ahead."""
    assert Owner("elsewhere/1/1", pid, this_process().birth).alive(seen, NOW) is alive


@pytest.mark.parametrize("part", range(3))
def test_each_part_of_a_host_counts(part):
    """The process is there, and its birth is right; but who says that it is the same one?"""
    parts = this_host().split("/")
    parts[part] += "1"
    owner = Owner("/".join(parts), os.getpid(), this_process().birth)
    assert owner.alive(*HEARD)
    assert not owner.alive(*LOST)


def test_two_hosts_that_know_nothing_of_themselves_are_not_one(monkeypatch):
    monkeypatch.setattr(owners, "_namespace", lambda: "?")
    owner = Owner(this_host(), os.getpid(), birth_of(os.getpid()))
    assert owner == this_process()
    assert owner.alive(*HEARD)
    assert not owner.alive(*LOST)
