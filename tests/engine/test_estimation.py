"""The estimator: its likelihood is that of the model, its errors meet the bound, its noise has addresses."""

from pathlib import Path

import numpy as np
import pytest
from crbatch import DrawModel, Draws, Scenario, channel_matrix, design, position_fim, sample
from crbatch.engine import estimation as est
from crbatch.engine.addresses import Purpose, pairs_of_words
from crbatch.engine.channel import geometry_of
from crbatch.engine.kernels.model import likelihood as kernels
from crbatch.engine.turns import turned
from crbatch.results.accessor import open_cube
from job_cases import digests, run_tiny, tiny_job

SCENARIO = Scenario(
    subcarriers=12,
    tx_antennas=8,
    ue_antennas=6,
    rx_antennas=7,
    power_dbm=0.0,
    target_positions_m=[(-10.0, 15.0), (5.0, 15.0)],
)
DRAWS = sample(SCENARIO, DrawModel(), 9, 0, 5)
LINKS = [(est._bistatic, est._moved_bistatic, 2), (est._monostatic, est._moved_monostatic, 6)]


def truth(draws: Draws = DRAWS, scenario: Scenario = SCENARIO) -> est._State:
    channel = est.channel_of(scenario, draws)
    return est._State(draws, np.full(len(draws), scenario.clock_bias_s), channel.gain_bistatic, channel.gain_monostatic)


def factors(batch: int = len(DRAWS), columns: int = 3, antennas: int = 8) -> np.ndarray:
    z = np.random.default_rng(2).standard_normal((2, batch, antennas, columns))
    return 1e-5 * (z[0] + 1j * z[1])


def observed(link_of, state):  # type: ignore[no-untyped-def]
    link = link_of(SCENARIO, state)
    return link, est._mean(link, factors())


@pytest.mark.parametrize(("link_of", "moved", "keep"), LINKS)
def test_the_mean_is_the_channel_times_the_beams(link_of, moved, keep) -> None:  # type: ignore[no-untyped-def]
    link, mean = observed(link_of, truth())
    expected = channel_matrix(link) @ factors()[:, None]
    np.testing.assert_allclose(mean, expected, rtol=1e-11, atol=1e-13 * abs(expected).max())


@pytest.mark.parametrize(("link_of", "moved", "keep"), LINKS)
def test_the_score_is_the_slope_of_the_likelihood(link_of, moved, keep) -> None:  # type: ignore[no-untyped-def]
    state = truth()
    link, mean = observed(link_of, state)
    seen = mean + est._noise(link, factors(), (1, 0, Purpose.NOISE_BISTATIC))
    fim = position_fim(link, est.covariance_of(factors()))
    found = kernels.score(
        link.pattern, link.coef, link.delay, link.spacing_hz, link.rx_columns, link.tx_columns, factors(), seen - mean,
        link.scale,
    )  # fmt: skip
    slope = np.einsum("bpi,bp->bi", link.jacobian, found)
    for i in range(fim.shape[1]):
        size = 1e-4 / np.sqrt(fim[:, i, i])  # of a standard deviation
        step = np.zeros((len(DRAWS), fim.shape[1]))
        step[:, i] = size
        up, down = (
            kernels.squared_length(seen - observed(link_of, moved(SCENARIO, state, sign * step))[1], link.scale)
            for sign in (1, -1)
        )
        numeric = -(up - down) / (2.0 * size)
        np.testing.assert_allclose(numeric / np.sqrt(fim[:, i, i]), slope[:, i] / np.sqrt(fim[:, i, i]), atol=2e-4)


@pytest.mark.parametrize(("link_of", "moved", "keep"), LINKS)
def test_nees_is_in_the_metric_of_the_bound(link_of, moved, keep) -> None:  # type: ignore[no-untyped-def]
    fim = position_fim(link_of(SCENARIO, truth()), est.covariance_of(factors()))
    error = np.random.default_rng(3).standard_normal((len(DRAWS), keep))
    scale = 1.0 / np.sqrt(np.einsum("bii->bi", fim))
    inverse = np.linalg.inv(fim * scale[:, :, None] * scale[:, None, :]) * scale[:, :, None] * scale[:, None, :]
    block = inverse[:, :keep, :keep]
    expected = np.einsum("bi,bi->b", error, np.linalg.solve(block, error[..., None])[..., 0]) / keep
    np.testing.assert_allclose(kernels.normalised_error(fim, error), expected, rtol=1e-6)


def test_noise_is_normal_and_more_of_it_leaves_the_first_alone() -> None:
    some, more = (
        pairs_of_words(4, Purpose.NOISE_BISTATIC, 7, 1000),
        pairs_of_words(4, Purpose.NOISE_BISTATIC, 7, 40_000),
    )
    np.testing.assert_array_equal(some, more[:1000])
    assert not (pairs_of_words(4, Purpose.NOISE_MONOSTATIC, 7, 1000) == some).any()
    assert not (pairs_of_words(4, Purpose.NOISE_BISTATIC, 8, 1000) == some).any()
    noise = kernels.normals(more)
    parts = np.concatenate((noise.real, noise.imag)) * np.sqrt(2.0)
    assert abs(parts.mean()) < 4.0 / np.sqrt(parts.size)
    assert abs(parts.var() - 1.0) < 4.0 * np.sqrt(2.0 / parts.size)
    assert abs((parts**4).mean() - 3.0) < 4.0 * np.sqrt(96.0 / parts.size)


