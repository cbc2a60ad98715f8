"""Checkpoints: a resumed run is bit for bit the one that was not stopped, and no damage goes unseen."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import LONG, SHRINK
from runs import assert_same, contents, network, parts, pictures, table, trained

import optlab as ol
from optlab.data.augment import Augment
from optlab.train import checkpoint, rundir
from optlab.train.config import Config

ROOT = Path(__file__).parents[1]
FLIPS, CUTS = (1000, 100) if LONG else (50, 5)
EPOCHS = 10


def stopped_after(epoch, directory, to):
    """A copy of a run's directory as it was after that epoch."""
    shutil.copytree(directory, to)
    for path in (to / "checkpoints").iterdir():
        if int(path.stem.removeprefix("epoch-")) > epoch:
            path.unlink()
    return to


RUNS = {
    "adam": {"rule": ol.Adam(lr=0.01)},
    "momentum": {"rule": ol.Momentum(lr=0.05)},
    "one-cycle": {"rule": ol.Momentum(lr=0.05), "schedule": ol.schedules.OneCycle(max_lr=0.1)},
    "by epoch": {"rule": ol.Adam(), "schedule": ol.schedules.Cosine(per="epoch")},
    "steps": {"rule": ol.Adam(lr=0.01), "steps": 28, "schedule": "cosine", "norms": True},
    "plateau": {"rule": ol.Adam(lr=0.2), "schedule": ol.schedules.ReduceOnPlateau(patience=0, cooldown=1)},
    "batch norm, dropout": {"rule": ol.Adam(lr=0.01), "network": {"batch_norm": True, "dropout": 0.3}},
    "early stopping": {"rule": ol.Adam(lr=0.2), "callbacks": lambda: [ol.EarlyStopping(3)]},
    "augmented": {"rule": ol.Adam(), "data": pictures, "augment": Augment(shift=1, flip=True, noise=0.1)},
    "penalties": {"rule": ol.Adam(), "l1": 1e-3, "l2": 1e-2, "clip_norm": 0.5, "label_smoothing": 0.1},
    "targets": {"rule": ol.Adam(), "data": lambda: table(0)},
}


@pytest.mark.parametrize("engine", ["machine", "tape"])
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_stopped_after_any_epoch_goes_on_bit_for_bit(name, engine, tmp_path):
    options = {"epochs": EPOCHS, "batch_size": 12, "seed": 3, **RUNS[name]}
    data, layers = options.pop("data", table)(), options.pop("network", {})
    callbacks = options.pop("callbacks", list)
    train, val, _ = parts(data)
    rule = options.pop("rule")
    if "steps" in options:
        del options["epochs"]
    saving = [*callbacks(), ol.Checkpoint(tmp_path / "run", keep=EPOCHS)]
    want = trained(network(data, **layers), train, val, rule, callbacks=saving, engine=engine, **options)
    assert want.history.engine == engine
    if name == "early stopping":
        assert want.history.status == "stopped"
        assert 4 <= want.epoch < EPOCHS
    for epoch in range(1, want.epoch + 1, 1 if SHRINK == 1 else 4):
        directory = stopped_after(epoch, tmp_path / "run", tmp_path / str(epoch))
        model = network(data, **layers, seed=99)  # other weights and masks, all to be replaced
        run = trained(model, train, val, callbacks=callbacks(), resume=directory)
        assert_same(run, want)
        assert checkpoint.numbers(directory) == checkpoint.numbers(tmp_path / "run")


def test_in_another_process_too(tmp_path):
    train, val, _ = parts()
    saving = [ol.Checkpoint(tmp_path / "run", keep=EPOCHS)]
    want = trained(network(dropout=0.2), train, val, callbacks=saving, epochs=4, batch_size=12)
    stopped_after(2, tmp_path / "run", tmp_path / "two")
    script = (
        "import sys; sys.path.insert(0, 'tests'); from runs import *; train, val, _ = parts()\n"
        f"run = trained(network(dropout=0.2, seed=5), train, val, resume={str(tmp_path / 'two')!r})\n"
        f"np.savez({str(tmp_path / 'out.npz')!r}, **contents(run))"
    )
    environment = {**os.environ, "PYTHONPATH": ".:kernels"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True)
    with np.load(tmp_path / "out.npz") as numbers:
        assert numbers.files == list(contents(want))
        for name, value in contents(want).items():
            np.testing.assert_array_equal(numbers[name], value, err_msg=name)


