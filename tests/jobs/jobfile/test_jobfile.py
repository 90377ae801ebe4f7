import hashlib
import json
import tomllib

import numpy as np
import pytest
from crbatch.engine.scenario import Scenario
from crbatch.jobs.jobfile.design import DEFAULT_SCHEMES, RhoRange
from crbatch.jobs.jobfile.packaged import packaged_jobs, packaged_text
from crbatch.jobs.jobfile.schema import JobError, JobFile, load_job
from crbatch.jobs.jobfile.sweeps import SWEEPABLE
from hypothesis import given
from hypothesis import strategies as st

HEAD = 'schema = 1\nname = "a"\n'
PHASES = "phases_bistatic_rad = [0, 1, 2, 3]\nphases_monostatic_rad = [4, 5, 6, 7]\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, head=HEAD):
        (tmp_path / "my.toml").write_text(head + text)
        return "my.toml"

    return write


def job(**sections):
    return JobFile.model_validate({"schema": 1, "name": "a"} | sections)


def test_defaults(write):
    loaded = load_job(write(""))
    assert loaded.scenario == Scenario()
    assert (loaded.draws.count, loaded.draws.seed, loaded.draws.phases) == (1000, 2025, "uniform")
    assert loaded.design.schemes == DEFAULT_SCHEMES
    assert DEFAULT_SCHEMES == ("fdb-wcrb", "fdb-wbf", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "cpa-wvm", "apa")
    assert loaded.design.rho == tuple(i / 20 for i in range(21))
    assert (loaded.design.gap_tolerance, loaded.design.recovery) == (1e-6, "eigen")
    assert (loaded.design.wbf_factor, loaded.design.custom, loaded.custom_path) == ("sqrt", None, None)
    assert loaded.output.keep == ()
    assert loaded.sweep_points() == [((), Scenario())]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "a\n", "é", "x" * 65, "a\u0000"])
def test_unsafe_names(name):
    with pytest.raises(ValueError, match="safe name"):
        job(name=name)


def test_files_that_cannot_be_read(tmp_path, write):
    with pytest.raises(JobError, match=r"^gone\.toml: no such file; .*packaged job \(antennas, .*, drops, .*, space\)"):
        load_job("gone.toml")
    with pytest.raises(JobError, match="a folder, not a job file"):
        load_job(tmp_path)
    path = tmp_path / write("")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(JobError, match="no UTF-8 text, and so no job file"):
        load_job(path)


@given(num=st.integers(2, 200), ends=st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True))
def test_rho_range(num, ends):
    start, stop = sorted(ends)
    values = RhoRange(start=start, stop=stop, num=num).values()
    assert (values[0], values[-1], len(values)) == (start, stop, num)
    np.testing.assert_allclose(values, np.linspace(start, stop, num), rtol=0, atol=1e-15)
    assert all(0 <= value <= 1 for value in values)


def test_rho_as_list_and_as_range_are_one_job():
    assert (
        job(design={"rho": [0, 0.25, 0.5, 0.75, 1]}).key()
        == job(design={"rho": {"start": 0, "stop": 1, "num": 5}}).key()
    )


def test_sweep_is_cartesian_in_file_order(write):
    loaded = load_job(write("[sweep]\ntx_antennas = [8, 32]\ntargets = [3, 0, 2]\npower_dbm = [-20]\n"))
    assert list(loaded.sweep) == ["tx_antennas", "targets", "power_dbm"]
    points = loaded.sweep_points()
    assert [index for index, _ in points] == [(i, j, 0) for i in range(2) for j in range(3)]
    expected = [Scenario(tx_antennas=m).with_targets(k) for m in (8, 32) for k in (3, 0, 2)]
    assert [scenario for _, scenario in points] == expected
    # Values have the scenario's types, whatever the file's.
    assert type(loaded.sweep["power_dbm"][0]) is float
    assert type(loaded.sweep["tx_antennas"][0]) is int


