"""The naive transcription against the golden values, finite differences and its own laws."""

from collections.abc import Callable
from dataclasses import replace

import naive
import naive_codebook
import numpy as np
import pytest
from naive import Case
from repository import GOLDEN

Array = np.ndarray

OPTIMA = [(name, optimum) for name, entry in GOLDEN.items() for optimum in entry["optimum"]]

every_case = pytest.mark.parametrize("name", GOLDEN)
every_optimum = pytest.mark.parametrize(
    ("name", "optimum"), OPTIMA, ids=[f"{name}-{optimum['rho']}" for name, optimum in OPTIMA]
)


def case_of(name: str, **changes: object) -> Case:
    return replace(Case.from_golden(GOLDEN[name]["scenario"]), **changes)


def beamformer(case: Case) -> Array:
    """The golden file's test beamformer."""
    i, slot = np.ogrid[1 : case.mt + 1, 1 : case.slots + 1]
    w = np.exp(2j * np.pi * i**2 * slot / 17) + 0.25 * np.exp(2j * np.pi * i * slot**2 / 23)
    return w * np.sqrt(case.power) / np.linalg.norm(w)


def covariance(case: Case) -> Array:
    w = beamformer(case)
    return w @ w.conj().T


def fim_error(fim: Array, reference: Array) -> float:
    """Largest entry of the difference, against sqrt(I_ii I_jj)."""
    scale = np.sqrt(np.diag(reference))
    return float(np.max(np.abs(fim - reference) / np.outer(scale, scale)))


def cpa_power(case: Case, optimum: dict) -> Array:
    """Powers in W in the codebook's order; the golden file has shares, all a_k before all da_k."""
    shares = np.reshape(optimum["cpa_power"], (2, case.k + 1))
    return case.power * shares.T.ravel()


def central_difference(function: Callable[[Array], Array], x: Array, steps: Array) -> Array:
    """Sixth-order derivatives, [parameter, ...]."""
    slopes = []
    for i, step in enumerate(steps):
        e = step * (np.arange(len(x)) == i)
        terms = [w * (function(x + s * e) - function(x - s * e)) for s, w in ((1, 45), (2, -9), (3, 1))]
        slopes.append(sum(terms) / (60 * step))
    return np.array(slopes)


def steps_bistatic(case: Case, eta: Array) -> Array:
    gains = np.abs(eta[4 + 2 * case.k :]).max()
    places = [4e-3] * (2 * case.k)
    return np.array([4e-3, 4e-3, 1e-3, *places, 2e-11, *[gains] * (2 * case.k + 2)])


def steps_monostatic(case: Case, eta: Array) -> Array:
    gains = np.abs(eta[2 + 2 * case.k :]).max()
    return np.array([4e-3] * (2 * case.k + 2) + [gains] * (2 * case.k + 2))


@every_case
def test_channel_is_golden(name: str) -> None:
    case, golden = case_of(name), GOLDEN[name]["channel"]
    g = naive.geometry(case)
    for angles, reference in ((g.aod, golden["aod_rad"]), (g.aoa, golden["aoa_rad"])):
        assert np.all((angles > -np.pi) & (angles <= np.pi))
        np.testing.assert_allclose(np.exp(1j * angles), np.exp(1j * np.array(reference)), rtol=0, atol=1e-7)
    np.testing.assert_allclose(g.delay_bistatic, golden["delay_bistatic_s"], rtol=1e-7)
    np.testing.assert_allclose(g.delay_monostatic, golden["delay_monostatic_s"], rtol=1e-7)
    np.testing.assert_allclose(np.abs(g.gain_bistatic), golden["gain_bistatic"], rtol=1e-7)
    np.testing.assert_allclose(np.abs(g.gain_monostatic), golden["gain_monostatic"], rtol=1e-7)
    assert case.noise_power == pytest.approx(golden["noise_power_w"], rel=1e-7)
    assert case.power == pytest.approx(golden["power_per_subcarrier_w"], rel=1e-7)


@every_case
def test_position_fims_are_golden(name: str) -> None:
    case, golden = case_of(name), GOLDEN[name]
    v = covariance(case)
    assert fim_error(naive.position_fim_bistatic(case, v), np.array(golden["fim_position_bistatic"])) < 1e-7
    assert fim_error(naive.position_fim_monostatic(case, v), np.array(golden["fim_position_monostatic"])) < 1e-7


@every_case
def test_bounds_are_golden(name: str) -> None:
    case, test, apa = case_of(name), GOLDEN[name]["test_beamformer_crb"], GOLDEN[name]["apa_crb"]
    v, equal = covariance(case), naive_codebook.apa_covariance(case)
    assert naive.crb_bistatic(case, v) == pytest.approx(test["bistatic_m2"], rel=1e-7)
    assert naive.crb_monostatic(case, v) == pytest.approx(test["monostatic_m2"], rel=1e-7)
    each = naive.crb_monostatic_target(case, v)
    np.testing.assert_allclose(each, test["monostatic_per_target_m2"], rtol=1e-7)
    assert naive.crb_bistatic(case, equal) == pytest.approx(apa["bistatic_m2"], rel=1e-7)
    assert naive.crb_monostatic(case, equal) == pytest.approx(apa["monostatic_m2"], rel=1e-7)


