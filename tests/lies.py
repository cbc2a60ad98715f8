"""Model files that lie: what each claims, and what is said of it. They are of MLP([300, 2])."""

import io
import json
import pickle
import struct
import warnings
import zipfile

import numpy as np
from malformed import Gadget, npy_bytes, npy_header

import optlab as ol

MB = 1 << 20
CONFIG, STORAGE = ol.ConfigError, ol.StorageError


def npz(members, method=zipfile.ZIP_STORED):
    """The bytes of an .npz of (name, array or contents)."""
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", method, compresslevel=1) as archive:
        warnings.simplefilter("ignore")  # the same name twice
        for name, value in members:
            archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy_bytes(value))
    return content.getvalue()


def flat(shape, data=b"", descr="<f4"):
    return npy_header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}", data)


WEIGHT, BIAS = np.ones((300, 2), "f4"), np.zeros(2, "f4")


def own(weight, *more, method=zipfile.ZIP_STORED):
    return npz([("0.weight", weight), ("0.bias", BIAS), *more], method)


GOOD = own(WEIGHT)


def overlapping():
    """A member of 1 MB that the zip lists 200 times, under other names."""
    raw = own(WEIGHT, ("big", np.zeros(MB, "u1")))
    first, last, end = raw.index(b"PK\1\2"), raw.rindex(b"PK\1\2"), raw.index(b"PK\5\6")
    copies = b"".join(raw[last:end].replace(b"big.npy", b"b%02x.npy" % i) for i in range(200))
    directory = raw[first:last] + copies
    return raw[:first] + directory + raw[end : end + 8] + struct.pack("<HHIIH", 202, 202, len(directory), first, 0)


def endless():
    """A zip whose list of members is said to have 64 MB."""
    raw = bytearray(GOOD)
    at = raw.rindex(b"PK\5\6")
    raw[at + 12 : at + 16] = struct.pack("<I", 64 * MB)
    return bytes(raw)


def crowded(count):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for i in range(count):
            archive.writestr(f"{i:06}", b"")
    return content.getvalue()


def torchs():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Gadget(), 2))
        archive.writestr("archive/data/0", bytes(40))
    return content.getvalue()


def npz_lies():
    """(what, contents, error, what the message says)"""
    zeros = bytes(64 * MB)
    yield "a bomb of the right name", own(flat("(16777216,)", zeros), method=8), STORAGE, "claims 67"
    yield "a bomb of the right size", own(flat("(300, 2)", zeros), method=8), STORAGE, "claims 67"
    yield "a bomb of a wide type", own(flat("(300, 2)", zeros, "<U27962"), method=8), STORAGE, "claims 67"
    yield "a bomb of another name", own(WEIGHT, ("x", flat("(16777216,)", zeros)), method=8), STORAGE, "claims 67"
    yield "a bomb of 60 MB", own(flat("(15728640,)", zeros[: 60 * MB]), method=8), CONFIG, "shape"
    yield "a size that there is not", own(flat("(10000000000, 2)", bytes(8))), STORAGE, "declares"
    yield "another shape", own(WEIGHT.T), CONFIG, "shape"
    yield "text", own(np.full((300, 2), "1.0")), CONFIG, "holds float32"
    yield "complex numbers", own(WEIGHT + 1j), STORAGE, "neither numbers"
    yield "objects", own(npy_bytes(np.array([[Gadget()]]), allow_pickle=True)), STORAGE, "pickles"
    yield "a pickle as a member", own(pickle.dumps(Gadget())), STORAGE, "expected an .npy file"
    yield "a giant header", own(b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31)), STORAGE, "header of 2147483648"
    yield "a long header", own(npy_header(" " * 60_000)), STORAGE, "header of 60"
    yield "a member cut short", own(npy_bytes(WEIGHT)[:-1]), STORAGE, "it has 2399"
    yield "a member too long", own(npy_bytes(WEIGHT) + b"x"), STORAGE, "it has 2401"
    yield "a name twice", own(WEIGHT, ("0.bias", BIAS)), STORAGE, "'0.bias' twice"
    yield "a member that is none", own(WEIGHT, ("more", b"#!/bin/sh")), STORAGE, "begins with"
    yield "bzip2", own(WEIGHT, method=zipfile.ZIP_BZIP2), STORAGE, "packed by method 12"
    yield "members over each other", overlapping(), STORAGE, "[Oo]verlap|differ"
    yield "a list of members of 64 MB", endless(), STORAGE, "list of members of 67108864"
    yield "a hundred thousand members", crowded(100_000), STORAGE, "list of members of"
    yield "nothing", b"", STORAGE, "no sound .npz"
    yield "text in a file", b"0.weight: 1, 0.bias: 2", STORAGE, "no sound .npz"
    yield "a pickle", pickle.dumps(Gadget()), STORAGE, "a pickle, which can run code"
    yield "PyTorch's", torchs(), STORAGE, "PyTorch's, a pickle"
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100), STORAGE, "HDF5"
    yield "one array", npy_bytes(WEIGHT), STORAGE, "a single array"
    for n in (1, 3, 40, 200, len(GOOD) // 2, len(GOOD) - 21, len(GOOD) - 1):
        yield f"npz cut at {n}", GOOD[:n], STORAGE, "no sound|damaged"


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


TENSORS = {"0.weight": entry([300, 2], 0, 2400), "0.bias": entry([2], 2400, 2408)}


def tensors(header, data=bytes(2408), length=None):
    """The bytes of a .safetensors file: the length of the header, the header, the data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def safetensors_lies():
    """(what, contents, error, what the message says)"""

    def bias(*arguments):
        return tensors({**TENSORS, "0.bias": entry(*arguments)})

    def weight(*arguments):
        return tensors({**TENSORS, "0.weight": entry(*arguments)})

    yield "tensors of another shape", weight([2, 300], 0, 2400), CONFIG, "shape"
    yield "tensors of 512 MB", weight([1 << 27], 0, 1 << 29), CONFIG, "shape"
    yield "tensors beyond the end", tensors(TENSORS, bytes(8)), STORAGE, "declares other lengths"
    yield "tensors over each other", bias([2], 0, 8), STORAGE, "[Oo]ffset"
    yield "tensors with a hole", bias([2], 2404, 2412), STORAGE, "[Oo]ffset|[Ii]nvalid"
    yield "tensors of an unknown type", bias([2], 2400, 2408, "F4096"), STORAGE, "malformed"
    yield "tensors of -2", bias([-2], 2400, 2408), STORAGE, "malformed"
    yield "tensors of True", bias([True], 2400, 2408), STORAGE, "malformed"
    yield "tensors missing", tensors({"0.bias": entry([2], 0, 8)}, bytes(8)), CONFIG, "missing 0.weight"
    yield "tensors and more", tensors({**TENSORS, "x": entry([0], 2408, 2408)}), CONFIG, "unknown x"
    yield "a header longer than the file", tensors(TENSORS, length=1 << 62), STORAGE, "declares a header"
    yield "a header of 8 MB", tensors(b"{" + b" " * 8 * MB + b"}"), STORAGE, "at most"
    yield "a header that is a list", tensors(b"{[]"), STORAGE, "malformed"
    yield "a header of brackets", tensors(b'{"a":' + b"[" * 99_999), STORAGE, "malformed"
    yield "a header with strange entries", tensors({"0.weight": 7, "0.bias": []}), STORAGE, "malformed"


LIES = {what: rest for what, *rest in (*npz_lies(), *safetensors_lies())}
