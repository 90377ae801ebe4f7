"""Beampatterns as drawn: the paper's Fig. 2 against a^H V a of a cube's V, and the figure of all schemes."""

import numpy as np
import pytest
import xarray as xr
from crbatch import SCHEMES, Scenario, channel_of, design, fixed_draw
from crbatch.jobs.chunk.knowledge import shared_designs
from crbatch.jobs.finished.report import beams_of, is_the_papers
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.results.figures import beams as beamfigures
from crbatch.results.schemes import label_of
from drawn import legend_of, overlaps, panels, rendered
from job_cases import run_tiny, tiny_job

PAPER_SIX = ["fdb-wcrb", "fdb-wbf", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "cpa-wvm"]
ANGLES_DEG = np.linspace(-90.0, 90.0, 361)
PANELS = ["(a) BP-FDB", "(b) BP-CPA", "(c) BP-APA", "(d) MS-FDB", "(e) MS-CPA", "(f) MS-APA"]


def pattern_of(schemes=SCHEMES, rho=(0.0, 0.5, 1.0)):
    """Beampatterns and path angles of the paper's scenario with zero phases."""
    scenario = Scenario()
    draws = fixed_draw(scenario)
    designs = design(scenario, draws, schemes, rho)
    theta = np.radians(ANGLES_DEG)
    pattern = xr.DataArray(
        [[designs.beampattern(scheme, weight, theta)[0] for weight in rho] for scheme in schemes],
        dims=("scheme", "rho", "angle_deg"),
        coords={"scheme": list(schemes), "rho": list(rho), "angle_deg": ANGLES_DEG},
    )
    return pattern, dict(zip(("UE", "T1", "T2", "T3"), np.degrees(channel_of(scenario, draws).aod[0]), strict=True))


def papers_job(**changes):
    """The packaged job with two draws, three weights and all of V and W kept."""
    job = load_job("paper").resolved()
    job["draws"]["count"] = 2
    job["design"]["rho"] = [0.0, 0.5, 1.0]
    job["output"]["keep"] = ["covariance", "beamformers", "beam_gain"]
    for section, values in changes.items():
        job[section] = job[section] | values
    return job


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """Cube of the paper's experiment, and its beams."""
    place = tmp_path_factory.mktemp("paper") / "run"
    job = JobFile.model_validate(papers_job())
    run_tiny(place, job)
    with xr.open_dataset(place / "cube.nc") as cube:
        yield cube.load(), beams_of(job, 0)


def drawn_dots(axes):
    (line,) = [line for line in axes.lines if line.get_label() == "paths"]
    return np.array(line.get_data())


def test_fig_2_is_the_papers_and_its_dots_are_those_of_the_cubes_covariances(paper):
    cube, beams = paper
    figure = beamfigures.paper_beampatterns(beams)
    assert [axes.get_title() for axes in panels(figure)] == PANELS
    last = cube.isel(targets=-1, draw=0)
    power = 1e-5 / 1024  # -20 dBm over the subcarriers, W
    place = np.arange(16) - 7.5
    where = [(scheme, rho) for rho in (1.0, 0.0) for scheme in ("fdb-wcrb", "cpa-wcrb", "apa")]
    for axes, (scheme, rho) in zip(panels(figure), where, strict=True):
        angle, level = drawn_dots(axes)
        v = last["covariance"].sel(scheme=scheme, rho=rho).values
        v = v[..., 0] + 1j * v[..., 1]
        targets = last["target_position"].values
        bearing = [np.arctan2(*xy[::-1]) - np.pi / 2 for xy in (last["ue_position"].values, *targets)]
        np.testing.assert_allclose(np.radians(angle), bearing, atol=1e-12)
        towards = np.exp(1j * np.pi * place * np.sin(bearing)[:, None])
        direct = np.einsum("ki,ij,kj->k", towards.conj(), v, towards).real / power
        np.testing.assert_allclose(10.0 ** (level / 10.0), direct, rtol=1e-12)
        np.testing.assert_allclose(last["beam_gain"].sel(scheme=scheme, rho=rho).values, direct, rtol=1e-12)
        assert [text.get_text() for text in axes.texts] == ["T2", "T3", "UE", "T1"]


def test_gains_of_shared_beams_are_those_of_all_of_v(tmp_path):
    job = tiny_job(
        scenario={"tx_antennas": 12},
        draws={"count": 2},
        design={"knowledge": "nominal"},
        output={"keep": ["beam_gain"]},
    )
    run_tiny(tmp_path / "run", job)
    _, scenario = job.sweep_points()[0]
    shared = shared_designs(job, scenario, "nominal")
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube:
        bearing = [np.arctan2(*xy[::-1]) - np.pi / 2 for xy in (scenario.ue_position_m, *scenario.target_positions_m)]
        towards = np.exp(1j * np.pi * (np.arange(12) - 5.5) * np.sin(bearing)[:, None])
        direct = np.einsum("ki,srij,kj->srk", towards.conj(), shared.covariance, towards).real
        found = cube["beam_gain"].isel(draw=1).values * scenario.power_per_subcarrier_w
        np.testing.assert_allclose(found, direct, rtol=1e-11)


def test_equal_powers_make_equal_panels(paper):
    axes = panels(beamfigures.paper_beampatterns(paper[1]))
    for bp, ms in zip(axes[2].lines, axes[5].lines, strict=True):
        np.testing.assert_array_equal(np.array(bp.get_data()), np.array(ms.get_data()))
    assert not np.array_equal(drawn_dots(axes[0]), drawn_dots(axes[3]))


