"""Every file is there whole or not at all, whatever fails, and its content is on the disk before it has its name."""

import ast
import os
import stat
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from runs import network, parts
from sweeps import SPACE
from test_layers import OPTLAB, module_name, tree

import optlab as ol
from optlab import files
from optlab.bench import record
from optlab.gallery import save as save_pictures
from optlab.gallery._data import write_data
from optlab.gallery._made import Made, remember
from optlab.gallery._page import write_pages
from optlab.search import Random, Study
from optlab.train import checkpoint


def figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


@cache
def descent():
    return ol.descend("beale", ol.SGD(lr=1e-4), steps=3)


@cache
def history():
    rows, val, _ = parts()
    return ol.fit(network(), rows, val, epochs=1)


@cache
def study():
    return Study(SPACE, Random(seed=0))


def picture(folder):
    from optlab.cli.common import save_picture

    save_picture(figure, folder / "a.png")


def resumed_log(folder):
    log = ol.CSVLog(folder / "log.csv")
    log.on_start(type("Run", (), {"epoch": 1, "history": {"loss": np.ones(1)}})())
    log.on_end(None)


@cache
def race():
    return ol.race("beale", [ol.SGD(lr=1e-4)], steps=2)


BENCH = {"table": "a", "rows": [1, 2]}
# How each kind of file is written into a folder.
WRITERS = {
    "checkpoint": lambda folder: checkpoint.write(folder, 1, {"a": np.arange(9)}, {}),
    "model.npz": lambda folder: network().save(folder / "m.npz"),
    "model.safetensors": lambda folder: network().save(folder / "m.safetensors"),
    "log": resumed_log,
    "history": lambda folder: history().save(folder / "h.csv"),
    "descent.csv": lambda folder: descent().save(folder / "d.csv"),
    "descent.npz": lambda folder: descent().save(folder / "d.npz"),
    "descent.json": lambda folder: descent().save(folder / "d.json"),
    "basin": lambda folder: ol.basin("beale", ol.SGD(lr=1e-4), 4, 3).save(folder / "b.npz"),
    "race.html": lambda folder: race().html(folder / "r.html"),
    "race.gif": lambda folder: race().animate(folder / "r.gif"),
    "study.csv": lambda folder: study().to_csv(folder / "s.csv"),
    "study.json": lambda folder: study().to_json(folder / "s.json"),
    "study.html": lambda folder: study().html(folder / "s.html"),
    "picture": picture,
    "gallery data": lambda folder: write_data({"a": [1.0, 2.0]}, folder / "g.npz"),
    "gallery pictures": lambda folder: save_pictures(figure(), folder, "p"),
    "gallery verdicts": lambda folder: remember([Made("adam", "Adam")], folder),
    "gallery pages": lambda folder: write_pages([Made("adam", "Adam")], folder),
    "benchmark": lambda folder: record.write(BENCH, folder),
}
EVERY_WRITER = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@EVERY_WRITER
@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders can't be flushed there")
@pytest.mark.fault(5)
def test_content_reaches_the_disk_before_the_name_and_then_the_name(name, folder, monkeypatch):
    """By the system calls in their order: what is flushed is complete, and no name is given to anything else."""
    WRITERS[name](folder)  # all that is compiled is compiled now
    calls, fsync, replace = [], os.fsync, os.replace

    def watched_fsync(file):
        found = os.fstat(file)
        calls.append(("folder" if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_ino))
        fsync(file)

    def watched_replace(source, target):
        if Path(target).is_relative_to(folder):
            calls.append(("name", os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    WRITERS[name](folder)
    monkeypatch.undo()
    written = {path.stat().st_ino: path for path in folder.rglob("*") if path.is_file()}
    assert written
    assert len(calls) == 3 * len(written), calls
    order = []
    for flushed, named, listed in zip(calls[::3], calls[1::3], calls[2::3], strict=True):
        order.append(written.pop(flushed[1]))
        assert flushed[0] == order[-1].stat().st_size, "all was handed over when it was flushed"
        assert named == ("name", flushed[1])
        assert listed == ("folder", order[-1].parent.stat().st_ino)
    if name == "checkpoint":  # the manifest, without which the arrays do not count, comes last
        assert [path.suffix for path in order] == [".npz", ".json"]


@EVERY_WRITER
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.fault(5)
def test_a_write_that_fails_leaves_what_was_there_and_no_draft(name, call, folder, monkeypatch):
    WRITERS[name](folder)
    before = contents(folder)
    assert before

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(ol.StorageError, match="can't be written: No space left on device"):
        WRITERS[name](folder)
    assert contents(folder) == before


# Who opens files for writing in another way, and why that is right.
ALLOWED = {
    "optlab.files": "the place itself",
    "optlab.data.fetch": "pooch renames it when it is whole",
    "optlab.search.backup": "SQLite writes it; its name must not be taken",
    "optlab.search.salvage": "SQLite writes it, under the lock of the file",
    "optlab.train.callbacks": "a log, which grows",
    "optlab.train.rundir": "a log, which grows",
    "optlab.nn.serialize": "into memory",
    "optlab.viz.evidence": "into memory",
    "optlab.bench.search_cells": "a log, which grows",
    "optlab.bench.throughput": "what is measured is the disk",
}
WRITING = {"write_text", "write_bytes", "savefig", "savez", "savez_compressed"}


def writes(node):
    """Whether it is a call that opens a file by name to write it."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    texts = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
    if name in ("open", "ZipFile"):
        return any(isinstance(text, str) and set(text) & set("wxa+") and set(text) <= set("wxa+btr") for text in texts)
    return name in WRITING


def test_no_file_is_written_in_any_other_way():
    found = {}
    for path in OPTLAB.rglob("*.py"):
        if not any(word in path.read_text(encoding="utf-8") for word in (*WRITING, "open(", "ZipFile(")):
            continue
        nodes = list(ast.walk(tree(path)))
        blocks = [n for n in nodes if isinstance(n, ast.With) and any("replacing" in ast.unparse(i) for i in n.items)]
        drafts = {ast.unparse(inner) for block in blocks for inner in ast.walk(block) if writes(inner)}
        if calls := [call for node in nodes if writes(node) and (call := ast.unparse(node)) not in drafts]:
            found[module_name(path)] = calls
    assert found.keys() <= ALLOWED.keys(), found


# --- the place itself -------------------------------------------------------------------------------------------------


def test_an_exception_inside_leaves_what_was_there(tmp_path):
    path = files.write_whole(tmp_path / "a", "before")
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with suppress(error), files.replacing(path) as draft:
            draft.write_text("half")
            raise error
    assert contents(tmp_path) == {Path("a"): b"before"}


def test_many_threads_write_one_name(tmp_path):
    """Each a draft of its own: the name always holds one of them, whole."""
    texts = [str(i) * 100_000 for i in range(8)]
    files.write_whole(tmp_path / "a", texts[0])
    threads = [threading.Thread(target=files.write_whole, args=(tmp_path / "a", text)) for text in texts * 4]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert (tmp_path / "a").read_text() in texts
    assert contents(tmp_path).keys() == {Path("a")}


@pytest.mark.skipif(os.name == "nt", reason="permissions, links and devices are POSIX's")
def test_permissions_stay_links_are_replaced_and_devices_are_written_to(tmp_path):
    path = files.write_whole(tmp_path / "a", "before")
    path.chmod(0o640)
    assert stat.S_IMODE(files.write_whole(path, "after").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to(path)
    files.write_whole(tmp_path / "link", "mine")
    assert (path.read_text(), (tmp_path / "link").read_text()) == ("after", "mine")
    files.write_whole("/dev/null", "nothing")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "." * 40 + "a", "a." + "b" * 200, "🦙" * 60 + ".npz"])
def test_every_name_that_a_file_can_have(name, tmp_path):
    assert files.write_whole(tmp_path / name, b"1").read_bytes() == b"1"
    assert contents(tmp_path) == {Path(name): b"1"}
