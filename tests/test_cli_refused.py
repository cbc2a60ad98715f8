"""A command that is refused leaves the files of the one before as they were, and two do not write into one folder."""

import shutil
from contextlib import ExitStack

import click
import pytest

import optlab as ol
from optlab import locks
from optlab.cli import _code, cli

SMALL = ("digits", "--hidden", "4", "--val", "120", "--test", "1550", "--epochs", "1", "-q")
RACE = "race beale sgd --lr 1e-4 --steps 3 -q --out out --gif out/own.gif"
SWEEP = "sweep --objective surface --set name=beale --trials 2 --sampler random -q --storage out/s.db"
# The command that fills the folder ``out``, and others that write there and are refused; with their exit codes.
CASES = {
    "race": (RACE, [
        (2, RACE + " --lr -1"), (2, RACE.replace("sgd", "sgd adm")), (2, RACE + " --start nan nan"),
        (2, RACE + " --noise -1"), (2, RACE + " --png out/x.gif"), (2, RACE.replace("beale", "beele")),
        (2, RACE + " --png out"), (5, RACE + " --html out/beale.png/x.html"), (2, RACE + " --tune 0"),
        (5, RACE.replace("--out out", "--out out/own.gif/x")),
    ]),
    "basin": ("basin beale sgd --lr 1e-4 --resolution 4 --steps 3 -q --out out --npz out/b.npz", [
        (2, "basin beale sgd --lr -1 --out out"), (2, "basin beale sgd --window 1 0 0 1 --out out"),
        (2, "basin beale sgd --npz out/b.txt --out out"), (2, "basin beale sgd --target nan --out out"),
        (5, "basin beale sgd --npz out/b.npz/c.npz --out out"), (2, "basin beale adm --out out"),
    ]),
    "gallery": ("gallery adam-bias --fast --out out -q", [
        (2, "gallery adam-bia --out out"), (3, "gallery adam-bias --data cifar-10 --out out"),
        (2, "gallery adam-bias --jobs 0 --out out"), (2, "gallery adam-bias --data nothing --out out"),
    ]),
    "train": (f"train {' '.join(SMALL)} --out out", [
        (2, f"train {' '.join(SMALL)} --out out"), (2, f"train {' '.join(SMALL)} --rule adm --out out"),
        (2, "train digits --resume out"), (2, "train --resume out --epochs 9"), (2, "train --resume out --out b"),
        (2, f"train {' '.join(SMALL)} --patience 1 --val 0 --out out"), (2, "train nowhere.csv --out out"),
        (3, "train nowhere.csv --out out/new"),
    ]),
    "evaluate": ("evaluate out --unseal final -q", [
        (7, "evaluate out --unseal again"), (2, "evaluate out"), (7, "evaluate out --unseal again --json"),
    ]),
    "lr-find": ("lr-find digits --hidden 4 --val 120 --test 1550 --steps 20 --png out/a.png -q", [
        (2, "lr-find digits --low 1 --high 0.1 --png out/a.png"), (2, "lr-find digits --steps 0 --png out/a.png"),
        (2, "lr-find digits --rule adm --png out/a.png"), (2, "lr-find digits --png out/a.gif"),
        (5, "lr-find digits --png out/a.png/b.png"),
    ]),
    "sweep": (SWEEP, [
        (2, SWEEP), (2, SWEEP + " --resume --set name=rosenbrock"), (2, SWEEP + " --resume --sampler nothing"),
        (2, SWEEP + " --resume --param x=2..1"), (2, SWEEP + " --resume --name other"),
    ]),
    "report": ("report out/s.db --html out/a.html", [
        (2, "report out/s.db --name other --html out/a.html"), (5, "report out/b.db --html out/a.html"),
        (2, "report out/s.db --html out/a.txt"), (5, "report out/a.html --html out/a.html"),
    ]),
    "convert": ("convert out/s.db --to optuna --out out/o.db", [
        (5, "convert out/s.db --to optuna --out out/o.db"), (5, "convert out/o.db --from optuna --out out/s.db"),
        (2, "convert out/s.db"), (2, "convert out/o.db --from optuna --name other --out out/s.db"),
    ]),
    "bench": ("bench startup --rounds 1 --out out", [
        (2, "bench startup --seeds 0 --out out"), (2, "bench nothing --out out"),
        (2, "bench search --seeds x --out out"),
        (2, "bench startup --cells out/c --out out"), (2, "bench startup --rounds 0 --out out"),
    ]),
}  # fmt: skip
BEFORE = {"evaluate": "train", "report": "sweep", "convert": "sweep"}  # whose files it needs
OTHERS = {"data", "doctor", "rules", "surfaces"}  # which write nothing, or (`data fetch`) what row 21 is about


def test_every_command_that_writes_is_here():
    assert CASES.keys() | OTHERS == cli.commands.keys()
    for name in OTHERS - {"data"}:
        assert not [p for p in cli.commands[name].params if isinstance(p.type, click.Path)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """``filled(name)``: a folder in which that command has filled ``out``."""
    made = {}

    def fill(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if name in BEFORE:
                shutil.copytree(fill(BEFORE[name]) / "out", folder / "out")
            (folder / "out").mkdir(exist_ok=True)
            if name == "bench":  # which takes half a minute; the file is all that matters
                (folder / "out" / "startup.json").write_text("{}")
            else:
                with pytest.MonkeyPatch.context() as patch:
                    patch.chdir(folder)
                    if name == "train":
                        (folder / "out").rmdir()
                    assert _code(CASES[name][0].split()) == 0
            made[name] = folder
        return made[name]

    return fill


def tree(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.fault(37, cases=5)
def test_a_refused_command_changes_no_byte(name, filled, tmp_path, monkeypatch, capfd):
    if name == "convert":
        pytest.importorskip("optuna")
    shutil.copytree(filled(name) / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTLAB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nowhere"))
    before = tree(tmp_path)
    for code, command in CASES[name][1]:
        capfd.readouterr()
        found = _code(command.split())
        err = capfd.readouterr().err
        assert found == code, (command, err)
        assert "Traceback" not in err
        assert "a bug" not in err
        assert tree(tmp_path) == before, command


FOLDERS = {
    "race": RACE,
    "basin": CASES["basin"][0],
    "gallery": CASES["gallery"][0],
    "train": CASES["train"][0],
    "bench": CASES["bench"][0],
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.fault(37)
def test_a_command_into_a_folder_where_another_writes_is_refused(name, filled, tmp_path, monkeypatch, capfd):
    if name != "train":
        shutil.copytree(filled(name) / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    with ExitStack() as held:
        held.enter_context(locks.exclusive(locks.of_folder(tmp_path / "out"), "it"))
        before = tree(tmp_path)
        assert _code(FOLDERS[name].split()) == 5
        assert tree(tmp_path) == before
    err = capfd.readouterr().err
    assert "out is in use by process" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out" / locks.LOCK).exists()


def test_a_command_leaves_no_lock(filled):
    for name in ("race", "gallery", "train"):
        assert not list(filled(name).rglob("*.lock"))


def test_a_gallery_figure_by_itself_holds_the_folder_too(tmp_path, monkeypatch):
    from optlab.gallery import main

    monkeypatch.chdir(tmp_path)
    with locks.exclusive(locks.of_folder(tmp_path / "gallery"), "it"):
        with pytest.raises(ol.StorageError, match="in use by"):
            main("adam-bias")
        assert {path.name for path in tmp_path.rglob("*")} == {"gallery", locks.LOCK}