def test_thin_lines_are_the_columns_of_the_cubes_beamformers(paper):
    cube, beams = paper
    w = cube["beamformers"].isel(targets=-1, draw=0).sel(scheme="fdb-wcrb", rho=1.0).values
    w = w[..., 0] + 1j * w[..., 1]
    theta = np.radians(beams["angle_deg"].values)
    towards = np.exp(-1j * np.pi * np.sin(theta)[:, None] * (np.arange(16) - 7.5))
    expected = np.abs(towards @ w) ** 2 / (1e-5 / 1024)
    found = beams["slot"].sel(scheme="fdb-wcrb", rho=1.0).transpose("angle_deg", "beam").values
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    total = beams["total"].sel(scheme="fdb-wcrb", rho=1.0).values
    np.testing.assert_allclose(found.sum(axis=1), total, rtol=1e-9)
    axes = panels(beamfigures.paper_beampatterns(beams))[0]
    thin = [line for line in axes.lines if line.get_linewidth() == 0.45]
    assert len(thin) == 16
    np.testing.assert_allclose(thin[0].get_ydata(), 10 * np.log10(np.maximum(found[:, 0], 1e-8)), atol=1e-9)


def test_texts_of_both_figures_stay_on_the_page_and_apart(paper):
    for figure in (beamfigures.paper_beampatterns(paper[1]), beamfigures.beampatterns(*pattern_of(PAPER_SIX))):
        assert overlaps(rendered(figure)) == ([], [])


@pytest.mark.parametrize(
    ("changes", "the_papers"),
    [
        ({}, True),
        ({"draws": {"seed": 1}}, True),
        ({"design": {"wbf_factor": "eigen"}}, True),
        ({"scenario": {"tx_antennas": 8}}, False),
        ({"scenario": {"gain_law": "as-printed"}}, False),
        ({"draws": {"rcs": "swerling1"}}, False),
        ({"sweep": {"targets": [3]}}, False),
        ({"design": {"rho": [0.0, 0.5]}}, False),
        ({"design": {"schemes": ["fdb-wcrb", "cpa-wcrb", "apa"]}}, False),
    ],
)
def test_which_jobs_are_the_papers_experiment(changes, the_papers):
    assert is_the_papers(JobFile.model_validate(papers_job(**changes) | {"name": "other"})) is the_papers


def test_no_other_job_calls_its_figures_the_papers(tmp_path):
    run_tiny(tmp_path / "run", tiny_job(design={"wbf_factor": "svd"}), report=True)
    names = {path.name for path in (tmp_path / "run" / "report").iterdir()}
    assert {"beampatterns.png", "tradeoff.png"} < names
    assert not any(name.startswith("fig") for name in names)
    page = (tmp_path / "run" / "report" / "report.html").read_text()
    assert "Fig." not in page
    assert "<dt>FDB-WBF mixes</dt><dd>singular vectors of V, at random phases" in page


def test_beampatterns_have_a_panel_for_each_scheme():
    pattern, aod = pattern_of(PAPER_SIX[::-1])
    figure = beamfigures.beampatterns(pattern, aod)
    assert [axes.get_title() for axes in panels(figure)] == [
        f"({letter}) {label_of(scheme)}" for letter, scheme in zip("abcdef", PAPER_SIX, strict=True)
    ]
    assert legend_of(figure) == [r"$\rho = 0$", r"$\rho = 0.5$", r"$\rho = 1$"]
    strongest = pattern.values.max()
    for axes, scheme in zip(panels(figure), PAPER_SIX, strict=True):
        curves = [np.array(line.get_data()) for line in axes.lines if len(line.get_xdata()) == ANGLES_DEG.size]
        assert len(curves) == 3
        for (x, y), rho in zip(curves, (0.0, 0.5, 1.0), strict=True):
            np.testing.assert_array_equal(x, ANGLES_DEG)
            np.testing.assert_allclose(y, 10 * np.log10(pattern.sel(scheme=scheme, rho=rho) / strongest), atol=1e-9)
        assert axes.get_xlim() == (-90, 90)


def test_beampatterns_mark_every_path():
    pattern, aod = pattern_of(["fdb-wcrb"])
    (axes,) = panels(beamfigures.beampatterns(pattern, aod))
    marks = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 2}
    assert marks == set(aod.values())
    assert {text.get_text(): text.get_position()[0] for text in axes.texts} == pytest.approx(aod)


def test_paths_on_neighbouring_bearings_share_a_name():
    pattern, _ = pattern_of(["apa"])
    (axes,) = panels(beamfigures.beampatterns(pattern, {"UE": 10.0, "T1": 40.0, "T2": 4.0, "T3": 5.0}))
    assert {text.get_text(): text.get_position()[0] for text in axes.texts} == {"T2,T3,UE": 7.0, "T1": 40.0}


def test_beampatterns_take_what_the_cube_has():
    pattern, aod = pattern_of(SCHEMES, (0.1, 0.2))
    figure = beamfigures.beampatterns(pattern, aod)
    assert [axes.get_title()[4:] for axes in panels(figure)][6:] == ["FDB-WBF (aligned)", "APA"]
    assert legend_of(figure) == [r"$\rho = 0.1$", r"$\rho = 0.2$"]
    assert [bool(axes.get_xlabel()) for axes in panels(figure)] == [False] * 5 + [True] * 3


def test_a_null_and_an_absent_design_do_not_break_a_panel():
    pattern, aod = pattern_of(["fdb-wcrb", "apa"])
    pattern[0, 0, 5] = 0.0
    pattern[0, 1] = np.nan
    for axes in panels(beamfigures.beampatterns(pattern, aod)):
        assert axes.get_ylim() == (-35.0, 2.0)
