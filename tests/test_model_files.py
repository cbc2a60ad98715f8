"""Model files: both formats go there and back, others read them, and one that lies takes no memory and runs nothing."""

import hashlib
import json
import shutil
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from lies import CONFIG, LIES, MB, flat, npz
from malformed import Gadget, npy_bytes
from runs import network, parts

import optlab as ol
from optlab.train import checkpoint
from optlab.train.rundir import RunDirectory

SLACK = 20 * MB  # beside the model: a list of members or a header that is parsed


def model(dtype="float32", seed=0):
    """Parameters, buffers of batch normalisation, and an own array."""
    made = ol.nn.MLP([3, 4, 2], batch_norm=True, dtype=dtype, seed=seed)
    made.counts = np.arange(3)
    return made


def same(state, want):
    assert state.keys() == want.keys()
    for name, value in want.items():
        assert (state[name].dtype, state[name].shape) == (value.dtype, value.shape)
        assert state[name].tobytes() == value.tobytes(), name


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["m.npz", "m", "M.NPZ", "m.safetensors", "M.SafeTensors"])
def test_a_model_comes_back_bit_for_bit(name, dtype, tmp_path):
    one, other = model(dtype), model(dtype, seed=1)
    other.counts[:] = 7
    one.layers[0].weight.data[0, :2] = np.nan, -0.0
    assert one.save(tmp_path / name) == tmp_path / name
    other.load(tmp_path / name)
    same(other.state_dict(), one.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["m.npz", "m.safetensors"])
def test_the_content_decides_and_not_the_name(name, tmp_path):
    want = model().save(tmp_path / name)
    for other in ("x.npz", "x.safetensors", "x.pt", "x"):
        shutil.copy(want, tmp_path / other)
        same(model(seed=1).load(tmp_path / other).state_dict(), model().state_dict())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_reads_ours_and_we_read_torchs(dtype, tmp_path, torch):
    from safetensors.torch import load_file, save_file

    want = model(dtype).state_dict()
    theirs = load_file(model(dtype).save(tmp_path / "ours.safetensors"))
    assert theirs.keys() == want.keys()
    for name, tensor in theirs.items():
        assert tuple(tensor.shape) == want[name].shape  # a Linear's weight is (inputs, outputs)
        assert tensor.numpy().tobytes() == want[name].tobytes()
    # a layer of theirs, its weight turned, says what ours says
    layer = torch.nn.Linear(3, 2, dtype=getattr(torch, dtype))
    save_file({"0.weight": layer.weight.T.contiguous(), "0.bias": layer.bias}, tmp_path / "theirs.safetensors")
    ours = ol.nn.MLP([3, 2], dtype=dtype).load(tmp_path / "theirs.safetensors")
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(dtype)
    given = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(x).data, given, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("suffix", ["pt", "pth", "pkl", "pickle", "h5", "keras", "onnx", "bin", "npy", "json", "PT"])
def test_another_format_is_refused_by_name(suffix, tmp_path):
    with pytest.raises(ol.ConfigError, match=rf"saved as \.npz .* or as \.safetensors, got 'm\.{suffix}'"):
        model().save(tmp_path / f"m.{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.npz", "m.safetensors"])
def test_what_does_not_fit_is_named_as_a_whole_and_changes_nothing(name, tmp_path):
    path = model().save(tmp_path / name)
    other = ol.nn.MLP([4, 3, 2], batch_norm=True)
    other.counts = np.arange(3.0)
    before = other.state_dict()
    with pytest.raises(ol.ConfigError) as caught:
        other.load(path)
    assert "0.weight has shape (4, 3), the state's has (3, 4)" in str(caught.value)
    assert "3.weight has shape (3, 2), the state's has (4, 2)" in str(caught.value)
    with pytest.raises(ol.ConfigError, match=r"missing .*6\.weight"):
        ol.nn.MLP([3, 4, 2, 2], batch_norm=True).load(path)
    same(other.state_dict(), before)


# --- files that lie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", LIES)
@pytest.mark.fault(38)
def test_a_file_that_lies_is_one_line_and_takes_no_memory(what, tmp_path):
    contents, error, message = LIES[what]
    path = tmp_path / "model.npz"
    path.write_bytes(contents)
    taken = ol.nn.MLP([300, 2])
    before = taken.state_dict()
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message) as caught:
            taken.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or error is CONFIG
    assert peak < SLACK, f"{peak / MB:.0f} MB"
    same(taken.state_dict(), before)
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"], "no code was run"


# --- checkpoints that lie ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with a checkpoint, whose arrays and manifest are to be exchanged."""
    directory = tmp_path_factory.mktemp("trained")
    train, val, _ = parts()
    logs = [ol.CSVLog(directory / "log.csv"), ol.EarlyStopping()]
    ol.fit(network(), train, val, epochs=1, callbacks=[*logs, ol.Checkpoint(directory)])
    return directory, *checkpoint.read(directory, 1)


def rewritten(directory, contents, rest):
    """The checkpoint with these contents, and a manifest that goes with them: every checksum is right."""
    npz_path, manifest = checkpoint._paths(directory, 1)
    npz_path.write_bytes(contents)
    body = {k: v for k, v in rest.items() if k != "sha256"}
    body |= {"bytes": len(contents), "npz_sha256": hashlib.sha256(contents).hexdigest()}
    manifest.write_bytes(checkpoint._sealed(body))


