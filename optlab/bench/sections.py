"""The words of the page of benchmarks: what each table shows, how to make it again, what is not covered."""

from typing import NamedTuple


class Section(NamedTuple):
    """A table of the page: its heading, what it shows, its pictures with their descriptions."""

    heading: str
    text: str
    pictures: dict[str, str] = {}  # noqa: RUF012 - a tuple's default is never changed


SECTIONS = {
    "kernels": Section(
        "One step",
        """`Optimizer.step()` over n float32 parameters, default settings. Columns of libraries: their time over
optlab's. "Of the ceiling" is the time of a loop with the same reads and writes and one addition each, over ours: where
the memory is the limit it is the limit for everyone, and above 1 is noise. "numpy" is the rule's own functions on whole
arrays. A dash: the library has no such rule, or not in that form. Before timing, the parameters after three steps must
agree; "differs" names who ended elsewhere and should not have (none, if there is no such column).""",
        {
            "bench-roofline": "Gigabytes per second against the number of parameters. Left: Adam in optlab, torch's "
            "three forms, optax and NumPy, under the grey line of the memory's ceiling, with dotted lines where the "
            "caches are full. Right: every rule of optlab, and the band of their ceilings.",
            "bench-rules": "The left half of the roofline for each of the rules: optlab stays nearest the ceiling.",
        },
    ),
    "descents": Section(
        "Descents",
        """The trajectory is 10,000 steps of Adam on Beale, everything recorded (point, value, gradient, both moments;
torch records the points only). The basin map is 200 x 200 starts of 200 steps each, keeping the last point and the
first step on target. Ends are compared before timing.""",
    ),
    "training": Section(
        "Training",
        """A step of Adam with cross-entropy in float32, from the same weights on the same batches; the losses of the
first steps must agree before timing, and every round trains new models for ten epochs. Ours is the machine, one
compiled call per epoch; columns are the other's time over the machine's. "Of products" is the machine's time over that
of its matrix products alone, the same kernels on the same rows.""",
    ),
    "sweep": Section(
        "Many models",
        """64 models 64-32-16-10, each with its own learning rate, 56 steps of batch 32, one thread.""",
    ),
    "threads": Section(
        "Two threads",
        """The same models in two Python threads, beside a bare loop that shows what the cores gave at that moment.""",
    ),
    "gemm": Section(
        "Matrix products",
        """The register tile against `np.dot` in compiled code, both called from compiled loops, and `torch.matmul`
called from Python, which is its only way in. nn: a b; tn: a' b.""",
    ),
    "startup": Section("Starting up", """Fresh processes, what is compiled and on disk already there; wall clock."""),
    "throughput": Section(
        "Throughput of sweeps",
        """What a study takes besides its objective, which is a sum: random search, ours and Optuna's. In memory CPU
time; in files (SQLite; Optuna also with its journal), where each result waits for the disk, the wall clock, and
beside it one such wait. "ms": of optlab, a trial, or the opening of a file that has so many; columns of names: their
time over it. Memory is of processes that ran so many trials.""",
        {
            "bench-throughput": "Bars of Optuna's time of a trial over optlab's on a logarithmic axis, in memory, in a "
            "file, with two processes, and for opening a file again.",
        },
    ),
    "search": Section("Finding hyperparameters", ""),
}  # fmt: skip
COSTS = """CPU milliseconds of one suggestion (ask and tell through a study, one thread) with so many results in six
parameters, in one run in turns; in brackets, over ours. Ours with its fits, which come after a growth by a tenth; the
others fit each time. A peer is left out where a suggestion would take over a minute, and beyond 200 results all but
Optuna's GP are. Peers have their defaults."""
COST_ALT = "Milliseconds of a suggestion against the number of results, both logarithmic: optlab's GP stays under a \
hundred up to 2,000 results, the other Gaussian processes take tens to hundreds of times as long."
REGRETS = """Fifty trials on each of sixteen problems, of which the first ten are the same Sobol points for all. A
regret is divided by that of a random point and counts as 1e-6 below; the true value at the lowest observation counts.
The suite was used while `GP` was made; on problems that were not the lead is smaller: see
[the Gaussian process](gaussian-process.md). Peers' cells are kept in a file from run to run, as they take hours; the
seconds of theirs are of those runs. Lines are medians over the cells (a problem and a seed) that every sampler has,
bars their 95% intervals by order statistics."""
REGRET_ALT = "Median regret so far by trial on a logarithmic axis: after the ten shared trials optlab's GP falls \
fastest, Sobol and random points hardly fall."

RATIOS_ALT = "Bars of the peers' times over optlab's on a logarithmic axis, from a line at 1, for one step of Adam, a \
training step, sixty-four models and 2-D descents; goals are black marks."
ABOUT = """# Benchmarks

Every number here is made by one command, `scripts/benchmarks.sh`, from the records in `benchmarks/records/`, which say
where, when, with which versions and threads they were measured; nothing is typed in. Why it is so: [speed](speed.md).

Every contender runs once a round in shuffled order, warm-up outside the clock; ratios are the medians of per-round
ratios, which drift less than times do. CPU time of one core, one thread for everyone, unless a table
says wall clock."""

AGAIN = """## Again, and elsewhere

```
scripts/benchmarks.sh                                    # everything, then this page; half an hour
scripts/benchmarks.sh --render                           # this page and its pictures from the records
optlab bench kernels --peers --out benchmarks/records    # one table anew
optlab bench search --peers --cells cells.jsonl          # peers' regrets: hours, goes on where it stopped
optlab bench all                                         # without peers and without records
```

A record is made where its peers are: the search's came from an environment of its own if its versions say so.

`pytest benchmarks --benchmark-only` runs the same code under pytest-benchmark, one entry per rule, library and size.
Times of two machines can't be compared, ratios can: the entries of `benchmarks/test_ratios.py` hold optlab's time over
the fastest peer's, round by round, in the place of seconds (the heading still says "time in s"). With the stored
baseline of these ratios

```
pytest benchmarks/test_ratios.py --benchmark-only --benchmark-compare=benchmarks/baseline.json
pytest benchmarks/test_ratios.py --benchmark-only --benchmark-compare=benchmarks/baseline.json \\
    --benchmark-compare-fail=median:25% -k "adam and 10000"
```

the first shows baseline and now, one below the other; the second fails where the median ratio grew by more than a
quarter. Ratios move by about 15% on a busy machine.

## Not covered

- One kind of processor, one operating system; no GPU, no multi-threaded peers.
- Convolutions: the machine trains networks of linear layers, and so do these tables.
- `torch.compile`: tens of seconds of warm-up, then about as fast as eager on these networks; tried once, not here.
- Memory, energy, and the accuracy that is reached: [the gallery](gallery.md) judges what is learned.
- Sizes between and beyond those of the tables; peers of the search with other than their defaults."""
