"""Fine-tuning: what is frozen stays as it is to the last bit; saving, loading, and the one look at the test set."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import assert_same, network, parts, table, trained

import optlab as ol
from optlab import nn

ROOT = Path(__file__).parents[1]


def bits(model, *paths):
    """The parameters and buffers of some parts of a model."""
    state = model.state_dict()
    return {name: state[name].tobytes() for name in state if not paths or name.startswith(paths)}


# --- freezing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["auto", "tape"])
def test_what_is_frozen_stays(engine):
    train, val, _ = parts()
    model = network(batch_norm=True, dropout=0.2)
    ol.fit(model, train, val, epochs=2)
    before = bits(model)
    frozen = ("0.", "1.", "3.")  # the first layer, its norm with the running statistics, its dropout with the count
    model.freeze("0", "1", "3")
    run = trained(model, train, val, ol.AdamW(lr=0.1, weight_decay=0.1), epochs=3, engine=engine, l2=0.1)
    assert (run.history.engine, run.history.status) == ("tape", "finished")
    after = bits(model)
    for name, value in before.items():
        assert (after[name] == value) == name.startswith(frozen), name
    head = model.layers[-1]
    assert [id(p) for p in run.optimizer.params] == [id(head.weight), id(head.bias)]
    # and learns again
    model.unfreeze()
    run = trained(model, train, val, epochs=1)
    assert run.history.engine == "machine"
    assert len(run.optimizer.params) == len(model.parameters())
    assert all(bits(model)[name] != value for name, value in after.items() if name != "3.seed")


def test_a_frozen_part_gives_what_it_gives_in_eval_mode():
    """Training the head alone is training a linear model on the outputs of the rest."""
    train, _, _ = parts()
    model = network(batch_norm=True, dropout=0.5)
    ol.fit(model, train, epochs=2)
    body, head = nn.Sequential(*model.layers[:-1]), nn.Sequential(nn.Linear(5, 3, dtype="float64"))
    head.load_state_dict({name: getattr(model.layers[-1], name[2:]).data for name in ("0.weight", "0.bias")})
    with ol.no_grad():
        features = body.eval()(train.x).data
    model.freeze("0", "1", "2", "3")
    assert all(layer.training is False for layer in model.layers[:-1])
    ol.fit(model, train, rule="momentum", epochs=3)
    ol.fit(head, (features, train.y), rule="momentum", epochs=3)
    np.testing.assert_allclose(model.layers[-1].weight.data, head.layers[0].weight.data, rtol=1e-12)


def test_parts_are_named_by_paths():
    model = network(batch_norm=True)
    model.freeze("0.bias", "1")
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["0.bias", "1.gamma", "1.beta"]
    model.unfreeze("1.gamma")
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.bias", "1.beta"]
    with pytest.raises(ol.ConfigError, match=r"unknown part of the model '0\.wieght'; did you mean '0\.weight'"):
        model.unfreeze("1", "0.wieght")
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.bias", "1.beta"]
    assert model.freeze() is model
    train, _, _ = parts()
    with pytest.raises(ol.ConfigError, match=r"the model has nothing to train; unfreeze\(\) a part of it"):
        ol.fit(model, train)


def test_one_frozen_tensor_among_others():
    train, _, _ = parts()
    model = network().freeze("0.bias")
    before = bits(model, "0.bias")
    run = trained(model, train, epochs=1)
    assert run.history.engine == "tape"
    assert "does not hold the parameter 'bias'" in run.history.why
    assert bits(model, "0.bias") == before


def test_a_frozen_run_goes_on_bit_for_bit(tmp_path):
    train, val, _ = parts()
    made = [network(batch_norm=True, seed=seed).freeze("0", "1") for seed in (0, 0, 5)]
    want = trained(made[0], train, val, epochs=4)
    ol.fit(made[1], train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path)])
    assert_same(trained(made[2], train, val, resume=tmp_path, epochs=4), want)


# --- another task -----------------------------------------------------------------------------------------------------


def test_a_new_head_for_another_task(tmp_path):
    train, val, _ = parts()
    ol.fit(network(), train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path)])
    model = network(seed=1).load(tmp_path)
    body = bits(model, "0.")
    model.replace_head(4)
    assert model.widths == (6, 5, 4)
    other, held, _ = parts(table(classes=4, seed=3))
    run = trained(model.freeze("0"), other, held, epochs=2)
    assert bits(model, "0.") == body
    assert run.model.predict(held).shape == (9, 4)
    again = network(seed=2).replace_head(4)
    assert bits(again, "2.") == bits(network(seed=7).replace_head(4), "2.")
    assert bits(again, "2.") != bits(network(seed=7).replace_head(4, seed=1), "2.")
    with pytest.raises(ol.ConfigError, match="the head to be replaced must be Linear"):
        nn.Sequential(nn.Linear(2, 2), nn.Activation("relu")).replace_head(3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_and_load(dtype, tmp_path):
    train, val, _ = parts(table(dtype=dtype))
    model = network(dtype=dtype, batch_norm=True, dropout=0.1)
    ol.fit(model, train, val, epochs=2)
    path = model.save(tmp_path / "model.weights")
    assert path == tmp_path / "model.weights"
    assert path.is_file()
    other = network(dtype=dtype, batch_norm=True, dropout=0.1, seed=3)
    assert other.load(str(path)) is other
    assert bits(other) == bits(model)
    np.testing.assert_array_equal(other.predict(val), model.predict(val))
    before = bits(other)
    with pytest.raises(ol.ConfigError, match="the state does not fit"):
        other.load(network(dtype=dtype).save(tmp_path / "plain.npz"))
    wide = nn.MLP([7, 5, 3], batch_norm=True, dropout=0.1).save(tmp_path / "wide.npz")
    with pytest.raises(ol.ConfigError, match=r"0\.weight has shape \(6, 5\), the state's has \(7, 5\)"):
        other.load(wide)
    with pytest.raises(ol.StorageError, match=r"the model .*missing can't be read: No such file"):
        other.load(tmp_path / "missing")
    with pytest.raises(ol.StorageError, match=r"the model .*nowhere/model can't be written: No such file"):
        model.save(tmp_path / "nowhere" / "model")
    with pytest.raises(ol.StorageError, match="has no whole checkpoint"):
        other.load(tmp_path)
    (tmp_path / "text").write_text("no model")
    with pytest.raises(ol.StorageError, match=r"is no model that model\.save wrote, or it is damaged"):
        other.load(tmp_path / "text")
    assert bits(other) == before


# --- the one look -----------------------------------------------------------------------------------------------------

AGAIN = """
import sys; sys.path.insert(0, "tests")
from runs import *
train, val, test = parts()
model = network(seed=4)
if sys.argv[1] == "load":
    model.load(sys.argv[2])