def test_more_epochs_than_planned(tmp_path):
    train, val, _ = parts()
    want = trained(network(), train, val, epochs=5)
    trained(network(), train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path)])
    assert_same(trained(network(), train, val, resume=tmp_path, epochs=5), want)
    # fewer than were done: there is nothing to do, and nothing is written
    files = {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    assert_same(trained(network(), train, val, resume=tmp_path, epochs=1), want)
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()} == files
    for epochs in (6, 9):  # stopped more than once
        run = trained(network(), train, val, resume=tmp_path, epochs=epochs)
    assert_same(run, trained(network(), train, val, epochs=9))
    # epochs take the place of the steps that were asked for; what ended inside an epoch goes on with the next one
    trained(network(), train, val, steps=3, callbacks=[ol.Checkpoint(tmp_path / "steps")])
    run = trained(network(), train, val, resume=tmp_path / "steps", epochs=4)
    assert (run.step, run.steps_per_epoch, run.epoch) == (8, 2, 5)


def test_a_run_that_stopped_early_stays_stopped_unless_more_is_asked_for(tmp_path):
    train, val, _ = parts()
    saving = [ol.EarlyStopping(2), ol.Checkpoint(tmp_path)]
    want = trained(network(), train, val, ol.Adam(lr=0.2), callbacks=saving, epochs=30)
    assert want.history.status == "stopped"
    again = trained(network(seed=1), train, val, callbacks=[ol.EarlyStopping(2)], resume=tmp_path)
    assert_same(again, want)
    more = trained(network(), train, val, callbacks=[ol.EarlyStopping(50)], resume=tmp_path, epochs=want.epoch + 4)
    assert more.epoch == want.epoch + 4


