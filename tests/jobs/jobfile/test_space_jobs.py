"""Job files in space: arrays by kind or by file, sweeps of their sizes, what is known, files of draws with heights."""

import json
import math
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from crbatch.engine.antennas import Elements, Ula, Upa
from crbatch.engine.scenario import Prior, Scenario
from crbatch.jobs.chunk.draws import check_draws, draws_of
from crbatch.jobs.drops import read_drops
from crbatch.jobs.errors import UsageProblem
from crbatch.jobs.jobfile.packaged import packaged_text
from crbatch.jobs.jobfile.schema import JobError, JobFile, load_job, parse_job
from scipy.io import savemat

HEAD = 'schema = 1\nname = "a"\n'
SPACE = (
    "[scenario]\nbs_position_m = [0, 0, 10]\nue_position_m = [-5, 20, 1.5]\n"
    "target_positions_m = [[-10, 15, 1], [5, 15, 2]]\n"
)
UPA = 'tx_array = { kind = "upa", rows = 4, columns = 8 }\n'


def loaded(folder: Path, text: str) -> JobFile:
    (folder / "my.toml").write_text(HEAD + text)
    return load_job(folder / "my.toml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(JobError) as caught:
        loaded(folder, text)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    return said.removeprefix(f"{folder / 'my.toml'}: ")


def test_the_identity_of_jobs_in_the_plane_is_kept() -> None:
    """Recorded before there was space; a change here orphans every run in the plane."""
    keys = {name: load_job(name).key() for name in ("drops", "antennas")}
    assert keys == {
        "drops": "5504405c2d6fef4e04007c928b3a0e5aab754c37133962eb66175c8d7e4d634a",
        "antennas": "da1a46559fa3f08f9759caac483d070afe6c7e0249bb64f8f1964a73a8843975",
    }


def test_every_key_of_space(tmp_path: Path) -> None:
    text = (
        f"{SPACE}{UPA}bs_downtilt_deg = 10\nue_slant_deg = -5.0\nline_of_sight = false\n"
        'known = ["orientation", "clock"]\nue_array = { kind = "uca", antennas = 6, radius = 1 }\n'
        "[scenario.prior]\nue_position_m = 0.3\ntarget_position_m = 2\n"
        '[draws]\nue_position = { kind = "box", x_m = [-9, 9], y_m = [9, 19], z_m = 1.5 }\n'
        'ue_orientation = "uniform-3d"\n'
        'target_positions = { kind = "disc", centre_m = [0, 18], radius_m = 3, height_m = [1, 4] }\n'
    )
    job = loaded(tmp_path, text)
    s = job.scenario
    assert (s.dimensions, s.tx_antennas, s.ue_antennas, s.line_of_sight) == (3, 32, 6, False)
    assert (s.known, s.prior) == (("clock", "orientation"), Prior(ue_position_m=0.3, target_position_m=2.0))
    (tmp_path / "again.toml").write_text(job.to_toml())
    again = load_job(tmp_path / "again.toml")
    assert (again.scenario, again.draws, again.key()) == (s, job.draws, job.key())
    assert parse_job(job.canonical(), tmp_path).canonical() == job.canonical()
    assert json.loads(job.canonical()) == job.resolved()


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("bs_downtilt_deg", "bs_downtilt_deg = 1\n"),
        ("known", 'known = ["clock"]\n'),
        ("line_of_sight", "line_of_sight = false\n"),
        ("prior", "prior = { clock_s = 1e-9 }\n"),
        ("tx_array", UPA),
    ],
)
def test_what_is_said_is_part_of_the_identity(tmp_path: Path, key: str, changed: str) -> None:
    base, other = loaded(tmp_path, SPACE), loaded(tmp_path, SPACE + changed)
    assert other.key() != base.key()
    assert set(other.resolved()["scenario"]) - set(base.resolved()["scenario"]) == {key}


