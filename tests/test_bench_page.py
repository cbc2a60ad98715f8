"""Records of benchmarks, the page and its pictures made from them, and ratios under pytest-benchmark."""

import importlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from test_cli import ROOT, optlab

from optlab.bench import bars, page, pictures, record
from optlab.bench.columns import beside, digits, error, plain, table
from optlab.bench.sections import SECTIONS
from optlab.errors import DataError

# pytest-benchmark declines to measure where it sees that pytest-xdist runs the tests.
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}

bench = importlib.import_module("optlab.cli.bench")  # the package's name for it is the command's
RECORDS, PAGE = ROOT / "benchmarks" / "records", ROOT / "docs" / "benchmarks.md"
COMMITTED = record.read(RECORDS)


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_record_says_where_and_how(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = [{"n": 3, "us": 1.23456, "x": np.float64(2e-7), "who": ""}, {"n": np.int64(4), "us": float("nan")}]
    made = record.record("kernels", ["--peers"], "CPU time", {"rows": rows, "goals": []}, ["numba", "no-such-package"])
    path = record.write(made, tmp_path / "new")
    assert os.listdir(path.parent) == ["kernels.json"]
    found = record.read(path.parent)["kernels"]
    assert found["rows"] == [{"n": 3, "us": 1.235, "x": 2e-7, "who": ""}, {"n": 4, "us": None}]
    assert found["command"] == "optlab bench kernels --peers"
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["no-such-package"] == "not installed"
    assert found["environment"]["OMP_NUM_THREADS"] == "1"
    assert found["BLAS"]
    assert sum("us" in line for line in path.read_text().splitlines()) == 2  # a line a row


def test_what_is_no_record_is_told(tmp_path):
    with pytest.raises(DataError, match="optlab bench all --peers --out"):
        record.read(tmp_path)
    (tmp_path / "kernels.json").write_text("[1]")
    with pytest.raises(DataError, match=r"kernels\.json is no record"):
        record.read(tmp_path)


def test_a_table_that_fails_does_not_lose_the_others(monkeypatch, capfd):
    """The children are stand-ins; what they are told and where they run is looked at."""
    calls = []

    def run(command, env, preexec_fn, check):
        calls.append((command[2:], preexec_fn is not None))
        return subprocess.CompletedProcess(command, int("gemm" in command))

    monkeypatch.setattr(bench.subprocess, "run", run)
    code = bench.bench.main(["all", "--rounds", "2", "--cells", "c", "--out", "r"], standalone_mode=False)
    assert code == 1
    assert "gemm failed, the others did not" in capfd.readouterr().err
    modules = {command[1] if command[0] == "optlab.bench" else "search": command for command, _ in calls}
    assert list(modules) == list(bench.TABLES)
    assert modules["kernels"] == ["optlab.bench", "kernels", "--rounds", "2", "--out", "r"]
    assert modules["search"] == ["optlab.bench.search", "--done", "--cells", "c", "--out", "r"]
    assert [name for name, (_, pinned) in zip(modules, calls, strict=True) if not pinned] == [
        "threads", "startup", "throughput"
    ]  # fmt: skip


def test_one_table_leaves_its_record(tmp_path):
    optlab("bench", "search", "--only", "regret", "--problems", "branin", "--methods", "random,sobol", "--seeds", "0-5",
           "--out", tmp_path)  # fmt: skip
    found = record.read(tmp_path)["search"]
    assert [row["sampler"] for row in found["curves"]] == ["random", "sobol"]
    assert all(len(row["median"]) == 50 for row in found["curves"])
    assert "## Finding hyperparameters" in page.render({"search": found})


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_committed_page_is_what_the_committed_records_say():
    assert page.render(COMMITTED) == PAGE.read_text(encoding="utf-8"), "make it anew: scripts/benchmarks.sh --render"


def test_the_page_has_every_picture_with_words_for_it():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("![")]
    files = [line.rpartition("](")[2].rstrip(")") for line in lines]
    assert sorted(files) == sorted(f"pictures/{name}.png" for name in pictures.drawn(COMMITTED))
    assert all((PAGE.parent / file).exists() for file in files)
    assert all(len(line.partition("](")[0]) > 60 for line in lines)


def test_goals_are_counted_and_the_missed_are_told_first():
    goals = ["met    a: 2.0, goal 1", "MISSED b: 0.5, goal 1", "no goal: the cores were not free"]
    made = {name: {**COMMITTED["threads"], "goals": goals * times} for name, times in (("threads", 1), ("gemm", 5))}
    text = page.render({name: {**one, "table": name} for name, one in made.items()})
    assert "| [Two threads](#two-threads) | 1 | 1 |" in text
    assert "| [Matrix products](#matrix-products) | 5 | 5 |" in text
    assert "| threads | b: 0.5, goal 1 |" in text.partition("## Where")[0]
    assert "| met | a: 2.0, goal 1 |" in text.partition("## Two threads")[2].partition("## Matrix")[0]
    assert "The 15 goals" in text
    assert "Not measured yet: One step, " in text


def test_every_table_of_the_command_has_its_place():
    assert set(SECTIONS) == set(bench.TABLES)


