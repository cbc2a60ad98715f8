"""The contract with the user, sections 1 to 3: every call as it is written there, one after the other.

Numbers of steps and starts are smaller where the compiler is off; nothing else differs.
"""

import json

import numpy as np
import pytest
from conftest import JIT, SHRINK
from examples import SPACE, Hyper, coefficients, update

import optlab as ol


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Paths on the page are relative."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_study_one_rule(folder):
    run = ol.descend("beale", ol.Adam(lr=0.1), start=(1.0, 1.5), steps=300)
    assert (run.points.shape, run.points.dtype) == ((301, 2), np.float64)
    assert run.values.shape == (301,)
    assert run.gradients.shape == (301, 2)
    assert run.state["m"].shape == (301, 2)
    np.testing.assert_array_equal(run.state["m"][0], 0.0)
    assert run.effective_lr.shape == (300, 2)
    assert run.status == "running"
    assert run.values[run.steps_to(1e-3)] <= 1e-3 < run.values[run.steps_to(1e-3) - 1]
    run.plot()
    run.save("run.csv")
    assert json.loads(json.dumps(run.to_dict()))["status"] == "running"
    assert len((folder / "run.csv").read_text(encoding="utf-8").splitlines()) == 302

    noisy = ol.descend("beale", ol.Adam(lr=0.1), start=(1.0, 1.5), steps=300, noise=0.1, seed=3)
    assert (noisy.points[1:] != run.points[1:]).any()