def lying_arrays(arrays):
    objects = npy_bytes(np.array([Gadget()]), allow_pickle=True)
    for name in arrays:
        if name.endswith(("0.weight", "controls", "/m", "lr", "seconds", "best", "monitor", "counts")):
            yield f"{name} as objects", zipfile.ZIP_STORED, {**arrays, name: objects}
            yield f"{name} as a bomb", zipfile.ZIP_DEFLATED, {**arrays, name: flat("(8388608,)", bytes(32 * MB))}
            yield f"{name} cut", zipfile.ZIP_STORED, {**arrays, name: npy_bytes(arrays[name])[:-1]}
            yield f"{name} of another shape", zipfile.ZIP_STORED, {**arrays, name: np.zeros((3, 7, 2))}
            yield f"{name} as text", zipfile.ZIP_STORED, {**arrays, name: np.full(arrays[name].shape, "a\x1b")}
            yield f"{name} missing", zipfile.ZIP_STORED, {k: v for k, v in arrays.items() if k != name}


@pytest.mark.fault(38, cases=60)
def test_a_checkpoint_whose_arrays_lie_is_one_line(trained, tmp_path):
    """With the right checksums, as who wants to deceive would write it."""
    directory, arrays, rest = trained
    train, val, _ = parts()
    taken, cases = network(seed=5), 0
    before = taken.state_dict()
    for what, method, lie in lying_arrays(arrays):
        target = tmp_path / "run"
        shutil.copytree(directory, target)
        rewritten(target, npz(lie.items(), method), rest)
        files = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
        del lie
        tracemalloc.start()
        try:
            if "monitor as text" not in what:  # which only says that another curve is watched now
                with pytest.raises((ol.StorageError, ol.ConfigError)) as caught:
                    ol.fit(taken, train, val, resume=target)
                assert "\n" not in str(caught.value), what
                assert files == {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}, what
            if what.startswith("model/"):
                with pytest.raises((ol.StorageError, ol.ConfigError)):
                    network().load(target)
            assert tracemalloc.get_traced_memory()[1] < SLACK, what
        finally:
            tracemalloc.stop()
        same(taken.state_dict(), before)
        shutil.rmtree(target)
        cases += 1
    assert cases >= 60


STRANGE = (None, "x", -1, 0.5, {"a": 1}, [None], 10**30)


@pytest.mark.fault(38, cases=180)
def test_a_manifest_that_lies_is_one_line(trained, tmp_path):
    """Every entry, also inside the options, taken away or exchanged for what it can't be; with the right checksums."""
    directory, _, rest = trained
    whole = checkpoint._paths(directory, 1)[0].read_bytes()
    target = tmp_path / "run"
    shutil.copytree(directory, target)
    train, val, _ = parts()
    messages = []
    manifests = [{k: v for k, v in rest.items() if k != name} for name in rest]
    manifests += [{**rest, name: strange} for name in rest for strange in STRANGE]
    for outer in ("config", "callbacks", "data"):
        for name in rest[outer]:
            manifests += [{**rest, outer: {**rest[outer], name: strange}} for strange in STRANGE[:4]]
    for manifest in manifests:
        rewritten(target, whole, manifest)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of callbacks that are not given again
            try:
                ol.fit(network(seed=5), train, val, resume=target, epochs=1)
                network().load(target)
            except (ol.StorageError, ol.ConfigError) as error:
                messages.append(str(error))
    assert len(messages) > len(manifests) / 2
    assert not [message for message in messages if "\n" in message]


def test_a_checkpoint_of_a_stranger_writes_no_file_outside_its_directory(trained, tmp_path):
    directory, _, rest = trained
    target, precious = tmp_path / "run", tmp_path / "precious"
    shutil.copytree(directory, target)
    precious.write_text("kept")
    (target / "link").symlink_to(tmp_path)
    whole = checkpoint._paths(directory, 1)[0].read_bytes()
    train, val, _ = parts()
    for path in (precious, target / ".." / "precious", target / "link" / "precious", tmp_path / "new"):
        for before in (str(directory), str(target), "/", str(tmp_path), None):
            callbacks = {**rest["callbacks"], "CSVLog-0": {"path": str(path)}}
            rewritten(target, whole, {**rest, "callbacks": callbacks, "directory": before})
            with warnings.catch_warnings():
                warnings.simplefilter("error" if before == "/" else "ignore")  # which takes them all inside
                ol.fit(network(), train, val, resume=target, epochs=1)
            assert precious.read_text() == "kept"
            assert sorted(file.name for file in tmp_path.iterdir()) == ["precious", "run"]


def test_a_run_that_was_moved_goes_on_with_its_log(trained, tmp_path):
    directory, _, _ = trained
    log = (directory / "log.csv").read_text()
    target = shutil.copytree(directory, tmp_path / "moved")
    train, val, _ = parts()
    ol.fit(network(), train, val, resume=target, epochs=2)
    assert (target / "log.csv").read_text().startswith(log)
    assert (target / "log.csv").read_text().count("\n") == 3
    assert (directory / "log.csv").read_text() == log


@pytest.mark.parametrize(
    "content", [{}, {"version": 1}, {"version": 1, "digest": 7, "config": []}, {"version": [], "split": 1}]
)
@pytest.mark.fault(38)
def test_a_run_directory_whose_recipe_lies(content, tmp_path):
    text = json.dumps(content, indent=1)
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "config.json").write_text(json.dumps(content, indent=1))
    with pytest.raises(ol.StorageError, match=r"config\.json") as caught:
        RunDirectory(tmp_path)
    assert "\n" not in str(caught.value)