@every_case
def test_fims_are_those_of_the_observation(name: str) -> None:
    """Fisher information of mu = sqrt(N) H_m(eta) W in noise, with no derivative done by hand."""
    case = case_of(name, m=96)
    w = beamformer(case)
    for channel, eta, steps, fim in (
        (naive.channel_bistatic, naive.eta_bistatic, steps_bistatic, naive.position_fim_bistatic),
        (naive.channel_monostatic, naive.eta_monostatic, steps_monostatic, naive.position_fim_monostatic),
    ):

        def mu(at: Array, channel: Callable = channel) -> Array:
            return np.sqrt(case.pilots) * (channel(case, np.arange(1, case.m + 1), at) @ w).ravel()

        slopes = central_difference(mu, eta(case), steps(case, eta(case)))
        observed = 2 / case.noise_power * (slopes.conj() @ slopes.T).real
        assert fim_error(fim(case, w @ w.conj().T), observed) < 1e-8


@every_case
def test_jacobians_are_numerical_ones(name: str) -> None:
    case = case_of(name)
    for jacobian, xi, eta, steps in (
        (naive.jacobian_bistatic, naive.xi_bistatic, naive.eta_bistatic, steps_bistatic),
        (naive.jacobian_monostatic, naive.xi_monostatic, naive.eta_monostatic, steps_monostatic),
    ):
        numerical = central_difference(lambda at, xi=xi: xi(case, at), eta(case), steps(case, eta(case))).T
        row = np.abs(jacobian(case)).max(axis=1, keepdims=True)
        np.testing.assert_allclose(numerical / row, jacobian(case) / row, rtol=0, atol=1e-9)


@every_optimum
def test_golden_optimum_is_the_sum_of_its_parts(name: str, optimum: dict) -> None:
    rho, parts = optimum["rho"], (optimum["fdb_crb_bistatic_m2"], optimum["fdb_crb_monostatic_m2"])
    assert rho * parts[0] + (1 - rho) * parts[1] == pytest.approx(optimum["fdb_objective_m2"], rel=1e-9)
    assert optimum["fdb_objective_m2"] <= optimum["cpa_objective_m2"]
    assert sum(optimum["cpa_power"]) == pytest.approx(1, rel=1e-12)


@every_optimum
def test_certificates_agree_with_the_golden_optima(name: str, optimum: dict) -> None:
    case, rho = case_of(name), optimum["rho"]
    p = cpa_power(case, optimum)
    v = naive_codebook.cpa_covariance(case, p)
    f = naive.objective(case, v, rho)
    assert f == pytest.approx(optimum["cpa_objective_m2"], rel=1e-7)
    assert -1e-9 < naive_codebook.certified_gap_cpa(case, p, rho) < 1e-6
    # On the whole cone the same V bounds the other optimum from below, and only from below.
    gap = naive.certified_gap(case, v, rho)
    assert f / (1 + gap) < optimum["fdb_objective_m2"] < f


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_gradient_is_the_slope_of_the_objective(rho: float) -> None:
    case = case_of("moved-ue-mt12", m=24)
    v, other = covariance(case), naive_codebook.apa_covariance(case)
    slope = central_difference(
        lambda t: np.array(naive.objective(case, v + t[0] * (other - v), rho)), np.zeros(1), [1e-3]
    )
    g = naive.gradient(case, v, rho)
    np.testing.assert_allclose(g, g.conj().T, rtol=0, atol=0)
    assert np.trace(g @ (other - v)).real == pytest.approx(slope[0], rel=1e-8)
    # Degree -1: f(tV) = f(V)/t, so tr(G V) = -f.
    assert np.trace(g @ v).real == pytest.approx(-naive.objective(case, v, rho), rel=1e-9)


def test_equivalent_fim_gives_the_same_bound() -> None:
    case = case_of("paper-k2", m=32)
    fim = naive.position_fim_bistatic(case, covariance(case))
    bound = np.trace(np.linalg.inv(naive.equivalent_fim(fim, [0, 1])))
    assert bound == pytest.approx(naive.crb_bistatic(case, covariance(case)), rel=1e-8)


def test_bounds_are_entries_of_the_same_inverse() -> None:
    case = case_of("paper-k3", m=32)
    v = covariance(case)
    fim = naive.position_fim_bistatic(case, v)
    scale = np.sqrt(np.diag(fim))
    variance = np.diag(np.linalg.inv(fim / np.outer(scale, scale))) / scale**2
    assert naive.crb_bistatic(case, v) == pytest.approx(variance[0] + variance[1], rel=1e-8)
    assert naive.crb_orientation(case, v) == pytest.approx(variance[2], rel=1e-8)
    pairs = variance[3:9].reshape(3, 2).sum(axis=1)
    np.testing.assert_allclose(naive.crb_mapping(case, v), pairs, rtol=1e-8)
    assert naive.crb_clock(case, v) == pytest.approx(variance[9], rel=1e-8)


