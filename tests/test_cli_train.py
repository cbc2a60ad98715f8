"""`optlab train`, `evaluate`, `lr-find`: what they print and leave behind, exit codes, signals, resuming, the seal."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import SHRINK
from test_cli import ROOT

import optlab as ol
from optlab.cli import _code
from optlab.data.ledger import RECORDS
from optlab.train import checkpoint
from optlab.train.evaluate import score
from optlab.train.rundir import CONFIG, HISTORY, LOG, RunDirectory

SMALL = ("digits", "--hidden", 8, "--val", 120, "--test", 1550)  # 127 rows to train on: 4 steps an epoch
SPLIT = {"val": 120, "test": 1550, "seed": 0}


@pytest.fixture
def optlab(tmp_path, monkeypatch, capsys):
    """Run a command in this process and a folder of its own: (stdout, stderr), its exit code as expected."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        found = _code([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert found == code, (found, out, err)
        assert "Traceback" not in err
        return out, err

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three epochs, to be copied."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert _code(["train", *map(str, SMALL), "--epochs", "3", "--out", str(path), "-q"]) == 0
    return path


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def table_of(path):
    return np.genfromtxt(path / "history.csv", delimiter=",", names=True)


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_run_is_what_the_same_calls_give(finished):
    train, val, _ = ol.data.load("digits").split(**SPLIT)
    model = ol.nn.MLP([64, 8, 10])
    history = ol.fit(model, train, val, ol.Adam(), epochs=3)
    table = table_of(finished)
    for name in history:
        np.testing.assert_array_equal(table[name], history[name])
    run = RunDirectory(finished)
    assert run.history.status == "finished"
    assert set(run.history.steps) == {"loss", "lr", "gradient", "update", "parameter"}
    assert run.best_epoch == history.best()[0] == checkpoint.best(finished)[1]["epoch"]
    if run.best_epoch == 3:
        assert score(run.best(), val) == score(model, val)


