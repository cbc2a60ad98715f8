"""Files for the tests of `optlab.data`: sound ones made by other libraries, and over 200 malformed ones."""

import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np

import optlab as ol
from optlab.data import cifar, idx

MB = 1 << 20
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 4, 4), np.uint8)
LABELS = np.array([9, 0, 4], np.uint8)


class Gadget:
    """What a pickle can do: leave a file behind."""

    def __reduce__(self):
        return os.mkdir, ("pickle-was-run",)


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def batch_bytes(labels):
    pixels = np.random.default_rng(1).integers(0, 256, (len(labels), 3072), np.uint8)
    return np.column_stack([np.array(labels, np.uint8), pixels]).tobytes()


def tar_bytes(*members):
    """Members are (name, contents) or a TarInfo with contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, contents in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    return out.getvalue()


def npy_bytes(array, **options):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), **options)
    return out.getvalue()


def npy_header(text, payload=b"", version=1):
    head = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes((version, 0)) + len(head).to_bytes(2 * version, "little") + head + payload


def npz_bytes(compression=zipfile.ZIP_STORED, **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, contents in members.items():
            archive.writestr(f"{name}.npy", contents if isinstance(contents, bytes) else npy_bytes(contents))
    return out.getvalue()


def flipped(contents, *places):
    out = bytearray(contents)
    for place in places:
        out[place] ^= 0xFF
    return bytes(out)


def read_images(path):
    idx.read_images(path, out := np.empty((3, 16), np.float32), (4, 4))
    return out


def read_labels(path):
    idx.read_labels(path, out := np.empty(3, np.int64), 10)
    return out


def slots(*names):
    return {name: (np.empty((2, 3072), np.float32), np.empty(2, np.int64)) for name in names}


def read_batch(path):
    cifar.read_files({"data_batch_1.bin": path}, out := slots("data_batch_1.bin"))
    return out["data_batch_1.bin"]


def read_archive(path):
    cifar.read_archive(path, out := slots("data_batch_1.bin", "test_batch.bin"))
    return out


IMAGES, NUMBERS, BATCH = idx_bytes(PIXELS), idx_bytes(LABELS), batch_bytes([3, 9])
BIN = "cifar-10-batches-bin/"
TAR = tar_bytes(
    ("cifar-10-batches-bin/batches.meta.txt", b"airplane\n"),
    (f"{BIN}data_batch_1.bin", BATCH),
    (f"{BIN}test_batch.bin", BATCH),
)
X, Y = RNG.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
CSV = b"a,b,c\n1,2,0\n3,4.5,1\n-1e-3,.5,0\n"


def idx_cases():
    for cut in range(16):
        yield f"images cut at {cut}", "i", IMAGES[:cut], read_images, f"ends at byte {cut}"
    for cut in (16, 17, 40, 63):
        yield f"images cut at {cut}", "i", IMAGES[:cut], read_images, f"ends at byte {cut}.*to byte 64"
    for cut in range(11):
        yield f"labels cut at {cut}", "l", NUMBERS[:cut], read_labels, f"ends at byte {cut}"
    for more in (b"\0", b"x" * 1000):
        yield f"images and {len(more)}", "i", IMAGES + more, read_images, "goes on after byte 64"
        yield f"labels and {len(more)}", "l", NUMBERS + more, read_labels, "goes on after byte 11"
    for place in range(4):
        yield f"magic byte {place}", "i", flipped(IMAGES, place), read_images, "expected 00 00 08 03"
    for kind in (9, 11, 12, 13, 14):
        yield f"element type {kind}", "i", b"\0\0" + bytes((kind,)) + IMAGES[3:], read_images, "expected 00 00 08 03"
    for ndim in (0, 1, 2, 4, 255):
        yield f"{ndim} dimensions", "i", b"\0\0\x08" + bytes((ndim,)) + IMAGES[4:], read_images, "IDX, 3-d bytes"
    for place in (4, 8, 12):
        true = int.from_bytes(IMAGES[place : place + 4], "big")
        for side in (0, true - 1, true + 1, 1 << 31, (1 << 32) - 1):
            contents = IMAGES[:place] + struct.pack(">I", side) + IMAGES[place + 4 :]
            yield f"dimension {side} at {place}", "i", contents, read_images, f"declares .*{side}.* expected 3 x 4 x 4"
    yield "2^31 labels", "l", NUMBERS[:4] + struct.pack(">I", 1 << 31) + NUMBERS[8:], read_labels, "expected 3"
    yield "images for labels", "l", IMAGES, read_labels, "IDX, 1-d bytes"
    for row, label in [(0, 10), (1, 11), (2, 255)]:
        contents = NUMBERS[: 8 + row] + bytes((label,)) + NUMBERS[9 + row :]
        yield (
            f"label {label}",
            "l",
            contents,
            read_labels,
            rf"byte {8 + row} \(row {row}\) is label {label}, expected 0 to 9",
        )


def packed_cases():
    packed = gzip.compress(IMAGES)
    for cut in (3, 10, len(packed) // 2, len(packed) - 8, len(packed) - 1):
        yield f"gzip cut at {cut}", "i.gz", packed[:cut], read_images, "damaged|ends at byte"
    yield "gzip CRC", "i.gz", flipped(packed, -5), read_images, "damaged.*CRC"
    yield "gzip length", "i.gz", flipped(packed, -1), read_images, "damaged"
    yield "gzip method", "i.gz", flipped(packed, 2), read_images, "damaged"
    yield "gzip data", "i.gz", flipped(packed, 12), read_images, "damaged|begins with|declares"
    yield "gzip garbage after", "i.gz", packed + b"garbage", read_images, "damaged"
    yield "gzip twice", "i.gz", packed + packed, read_images, "goes on after byte 64"
    yield "gzip of nothing", "i.gz", gzip.compress(b""), read_images, "ends at byte 0"
    yield "gzip in gzip", "i.gz", gzip.compress(packed), read_images, "expected 00 00 08 03"
    bomb = gzip.compress(bytes(100 * MB), 1)
    yield "gzip bomb after the images", "i.gz", packed + bomb, read_images, "goes on after byte 64"
    yield "gzip bomb of zeros", "i.gz", bomb, read_images, "expected 00 00 08 03"
    yield "gzip bomb as a batch", "b.gz", bomb, read_batch, "goes on after byte 6146"
    yield "gzip bomb as an archive", "b.gz", gzip.compress(TAR) + bomb, read_archive, "unpacks to more than"
    packed = lzma.compress(IMAGES)
    for cut in (7, 12, 24, len(packed) // 2, len(packed) - 12, len(packed) - 1):
        yield f"xz cut at {cut}", "i.xz", packed[:cut], read_images, "damaged"
    for place in (8, 14, 30, -20, -3):
        yield f"xz flipped at {place}", "i.xz", flipped(packed, place), read_images, "damaged|begins with"
    yield "xz garbage after", "i.xz", packed + b"garbage", read_images, "damaged"
    yield "xz bomb", "i.xz", lzma.compress(bytes(20 * MB), preset=0), read_images, "expected 00 00 08 03"
    yield "xz asks for 4 GB", "i.xz", greedy(packed), read_images, "damaged.*[Mm]emory"


def greedy(packed):
    """An xz file whose block header asks for the largest dictionary, with a right checksum."""
    out = bytearray(packed)
    size = (out[12] + 1) * 4
    place = out.index(b"\x21\x01", 12, 12 + size) + 2  # LZMA2, one byte of properties: the dictionary
    out[place] = 40
    out[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(out[12 : 12 + size - 4]))
    return bytes(out)


def cifar_cases():
    for size in (0, 1, 3072, 3073, 6145):
        yield f"batch of {size}", "b.bin", BATCH[:size], read_batch, f"ends at byte {size}"
    for size in (1, 3073):
        yield f"batch and {size}", "b.bin", BATCH + BATCH[:size], read_batch, "goes on after byte 6146"
    yield "batch with label 10", "b.bin", batch_bytes([3, 10]), read_batch, "record 1 has label 10, expected 0 to 9"
    yield "batch with label 255", "b.bin", batch_bytes([255, 3]), read_batch, "record 0 has label 255"
    gadget = pickle.dumps(Gadget(), 2)
    yield "pickled batch", "b.bin", gadget + bytes(6146 - len(gadget)), read_batch, "pickle"
    rest = ((f"{BIN}data_batch_1.bin", BATCH), (f"{BIN}test_batch.bin", BATCH))
    for name in ("../evil", f"{BIN}../../evil", "/evil", "..\\evil", ".."):
        yield f"tar with {name}", "t.tar", tar_bytes((name, b"x"), *rest), read_archive, "outside"
    kinds = ("SYM", "LNK", "CHR", "BLK", "FIFO", "CONT")
    for kind in kinds:
        info = tarfile.TarInfo(f"{BIN}data_batch_1.bin")
        info.type, info.linkname = getattr(tarfile, f"{kind}TYPE"), "/etc/passwd"
        yield f"tar with a {kind}", "t.tar", tar_bytes((info, b""), *rest), read_archive, "regular files only"
    for kind in ("XHDTYPE", "GNUTYPE_LONGNAME", "REGTYPE"):
        info = tarfile.TarInfo("header")
        info.type, info.size = getattr(tarfile, kind), 1 << 40
        contents = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
        yield f"tar with {kind} of 2^40", "t.tar", contents, read_archive, "1099511627776 bytes at byte 0"
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    yield "tar with a sparse file", "t.tar", tar_bytes((info, b""), *rest), read_archive, "regular files only"
    yield "tar with a short batch", "t.tar", tar_bytes((rest[0][0], BATCH[:-1]), rest[1]), read_archive, "expected 6146"
    yield "tar with a batch twice", "t.tar", tar_bytes(rest[0], *rest), read_archive, "twice"
    yield "tar without a batch", "t.tar", tar_bytes(rest[0]), read_archive, "has no test_batch.bin"
    yield (
        "tar with a label of 10",
        "t.tar",
        tar_bytes((rest[0][0], batch_bytes([1, 10])), rest[1]),
        read_archive,
        "label 10",
    )
    yield "tar header damaged", "t.tar", flipped(TAR, 3), read_archive, "no tar header"
    yield "no tar", "t.tar", b"no tar at all" * 100, read_archive, "no tar header"
    for cut in (0, 100, 512, 1024, 3000, len(TAR) // 2):
        yield f"tar cut at {cut}", "t.tar", TAR[:cut], read_archive, f"ends at byte {cut}"
    yield "tar.gz CRC", "t.tar.gz", flipped(gzip.compress(TAR), -5), read_archive, "damaged"
    yield "tar.gz cut", "t.tar.gz", gzip.compress(TAR)[:-9], read_archive, "damaged|ends"


def csv_cases():
    def case(what, contents, message, **options):
        return what, "t.csv", contents, lambda path: ol.data.read(path, **options), message

    yield case("empty", b"", "line 1 has 0 columns")
    yield case("one column", b"1\n2\n", "line 1 has 1 columns")
    yield case("only a header", b"a,b\n", "at least two rows")
    yield case("one row", b"1,0\n", "at least two rows")
    yield case("short row", b"1,2,0\n3,1\n", "line 2 has 2 columns, expected 3")
    yield case("long row", b"1,2,0\n3,4,5,1\n", "line 2 has 4 columns, expected 3")
    yield case("nan", b"1,2,0\n3,nan,1\n", "line 2, column 2 is 'nan', expected a number")
    yield case("NaN under a name", b"a,b,c\n1,2,0\nNaN,2,1\n", r"line 3, column 1 \('a'\) is 'NaN'")
    yield case("inf", b"1,2,0\n-inf,2,1\n", "line 2, column 1 is '-inf'")
    yield case("infinity", b"1,2,0\nInfinity,2,1\n", "line 2, column 1")
    yield case("1_0", b"1,2,0\n1_0,2,1\n", "line 2, column 1 is '1_0'")
    yield case("Arabic digits", "1,2,0\n٣,2,1\n".encode(), "line 2, column 1")
    yield case("full-width digits", "1,2,0\n１,2,1\n".encode(), "line 2, column 1")
    yield case("hexadecimal", b"1,2,0\n0x10,2,1\n", "line 2, column 1")
    yield case("decimal comma", b"1,5;2;0\n1,5;2;1\n", "line 1, column 1 is '1,5', expected a number", header=False)
    yield case("text", b"1,2,0\nabc,2,1\n", "line 2, column 1 is 'abc'")
    yield case("empty field", b"1,2,0\n3,,1\n", "line 2, column 2 is empty")
    yield case("blank field", b"1,2,0\n3, ,1\n", "line 2, column 2 is empty")
    yield case("empty label", b"1,2,0\n3,4,\n", "line 2, column 3 is empty, expected a label")
    yield case("missing in line 1", b"1,NA,0\n3,4,1\n", "line 1, column 2 is 'NA'.*header=True")
    yield case("1e39 in float32", b"1,2,0\n1e39,2,1\n", "line 2, column 1 is '1e39', larger than 3.4")
    yield case("1e400 in float64", b"1,2,0\n1e400,2,1\n", "larger than 1.79", dtype="float64")
    yield case("NUL", b"1,2,0\n3,\x004,1\n", "line 2 has a NUL at byte 2")
    yield case("UTF-16", "1,2,0\n3,4,1\n".encode("utf-16"), "line 1 has a NUL|not UTF-8")
    yield case("Latin-1", b"1,2,caf\xe9\n3,4,b\n", "line 1 is not UTF-8 at byte 7")
    yield case("binary", bytes(range(1, 256)) * 10, "line 2 is not UTF-8")
    yield case("blank line inside", b"1,2,0\n\n3,4,1\n", "line 2 is blank")
    yield case("open quote", b'1,2,0\n"3,4,1\n5,6,0\n', "line 3: unexpected end of data")
    yield case("bare carriage returns", b"1,2,0\r3,4,1\r", "line 1: new-line character")
    yield case("field of 200 kB", b"1,2," + b"a" * 200_000 + b"\n3,4,b\n", "line 1: field larger than")
    yield case("line of 2 MB", b"1,2,0\n" + b"1," * MB + b"0\n", "line 2 is longer than 1048576 bytes")
    yield "line of 1 GB", "t.csv", lambda path: (path.touch(), os.truncate(path, 1 << 30)), ol.data.read, "longer than"
    wide = b"1," * 400_000 + b"0\n" + b"\n" * 400_000
    yield case("wide line, then blank ones", wide, "at least two rows")
    yield case("one class", b"1,0\n2,0\n", "two or more")
    yield case("label mixed", b"1,2\n2,x\n3,3\n", "label of row 2 is 'x', expected a number")
    yield case("label text for regression", b"1,2\n2,x\n", "label of row 2 is 'x'", task="regression")
    yield case("label fraction for classes", b"1,2\n2,2.5\n", "label of row 2 is 2.5", task="classification")
    yield case("label of many values", b"".join(b"1,%d\n" % i for i in range(100)), "100 different labels in 100 rows")
    yield case("label not there", CSV, "expected one column named 'z'; its first line is 'a', 'b', 'c'", label="z")
    yield case("label twice", b"a,a\n1,2\n3,4\n", "expected one column named 'a'", label="a")
    yield case("label out of range", CSV, "has 3 columns and none with number 3", label=3)


def numpy_cases():
    def npy(what, contents, message):
        return what, "a.npy", contents, ol.data.read, message

    def npz(what, contents, message):
        return what, "a.npz", contents, ol.data.read, message

    table = np.column_stack([X, Y])
    good, start = npy_bytes(table), "{'descr': '<f8', 'fortran_order': False, 'shape': "
    for cut in (0, 5, 7, 9, 60, 127, 128, 200, len(good) - 1):
        yield npy(f"npy cut at {cut}", good[:cut], f"ends at byte {cut}|has {cut - 128} after")
    yield npy("npy and a byte", good + b"x", "declares .*192 bytes; it has 193")
    yield npy("npy magic", flipped(good, 0), "expected an .npy file")
    yield npy("npy version 3", flipped(good, 6)[:6] + b"\3" + good[7:], "version 1.0 or 2.0")
    yield npy(
        "npy of 10^12", npy_header(start + "(1000000000000, 2), }", bytes(100)), "16000000000000 bytes; it has 100"
    )
    yield npy("npy of 10^36", npy_header(start + f"({10**18}, {10**18}), }}", bytes(100)), "it has 100")
    yield npy("npy of -1", npy_header(start + "(-1, 2), }", bytes(100)), "malformed")
    yield npy("npy of True", npy_header(start + "(True, 2), }", bytes(16)), "malformed")
    yield npy("npy with 5 dimensions", npy_bytes(np.zeros((1, 1, 1, 1, 2))), "malformed")
    yield npy("npy long header", b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31), "declares a header of 2147483648 bytes")
    yield npy("npy header runs code", npy_header("__import__('os').mkdir('pickle-was-run')"), "malformed")
    yield npy("npy nested header", npy_header("(" * 5000), "malformed")
    yield npy("npy of objects", npy_bytes(np.array([[Gadget()]]), allow_pickle=True), "pickles")
    yield npy("npy of records", npy_bytes(np.zeros(3, [("a", "f8")])), "neither numbers nor text")
    yield npy("npy of complex", npy_bytes(table + 1j), "neither numbers")
    yield npy("npy of dates", npy_bytes(np.zeros((2, 2), "M8[s]")), "neither numbers")
    yield npy(
        "npy of i3", npy_header("{'descr': '<i3', 'fortran_order': False, 'shape': (2, 2), }", bytes(12)), "type <i3"
    )
    yield npy("npy of text", npy_bytes(np.array([["1", "2"]] * 2)), "expected a table")
    yield npy("npy of one dimension", npy_bytes(Y), "expected a table")
    yield npy("npy of nothing", npy_bytes(np.zeros((0, 3))), "is empty")
    yield npy("npy with nan", npy_bytes(np.where(table == 1, np.nan, table)), "nan")
    yield npy("pickle as npy", pickle.dumps(Gadget()), "expected an .npy file")
    yield npy("gzip as npy", gzip.compress(good), "expected an .npy file")
    yield "pickle", "a.pkl", pickle.dumps(Gadget()), ol.data.read, "expected a .csv"
    yield "no suffix", "a", good, ol.data.read, "expected a .csv"

    good = npz_bytes(x=X, y=Y)
    for cut in (0, 1, 100, len(good) // 2, len(good) - 30, len(good) - 1):
        yield npz(f"npz cut at {cut}", good[:cut], "no sound .npz")
    yield npz("npz CRC", flipped(good, good.index(b"NUMPY") + 150), "damaged.*CRC")
    packed = npz_bytes(zipfile.ZIP_DEFLATED, x=X, y=Y)
    yield npz("npz deflate", flipped(packed, *range(45, 80)), "damaged|begins|declares")
    yield npz("npz of objects", npz_bytes(x=npy_bytes(np.array([Gadget()]), allow_pickle=True), y=Y), "pickles")
    yield npz("npz with a pickle", npz_bytes(x=pickle.dumps(Gadget()), y=Y), "expected an .npy file")
    yield npz("npz without y", npz_bytes(x=X), "expected arrays x and y.*it has 'x'")
    yield npz("npz of nothing", npz_bytes(), "it has nothing")
    yield npz("npz of 10^12", npz_bytes(x=npy_header(start + "(1000000000000,), }", bytes(80)), y=Y), "it has 80 after")
    yield npz("npz lengths", npz_bytes(x=X, y=Y[:-1]), "one entry for each of X's 6 rows")
    yield npz("npz 0-d", npz_bytes(x=np.float64(1), y=Y), "shape")
    yield npz("npz y of floats with nan", npz_bytes(x=X, y=np.where(Y == 1, np.nan, Y)), "nan")
    yield npz(
        "npz bad text", npz_bytes(x=X, y=npy_bytes(np.full(6, 2**31, "<u4")).replace(b"<u4", b"<U1")), "not Unicode"
    )
    yield npz("npz bzip2", npz_bytes(zipfile.ZIP_BZIP2, x=X, y=Y), "packed by method 12")
    yield npz("npz lzma", npz_bytes(zipfile.ZIP_LZMA, x=X, y=Y), "packed by method 14")
    encrypted = bytearray(good)
    for place in (good.index(b"PK\3\4") + 6, good.index(b"PK\1\2") + 8):
        encrypted[place] |= 1
    yield npz("npz encrypted", bytes(encrypted), "no sound .npz.*(encrypted|password)")
    bomb = npy_header(start + f"({16 * MB},), }}") + bytes(128 * MB)
    yield npz(
        "npz bomb of 1000 to 1", npz_bytes(zipfile.ZIP_DEFLATED, x=bomb, y=Y), "claims 1342.* bytes packed into 13"
    )
    lying = bytearray(packed)
    place = packed.index(b"PK\1\2") + 24  # the unpacked size in the central directory
    lying[place : place + 4] = struct.pack("<I", 60 * MB)
    yield npz("npz that claims 60 MB", bytes(lying), "declares .* it has 629")
    parts = {"x_train": X, "y_train": Y, "x_test": X[:, :2], "y_test": Y}
    yield npz("npz test part of another width", npz_bytes(**parts), "don't fit together")
    yield npz(
        "npz test part without labels", npz_bytes(**parts | {"x_test": X, "y_test": Y[:1]}), "6 and 6 rows have 6 and 1"
    )


# (what, file name, contents or a function that writes them, reader, what the message says)
CASES = [*idx_cases(), *packed_cases(), *cifar_cases(), *csv_cases(), *numpy_cases()]