def test_race(folder):
    races = ol.race("beale", [ol.SGD(lr=0.01), ol.Momentum(lr=0.01), ol.Adam(lr=0.1)], steps=300 // SHRINK)
    races.animate("beale.gif")
    races.html("beale.html")
    assert list(races.runs) == ["SGD", "Momentum", "Adam"]
    assert set(races.order(0.5)) <= set(races.runs)
    assert (folder / "beale.gif").read_bytes()[:6] == b"GIF89a"
    assert (folder / "beale.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_fair_race():
    tune, starts, steps = (64, 16, 300) if JIT else (4, 2, 20)
    fair = ol.race("beale", ["sgd", "momentum", "adam"], tune=tune, starts=starts, seed=0, steps=steps)
    table = fair.table
    assert [row["rule"] for row in table.rows] == ["SGD", "Momentum", "Adam"]
    assert "diverged" in str(table)
    assert all(row["settings"] == repr(fair.runs[row["rule"]].settings) for row in table.rows)


def test_basin():
    n, steps = (400, 500) if JIT else (8, 20)
    basin = ol.basin("himmelblau", ol.Momentum(lr=0.01), resolution=n, steps=steps)
    assert basin.minimum.shape == basin.steps.shape == (n, n)
    assert set(np.unique(basin.minimum)) <= {-1, 0, 1, 2, 3}


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("SGD", {"lr": 1e-3}),
        ("Momentum", {"lr": 1e-3, "beta": 0.9, "dampening": 0.0, "nesterov": False}),
        ("Adagrad", {"lr": 1e-2, "eps": 1e-10, "initial": 0.0}),
        ("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
        ("RMSProp", {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "centered": False, "momentum": 0.0}),
        ("Adam", {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "bias_correction": True}),
        ("AdamW", {"weight_decay": 0.01}),
        ("AMSGrad", {}),
        ("NAdam", {"momentum_decay": 0.004}),
        ("Adamax", {}),
        ("Lion", {}),
    ],
)
def test_settings_have_the_defaults_of_the_page(rule, options):
    kind = getattr(ol, rule)
    settings = kind()
    assert {k: settings.to_dict()[k] for k in options} == options
    assert kind(**options) == settings
    assert hash(kind(**options)) == hash(settings)
    assert repr(settings).startswith(f"{rule}(lr=")
    assert ol.RULES[settings.name] is kind
    with pytest.raises(AttributeError, match="settings do not change"):
        settings.lr = 1.0
    for convention in ("torch", "keras", "optax", "paper", "cs231n"):
        assert kind(weight_decay=0.1, convention=convention).weight_decay == 0.1


def test_registries_are_dictionaries_by_name():
    assert isinstance(ol.RULES, dict)
    assert isinstance(ol.SURFACES, dict)
    assert ol.SURFACES["beale"].name == "beale"


def test_a_rule_of_ones_own(registry, folder):
    SignMomentum = ol.register("sign-momentum", Hyper, slots=("v",), coefficients=coefficients, update=update)
    run = ol.descend("beale", SignMomentum(lr=0.02))
    np.testing.assert_allclose(np.abs(np.diff(run.points, axis=0)), 0.02, rtol=1e-12)
    assert repr(run.settings) == "SignMomentum(lr=0.02)"
    race = ol.race("beale", ["sign-momentum", ol.Adam(lr=0.1)], steps=20)
    race.animate("own.gif")
    race.html("own.html")
    assert ol.basin("beale", SignMomentum, resolution=4, steps=10).minimum.shape == (4, 4)
    parameter = ol.Tensor(np.array([1.0, -2.0]))
    optimizer = ol.Optimizer([parameter], SignMomentum(lr=0.5))
    parameter.grad[...] = (3.0, -4.0)
    optimizer.step()
    np.testing.assert_array_equal(parameter.data, [0.5, -1.5])


def test_a_surface_of_ones_own():
    def fn(x, y):
        return (x - 1) ** 2 + (y + 2) ** 2

    surface = ol.Surface(fn, domain=((-3, 3), (-4, 2)), minima=[(1, -2)], start=(-2.0, 1.0))
    run = ol.descend(surface, ol.SGD(lr=0.1), steps=100)
    assert run.status == "converged"
    np.testing.assert_allclose(run.points[-1], (1, -2), atol=1e-8)
    assert ol.descend(fn, "adam").surface.minima == ()


def test_train_a_small_network(folder):
    data = ol.data.load("digits")
    train, val, test = data.split(val=0.15, test=0.15, seed=0)
    with pytest.raises(ol.SealError):
        test.x  # noqa: B018
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), rng.integers(0, 2, 40)
    mine = ol.data.from_arrays(X, y)
    assert mine.x.dtype == np.float32
    assert ol.data.from_arrays(X, X[:, 0]).y.shape == (40, 1)
    model = ol.nn.MLP(
        [64, 32, 10], activation="relu", batch_norm=False, dropout=0.0, init="he", dtype="float32", seed=0
    )
    epochs = 20 if JIT else 3
    history = ol.fit(model, train, val, ol.Adam(lr=1e-3), epochs=epochs, batch_size=32, seed=0,
                     schedule=ol.schedules.OneCycle(max_lr=1e-2), clip_norm=1.0, l1=0.0, l2=1e-4,
                     callbacks=[ol.EarlyStopping(patience=5), ol.Checkpoint("run/")])  # fmt: skip
    for curve in ("train_loss", "val_loss", "val_accuracy", "lr"):
        assert history[curve].shape == (history.epochs,)
    ol.fit(model, train, val, resume="run/")
    if JIT:
        assert history["val_accuracy"][-1] > 0.93
    score = model.evaluate(test, unseal="final table")
    assert score.rows == len(test)
    with pytest.raises(ol.SealError):
        model.evaluate(test, unseal="once more")
    model.evaluate(test, unseal="once more", force=True)
    path = model.save("model.npz")
    model.load(path)
    model.freeze("0")
    model.replace_head(10)
    ol.fit(model, train, epochs=1, engine="tape")


def test_the_autograd_underneath():
    model, labels = ol.nn.MLP([64, 10]), np.arange(4)
    x = ol.Tensor(np.ones((4, 64), "f4"), requires_grad=True)
    (-(x + 1.0 - 0.5) * x / 2.0 @ x.T).sum()
    (x**2).exp().log().tanh().sigmoid().relu().mean().max().reshape(1)
    loss = ol.nn.cross_entropy(model(x), labels)
    loss.backward()
    assert isinstance(x.data, np.ndarray)
    assert x.grad.shape == (4, 64)
    assert ol.autograd.check(lambda t: (t * t).sum(), ol.Tensor(np.ones((2, 3)), requires_grad=True)) < 1e-6

    opt = ol.Optimizer(model.parameters(), ol.Adam(lr=1e-3))
    opt.zero_grad()
    loss = ol.nn.cross_entropy(model(x), labels)
    loss.backward()
    opt.step()
    opt.state_dict()
    opt.lr = 1e-4
    ol.Optimizer(model.parameters(), ol.Adam(), nonfinite="raise")


