"""Eight draws in a register: the machine code has them, and no lane feels the others."""

import platform
from fractions import Fraction

import llvmlite.binding as llvm
import numpy as np
import pytest
from crbatch import SCHEMES, build_problem, design
from crbatch.engine.beamforming import weighted
from crbatch.engine.kernels.jit.accelerate import kernel
from crbatch.engine.kernels.jit.lanes import (
    HAS_FMA,
    LANES,
    everywhere,
    get,
    lane_zeros,
    largest_lane,
    put,
    root,
    where_less,
)
from crbatch.engine.kernels.linalg import eigen
from engine_cases import drops
from numba import njit
from scipy.linalg import eigh


@kernel
def _polynomial(a, b, out):
    for i in range(a.shape[0]):
        x = get(a, i)
        y = get(b, i)
        put(out, where_less(x, y, root(x * x + 2.0 * y * y) / 3.0, -x - 1.0), i)


@kernel
def _largest(a):
    return largest_lane(get(a, 0) + everywhere(1.0))


def test_arithmetic_is_that_of_numpy_lane_by_lane() -> None:
    a, b = np.random.default_rng(1).standard_normal((2, 5, LANES))
    a[0, 3] = np.nan
    out = np.zeros_like(a)
    _polynomial(a, b, out)
    np.testing.assert_allclose(out, np.where(a < b, np.sqrt(a * a + 2 * b * b) / 3, -a - 1), rtol=1e-15)
    assert _largest(np.arange(LANES, dtype=float)[None]) == LANES


@njit(forceinline=True)
def _product(a, b):
    return get(a, 0) * get(b, 0)


@kernel
def _sums(a, b, c, out):
    put(out, get(a, 0) * get(b, 0) + get(c, 0), 0)
    put(out, get(c, 0) + get(a, 0) * get(b, 0), 1)
    put(out, get(a, 0) * get(b, 0) - get(c, 0), 2)
    put(out, get(c, 0) - get(a, 0) * get(b, 0), 3)
    put(out, _product(a, b) + get(c, 0), 4)


def test_a_product_is_fused_with_a_sum_where_the_source_says_so_and_nowhere_else() -> None:
    """What LLVM inlines hangs on what was compiled before, and must not change a bit."""
    a, b = 1.0 + np.random.default_rng(3).random((2, 1, LANES))
    c = -a * b  # what is left by exact arithmetic is the rounding of the product
    exact = np.array([float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in zip(a[0], b[0], c[0], strict=True)])
    assert np.count_nonzero(exact) > LANES // 2
    fused = exact if HAS_FMA else np.zeros(LANES)
    out = np.zeros((5, LANES))
    _sums(a, b, c, out)
    np.testing.assert_array_equal(out[0], fused)
    np.testing.assert_array_equal(out[1], fused)
    np.testing.assert_array_equal(out[4], 0.0)
    _sums(a, b, -c, out)
    np.testing.assert_array_equal(out[2], fused)
    np.testing.assert_array_equal(out[3], -fused)


def test_machine_code_uses_whole_registers() -> None:
    features = llvm.get_host_cpu_features()
    compiled = njit(error_model="numpy")(_polynomial.py_func)  # here and now: what was kept cannot be inspected
    compiled(*np.ones((2, 1, LANES)), np.zeros((1, LANES)))
    (text,) = compiled.inspect_asm().values()
    words = ["sqrtpd", "xmm"] if platform.machine() == "x86_64" else ["fsqrt"]
    if features.get("avx2"):
        words = ["vsqrtpd", "vfmadd", "zmm" if features.get("avx512f") else "ymm"]
    assert [word for word in words if word not in text] == []


def test_packs_start_at_whole_cache_lines() -> None:
    @kernel
    def address(rows, columns):
        return lane_zeros(rows, columns).ctypes.data

    assert {address(rows, columns) % 64 for rows, columns in ((1, 1), (3, 2), (8, 8))} == {0}


