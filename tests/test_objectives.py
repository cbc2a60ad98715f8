"""The ready objectives: what they compute, by other means; what they refuse, before the first trial; where they run."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import JIT, SHRINK
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import optlab as ol
from optlab import objectives
from optlab.errors import ConfigError, NonFiniteError
from optlab.objectives.networks import widths
from optlab.search import Choice, Float, Int, Median, Pruned, Random, Space, Study

EPOCHS = 6 if JIT else 2


@pytest.fixture(scope="module")
def digits():
    """300 rows are enough here."""
    data = ol.data.load("digits")
    return ol.data.from_arrays(data.x[:300], data.y[:300], data.classes, name="few digits")


@pytest.fixture(scope="module")
def training(digits):
    return objectives.training(digits, epochs=EPOCHS)


class Trial:
    """What an objective needs of one."""

    def __init__(self, seed=0, prune_at=None):
        self.seed, self.reports, self.prune_at = seed, [], prune_at

    def report(self, value, step):
        self.reports.append((step, value))

    def should_prune(self):
        return len(self.reports) == self.prune_at


# --- values -----------------------------------------------------------------------------------------------------------


def test_training_is_what_fit_gives(digits, training):
    params = {"rule": "momentum", "lr": 0.05, "beta": 0.8, "batch_size": 16, "hidden": 12, "layers": 2, "l2": 1e-3,
              "activation": "tanh", "dropout": 0.1, "schedule": "cosine", "clip_norm": 1.0}  # fmt: skip
    train, val, _ = digits.split(val=0.15, test=0.15, seed=0)
    model = ol.nn.MLP([64, 12, 12, 10], activation="tanh", dropout=0.1, seed=7)
    history = ol.fit(model, train, val, ol.Momentum(lr=0.05, beta=0.8), epochs=EPOCHS, batch_size=16, l2=1e-3, seed=7,
                     schedule="cosine", clip_norm=1.0, verbose=False)  # fmt: skip
    trial = Trial(seed=7)
    assert training(params, trial) == history["val_loss"][-1]
    assert trial.reports == [(i + 1, v) for i, v in enumerate(history["val_loss"])]
    by_error = objectives.training(digits, epochs=EPOCHS, measure="error", keep="best")
    assert by_error(params, Trial(seed=7)) == pytest.approx(1 - history["val_accuracy"].max())


def test_training_over_folds_is_the_mean_over_folds(digits):
    objective = objectives.training(digits, epochs=2, folds=3, rule="adam", hidden=8)
    train, _, sealed = digits.split(val=0, test=0.15, seed=0)
    losses = []
    for fit_on, held in train.folds(3, 0):
        model = ol.nn.MLP([64, 8, 10], seed=0)
        losses.append(ol.fit(model, fit_on, held, ol.Adam(lr=0.01), epochs=2, verbose=False)["val_loss"][-1])
    trial = Trial()
    assert objective({"lr": 0.01}, trial) == pytest.approx(np.mean(losses), rel=1e-15)
    assert [step for step, _ in trial.reports] == [1, 2, 3, 4, 5, 6]
    rows = np.concatenate([part.rows for pair in objective.parts for part in pair])
    assert not set(rows) & set(sealed._part.rows)


def test_a_training_that_diverges_is_a_failed_trial_with_its_reason(training):
    study = Study(Space(lr=Float(1e30, 1e35, log=True)), Random(seed=0))
    with np.errstate(all="ignore"):
        study.run(lambda params: training({"rule": "sgd", **params}), trials=2)
    assert [t.state for t in study.trials] == ["failed", "failed"]
    assert "diverged in epoch 1" in study.trials[0].error


def test_training_prunes(training):
    with pytest.raises(Pruned):
        training({"lr": 0.01}, Trial(prune_at=1))
    study = Study(Space(lr=Float(1e-6, 1e-1, log=True)), Random(seed=0))
    study.run(training, trials=16, pruner=Median(startup=2))
    assert {t.state for t in study.trials} == {"complete", "pruned"}


def test_training_is_the_same_in_threads(training):
    space = training.space()
    studies = [Study(space, Random(seed=1)) for _ in range(3)]
    for study, executor in zip(studies, (None, 2, ThreadPoolExecutor(3)), strict=True):
        study.run(training, trials=5, executor=executor)
    values = [[t.value for t in study.trials] for study in studies]
    assert values[0] == values[1] == values[2]


def test_descent_is_what_descend_gives():
    objective = objectives.descent("beale", steps=300 // SHRINK)
    run = ol.descend("beale", ol.Adam(lr=0.1), steps=300 // SHRINK)
    assert objective({"rule": "adam", "lr": 0.1}) == run.values[-1]
    to_target = objectives.descent("sphere", steps=60, target=1e-3, rule="sgd")
    assert to_target({"lr": 0.1}) == ol.descend("sphere", ol.SGD(lr=0.1), steps=60).steps_to(1e-3)
    assert to_target({"lr": 1e-9}) == 61
    with pytest.raises(NonFiniteError, match="diverged"):
        objective({"rule": "sgd", "lr": 1e3})
    several = objectives.descent("sphere", steps=5, starts=4, noise=0.5, rule="sgd", lr=0.1)
    assert several({}, Trial(1)) == several({}, Trial(1)) != several({}, Trial(2))


def test_surface_is_the_surface():
    objective = objectives.surface("himmelblau")
    assert objective({"x": 3.0, "y": 2.0}) == 0.0
    noisy = objectives.surface("himmelblau", noise=2.0)
    draws = np.array([noisy({"x": 3.0, "y": 2.0}, Trial(seed)) for seed in range(400)])
    assert abs(draws.mean()) < 4 * 2 / 20
    assert abs(draws.std() - 2.0) < 4 * 2 / np.sqrt(800)


def test_svm_is_scikit_learns_cross_validation(digits):
    objective = objectives.svm(digits, folds=3)
    params = {"kernel": "rbf", "C": 3.0, "gamma": 0.01}
    train, _, _ = digits.split(val=0, test=0.15, seed=0)
    plain = digits.x[train.rows].astype(float)
    where = {row: i for i, row in enumerate(train.rows)}
    folds = [([where[r] for r in a.rows], [where[r] for r in b.rows]) for a, b in train.folds(3, 0)]
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    class PerFold(FunctionTransformer):
        """Pixels are shifted and scaled as pictures are: by one mean and one deviation."""

        def fit(self, x, y=None):
            self.mean_, self.sd_ = x.mean(), x.std()
            return self

        def transform(self, x):
            return (x - self.mean_) / self.sd_

    scores = cross_val_score(make_pipeline(PerFold(), SVC(**params)), plain, digits.y[train.rows], cv=folds)
    assert objective(params) == pytest.approx(1 - scores.mean(), abs=0.004)
    trial = Trial()
    objective(params, trial)
    assert len(trial.reports) == 2


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space(learning_rate=Float(0, 1)), ["space.learning_rate is unknown"]),
        (Space(lr=Float(-1, 1)), ["space.lr can't be -1.0", "[0, inf)"]),
        (Space(batch_size=Float(8, 16)), ["whole number", "int = true"]),
        (Space(rule=Choice(["sgd", "momntum"])), ["did you mean 'momentum'?"]),
        (Space(hidden=Choice(["64-32", "wide"])), ["can't be 'wide'"]),
        (Space(activation=Choice(["relu", "rlu"]), dropout=Float(0, 1)), ["2 mistakes", "'rlu'", "dropout"]),
        (Space(rule=Choice(["sgd", "momentum"]), beta=Float(0.5, 0.9)), ['when = { rule = "momentum" }']),
        (Space(rule=Choice(["sgd", "momentum"]), beta=Float(0.5, 1.1, when={"rule": "momentum"})), ["can't be 1.1"]),
        (Space(schedule=Choice(["cosine", "cosin"])), ["schedule", "cosin"]),
        (Space(l2=Float(-1, 1)), ["l2"]),
        (Space(epochs=Int(1, 3)), ["fixed in [settings]"]),
    ],
)
def test_a_space_that_training_can_not_run_is_refused_before_the_first_trial(training, space, words):
    with pytest.raises(ConfigError) as error:
        training.check(space)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    "space",
    [
        Space(rule=Choice(["sgd", "momentum"]), beta=Float(0.5, 0.99, when={"rule": "momentum"})),
        Space(rule=Choice(["adam", "adamw"]), beta1=Float(0.5, 0.99), weight_decay=Float(0, 0.1)),
        Space(layers=Int(0, 3), hidden=Int(4, 64), batch_norm=Choice([True, False])),
        Space(hidden=Choice(["64-32", "32", 16]), schedule=Choice(["cosine", "one-cycle(max_lr=0.1)"])),
    ],
)
def test_a_space_that_training_can_run_is_not_refused(digits, training, space):
    training.check(space)
    short = objectives.training(digits, epochs=1)
    study = Study(space, Random(seed=0))
    study.run(short, trials=4)
    assert not [t.error for t in study.trials if t.state != "complete"]


def test_every_default_space_passes_its_own_check(digits, training):
    for objective in (training, objectives.svm(digits), objectives.descent("beale"), objectives.surface("beale")):
        objective.check(objective.space())
    for objective in (objectives.training(digits, rule="adam", l2=0.0), objectives.descent("beale", rule="adam")):
        objective.check(objective.space())
    assert set(objectives.descent("beale", lr=0.1).space()) == {"rule", "beta"}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("training", {}, ["settings.dataset is missing"]),
        ("training", {"dataset": "digits", "epoch": 3, "lrr": 1}, ["settings.epoch", "settings.lrr", "2 mistakes"]),
        ("training", {"dataset": "digitz"}, ["did you mean 'digits'?"]),
        ("training", {"dataset": "digits", "keep": "first"}, ["'last' or 'best'"]),
        ("training", {"dataset": "digits", "hidden": 0}, ["hidden"]),
        ("training", {"dataset": "digits", "rule": "sgd", "lr": -1}, ["lr must be in"]),
        ("training", {"dataset": "digits", "val": 0.0}, ["folds"]),
        ("descent", {"surface": "beal"}, ["did you mean 'beale'?"]),
        ("descent", {"surface": "saddle", "target": 0.1}, ["no minimum"]),
        ("descent", {"surface": "beale", "steps": "many"}, ["steps"]),
        ("surface", {"name": "beale", "noise": -1}, ["noise"]),
        ("svm", {"dataset": "digits", "kernel": "rbff"}, ["rbff"]),
        ("svm", {"dataset": "digits", "Gamma": 1}, ["did you mean 'gamma'?"]),
        ("trainin", {}, ["did you mean 'training'?"]),
        ("no.such.module:function", {}, ["can't be imported"]),
        ("json:nothing", {}, ["can't be imported"]),
        ("math:pi", {}, ["is no function"]),
        ("fractions:Fraction", {"numeratr": 1}, ["settings.numeratr", "numerator"]),
    ],
)
def test_wrong_settings_are_told(name, settings, words):
    with pytest.raises(ConfigError) as error:
        objectives.load_objective(name, settings)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_space_of_a_surface_needs_both_coordinates():
    with pytest.raises(ConfigError, match=r"space\.y is missing"):
        objectives.surface("beale").check(Space(x=Float(0, 1)))


# --- by name ----------------------------------------------------------------------------------------------------------


def test_a_function_by_name_gets_its_settings():
    objective = objectives.load_objective("optlab.surfaces.valleys:Surface.__repr__")
    assert callable(objective)
    partial = objectives.load_objective("sweeps:bowl")
    assert partial({"x": 0.0, "lr": 0.01, "width": 64, "rule": "adam"}) == 1.0


def test_an_objective_travels_by_its_settings():
    for name, settings, params in (
        ("training", {"dataset": "digits", "epochs": 1, "folds": None, "seed": 3, "rule": "sgd"}, {"lr": 0.1}),
        ("descent", {"surface": "beale", "steps": 9, "starts": 3, "noise": 0.1}, {"rule": "adam", "lr": 0.1}),
        ("surface", {"name": "beale", "noise": 0.5}, {"x": 1.0, "y": 1.0}),
        ("svm", {"dataset": "digits", "rows": 100}, {"C": 2.0}),
    ):
        objective = objectives.load_objective(name, settings)
        again = pickle.loads(pickle.dumps(objective))
        assert again.settings == objective.settings
        assert again(params, Trial(5)) == objective(params, Trial(5))
        assert len(pickle.dumps(objective)) < 1000
        assert repr(objective).startswith(f"{name}(")


def test_widths():
    assert widths("64,32") == [64, 32]
    with pytest.raises(ConfigError, match="layers repeats one width"):
        widths([3, 4], 2)