def test_an_error_does_not_depend_on_the_batch() -> None:
    whole = est.estimate(SCENARIO, DRAWS, factors(), 1, 10)
    part = est.estimate(SCENARIO, DRAWS[2:4], factors()[2:4], 1, 12)
    for name in ("bistatic", "monostatic", "nees_bistatic", "nees_monostatic"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[2:4])


def test_errors_meet_the_bound_at_high_power() -> None:
    scenario = SCENARIO.replace(power_dbm=20.0)
    draws = sample(scenario, DrawModel(), 9, 0, 400)
    found = design(scenario, draws, ["apa"], 0.5)
    values, vectors = np.linalg.eigh(found.beam_covariance("apa", 0.5))
    w = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    errors = est.estimate(scenario, draws, w[:, :, -6:], 1, 0)
    for error, bound in ((errors.bistatic, found.crb_bp), (errors.monostatic, found.crb_ms)):
        ratio = error / bound[:, 0, 0]
        assert np.isfinite(ratio).all()
        assert abs(ratio.mean() - 1.0) < 4.0 * ratio.std() / 20.0
    for nees, size in ((errors.nees_bistatic, 2), (errors.nees_monostatic, 6)):
        assert abs(nees.mean() - 1.0) < 4.0 * np.sqrt(2.0 / size) / 20.0


def test_a_job_keeps_errors_whatever_its_chunks(tmp_path: Path) -> None:
    job = tiny_job(
        output={"keep": ["errors"]},
        design={"schemes": ["fdb-wcrb", "apa"], "rho": [0.5]},
        scenario={"subcarriers": 8, "power_dbm": 0.0},
    )
    run_tiny(tmp_path / "a", job, chunk=6)
    run_tiny(tmp_path / "b", job, chunk=4)
    assert digests(tmp_path / "a")["cube.nc"] == digests(tmp_path / "b")["cube.nc"]
    with open_cube(tmp_path / "a") as cube:
        for link in ("bp", "ms"):
            ratio = cube[f"error_{link}"] / cube[f"crb_{link}"]
            assert (ratio > 0.0).all()
            assert 0.05 < ratio.mean() < 5.0
            assert (cube[f"nees_{link}"] > 0.0).all()


SPACE = Scenario(
    subcarriers=12,
    bs_position_m=(0, 0, 8),
    bs_downtilt_deg=10.0,
    ue_position_m=(-5, 20, 1.5),
    ue_downtilt_deg=5.0,
    target_positions_m=((-10, 15, 1), (5, 15, 3)),
    tx_array={"kind": "upa", "rows": 4, "columns": 4},
    rx_array={"kind": "upa", "rows": 3, "columns": 3},
    ue_array={"kind": "upa", "rows": 2, "columns": 3},
)
PRIOR = {"ue_position_m": 0.05, "target_position_m": 0.1, "orientation_deg": 1.0, "clock_s": 1e-10}


@pytest.mark.parametrize(
    ("scenario", "power_dbm"),
    [
        (SPACE, 30.0),
        (SPACE, 40.0),
        (SPACE.replace(ue_array={"kind": "ula", "antennas": 6}), 40.0),
        (SPACE.replace(known=["clock", "orientation"]), 20.0),
        (SPACE.replace(known=["clock", "orientation"], line_of_sight=False), 30.0),
        (SPACE.replace(prior=PRIOR), 10.0),
        (SCENARIO.replace(prior=PRIOR), -10.0),
        (SCENARIO.replace(prior=PRIOR), 0.0),
        (SCENARIO.replace(known=["targets", "clock"]), 20.0),
    ],
    ids=["space", "more power", "linear", "known", "blocked", "prior", "plane", "plane, more power", "plane, known"],
)
def test_errors_meet_the_bound_whatever_is_known(scenario: Scenario, power_dbm: float) -> None:
    """99.9 % of the mean squared errors and of the NEES are within these limits, were they the bound's."""
    scenario = scenario.replace(power_dbm=power_dbm)
    trials = 300
    draws = sample(scenario, DrawModel(), 4, 0, trials)
    beams = design(scenario, draws, "apa", 0.5)
    w = beams.problem.expand_factor(beams.problem.codeword_factors(beams.powers[:, 0, :1]))[:, 0]
    errors = est.estimate(scenario, draws, w, 8, 0)
    dims = scenario.dimensions
    for name, size in (("bistatic", dims), ("monostatic", dims * (scenario.targets + 1))):
        nees = getattr(errors, f"nees_{name}")
        assert np.isfinite(nees).all()
        assert abs(nees.mean() - 1.0) < 3.3 * np.sqrt(2.0 / (size * trials)), name
        bound = {"bistatic": beams.crb_bp, "monostatic": beams.crb_ms}[name][:, 0, 0]
        ratio = getattr(errors, name) / bound
        assert abs(ratio.mean() - 1.0) < 3.3 * ratio.std() / np.sqrt(trials), name


def test_an_orientation_in_space_is_moved_by_its_rotation_vector() -> None:
    """A small turn about an axis of the scene, as the matrices say; and back again."""
    draws = sample(SPACE, DrawModel(), 4, 0, 3)
    turn = 1e-3 * np.random.default_rng(1).standard_normal((3, 3))
    moved = turned(SPACE, draws, turn)
    before, after = (geometry_of(SPACE, each)[1].ue_rotation for each in (draws, moved))
    cross = np.array([[[0, -z, y], [z, 0, -x], [-y, x, 0]] for x, y, z in turn])
    np.testing.assert_allclose(after, before + cross @ before + 0.5 * cross @ cross @ before, atol=1e-8)
    back = geometry_of(SPACE, turned(SPACE, moved, -turn))[1].ue_rotation
    np.testing.assert_allclose(back, before, atol=1e-14)