@pytest.mark.parametrize("n", [1, 2, 3, 8, 16])
def test_eigenvalues_of_eight_matrices(n: int) -> None:
    """Among them a diagonal one, one of rank 1 and one of zeros."""
    normal = np.random.default_rng(n).standard_normal((n, n, LANES))
    a = normal + normal.swapaxes(0, 1)
    a[..., 1] = np.diag(np.arange(n))
    a[..., 2] = 1.0
    a[..., 3] = 0.0

    @kernel
    def solve(a):
        v, p = eigen.eigen_space(a.shape[0])
        out = np.zeros((1, LANES))
        put(out, eigen.largest_eigenvalue(a.copy(), a.shape[0], v, p), 0)
        return out[0]

    largest = solve(a)
    for lane in range(LANES):
        values = eigh(a[..., lane], eigvals_only=True)
        assert largest[lane] == pytest.approx(values[-1], abs=1e-13 * max(1, abs(values).max()))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 14])
def test_eigenvalues_of_eight_hermitian_matrices(n: int) -> None:
    """Among them a diagonal one, one of rank 1, one of zeros, and one with a zero at the head of a column.

    The expected interval holds the largest eigenvalue in some lanes, lies above it in some, below it in others.
    """
    normal = np.random.default_rng(n).standard_normal((2, n, n, LANES))
    a = normal[0] + 1j * normal[1]
    a = a + a.conj().swapaxes(0, 1)
    a[..., 1] = np.diag(np.arange(n))
    phases = np.exp(1j * np.arange(n))
    a[..., 2] = np.outer(phases, phases.conj())
    a[..., 3] = 0.0
    a[1:2, 0, 4] = a[0, 1:2, 4] = 0.0
    values = np.stack([eigh(a[..., lane], eigvals_only=True) for lane in range(LANES)])
    low, high = np.median(values[:, -1]) - 0.1, np.median(values[:, -1]) + 0.1

    @kernel
    def solve(a, n, low, high, level):
        v, p = eigen.eigen_space(2 * n)
        out = np.zeros((2, LANES))
        put(out, eigen.largest_hermitian(a.copy(), n, low, high, v, p), 0)
        put(out, eigen.eigenvalues_above(a.copy(), n, everywhere(level), v, p), 1)
        return out

    largest, above = solve(np.concatenate((a.real, a.imag)), n, low, high, 0.3)
    for lane in range(LANES):
        assert largest[lane] == pytest.approx(values[lane, -1], abs=1e-13 * max(1, abs(values[lane]).max()))
        assert above[lane] == (values[lane] > 0.3).sum()


@pytest.mark.parametrize("antennas", [16, 64])
def test_a_draw_has_the_same_bits_alone_in_a_thousand_and_in_another_lane(antennas: int) -> None:
    """Factors of many antennas are in polar form."""
    scenario, draws = drops(1000, seed=5, tx_antennas=antennas)
    rho = np.linspace(0.0, 1.0, 5)
    together = weighted.solve_fdb(build_problem(scenario, draws), rho, 1e-6)
    for first, stop in ((0, 1), (500, 501), (999, 1000), (3, 6), (13, 30)):
        part = weighted.solve_fdb(build_problem(scenario, draws[first:stop]), rho, 1e-6)
        assert part.covariance.tobytes() == together.covariance[first:stop].tobytes()
        assert part.gap.tobytes() == together.gap[first:stop].tobytes()
        assert part.iterations.tobytes() == together.iterations[first:stop].tobytes()
    whole = design(scenario, draws[:20], SCHEMES, rho)
    alone = design(scenario, draws[11:12], SCHEMES, rho)
    for name in ("objective", "crb_clock", "crb_ms_target", "gap", "rank", "status"):
        assert getattr(whole, name)[11:12].tobytes() == getattr(alone, name).tobytes(), name