def test_what_is_kept(tmp_path):
    train, val, _ = parts()

    def kept(name, epochs=9, **options):
        run = trained(network(), train, val, ol.Adam(lr=0.2), epochs=epochs, callbacks=[
            ol.Checkpoint(tmp_path / name, **options)])  # fmt: skip
        files = sorted(path.name for path in (tmp_path / name / "checkpoints").iterdir())
        numbers = checkpoint.numbers(tmp_path / name)
        assert files == sorted(f"epoch-{n:05}.{end}" for n in numbers for end in ("json", "npz"))
        return run, numbers

    run, numbers = kept("a", keep=2)
    best = run.history.best()[0]
    assert best < 8  # else this shows nothing
    assert numbers == [best, 8, 9]
    assert kept("b", keep=1, best=None)[1] == [9]
    run, numbers = kept("c", keep=2, best="val_accuracy")
    assert numbers == sorted({run.history.best("val_accuracy")[0], 8, 9})
    assert kept("d", every=4, keep=9, best=None)[1] == [4, 8, 9]
    run, numbers = kept("e", every=100, keep=9, best="train_loss")
    losses = run.history["train_loss"]
    assert numbers == [i for i in range(1, 10) if i == 9 or losses[i - 1] < losses[: i - 1].min(initial=np.inf)]
    # resumed without a Checkpoint, it goes on with the settings it had
    trained(network(), train, val, resume=tmp_path / "d", epochs=13)
    assert checkpoint.numbers(tmp_path / "d") == [4, 8, 9, 12, 13]
    trained(network(), train, val, resume=tmp_path / "c", epochs=11)
    assert checkpoint.numbers(tmp_path / "c") == sorted({run.history.best("val_accuracy")[0], 10, 11})
    # the best one is what `load` takes
    loaded = network(seed=9).load(tmp_path / "a")
    arrays, rest = checkpoint.best(tmp_path / "a")
    assert rest["epoch"] == best
    for name, value in loaded.state_dict().items():
        np.testing.assert_array_equal(value, arrays[f"model/{name}"])
    assert loaded.evaluate(val).loss == kept("f")[0].history["val_loss"][best - 1]


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A directory with two checkpoints, and what they hold."""
    directory = tmp_path_factory.mktemp("intact")
    train, val, _ = parts()
    trained(network(batch_norm=True), train, val, epochs=2, callbacks=[ol.EarlyStopping(), ol.Checkpoint(directory)])
    return directory, {number: checkpoint.read(directory, number) for number in (1, 2)}


def equal(state, want):
    arrays, wanted = state[0], want[0]
    return arrays.keys() == wanted.keys() and all(
        arrays[k].dtype == v.dtype and arrays[k].tobytes() == v.tobytes() for k, v in wanted.items()
    )


def damaged(path, kind, count, seed=0):
    """The file with one bit changed, or cut, ``count`` times; as it was afterwards."""
    whole, random = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(count):
        raw = bytearray(whole)
        at = int(random.integers(len(raw)))
        if kind == "flip":
            raw[at] ^= 1 << int(random.integers(8))
        else:
            del raw[at:]
        path.write_bytes(raw)
        yield at
    path.write_bytes(whole)


def damages(kind, count):
    return pytest.param(kind, count, marks=pytest.mark.fault(22, cases=count))


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize(("kind", "count"), [damages("flip", FLIPS // 2), damages("cut", -(-CUTS // 2))])
def test_all_damage_is_seen_and_the_checkpoint_before_is_used(intact, ending, kind, count):
    directory, states = intact
    seen = 0
    for at in damaged(directory / "checkpoints" / f"epoch-00002.{ending}", kind, count):
        with pytest.raises(ol.StorageError, match=r"epoch-00002\S* (is damaged|has version)"):
            checkpoint.read(directory, 2)
        with pytest.warns(UserWarning, match="the one before it is used"):
            assert equal(checkpoint.newest(directory), states[1]), at
        seen += 1
    assert seen == count
    assert equal(checkpoint.newest(directory), states[2])
    print(f"{kind} {ending}: {seen} of {count} seen")


@pytest.mark.parametrize(("kind", "count"), [damages("flip", FLIPS), damages("cut", CUTS)])
def test_a_damaged_model_is_refused_or_has_the_right_numbers(tmp_path, kind, count):
    """An npz has a checksum per array; what it does not cover holds no numbers."""
    model = network(batch_norm=True)
    want = model.state_dict()
    path = model.save(tmp_path / "model.npz")
    refused = 0
    for at in damaged(path, kind, count):
        other = network(batch_norm=True, seed=1)
        before = other.state_dict()
        try:
            other.load(path)
        except (ol.StorageError, ol.ConfigError):
            refused += 1
            now = before
        else:
            now = want
        for name, value in other.state_dict().items():
            assert value.tobytes() == now[name].tobytes(), (at, name)
    assert refused > count / 2
    print(f"{kind}: {refused} of {count} refused, the others harmless")


@pytest.mark.fault(22)
def test_a_run_goes_on_from_the_last_whole_checkpoint(tmp_path):
    train, val, _ = parts()
    want = trained(network(), train, val, epochs=5, callbacks=[ol.Checkpoint(tmp_path)])
    newest = tmp_path / "checkpoints" / "epoch-00005.npz"
    newest.write_bytes(newest.read_bytes()[:-1])
    (tmp_path / "checkpoints" / "epoch-00004.npz").unlink()
    model = network(seed=4)
    with pytest.warns(UserWarning, match="the one before it is used") as seen:
        run = trained(model, train, val, resume=tmp_path)
    assert [str(warning.message).split(":")[0].rsplit("/", 1)[-1] for warning in seen] == [
        "epoch-00005.npz is damaged", "the checkpoint epoch-00004 can't be read"]  # fmt: skip
    assert_same(run, want)
    assert equal(checkpoint.newest(tmp_path), checkpoint.read(tmp_path, 5))


@pytest.mark.fault(22)
def test_the_best_is_damaged(tmp_path):
    train, val, _ = parts()
    run = trained(network(), train, val, ol.Adam(lr=0.2), epochs=9, callbacks=[ol.Checkpoint(tmp_path, keep=2)])
    (tmp_path / "checkpoints" / f"epoch-{run.history.best()[0]:05}.npz").write_bytes(b"")
    with pytest.warns(UserWarning, match="the newest is used"):
        model = network().load(tmp_path)
    np.testing.assert_array_equal(model.layers[0].weight.data, run.model.layers[0].weight.data)


FULL = """
import resource, sys; sys.path.insert(0, 'tests'); from runs import *
train, val, _ = parts()
def full(run):
    if run.epoch == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    trained(network(), train, val, epochs=5, callbacks=[full, ol.Checkpoint(sys.argv[1])])
