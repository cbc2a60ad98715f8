"""The disk cache: a second process compiles nothing, an edit recompiles what depends on it, damage costs a warning.

Whether something was compiled is read from Numba's own cache statistics, never from a clock. Processes cost a second
each, so one tells as much as it can.
"""

import collections
import enum
import functools
import json
import math
import operator
import os
import pickle
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
from conftest import JIT
from numba.extending import intrinsic, overload, register_jitable

import optlab as ol
from optlab_kernels import cache
from optlab_kernels.cache import CHECK_BYTES, CacheWarning, CheckedFiles, Unknown, digest, machinery

needs_compiler = pytest.mark.skipif(
    not JIT, reason="with NUMBA_DISABLE_JIT=1 nothing is compiled, so nothing is cached"
)
SIX = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "lion")

# Steps each named rule twice and prints, by name: cache hits and misses of its loop, and the parameters; and warnings.
PROBE = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as notes:
    warnings.simplefilter("always")
    import numpy as np, optlab as ol
    from optlab_kernels.fuse import fuse
    for module in sys.argv[2].split():
        __import__(module)
    report = {}
    for name in sys.argv[1].split():
        w = ol.Tensor(np.array([1.0, -2.0, 3.0]))
        optimizer = ol.Optimizer([w], ol.RULES[name](lr=0.5))
        for g in (0.25, -1.0):
            w.grad[...] = g
            optimizer.step()
        stats = optimizer._step.stats
        report[name] = sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), w.data.tolist()
print(json.dumps([report, [[n.category.__name__, str(n.message)] for n in notes]]))
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Begin a process that runs PROBE with its cache in ``folder`` and modules from the folder above.

    On a copy of the packages: whoever edits a file during the run would rightly see everything compiled again.
    """
    copy = tmp_path_factory.mktemp("source")
    for package in (Path(ol.__file__).parent, cache.HERE):
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return functools.partial(begin, copy)


def begin(copy, folder, names=SIX, modules="", code=PROBE):
    path = os.pathsep.join(map(str, (copy, folder.parent)))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": path}
    command = [sys.executable, "-c", code, " ".join(names), modules]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=copy, **pipes)


def finish(process):
    """What it printed: hits and misses by rule where there were any, parameters, warnings as (category, message)."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    report, notes = json.loads(out)
    hits, misses, results = ({name: row[i] for name, row in report.items()} for i in range(3))
    return {k: v for k, v in hits.items() if v}, {k: v for k, v in misses.items() if v}, results, notes


@pytest.fixture(scope="module")
def probe(start):
    return lambda *arguments: finish(start(*arguments))


def once(*names):
    return dict.fromkeys(names, 1)


def files(folder):
    return sorted(folder.rglob("*.nbc"))


def here(names=SIX):
    """The parameters that PROBE prints, from this process."""
    end = {}
    for name in names:
        w = ol.Tensor(np.array([1.0, -2.0, 3.0]))
        optimizer = ol.Optimizer([w], ol.RULES[name](lr=0.5))
        for g in (0.25, -1.0):
            w.grad[...] = g
            optimizer.step()
        end[name] = w.data.tolist()
    return end


OTHERS = ("adadelta", "amsgrad", "nadam", "adamax")


@pytest.fixture(scope="module")
def raced(tmp_path_factory, start):
    """An empty cache on which six processes compile the same six rules at once; what they report."""
    folder = tmp_path_factory.mktemp("raced") / "cache"
    return folder, list(map(finish, [start(folder, SIX[i:] + SIX[:i]) for i in range(6)]))


@pytest.fixture(scope="module")
def warm(raced, probe):
    """A cache that holds the step of every rule; tests that change it take a copy."""
    folder, _ = raced
    hits, misses, results, notes = probe(folder, ol.RULES)
    # AdamW is Adam's two functions under other settings, and so finds Adam's code
    assert (hits, misses, notes) == (once(*SIX, "adamw"), once(*OTHERS), [])
    assert results == here(ol.RULES)
    return folder


