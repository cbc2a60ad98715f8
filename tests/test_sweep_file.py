"""Sweep files: face.md's example; faults.md, row 18: every mistake with its key path, no other error."""

import math
import re

import pytest
from conftest import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab.errors import ConfigError
from optlab.search import toml
from optlab.search.samplers.grid import Grid
from optlab.search.samplers.random import Random
from optlab.search.samplers.refine import Refine
from optlab.search.space import Choice, Float, Int, Space
from optlab.search.spec import SweepSpec, load_sweep

FACE = """
objective = "training"            # training | descent | surface | svm | "package.module:function"
trials = 60
sampler = "gp"                    # gp | random | sobol | grid
seed = 0
[settings]                        # fixed arguments of the objective
dataset = "digits"
epochs = 20
[space]
rule = ["sgd", "momentum", "adam"]
lr = { low = 1e-5, high = 1.0, log = true }
batch_size = { low = 8, high = 256, log = true, int = true }
beta = { low = 0.5, high = 0.99, when = { rule = "momentum" } }
"""
SPACE = Space(
    rule=Choice(["sgd", "momentum", "adam"]),
    lr=Float(1e-5, 1, log=True),
    batch_size=Int(8, 256, log=True),
    beta=Float(0.5, 0.99, when={"rule": "momentum"}),
)
HEAD = 'objective = "training"\nsampler = "random"\n'
GOOD = HEAD + "[space]\nlr = { low = 1e-5, high = 1.0, log = true }\n"