except ol.StorageError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits on a file's size are POSIX's")
@pytest.mark.fault(5, cases=3 if LONG else 1)
def test_a_full_disk_leaves_the_old_checkpoints_whole(tmp_path):
    train, val, _ = parts()
    trained(network(), train, val, epochs=3, callbacks=[ol.Checkpoint(tmp_path / "whole")])
    sizes = [path.stat().st_size for path in (tmp_path / "whole" / "checkpoints").glob("epoch-00003.*")]
    environment = {**os.environ, "PYTHONPATH": ".:kernels"}
    for i, limit in enumerate({0, min(sizes) - 1, max(sizes) - 1} if LONG else {min(sizes) - 1}):
        directory = tmp_path / str(i)
        command = [sys.executable, "-c", FULL, str(directory), str(limit)]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert "epoch-00003" in ran.stdout
        assert "can't be written: File too large; earlier ones are whole" in ran.stdout
        files = sorted(path.name for path in (directory / "checkpoints").iterdir())
        manifests = [name for name in files if name.endswith(".json")]
        assert manifests == ["epoch-00001.json", "epoch-00002.json"]
        assert not [name for name in files if name.startswith(".")]
        run = trained(network(seed=2), train, val, resume=directory)
        assert_same(run, trained(network(), train, val, epochs=5))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.fault(5)
def test_a_small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        train, val, _ = parts()
        with pytest.raises(ol.StorageError, match="can't be written: No space left on device; earlier ones are whole"):
            trained(network(), train, val, epochs=50, callbacks=[ol.Checkpoint(disk, keep=50)])
        done = checkpoint.numbers(disk)
        assert len(done) > 2
        for number in done:
            checkpoint.read(disk, number)
        assert not list((disk / "checkpoints").glob(".*"))
        for number in done[:-1]:  # some room again
            for ending in ("json", "npz"):
                (disk / "checkpoints" / f"epoch-{number:05}.{ending}").unlink()
        saving = [ol.Checkpoint(disk, keep=2)]
        run = trained(network(seed=3), train, val, resume=disk, epochs=done[-1] + 3, callbacks=saving)
        assert_same(run, trained(network(), train, val, epochs=done[-1] + 3))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_a_killed_writer_left_is_not_seen_and_goes_away(tmp_path):
    train, val, _ = parts()
    trained(network(), train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path)])
    folder = tmp_path / "checkpoints"
    draft, arrays = folder / ".epoch-00003.npz.123", folder / "epoch-00003.npz"
    draft.write_bytes(b"half")
    arrays.write_bytes(b"half")  # without a manifest
    run = trained(network(seed=1), train, val, resume=tmp_path, epochs=3)
    assert_same(run, trained(network(), train, val, epochs=3))
    assert not draft.exists()
    assert checkpoint.numbers(tmp_path) == [1, 2, 3]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def refused(match, error, tmp_path, model=None, data=None, **options):
    """A resume that says what is wrong, and changes nothing."""
    model = model or network(seed=7)
    before = model.state_dict()
    train, val = data or parts()[:2]
    with pytest.raises(error, match=match):
        ol.fit(model, train, val, **{"resume": tmp_path, **options})
    for name, value in model.state_dict().items():
        assert value.tobytes() == before[name].tobytes()


def test_resumes_that_can_not_be(tmp_path):
    run, (train, val, _) = tmp_path / "run", parts()
    trained(network(), train, val, epochs=2, callbacks=[ol.Checkpoint(run)])
    before = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    config, storage = ol.ConfigError, ol.StorageError
    refused("keeps its settings; leave out batch_size, rule", config, run, rule="adam", batch_size=3)
    refused("epochs is a whole number", config, run, epochs=0)
    refused("no whole checkpoint: was it made by", storage, tmp_path / "nowhere")
    refused("no whole checkpoint", storage, __file__)
    # other data
    refused("other data as train", config, run, data=parts(seed=1)[:2])
    refused("other data as train", config, run, data=parts(table(seed=1))[:2])
    refused("other data as train", config, run, data=parts(standardize=False)[:2])
    refused("other data as val", config, run, data=(train, None))
    refused("other data as val", config, run, data=(train, val.take(8)))
    refused("train is float32, the model float64", config, run, data=parts(table(dtype="float32"))[:2])
    # another model
    refused("not made like", config, run, network(activation="tanh"))
    refused(
        r"0.weight \(6, 5\) float32 where that had 0.weight \(6, 5\) float64", config, run, network(dtype="float32")
    )
    refused("Dropout", config, run, network(dropout=0.5))
    refused("MLP", config, run, ol.nn.Sequential(*network().layers))
    refused("not made like", config, run, ol.nn.MLP([6, 4, 3], dtype="float64"))
    refused("frozen", config, run, network().freeze("0"))
    # callbacks
    refused("stays in its directory", config, run, callbacks=[ol.Checkpoint(tmp_path / "other")])
    with pytest.raises(config, match="no curve 'val_acc'"):
        ol.fit(network(), train, val, resume=run, callbacks=[ol.EarlyStopping(monitor="val_acc")])
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before
    with pytest.raises(storage, match=r"has the checkpoints of another run; continue it with resume="):
        ol.fit(network(), train, val, callbacks=[ol.Checkpoint(run)])
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before