def test_learning_rates():
    train, _, _ = ol.data.load("digits").split()
    model = ol.nn.MLP([64, 32, 10])
    before = model.state_dict()
    found = ol.lr_find(model, train, ol.Adam(), low=1e-7, high=10, steps=100)
    assert len(found.lrs) == len(found.losses) == len(found.smoothed)
    assert 1e-7 <= found.suggestion <= 10
    assert found.reason
    found.plot()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for name in (
        "Constant",
        "StepDecay",
        "ExponentialDecay",
        "InverseTime",
        "Cosine",
        "Warmup",
        "Cyclical",
        "OneCycle",
    ):
        assert callable(getattr(ol.schedules, name))
    for mode in ("triangular", "triangular2", "exp_range"):
        ol.schedules.Cyclical(mode=mode)
    ol.schedules.Warmup(5, then=ol.schedules.Cosine())
    ol.schedules.ReduceOnPlateau(factor=0.1, patience=3, threshold=1e-3, cooldown=1, min_lr=1e-6)


def test_scikit_learns_verbs():
    from sklearn.model_selection import GridSearchCV

    X, y = ol.data.load("digits").x[:300], ol.data.load("digits").y[:300]
    search = GridSearchCV(ol.sklearn.MLPClassifier(rule=ol.Adam(), epochs=3), {"lr": [1e-4, 1e-2]}, cv=2).fit(X, y)
    assert search.best_params_ == {"lr": 1e-2}


def test_search_hyperparameters(folder):
    from optlab.search import GP, Float, Grid, Random, Sobol, Space, Study

    study = Study(SPACE, GP(seed=0), direction="minimize", storage="sweep.db", name="mlp-digits")

    def objective(params, trial=None):
        return (np.log10(params["lr"]) + 2) ** 2 + (params["rule"] != "adam") + abs(params["hidden"] - 40) / 40

    trial = study.ask()
    assert trial.number == 0
    assert set(trial.params) <= set(SPACE)
    study.tell(trial, 0.31)
    for told in study.ask(n=2):
        study.tell(told, error="the disk was full")
    study.tell(study.ask(params={"lr": 0.1, "batch_size": 8, "hidden": 8, "rule": "adam"}), float("nan"))
    trials = 12 if JIT else 8
    study.run(objective, trials=trials, executor=None, retries=1, timeout=None, max_failures=None, pruner=None)
    assert study.best.value == min(t.value for t in study.trials if t.state == "complete")
    assert [t.state for t in study.trials[:4]] == ["complete", "failed", "failed", "failed"]
    assert study.trials[1].error == "the disk was full"
    record = study.trials[-1]
    assert record.number == 3 + trials
    assert record.finished >= record.started
    assert record.reports is not None
    assert record.seed is not None
    study.to_csv("t.csv")
    study.to_json("t.json")
    assert all(verdict.id for verdict in study.verdict())
    assert set(study.importance()) == set(SPACE)
    study.plot_history()
    study.plot_slice()
    study.plot_contour("lr", "hidden")
    study.html("sweep.html")
    assert (folder / "sweep.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    again = Study(SPACE, GP(seed=0), storage="sweep.db", name="mlp-digits")
    assert [t.params for t in again.trials] == [t.params for t in study.trials]

    rates = Space(lr=Float(1e-6, 10, log=True))
    grown = Study(rates, Grid(lr=[1e-3, 1e-2, 1e-1], extend=True))
    grown.run(lambda params: abs(np.log10(params["lr"])), trials=10)
    assert [round(np.log10(t.params["lr"])) for t in grown.trials] == [-3, -2, -1, 0, 1]
    line = Study(Space(x=Float(0, 10)), GP(seed=0, initial=4))
    line.run(lambda params: (params["x"] - 3) ** 2, trials=6)
    line.plot_posterior()
    for sampler in (Random(seed=0), Sobol(seed=0)):
        Study(rates, sampler).run(lambda params: params["lr"], trials=0)
    assert ol.search.minimize(lambda params: params["lr"], rates, sampler="gp", trials=3, seed=0).best.value < 10
