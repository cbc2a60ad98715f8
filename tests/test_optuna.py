"""Our samplers inside Optuna: its own conformance cases, the same trials at any number of jobs, the other way round."""

import subprocess
import sys

import pytest
from conftest import JIT
from test_cli import optlab

optuna = pytest.importorskip("optuna", reason="needs Optuna: pip install 'optlab[optuna]'")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.testing.pytest_samplers import (  # noqa: E402
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from optlab.errors import ConfigError, StorageError  # noqa: E402
from optlab.integrations import convert  # noqa: E402
from optlab.integrations.optuna import GPSampler, GridSampler, RandomSampler, SobolSampler  # noqa: E402
from optlab.search import Choice, Float, Int, Pruned, Random, Space, Study  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = {
    "x": FloatDistribution(-1.0, 1.0),
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "n": IntDistribution(1, 9, step=2),
    "c": CategoricalDistribution(["a", "b", None]),
}


class TestRandom(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return RandomSampler


class TestSobol(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return SobolSampler


class TestGrid(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return GridSampler


class TestGP(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self):
        return lambda: GPSampler(initial=2)  # so that the model is asked, too


def bowl(trial):
    x, lr = trial.suggest_float("x", -1.0, 1.0), trial.suggest_float("lr", 1e-5, 1.0, log=True)
    n, c = trial.suggest_int("n", 1, 9, step=2), trial.suggest_categorical("c", ["a", "b", None])
    return (x - 0.3) ** 2 + (lr - 0.01) ** 2 + abs(n - 5) + (c != "b")


def params(sampler, jobs=1, trials=12):
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=trials, n_jobs=jobs)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("make", [RandomSampler, lambda: SobolSampler(space=SPACE)], ids=["random", "sobol"])
def test_the_trials_do_not_depend_on_the_jobs(make):
    assert params(make()) == params(make(), jobs=4)


@pytest.mark.parametrize("make", [RandomSampler, SobolSampler, GridSampler, GPSampler])
def test_ten_and_ten_trials_are_twenty(make):
    trials = 20 if JIT else 12
    study = optuna.create_study(sampler=make())
    study.optimize(bowl, n_trials=10)
    study.sampler = make()  # as after a resume
    study.optimize(bowl, n_trials=trials - 10)
    assert [trial.params for trial in study.trials] == params(make(), trials=trials)


def test_random_is_not_the_same_for_every_name_seed_and_trial():
    drawn = [p["x"] for p in params(RandomSampler())] + [p["x"] for p in params(RandomSampler(seed=1))]
    assert len(set(drawn)) == len(drawn)


def test_a_grid_that_knows_its_space_stops():
    study = optuna.create_study(sampler=GridSampler(space=SPACE, points=2))
    study.optimize(bowl, n_trials=100)
    found = {tuple(trial.params.values()) for trial in study.trials}
    assert len(found) == len(study.trials) == 2 * 2 * 2 * 3


def test_a_grid_asked_by_hand_has_no_loop_to_stop():
    study = optuna.create_study(sampler=GridSampler(space={"n": IntDistribution(1, 2)}))
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, trial.suggest_int("n", 1, 2))
    assert [trial.params["n"] for trial in study.trials][:2] == [1, 2]


@pytest.mark.skipif(not JIT, reason="a search of 30 trials is minutes without the compiler")
def test_the_gp_finds_what_random_does_not_in_both_directions():
    best = {}
    for direction, sign in (("minimize", 1.0), ("maximize", -1.0)):
        for make in (GPSampler, RandomSampler):
            study = optuna.create_study(sampler=make(), direction=direction)
            study.optimize(lambda trial, sign=sign: sign * bowl(trial), n_trials=35)
            best[direction, make] = sign * study.best_value
    assert best["minimize", GPSampler] == best["maximize", GPSampler] < 1e-2 < best["minimize", RandomSampler]
    assert best["maximize", RandomSampler] == best["minimize", RandomSampler]


def test_failed_pruned_and_infinite_trials_do_no_harm():
    study = optuna.create_study(sampler=GPSampler(initial=3))

    def objective(trial):
        value = bowl(trial)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("broken")
        return float("inf") if trial.number == 3 else value

    study.optimize(objective, n_trials=8 if JIT else 6, catch=ValueError)
    assert [trial.state.name for trial in study.trials][:3] == ["COMPLETE", "PRUNED", "FAIL"]


# --- studies to and from --------------------------------------------------------------------------------------------


def mixed(tmp_path):
    space = Space(
        lr=Float(1e-5, 1, log=True),
        width=Int(8, 64, step=8),
        rule=Choice(["sgd", "momentum", None]),
        beta=Float(0.5, 0.99, when={"rule": "momentum"}),
        k=Int(1, 100, log=True),
        s=Float(0.0, 1.0, step=0.25),
    )
    study = Study(space, Random(seed=0), direction="maximize", storage=tmp_path / "ours.db", name="mine")

    def objective(params, trial):
        trial.report(0.5, 1)
        if trial.number == 3:
            raise ValueError("broken")
        if trial.number == 4:
            raise Pruned
        return params["lr"]

    study.run(objective, trials=12)
    study.ask()  # runs for ever
    return study


@pytest.mark.parametrize("file", ["theirs.db", "theirs.log", None])
def test_a_study_goes_to_optuna_and_comes_back(tmp_path, file):
    study = mixed(tmp_path)
    there = study.to_optuna(None if file is None else tmp_path / file)
    assert [t.state.name for t in there.trials] == ["COMPLETE"] * 3 + ["FAIL", "PRUNED"] + ["COMPLETE"] * 7
    assert there.best_value == study.best.value
    assert there.trials[3].user_attrs["optlab:error"] == "failed: ValueError: broken"
    assert there.trials[0].intermediate_values == {1: 0.5}
    assert there.trials[0].duration.total_seconds() == pytest.approx(
        study.trials[0].finished - study.trials[0].started, abs=1e-5
    )
    if file is None:
        return
    back = convert.from_optuna(tmp_path / file, tmp_path / "back.db")
    assert back.direction == "maximize"
    assert [(t.params, t.value, t.state, t.reports) for t in back.trials] == [
        (t.params, t.value, t.state, t.reports) for t in study.trials[:-1]
    ]
    assert back.trials[3].error == "failed: ValueError: broken"
    for name, parameter in study.space.items():
        if name != "rule":  # its values come in another order
            assert back.space[name] == parameter or parameter.when
    assert back.space["beta"].when == {"rule": ["momentum"]}
    with pytest.raises(StorageError, match="already has trials"):
        convert.from_optuna(tmp_path / file, tmp_path / "back.db")
    with pytest.raises(StorageError, match="give another name"):
        study.to_optuna(tmp_path / file)


def test_what_no_space_can_hold_is_refused(tmp_path):
    def study_of(objective, name):
        study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'o.db'}", study_name=name)
        study.optimize(objective, n_trials=6, catch=ValueError)

    study_of(lambda t: t.suggest_float("x", 0, 1) if t.number % 2 else t.suggest_float("y", 0, 1), "gone")
    study_of(lambda t: t.suggest_float("x", 0, 1, step=0.25 if t.number % 2 else None), "kinds")
    study_of(lambda t: t.suggest_float("x", 0, 1 + t.number), "wider")
    optuna.create_study(storage=f"sqlite:///{tmp_path / 'o.db'}", study_name="empty")
    optuna.create_study(storage=f"sqlite:///{tmp_path / 'o.db'}", study_name="two", directions=["minimize"] * 2)
    for name, message in {
        "gone": "is missing in some trials",
        "kinds": "'x' is of several kinds",
        "empty": "no finished trial",
        "two": "2 objectives",
        "non": "did you mean",
        None: "holds 5 studies",
    }.items():
        with pytest.raises(ConfigError, match=message):
            convert.from_optuna(tmp_path / "o.db", tmp_path / f"{name}.db", name)
    assert convert.from_optuna(tmp_path / "o.db", tmp_path / "wider.db", "wider").space["x"].high == 6.0
    with pytest.raises(StorageError, match="does not exist"):
        convert.from_optuna(tmp_path / "nothing.db", tmp_path / "a.db")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(StorageError, match="can't be read as a storage"):
        convert.from_optuna(tmp_path / "text.db", tmp_path / "a.db")


def test_the_command_converts_both_ways(tmp_path):
    mixed(tmp_path).close()
    done = optlab("convert", tmp_path / "ours.db", "--to", "optuna", check=0)
    assert "12 trials; 1 still running, left out" in done.stdout
    done = optlab("convert", tmp_path / "ours.optuna.db", "--from", "optuna", "--out", tmp_path / "b.db", check=0)
    assert "12 trials" in done.stdout
    assert "complete" in optlab("report", tmp_path / "b.db", check=0).stdout
    assert "either --to optuna" in optlab("convert", "x.db", check=2).stderr
    assert "does not exist" in optlab("convert", tmp_path / "no.db", "--to", "optuna", check=5).stderr


def test_without_optuna_one_line_names_the_extra():
    code = (
        "import sys; sys.modules['optuna'] = None\ntry: import optlab.integrations.{}\nexcept Exception as e: print(e)"
    )
    for module in ("optuna", "convert"):
        done = subprocess.run([sys.executable, "-c", code.format(module)], capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith("pip install 'optlab[optuna]'")
