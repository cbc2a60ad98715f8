#!/usr/bin/env python3
"""Sweeps over the digits for an hour, killed at random instants: nothing may be lost, nothing may grow.

    python scripts/endurance.py --minutes 60

Each study is a file that `optlab sweep docs/digits.toml` fills with two workers. In turn its driver is killed, one of
its worker processes is killed, the driver gets SIGTERM, and SIGINT; after each the command is given again with
--resume. In the long studies only workers are killed, so that one driver lives on. What is in the file is read from a
copy of it by SQLite alone, and compared with what was there before and with the same study made by one worker that
nobody disturbed.
One line a minute; at the end a summary in Markdown; exit code 1 if anything was lost or grew.
"""

import argparse
import itertools
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("SIGKILL of the driver", "SIGKILL of a worker", "SIGTERM", "SIGINT")
# Instants are in seconds of the processor that a driver and its workers used: on a busy machine they mean the same.
LONGEST_WAIT = 8.0  # from the start of a driver, or from the fault before, to a fault; being ready takes about 4
STARTING = 4.0  # left to a new worker: one that is killed three times before it is ready ends a sweep
PATIENCE = 1800.0  # seconds by the clock that a driver may live; after that it hangs
BURIAL = 120.0  # seconds by the clock until nothing of a driver may be left
LOOK = 0.2  # seconds between looks at a driver
COLUMNS = "number, params, value, state, error, reports, seed, started, finished, starts"
SAME = slice(0, 7)  # of these, what no fault and no number of workers may change
GROWTH = 5_000  # bytes per trial that a driver may grow by: 50 MB in 10,000 trials
SLACK = 8_000_000  # bytes by which it grows once, whatever it does


class Kind(NamedTuple):
    """A study to make."""

    sampler: str
    trials: int
    faults: tuple[str, ...] = FAULTS
    batch: int | None = None
    objective: str = "apart:Training"


# Compiled training shares a process with its driver, in threads; to have workers that can be killed it says otherwise.
APART = """from optlab.objectives.networks import Network


class Training(Network):
    releases_gil = False
"""
KINDS = {
    "random": Kind("random", 400),
    "gp": Kind("gp", 80, batch=4),
    "grid": Kind("grid", 400),
    "sobol": Kind("sobol", 400),
    "threads": Kind("random", 400, objective="training"),
    "long": Kind("random", 1000, FAULTS[1:2]),
}


class Look(NamedTuple):
    """A living driver, looked at."""

    memory: int
    files: int
    at: float


class Process(NamedTuple):
    """A living process."""

    command: str
    seconds: float  # of the processor


def processes(temporary: Path) -> dict[int, Process]:
    """Living processes whose temporary files go there: a driver and what it started, in whatever process group."""
    found, mark = {}, f"TMPDIR={temporary}".encode()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in "ZX" and mark in (entry / "environ").read_bytes().split(b"\0"):
                    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                    found[int(entry.name)] = Process((entry / "cmdline").read_text(), seconds)
    return found


def look(pid: int) -> Look | None:
    """Resident bytes and open descriptors; None if it has ended."""
    with suppress(OSError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return Look(resident * 1024, len(os.listdir(f"/proc/{pid}/fd")), time.monotonic())
    return None


def table(file: Path) -> dict[int, tuple]:
    """Number -> row, from a copy: a reader that is last to leave would tidy the file up for the next driver."""
    with tempfile.TemporaryDirectory() as folder:
        for path in (file, Path(f"{file}-wal")):
            if path.exists():
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder, file.name))) as db:
            if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'trial'").fetchone()[0]:
                return {}
            return {row[0]: row for row in db.execute(f"SELECT {COLUMNS} FROM trial ORDER BY number")}