def test_what_a_model_counts_does_not_keep_it_from_going_on(tmp_path):
    class Counting(ol.nn.Sequential):
        count = 0

        def forward(self, x):
            self.count += 1
            return super().forward(x)

    train, val, _ = parts()
    made = [Counting(*network(seed=seed).layers) for seed in (0, 0, 1)]
    want = trained(made[0], train, val, epochs=4)
    trained(made[1], train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path)])
    assert_same(trained(made[2], train, val, resume=tmp_path, epochs=4), want)


def test_callbacks_are_made_again_and_ones_own_are_missed(tmp_path):
    """Early stopping and logs go on without being named; what optlab can't make again, it asks for."""

    class Counter(ol.Callback):
        def state_dict(self):
            return {"n": np.array(1)}

    train, val, _ = parts()
    everything = [ol.EarlyStopping(1, min_delta=10.0), ol.CSVLog(tmp_path / "h.csv"), ol.Checkpoint(tmp_path, keep=7)]
    trained(network(), train, val, epochs=1, callbacks=everything)
    history = ol.fit(network(), train, val, resume=tmp_path, epochs=9)
    assert (history.status, history.epochs) == ("stopped", 2)
    assert (tmp_path / "h.csv").read_text().count("\n") == 3
    other = tmp_path / "other"
    trained(network(), train, val, epochs=1, callbacks=[Counter(), ol.Checkpoint(other)])
    with pytest.warns(UserWarning, match="callbacks that are not given again: Counter-0"):
        ol.fit(network(), train, val, resume=other, epochs=2)


def test_another_version(tmp_path):
    train, val, _ = parts()
    trained(network(), train, val, epochs=1, callbacks=[ol.Checkpoint(tmp_path)])
    manifest = tmp_path / "checkpoints" / "epoch-00001.json"
    body = json.loads(manifest.read_bytes())
    del body["sha256"]
    manifest.write_bytes(checkpoint._sealed({**body, "version": 2}))
    with pytest.raises(ol.StorageError, match="has version 2, this optlab reads 1"):
        checkpoint.read(tmp_path, 1)
    with pytest.raises(ol.StorageError, match=r"no whole checkpoint: .* has version 2, this optlab reads 1"):
        ol.fit(network(), train, val, resume=tmp_path)


def test_a_checkpoint_without_the_parameters_shapes_is_an_older_one_and_resumes(tmp_path):
    train, val, _ = parts()
    straight = network()
    trained(straight, train, val, epochs=2)
    trained(network(), train, val, epochs=1, callbacks=[ol.Checkpoint(tmp_path)])
    manifest = tmp_path / "checkpoints" / "epoch-00001.json"
    body = json.loads(manifest.read_bytes())
    del body["sha256"]
    assert body.pop("parameters")[0] == {"name": "weight", "shape": list(straight.parameters()[0].shape)}
    manifest.write_bytes(checkpoint._sealed(body))
    model = network()
    ol.fit(model, train, val, resume=tmp_path, epochs=2)
    for one, other in zip(model.parameters(), straight.parameters(), strict=True):
        np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"sha256": "x"}'])
@pytest.mark.fault(22)
def test_a_foreign_manifest(tmp_path, content):
    (tmp_path / "checkpoints").mkdir()
    for ending in ("json", "npz"):
        (tmp_path / "checkpoints" / f"epoch-00001.{ending}").write_bytes(content)
    with pytest.raises(ol.StorageError, match="is damaged"):
        checkpoint.read(tmp_path, 1)


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    content = io.BytesIO()
    np.savez(content, **{"0.weight": np.array([{}], dtype=object)})
    path = tmp_path / "model.npz"
    path.write_bytes(content.getvalue())
    with pytest.raises(ol.StorageError, match=r"no model that model\.save wrote"):
        network().load(path)


