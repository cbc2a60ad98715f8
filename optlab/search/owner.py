"""Who holds a claim: a process known by its pid and its birth, so that a pid used again is not taken for it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

LEASE = 600.0  # seconds after which a driver of another host that hasn't been heard of counts as lost
RENEWAL = 60.0  # seconds between signs of life


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: the machine's name and, where known, the id of its boot.
        pid: there.
        birth: when it started, by the kernel's own clock; "" where the system doesn't say.
    """

    host: str
    pid: int
    birth: str

    def alive(self, seen: float, now: float) -> bool:
        """Whether it still runs; on another host, whether it was heard of within the lease (whatever the clocks do)."""
        if self.host != this_host():
            same_machine = self.host.split("/")[0] == platform.node()
            return not same_machine and abs(now - seen) < LEASE  # same name, another boot: it can't have survived
        if not (birth := birth_of(self.pid)):
            return _exists(self.pid)
        return birth == self.birth


def this_process() -> Owner:
    """The owner that this process is."""
    return Owner(this_host(), os.getpid(), birth_of(os.getpid()))


def this_host() -> str:
    """The name of this machine and the id of this boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}"


def birth_of(pid: int) -> str:
    """Start time in clock ticks since boot, from /proc; "" if it is gone, a zombie, or there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    if os.name == "nt" or Path("/proc/self/stat").exists():
        return os.name == "nt"  # Windows has no harmless question to ask: such claims end with the driver's close
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
