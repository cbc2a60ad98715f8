"""The innermost loops of a matrix product, written as LLVM vectors: one tile of the result held in registers.

A form is a shape of tile for one kind of processor. Its wide tile is two vectors across and reads and writes whole
vectors; its narrow tile is one vector across under a mask, for whatever columns are left, so that nothing outside an
array is touched. Its rows are whole, or (the short tile) some of them are the last row again: the copies compute
and store the same numbers, which needs neither branches nor a tile for every number of rows left.

Addresses are integers and strides count bytes. Sums run over k in order, one fused multiply-add a term, so an entry
depends on its row, its column and k alone: not on the tile it fell into, nor on the other rows. No fast-math.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

ir = cgutils.ir  # of llvmlite, on which Numba is built
BYTE, INT = ir.IntType(8), ir.IntType(64)
Loop = Callable[[Any, Any], Any]


class Form(NamedTuple):
    """``rows`` of two vectors of ``bytes`` fill the registers; ``fused`` where the processor has a multiply-add."""

    rows: int
    bytes: int
    fused: bool


SUMS = 8  # of the short tile: enough to hide the latency of a multiply-add, four cycles with two units
# 12x2 measured best of 12x2, 6x4, 8x2 and 24x1 with 32 registers (230, 223, 204, 199 GFLOP/s). With 16, 6x2 leaves
# two for the row of B and one for the entry of A.
FORMS = {
    "avx512": Form(12, 64, True),
    "avx2": Form(6, 32, True),
    "generic": Form(4, 16, False),  # without the instruction, a fused multiply-add is a call into the C library
}


def size_of(like: Any) -> int:
    """Bytes of a number of the type of ``like``."""
    return int(np.dtype(type(like)).itemsize)


@overload(size_of)
def _size_of(like):
    size = like.bitwidth // 8
    return lambda like: size


def tile(
    form: str, like: Any, kind: str, a: int, da: int, b: int, db: int, c: int, dc: int, k: int, left: tuple[int, ...]
) -> None:
    """Write one tile of A B to C, or add it; ``kind`` and ``left``: see `_tile_intrinsic`. Only compiled code can."""
    raise TypeError("a register tile is LLVM code: only compiled functions can run it")


@overload(tile, prefer_literal=True)
def _tile(form, like, kind, a, da, b, db, c, dc, k, left):
    if not (isinstance(form, types.StringLiteral) and isinstance(kind, types.StringLiteral)):
        return None
    emit = _tile_intrinsic(form.literal_value, kind.literal_value, like.bitwidth)
    return lambda form, like, kind, a, da, b, db, c, dc, k, left: emit(a, da, b, db, c, dc, k, *left)


def pack(form: str, like: Any, a: int, da: int, to: Any, k: int) -> None:
    """Copy a tile's rows of A, ``k`` long and ``da`` bytes apart, to columns without gaps. Only compiled code can."""
    raise TypeError("a register tile is LLVM code: only compiled functions can run it")


@overload(pack, prefer_literal=True)
def _pack(form, like, a, da, to, k):
    if not isinstance(form, types.StringLiteral):
        return None
    emit = _pack_intrinsic(form.literal_value, like.bitwidth)
    return lambda form, like, a, da, to, k: emit(a, da, to, k)


def _int(n: int) -> Any:
    return ir.Constant(INT, n)


