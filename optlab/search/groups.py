"""Process groups: a worker leads one, so that what its objective started ends with it, and all end with the driver."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.process import BaseProcess

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
# Each line lists the groups that exist now. Input ends when the driver does, in whatever way.
WATCH = """
trap '' INT TERM HUP
while read -r line; do groups=$line; done
for group in $groups; do kill -9 "-$group"; done
"""


def lead_group(driver: int) -> None:
    """Make this process the leader of a new session, which Linux kills when the process ``driver`` dies."""
    _leave_signals_to_the_driver()
    if sys.platform != "win32":
        os.setsid()
    if sys.platform == "linux":
        import ctypes

        # It is the end of the thread that started this process which counts; `Processes` keeps it until this one ends.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != driver:  # it died before that call
            os._exit(1)


def _leave_signals_to_the_driver() -> None:
    """A batch system signals every process of a job; here nothing comes of it.

    The handlers do nothing. SIG_IGN would be inherited by all programs started here, which then couldn't be terminated;
    forks get the handlers back that were there, and what reaches one before that waits for them.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    if sys.platform != "win32":

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

        os.register_at_fork(
            before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS),
            after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS),
            after_in_child=restore,
        )


def kill_group(leader: BaseProcess) -> None:
    """Kill a worker and all processes of its group, including those that outlived the worker."""
    if sys.platform != "win32" and leader.pid is not None:
        with suppress(OSError):  # it has no group yet, or nobody is left in it
            os.killpg(leader.pid, signal.SIGKILL)
    leader.kill()


class Watcher:
    """A shell that kills the groups left behind when the driver dies, even by SIGKILL.

    A worker can't: its objective may hold the GIL, and the parent-death signal ends it before its children.
    """

    def __init__(self) -> None:
        self._leaders: set[BaseProcess] = set()
        self._lock = threading.Lock()
        self._shell: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # without a shell, a driver's death ends the workers but not their children
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", WATCH],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def add(self, leader: BaseProcess) -> None:
        """Watch the group of this process."""
        with self._lock:
            self._leaders.add(leader)
            self._tell()

    def remove(self, leader: BaseProcess) -> None:
        """Forget a group that has ended; its number may soon be another's."""
        with self._lock:
            self._leaders.discard(leader)
            self._tell()

    def close(self) -> None:
        """End the shell; groups that are still watched end, too."""
        if self._shell is not None:
            with suppress(OSError):
                self._shell.communicate()

    def _tell(self) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            with suppress(OSError):  # somebody killed it
                self._shell.stdin.write(f"{' '.join(str(leader.pid) for leader in self._leaders)}\n".encode())
                self._shell.stdin.flush()
