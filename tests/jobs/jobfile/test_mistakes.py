"""Mistakes in a job file end in one line: every key, what is wrong, and what would be right."""

import tomllib
from pathlib import Path

import pytest
from crbatch.jobs.jobfile.packaged import packaged_text
from crbatch.jobs.jobfile.schema import JobError, load_job

HEAD = 'schema = 1\nname = "a"\n'
PHASES = "phases_bistatic_rad = [0, 1, 2, 3]\nphases_monostatic_rad = [4, 5, 6, 7]\n"

# One line: the key, what is wrong, what would be right.
REFUSED = [
    ("[scenario]\nbandwith_hz = 1", 'scenario.bandwith_hz: unknown key; did you mean "bandwidth_hz"?'),
    ("[scenario]\ncarrier_ghz = 28", 'scenario.carrier_ghz: unknown key; did you mean "carrier_hz"?'),
    ("count = 5", 'count: unknown key; did you mean "draws.count"?'),
    ('"a.b" = 5', "a.b: unknown key; a job file has schema, name, scenario, draws, design, sweep, output"),
    ('"a\\nb" = 5', "a b: unknown key; a job file has schema, "),
    ("[scenario]\nfoo = 3", "scenario.foo: unknown key; [scenario] has carrier_hz, bandwidth_hz, "),
    ("[draws]\nfoo = 3", "draws.foo: unknown key; [draws] has phases, "),
    (
        "[scenario]\nue_orientation = 3",
        'scenario.ue_orientation: unknown key; did you mean "ue_orientation_deg" or "draws.ue_orientation"?',
    ),
    (
        "[draws]\nue_position_m = [1, 2]",
        'draws.ue_position_m: unknown key; did you mean "ue_position" or "scenario.ue_position_m"?',
    ),
    ("[design]\nue_orientaton = 1", 'design.ue_orientaton: unknown key; did you mean "draws.ue_orientation"?'),
    ("[scenario]\nBandWidth_Hz = 1", 'scenario.BandWidth_Hz: unknown key; did you mean "bandwidth_hz"?'),
    ("[design]\nknowledge = 1", "design.knowledge: 1 is refused; it should be"),
    ("[draws]\ntraining_draws = 1", 'draws.training_draws: unknown key; did you mean "design.training_draws"?'),
    ("[scenario]\nbandwidth_hz = -1.0", "-1.0 is refused; it should be greater than 0"),
    ('[scenario]\nslots = "16"', "scenario.slots: '16' is refused; it should be a valid integer"),
    (
        "[scenario]\nue_position_m = [nan, 1]",
        "scenario.ue_position_m.0: nan is refused; it should be a finite",
    ),
    ("[scenario]\nue_position_m = [1]", "scenario.ue_position_m: [1] has 1 number; give two, [x, y]"),
    ("[scenario]\nbs_position_m = []", "scenario.bs_position_m: [] has 0 numbers; give two, [x, y]"),
    (
        "[scenario]\nue_position_m = [1, 2, 3, 4]",
        "scenario.ue_position_m: [1, 2, 3, 4] has 4 numbers; give two, [x, y], or three, [x, y, z]",
    ),
    (
        "[scenario]\nue_position_m = [1, 2, 3]",
        "scenario: bs_position_m has two numbers, ue_position_m three; give all positions of a job the same count",
    ),
    (
        '[draws]\nue_position = { kind = "disc", centre_m = [0, 1, 2, 3], radius_m = 1 }',
        "draws.ue_position.centre_m: [0, 1, 2, 3] has 4 numbers; give two, [x, y], or three, [x, y, z]",
    ),
    (
        '[draws]\nue_position = { kind = "disc", centre_m = [0, 1, 2], radius_m = 1 }',
        "draws.ue_position.centre_m: it has three numbers, and positions two; give [x, y]",
    ),
    (
        '[draws]\nue_position = { kind = "box", x_m = [0, 1, 2], y_m = [0, 1] }',
        "draws.ue_position.x_m: [0, 1, 2] has 3 numbers; give two, [low, high]",
    ),
    (
        '[draws]\nfile = "x.csv"\nignore_columns = []',
        "draws.ignore_columns: [] is refused; it should have at least 1 item",
    ),
    ("[scenario]\nue_position_m = [0, 0]", "scenario: bs_position_m and ue_position_m are the same point"),
    (
        "[scenario]\ntarget_rcs_m2 = 'x'",
        "scenario.target_rcs_m2: 'x' is refused; it should be a valid number",
    ),
    ("[scenario]\ntarget_rcs_m2 = [1, 2, 0]", "scenario.target_rcs_m2.2: 0 is refused; it should be greater"),
    ("scenario = 3", "scenario: 3 is refused; it should be a table"),
    ("[draws]\nseed = -1", "draws.seed: -1 is refused; it should be greater than or equal to 0"),
    ("[draws]\ncount = true", "draws.count: True is refused; it should be a valid integer"),
    (
        '[draws]\nphases = "fixed"',
        'draws: phases = "fixed" needs phases_bistatic_rad; give one phase per path',
    ),
    (
        f'[scenario]\ntarget_positions_m = [[5, 15]]\n[draws]\nphases = "fixed"\n{PHASES}',
        "draws.phases_bistatic_rad: 4 phases for 2 paths; give 2, path 0 first",
    ),
    ('[draws]\nue_position = "fixed"', "draws.ue_position: 'fixed' is refused; it should be a table"),
    (
        '[draws]\nue_position = { kind = "ball" }',
        'draws.ue_position: {\'kind\': \'ball\'} is of no known kind; give kind = "fixed", "box" or "disc"',
    ),
    (
        '[draws]\nue_position = { kind = "box", x_m = [2, 1], y_m = [0, 1] }',
        "draws.ue_position: x_m = [2, 1] is empty; give [low, high] with low < high",
    ),
    (
        '[draws]\nue_position = { kind = "disc", centre_m = [2, 1], radius = 1, radius_m = 1 }',
        'draws.ue_position.radius: unknown key; did you mean "radius_m"?',
    ),
    (
        '[draws]\ntarget_positions = { kind = "fixed", x_m = [0, 1] }',
        "draws.target_positions.x_m: not a key of this kind; leave it out, or give another kind",
    ),
    ("[design]\nrho = [0, 1.5]", "design.rho.1: 1.5 is refused; it should be less than or equal to 1"),
    ("[design]\nrho = [0.5, nan]", "design.rho.1: nan is refused; it should be a finite number"),
    ("[design]\nrho = [0, 0.0]", "design.rho: a value is listed more than once; list it once"),
    ("[design]\nrho = []", "design.rho: the list is empty; give at least one value"),
    ("[design]\nrho = 0.5", "design.rho: 0.5 is refused; it should be a valid list"),
    ("[design]\nrho = { start = 0, stop = 1 }", "design.rho.num: missing; add it"),
    (
        "[design]\nrho = { start = 0, stop = 1, nm = 3 }",
        '2 mistakes: (1) design.rho.nm: unknown key; did you mean "num"? (2) design.rho.num: missing; add it',
    ),
    (
        "[design]\nrho = { start = 0, stop = 1, step = 0.1 }",
        'design.rho.step: unknown key; give "num", how many weights there are from start to stop',
    ),
    (
        "[draws]\nuntil = { metric = 'crb_bp', statistic = 'p95', relative_error = 0.1, max = 5000 }",
        "draws.until.statistic: 'p95' is refused; it should be 'median' or 'mean', or be a valid number",
    ),
    (
        "[scenario]\nslots = 0\nbandwith_hz = 3\nue_position_m = [1]\n[draws]\nseed = -1\n"
        "[sweep]\nfoo = [1]\nslots = []\n[output]\nkep = []\n",
        '7 mistakes: (1) scenario.bandwith_hz: unknown key; did you mean "bandwidth_hz"? '
        '(2) output.kep: unknown key; did you mean "keep"? '
        "(3) scenario.slots: 0 is refused; it should be greater than or equal to 1 "
        "(4) scenario.ue_position_m: [1] has 1 number; give two, [x, y], or three, [x, y, z] "
        "(5) draws.seed: -1 is refused; it should be greater than or equal to 0 "
        "(6) sweep.foo: unknown key; [sweep] has carrier_hz, ",
    ),
    (
        "[scenario]\ntarget_positions_m = [[1], [4, 5, 6, 7]]",
        "2 mistakes: (1) scenario.target_positions_m.0: [1] has 1 number; give two, [x, y], or three, [x, y, z] "
        "(2) scenario.target_positions_m.1: [4, 5, 6, 7] has 4 numbers; give two",
    ),
    (
        "[sweep]\npower_dbm = [1, 1.0]\nslots = [2, 2]",
        "(2) sweep.slots: a value is listed more than once; list it once",
    ),
    ("[sweep]\nslots = [-1]", "sweep.slots: -1 is refused; it should be greater than or equal to 1"),
    (
        "[design]\nrho = { start = 0, stop = 2, num = 3 }",
        "design.rho.stop: 2 is refused; it should be less than",
    ),
    ("[design]\nrho = { start = 1, stop = 1, num = 3 }", "design.rho: a value is listed more than once"),
    ('[design]\nschemes = ["fdb"]', "design.schemes.0: 'fdb' is refused; it should be 'fdb-wcrb', "),
    ('[design]\nschemes = ["apa", "apa"]', "design.schemes: a value is listed more than once; list it once"),
    ("[design]\nschemes = []", "design.schemes: the list is empty; give at least one value"),
    ('[design]\nschemes = ["custom"]', 'design.schemes: "custom" has no beams; add custom = "beams.npy"'),
    (
        '[design]\ncustom = "no.npy"',
        "design.custom: no file no.npy; the path starts at the job file's folder",
    ),
    (
        "[design]\ngap_tolerance = 0.1",
        "design.gap_tolerance: 0.1 is refused; it should be less than or equal",
    ),
    ("[design]\ngap_tolerance = 1e-10", "design.gap_tolerance: 1e-10 is refused; it should be greater than"),
    ("[sweep]\ntx_antenna = [1]", 'sweep.tx_antenna: unknown key; did you mean "tx_antennas"?'),
    ("[sweep]\nbs_position_m = [1]", 'sweep.bs_position_m: unknown key; did you mean "scenario.bs_position_m"?'),
    ("[sweep]\ngain_law = [1]", "sweep.gain_law: [1] is refused; it should be a list of words, not empty"),
    (
        '[sweep]\nphase_centre = ["first-element", "last"]',
        "sweep.phase_centre: 'last' is refused; it should be 'array-centre' or 'first-element'",
    ),
    ('[sweep]\ngain_law = ["as-printed", "as-printed"]', "sweep.gain_law: a value is listed more than once"),
    ('[sweep]\ntx_antennas = ["8"]', "sweep.tx_antennas: ['8'] is refused; it should be a list of numbers"),
    (
        "[sweep]\ntx_antennas = []",
        "sweep.tx_antennas: [] is refused; it should be a list of numbers, not empty",
    ),
    (
        "[sweep]\ntx_antennas = 8",
        "sweep.tx_antennas: 8 is refused; it should be a list of numbers, not empty",
    ),
    ('[sweep]\ntx_antennas = ["8"]', "sweep.tx_antennas: ['8'] is refused; it should be a list of numbers"),
    ("[sweep]\ntx_antennas = [8, 8.5]", "sweep.tx_antennas: 8.5 is refused; it should be a valid integer"),
    ("[sweep]\npower_dbm = [1, 1.0]", "sweep.power_dbm: a value is listed more than once; list it once"),
    ("[sweep]\nslots = [4, 0]", "sweep.slots: 0 is refused; it should be greater than or equal to 1"),
    ("[sweep]\ntargets = [2, 4]", "sweep.targets: targets = 4 is outside 0..3, the targets of the scenario"),
    ("[sweep]\ntargets = [2.0]", "sweep.targets: 2.0 is refused; it should be a whole number"),
    (
        "[sweep]\nbandwidth_hz = [3e11]",
        "sweep: bandwidth_hz 3e+11 is not below carrier_hz 2.8e+10; give both",
    ),
    ("sweep = 5", "sweep: 5 is refused; it should be a table"),
    (
        f"[sweep]\nslots = {list(range(1, 102))}\ntx_antennas = {list(range(1, 102))}",
        "sweep: 10201 points are too many; 10000 at most",
    ),
    (
        '[output]\nkeep = ["covariance"]\n[sweep]\ntx_antennas = [8]',
        'output.keep: "covariance" has one size, which a sweep of tx_antennas changes',
    ),
    (
        '[output]\nkeep = ["power", "beamformers"]\n[sweep]\ntx_antennas = [8]',
        'output.keep: "beamformers" has one size, which a sweep of tx_antennas changes',
    ),
    (
        '[output]\nkeep = ["beamformers"]\n[sweep]\nslots = [8]',
        'output.keep: "beamformers" has one size, which a sweep of slots changes',
    ),
    (
        '[design]\ncustom = "no.npy"\n[sweep]\ntx_antennas = [8]',
        'design.schemes: "custom" has one size, which a sweep of tx_antennas changes',
    ),
    ('[output]\nkeep = ["cov"]', "output.keep.0: 'cov' is refused; it should be 'covariance', "),
    ("[output]\nuntil = 3", 'output.until: unknown key; did you mean "draws.until"?'),
    ("[draws\n", "not TOML: Expected ']' at the end of a table declaration (at line 3, "),
    ("[draws]\nseed = 1\nseed = 2\n", "not TOML: Cannot overwrite a value (at line 5, "),
]