@needs_compiler
@pytest.mark.fault(23, cases=36)
def test_six_processes_compile_six_rules_at_once(raced):
    folder, reports = raced
    for _, _, results, notes in reports:
        assert (results, notes) == (here(), [])
    assert list(folder.rglob("*.part")) == list(folder.rglob("*.damaged")) == []


@needs_compiler
def test_a_second_process_compiles_nothing(warm, probe):
    before = files(warm)
    assert len(before) == len(SIX) + len(OTHERS)
    hits, misses, results, notes = probe(warm, ol.RULES)
    assert (hits, misses, notes) == (once(*ol.RULES), {}, [])
    assert results == here(ol.RULES)
    assert files(warm) == before


USER = """
import numba, optlab as ol
from typing import NamedTuple
class Hyper(NamedTuple):
    lr: float = 0.01
FACTOR = 1.0
@numba.njit
def helper(x):
    return FACTOR * x
def update(p, g, s, c):
    return p - c[0] * helper(g), ()
def make(k):
    def scaled(p, g, s, c):
        return p - c[0] * k * g, ()
    return scaled
def coefficients(t, h):
    return (h.lr,)
def add(name, update):
    ol.register(name, Hyper, coefficients=coefficients, update=update)
add("mine", update)
add("factory-one", make(1.0)); add("factory-two", make(2.0))
add("lambda-one", lambda p, g, s, c: (p - c[0] * g, ())); add("lambda-two", lambda p, g, s, c: (p - 2.0 * c[0] * g, ()))
"""
MINE = ("mine", "factory-one", "factory-two", "lambda-one", "lambda-two")


def moved(k):
    """Where p - k lr g goes in PROBE."""
    return [x - 0.5 * k * 0.25 + 0.5 * k for x in (1.0, -2.0, 3.0)]


@needs_compiler
def test_steps_compiled_in_two_processes_are_no_namesakes(start, tmp_path):
    """Numba counts functions from 1 in every process; a third one that loads both would run one for the other."""
    code = (
        "import sys, numpy as np, optlab as ol\n"
        "w = ol.Tensor(np.ones(4, 'f4'), requires_grad=True)\n"
        "optimizer = ol.Optimizer([w], sys.argv[1])\n"
        "optimizer.zero_grad(); optimizer.step()\n"
        "print(*(result.fndesc.mangled_name for result in optimizer._step.overloads.values()))\n"
    )
    processes = [start(tmp_path / "cache", [rule], code=code) for rule in ("adam", "momentum")]
    first, second = (process.communicate()[0].strip() for process in processes)
    assert first
    assert first != second


@needs_compiler
def test_a_users_rules_in_a_file(warm, probe, tmp_path):
    """Twins in one file don't share entries; a constant edited in a helper of a rule recompiles that rule alone.

    The file's name begins like a library's, whose functions are known by their names.
    """
    folder, source = tmp_path / "cache", tmp_path / "numpy_rules.py"
    shutil.copytree(warm, folder)
    names = (*MINE, "sgd", "adam")
    source.write_text(USER)
    want = dict(zip(MINE, map(moved, (1, 1, 2, 1, 2)), strict=True)) | here(("sgd", "adam"))
    hits, misses, results, notes = probe(folder, names, "numpy_rules")
    assert (hits, misses, notes) == (once("sgd", "adam"), once(*MINE), [])
    assert results == want

    hits, misses, results, notes = probe(folder, names[::-1], "numpy_rules")
    assert (hits, misses, notes) == (once(*names), {}, [])
    assert results == want

    source.write_text(USER.replace("FACTOR = 1.0", "FACTOR = 3.00"))
    hits, misses, results, notes = probe(folder, names, "numpy_rules")
    assert (hits, misses) == (once(*names[1:]), once("mine"))
    assert (results, notes) == (want | {"mine": moved(3)}, [])


UNSOURCED = """
import optlab as ol
from typing import NamedTuple
class Hyper(NamedTuple):
    lr: float = 0.01
for name, k in (("typed-one", 1.0), ("typed-two", 2.0)):
    space = {}
    exec(f"def c(t, h): return (h.lr,)\\ndef u(p, g, s, c): return p - {k} * c[0] * g, ()", space)
    ol.register(name, Hyper, coefficients=space["c"], update=space["u"])
"""