ROWS = [[0.0, -0.75, 0.1], [0.0, -0.25, 0.2], [0.5, 0.25, 0.3]]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n0,-0.75,0.1\n0,-0.25,0.2\n0.5,0.25,0.3\n",
        "\ufeffX; Y; Z\r\n0;-0.75;0.1\r\n0;-0.25;0.2\r\n0.5;0.25;0.3\r\n",
        "# x y z, in wavelengths\n0 -7.5e-1 .1\n\n0 -0.25 0.2\n# the last one\n0.5 0.25 0.3",
        "0\t-0.75\t0.1\n0\t-0.25\t0.2\n0.5\t0.25\t0.3\n",
    ],
)
def test_arrays_by_a_file_of_their_elements(tmp_path: Path, text: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "array.csv").write_text(text)
    job = loaded(tmp_path, f'{SPACE}ue_array = {{ kind = "elements", file = "sub/array.csv" }}\n')
    assert job.scenario.ue_array == Elements(positions=ROWS)
    # The job has the elements themselves, and needs the file no more.
    assert job.resolved()["scenario"]["ue_array"] == {"kind": "elements", "positions": ROWS}
    assert job.files == {}
    assert job.key() == loaded(tmp_path, f'{SPACE}ue_array = {{ kind = "elements", positions = {ROWS} }}\n').key()


