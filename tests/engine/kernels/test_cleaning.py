"""Cleaning of covariances, eight side by side, against one after the other in NumPy."""

import numpy as np
from crbatch import DrawModel, Scenario, build_problem, sample
from crbatch.engine.beamforming import weighted
from crbatch.engine.kernels.descent import polar
from crbatch.engine.kernels.designs import cleaning

DRAWS, TOLERANCE = 36, 1e-6
RHO = np.array([0.5])


def _rest(x: np.ndarray, cut: float) -> np.ndarray:
    """What eigenvalues above the cut leave of x, at unit trace."""
    values, vectors = np.linalg.eigh(x)
    kept = np.where(values > cut * values.sum(), values, 0.0)
    return np.asarray((vectors * (kept / kept.sum())) @ vectors.conj().T)


def _covariances(points: np.ndarray, columns: int) -> np.ndarray:
    """Z Z^H of points in polar form (batch, unknowns), Z_k = T_k U_k, at unit trace."""
    head = points.shape[1] // (columns + 1)
    t = points[:, :head].reshape(len(points), -1, 4)
    real, imag = np.moveaxis(points[:, head:].reshape(len(points), 2, 2, -1, columns), 1, 0)
    u = real + 1j * imag  # (batch, steering or derivative, path, column)
    steering = t[..., 0, None] * u[:, 0]
    derivative = t[..., 1, None] * u[:, 1] + (t[..., 2] + 1j * t[..., 3])[..., None] * u[:, 0]
    z = np.concatenate((steering, derivative), axis=1)
    x = z @ z.conj().swapaxes(1, 2)
    return np.asarray(x / np.trace(x, axis1=1, axis2=2)[:, None, None])


def test_the_lowest_rank_that_keeps_the_certificate_is_taken() -> None:
    """As the descent leaves them: with many antennas some need a trace of power, others do not."""
    scenario = Scenario(tx_antennas=1024)
    problem = build_problem(scenario, sample(scenario, DrawModel(), 5, 0, DRAWS))
    count = problem.mix.shape[1]
    columns = weighted._columns(count, 2)
    start = polar.polar_of_powers(problem.arrays, weighted._balanced(problem, problem.arrays, RHO), columns)
    points, _ = weighted._descend(problem, columns, start, RHO, TOLERANCE)
    x = _covariances(points[:, 0], columns)[:, None]
    wanted = np.ones((DRAWS, 1), bool)

    def gaps(designs: np.ndarray, clean: bool) -> np.ndarray:
        found = cleaning.certified_covariances(
            problem.arrays, RHO, designs, cleaning.NO_POINTS, 0, wanted, clean, TOLERANCE, weighted.CLEANING
        )
        return np.asarray(found[:, 0])

    expected = np.stack([_rest(one, weighted.CLEANING)[None] for one in x[:, 0]])
    chosen = np.full(DRAWS, len(cleaning._RANK_CUTS))
    for place, cut in reversed(list(enumerate(cleaning._RANK_CUTS))):
        slim = np.stack([_rest(one, cut)[None] for one in x[:, 0]])
        fine = gaps(slim.copy(), False) < cleaning._TARGET * TOLERANCE
        expected[fine], chosen[fine] = slim[fine], place
    assert len(set(chosen)) > 1
    cleaned = x.copy()
    found = gaps(cleaned, True)
    np.testing.assert_allclose(cleaned, expected, atol=1e-9)  # eigenvectors are no better than that
    np.testing.assert_allclose(found, gaps(expected.copy(), False), rtol=0.0, atol=3e-8)
    assert (found <= TOLERANCE).all()
    from_factors, own, _ = weighted._descend_and_clean(problem, columns, start, RHO, TOLERANCE)
    np.testing.assert_allclose(from_factors, expected, atol=1e-13)
    assert own.tobytes() == gaps(from_factors.copy(), False)[:, None].tobytes()
