"""A model's arrays in a file: NumPy's .npz, or .safetensors; read with what the model expects as the bound."""

import importlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from optlab.checks import is_whole
from optlab.data.npy import Npz, opened
from optlab.errors import ConfigError, DataError, OptlabError, StorageError
from optlab.files import write_whole
from optlab.states import check_state

OTHERS = (  # suffixes that promise another format
    *(".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".hdf5", ".keras", ".onnx", ".pb"),
    *(".tflite", ".gguf", ".msgpack", ".npy", ".mat", ".json", ".csv", ".txt", ".zip"),
)
HEADER_BYTES = 4 << 20  # of a safetensors file; parsing takes several times as much memory
State = dict[str, np.ndarray]
FOREIGN = {  # first bytes -> what it is
    b"\x80": "a pickle, which can run code",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a single array",
}
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
ADVICE = "save the model's arrays as .safetensors or .npz"


def check_name(path: Path) -> None:
    """Refuse a suffix that promises another format.

    Raises:
        ConfigError: it does.
    """
    if path.suffix.lower() in OTHERS:
        raise ConfigError(f"a model is saved as .npz (also without a suffix) or as .safetensors, got {path.name!r}")


def save(path: Path, state: State) -> None:
    """Write arrays as .safetensors if the suffix says so, else as .npz; whole or not at all.

    Raises:
        ConfigError: the suffix of another format; or safetensors is not installed.
        StorageError: the disk is full, or can't be written.
    """
    check_name(path)
    if path.suffix.lower() == ".safetensors":
        content = _safetensors().save({name: np.ascontiguousarray(array) for name, array in state.items()})
    else:
        content = packed(state)
    try:
        write_whole(path, content)
    except StorageError as error:
        raise StorageError(f"the model {error}") from None


def packed(arrays: State) -> bytes:
    """Return the bytes of an .npz."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def load(path: Path, expected: State | None = None) -> State:
    """Return the arrays of a file of `save`, known by its first bytes, whatever its name.

    With ``expected``, such as a model's state, names, shapes and types are compared before memory is taken.

    Raises:
        ConfigError: names, shapes or types differ; or safetensors is not installed.
        StorageError: it can't be read, is damaged, or is no such file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
            if start[8:] == b"{":
                return _load_safetensors(path, file, expected)
            for first, kind in FOREIGN.items():
                if start.startswith(first):
                    raise DataError(f"it is {kind}: {ADVICE}")
            with opened(path, file) as archive:
                return unpacked(archive, expected)
    except DataError as error:
        problem = str(error).removeprefix(f"{path}: ")
        raise StorageError(f"{path} is no model that model.save wrote, or it is damaged: {problem}") from None
    except OptlabError:
        raise
    except (OSError, ValueError) as error:
        raise StorageError(f"the model {path} can't be read: {getattr(error, 'strerror', None) or error}") from None


def unpacked(archive: Npz, expected: State | None = None, prefix: str = "") -> State:
    """Return the arrays of an .npz whose names begin with ``prefix``, without it; ``expected`` as in `load`.

    Raises:
        ConfigError: names, shapes or types differ.
        DataError: a damaged member, or what is no array.
    """
    names = {name.removeprefix(prefix): name for name in archive.names if name.startswith(prefix)}
    if any(name.endswith("data.pkl") for name in names):
        raise DataError(f"it is PyTorch's, a pickle, which can run code: {ADVICE}")
    if expected is None:
        return {name: archive.read(member) for name, member in names.items()}
    headers = {name: archive.header(member) for name, member in names.items()}
    check_fit({name: (header.dtype, header.shape) for name, header in headers.items()}, expected)
    return {name: archive.read(member, headers[name].nbytes) for name, member in names.items()}


def check_fit(found: Mapping[str, tuple[np.dtype, tuple[int, ...]]], expected: State) -> None:
    """Compare the types and shapes of arrays with those of a model's state, all of them at once.

    Raises:
        ConfigError: names, shapes or types differ.
    """
    check_state("this model", found, expected)
    problems = []
    for name, target in expected.items():
        dtype, shape = found[name]
        if shape != target.shape:
            problems.append(f"{name} has shape {target.shape}, the state's has {shape}")
        elif dtype.kind not in "biuf" or dtype.itemsize > 8 or not np.can_cast(dtype, target.dtype, "same_kind"):
            problems.append(f"{name} holds {target.dtype}, the state has {dtype}")
    if problems:
        raise ConfigError("the state does not fit: " + "; ".join(problems))


def _load_safetensors(path: Path, file: BinaryIO, expected: State | None) -> State:
    """Return the tensors of an open file; its header is compared before the package sees it."""
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(HEADER_BYTES, size - 8):
        raise DataError(f"declares a header of {length} bytes; it has {size - 8}, and at most {HEADER_BYTES} are read")
    try:
        header = json.loads(file.read(length))
        found = {name: _tensor(entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"its header is malformed: {error}") from None
    if expected is not None:
        check_fit(found, expected)
    if sum(math.prod(shape) * dtype.itemsize for dtype, shape in found.values()) != size - 8 - length:
        raise DataError(f"its header declares other lengths than the {size - 8 - length} bytes that it has")
    package = _safetensors()
    try:
        return dict(package.load_file(path))
    except importlib.import_module("safetensors").SafetensorError as error:
        raise DataError(str(error)) from None


def _tensor(entry: Mapping[str, Any]) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of a tensor in a header."""
    shape = tuple(entry["shape"])
    if not all(is_whole(side, 0) for side in shape):
        raise ValueError(f"the shape {shape}")
    return np.dtype(DTYPES[entry["dtype"]]), shape


def _safetensors() -> Any:
    """Return the package's functions for NumPy.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("safetensors.numpy")
    except ImportError:
        raise ConfigError("a .safetensors file needs the package: pip install 'optlab[safetensors]'") from None