def test_folders_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    train, val, _ = parts()
    model = network()
    before = model.state_dict()
    with pytest.raises(ol.StorageError, match="the checkpoints' folder can't be made"):
        ol.fit(model, train, val, callbacks=[ol.Checkpoint(tmp_path / "file")])
    assert model.history.status == "failed"
    np.testing.assert_array_equal(model.state_dict()["0.weight"], before["0.weight"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_of_somebody_else(tmp_path):
    train, val, _ = parts()
    (tmp_path / "mine").mkdir(mode=0o755)
    os.chmod(tmp_path, 0o755)
    callback = ol.Checkpoint(tmp_path / "mine")
    ol.fit(network(), train, val, epochs=1)  # all is loaded and compiled before root's rights go
    os.seteuid(65534)
    try:
        with pytest.raises(ol.StorageError, match=r"the checkpoints' folder can't be made: .*Permission denied"):
            ol.fit(network(), train, val, epochs=1, callbacks=[callback])
    finally:
        os.seteuid(0)


def test_settings_that_can_not_be():
    for options in ({"every": 0}, {"keep": 0}, {"every": 1.5}, {"keep": True}):
        with pytest.raises(ol.ConfigError, match="is a whole number >= 1"):
            ol.Checkpoint("x", **options)
    train, val, _ = parts()
    with pytest.raises(ol.ConfigError, match="no curve 'val_acuracy'"):
        ol.fit(network(), train, val, callbacks=[ol.Checkpoint("nowhere", best="val_acuracy")])
    assert not Path("nowhere").exists()


def test_settings_from_numpy_are_written(tmp_path):
    train, val, _ = parts()
    options = {"epochs": np.int64(2), "batch_size": np.int32(9), "seed": np.uint8(3), "l2": np.float32(0.25)}
    trained(network(), train, val, callbacks=[ol.Checkpoint(tmp_path)], **options)
    plain = trained(network(), train, val, epochs=2, batch_size=9, seed=3, l2=0.25)
    assert_same(trained(network(seed=1), train, val, resume=tmp_path), plain)


@pytest.mark.parametrize("log", [ol.CSVLog, ol.JSONLog])
@pytest.mark.fault(31, cases=2)
def test_a_manifest_names_no_file_elsewhere_that_is_replaced(log, tmp_path):
    """A checkpoint may be somebody else's: resumed, it emptied whatever file its manifest named as a log."""
    train, val, _ = parts()
    mine, run = tmp_path / "precious", tmp_path / "run"
    trained(network(), train, val, epochs=1, callbacks=[log(mine), ol.Checkpoint(run)])
    mine.write_text("mine")
    for hidden in (mine, run / ".." / "precious"):
        manifest = run / "checkpoints" / "epoch-00001.json"
        body = {key: value for key, value in json.loads(manifest.read_bytes()).items() if key != "sha256"}
        body["callbacks"][f"{log.__name__}-0"]["path"] = str(hidden)
        manifest.write_bytes(checkpoint._sealed(body))
        with pytest.warns(UserWarning, match="outside .* give it again"):
            ol.fit(network(), train, val, resume=run, epochs=1)
        assert mine.read_text() == "mine"
    ol.fit(network(), train, val, resume=run, epochs=2, callbacks=[log(mine)])
    assert "mine" not in mine.read_text()


@pytest.mark.parametrize(
    "wrong", [{"config": []}, {"model": {}}, {"source": "digits"}, {"config": {"rule": 3}}, {"a": 1}]
)
@pytest.mark.fault(31)
def test_a_run_directory_with_another_recipe_is_refused(wrong, tmp_path):
    plain = {"version": 1, "digest": "x", "source": {"name": "digits", "data_dir": None}, "split": {"test": 0.1}}
    plain |= {
        "model": {"hidden": [4], "dtype": "float32"},
        "config": Config("adam").to_dict(),
        "patience": None,
        **wrong,
    }
    digest = hashlib.sha256(rundir._text(plain).encode()).hexdigest()
    (tmp_path / "config.json").write_text(json.dumps({**plain, "sha256": digest}))
    with pytest.raises(ol.StorageError, match="makes no sense"):
        rundir.RunDirectory(tmp_path)