def test_everything_is_logged(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {CONFIG, LOG, HISTORY, "history.csv", "history.jsonl", "checkpoints", "report.html"}
    plain = json.loads((finished / CONFIG).read_text())
    assert plain["split"] == {**SPLIT}
    assert plain["config"]["rule"]["name"] == "adam"
    assert plain["digest"] == ol.data.load("digits").digest
    started, ended = RunDirectory(finished).log()
    assert (started["event"], ended["event"], ended["status"], ended["epoch"]) == ("started", "ended", "finished", 3)
    assert started["command"].startswith("optlab")
    assert "numba" in started["machine"]


def test_json_is_one_document_that_ends_with_the_history(optlab):
    out, err = optlab("train", *SMALL, "--epochs", 2, "--json")
    document = json.loads(out)
    assert list(document)[-1] == "history"
    assert len(document["history"]["epochs"]["val_loss"]) == 2
    assert document["history"]["engine"] == "machine"
    assert document["run"].startswith(os.path.join("runs", "digits-"))
    assert err.count("epoch ") == 2


def test_the_table_says_what_to_do_next_and_quiet_says_nothing(optlab):
    out, err = optlab("train", *SMALL, "--epochs", 1, "--out", "a")
    assert "val accuracy" in out
    assert "machine" in out
    assert 'optlab evaluate a --unseal "final table"' in err
    assert optlab("train", *SMALL, "--epochs", 1, "--out", "b", "-q") == ("", "")


def test_every_option_reaches_its_place(optlab):
    options = (
        "--rule momentum(beta=0.8) --lr 0.05 --weight-decay 0.001 --hidden 6 --hidden 5 --activation tanh --batch-norm"
    )
    options += " --dropout 0.1 --init glorot --batch-size 16 --schedule one-cycle(max_lr=0.1) --l1 1e-5 --l2 1e-4"
    options += " --label-smoothing 0.1 --clip-norm 2 --augment shift=1,noise=0.1 --val 0.2 --test 1400 --patience 3"
    options += " --seed 5 --dtype float64 --engine tape --epochs 2 --out run -q"
    optlab("train", "digits", *options.split())
    recipe = RunDirectory("run").recipe
    assert recipe.config.rule == ol.Momentum(lr=0.05, beta=0.8, weight_decay=0.001)
    assert recipe.model == {
        "hidden": [6, 5], "activation": "tanh", "batch_norm": True, "dropout": 0.1, "init": "glorot",
        "dtype": "float64", "seed": 5,
    }  # fmt: skip
    assert recipe.split == {"val": 0.2, "test": 1400, "seed": 5}
    assert recipe.patience == 3
    config = recipe.config
    assert config.schedule == ol.schedules.OneCycle(max_lr=0.1)
    assert (config.epochs, config.batch_size, config.seed, config.engine, config.norms) == (2, 16, 5, "tape", True)
    assert (config.l1, config.l2, config.label_smoothing, config.clip_norm) == (1e-5, 1e-4, 0.1, 2.0)
    assert config.augment.to_dict() == {"shift": 1, "flip": False, "noise": 0.1}
    assert RunDirectory("run").history.why == "as asked for"


def test_a_file_of_ones_own_and_early_stopping(optlab, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((90, 3))
    lines = [f"{'abc'[int(a > 0) + int(b > 1)]},{a},{b},{c}" for a, b, c in x]
    (tmp_path / "mine.csv").write_text("kind,a,b,c\n" + "\n".join(lines))
    options = ("--label", "kind", "--hidden", 0, "--rule", "sgd", "--lr", 0, "--patience", 2, "--out", "run")
    out, _ = optlab("train", "mine.csv", *options, "--val", 20, "--test", 20)
    assert "stopped: val_loss has not improved for 2 epochs; best in epoch 1" in out
    assert RunDirectory("run").best().widths == (3, 3)
    optlab("train", "--resume", "run", "-q")  # over: nothing to do
    assert RunDirectory("run").history.epochs == 3
    (tmp_path / "mine.csv").write_text("kind,a,b,c\n" + "\n".join(lines[::-1]))
    assert "mine.csv has changed since" in optlab("evaluate", "run", "--unseal", "x", code=3)[1]
    assert not (tmp_path / "run" / RECORDS).exists()


def test_regression_and_no_validation_rows(optlab, tmp_path):
    x = np.random.default_rng(0).standard_normal((60, 2))
    np.savez(tmp_path / "mine.npz", x=x, y=x @ [1.0, -2.0] + 0.5)
    optlab("train", "mine.npz", "--hidden", 4, "--epochs", 2, "--val", 0, "--out", "run")
    out, _ = optlab("evaluate", "run", "--unseal", "final table", "--json")
    (row,) = json.loads(out)["scores"]
    assert (row["part"], row["rows"], row["accuracy"]) == ("test", 9, None)


def test_the_test_part_is_the_published_one_where_there_is_one(optlab, tmp_path):
    x, y = np.random.default_rng(0).random((50, 2)), np.arange(50) % 2
    np.savez(tmp_path / "own.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    optlab("train", "own.npz", "--epochs", 1, "--out", "run", "-q")
    run = RunDirectory("run")
    assert run.recipe.split["test"] == "published"
    assert sorted(run.parts[2].open("a look", ol.data.Ledger(None)).rows) == list(range(30, 50))


def test_a_divergence_is_a_result(optlab):
    out, _ = optlab("train", *SMALL, "--rule", "sgd", "--lr", 1e30, "--out", "run")
    assert "diverged: epoch 1, " in out
    assert "diverged" in (RunDirectory("run").path / "report.html").read_text()
    optlab("train", "--resume", "run")
    assert "no whole checkpoint" in optlab("evaluate", "run", "--unseal", "x", code=5)[1]


@pytest.mark.parametrize("command", ["train", "evaluate", "lr-find", "data"])
def test_help_imports_nothing_heavy(command):
    heavy = {"numba", "numpy", "scipy", "matplotlib", "rich"}
    code = f"import sys; from optlab.cli import _code; _code(sys.argv[1:]); print([*{heavy} & set(sys.modules)])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    argv = [sys.executable, "-c", code, command, "--help"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert "Usage: " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("train", 2, "DATASET"),
        ("train digitz", 2, "did you mean 'digits'?"),
        ("train nowhere.csv", 3, "nowhere.csv"),
        ("train digits --rule adm", 2, "did you mean 'adam'?"),
        ("train digits --lr -1", 2, "lr must be in [0, inf)"),
        ("train digits --epochs 0", 2, "--epochs"),
        ("train digits --activation relo", 2, "did you mean 'relu'?"),
        ("train digits --init hee", 2, "did you mean 'he'?"),
        ("train digits --schedule cosin", 2, "did you mean 'cosine'?"),
        ("train digits --val half", 2, "a fraction such as 0.15"),
        ("train digits --val 1797", 2, "val=1797"),
        ("train digits --test published", 3, "no test part of its own"),
        ("train digits --augment shift=much", 2, "shift=2,flip"),
        ("train digits --augment turn=3", 2, "turn"),
        ("train digits --l1 -1", 2, "l1"),
        ("train digits --label-smoothing 2", 2, "smoothing"),
        ("train digits --val 0 --patience 3", 2, "val_loss"),
        ("train digits --engine fast", 2, "fast"),
        ("train --resume nowhere", 5, "config.json is missing"),
        ("train digits --resume nowhere --lr 0.1", 2, "leave out --lr, DATASET"),
        ("evaluate nowhere --unseal x", 5, "config.json is missing"),
        ("evaluate nowhere", 2, "--unseal"),
        ("lr-find", 2, "DATASET"),
        ("lr-find digits --low 1 --high 0.1", 2, "low < high"),
        ("lr-find digits --png x.gif", 2, ".png"),
    ],
)
@pytest.mark.fault(19)
def test_a_mistake_has_its_code_one_message_and_leaves_nothing(optlab, tmp_path, arguments, code, expected):
    out, err = optlab(*arguments.split(), code=code)
    assert expected in err.replace("\n", " ")
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_does_not_take_the_first_ones_place(optlab, copied):
    assert "--resume" in optlab("train", *SMALL, "--out", copied, code=2)[1]


def test_a_folder_that_cannot_be_written_is_exit_5(optlab, tmp_path):
    (tmp_path / "file").write_text("")
    err = optlab("train", *SMALL, "--epochs", 1, "--out", "file/run", "-q", code=5)[1]
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 1}', "\xff\x00", "edited"])
def test_a_damaged_configuration_is_named(optlab, copied, content):
    config = copied / CONFIG
    edited = config.read_text().replace('"epochs": 3', '"epochs": 4')
    config.write_bytes((edited if content == "edited" else content).encode("latin-1"))
    for arguments in (("train", "--resume", copied), ("evaluate", copied, "--unseal", "x")):
        assert "config.json is damaged" in optlab(*arguments, code=5)[1]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"epochs": 3}', '{"epochs": {"lr": "x"}, "steps": {}, "seconds": []}']
)
def test_damaged_curves_are_named_and_can_be_done_without(optlab, copied, content):
    epochs = RunDirectory(copied).history["val_loss"]
    (copied / HISTORY).write_text(content)
    (copied / LOG).write_bytes(b'\xff{"event"\n[1]\n' + (copied / LOG).read_bytes())
    assert "history.json is damaged" in optlab("train", "--resume", copied, code=5)[1]
    (copied / HISTORY).unlink()
    np.testing.assert_array_equal(RunDirectory(copied).history["val_loss"], epochs)
    assert len(RunDirectory(copied).log()) == 2


