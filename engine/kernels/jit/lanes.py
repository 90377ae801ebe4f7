"""A number type for kernels: eight draws side by side in one vector register.

Kernels written with it read like scalar ones, and each arithmetic operation does the same for all eight lanes.
No operation mixes lanes, so a draw's bits do not depend on the lane or on the company it is in. Compilers turn
loops over the last axis of an array into vector code only when they feel like it; this type leaves no choice.

One such register full is a lane vector. Arrays hold them along a last axis of length `LANES`: ``get(a, i, j)`` is the
lane vector a[i, j, :]. A product that is added to something within one expression is fused with the addition. That is
decided here, from the source: LLVM (its flag "contract") would also fuse across calls that it has inlined, and what it
inlines hangs on what was compiled before.
"""

import operator
import platform
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from .accelerate import kernel

LANES = 8
intrinsic: Any = extending.intrinsic
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
HAS_FMA = platform.machine() not in ("x86_64", "AMD64") or bool(llvm.get_host_cpu_features().get("fma"))


class LaneVectorType(types.Type):
    """Numba's name for the type."""

    def __init__(self) -> None:
        super().__init__(name=f"lanes{LANES}")


lane_vector = LaneVectorType()


@register_model(LaneVectorType)
class _LaneVectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _spread(builder: Any, scalar: Any) -> Any:
    """Put one number into every lane."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _as_vector(builder: Any, kind: Any, value: Any) -> Any:
    return value if isinstance(kind, LaneVectorType) else _spread(builder, value)


def _define(symbol: Any, in_place: Any, build: Any) -> None:
    """Teach Numba a binary operation between lane vectors, or one and a number."""
    cases = [
        signature(lane_vector, lane_vector, lane_vector),
        signature(lane_vector, lane_vector, types.float64),
        signature(lane_vector, types.float64, lane_vector),
    ]

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, right = (_as_vector(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
        return build(builder, left, right)

    for name in (symbol, in_place):
        infer_global(name)(type(f"Lanes_{name.__name__}", (ConcreteTemplate,), {"cases": cases}))
        for case in cases:
            lower_builtin(name, *case.args)(lower)


def _is_product(value: Any) -> bool:
    return HAS_FMA and getattr(value, "opname", "") == "fmul"


def _call(builder: Any, name: str, *values: Any) -> Any:
    """LLVM's function of lane vectors, lane by lane."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64"), values)


def _add(builder: Any, left: Any, right: Any) -> Any:
    if _is_product(left):
        return _call(builder, "fma", *left.operands, right)
    if _is_product(right):
        return _call(builder, "fma", *right.operands, left)
    return builder.fadd(left, right)


def _subtract(builder: Any, left: Any, right: Any) -> Any:
    if _is_product(right):
        a, b = right.operands
        return _call(builder, "fma", builder.fneg(a), b, left)
    if _is_product(left):
        return _call(builder, "fma", *left.operands, builder.fneg(right))
    return builder.fsub(left, right)


_define(operator.add, operator.iadd, _add)
_define(operator.sub, operator.isub, _subtract)
_define(operator.mul, operator.imul, lambda builder, left, right: builder.fmul(left, right))
_define(operator.truediv, operator.itruediv, lambda builder, left, right: builder.fdiv(left, right))


@infer_global(operator.neg)
class _Negative(ConcreteTemplate):
    cases = [signature(lane_vector, lane_vector)]  # noqa: RUF012


@lower_builtin(operator.neg, lane_vector)
def _lower_negative(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fneg(args[0])


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, index_types: Any) -> Any:
    """Address of the lane vector array[index, :] of a C-contiguous array whose last axis has `LANES` entries."""
    view = context.make_array(kind)(context, builder, array)
    shape = cgutils.unpack_tuple(builder, view.shape, kind.ndim)
    place = context.get_constant(types.intp, 0)
    for value, source, size in zip(index, index_types, shape, strict=False):
        step = context.cast(builder, value, source, types.intp)
        place = builder.add(builder.mul(place, size, flags=("nsw",)), step, flags=("nsw",))
    vectors = builder.bitcast(view.data, _VECTOR.as_pointer())
    return builder.gep(vectors, [place], inbounds=True)


def _check(array: Any, index: Any) -> None:
    if array.dtype != types.float64 or array.layout != "C" or array.ndim != len(index) + 1:
        raise TypeError(f"a C-contiguous float64 array of {len(index) + 1} axes is needed, not {array}")


@intrinsic
def get(typing: Any, array: Any, *index: Any) -> Any:
    """``get(a, i, ...)``: the lane vector a[i, ..., :]; no bounds are checked."""
    _check(array, index)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], args[0], cgutils.unpack_tuple(builder, args[1]), index)
        return builder.load(where, align=8)

    return lane_vector(array, types.StarArgTuple(index)), lower


@intrinsic
def put(typing: Any, array: Any, value: Any, *index: Any) -> Any:
    """``put(a, value, i, ...)``: a[i, ..., :] = value, a lane vector or a number."""
    _check(array, index)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        where = _pointer(context, builder, sig.args[0], args[0], cgutils.unpack_tuple(builder, args[2]), index)
        vector = _as_vector(builder, sig.args[1], args[1])
        builder.store(vector, where, align=8)
        return context.get_dummy_value()

    return types.none(array, value, types.StarArgTuple(index)), lower


@intrinsic
def everywhere(typing: Any, value: Any) -> Any:
    """Return the lane vector that holds a number in every lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _spread(builder, args[0])

    return lane_vector(types.float64), lower


@intrinsic
def root(typing: Any, value: Any) -> Any:
    """Square root, lane by lane."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "sqrt", *args)

    return lane_vector(lane_vector), lower


@intrinsic
def where_less(typing: Any, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
    """`then` in the lanes in which left < right, `otherwise` in the others (also where one is NaN)."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b, x, y = (_as_vector(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
        return builder.select(builder.fcmp_ordered("<", a, b), x, y)

    return lane_vector(left, right, then, otherwise), lower


@intrinsic
def largest_lane(typing: Any, value: Any) -> Any:
    """Return the largest number in a lane vector: for deciding whether to go on, never for arithmetic."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.DoubleType(), [_VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fmax.v{LANES}f64")
        return builder.call(function, args)

    return types.float64(value), lower


@kernel
def lane_zeros(rows, columns):
    """Array (rows, columns, LANES) of zeros that starts at a whole cache line, as its lane vectors then do."""
    size = rows * columns * LANES
    flat = np.zeros(size + LANES)
    offset = (-(flat.ctypes.data // 8)) % LANES
    return flat[offset : offset + size].reshape(rows, columns, LANES)