def test_the_example_of_the_face(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(FACE, encoding="utf-8")
    for source in (path, str(path), FACE, FACE.encode()):
        sweep = load_sweep(source)
        assert sweep.space == SPACE
        assert (sweep.objective, sweep.trials, sweep.sampler.name, sweep.seed) == ("training", 60, "gp", 0)
        assert sweep.settings == {"dataset": "digits", "epochs": 20}
        assert (sweep.direction, sweep.storage, sweep.name, sweep.retries) == ("minimize", None, None, 1)
    assert SweepSpec.from_dict(sweep.to_dict()) == sweep == load_sweep(sweep.to_dict())


def test_every_key():
    sweep = load_sweep(
        'objective = "my.module:objective"\ntrials = 0\nseed = 7\ndirection = "maximize"\nstorage = "a.db"\n'
        'name = "n"\nretries = 0\ntimeout = 30\nmax_failures = 3\npruner = "median"\n'
        '[sampler]\nname = "grid"\npoints = 3\nextend = true\naxes = { lr = [1e-3, 1e-2] }\n'
        "bounds = { lr = [1e-4, 1] }\n"
        "[space]\nlr = { low = 1e-5, high = 1.0, log = true, limits = [0, inf] }\n"
        "n = { low = 0, high = 1, step = 0.25 }\n"
        'c = { values = ["a", 2, true], when = { n = [0.25, 0.5] } }\n'
    )
    assert sweep.sampler == Grid(lr=[1e-3, 1e-2], points=3, extend=True, bounds={"lr": [1e-4, 1]}, seed=7)
    assert sweep.space == Space(lr=Float(1e-5, 1, log=True, limits=(0, math.inf)), n=Float(0, 1, step=0.25),
                                c=Choice(["a", 2, True], when={"n": [0.25, 0.5]}))  # fmt: skip
    assert (sweep.timeout, sweep.max_failures, sweep.pruner, sweep.retries) == (30.0, 3, "median", 0)
    assert SweepSpec.from_dict(sweep.to_dict()) == sweep
    assert load_sweep(GOOD + "").sampler == Random(0)
    assert load_sweep(GOOD.replace('"random"', '{ name = "refine", coarse = 9 }')).sampler == Refine(9)


def space(line):
    return HEAD + "[space]\n" + line


TWO_MORE = "a = { low = 0, high = 1 }\nb = { low = 0, high = 1 }\n"
# what, the file, what the message says (each of them)
CASES = [
    ("nothing", "", ["objective is missing", "space is missing"]),
    ("a comment", "# a\n", ["objective is missing", "space is missing"]),
    ("unknown key", "trails = 3\n" + GOOD, ["trails is unknown; did you mean 'trials'?"]),
    ("unknown table", GOOD + "[setings]\na = 1\n", ["setings is unknown; did you mean 'settings'?"]),
    ("unknown key like none", "xyzzy = 3\n" + GOOD, ["xyzzy is unknown; known: objective, space"]),
    ("unknown option", space("lr = { low = 0, hihg = 1, high = 1 }"),
     ["space.lr.hihg is unknown; did you mean 'high'?"]),
    ("log of a choice", space("a = { values = [1], log = true }"), ["space.a.log is unknown"]),
    ("values of a range", space("a = { values = [1], low = 0 }"), ["space.a.low is unknown"]),
    ("objective of no type", GOOD.replace('"training"', "3"), ["objective must be one of training", "got 3"]),
    ("objective unknown", GOOD.replace("training", "trainig"), ["objective must be one of", "got 'trainig'"]),
    ("objective without function", GOOD.replace("training", "a.b:"), ["objective must be one of", "got 'a.b:'"]),
    ("objective that is code", GOOD.replace("training", "os:system('x')"), ["objective must be one of"]),
    ("trials as text", 'trials = "60"\n' + GOOD, ["trials must be a whole number from 0 to 1000000, got '60'"]),
    ("trials as a fraction", "trials = 2.0\n" + GOOD, ["trials must be a whole number", "got 2.0"]),
    ("trials below 0", "trials = -1\n" + GOOD, ["trials must be a whole number", "got -1"]),
    ("10^9 trials", "trials = 1000000000\n" + GOOD, ["trials must be a whole number from 0 to 1000000"]),
    ("trials as bool", "trials = true\n" + GOOD, ["trials must be a whole number", "got True"]),
    ("seed as bool", "seed = false\n" + GOOD, ["seed must be a whole number", "got False"]),
    ("seed below 0", "seed = -1\n" + GOOD, ["seed must be a whole number"]),
    ("seed of 20 digits", "seed = 99999999999999999999\n" + GOOD, ["seed must be a whole number"]),
    ("seed of NaN", "seed = nan\n" + GOOD, ["seed must be a whole number", "got nan"]),
    ("direction", 'direction = "up"\n' + GOOD, ["direction must be one of minimize, maximize, got 'up'"]),
    ("storage", "storage = 3\n" + GOOD, ["storage must be a text, got 3"]),
    ("empty name", 'name = ""\n' + GOOD, ["name must be a text, got ''"]),
    ("timeout 0", "timeout = 0\n" + GOOD, ["timeout must be a number of seconds greater than 0, got 0"]),
    ("timeout inf", "timeout = inf\n" + GOOD, ["timeout must be a number of seconds"]),
    ("pruner", 'pruner = "hyper"\n' + GOOD, ["pruner must be one of median, halving"]),
    ("sampler unknown", GOOD.replace('"random"', '"tpe"'), ["sampler 'tpe' is unknown; known: grid"]),
    ("sampler misspelt", GOOD.replace('"random"', '"sobl"'), ["sampler 'sobl' is unknown; did you mean 'sobol'?"]),
    ("sampler a number", GOOD.replace('"random"', "1"), ["sampler must be a name or a table"]),
    ("sampler without name", GOOD.replace('"random"', "{ points = 2 }"), ["sampler.name is missing"]),
    ("sampler's option", GOOD.replace('"random"', '{ name = "grid", pionts = 2 }'),
     ["sampler.pionts is unknown; did you mean 'points'?"]),
    ("sampler's seed", GOOD.replace('"random"', '{ name = "random", seed = 2 }'), ["sampler.seed belongs to the top"]),
    ("sampler's value", GOOD.replace('"random"', '{ name = "refine", coarse = 0, shrink = nan }'),
     ["sampler.coarse must", "sampler.shrink must"]),
    ("settings a list", GOOD.replace("[space]", "settings = [1]\n[space]"), ["settings must be a table"]),
    ("settings with NaN", GOOD + "[settings]\na.b = [1, nan]\n",
     ["settings.a.b[1] must be a text, a finite number", "got nan"]),
    ("settings with a date", GOOD + "[settings]\na = 2020-01-01\n", ["settings.a must be a text"]),
    ("space a list", HEAD + "space = [1]\n", ["space must be a table of parameters, got [1]"]),
    ("space empty", HEAD + "[space]\n", ["space is empty"]),
    ("parameter a number", space("lr = 0.1"),
     ["space.lr must be a list of values or a table", "belongs to [settings]"]),
    ("no ends", space("lr = { log = true }"), ["space.lr.low is missing", "space.lr.high is missing"]),
    ("low = high", space("lr = { low = 1, high = 1 }"), ["space.lr.low must be less than high"]),
    ("low > high", space("lr = { low = 1.0, high = 1e-5 }"),
     ["space.lr.low must be less than high, got low = 1.0 and high = 1e-05"]),
    ("log of 0", space("lr = { low = 0, high = 1, log = true }"),
     ["space.lr.low must be greater than 0 on a log scale, got 0.0"]),
    ("log below 0", space("lr = { low = -1, high = 1, log = true }"), ["space.lr.low must be greater than 0"]),
    ("log a number", space("lr = { low = 1, high = 2, log = 1 }"), ["space.lr.log must be true or false, got 1"]),
    ("1e-5 as text", space('lr = { low = "1e-5", high = 1.0 }'), ["space.lr.low must be a finite number, got '1e-5'"]),
    ("bool as int", space("n = { low = true, high = 8, int = true }"),
     ["space.n.low must be a whole number, got True"]),
    ("bool as float", space("n = { low = 0.0, high = true }"), ["space.n.high must be a finite number, got True"]),
    ("float as int", space("n = { low = 1.0, high = 8, int = true }"), ["space.n.low must be a whole number, got 1.0"]),
    ("int a text", space('n = { low = 1, high = 8, int = "yes" }'), ["space.n.int must be true or false, got 'yes'"]),
    ("NaN literal", space("lr = { low = nan, high = 1.0 }"), ["space.lr.low must be a finite number, got nan"]),
    ("inf literal", space("lr = { low = 1.0, high = inf }"), ["space.lr.high must be a finite number, got inf"]),
    ("1e400", space("lr = { low = 1.0, high = 1e400 }"), ["space.lr.high must be a finite number, got inf"]),
    ("NaN in a choice", space("c = [1.0, nan]"), ["space.c[1] must be a text, a finite number"]),
    ("list in a choice", space("c = [[1], 2]"), ["space.c[0] must be a text"]),
    ("empty choice", space("c = []"), ["space.c is empty"]),
    ("empty choice in a table", space("c = { values = [] }"), ["space.c is empty"]),
    ("value twice", space("c = [0.1, 0.2, 0.1]"), ["space.c[2] is 0.1 as [0] is"]),
    ("step that does not fit", space("n = { low = 1, high = 8, step = 3, int = true }"),
     ["space.n.step must lead from 1 to 8 in whole steps, got 3: the last is 7"]),
    ("step of 10^-13", space("n = { low = 0, high = 1, step = 1e-13 }"), ["space.n.step gives more than 1e+12 values"]),
    ("int of 10^30", space("n = { low = 0, high = 1000000000000000000000000000000, int = true }"),
     ["space.n.high must be within"]),
    ("parent unknown", space('b = { low = 0, high = 1, when = { rul = "a" } }\nrule = ["a"]'),
     ["space.b.when.rul is unknown; did you mean 'rule'?"]),
    ("parent's value", space('b = { low = 0, high = 1, when = { rule = "c" } }\nrule = ["a"]'),
     ["space.b.when.rule must be one of 'a', got 'c'"]),
    ("parent a range", space("a = { low = 0, high = 1, when = { b = 1 } }\nb = { low = 0, high = 1 }"),
     ["space.a.when.b is a continuous range"]),
    ("condition on itself", space("a = { low = 0, high = 1, int = true, when = { a = 1 } }"),
     ["space.a.when depends on itself"]),
    ("condition a text", space('a = { low = 0, high = 1, when = "b" }'), ["space.a.when must name other parameters"]),
    ("limits", space("a = { low = 0, high = 1, limits = [0.5, 2] }"), ["space.a.limits must contain low and high"]),
    ("name of nothing", space('"" = [1]'), ["is no name: ''"]),
    ("empty grid", GOOD.replace('"random"', '{ name = "grid", axes = { lr = [] } }'), ["sampler.axes.lr is empty"]),
    ("duplicate grid", GOOD.replace('"random"', '{ name = "grid", axes = { lr = [0.1, 0.1] } }'),
     ["sampler.axes.lr[1] is 0.1 as [0] is"]),
    ("grid outside the space", GOOD.replace('"random"', '{ name = "grid", axes = { lr = [2.0] } }'),
     ["sampler.axes.lr[0] must be in [1e-05, 1.0], got 2.0"]),
    ("10^9 points on an axis", GOOD.replace('"random"', '{ name = "grid", points = 1000000000 }'),
     ["sampler.points must be a whole number from 1 to 100000"]),
    ("10^9 points of three axes", GOOD.replace('"random"', '{ name = "grid", points = 1000 }') + TWO_MORE,
     ["sampler has up to 1,000,000,000 points, more than 100,000"]),
    ("many at once", "trials = true\nsede = 1\n" + space('a = { low = "1", high = nan }\nb = []\nc = 3'),
     ["6 mistakes", "sede is unknown; did you mean 'seed'?", "trials must", "space.a.low must", "space.a.high must",
      "space.b is empty", "space.c must"]),
    ("key twice", "trials = 3\ntrials = 4\n" + GOOD, ["is no valid TOML: Cannot overwrite a value (at line 2"]),
    ("no value", "trials =\n" + GOOD, ["is no valid TOML", "line 1"]),
    ("bare word", "sampler = gp\n", ["is no valid TOML"]),
    ("JSON", '{"objective": "training"}\n', ["is no valid TOML"]),
    ("control character", "trials = 3\x01\n" + GOOD, ["is no valid TOML"]),
    ("NUL", "\x00" * 50 + "\n", ["is no valid TOML"]),
    ("Latin-1", GOOD.encode() + b"# caf\xe9\n", [f"is not UTF-8 at byte {len(GOOD) + 5} (line 5)"]),
    ("UTF-16", GOOD.encode("utf-16"), ["starts with a byte order mark"]),
    ("UTF-16 without a mark", GOOD.encode("utf-16-le"), ["is no valid TOML"]),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD.encode(),
     ["starts with a byte order mark; save it as UTF-8 without one"]),
    ("1,000 levels of arrays", GOOD + "[settings]\na = " + "[" * 1000 + "]" * 1000, ["nested deeper than 32 levels"]),
    ("1,000 levels of tables", GOOD + "[settings]\na = " + "{a=" * 1000 + "1" + "}" * 1000,
     ["nested deeper than 32 levels"]),
    ("33 levels of arrays", GOOD + "[settings]\na = " + "[" * 33 + "]" * 33, ["nested deeper than 32 levels"]),
    ("30,000 levels of dots", "a" + ".a" * 30_000 + " = 1\n", ["has a dotted key of more than 32 parts"]),
    ("dots with spaces and quotes", "[" + "'a' . " * 5000 + "a]\n", ["has a dotted key of more than 32 parts"]),
    ("10 MB", GOOD + "# " + "a" * (10 << 20), ["is larger than 64 kB"]),
    ("10 MB of keys", "\n".join(f"a{i} = 1" for i in range(900_000)), ["is larger than 64 kB"]),
    ("64 kB of unknown keys", "\n".join(f"a{i}=1" for i in range(7_000)), ["7002 mistakes", "and 6902 more"]),
    ("an integer of 10,000 digits", "trials = " + "1" * 10_000 + "\n" + GOOD, ["is no valid TOML"]),
    ("a hexadecimal of 50,000 digits", "trials = 0x" + "f" * 50_000 + "\n" + GOOD,
     ["trials must be a whole number", "thousands of digits"]),
    ("a key of 60 kB", "b" * 60_000 + " = 1\n", ["'" + "b" * 56 + "... is unknown"]),
    ("a text of 60 kB", 'direction = "' + "b" * 60_000 + '"\n' + GOOD,
     ["direction must be one of minimize, maximize, got '" + "b" * 56 + "..."]),
    ("1,000 parameters, each upon the next",
     space("".join(f"p{i} = {{values=[0,1], when={{p{i + 1}=1}}}}\n" for i in range(1000))),
     ["space.p999.when.p1000 is unknown"]),
]  # fmt: skip