def test_what_can_be_swept():
    """Every key of one number or word, targets, arrays' sizes, priors; one RCS for all targets is a number."""
    sizes = ("antennas", "spacing", "rows", "columns", "row_spacing", "column_spacing", "radius")
    arrays = {f"{array}.{size}" for array in ("tx_array", "rx_array", "ue_array") for size in sizes}
    priors = {f"prior.{name}" for name in ("ue_position_m", "target_position_m", "orientation_deg", "clock_s")}
    assert set(SWEEPABLE) == arrays | priors | {
        *("carrier_hz", "bandwidth_hz", "subcarriers", "slots", "pilots_per_slot", "power_dbm"),
        *("noise_figure_db", "noise_psd_dbm_hz", "tx_antennas", "rx_antennas", "ue_antennas"),
        *("bs_broadside_deg", "ue_orientation_deg", "clock_bias_s", "target_rcs_m2", "ue_rcs_m2", "targets"),
        *("gain_law", "ue_angle", "phase_centre"),
        *("bs_downtilt_deg", "bs_slant_deg", "ue_downtilt_deg", "ue_slant_deg"),
    }
    for key in set(SWEEPABLE) - arrays - priors:
        value = getattr(Scenario(), key)
        value = 100.0 if key == "target_rcs_m2" else value
        assert job(sweep={key: [value]}).sweep_points() == [((0,), Scenario())], key


def test_points_that_fit_only_together():
    with pytest.raises(ValueError, match="not below carrier_hz"):
        job(sweep={"carrier_hz": [1e6, 28e9]})
    assert len(job(sweep={"carrier_hz": [1e6, 28e9], "bandwidth_hz": [1e5, 2e5]}).sweep_points()) == 4


def test_fixed_phases_are_swept_with_the_targets(write):
    loaded = load_job(write(f'[draws]\nphases = "fixed"\n{PHASES}[sweep]\ntargets = [1, 3]\n'))
    assert loaded.draws.phases_bistatic_rad == (0.0, 1.0, 2.0, 3.0)


def test_resolved_is_plain_and_reads_back(write, tmp_path):
    text = (
        '[scenario]\ntarget_rcs_m2 = [1, 2, 3]\n[draws]\nrcs = "swerling1"\n'
        'ue_position = { kind = "disc", centre_m = [0, 18], radius_m = 3 }\n'
        '[sweep]\ntx_antennas = [32, 8]\nslots = [3]\n[output]\nkeep = ["power"]\n'
    )
    first = load_job(write(text))
    assert json.loads(json.dumps(first.resolved())) == first.resolved()
    assert first.resolved()["scenario"]["target_rcs_m2"] == [1.0, 2.0, 3.0]
    (tmp_path / "again.toml").write_text(first.to_toml())
    again = load_job(tmp_path / "again.toml")
    assert again.canonical() == first.canonical()
    assert list(again.sweep) == list(first.sweep)
    assert json.loads(first.canonical()) == first.resolved()
    assert " " not in first.canonical()
    sections = json.loads(first.canonical())
    assert list(sections) == sorted(sections)
    assert list(sections["scenario"]) == sorted(sections["scenario"])


def test_key_is_of_the_results_only():
    base = job()
    assert base.key() == job(name="b", draws={"count": 3}).key()
    assert base.key() == job(scenario={"power_dbm": -20}, design={"recovery": "eigen"}).key()
    assert len(base.key()) == 64
    changed = [
        job(scenario={"slots": 15}),
        job(draws={"seed": 1}),
        job(draws={"rcs": "swerling1"}),
        job(design={"gap_tolerance": 1e-5}),
        job(design={"schemes": ["apa"]}),
        job(output={"keep": ["power"]}),
        job(sweep={"slots": [8], "tx_antennas": [8]}),
        job(sweep={"tx_antennas": [8], "slots": [8]}),  # other order, other dimensions
    ]
    assert len({base.key(), *(one.key() for one in changed)}) == 1 + len(changed)