# --- signals and resuming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.fault(25)
def test_a_run_that_is_interrupted_twice_is_the_same_bit_for_bit(tmp_path, number, code):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    cut, command = tmp_path / "cut", [sys.executable, "-m", "optlab", "train", "-q"]
    begin = [*map(str, SMALL), "--dropout", "0.2", "--epochs", "1000000", "--out", "cut"]
    for arguments, more in ((begin, 3), (["--resume", "cut"], 200 // SHRINK)):
        enough = max(checkpoint.numbers(cut), default=0) + more  # a process that trains: it has begun to listen
        process = subprocess.Popen([*command, *arguments], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and max(checkpoint.numbers(cut), default=0) < enough:
            time.sleep(0.01)
        process.send_signal(number)
        err = process.communicate()[1]
        assert process.returncode == code, err
        assert "Traceback" not in err
    run = RunDirectory(cut)
    arrays, rest = checkpoint.newest(cut)
    if number != signal.SIGKILL:
        assert run.history.status == "interrupted"
        assert "interrupted" in (cut / "report.html").read_text()
        assert "optlab train --resume cut" in err
        assert run.history.epochs == rest["epoch"]
    train, val, _ = ol.data.load("digits").split(**SPLIT)
    model = ol.nn.MLP([64, 8, 10], dropout=0.2)
    history = ol.fit(model, train, val, "adam", epochs=rest["epoch"])
    np.testing.assert_array_equal(run.history["val_loss"], history["val_loss"])
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(arrays[f"model/{name}"], value)
    assert [entry["event"] for entry in run.log()].count("started") == 2


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_run_that_was_killed_is_finished_as_if_it_had_not_been(optlab, copied, finished, left):
    for number in range(left + 1, 4):
        for suffix in ("npz", "json"):
            (copied / "checkpoints" / f"epoch-{number:05}.{suffix}").unlink()
    (copied / HISTORY).unlink()
    assert RunDirectory(copied).history.status == "running"
    assert RunDirectory(copied).history.epochs == left
    optlab("train", "--resume", copied, "-q")
    assert (copied / "history.csv").read_text() == (finished / "history.csv").read_text()


# --- the sealed test set ----------------------------------------------------------------------------------------------


@pytest.mark.fault(29)
def test_the_test_set_opens_once(optlab, copied):
    out, _ = optlab("evaluate", copied, "--unseal", "final table", "--json")
    held, tested, gap = json.loads(out)["scores"]
    _, val, test = ol.data.load("digits").split(**SPLIT)
    model = ol.nn.MLP([64, 8, 10])
    model.load_state_dict(checkpoint.weights(copied))  # `load` would count as the run itself
    ours, theirs = score(model, val), model.evaluate(test, "an oracle")
    assert (held["loss"], held["accuracy"]) == (ours.loss, ours.accuracy)
    assert (tested["loss"], tested["accuracy"], tested["rows"]) == (theirs.loss, theirs.accuracy, 1550)
    assert gap["loss"] == theirs.loss - ours.loss
    page = (copied / "report.html").read_text()
    assert "final table" in page
    assert '<td class="alarm">forced</td>' not in page
    assert RunDirectory(copied).log()[-1]["event"] == "test set opened"

    err = optlab("evaluate", copied, "--unseal", "again", code=7)[1]
    assert "'final table'" in err
    assert "--force" in err
    optlab("train", "--resume", copied, "-q")
    optlab("evaluate", copied, "--unseal", "after a resume", code=7)
    assert len(RunDirectory(copied).openings()) == 1

    out, _ = optlab("evaluate", copied, "--unseal", "a second look", "--force")
    assert "test, opening 2, forced" in out
    page = (copied / "report.html").read_text()
    assert "Opened 2 times" in page
    assert '<td class="alarm">forced</td>' in page


@pytest.mark.fault(29)
def test_a_ledger_that_was_edited_is_shown(optlab, copied):
    optlab("evaluate", copied, "--unseal", "a first look", "-q")
    ledger = copied / RECORDS
    ledger.write_text(ledger.read_text().replace("a first look", "final table"))
    assert "changed by hand" in optlab("evaluate", copied, "--unseal", "x", code=7)[1]
    assert "changed by hand" in optlab("evaluate", copied, "--unseal", "x", "--force", "-q")[1]
    assert "changed by hand" in (copied / "report.html").read_text()
    ledger.unlink()
    assert "were removed" in optlab("evaluate", copied, "--unseal", "x", code=7)[1]


def test_a_run_without_test_rows_has_nothing_to_open(optlab):
    optlab("train", *SMALL[:5], "--val", 1600, "--test", 0, "--epochs", 1, "--out", "run", "-q")
    assert "no rows for a test" in optlab("evaluate", "run", "--unseal", "x", code=2)[1]


# --- lr-find ----------------------------------------------------------------------------------------------------------


def test_lr_find_suggests_what_the_function_does(optlab, tmp_path):
    from optlab.train.lr_find import lr_find

    options = ("--rule", "sgd", "--steps", 40, "--batch-size", 16)
    out, _ = optlab("lr-find", *SMALL, *options, "--json", "--png", "x.png")
    document = json.loads(out)
    train, _, _ = ol.data.load("digits").split(**SPLIT)
    found = lr_find(ol.nn.MLP([64, 8, 10]), train, ol.SGD(), steps=40, batch_size=16)
    assert document["losses"] == found.losses.tolist()
    assert document["suggestion"] is None
    assert np.isnan(found.suggestion), "40 steps of 16 rows are mostly noise"
    assert (tmp_path / "x.png").stat().st_size > 5000
    out, err = optlab("lr-find", *SMALL, *options)
    assert "steepest" in out
    assert "no suggestion" in out
    assert "does not fall below its start" in err