def refusal(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.chdir(folder)
    (folder / "my.toml").write_text(text)
    with pytest.raises(JobError) as caught:
        load_job("my.toml")
    return str(caught.value)


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    said = refusal(tmp_path, monkeypatch, HEAD + text)
    assert said.startswith("my.toml: ")
    assert message in said
    assert len(said.splitlines()) == 1
    assert "more)" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"', "my.toml: schema: missing; add it"),
        ("schema = 1", "my.toml: name: missing; add it"),
        ('schema = 2\nname = "a"', "my.toml: schema: 2 is refused; it should be 1"),
        (
            'schema = 1\nname = "a"\nslots = 0\n[scenario]\nslots = 0',
            'slots: unknown key; did you mean "scenario.slots"?',
        ),
        (
            'schema = 1\nnam = "a"',
            'my.toml: 2 mistakes: (1) nam: unknown key; did you mean "name"? (2) name: missing; add it',
        ),
    ],
)
def test_top_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    assert message in refusal(tmp_path, monkeypatch, text)


ODD = ["true", '"x"', '""', "[]", "[[]]", "[1, 2, 3]", "[[1, 2, 3]]", "{}", "{ kind = 1 }", "nan", "1e400", "-1",
       "0", "2", "10" * 20, "2024-01-01", "07:32:00", '["a", "a"]', "{ start = 'a', stop = [], step = 1 }"]  # fmt: skip


@pytest.mark.parametrize("table", tomllib.loads(packaged_text("template")))
def test_whatever_a_key_holds_it_ends_in_one_line(tmp_path: Path, table: str) -> None:
    """Of this program's own words: nothing of pydantic's."""
    written = tomllib.loads(packaged_text("template"))[table]
    keys = [f"[{table}]\n{key}" for key in (*written, "foo")] if isinstance(written, dict) else [table]
    path = tmp_path / "my.toml"
    for key in [*keys, table]:
        for value in ODD:
            path.write_text(f"{HEAD if table not in ('schema', 'name') else ''}{key} = {value}\n")
            try:
                load_job(path)
            except JobError as error:
                said = str(error)
                assert len(said.splitlines()) == 1, (key, value)
                assert not {"pydantic", "validation", "type=", "Input"} & set(said.replace(",", " ").split()), said