@needs_compiler
def test_rules_without_a_file_work_uncached_with_one_notice(warm, probe, tmp_path):
    folder = tmp_path / "cache"
    shutil.copytree(warm, folder)
    before = files(folder)
    (tmp_path / "typed.py").write_text(UNSOURCED)
    _, _, results, notes = probe(folder, ("typed-one", "typed-two", "sgd"), "typed")
    assert results == {"typed-one": moved(1), "typed-two": moved(2), **here(("sgd",))}
    assert [n[0] for n in notes] == ["CacheWarning"]
    assert "has no source file" in notes[0][1]
    assert files(folder) == before


def flipped(raw, at=-7):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


GARBLED = pickle.dumps(np.ones(1)).replace(b"numpy", b"humpy")  # names a module that is not there
DAMAGE = {
    "truncated": lambda raw: raw[: len(raw) // 2],
    "cut to its check": lambda raw: raw[:CHECK_BYTES],
    "flipped": flipped,
    "flipped check": lambda raw: flipped(raw, 3),
    "empty": lambda raw: b"",
    "garbage": lambda raw: os.urandom(1000),
    "of classes that are no more": lambda raw: sha256(GARBLED).digest() + GARBLED,
}


@needs_compiler
@pytest.mark.fault(23, cases=len(DAMAGE))
def test_damaged_files_cost_one_warning_and_are_rebuilt(warm, probe, tmp_path):
    folder = tmp_path / "cache"
    shutil.copytree(warm, folder)
    for path, damage in zip(files(folder)[: len(DAMAGE)], DAMAGE.values(), strict=True):
        path.write_bytes(damage(path.read_bytes()))
    _, misses, results, notes = probe(folder, ol.RULES)
    assert results == here(ol.RULES)
    assert sum(misses.values()) == len(DAMAGE)
    assert [n[0] for n in notes] == ["CacheWarning"]
    assert "damaged; it was moved aside" in notes[0][1]
    hits, misses, results, notes = probe(folder, ol.RULES)
    assert (hits, misses, notes) == (once(*ol.RULES), {}, [])
    assert results == here(ol.RULES)


@needs_compiler
@pytest.mark.fault(23)
def test_a_disk_that_takes_nothing_costs_one_warning(probe, tmp_path):
    """No file may grow beyond 0 bytes, which stops root too."""
    folder = tmp_path / "cache"
    (tmp_path / "no_disk.py").write_text("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))")
    _, misses, results, notes = probe(folder, ("sgd", "momentum"), "no_disk")
    assert results == here(("sgd", "momentum"))
    assert misses == once("sgd", "momentum")
    assert [n[0] for n in notes] == ["CacheWarning"]
    assert "File too large" in notes[0][1]
    assert [p for p in folder.rglob("*") if p.is_file()] == []


@needs_compiler
@pytest.mark.fault(23)
def test_a_folder_that_can_not_be_made_is_survived(probe, tmp_path):
    """Its parent is a file; Numba then keeps the code beside the source, or nowhere."""
    (tmp_path / "file").write_text("")
    _, _, results, notes = probe(tmp_path / "file" / "cache", ("sgd",))
    assert results == here(("sgd",))
    assert {n[0] for n in notes} <= {"CacheWarning"}
    assert len(notes) <= 1


# --- the parts, in this process ---------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder of checked files; warnings not given yet."""
    monkeypatch.setattr(cache, "_warned", set())
    return CheckedFiles(str(tmp_path), "step")


def test_what_is_saved_is_loaded(store):
    assert store.load("key") is None
    store.save("key", {"a": 1})
    store.save("other", [2])
    assert (store.load("key"), store.load("other"), store.load("third")) == ({"a": 1}, [2], None)
    store.flush()
    assert store.load("key") is None


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
@pytest.mark.fault(23, cases=2)
def test_each_kind_of_damage_is_noticed_once(store, damage):
    for key in ("key", "other"):
        store.save(key, list(range(100)))
        store.path(key).write_bytes(damage(store.path(key).read_bytes()))
    with pytest.warns(CacheWarning, match="is damaged") as notes:
        assert [store.load(key) for key in ("key", "other")] == [None, None]
    assert len(notes) == 1
    store.save("key", "new")
    assert store.load("key") == "new"


def test_every_flipped_byte_is_found(store):
    store.save("key", list(range(100)))
    raw = store.path("key").read_bytes()

    def load(at):
        store.path("key").write_bytes(flipped(raw, at))
        return store.load("key")

    with pytest.warns(CacheWarning):
        assert {load(at) for at in range(len(raw))} == {None}
    store.path("key").write_bytes(raw)
    assert store.load("key") == list(range(100))


@pytest.mark.parametrize("where", ["missing", "file/under"])
def test_a_folder_that_is_gone_costs_one_warning(tmp_path, store, where):
    (tmp_path / "file").write_text("")
    gone = CheckedFiles(str(tmp_path / where), "step")
    with pytest.warns(CacheWarning, match="could not be kept") as notes:
        [gone.save(key, 1) for key in ("key", "other")]
    assert len(notes) == 1
    assert gone.load("key") is None


def test_machinery_is_the_content_of_our_files(tmp_path, monkeypatch):
    copy, of_copy = tmp_path / "optlab_kernels", machinery.__wrapped__
    before = of_copy()
    shutil.copytree(cache.HERE, copy)
    monkeypatch.setattr(cache, "HERE", copy)
    assert of_copy() == before, "it does not depend on where they are"
    for name in ("fuse.py", "slots.py", "reductions.py", "cache.py"):
        text = (copy / name).read_text()
        (copy / name).write_text(text + "\n")
        assert of_copy() != before, name
        (copy / name).write_text(text)
    (copy / "new.py").write_text("")
    assert of_copy() != before
    (copy / "new.py").unlink()
    (copy / "rules" / "adam.py").write_text("")
    assert of_copy() == before, "a rule reaches its own entries by its digest"


@needs_compiler
@pytest.mark.fault(23, cases=4 + len(cache.SETTINGS))
def test_versions_and_machinery_are_part_of_the_key(monkeypatch):
    from numba.core.registry import cpu_target

    def key():
        return repr(cache.DigestCache(plain)._index_key("float64(float64)", cpu_target.target_context.codegen()))

    keys = [key()]
    assert key() == keys[0]
    for module in (cache.numba, cache.np):
        with monkeypatch.context() as patch:
            patch.setattr(module, "__version__", "0.0.0")
            keys.append(key())
    for name in cache.SETTINGS:
        with monkeypatch.context() as patch:
            patch.setattr(cache.numba.config, name, "another")
            keys.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(cache.llvmlite, "__version__", "0.0.0")
        keys.append(key())
    monkeypatch.setattr(cache, "machinery", lambda: "edited")
    keys.append(key())
    assert len(set(keys)) == len(keys)


OPTIONS = """
import numba
import numpy as np
from optlab_kernels.jit import jit
@numba.njit(fastmath=True)
def helper(x):
    return (x + 1e16) - 1e16
@jit
def change(x):
    return helper(x)
@jit
def read(a, i):
    return a[i]
"""
ASK = """
import numpy as np, options
numbers = np.array([0.25, 3.0, 7.0])
try:
    outside = float(options.read(numbers[:2], 2))
except IndexError:
    outside = "IndexError"
hits = sum(sum(f.stats.cache_hits.values()) for f in (options.change, options.read))
print(options.change(0.25), outside, hits)
"""


@needs_compiler
@pytest.mark.fault(23, cases=3)
def test_a_helpers_options_and_numbas_settings_change_the_code(start, tmp_path, monkeypatch):
    """With fast-math (x + 1e16) - 1e16 is x, without it 0; NUMBA_BOUNDSCHECK refuses an index beyond the end."""

    def ask():
        return start(tmp_path / "cache", code=ASK).communicate()[0].split()

    source = tmp_path / "options.py"
    source.write_text(OPTIONS)
    assert ask() == ["0.25", "7.0", "0"]
    source.write_text(OPTIONS.replace("fastmath=True", "fastmath=False"))
    assert ask() == ["0.0", "7.0", "1"]
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert ask() == ["0.0", "IndexError", "0"]


LEVEL = 1.0


def plain(x):
    return x


def reads_global(x):
    return x * LEVEL


def calls(x):
    return reads_global(x)


def nested(x):
    def inner(y):
        return calls(y)

    return inner(x)


def recursive(x):
    return x if x < 1 else recursive(x - 1)


def closure(value):
    def inner(x, k=1.0):
        return x * value * k

    return inner


@pytest.mark.parametrize("fn", [reads_global, calls, nested])
def test_digest_follows_globals_through_calls(fn, monkeypatch):
    before = digest(fn)
    assert digest(fn) == before
    monkeypatch.setitem(globals(), "LEVEL", 2.0)
    assert digest(fn) != before


def test_digest_tells_apart_what_computes_differently():
    values = [1.0, 2.0, 1, True, "1", None, 1e-320, -0.0, 0.0, (1.0,), (1, (2.0,)), plain, reads_global, np.sin, np.cos]
    digests = [digest(closure(v)) for v in values]
    assert len(set(digests)) == len(digests)
    assert digest(closure(1.0)) == digest(closure(1.0))
    assert digest(recursive) != digest(plain)
    left, right = (lambda x: x + 1.0), (lambda x: x + 2.0)
    assert digest(left) != digest(right)
    changed = closure(1.0)
    changed.__defaults__ = (2.0,)
    assert digest(changed) != digest(closure(1.0))


@pytest.mark.parametrize(
    "value", [[1.0], {"a": 1}, np.ones(3), object(), os, Path(".")], ids=lambda v: type(v).__name__
)
def test_what_has_no_stable_content_has_no_digest(value):
    with pytest.raises(Unknown):
        digest(closure(value))


@pytest.mark.parametrize("name", ol.RULES)
def test_every_rule_has_a_digest_of_its_own(name):
    kinds = {n: (digest(k.rule.update), digest(k.rule.coefficients)) for n, k in ol.RULES.items()}
    assert [n for n, d in kinds.items() if d == kinds[name]] in ([name], ["adam", "adamw"])


def made(value=1.0):
    """A function like every other of this name."""

    def helper(x, k=1.0, *, less=2.0):
        return (x + value) * k - less

    return helper


def compiled(**options):
    return numba.njit(**options)(made())


def typed(kind):
    return compiled(locals={"x": kind})


def limited(signature):
    return numba.njit(signature)(plain)


def jitable(**options):
    return register_jitable(**options)(made())


def overloaded(factor, **options):
    """A function of Python's, and what Numba is to compile in its place."""
    fn = made()

    @overload(fn, **options)
    def _fn(x, k=1.0, less=2.0):
        return lambda x, k=1.0, less=2.0: factor * x

    return fn


def cheap(*_):
    return True


def dear(*_):
    return False


EDITS = {
    "fast-math": (lambda: compiled(fastmath=True), lambda: compiled(fastmath=False)),
    "a part of fast-math": (lambda: compiled(fastmath={"nnan"}), lambda: compiled(fastmath={"nsz"})),
    "checked indices": (lambda: compiled(boundscheck=True), lambda: compiled(boundscheck=False)),
    "division by zero": (lambda: compiled(error_model="numpy"), lambda: compiled(error_model="python")),
    "loops in parallel": (lambda: compiled(parallel=True), lambda: compiled(parallel=False)),
    "a kind of parallel loop": (lambda: compiled(parallel={"setitem": 1}), lambda: compiled(parallel={"setitem": 0})),
    "inlined": (lambda: compiled(inline="always"), lambda: compiled(inline="never")),
    "inlined by a function": (lambda: compiled(inline=cheap), lambda: compiled(inline=dear)),
    "none of it": (lambda: compiled(nogil=True), lambda: made()),
    "types of variables": (lambda: typed(numba.float32), lambda: typed(numba.float64)),
    "signatures": (lambda: limited("float32(float32)"), lambda: limited("float64(float64)")),
    "a signature or any": (lambda: limited("float64(float64)"), lambda: numba.njit(plain)),
    "a jitable's options": (lambda: jitable(fastmath=True), lambda: jitable(fastmath=False)),
    "a jitable inlined": (lambda: jitable(inline="always"), lambda: jitable(inline="never")),
    "an overload": (lambda: overloaded(2.0), lambda: overloaded(3.0)),
    "an overload's options": (
        lambda: overloaded(2.0, jit_options={"fastmath": True}), lambda: overloaded(2.0, jit_options={"nogil": True}),
    ),
}  # fmt: skip


@needs_compiler
@pytest.mark.fault(23, cases=len(EDITS))
@pytest.mark.parametrize(("before", "after"), EDITS.values(), ids=list(EDITS))
def test_how_a_helper_is_compiled_is_in_the_digest_of_its_caller(before, after):
    assert digest(closure(before())) == digest(closure(before()))
    assert digest(closure(before())) != digest(closure(after()))


class Color(enum.IntEnum):
    RED = 1


class Point(NamedTuple):
    x: float = 1.0
    y: float = 2.0


def like(kind, name, *arguments, **options):
    """A class under the module and the name of another, as after an edit."""
    other = kind(name, *arguments, **options)
    other.__module__, other.__qualname__ = __name__, name
    return other


def with_keyword(value):
    changed = made()
    changed.__kwdefaults__ = {"less": value}
    return changed


VALUES = {
    "a keyword's default": (lambda: with_keyword(2.0), lambda: with_keyword(3.0)),
    "a member of an enumeration": (lambda: Color, lambda: like(enum.IntEnum, "Color", {"RED": 2})),
    "a default of a named tuple": (
        lambda: Point, lambda: like(collections.namedtuple, "Point", ["x", "y"], defaults=[1.0, 3.0]),
    ),
    "the order of fields": (
        lambda: Point(1.0, 2.0),
        lambda: like(collections.namedtuple, "Point", ["y", "x"], defaults=[1.0, 2.0])(1.0, 2.0),
    ),
    "a root of NumPy's or of math's": (lambda: np.sqrt, lambda: math.sqrt),
    "one root of NumPy's or another": (lambda: np.sqrt, lambda: np.emath.sqrt),
    "a sum of NumPy's or an operator": (lambda: np.add, lambda: operator.add),
}  # fmt: skip


@pytest.mark.fault(23, cases=len(VALUES))
@pytest.mark.parametrize(("before", "after"), VALUES.values(), ids=list(VALUES))
def test_what_a_function_reads_is_told_apart(before, after):
    assert digest(closure(before())) == digest(closure(before()))
    assert digest(closure(before())) != digest(closure(after()))


class Settings:
    rate = 0.1


OPAQUE = {
    "a class": lambda: Settings,
    "an object": lambda: Settings(),
    "a generator": lambda: np.random.default_rng(0),
    "its method": lambda: np.random.default_rng(0).normal,
    "a partial": lambda: functools.partial(plain, 1.0),
    "a vectorized function": lambda: numba.vectorize(made()),
    "a vectorized function of NumPy's": lambda: np.vectorize(plain),
    "a callback of C's": lambda: numba.cfunc("float64(float64)")(plain),
    "a stencil": lambda: numba.stencil(lambda a: a[0] + a[1]),
    "an intrinsic": lambda: intrinsic(lambda typing, x: None),
    "a table": lambda: np.ones(3),
}


@needs_compiler
@pytest.mark.fault(23, cases=len(OPAQUE))
@pytest.mark.parametrize("make", OPAQUE.values(), ids=list(OPAQUE))
def test_what_can_change_without_a_trace_is_not_kept_on_disk(make):
    with pytest.raises(Unknown):
        digest(closure(make()))
