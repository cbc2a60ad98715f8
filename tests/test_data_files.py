"""Data files: read right against NumPy and the csv module, and 200 malformed ones refused within bounded memory."""

import gzip
import hashlib
import json
import lzma
import pickle
import tracemalloc
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import (
    BATCH,
    BIN,
    CASES,
    CSV,
    IMAGES,
    LABELS,
    MB,
    NUMBERS,
    PIXELS,
    RNG,
    TAR,
    Gadget,
    X,
    Y,
    batch_bytes,
    npy_bytes,
    npy_header,
    npz_bytes,
    read_archive,
    read_batch,
    read_images,
    read_labels,
    tar_bytes,
)

import optlab as ol
from optlab.cli import _code, cli
from optlab.cli.data import data
from optlab.data import cifar
from optlab.data.catalogue import DATASETS
from optlab.data.published import cache, folders

PACKERS = {"plain": bytes, "gzip": gzip.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_sound_idx_and_cifar_files_are_read_exactly(pack, tmp_path):
    def write(contents):
        (path := tmp_path / "file").write_bytes(pack(contents))
        return path

    np.testing.assert_array_equal(read_images(write(IMAGES)), PIXELS.reshape(3, 16).astype("f4") / np.float32(255))
    np.testing.assert_array_equal(read_labels(write(NUMBERS)), LABELS)
    x, y = read_batch(write(BATCH))
    records = np.frombuffer(BATCH, np.uint8).reshape(2, 3073)
    np.testing.assert_array_equal(y, [3, 9])
    for row, column, channel in [(0, 0, 0), (0, 31, 2), (17, 5, 1), (31, 31, 2)]:
        place = 1 + channel * 1024 + row * 32 + column
        expected = records[:, place].astype("f4") / np.float32(255)
        np.testing.assert_array_equal(x.reshape(2, 32, 32, 3)[:, row, column, channel], expected)
    for x_again, y_again in read_archive(write(TAR)).values():
        np.testing.assert_array_equal(x_again, x)
        np.testing.assert_array_equal(y_again, y)


def test_pixels_are_the_float32_quotient():
    """All 256 of them, against exact division in float64 rounded once."""
    out = np.empty((1, 256), np.float32)
    np.divide(np.arange(256, dtype=np.uint8)[None], out.dtype.type(255), out=out)
    np.testing.assert_array_equal(out[0], (np.arange(256) / 255).astype(np.float32))


SAVED = {
    "float64": X,
    "float32 fortran": np.asfortranarray(X.astype("f4")),
    "big endian": X.astype(">f8"),
    "int16": (X * 100).astype("i2"),
    "bool": X > 0,
    "bytes as numbers": PIXELS.reshape(6, 8),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("x", SAVED.values(), ids=SAVED)
def test_npz_and_npy_agree_with_numpy(x, save, tmp_path):
    save(tmp_path / "mine.npz", x=x, y=Y)
    data = ol.data.read(tmp_path / "mine.npz")
    np.testing.assert_array_equal(data.x, x.astype(np.float32))
    np.testing.assert_array_equal(data.y, Y)
    assert (data.name, data.classes, data.published) == ("mine", ("0", "1", "2"), 6)
    np.save(tmp_path / "mine.npy", table := np.column_stack([x, Y]))
    data = ol.data.read(tmp_path / "mine.npy", dtype="float64")
    np.testing.assert_array_equal(data.x, table[:, :-1].astype(float))
    np.testing.assert_array_equal(
        ol.data.read(tmp_path / "mine.npy", label=0, task="regression").y[:, 0], table[:, 0].astype("f4")
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_without_a_second_copy(save, tmp_path):
    save(tmp_path / "big.npz", x=np.zeros((100, 1 << 15), np.float32), y=np.arange(100) % 2)
    tracemalloc.start()
    data = ol.data.read(tmp_path / "big.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * data.x.nbytes


def test_npz_with_a_test_part_and_pictures(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        x_train=PIXELS[..., None],
        y_train=["b", "a", "b"],
        x_test=PIXELS[:2, ..., None],
        y_test=["a", "b"],
    )
    data = ol.data.read(tmp_path / "a.npz")
    assert (data.image, data.published, data.classes, data.y.tolist()) == ((4, 4), 3, ("a", "b"), [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(data.x[3:], PIXELS[:2].reshape(2, 16).astype("f4") / np.float32(255))


TABLES = {
    "header": (CSV, {}, [[1, 2], [3, 4.5], [-1e-3, 0.5]], [0, 1, 0]),
    "no header": (b"1,2,7\n3,4,5\n", {}, [[1, 2], [3, 4]], [1, 0]),
    "label by name": (CSV, {"label": "a", "task": "regression"}, [[2, 0], [4.5, 1], [0.5, 0]], [[1], [3], [-1e-3]]),
    "text labels, BOM, CRLF": (
        b"\xef\xbb\xbfcat,1\r\ndog,2\r\ncat,3\r\n\r\n",
        {"label": 0},
        [[1], [2], [3]],
        [0, 1, 0],
    ),
    "semicolons and quotes": (b'"1";"2";"a"\n3;4;b\n', {}, [[1, 2], [3, 4]], [0, 1]),
    "tabs, no newline at the end": (b"1\t2\tb\n3\t4\ta", {}, [[1, 2], [3, 4]], [1, 0]),
    "regression by a fraction": (b"1,2.5\n2,3\n", {}, [[1], [2]], [[2.5], [3]]),
    "a header of numbers": (b"2019,2020\n1,0\n2,1\n", {"header": True}, [[1], [2]], [0, 1]),
    "names that look like numbers": (b"1,1\n2,x\n", {"task": "classification"}, [[1], [2]], [0, 1]),
}


@pytest.mark.parametrize(("contents", "options", "x", "y"), TABLES.values(), ids=TABLES)
def test_csv(contents, options, x, y, tmp_path):
    (path := tmp_path / "t.csv").write_bytes(contents)
    data = ol.data.read(path, **options)
    np.testing.assert_array_equal(data.x, np.array(x, np.float32))
    np.testing.assert_array_equal(data.y, np.array(y, data.y.dtype))


def test_one_long_label_does_not_make_all_rows_long(tmp_path):
    (path := tmp_path / "t.csv").write_bytes(b"1," + b"a" * 100_000 + b"\n" + b"2,b\n" * 100_000)
    tracemalloc.start()
    data = ol.data.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * MB
    assert np.bincount(data.y).tolist() == [1, 100_000]


def test_csv_agrees_with_numpys_reader(tmp_path):
    table = np.column_stack([RNG.normal(size=(500, 20)) * 10.0 ** RNG.integers(-30, 30, (500, 20)), np.arange(500) % 7])
    np.savetxt(tmp_path / "t.csv", table, delimiter=",")
    data = ol.data.read(tmp_path / "t.csv", dtype="float64")
    np.testing.assert_array_equal(data.x, np.loadtxt(tmp_path / "t.csv", delimiter=",")[:, :-1])
    assert data.x.dtype == np.float64


@pytest.mark.parametrize(("what", "name", "contents", "reader", "message"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.fault(20)
def test_a_malformed_file_is_one_clear_error(what, name, contents, reader, message, tmp_path, monkeypatch):
    """A DataError of one line that names the file; no code run, nothing written, and little memory taken."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    contents(path) if callable(contents) else path.write_bytes(contents)
    tracemalloc.start()
    try:
        with pytest.raises(ol.DataError, match=message) as caught:
            reader(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 600
    assert peak < 64 * MB
    assert list(tmp_path.iterdir()) == [path]


def test_there_are_enough_malformed_files():
    assert len({case[0] for case in CASES}) == len(CASES) >= 200


# --- fuzz: whatever the bytes, a data set or a DataError --------------------------------------------------------------

FUZZED = settings.get_profile("fuzz")
SEEDS = {"i": (IMAGES, gzip.compress(IMAGES), lzma.compress(IMAGES)), "a.npz": (npz_bytes(x=X, y=Y),)}
SEEDS["a.npz"] += (npz_bytes(zipfile.ZIP_DEFLATED, x=X, y=np.array(list("ababab"))),)
SEEDS["a.npy"] = (npy_bytes(np.column_stack([X, Y])),)
SEEDS["t.tar"] = (TAR, gzip.compress(TAR))


@st.composite
def damaged(draw, contents):
    """Bytes changed, cut out and put in, at a few places."""
    out = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(out), 400)) | st.integers(-400, -1))
        gone = draw(st.integers(0, 8))
        out[place : (place + gone) or len(out)] = draw(st.binary(max_size=8))
    return bytes(out)


def only_data_errors(path, reader, contents):
    path.write_bytes(contents)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            reader(path)
        except ol.DataError as error:
            message = str(error)
        else:
            return
    assert "\n" not in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("name", "reader"), [("i", read_images), ("a.npz", ol.data.read), ("a.npy", ol.data.read), ("t.tar", read_archive)]
)
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_binary_files(name, reader, tmp_path):
    @FUZZED
    @given(damaged(SEEDS[name]) | st.binary(max_size=200))
    def run(contents):
        only_data_errors(tmp_path / name, reader, contents)

    run()


@FUZZED
@given(
    st.text(st.sampled_from("01.5,-e_;\t\n\r\"' naN\0é"), max_size=60) | st.text(max_size=60),
    st.sampled_from([None, True, False]),
)
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_csv(tmp_path, text, header):
    contents = text.encode("utf-8", "surrogatepass")
    only_data_errors(tmp_path / "t.csv", lambda path: ol.data.read(path, header=header), contents)


@FUZZED
@given(
    st.text(st.sampled_from("01.e{}()[]<|fiUOdescrshape'fortran_order: True, False"), max_size=80),
    st.binary(max_size=40),
)
@pytest.mark.fault(27, cases=FUZZ)
def test_fuzzed_npy_headers(tmp_path, header, payload):
    only_data_errors(tmp_path / "a.npy", ol.data.read, npy_header(header, payload))


# --- where files are looked for, and the command line -----------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """MNIST and CIFAR-10 of a few rows, in the catalogue."""
    mnist = replace(
        DATASETS["mnist"], rows=(3, 3), image=(4, 4), contents=dict.fromkeys(DATASETS["mnist"].contents, "")
    )
    objects = DATASETS["cifar-10"]
    monkeypatch.setitem(DATASETS, "mnist", mnist)
    monkeypatch.setitem(DATASETS, "cifar-10", replace(objects, rows=(10, 2)))
    return DATASETS


def write_mnist(folder, pack=gzip.compress, suffix=".gz"):
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(IMAGES))
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(NUMBERS))


def test_files_are_looked_for_in_order(small, tmp_path, monkeypatch):
    given_, named, home = tmp_path / "given", tmp_path / "named", tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.delenv("OPTLAB_DATA", raising=False)
    assert folders() == [home / "optlab"]
    monkeypatch.setenv("OPTLAB_DATA", str(named))
    assert folders() == [named, home / "optlab"]
    assert folders(given_) == [given_]
    with pytest.raises(
        ol.DataError, match=f"no file of mnist in {named}/mnist or {home}/optlab/mnist: run `optlab data fetch"
    ):
        ol.data.load("mnist")
    write_mnist(home / "optlab" / "mnist", bytes, "")
    data = ol.data.load("mnist", dtype="float64")
    np.testing.assert_array_equal(data.x[3:], PIXELS.reshape(3, 16) / 255)
    assert (data.published, data.image, data.y.tolist()) == (3, (4, 4), [9, 0, 4] * 2)
    with pytest.raises(ol.DataError, match=f"no file of mnist in {given_}/mnist: .*https://.* into {given_}/mnist"):
        ol.data.load("mnist", data_dir=given_)
    (home / "optlab/mnist/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ol.DataError, match=r"optlab/mnist has no t10k-labels-idx1-ubyte \(nor .gz, .xz\): run `optlab"):
        ol.data.load("mnist")


def test_the_cache_is_poochs():
    pooch = pytest.importorskip("pooch")
    assert cache() == pooch.os_cache("optlab")


@pytest.mark.parametrize("layout", ["files", "xz", "unpacked by hand", "archive"])
def test_cifar_in_every_layout(layout, small, tmp_path):
    folder = tmp_path / "cifar-10"
    batches = {name: batch_bytes([i, 9 - i]) for i, name in enumerate(small["cifar-10"].contents)}
    (folder / cifar.FOLDER).mkdir(parents=True)
    if layout == "archive":
        (folder / "cifar-10-binary.tar.gz").write_bytes(
            gzip.compress(tar_bytes(*((BIN + k, v) for k, v in batches.items())))
        )
    for name, contents in batches.items() if layout != "archive" else ():
        place = folder / cifar.FOLDER if layout == "unpacked by hand" else folder
        (place / (name + ".xz" * (layout == "xz"))).write_bytes(lzma.compress(contents) if layout == "xz" else contents)
    data = ol.data.load("cifar-10", tmp_path)
    assert data.y.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    assert (data.published, data.image, data.x.dtype) == (10, (32, 32, 3), np.float32)


def test_verify_knows_published_contents_however_they_are_packed(small, tmp_path):
    objects = small["cifar-10"]
    sha = {name: hashlib.sha256(BATCH).hexdigest() for name in objects.contents}
    archive = gzip.compress(tar_bytes(*((BIN + name, BATCH) for name in sha)))
    download = replace(objects.downloads[0], sha256=hashlib.sha256(archive).hexdigest())
    objects = replace(objects, contents=sha, downloads=(download,))
    for i, (name, pack) in enumerate(zip(sha, (bytes, gzip.compress, lzma.compress) * 2, strict=True)):
        suffix = {bytes: "", gzip.compress: ".gz", lzma.compress: ".xz"}[pack]
        (tmp_path / (name + suffix)).write_bytes(pack(BATCH if i < 3 else BATCH[:-1] + b"x"))
    assert [(state, exact) for _, state, exact in objects.verify(tmp_path)] == [("ok", i < 3) for i in range(6)]
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive)
    assert list(objects.verify(tmp_path))[-1] == (tmp_path / "cifar-10-binary.tar.gz", "ok", True)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive[:-1])
    assert list(objects.verify(tmp_path))[-1] == (tmp_path / "cifar-10-binary.tar.gz", "ok", False)


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1"])
@pytest.mark.fault(20)
def test_a_pickled_cifar_is_refused_by_name(name, tmp_path):
    (tmp_path / "cifar-10").mkdir()
    (tmp_path / "cifar-10" / name).write_bytes(pickle.dumps(Gadget()))
    with pytest.raises(ol.DataError, match=f"{name} is a pickle, which can run code: .* cifar-10-binary.tar.gz"):
        ol.data.load("cifar-10", tmp_path)


@pytest.mark.parametrize("options", [{"name": "mnits"}, {"name": "digits", "n": 5}, {"name": "mnist", "dtype": "int8"}])
def test_load_refuses_what_makes_no_sense(options):
    with pytest.raises(ol.ConfigError, match=r"did you mean 'mnist'|part.take\(5\)|float32 or float64"):
        ol.data.load(**options)


@pytest.mark.parametrize("name", ["digits", "glyphs", "shapes"])
def test_the_list_says_what_local_sets_are(name):
    entry = DATASETS[name]
    data = ol.data.load(name, n=20, seed=3, dtype="float64") if entry.drawn else ol.data.load(name, dtype="float64")
    assert (data.x.shape[1], data.outputs, data.x.dtype) == (entry.features, entry.classes, np.float64)
    assert len(data) == (20 if entry.drawn else entry.rows)
    with pytest.raises(ol.ConfigError, match="float32 or float64"):
        ol.data.load(name, dtype="int8")


def test_data_command(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPTLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(cli.commands, "data", data)
    write_mnist(tmp_path / "mnist")
    assert _code(["data"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in DATASETS)
    assert "optlab data fetch cifar-10" in table
    assert _code(["data", "list", "--json"]) == 0
    rows = {row["set"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mnist"] == {"set": "mnist", "rows": 6, "features": 16, "classes": 10, "where": str(tmp_path / "mnist")}

    assert _code(["data", "verify", "mnist", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["ok"] * 5
    assert [row["exact"] for row in rows] == [False] * 5
    path = tmp_path / "mnist/t10k-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-4])
    assert _code(["data", "verify"]) == 3
    assert "damaged" in capsys.readouterr().out
    assert _code(["data", "verify", "cifar-10"]) == 3
    assert "no file of cifar-10" in capsys.readouterr().err
    assert _code(["data", "fetch", "mnits"]) == 2
    assert _code(["data", "fetch", "digits"]) == 2
    assert "needs no files" in capsys.readouterr().err