def test_custom_beams_count_by_their_bytes(write, tmp_path):
    beams = tmp_path / "beams.npy"
    np.save(beams, np.eye(16, dtype=complex))
    first = load_job(write('[design]\ncustom = "beams.npy"\n'))
    assert first.design.schemes == (*DEFAULT_SCHEMES, "custom")
    assert first.custom_path is not None
    assert first.custom_path.read_bytes() == beams.read_bytes()
    # Another path to the same bytes is the same job; other bytes are not.
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "job.toml").write_text(HEAD + '[design]\ncustom = "../beams.npy"\n')
    key = first.key()
    assert load_job(tmp_path / "sub" / "job.toml").key() == key
    assert load_job(write("")).key() != key
    np.save(beams, 2 * np.eye(16, dtype=complex))
    assert load_job(write('[design]\ncustom = "beams.npy"\n')).key() != key
    assert first.key() == key  # the job stays what it was when its file was first looked at
    digest = hashlib.sha256(beams.read_bytes()).hexdigest()
    assert digest not in first.canonical()


def test_custom_keeps_its_listed_place(write, tmp_path):
    (tmp_path / "beams.npy").write_bytes(b"any")
    loaded = load_job(write('[design]\nschemes = ["custom", "apa"]\ncustom = "beams.npy"\n'))
    assert loaded.design.schemes == ("custom", "apa")


def test_packaged_jobs():
    jobs = {name: load_job(name) for name in packaged_jobs()}
    assert list(jobs) == [
        "antennas",
        "conventions",
        "drops",
        "estimator",
        "fusion",
        "knowledge",
        "narrowband",
        "paper",
        "phases",
        "power",
        "smoke",
        "space",
    ]
    assert all(loaded.name == name for name, loaded in jobs.items())
    assert all(line and not line.startswith("#") for line in packaged_jobs().values())
    expected = {"drops": 1000, "paper": 100, "phases": 10_000, "smoke": 8}
    assert {name: jobs[name].draws.count for name in expected} == expected
    assert [len(jobs[name].design.rho) for name in expected] == [21, 21, 21, 5]
    assert [len(jobs[name].design.schemes) for name in expected] == [7, 11, 7, 8]
    assert jobs["paper"].sweep == {"targets": (2, 3)}
    assert all(jobs[name].scenario == Scenario() for name in expected)
    drops = jobs["drops"].draws
    assert (drops.rcs, drops.ue_orientation) == ("swerling1", "uniform")
    assert drops.ue_position == drops.target_positions
    assert drops.ue_position.model_dump() == {"kind": "box", "x_m": (-15.0, 15.0), "y_m": (5.0, 25.0)}


def test_a_packaged_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "smoke").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_job("smoke").name == "smoke"
    with pytest.raises(JobError, match="a folder, not a job file"):
        load_job("./smoke")


def test_template_spells_out_every_default(write):
    text = packaged_text("template")
    assert load_job(write(text, head="")).canonical() == job(name="example").canonical()
    written = tomllib.loads(text)
    resolved = job().resolved()
    assert set(written) == set(resolved)
    for section in ("scenario", "draws", "design", "output"):
        assert set(written[section]) == set(resolved[section]), section


def test_commented_lines_of_the_template_are_valid(write, tmp_path):
    (tmp_path / "beams.npy").write_bytes(b"any")
    (tmp_path / "drops.csv").write_text("ue_x_m,ue_y_m,power_dbm\n-5,20,-3\n")
    text = packaged_text("template").replace('phases = "uniform"', 'phases = "fixed"')
    _, *lines = text.splitlines()
    switched_on = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    with pytest.raises(JobError, match="sweep of tx_antennas"):
        load_job(write(switched_on, head=""))
    loaded = load_job(write(switched_on.replace("tx_antennas = [8, 16, 32]", ""), head=""))
    assert loaded.sweep == {"gain_law": ("radar-equation", "as-printed"), "targets": (2, 3)}
    assert loaded.draws.phases_monostatic_rad == (0.0,) * 4
    assert loaded.design.schemes[-1] == "custom"
    assert loaded.draws.until is not None
    assert loaded.draws.file == "drops.csv"