class Emitter:
    """Loads, stores and arithmetic on vectors of one width at integer addresses."""

    def __init__(self, builder: Any, form: Form, bits: int) -> None:
        self.builder, self.fused = builder, form.fused
        self.scalar = ir.FloatType() if bits == 32 else ir.DoubleType()
        self.size = bits // 8
        self.lanes = form.bytes // self.size
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{bits}"

    def at(self, base: Any, offset: Any, kind: Any) -> Any:
        """A pointer to ``kind``, ``offset`` bytes after ``base``."""
        return self.builder.bitcast(self.builder.gep(base, [offset]), kind.as_pointer())

    def load(self, base: Any, offset: Any, kind: Any = None) -> Any:
        """A vector, or what ``kind`` says."""
        value = self.builder.load(self.at(base, offset, kind or self.vector))
        value.align = self.size
        return value

    def store(self, value: Any, base: Any, offset: Any) -> None:
        """A vector of any length, or a number."""
        self.builder.store(value, self.at(base, offset, value.type)).align = self.size

    def mask(self, left: Any) -> Any:
        """True in the first ``left`` lanes."""
        integers = ir.VectorType(INT, self.lanes)
        numbers = ir.Constant(integers, list(range(self.lanes)))
        one = self.builder.insert_element(ir.Constant(integers, ir.Undefined), left, ir.Constant(ir.IntType(32), 0))
        return self.builder.icmp_signed("<", numbers, self.spread(one))

    def masked_load(self, base: Any, offset: Any, mask: Any) -> Any:
        """A vector whose other lanes are zero and are not read."""
        pointer = self.vector.as_pointer()
        kind = ir.FunctionType(self.vector, [pointer, ir.IntType(32), mask.type, self.vector])
        fn = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        align, zero = ir.Constant(ir.IntType(32), self.size), ir.Constant(self.vector, [0.0] * self.lanes)
        return self.builder.call(fn, [self.at(base, offset, self.vector), align, mask, zero])

    def masked_store(self, value: Any, base: Any, offset: Any, mask: Any) -> None:
        """The other lanes are not written."""
        pointer = self.vector.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [self.vector, pointer, ir.IntType(32), mask.type])
        fn = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        align = ir.Constant(ir.IntType(32), self.size)
        self.builder.call(fn, [value, self.at(base, offset, self.vector), align, mask])

    def keep_order(self) -> None:
        """No load moves past this point: fetching every row's number first takes more registers than there are."""
        self.builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)

    def spread(self, vector: Any) -> Any:
        """The first lane in all lanes."""
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), zeros)

    def broadcast(self, number: Any) -> Any:
        """A vector of one number."""
        nowhere = ir.Constant(self.vector, ir.Undefined)
        return self.spread(self.builder.insert_element(nowhere, number, ir.Constant(ir.IntType(32), 0)))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """``x y + z``, rounded once if the form is fused."""
        if not self.fused:
            return self.builder.fadd(self.builder.fmul(x, y), z)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        fn = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix}")
        return self.builder.call(fn, [x, y, z])


def _never_unroll(branch: Any) -> None:
    """Mark a loop: two terms at a time need more registers than there are (with rows of A 141 against 225 GFLOP/s)."""
    module = branch.parent.module
    wish = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([wish])
    loop.operands = (loop, wish)  # such nodes name themselves first, by LLVM's convention
    branch.set_metadata("llvm.loop", loop)


@functools.cache
def _tile_intrinsic(name: str, kind: str, bits: int) -> Any:
    """The tile of a form, `kind` being three words:

    - `wide` (two vectors, all of them there) or `narrow` (one vector, only the first ``columns`` of it);
    - `tall` (the form's rows) or `short` (as many as ``rows``: up to 4 if wide, 8 if narrow);
    - `down` (entries of a column of A are neighbours, columns ``da`` apart) or `along` (rows of A, ``da`` apart).

    ``left`` is the triple rows, columns, and 1 to add to C or 0 to write over it.
    """
    form = FORMS[name]
    wide, tall, down = (word in kind.split() for word in ("wide", "tall", "down"))
    across = 2 if wide else 1
    height = form.rows if tall else SUMS // across

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        a, da, pb, db, c, dc, k, have, columns_left, add = args
        e = Emitter(b, form, bits)
        a, pb, c = (b.inttoptr(p, BYTE.as_pointer()) for p in (a, pb, c))
        mask = None if wide else e.mask(columns_left)
        row: list[Any] = [_int(i) for i in range(height)]
        if not tall:
            last = b.sub(have, _int(1))
            row = [b.select(b.icmp_signed("<", i, last), i, last) for i in row]
        along_a = [b.mul(i, _int(e.size) if down else da) for i in row]
        along_c = [b.mul(i, dc) for i in row]
        columns = [_int(j * form.bytes) for j in range(across)]

        before, loop, after = b.block, b.append_basic_block("terms"), b.append_basic_block("store")
        b.branch(loop)
        b.position_at_end(loop)
        t, at_a, at_b = b.phi(INT), b.phi(a.type), b.phi(pb.type)
        for phi, start in ((t, _int(0)), (at_a, a), (at_b, pb)):
            phi.add_incoming(start, before)
        zero = ir.Constant(e.vector, [0.0] * e.lanes)
        sums = [[b.phi(e.vector) for _ in columns] for _ in row]
        line = [e.load(at_b, j) if mask is None else e.masked_load(at_b, j, mask) for j in columns]
        results = []
        for i in range(height):
            x = e.broadcast(e.load(at_a, along_a[i], e.scalar))
            results.append([e.multiply_add(x, y, z) for y, z in zip(line, sums[i], strict=True)])
            for phi, result in zip(sums[i], results[i], strict=True):
                phi.add_incoming(zero, before)
                phi.add_incoming(result, loop)
            if not down:
                e.keep_order()
        after_t = b.add(t, _int(1))
        t.add_incoming(after_t, loop)
        at_a.add_incoming(b.gep(at_a, [da if down else _int(e.size)]), loop)
        at_b.add_incoming(b.gep(at_b, [db]), loop)
        _never_unroll(b.cbranch(b.icmp_signed("<", after_t, k), loop, after))

        b.position_at_end(after)
        with b.if_else(b.icmp_signed("!=", add, _int(0))) as (then, otherwise):
            with then:  # every row of C is read before one is written: the short tile's copies of a row agree
                old = [
                    [e.load(c, b.add(i, j)) if mask is None else e.masked_load(c, b.add(i, j), mask) for j in columns]
                    for i in along_c
                ]
                total = [[b.fadd(x, y) for x, y in zip(*pair, strict=True)] for pair in zip(old, results, strict=True)]
                from_then = b.block
            with otherwise:
                from_else = b.block
        for i in range(height):
            for j in range(across):
                value = b.phi(e.vector)
                value.add_incoming(total[i][j], from_then)
                value.add_incoming(results[i][j], from_else)
                results[i][j] = value
        for i in range(height):
            for j, column in enumerate(columns):
                place = b.add(along_c[i], column)
                if mask is None:
                    e.store(results[i][j], c, place)
                else:
                    e.masked_store(results[i][j], c, place, mask)
        return context.get_dummy_value()

    @intrinsic
    def emit(
        typing: Any, a: Any, da: Any, b: Any, db: Any, c: Any, dc: Any, k: Any, rows: Any, columns: Any, add: Any
    ) -> Any:
        return types.void(*[types.intp] * 10), codegen

    return emit


