"""Numbers far from 0 keep their spread, or are refused with the name of their column; NumPy and scikit-learn judge."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import optlab as ol
from optlab.data.scaler import Scaler
from optlab.train.machine import Machine
from optlab.train.tape import Tape

ROWS = np.arange(40)
Y = ROWS % 2
FAR = {
    "seconds": 1.7e9 + ROWS,
    "fractions": 1e6 + ROWS / 7,
    "negative": -3e8 - ROWS,
    "whole": 1_700_000_000 + ROWS,
    "unsigned": np.uint64(2**40) + ROWS.astype("u8"),
    "one apart": np.where(Y, 1e9, 1e9 + 3),
}
FARTHER = {
    "identifiers": 2**62 + ROWS,
    "unsigned": np.uint64(2**64 - 50) + ROWS.astype("u8"),
    "both ends": -(2**62) - ROWS,
}


def beside(column):
    """The column after one that is harmless."""
    return np.column_stack([np.linspace(0, 1, 40).astype(column.dtype), column])


def frame(column):
    pandas = pytest.importorskip("pandas", reason="pandas makes the frames; pip install pandas")
    return pandas.DataFrame({"fine": np.linspace(0, 1, 40), "time": column})


def from_file(name, write):
    def build(column, folder, **options):
        write(path := folder / name, column)
        return ol.data.read(path, **options)

    return build


def csv(path, column):
    lines = [f"{i / 40},{value!r},{y}" for i, value, y in zip(ROWS, column.tolist(), Y, strict=True)]
    path.write_text("\n".join(["fine,time,kind", *lines]))


BUILDERS = {
    "from_arrays": lambda column, folder, **options: ol.data.from_arrays(beside(column), Y, **options),
    "frame": lambda column, folder, **options: ol.data.from_arrays(frame(column), Y, **options),
    "csv": from_file("a.csv", csv),
    "npz": from_file("a.npz", lambda path, column: np.savez(path, x=beside(column), y=Y)),
    "npy": from_file("a.npy", lambda path, column: np.save(path, np.column_stack([beside(column), Y]).astype("f8"))),
    "astype": lambda column, folder: ol.data.from_arrays(beside(column), Y, dtype="float64").astype("float32"),
    "fit": lambda column, folder, **options: ol.fit(ol.nn.MLP([2, 2]), (beside(column), Y), epochs=1),
    "lr_find": lambda column, folder, **options: ol.lr_find(ol.nn.MLP([2, 2]), (beside(column), Y), "sgd"),
}  # fmt: skip


@pytest.mark.fault(46, cases=len(FAR))
@pytest.mark.parametrize("builder", BUILDERS)
def test_a_column_that_float32_can_not_tell_apart_is_refused_by_name(builder, tmp_path):
    which = {"frame": r"column 1 \('time'\)", "csv": r"column 2 \('time'\)"}.get(builder, "column 1")
    for column in FAR.values():
        with pytest.raises(ol.DataError, match=f"{which} goes from .* float32 has steps of .*; subtract a constant"):
            BUILDERS[builder](column, tmp_path)


@pytest.mark.fault(46, cases=len(FAR))
@pytest.mark.parametrize("builder", ["from_arrays", "frame", "csv", "npz", "npy"])
def test_in_float64_it_is_standardized_as_scikit_learn_does(builder, tmp_path):
    for column in FAR.values():
        if builder == "csv" and column.dtype.kind == "u":
            continue
        part = BUILDERS[builder](column, tmp_path, dtype="float64").part(standardize=True)
        wanted = StandardScaler().fit_transform(column.astype("f8")[:, None])[:, 0]
        np.testing.assert_allclose(part.x[:, 1], wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.fault(46, cases=len(FARTHER))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_numbers_that_float64_can_not_tell_apart_are_refused_too(dtype, tmp_path):
    for column in FARTHER.values():
        with pytest.raises(ol.DataError, match="column 1 goes from"):
            ol.data.from_arrays(beside(column), Y, dtype=dtype)
        csv(tmp_path / "a.csv", column)
        with pytest.raises(ol.DataError, match=r"column 2 \('time'\).*float64 can't tell apart"):
            ol.data.read(tmp_path / "a.csv", dtype=dtype)


@pytest.mark.fault(46, cases=2)
def test_targets_are_judged_like_features():
    with pytest.raises(ol.DataError, match="y's column 0 goes from"):
        ol.data.from_arrays(beside(ROWS * 1.0), 1e9 + ROWS * 1.0)
    with pytest.raises(ol.DataError, match="y's column 0"):
        ol.data.from_arrays(beside(ROWS * 1.0), 1e9 + ROWS * 1.0, dtype="float64").astype("float32")


@pytest.mark.fault(46, cases=2)
def test_values_that_float32_makes_zero_are_refused():
    with pytest.raises(ol.DataError, match=r"column 0 goes from 1e-50.*; scale it"):
        ol.data.from_arrays(np.array([[1e-50], [3e-50]]), [0, 1])


HARMLESS = {
    "years": 2020.0 + ROWS % 4,
    "constant": np.full(40, 1.7e9 + 1),
    "held exactly": np.where(Y, 16_000_000.0, 16_000_001.0),
    "codes": 10_001 + Y,
    "wide": np.geomspace(1e-30, 1e30, 40),
    "one outlier": np.where(ROWS == 3, 1e12, ROWS / 40.0),
    "identifiers": ROWS * 10**15,
    "longitude": 151.2 + ROWS / 1000,
}


@pytest.mark.fault(46, cases=len(HARMLESS))
@pytest.mark.parametrize("name", HARMLESS)
def test_what_float32_holds_is_taken_and_standardized_as_scikit_learn_does(name):
    column = HARMLESS[name]
    part = ol.data.from_arrays(beside(column), Y).part(standardize=True)
    wanted = StandardScaler().fit_transform(column.astype("f8")[:, None])[:, 0]
    np.testing.assert_allclose(part.x[:, 1], wanted, rtol=2e-3, atol=2e-3)


@pytest.mark.fault(46, cases=2)
def test_a_rounded_mean_is_made_good_everywhere():
    """Two neighbors in a precision have their mean between them: it is no number of that precision."""
    x = np.column_stack([np.where(Y, 2.0**23, 2.0**23 + 1), ROWS]).astype("f4")
    scaler = Scaler.fit(x, ROWS)
    wanted = np.column_stack([1.0 - 2 * Y, (ROWS - 19.5) / ROWS.std()])
    np.testing.assert_allclose(scaler(x), wanted, rtol=1e-6)
    np.testing.assert_array_equal(scaler.inverse(scaler(x))[:, 0], x[:, 0])
    part = ol.data.from_arrays(x, Y).part(standardize=True)
    np.testing.assert_array_equal(part.x, scaler(x))
    losses = {}
    for engine in (Machine, Tape):
        model = ol.nn.MLP([2, 2], seed=0)
        same = ol.nn.MLP([2, 2], seed=0)
        plain = engine(same, ol.Optimizer(same.parameters(), ol.SGD(0.1)), batch_size=8)
        options = {"batch_size": 8, "scaler": (scaler.shift, scaler.scale, scaler.rest)}
        scaled = engine(model, ol.Optimizer(model.parameters(), ol.SGD(0.1)), **options)
        losses[engine.name] = scaled.epoch(x, Y)["loss"]
        np.testing.assert_array_equal(losses[engine.name], plain.epoch(part.x, Y)["loss"])
    np.testing.assert_allclose(losses["machine"], losses["tape"], rtol=1e-6)


@pytest.mark.fault(46, cases=2)
def test_rows_to_look_at_may_lie_close_together():
    """A model that was trained on 0 to 1e6 is asked about two rows that float32 makes one."""
    model, y = ol.nn.MLP([1, 2], seed=0), np.array([0, 1])
    train = (np.linspace(0, 1e6, 40)[:, None], Y)
    near = 5e5 + np.array([[1e-9], [2e-9]])
    ol.fit(model, train, (near, y), epochs=1)
    assert model.evaluate((near, y)).rows == len(model.predict(near)) == 2
