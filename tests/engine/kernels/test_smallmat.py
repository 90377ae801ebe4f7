"""The hand-written linear algebra against LAPACK, and where matrices are singular, degenerate or badly scaled."""

import numpy as np
import pytest
from crbatch.engine.kernels.linalg import smallmat
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import polar

Array = np.ndarray
SEEDS = st.integers(0, 2**31)
SIZES = st.integers(1, 18)


def random_complex(seed: int, *shape: int) -> Array:
    normal = np.random.default_rng(seed).standard_normal((2, *shape))
    return normal[0] + 1j * normal[1]


def random_unitary(seed: int, n: int) -> Array:
    return np.linalg.qr(random_complex(seed, n, n))[0]


def hermitian(seed: int, values: Array) -> Array:
    u = random_unitary(seed, len(values))
    a = (u * values) @ u.conj().T
    return (a + a.conj().T) / 2


@given(seed=SEEDS, n=st.integers(0, 40))
def test_dot_is_the_inner_product(seed: int, n: int) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, n))
    assert smallmat.dot(a, b) == pytest.approx(a @ b, rel=1e-13, abs=1e-14 * np.sum(np.abs(a * b)))


@given(seed=SEEDS, n=SIZES)
def test_cholesky_and_its_solves(seed: int, n: int) -> None:
    a = random_complex(seed, n, n + 2).real
    a = a @ a.T + 0.01 * np.eye(n)
    low = np.full((n + 1, n + 1), np.nan)  # nothing beyond the leading block is read
    low[:n, :n] = a
    assert smallmat.cholesky(low, n)
    low = np.tril(low[:n, :n])
    np.testing.assert_allclose(low, np.linalg.cholesky(a), rtol=1e-9, atol=1e-12)
    b = np.random.default_rng(seed + 1).standard_normal(n)
    x = b.copy()
    smallmat.solve_lower(low, n, x)
    np.testing.assert_allclose(low @ x, b, rtol=0, atol=1e-10 * np.abs(b).max())
    smallmat.solve_upper(low, n, x)
    np.testing.assert_allclose(a @ x, b, rtol=0, atol=1e-8 * np.abs(b).max())


@pytest.mark.parametrize("a", [np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[np.nan]]), -np.eye(3)])
def test_cholesky_refuses_what_is_not_positive(a: Array) -> None:
    assert not smallmat.cholesky(a.copy(), len(a))


@given(seed=SEEDS, n=SIZES, rank=st.integers(0, 18))
def test_pivoted_cholesky_stops_at_the_rank(seed: int, n: int, rank: int) -> None:
    rank = min(rank, n)
    g = random_complex(seed, rank, n).real
    rows, found = smallmat.pivoted_cholesky(g.T @ g, n, 1e-10)
    assert found == rank
    np.testing.assert_allclose(rows[:found].T @ rows[:found], g.T @ g, rtol=0, atol=1e-8)


@given(seed=SEEDS, rows=SIZES, inner=SIZES, columns=SIZES)
@settings(max_examples=30)
def test_products(seed: int, rows: int, inner: int, columns: int) -> None:
    a, b = random_complex(seed, rows, inner), random_complex(seed + 1, inner, columns)
    np.testing.assert_allclose(smallmat.times(a, b), a @ b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(smallmat.times_adjoint(a, b.conj().T.copy()), a @ b, rtol=0, atol=1e-12)


def _check_eigen(a: Array, n: int) -> None:
    values, vectors = smallmat.eigen_hermitian(a, n)
    size = max(np.abs(a).max(), 1e-300)
    assert np.all(np.diff(values) <= 0)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a)[::-1], rtol=0, atol=1e-13 * n * size)
    np.testing.assert_allclose(vectors.conj().T @ vectors, np.eye(n), rtol=0, atol=1e-13 * n)
    np.testing.assert_allclose((vectors * values) @ vectors.conj().T, a, rtol=0, atol=1e-13 * n * size)