else:
    ol.fit(model, train, val, resume=sys.argv[2], epochs=4)
try:
    print(model.evaluate(test, unseal="again"))
except ol.SealError as error:
    print("refused:", error)
"""


def test_the_test_set_is_opened_once_per_run(tmp_path):
    train, val, test = parts()
    model = network()
    ol.fit(model, train, val, epochs=2, callbacks=[ol.Checkpoint(tmp_path / "run")])
    assert model.evaluate(val).rows == 9  # as often as one likes
    with pytest.raises(ol.ConfigError, match="say why it is opened now"):
        model.evaluate(test)
    # a mistake does not cost the look
    wrong = network(dtype="float32")
    wrong.directory = model.directory
    with pytest.raises(ol.ConfigError, match="the test set is float64, the model float32"):
        wrong.evaluate(test, unseal="by mistake")
    score = model.evaluate(test, unseal="final table")
    assert score == model.evaluate(test._part)
    with pytest.raises(ol.SealError, match=r"opened on .* for 'final table'"):
        model.evaluate(test, unseal="once more")
    # after a resume, here and elsewhere, and for a model that is loaded from there
    model = network(seed=1)
    ol.fit(model, train, val, resume=tmp_path / "run", epochs=3)
    with pytest.raises(ol.SealError, match="for 'final table'"):
        model.evaluate(test, unseal="once more")
    with pytest.raises(ol.SealError, match="for 'final table'"):
        network().load(tmp_path / "run").evaluate(test, unseal="once more")
    for way in ("resume", "load"):
        ran = subprocess.run(
            [sys.executable, "-c", AGAIN, way, str(tmp_path / "run")], cwd=ROOT, check=True,
            env={**os.environ, "PYTHONPATH": ".:kernels"}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert ran.stdout.startswith("refused: the test set was opened on"), way
    assert model.evaluate(test, unseal="once more", force=True).rows == 9
    log = (tmp_path / "run" / "seal.jsonl").read_text()
    assert log.count('"opened"') == 2
    assert log.count('"forced": true') == 1
    assert "once more" in log
    # another run has its own look; so has, in this process, a model without a directory
    other = network(seed=2)
    ol.fit(other, train, val, epochs=1, callbacks=[ol.Checkpoint(tmp_path / "other")])
    other.evaluate(test, unseal="final table")


def test_without_a_directory_once_per_process_and_test_set():
    train, val, test = parts(table(seed=11))
    model = network()
    ol.fit(model, train, val, epochs=1)
    assert model.directory is None
    model.evaluate(test, unseal="final table")
    with pytest.raises(ol.SealError):
        network(seed=3).evaluate(test, unseal="another model")
    network().evaluate(parts(table(seed=12))[2], unseal="another test set")


def test_the_directory_is_that_of_the_last_fit(tmp_path, monkeypatch):
    train, val, _ = parts()
    model = network()
    monkeypatch.chdir(tmp_path)
    ol.fit(model, train, val, epochs=1, callbacks=[ol.Checkpoint("run")])
    assert model.directory == tmp_path / "run"
    ol.fit(model, train, val, epochs=1)
    assert model.directory is None


def test_predict_and_evaluate_leave_the_mode_alone():
    train, val, _ = parts()
    model = network(batch_norm=True, dropout=0.5)
    ol.fit(model, train, val, epochs=1)
    before = bits(model)
    modes = [layer.training for layer in model.modules()]
    np.testing.assert_array_equal(model.predict(val), model.predict(val.x))
    model.evaluate(val)
    model.evaluate((val.x, val.y))
    assert bits(model) == before
    assert [layer.training for layer in model.modules()] == modes
    with pytest.raises(ol.ConfigError, match="no rows to look at"):
        model.predict(val.x[:0])
    data = table()
    np.testing.assert_array_equal(model.predict(data), model.predict(data.x))
    np.testing.assert_array_equal(model.predict(val.x.tolist()), model.predict(val.x))
    for wrong in ("abc", None, val.x[0], (val.x, val.y), 5):
        with pytest.raises(ol.ConfigError, match="rows are a part of a data set or numbers"):
            model.predict(wrong)
    with pytest.raises(ol.ConfigError, match="the data has 4 features, the model takes 6"):
        model.evaluate((val.x[:, :4], val.y))
