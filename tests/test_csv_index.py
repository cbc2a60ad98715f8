"""A column that only numbers the rows, as pandas and R write one, is no feature."""

import numpy as np
import pytest
from click.testing import CliRunner

import optlab as ol
from optlab.cli import cli

ROWS = 30
WIDTH = [2.0, 4.5, 0.5] * 10
KINDS = ["rose", "lily", "rose"] * 10


def table(path, name, numbers, separator=","):
    lines = [(name, "width", "kind"), *zip(map(str, numbers), map(str, WIDTH), KINDS, strict=True)]
    path.write_text("\n".join(separator.join(line) for line in lines))
    return path


INDEX = {
    "pandas": ("", range(ROWS)),
    "pandas, read and written again": ("Unnamed: 0", range(ROWS)),
    "R": ('""', range(1, ROWS + 1)),
    "shuffled rows": ("", np.random.default_rng(0).permutation(ROWS)),
    "some of many rows": ("Unnamed: 0.1", range(7, 7 + 3 * ROWS, 3)),
    "reset_index": ("index", range(ROWS)),
}
FEATURES = {
    "a name": ("age", range(ROWS)),
    "fractions": ("", np.arange(ROWS) / 2),
    "numbers twice": ("", [1, 2, 3] * 10),
    "below 0": ("", range(-3, ROWS - 3)),
    "an index of something": ("index", range(5, ROWS + 5)),
}


@pytest.mark.fault(46, cases=len(INDEX))
@pytest.mark.parametrize("name", INDEX)
def test_numbers_of_rows_are_left_out_with_a_word(name, tmp_path):
    for separator in ",;\t":
        path = table(tmp_path / "t.csv", *INDEX[name], separator)
        with pytest.warns(UserWarning, match=r"column 1 \(.*\) numbers the rows and is left out; index=False keeps it"):
            data = ol.data.read(path)
        np.testing.assert_array_equal(data.x[:, 0], WIDTH)
        assert data.classes == ("lily", "rose")
        assert ol.data.read(path, index=True).digest == data.digest
        kept = ol.data.read(path, index=False)
        np.testing.assert_array_equal(kept.x, np.column_stack([INDEX[name][1], WIDTH]))


@pytest.mark.fault(46, cases=len(FEATURES))
@pytest.mark.parametrize("name", FEATURES)
def test_other_columns_stay(name, tmp_path):
    assert ol.data.read(table(tmp_path / "t.csv", *FEATURES[name])).x.shape == (ROWS, 2)


@pytest.mark.fault(46, cases=2)
def test_what_pandas_writes(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas writes the file; pip install pandas")
    frame = pandas.DataFrame({"width": WIDTH, "kind": KINDS})
    frame.to_csv(tmp_path / "a.csv")
    frame.to_csv(tmp_path / "b.csv", index=False)
    with pytest.warns(UserWarning, match="numbers the rows"):
        data = ol.data.read(tmp_path / "a.csv")
    assert data.digest == ol.data.read(tmp_path / "b.csv").digest


def test_an_index_may_be_names_but_no_label(tmp_path):
    path = table(tmp_path / "t.csv", "", [f"row {i}" for i in range(ROWS)])
    assert ol.data.read(path, index=True).x.shape == (ROWS, 1)
    with pytest.raises(ol.DataError, match=r"line 2, column 1 \(''\) is 'row 0', expected a number"):
        ol.data.read(path)
    with pytest.raises(ol.DataError, match="both the label and"):
        ol.data.read(path, label=0, index=True)


def test_a_table_of_nothing_but_numbers_of_rows_keeps_them(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([",kind", *(f"{i},{kind}" for i, kind in enumerate(KINDS))]))
    assert ol.data.read(path).x.shape == (ROWS, 1)


def test_the_command_line_has_the_option(tmp_path):
    path = table(tmp_path / "t.csv", *INDEX["pandas"])
    for flag, features in (("--no-index", 2), ("--index", 1)):
        out = tmp_path / flag
        arguments = ["train", str(path), "--epochs", "1", "--hidden", "0", "-q", flag, "--out", str(out)]
        assert CliRunner().invoke(cli, arguments).exit_code == 0
        assert np.load(sorted((out / "checkpoints").glob("*.npz"))[-1])["model/0.weight"].shape[0] == features