def test_extended_precision_confirms_a_well_conditioned_gap() -> None:
    case = case_of("moved-ue-mt12", m=40)
    v = naive_codebook.apa_covariance(case)
    extended = naive.extended_precision_gap(case, v, 0.5)
    assert naive.certified_gap(case, v, 0.5) == pytest.approx(extended, rel=1e-9)


def test_extended_precision_is_more_precise() -> None:
    """Degree -1 holds exactly, so tr(G V) + f is rounding alone."""
    case = case_of("paper-k3", m=32)
    v = naive_codebook.apa_covariance(case)
    errors = []
    for real in (np.float64, np.longdouble):
        f, g = naive.objective_and_gradient(replace(case, real=real), v, 0.5)
        errors.append(abs(np.sum(g * v.T).real / f + 1))
    assert errors[0] < 1e-11
    assert errors[1] < 1e-15


def test_without_targets_only_the_sensing_is_identifiable() -> None:
    case = case_of("paper-k3", m=64, targets=[], phase_bp=[0.4], phase_ms=[0.7])
    v = naive_codebook.apa_covariance(case)
    assert naive.conditioning(naive.position_fim_bistatic(case, v)) < 1e-13
    assert naive.conditioning(naive.position_fim_monostatic(case, v)) > 1e-3
    assert naive.objective(case, v, 0.0) == pytest.approx(naive.crb_monostatic(case, v), rel=1e-12)


def test_an_infinite_bound_counts_only_with_its_weight() -> None:
    """One UE antenna sees no angle, so the orientation stays unknown."""
    case = case_of("moved-ue-mt12", m=16, mu=1)
    v = naive_codebook.apa_covariance(case)
    assert naive.crb_bistatic(case, v) == np.inf
    assert naive.objective(case, v, 0.5) == np.inf
    assert np.isnan(naive.certified_gap(case, v, 0.5))
    assert naive.objective(case, v, 0.0) == pytest.approx(naive.crb_monostatic(case, v), rel=1e-12)
    assert naive.certified_gap(case, v, 0.0) > 0


@pytest.mark.parametrize("fim", [np.zeros((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]])])
def test_bounds_of_an_indefinite_fim_are_infinite(fim: Array) -> None:
    assert np.all(np.isinf(naive.inverse(fim)))


@pytest.mark.parametrize("q", [0, 1, 2])
def test_delay_sums_are_entries_of_the_channel_fim(q: int) -> None:
    """One antenna everywhere leaves the delay sums: |alpha|^q times their real parts."""
    case = case_of("paper-k2", m=65, mt=1, mr=1, mu=1)
    v, n = np.eye(1), case.k + 1
    fim = naive.channel_fim_bistatic(case, v) * case.noise_power / (2 * case.pilots)
    g = naive.geometry(case)
    delta = g.delay_bistatic[1] - g.delay_bistatic[0]
    value = naive.delay_sum(q, delta, case.bw, case.m)
    alpha = g.gain_bistatic
    # Parameters Re alpha or tau of paths 1 and 0: their product turns as e^{+j 2 pi m df (tau_1 - tau_0)}.
    expected, entry = {
        0: (value, fim[3 * n + 1, 3 * n]),
        1: (-1j * alpha[0] * value, fim[3 * n + 1, 2 * n]),
        2: (alpha[1].conj() * alpha[0] * value, fim[2 * n + 1, 2 * n]),
    }[q]
    assert entry == pytest.approx(expected.real, rel=1e-9)


def test_codebook_has_unit_columns_along_steering_and_its_derivative() -> None:
    case = case_of("moved-ue-mt12")
    u, theta, h = naive_codebook.codebook(case), naive.geometry(case).aod, 1e-6
    np.testing.assert_allclose(np.linalg.norm(u, axis=0), 1, rtol=1e-13)
    for k in range(case.k + 1):
        a = naive.steering(case.mt, theta[k])
        slope = (naive.steering(case.mt, theta[k] + h) - naive.steering(case.mt, theta[k] - h)) / (2 * h)
        assert np.vdot(a, u[:, 2 * k]).real == pytest.approx(np.linalg.norm(a), rel=1e-12)
        assert np.vdot(slope, u[:, 2 * k + 1]).real == pytest.approx(np.linalg.norm(slope), rel=1e-9)


def test_beampattern_of_one_beam_peaks_at_the_array_gain() -> None:
    a = naive.steering(8, 0.3)
    v = np.outer(a, a.conj()) / 8
    assert naive.beampattern(v, 0.3) == pytest.approx(8, rel=1e-12)
    assert naive.beampattern(v, 0.3 + 1e-2) < 8