def test_a_file_may_lie_in_the_plane(tmp_path: Path) -> None:
    (tmp_path / "array.csv").write_text("x,y\n0,0\n0,0.5\n")
    job = loaded(tmp_path, '[scenario]\nrx_array = { kind = "elements", file = "array.csv" }\n')
    assert job.scenario.receiver == Elements(positions=[[0, 0], [0, 0.5]])
    assert job.scenario.rx_antennas == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x,y,z\n0,0,0\n0,a,1\n", "line 3: 'a' is refused; it should be a number"),
        ("x,y,z\n0,0,0\n0,1\n", "line 3 has 2 cells; give x, y, z in each, or x, y in each"),
        ("0\n1\n", "line 1 has 1 cell; give x, y, z in each"),
        ("0,1,2,3\n", "line 1 has 4 cells; give x, y, z in each"),
        ("x_m,y_m,z_m\n0,0,0\n", "line 1: headings ['x_m', 'y_m', 'z_m']; they should be x, y, z, in wavelengths"),
        ("z,y,x\n0,0,0\n", "line 1: headings ['z', 'y', 'x']; they should be x, y, z"),
        ("x,y,z\n", "0 elements in it; give 1 to 4096"),
        ("", "0 elements in it; give 1 to 4096"),
        ("0,0,0\n" * 4097, "4097 elements in it; give 1 to 4096"),
        ("0,0,nan\n", "line 1: 'nan' is refused; it should be a number"),
        ('0,0,"0\n', "line 1 cannot be cut into cells"),
        (" " * 1_000_001, "has more than 1000000 bytes; give one of 4096 elements at most"),
        (b"\xff\xfe", "line 1 is no UTF-8 text; save it as UTF-8"),
    ],
)
def test_files_of_elements_refused_where_they_stand(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = tmp_path / "array.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = refusal(tmp_path, f'{SPACE}tx_array = {{ kind = "elements", file = "array.csv" }}\n')
    assert found.startswith(f"scenario.tx_array.file: {path}: {said}")


METRES = "\n".join(f"0,{0.00535 * i}" for i in range(16))
REFUSED = [
    (SPACE + 'tx_array = { kind = "elements", file = "no.csv" }', "scenario.tx_array.file: no file "),
    (SPACE + 'tx_array = { kind = "elements", file = 3 }', "scenario.tx_array.file: 3 is refused; it should be the"),
    (
        SPACE + 'tx_array = { kind = "elements", file = "metres.csv", positions = [[0, 0]] }',
        "scenario.tx_array.file: positions say the same; leave out one of them",
    ),
    (
        SPACE + 'tx_array = { kind = "elements", file = "metres.csv" }',
        "scenario.tx_array: every element is within 0.05 of another: these look like metres; give wavelengths",
    ),
    (
        SPACE + 'tx_array = { kind = "ula", antennas = 3, file = "metres.csv" }',
        "scenario.tx_array.file: not a key of this kind; leave it out, or give another kind",
    ),
    (SPACE + "tx_array = { antennas = 3 }", "scenario.tx_array: {'antennas': 3} is of no known kind; give kind = "),
    (SPACE + 'tx_array = { kind = "upa", row = 3, columns = 3 }', 'scenario.tx_array.row: unknown key; did you mean'),
    (SPACE + 'tx_array = { kind = "uca", antennas = 3 }', "scenario.tx_array.radius: missing; add it"),
    (
        SPACE + 'tx_array = { kind = "elements", positions = [[0, 0, 0], [0, "1", 0]] }',
        "scenario.tx_array.positions.1.1: '1' is refused; it should be a valid number",
    ),
    (SPACE + f"tx_antennas = 4\n{UPA}", "scenario: tx_antennas and tx_array both say how many elements there are"),
    (f"[scenario]\n{UPA}", "scenario: tx_array: an array with height needs positions of three numbers"),
    (SPACE + "downtilt_deg = 3", 'scenario.downtilt_deg: unknown key; did you mean "ue_downtilt_deg"'),
    (SPACE + "tx_arrays = 3", 'scenario.tx_arrays: unknown key; did you mean "tx_array"'),
    ("[scenario]\nue_slant_deg = 3", "scenario: ue_slant_deg needs positions of three numbers"),
    (SPACE + "[scenario.prior]\nclock = 1", 'scenario.prior.clock: unknown key; did you mean "clock_s"?'),
    (SPACE + "prior = { clock_s = 0.0 }", "scenario.prior.clock_s: 0 is refused; a standard deviation is above 0"),
    (SPACE + "prior = 3", "scenario.prior: 3 is refused; it should be a table"),
    (SPACE + 'known = ["clocks"]', "scenario.known.0: 'clocks' is refused; it should be 'clock', 'orientation' or"),
    (SPACE + 'line_of_sight = "no"', "scenario.line_of_sight: 'no' is refused; it should be a valid boolean"),
    (
        '[draws]\nue_orientation = "uniform-3d"\nue_position = { kind = "box", x_m = [0, 1], y_m = [1, 2], z_m = 1 }',
        "2 mistakes: (1) draws.ue_position.z_m: positions of two numbers have no height; leave it out "
        '(2) draws.ue_orientation: "uniform-3d" needs positions of three numbers; give "uniform"',
    ),
    (
        SPACE + '[draws]\ntarget_positions = { kind = "disc", centre_m = [0, 9], radius_m = 3 }',
        "draws.target_positions.height_m: missing, and positions have three numbers; add it: a height in m, or [",
    ),
    (
        SPACE + '[draws]\ntarget_positions = { kind = "disc", centre_m = [0, 9], radius_m = 3, z_m = 2 }',
        "draws.target_positions.z_m: not a key of this kind; leave it out, or give another kind",
    ),
    (SPACE + f"{UPA}[sweep]\ntx_array.row = [2]", 'sweep.tx_array.row: unknown key; did you mean "tx_array.rows"?'),
    (SPACE + f"{UPA}[sweep]\ntx_array.rows = 2", "sweep.tx_array.rows: 2 is refused; it should be a list of numbers"),
    (SPACE + f"{UPA}[sweep]\ntx_array.rows = [2, 0]", "sweep.tx_array.rows: 0 is refused; it should be greater than"),
    (SPACE + f"{UPA}[sweep]\ntx_array.rows = [2, 2]", "sweep.tx_array.rows: a value is listed more than once"),
    (SPACE + f"{UPA}[sweep]\ntx_array.rows = [600]", "sweep.tx_array: 600 rows of 8 columns are 4800 elements; 4096"),
    (
        SPACE + f'{UPA}[sweep]\n"tx_array.rows" = [2]\ntx_array.rows = [4]',
        "sweep.tx_array.rows: there twice; leave out one of them",
    ),
    (
        SPACE + f"{UPA}[sweep]\ntx_array.antennas = [2]",
        "sweep.tx_array.antennas: not a key of this kind; leave it out, or give another kind",
    ),
    (SPACE + f"{UPA}[sweep]\ntx_antennas = [2]", "sweep.tx_antennas: scenario.tx_array says what the array is; sweep"),
    (
        SPACE + "[sweep]\ntx_antennas = [2]\ntx_array.spacing = [1]",
        "sweep.tx_antennas: tx_array.spacing says what the array is; sweep tx_array.antennas",
    ),
    (SPACE + "[sweep]\nline_of_sight = [1]", 'sweep.line_of_sight: unknown key; did you mean "scenario.line'),
    ("[sweep]\nue_downtilt_deg = [0, 1]", "sweep: ue_downtilt_deg needs positions of three numbers"),
    (
        SPACE + f'{UPA}[output]\nkeep = ["covariance"]\n[sweep]\ntx_array.columns = [2, 4]',
        'output.keep: "covariance" has one size, which a sweep of tx_array.columns changes; leave out one of them',
    ),
    (
        SPACE + f'{UPA}[design]\nknowledge = "nominal"\n[sweep]\ntx_array.rows = [4, 64]',
        "design.knowledge: one design for all draws takes tx_antennas <= 256, and there are 512",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "metres.csv").write_text(METRES)
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "table",
    [
        '"tx_array.rows" = [2, 4]\n"tx_array.column_spacing" = [1, 0.5]',
        "tx_array.rows = [2, 4]\ntx_array.column_spacing = [1, 0.5]",
        "tx_array = { rows = [2, 4], column_spacing = [1, 0.5] }",
        '"tx_array.rows" = [2, 4]\ntx_array.column_spacing = [1, 0.5]',
    ],
)
def test_sweeps_of_planar_arrays(tmp_path: Path, table: str) -> None:
    job = loaded(tmp_path, f"{SPACE}{UPA}[sweep]\npower_dbm = [10]\n{table}\n")
    assert job.sweep["tx_array.rows"] == (2, 4)
    found = [scenario.transmitter for _, scenario in job.sweep_points()]
    assert found == [Upa(rows=rows, columns=8, column_spacing=d) for rows in (2, 4) for d in (1.0, 0.5)]
    assert {scenario.power_dbm for _, scenario in job.sweep_points()} == {10.0}
    again = loaded(tmp_path, job.to_toml().removeprefix(HEAD))
    assert (again.sweep, again.key()) == (job.sweep, job.key())


def test_sweeps_of_linear_arrays_need_no_array(tmp_path: Path) -> None:
    swept = "ue_array.spacing = [0.5, 1]\nrx_array.spacing = [2]\ntx_antennas = [8]\n"
    job = loaded(tmp_path, f"[scenario]\nrx_antennas = 3\nue_antennas = 5\n[sweep]\n{swept}")
    base = Scenario(tx_antennas=8, rx_array=Ula(antennas=3, spacing=2.0))
    assert [scenario for _, scenario in job.sweep_points()] == [
        base.replace(ue_array=Ula(antennas=5, spacing=d)) for d in (0.5, 1.0)
    ]
    assert type(job.sweep["ue_array.spacing"][1]) is float
    more = loaded(tmp_path, "[sweep]\nrx_array.antennas = [4]\n")
    assert [scenario.rx_array for _, scenario in more.sweep_points()] == [Ula(antennas=4)]


def test_many_points_of_a_large_array_are_checked_once(tmp_path: Path) -> None:
    """The elements are those of one array, whatever else is swept."""
    (tmp_path / "array.csv").write_text("\n".join(f"{x},{y}" for x in range(64) for y in range(64)))
    text = '[scenario]\nrx_array = { kind = "elements", file = "array.csv" }\n[sweep]\nslots = [1, 2, 3]\n'
    job = loaded(tmp_path, text)
    assert {id(scenario.rx_array) for _, scenario in job.sweep_points()} == {id(job.scenario.rx_array)}


DROPS = """ue_x_m,ue_y_m,ue_z_m,ue_orientation_deg,ue_downtilt_deg,ue_slant_rad,target1_x_m,target1_y_m,target1_z_m,\
target2_x_m,target2_y_m,target2_z_m
-5,20,1.5,110,90,0.25,-10,15,1,5,15,2
-4,19,1.25,100,-45,-0.5,-9,14,0.5,5,14,2.5
"""


def test_a_table_of_draws_in_space(tmp_path: Path) -> None:
    (tmp_path / "drops.csv").write_text(DROPS)
    job = loaded(tmp_path, f'{SPACE}[draws]\nfile = "drops.csv"\n')
    check_draws(job)
    found = draws_of(job, job.scenario, 0, 2)
    np.testing.assert_array_equal(found.ue_position, [[-5.0, 20.0, 1.5], [-4.0, 19.0, 1.25]])
    np.testing.assert_array_equal(found.target_position[1], [[-9.0, 14.0, 0.5], [5.0, 14.0, 2.5]])
    np.testing.assert_allclose(found.ue_downtilt, [math.pi / 2, -math.pi / 4], rtol=1e-15)
    np.testing.assert_array_equal(found.ue_slant, [0.25, -0.5])


@pytest.mark.parametrize("suffix", ["nc", "mat"])
def test_arrays_of_draws_in_space(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"drops.{suffix}"
    ue, tilt = np.array([[-5.0, 20.0, 1.5], [-4.0, 19.0, 1.25]]), np.array([0.1, -0.2])
    if suffix == "mat":
        savemat(path, {"ue_position": ue, "ue_downtilt": tilt, "ue_slant": -tilt})
    else:
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("draw", 2)
            file.createDimension("xyz", 3)
            file.createVariable("ue_position", "f8", ("draw", "xyz"))[:] = ue
            file.createVariable("ue_downtilt", "f8", ("draw",))[:] = np.degrees(tilt)
            file["ue_downtilt"].units = "degree"
            file.createVariable("ue_slant", "f8", ("draw",))[:] = -tilt
    found = read_drops(path).arrays
    np.testing.assert_array_equal(found["ue_position"], ue)
    np.testing.assert_allclose(found["ue_downtilt"], tilt, rtol=1e-15)
    np.testing.assert_array_equal(found["ue_slant"], -tilt)


@pytest.mark.parametrize(
    ("scenario", "draws", "table", "said"),
    [
        (
            "",
            "",
            "ue_x_m,ue_y_m,ue_z_m\n1,2,3\n",
            "has positions of 3 numbers (in ue_x_m ...), the scenario of 2; give",
        ),
        (SPACE, "", "ue_x_m,ue_y_m\n1,2\n", "has positions of 2 numbers (in ue_x_m ...), the scenario of 3; give both"),
        ("", "", "ue_slant_deg\n1\n", "has ue_slant_deg, which needs positions of three numbers; leave it out"),
        (
            SPACE,
            'ue_orientation = "uniform-3d"\n',
            "ue_downtilt_deg\n1\n",
            "which draws.ue_orientation says too; leave",
        ),
        (SPACE, "", "ue_x_m,ue_y_m,ue_z_m\n0,0,10\n", "has the BS and the UE at the same point in line 2; move one"),
        (
            SPACE,
            "[sweep]\nue_slant_deg = [1]\n",
            "ue_slant_rad\n1\n",
            "has ue_slant_rad, which a sweep of ue_slant_deg",
        ),
    ],
)
def test_files_of_draws_that_do_not_fit(tmp_path: Path, scenario: str, draws: str, table: str, said: str) -> None:
    (tmp_path / "drops.csv").write_text(table)
    job = loaded(tmp_path, f'{scenario}[draws]\nfile = "drops.csv"\n{draws}')
    with pytest.raises(UsageProblem) as caught:
        check_draws(job)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "ue_x_m,ue_y_m,ue_z_m,target1_x_m,target1_y_m\n1,2,3,4,5\n",
            "positions have 3 numbers in ue_x_m ..., 2 numbers in target1_x_m ...; give all of them the same count",
        ),
        ("target1_x_m,target1_y_m,target1_z_m,target2_x_m,target2_y_m\n1,2,3,4,5\n", "target2_z_m is missing beside"),
        ("ue_z_m\n1\n", "line 1: ue_x_m is missing beside ue_z_m"),
        ("ue_downtilt_deg,ue_downtilt_rad\n1,1\n", "columns 1 (ue_downtilt_deg) and 2 (ue_downtilt_rad) say the same"),
        ("ue_slant_deg\n400\n", "column 1 (ue_slant_deg): 400 is refused; it should be from -360 to 360 deg"),
        ("ue_x_m,ue_y_m,ue_z_m\n1,2,1e8\n", "column 3 (ue_z_m): 100000000 is refused; it should be from -1e7 to 1e7 m"),
    ],
)
def test_tables_of_draws_refused(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "drops.csv").write_text(table)
    assert said in refusal(tmp_path, f'{SPACE}[draws]\nfile = "drops.csv"\n')


def test_the_template_names_every_key_of_the_scenario() -> None:
    text = packaged_text("template")
    missing: list[Any] = [name for name in (*Scenario.model_fields, *Prior.model_fields) if name not in text]
    assert missing == []