class Endurance:
    """The hour: what was done, what was seen, and what was wrong with it."""

    def __init__(self, folder: Path, workers: int, seed: int) -> None:
        self.folder, self.workers, self.seed = folder, workers, seed
        self.chance = random.Random(seed)
        self.turn = itertools.cycle(FAULTS)
        self.began = self.told = time.monotonic()
        self.wrong: list[str] = []
        self.faults: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()
        self.full: Counter[str] = Counter()
        self.trials = self.resumes = self.orphans = 0
        self.slowest_death = 0.0
        self.sizes: defaultdict[str, list[int]] = defaultdict(list)  # bytes of full files
        self.peaks: defaultdict[str, list[Look]] = defaultdict(list)  # of every driver that lived to its work
        self.slopes: list[float] = []  # bytes per trial, in the long studies
        self.descriptors: list[tuple[int, int]] = []  # there, early and late
        self.undisturbed: dict[tuple[str, int], dict[int, tuple]] = {}
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "apart.py").write_text(APART)
        self.file = folder / "digits.toml"  # a trial that happens to be killed twice is no poison
        self.file.write_text("retries = 100\n" + (ROOT / "docs" / "digits.toml").read_text("utf-8"), "utf-8")

    def begin(self, file: Path, kind: Kind, seed: int, workers: int, resume: bool) -> "subprocess.Popen[str]":
        """The command, as a user gives it, in a process group of its own."""
        command = [sys.executable, "-m", "optlab", "sweep", str(self.file), "--quiet"]
        command += ["--storage", str(file), "--sampler", kind.sampler, "--seed", str(seed)]
        command += ["--objective", kind.objective]
        command += ["--trials", str(kind.trials), "--workers", str(workers)]
        command += ["--batch", str(kind.batch)] * (kind.batch is not None) + ["--resume"] * resume
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "kernels", self.folder)))
        environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(self.temporary)}
        self.said = file.with_suffix(".txt").open("w+")
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=self.said, text=True, process_group=0
        )

    def reference(self, name: str, seed: int) -> dict[int, tuple]:
        """The same study by one worker, undisturbed."""
        if (name, seed) not in self.undisturbed:
            file = self.folder / f"undisturbed-{name}-{seed}.db"
            process = self.begin(file, KINDS[name], seed, 1, resume=False)
            if process.wait() != 0:
                sys.exit(f"{name} can't be run at all: {self.stderr()}")
            self.undisturbed[name, seed] = table(file)
        return self.undisturbed[name, seed]

    def study(self, name: str, seed: int, number: int, until: float) -> None:
        """One study from its first trial to its last, with faults until it is time to end."""
        kind, want = KINDS[name], self.reference(name, seed)
        file = self.folder / f"{number}.db"
        known: dict[int, tuple] = {}
        code: int | None = None  # of a driver that was not killed after its last trial: that one left its log
        while code != 0 or sum(row[3] != "running" for row in known.values()) < kind.trials:
            process = self.begin(file, kind, seed, self.workers, resume=bool(known))
            self.resumes += bool(known)
            fault = self.disturb(process, kind, name, until, len(known))
            where = f"study {number} ({name}, seed {seed}) after {fault or 'its own end'}"
            self.buried(where)
            rows = table(file)
            self.check(rows, known, want, where)
            self.judge_end(process.returncode, fault, len(known) < len(rows), where)
            self.trials += len(rows) - len(known)
            known, code = rows, process.returncode
            if self.wrong:  # the files stay to be looked at
                return
        self.full[name] += 1
        self.sizes[name].append(file.stat().st_size)
        left = [path.name for path in self.folder.glob(f"{number}.*") if path.suffix not in (".db", ".txt")]
        left += os.listdir(self.temporary)
        if left:
            self.complain(f"study {number} left {', '.join(left)}")
        file.unlink()

    def disturb(self, process: "subprocess.Popen[str]", kind: Kind, name: str, until: float, before: int) -> str | None:
        """Let it run until a fault ends it or it ends by itself; which fault was the last that meant its end."""
        looks: list[Look] = []
        began = time.monotonic()
        spent: dict[int, float] = {}
        due = self.chance.uniform(0.0, LONGEST_WAIT)
        ended_by = None
        while process.poll() is None:
            time.sleep(LOOK)
            self.tell()
            seen = look(process.pid)
            looks += [seen] if seen else []
            spent |= {pid: found.seconds for pid, found in processes(self.temporary).items()}
            if time.monotonic() > began + PATIENCE:
                self.complain(f"a driver of {name} did not end")
                process.kill()
                break
            if ended_by or sum(spent.values()) < due or time.monotonic() > until:
                continue
            fault = self.strike(process, next(self.turn) if kind.faults == FAULTS else kind.faults[0])
            due = sum(spent.values()) + self.chance.uniform(STARTING, LONGEST_WAIT)
            ended_by = None if fault == FAULTS[1] else fault
        process.wait()
        if len(looks) > 10:  # it got to its work
            self.peaks[name].append(max(looks))
        if kind.faults != FAULTS and process.returncode == 0 and len(looks) > 40 and not before:
            self.grown(looks, kind.trials)
        return ended_by

    def strike(self, process: "subprocess.Popen[str]", fault: str) -> str | None:
        """Make a fault; None if there was nothing to make it of."""
        if fault == FAULTS[1]:
            workers = [pid for pid, found in processes(self.temporary).items() if "spawn_main" in found.command]
            if not workers:
                return None
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers), signal.SIGKILL)
        else:
            process.send_signal(signal.SIGKILL if fault == FAULTS[0] else getattr(signal, fault))
        self.faults[fault] += 1
        return fault

    def grown(self, looks: list[Look], trials: int) -> None:
        """By how much a driver that lived long grew after its first quarter."""
        early, late = looks[len(looks) // 4 : len(looks) // 2], looks[-len(looks) // 4 :]
        middle = [statistics.median(seen.memory for seen in part) for part in (early, late)]
        trials_between = trials * (late[len(late) // 2].at - early[len(early) // 2].at) / (looks[-1].at - looks[0].at)
        self.slopes.append((middle[1] - middle[0]) / trials_between)
        self.descriptors.append((max(seen.files for seen in early), max(seen.files for seen in late)))

    def buried(self, where: str) -> None:
        """Wait until nothing of a driver lives on."""
        began = time.monotonic()
        while left := processes(self.temporary):
            waited = time.monotonic() - began
            self.slowest_death = max(self.slowest_death, waited)
            if waited > BURIAL:
                self.orphans += len(left)
                self.complain(f"{where}: {len(left)} processes live on")
                return
            time.sleep(0.05)

    def check(self, rows: dict[int, tuple], known: dict[int, tuple], want: dict[int, tuple], where: str) -> None:
        """What is in the file against what was there, and against the undisturbed study."""
        if list(rows) != list(range(len(rows))):
            self.complain(f"{where}: the numbers are not consecutive")
        for number, row in known.items():
            if row[3] != "running" and rows.get(number) != row:
                self.complain(f"{where}: trial {number} was {row}, is {rows.get(number)}")
        for number, row in rows.items():
            if row[3] != "running" and row[SAME] != want[number][SAME]:
                self.complain(f"{where}: trial {number} is {row}, undisturbed {want[number]}")
        running = sum(row[3] == "running" for row in rows.values())
        if running > max(self.workers, 4):
            self.complain(f"{where}: {running} trials are claimed")

    def judge_end(self, code: int, fault: str | None, began: bool, where: str) -> None:
        """The exit code that belongs to the fault; a signal before the first trial may end Python itself."""
        self.ends[code] += 1
        number = {FAULTS[0]: signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}.get(fault or "")
        fine = {0} if number is None else {0, -number} if number == signal.SIGKILL else {0, -number, 128 + number}
        said = self.stderr()
        if code not in fine or ("Traceback" in said and (began or number is None)):
            self.complain(f"{where}: exit code {code}; {said[-1000:]}")

    def stderr(self) -> str:
        """What the last command said."""
        self.said.seek(0)
        text = self.said.read()
        self.said.close()
        return text

    def complain(self, text: str) -> None:
        """Something is wrong."""
        self.wrong.append(text)
        print(f"WRONG: {text}", flush=True)

    def tell(self) -> None:
        """A line a minute."""
        now = time.monotonic()
        if now - self.told < 60.0:
            return
        self.told = now
        latest = max((looks[-1] for looks in self.peaks.values()), key=lambda seen: seen.at, default=Look(0, 0, now))
        print(
            f"{(now - self.began) / 60:3.0f} min: {self.full.total()} studies full, {self.trials:,} trials, "
            f"{self.faults.total()} faults, {self.resumes} resumes, {len(self.wrong)} wrong; "
            f"the driver {latest.memory / 1e6:.0f} MB, {latest.files} descriptors",
            flush=True,
        )

    def summary(self) -> str:
        """What came of it, and what grew."""
        lines = [
            f"{(time.monotonic() - self.began) / 60:.0f} minutes, {self.workers} workers, seed {self.seed}.",
            "",
            "| | |\n|---|---|",
            f"| studies filled | {', '.join(f'{count} {name}' for name, count in self.full.items())} |",
            f"| trials | {self.trials:,} |",
            *(f"| {fault} | {self.faults[fault]} |" for fault in FAULTS),
            f"| resumes | {self.resumes} |",
            f"| lost, changed, repeated, unlike an undisturbed study, left over | {len(self.wrong)} |",
            f"| processes left behind | {self.orphans}; the last of a killed driver's was gone after "
            f"{self.slowest_death:.1f} s at most |",
        ]
        for name, looks in self.peaks.items():
            third = max(1, len(looks) // 3)
            first, last = (statistics.median(s.memory for s in part) for part in (looks[:third], looks[-third:]))
            lines.append(f"| {name}: peak of a driver, first and last third of the run | {first / 1e6:.1f}, "
                         f"{last / 1e6:.1f} MB |")  # fmt: skip
            if last > 1.1 * first:
                self.complain(f"drivers of {name} grew from {first / 1e6:.1f} to {last / 1e6:.1f} MB")
        for name, sizes in self.sizes.items():
            lines.append(f"| {name}: bytes of a full file, smallest and largest | {min(sizes):,}, {max(sizes):,} |")
            if max(sizes) > 1.5 * min(sizes):
                self.complain(f"files of {name} grew from {min(sizes):,} to {max(sizes):,} bytes")
        if self.slopes:
            early, late = map(max, zip(*self.descriptors, strict=True))
            worst = max(self.slopes)
            lines.append(f"| long: growth of the one driver | {worst:,.0f} bytes per trial at most |")
            lines.append(f"| long: its descriptors, early and late | {early}, {late} |")
            if worst * KINDS["long"].trials > GROWTH * KINDS["long"].trials + SLACK:
                self.complain(f"a driver grew by {worst:,.0f} bytes per trial")
            if any(late > early + 2 for early, late in self.descriptors):
                self.complain(f"a driver's descriptors grew: {self.descriptors}")
        return "\n".join([*lines, "", *(f"- WRONG: {text}" for text in self.wrong)])


def main() -> int:
    """Endure; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="endurance-"))
    endurance = Endurance(folder, options.workers, options.seed)
    until = endurance.began + 60.0 * options.minutes
    rounds = ((turn, name) for turn in itertools.count() for name in KINDS)
    for number, (turn, name) in enumerate(rounds):
        if time.monotonic() > until or endurance.wrong:
            break
        endurance.study(name, options.seed + turn % 2, number, until)
    print(f"\n{endurance.summary()}", flush=True)
    if endurance.wrong:
        print(f"The files are in {folder}.")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