@functools.cache
def _pack_intrinsic(name: str, bits: int) -> Any:
    """Transpose a tile's rows of A, a square of lanes at a time; what is left of k number by number."""
    form = FORMS[name]

    def codegen(context: Any, b: Any, signature: Any, args: Any) -> Any:
        a, da, to, k = args
        e = Emitter(b, form, bits)
        a, to = (b.inttoptr(p, BYTE.as_pointer()) for p in (a, to))
        along = [b.mul(_int(i), da) for i in range(form.rows)]
        step = form.rows * e.size  # bytes of a packed column
        whole = b.and_(k, _int(-e.lanes))
        with cgutils.for_range_slice(b, _int(0), whole, _int(e.lanes), INT) as (t, _):
            source, target = b.mul(t, _int(e.size)), b.mul(t, _int(step))
            for first in range(0, form.rows, e.lanes):
                rows = [e.load(a, b.add(source, offset)) for offset in along[first : first + e.lanes]]
                for j, column in enumerate(_transpose(e, rows)):
                    e.store(column, to, b.add(target, _int(j * step + first * e.size)))
        with cgutils.for_range_slice(b, whole, k, _int(1), INT) as (t, _):
            source, target = b.mul(t, _int(e.size)), b.mul(t, _int(step))
            for i, offset in enumerate(along):
                e.store(e.load(a, b.add(source, offset), e.scalar), to, b.add(target, _int(i * e.size)))
        return context.get_dummy_value()

    @intrinsic
    def emit(typing: Any, a: Any, da: Any, to: Any, k: Any) -> Any:
        return types.void(*[types.intp] * 4), codegen

    return emit


def _transpose(e: Emitter, rows: list[Any]) -> list[Any]:
    """Columns of ``rows``: log2(lanes) rounds of interleaving the first half of the vectors with the second."""
    n, count, word = e.lanes, len(rows), ir.IntType(32)
    nothing = ir.Constant(e.vector, ir.Undefined)
    square = rows + [nothing] * (n - count)
    order = [lane for i in range(n) for lane in (i, n + i)]
    low, high = (ir.Constant(ir.VectorType(word, n), order[h : h + n]) for h in (0, n))
    for _ in range(n.bit_length() - 1):
        pairs = [(square[i], square[i + n // 2]) for i in range(n // 2)]
        square = [e.builder.shuffle_vector(x, y, half) for x, y in pairs for half in (low, high)]
    head = ir.Constant(ir.VectorType(word, count), list(range(count)))
    return [e.builder.shuffle_vector(column, nothing, head) for column in square]