@given(seed=SEEDS, n=SIZES, scale=st.integers(-100, 100))
def test_eigen_of_any_hermitian_matrix(seed: int, n: int, scale: int) -> None:
    values = np.random.default_rng(seed).standard_normal(n) * 10.0**scale
    _check_eigen(hermitian(seed, values), n)


@given(seed=SEEDS, n=st.integers(2, 12), spread=st.floats(1, 18))
def test_eigen_of_wide_and_repeated_spectra(seed: int, n: int, spread: float) -> None:
    _check_eigen(hermitian(seed, 10.0 ** -np.linspace(0, spread, n)), n)
    _check_eigen(hermitian(seed, np.repeat([2.0, 1.0], [1, n - 1])), n)


@pytest.mark.parametrize(
    "a",
    [
        np.zeros((3, 3)),
        np.eye(4),
        np.diag([1.0, 1e-200, 0.0]),
        np.array([[1.0, 1e-170j], [-1e-170j, 0.0]]),
        np.array([[1.0, 1e-30], [1e-30, 1.0]]),
        np.array([[0.0, 1j], [-1j, 0.0]]),
    ],
)
def test_eigen_of_special_matrices(a: Array) -> None:
    with np.errstate(all="raise"):
        _check_eigen(a.astype(complex), len(a))


def test_eigen_takes_the_hermitian_part() -> None:
    a = random_complex(3, 5, 5)
    values, _ = smallmat.eigen_hermitian(a, 5)
    np.testing.assert_allclose(values, np.linalg.eigvalsh((a + a.conj().T) / 2)[::-1], rtol=0, atol=1e-13)


@given(seed=SEEDS, n=SIZES, spread=st.floats(0, 16))
def test_eigenvalues_of_real_matrices(seed: int, n: int, spread: float) -> None:
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    values = 10.0 ** -np.linspace(0, spread, n)
    a = (q * values) @ q.T
    np.testing.assert_allclose(smallmat.eigen_hermitian(a.astype(complex), n)[0], values, rtol=0, atol=1e-14 * n)


def test_smallest_eigenvalue_of_a_unit_diagonal_matrix_is_precise() -> None:
    """The rule for "unidentifiable" asks for 1e-13 beside 1."""
    for offset in (1e-10, 1e-12, 1e-13):
        a = np.array([[1.0, 1.0 - offset], [1.0 - offset, 1.0]], complex)
        assert smallmat.eigen_hermitian(a, 2)[0][1] == pytest.approx(offset, abs=3e-16)


@given(seed=SEEDS, n=SIZES)
@settings(max_examples=50)
def test_polar_factor_is_that_of_scipy(seed: int, n: int) -> None:
    a = random_complex(seed, n, n) + 2 * np.sqrt(n) * np.eye(n)
    np.testing.assert_allclose(smallmat.polar_unitary(a, n), polar(a)[0], rtol=0, atol=1e-11)


@given(seed=SEEDS, n=st.integers(1, 12), rank=st.integers(0, 11))
@settings(max_examples=60)
def test_polar_factor_of_a_singular_matrix_is_completed(seed: int, n: int, rank: int) -> None:
    rank = min(rank, n)
    a = random_complex(seed, n, rank) @ random_complex(seed + 1, rank, n)
    u = smallmat.polar_unitary(a, n)
    np.testing.assert_allclose(u.conj().T @ u, np.eye(n), rtol=0, atol=1e-11)
    stretch = u.conj().T @ a  # Hermitian and positive semidefinite
    size = max(np.abs(a).max(), 1e-300)
    np.testing.assert_allclose(stretch, stretch.conj().T, rtol=0, atol=1e-9 * size)
    assert np.linalg.eigvalsh(stretch)[0] > -1e-9 * size


def test_inputs_are_not_changed() -> None:
    a = hermitian(1, np.array([3.0, 2.0, 1.0]))
    kept = a.copy()
    smallmat.eigen_hermitian(a, 3)
    smallmat.polar_unitary(a, 3)
    np.testing.assert_array_equal(a, kept)
    real = a.real.copy()
    smallmat.pivoted_cholesky(real, 3, 1e-12)
    np.testing.assert_array_equal(real, kept.real)