def test_cells():
    assert [digits(v) for v in (0.0, 0.0312, 7.0, 93.46, 999.4, 999.6, 123456.0)] == [
        "0", "0.0312", "7.00", "93.5", "999", "1,000", "123,000"
    ]  # fmt: skip
    rows = [{"a": 10_000, "b": 2.0, "b x": 0.5, "m": 1.0, "e": 0.1}, {"a": 1, "m": 2.0, "e": None, "c": None}]
    columns = {"A": plain("a"), "B": beside("b"), "C": plain("c"), "M": error("m", "e")}
    assert table(rows, columns) == [
        "| A | B | M |",
        "| --- | --- | --- |",
        "| 10,000 | 2.00 (0.500x) | 1.00 ± 0.10 |",
        "| 1 | - | - |",
    ]


def test_the_page_without_records_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["page", str(tmp_path), str(tmp_path / "page.md")])
    with pytest.raises(SystemExit, match="no records"):
        page.main()


# --- pictures ---------------------------------------------------------------------------------------------------------

KERNELS = {
    "caches": {"L1": 1000},
    "rows": [
        {"rule": "adam", "n": n, "GB/s": 100.0, "of ceiling": 0.5, "torch fused": 4.0, "numpy": 10.0, "optax": None}
        for n in (100, 1000)
    ],
}


def test_the_roofline_is_of_what_was_measured():
    left, right = pictures.roofline({"kernels": KERNELS}).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert lines["memory's ceiling"] == [200.0, 200.0]
    assert lines["optlab"] == [100.0, 100.0]
    assert lines["torch fused"] == [25.0, 25.0]
    assert "optax" not in lines
    assert left.lines[-1].get_xdata()[0] == 1000 / 16  # four rows of float32 fill the cache
    assert list(right.lines[0].get_ydata()) == [0.5, 0.5]


def test_bars_are_ratios_and_marks_are_goals():
    (ax,) = bars.ratios({"kernels": KERNELS}).axes
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert ends == [4.0, 10.0, 4.0, 10.0]
    assert [line.get_xdata()[0] for line in ax.lines] == [10.0, 1.0]  # torch fused at n = 100; the line at 1
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "n = 100", "torch fused", "numpy", "n = 1,000", "torch fused", "numpy"
    ]  # fmt: skip


def test_curves_of_regret_and_cost():
    bounds = {"low": [-2.0] * 50, "median": [-1.0] * 50, "high": [0.0] * 50}
    rows = [{"results": n, "gp": 2.0, "optuna gp": n * 1.0} for n in (200, 500)] + [{"results": 1000, "gp": 2.0}]
    made = {"search": {"curves": [{"sampler": "gp", **bounds}], "cost": rows}}
    (ax,) = pictures.regret(made).axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 0.1)
    segments = ax.collections[0].get_segments()
    assert [tuple(y for _, y in segment) for segment in segments] == [(pytest.approx(0.01), pytest.approx(1.0))] * 4
    (ax,) = pictures.cost(made).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["Optuna GP: n^1.00 from 200 on"] == [[200, 200], [500, 500]]
    assert lines["n^3"][-1] == [1000, 2.0 * 5**3]


def test_every_picture_can_be_drawn(tmp_path):
    paths = pictures.draw(COMMITTED, tmp_path)
    assert [path.stem for path in paths] == pictures.drawn(COMMITTED)
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")


# --- pytest-benchmark -------------------------------------------------------------------------------------------------

RATIOS = """
import os
from optlab.bench.timing import Times
from ratio import in_ratios, keep

pytestmark = in_ratios

def test_it(benchmark):
    ours = [float(os.environ["SLOWER"]) * second for second in (1.0, 2.0, 3.0)]
    keep(benchmark, Times({"ours": ours, "fast": [10.0] * 3, "slow": [90.0] * 3, "aside": [0.1] * 3}), "ours", "aside")

def test_alone(benchmark):
    keep(benchmark, Times({"ours": [1.0]}), "ours")
"""


def test_ratios_are_kept_and_compared(tmp_path):
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")
    for name in ("conftest.py", "ratio.py"):
        shutil.copy(ROOT / "benchmarks" / name, tmp_path)
    (tmp_path / "test_it.py").write_text(RATIOS)

    def run(slower, *options):
        command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-rs", "--benchmark-only", *options]
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))
        env = {**ALONE, "PYTHONPATH": paths, "SLOWER": str(slower)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    code, out = run(1.0, "--benchmark-json=base.json")
    assert code == 0, out
    assert "no peer is installed" in out
    (kept,) = json.loads((tmp_path / "base.json").read_text())["benchmarks"]
    stats = {name: kept["stats"][name] for name in ("min", "median", "max", "rounds")}
    assert stats == {"min": 0.1, "median": 0.2, "max": 0.3, "rounds": 3}
    assert kept["extra_info"]["fastest"] == "fast"
    compared = ("--benchmark-compare=base.json", "--benchmark-compare-fail=median:25%")
    code, out = run(1.2, *compared)
    assert code == 0, out
    assert "Name (time in fastest peer's)" in out
    assert "(NOW)" in out
    code, out = run(1.3, *compared)
    assert code != 0
    assert "Performance has regressed" in out


def test_the_baseline_is_of_tests_that_are_there():
    baseline = json.loads((ROOT / "benchmarks" / "baseline.json").read_text())
    command = [sys.executable, "-m", "pytest", "benchmarks/test_ratios.py", "--collect-only", "-q", "--benchmark-only"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**ALONE, "PYTHONPATH": "."})
    there = {line for line in done.stdout.splitlines() if "::" in line}
    assert {kept["fullname"] for kept in baseline["benchmarks"]} <= there
