"""Who holds a claim: a process known by its pid and its birth, so that a pid used again is not taken for it."""

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LEASE = 600.0  # seconds after which a driver that can't be looked up and hasn't been heard of counts as lost
RENEWAL = 60.0  # seconds between heartbeats
UNKNOWN = "?"


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: the machine's name, the id of its boot and the namespace of its pids, as far as the system has them.
        pid: there.
        birth: when it started, by the kernel's own clock; "" where the system doesn't say.
    """

    host: str
    pid: int
    birth: str

    def alive(self, seen: float, now: float) -> bool:
        """Return whether it still runs: looked up where its pid means the same, else by its last heartbeat.

        A container has its host's name and boot and pids of its own; a cloned machine has its model's name and another
        boot: neither can be looked up from here. Whatever the clocks do, a lease ends early rather than late.
        """
        here = this_host()
        runs = _runs(self.pid, self.birth) if self.host == here and not here.endswith(UNKNOWN) else None
        return abs(now - seen) < LEASE if runs is None else runs


def this_process() -> Owner:
    """The owner that this process is."""
    return Owner(this_host(), os.getpid(), birth_of(os.getpid()))


def this_host() -> str:
    """Return where a pid of this process's world means the same process: name, boot and pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}/{_namespace()}"


def _namespace() -> str:
    """Return the inode of the pid namespace, "" where the system has none, or `UNKNOWN`."""
    if sys.platform != "linux":
        return ""
    with suppress(OSError):
        if os.readlink("/proc/self") == str(os.getpid()):  # else this /proc shows another namespace's pids
            return str(os.stat("/proc/self/ns/pid").st_ino)
    return UNKNOWN


def birth_of(pid: int) -> str:
    """Start time in clock ticks since boot, from /proc; "" if it is gone, a zombie, or there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _runs(pid: int, birth: str) -> bool | None:
    """Return whether a process of this namespace still runs, or None if that can't be looked up."""
    if found := birth_of(pid):
        return found == birth
    if os.name == "nt":  # there is no harmless question to ask
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's: a zombie, or a /proc that hides it
        return None
    return not Path("/proc/self/stat").exists()  # where there is a /proc, it is a zombie