@pytest.mark.parametrize(("contents", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.fault(18)
def test_malformed_files(contents, says, tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert all(text in message for text in says), message
    assert len(message) < 20_000


@pytest.mark.fault(18, cases=3)
def test_files_that_are_not_there(tmp_path):
    for path, says in [
        (tmp_path / "none.toml", "can't be read (No such file or directory)"),
        (tmp_path, "can't be read (Is a directory)"),
        ("a\0b", "can't be read"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(says)):
            load_sweep(path)
    with pytest.raises(ConfigError, match="must be a dictionary in the form of a sweep file, got 3"):
        SweepSpec.from_dict(3)


def test_sound_files_of_strange_form_are_read():
    text = GOOD.replace("\n", "\r\n") + "[settings]\r\nnote = 'é ☃ " + "a. b" * 20 + "'\r\n"
    assert load_sweep(text).settings["note"].startswith("é ☃")
    nested = load_sweep(GOOD + "[settings]\na = " + "[" * 28 + "]" * 28)
    assert toml._depth(nested.settings) == 29


# --- fuzz: whatever the text, a sweep or a ConfigError ----------------------------------------------------------------

WORDS = st.sampled_from(
    ["objective", "space", "sampler", "trials", "lr", "low", "high", "log", "int", "step", "when", "values", "limits",
     "=", "=", "[", "]", "{", "}", ",", ".", "\n", "\n", '"', "'", '"""', "true", "nan", "-inf", "1e-5", "0", "0x1f",
     "1_0", "1979-05-27", "07:32:00", '"training"', '"grid"', '"gp"', '"random"', "[space]", "[settings]", "[[space]]",
     "#", " ", "\t", "\r", "\x00", "\ud800", "é", "1" * 20, "name", "points", "axes", "seed", "[sampler]"]
)  # fmt: skip
PLACES = st.integers(0, len(FACE) - 1)


def sweep_or_error(source):
    try:
        return load_sweep(source)
    except ConfigError as error:
        text = str(error)
    assert text  # can be told
    return None


@settings.get_profile("fuzz")
@given(st.lists(WORDS, max_size=30).map("".join))
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_tokens(text):
    sweep_or_error("\n" + text)


@settings.get_profile("fuzz")
@given(st.lists(st.tuples(PLACES, st.integers(0, 5), WORDS), min_size=1, max_size=4))
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_changes_of_a_sound_file(changes):
    text = FACE.replace('"gp"', '"random"')
    for place, removed, word in changes:
        text = text[:place] + word + text[place + removed :]
    sweep = sweep_or_error(text)
    assert sweep is None or SweepSpec.from_dict(sweep.to_dict()) == sweep


@settings.get_profile("fuzz")
@given(st.binary(max_size=200))
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_bytes(contents):
    assert sweep_or_error(contents) is None


KEYS = ["low", "high", "log", "int", "step", "when", "values", "limits", "lr", "name", "points", "axes"]
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["gp", "lr"])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@settings.get_profile("fuzz")
@given(values, values, values)
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_dictionaries(entry, sampler, anything):
    base = {"objective": "training", "sampler": "random", "space": {"lr": {"low": 0, "high": 1}}}
    good = load_sweep(base)
    assert good.space == Space(lr=Float(0, 1))
    for change in ({"space": entry}, {"space": {"a": [1, 2], "lr": entry}}, {"sampler": sampler}, {"trials": anything},
                   {"settings": anything}, {"seed": anything}, {"timeout": entry}):  # fmt: skip
        sweep = sweep_or_error(base | change)
        assert sweep is None or SweepSpec.from_dict(sweep.to_dict()) == sweep
