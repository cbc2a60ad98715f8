"""Data out of a descent: strict JSON, CSV and npz with every bit, and no memory but the record's."""

import csv
import json
import tracemalloc

import numpy as np
import pytest
from conftest import JIT
from descents import cliff

import optlab as ol

RECORDED = {
    "plain": lambda: ol.descend("beale", ol.Adam(lr=0.1), steps=20),
    "noisy": lambda: ol.descend("beale", ol.AMSGrad(lr=0.1), steps=20, noise=0.1, seed=np.int64(3)),
    "diverged": lambda: ol.descend("beale", ol.Momentum(lr=1.0), steps=20),
    "infinite": lambda: ol.descend(cliff, ol.SGD(lr=1.0), start=(1.0, 0.0), steps=20),
    "ridge": lambda: ol.descend("saddle", ol.RMSProp(), start=(1.0, 0.0), steps=20),
    "no steps": lambda: ol.descend("beale", "sgd", steps=0),
}
EVERY_RECORD = pytest.mark.parametrize("make", RECORDED.values(), ids=list(RECORDED))


def assert_same(listed, array):
    """``listed`` has None where ``array`` is not finite, and its very numbers elsewhere."""
    got = np.array(listed, dtype=np.float64).reshape(array.shape)
    np.testing.assert_array_equal(got, np.where(np.isfinite(array), array, np.nan))


@EVERY_RECORD
def test_to_dict_is_strict_json_and_comes_back(make):
    run = make()
    data = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    assert data == run.to_dict()
    for name in ("points", "values", "gradients", "effective_lr"):
        assert_same(data[name], getattr(run, name))
    for slot, values in run.state.items():
        assert_same(data["state"][slot], values)
    settings = ol.RULES[data["rule"]](**data["settings"])
    assert settings == run.settings
    if run.surface.name in ol.SURFACES:
        again = ol.descend(data["surface"], settings, data["points"][0], run.steps, noise=run.noise, seed=run.seed)
        np.testing.assert_array_equal(again.record, run.record)


@EVERY_RECORD
def test_csv_holds_every_bit(make, tmp_path):
    run = make()
    with run.save(tmp_path / "run.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == run.steps + 1
    table = {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}
    np.testing.assert_array_equal(table["step"], np.arange(run.steps + 1))
    np.testing.assert_array_equal(np.column_stack([table["x"], table["y"]]), run.points)
    np.testing.assert_array_equal(table["f"], run.values)
    for name, pair in {"g": run.gradients, **run.state}.items():
        np.testing.assert_array_equal(np.column_stack([table[f"{name}_x"], table[f"{name}_y"]]), pair)
    np.testing.assert_array_equal(table["effective_lr_x"][:-1], run.effective_lr[:, 0])


@EVERY_RECORD
def test_npz_and_json_hold_every_bit(make, tmp_path):
    run = make()
    with np.load(run.save(str(tmp_path / "run.npz"))) as file:  # no pickles
        np.testing.assert_array_equal(np.column_stack([file["x"], file["y"]]), run.points)
        np.testing.assert_array_equal(file["f"], run.values)
        for slot, values in run.state.items():
            np.testing.assert_array_equal(np.column_stack([file[f"{slot}_x"], file[f"{slot}_y"]]), values)
        about = json.loads(str(file["about"]))
    assert about["status"] == run.status
    assert json.loads(run.save(tmp_path / "run.json").read_text(encoding="utf-8")) == run.to_dict()


@pytest.mark.parametrize("name", ["run.txt", "run", "run.csv.gz"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(ol.ConfigError, match=r"a run is saved as .csv, .npz or .json, got"):
        ol.descend("beale", "sgd", steps=1).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [100_000, 1_000_000] if JIT else [1000])
def test_a_descent_holds_its_record_and_nothing_else(steps):
    """64 KiB for small objects, the same for any length."""
    ol.descend("beale", ol.Adam(lr=0.01), steps=3)
    tracemalloc.start()
    try:
        run = ol.descend("beale", ol.Adam(lr=0.01), steps=steps)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.record.nbytes == (steps + 1) * 8 * (5 + 2 * 2)
    assert peak <= run.record.nbytes + 2**16
