"""Files of paths: our own form bit by bit, those of others by hand, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crbatch import Draws, Scenario, channel_of, design, fixed_draw, read_paths, sample, write_paths
from crbatch.engine.draws import DrawModel
from crbatch.engine.errors import ScenarioError
from crbatch.jobs.drops.readpaths import read_path_file
from engine_cases import DROPS
from scipy.io import savemat
from world_nuisances import crowded_paths, own_paths, random_nuisances, scenario_of_world
from world_scenes import random_scene

SPEED = 299792458.0
KEPT = ("covariance", "crb_bp", "crb_ms", "crb_map", "crb_ms_target", "gap", "beam_gain")
IN_SPACE = DrawModel(
    ue_orientation="uniform-3d",
    rcs="swerling1",
    ue_position={"kind": "box", "x_m": [-10, 10], "y_m": [5, 20], "z_m": [1, 2]},
)
# The BS looks along x from 8 m, the UE along -x from 2 m, one reflection at (10, 10, 8).
CORNER = Scenario(
    bs_position_m=(0, 0, 8),
    bs_broadside_deg=0,
    ue_position_m=(20, 0, 8),
    ue_orientation_deg=180,
    target_positions_m=((1, 1, 1),),
    target_rcs_m2=(50.0,),
    tx_array={"kind": "upa", "rows": 2, "columns": 4},
    rx_array={"kind": "upa", "rows": 2, "columns": 4},
    ue_array={"kind": "upa", "rows": 2, "columns": 2},
    clock_bias_s=1e-7,
    subcarriers=16,
)
DELAYS = np.array([20.0, 20.0 * np.sqrt(2.0), 44.0]) / SPEED
GAINS = np.array([1e-4, 2e-5j, -1e-5])
# Departures and arrivals of the line of sight, the reflection and a way over two walls, in the axes of the scene.
AOD, AOA = np.array([0.0, 45.0, -60.0]), np.array([180.0, 135.0, -100.0])
ZOD, ZOA = np.array([90.0, 90.0, 80.0]), np.array([90.0, 90.0, 95.0])


def crowded(seed: int) -> tuple[Scenario, Draws]:
    scene = random_nuisances(seed, random_scene(seed, targets=2), 1, 2)
    scenario = scenario_of_world(scene)
    plain = sample(scenario, DrawModel(), 3, 0, 2)
    return scenario, replace(plain, paths=crowded_paths(plain, scene, own_paths(scenario, plain)))


def in_the_plane() -> tuple[Scenario, Draws]:
    return Scenario(), sample(Scenario(), DROPS, 11, 0, 3)


def in_space() -> tuple[Scenario, Draws]:
    scenario = scenario_of_world(random_scene(4))
    return scenario, sample(scenario, IN_SPACE, 11, 0, 2)


def blocked() -> tuple[Scenario, Draws]:
    scenario = scenario_of_world(random_scene(6, targets=5, los=False))
    return scenario, fixed_draw(scenario)


@pytest.mark.parametrize("suffix", [".csv", ".nc"])
@pytest.mark.parametrize("make", [in_the_plane, in_space, blocked, lambda: crowded(1)])
def test_written_and_read_is_the_same_bit_by_bit(
    tmp_path: Path, make: Callable[[], tuple[Scenario, Draws]], suffix: str
) -> None:
    scenario, draws = make()
    path = tmp_path / f"paths{suffix}"
    write_paths(path, scenario, draws)
    found = read_paths(path, scenario)
    for name in ("phase_bistatic", "phase_monostatic", "ue_position", "target_position", "ue_orientation", "ue_slant"):
        if scenario.line_of_sight or name != "phase_bistatic":
            assert getattr(found, name).tobytes() == getattr(draws, name).tobytes(), name
    assert found.ue_rcs.tobytes() == draws.ue_rcs.tobytes()
    assert found.nuisances == draws.nuisances
    one, other = (design(scenario, each, ("fdb-wcrb", "cpa-wvm"), (0.0, 0.5, 1.0)) for each in (draws, found))
    for name in KEPT:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("make", [in_the_plane, in_space, lambda: crowded(2)])
def test_points_are_found_again(tmp_path: Path, make: Callable[[], tuple[Scenario, Draws]]) -> None:
    scenario, draws = make()
    path = tmp_path / "paths.csv"
    write_paths(path, scenario, draws)
    heads, *rows = [line.split(",") for line in path.read_text().splitlines()]
    unsaid = [heads.index(name) for name in ("x_m", "y_m", "z_m") if name in heads]
    shuffled = sorted(rows, key=lambda row: (row[0], float(row[heads.index("gain_re")])))
    for row in shuffled:
        for i in unsaid:
            row[i] = ""
    path.write_text("\n".join(map(",".join, [heads, *shuffled])))
    found = read_paths(path, scenario)
    assert found.nuisances == draws.nuisances
    for one, other in zip(found.target_position, draws.target_position, strict=True):
        apart = np.linalg.norm(one[:, None] - other, axis=2)
        assert sorted(apart.argmin(axis=1)) == list(range(scenario.targets))
        assert apart.min(axis=1).max() < 1e-6
    before, after = (design(scenario, each, "fdb-wcrb", 0.5).objective for each in (draws, found))
    np.testing.assert_allclose(after, before, rtol=1e-6)


def sionna(**changes: object) -> dict[str, object]:
    shape = (1, 1, len(GAINS))
    angles = {"phi_t": AOD, "theta_t": ZOD, "phi_r": AOA, "theta_r": ZOA}
    found = {name: np.radians(values).reshape(shape) for name, values in angles.items()}
    return found | {"tau": DELAYS.reshape(shape), "a": GAINS.reshape(1, 1, 1, 1, 3)} | changes


def deepmimo(**changes: object) -> dict[str, object]:
    pad = np.array([np.nan])
    found = {
        "aod_az": AOD,
        "aod_el": ZOD,
        "aoa_az": AOA,
        "aoa_el": ZOA,
        "power": 20 * np.log10(np.abs(GAINS)),
        "phase": np.degrees(np.angle(GAINS)),
        "delay": DELAYS,
    }
    return {name: np.concatenate([values, pad])[None] for name, values in found.items()} | changes


def delay_line(**changes: object) -> dict[str, object]:
    return {
        "AnglesAoD": AOD.tolist(),
        "AnglesZoD": ZOD.tolist(),
        "AnglesAoA": AOA.tolist(),
        "AnglesZoA": ZOA.tolist(),
        "PathDelays": (DELAYS - DELAYS[0]).tolist(),
        "PathGains": [[gain.real, gain.imag] for gain in GAINS],
        **changes,
    }


def written(folder: Path, name: str, content: dict[str, object]) -> Path:
    path = folder / name
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".mat":
        savemat(path, content)
    else:
        path.write_text(json.dumps(content))
    return path


FOREIGN = [
    ("sionna.npz", sionna()),
    ("parts.npz", sionna(a=np.stack([GAINS.real, GAINS.imag]).reshape(2, 1, 1, 1, 1, 3))),
    ("old.npz", sionna(a=GAINS.reshape(1, 1, 1, 1, 1, 3, 1), tau=DELAYS.reshape(1, 1, 1, 3))),
    ("placed.npz", sionna(rx_pos=np.array([[20.0, 0, 8]]), sources=np.array([[0.0, 0, 8]]))),
    ("deepmimo.npz", deepmimo()),
    ("deepmimo.mat", deepmimo(rx_pos=np.array([[20.0, 0, 8]]), tx_pos=np.array([[0.0, 0, 8]]))),
    ("line.json", delay_line()),
]


@pytest.mark.parametrize(("name", "content"), FOREIGN, ids=[name for name, _ in FOREIGN])
def test_files_of_others(tmp_path: Path, name: str, content: dict[str, object]) -> None:
    draws = read_paths(written(tmp_path, name, content), CORNER, seed=5)
    assert draws.nuisances == (1, 0)
    np.testing.assert_allclose(draws.target_position, [[[10, 10, 8]]], rtol=0, atol=1e-9)
    channel = channel_of(CORNER, draws)
    np.testing.assert_allclose(channel.delay_bistatic[0], DELAYS + 1e-7, rtol=1e-12)
    np.testing.assert_allclose(channel.gain_bistatic[0], GAINS, rtol=1e-12, atol=1e-18)
    # The BS has the axes of the scene; the UE is turned by half a turn: bearing = -phi = -180 degrees.
    np.testing.assert_allclose(np.degrees(channel.aod[0]), AOD, atol=1e-9)
    np.testing.assert_allclose(np.degrees(channel.aod_elevation[0]), 90 - ZOD, atol=1e-9)
    np.testing.assert_allclose(np.degrees(channel.aoa[0]), [0, -45, 80], atol=1e-9)
    np.testing.assert_allclose(np.degrees(channel.aoa_elevation[0]), 90 - ZOA, atol=1e-9)
    # Echoes are those of the points, by the scenario's RCS: 2 x 20 m, and 2 x 10 sqrt(2) m.
    np.testing.assert_allclose(channel.delay_monostatic[0, :2] * SPEED, [40, 20 * np.sqrt(2)], rtol=1e-9)
    radar = np.sqrt(50.0) * CORNER.wavelength_m / (4 * np.pi) ** 1.5 / 200.0
    np.testing.assert_allclose(np.abs(channel.gain_monostatic[0, 1]), radar, rtol=1e-9)
    assert np.isfinite(design(CORNER, draws, "apa", 1.0).crb_bp).all()


def test_gains_in_db(tmp_path: Path) -> None:
    content = delay_line(AveragePathGains=[-80, -94, -100.0])
    del content["PathGains"]
    draws = read_paths(written(tmp_path, "line.json", content), CORNER)
    np.testing.assert_allclose(channel_of(CORNER, draws).gain_bistatic[0], [1e-4, 10**-4.7, 1e-5], rtol=1e-12)


def test_a_tilted_base_station_sees_other_angles(tmp_path: Path) -> None:
    tilted = CORNER.model_copy(update={"bs_downtilt_deg": 30.0})
    draws = read_paths(written(tmp_path, "line.json", delay_line()), tilted)
    found = channel_of(tilted, draws)
    # Broadside points 30 degrees down: the level line of sight goes 30 degrees up of it.
    np.testing.assert_allclose(np.degrees([found.aod[0, 0], found.aod_elevation[0, 0]]), [0, 30], atol=1e-9)


def test_the_strongest_paths(tmp_path: Path) -> None:
    draws = read_paths(written(tmp_path, "line.json", delay_line()), CORNER, strongest=2)
    assert draws.nuisances == (0, 0)
    assert draws.paths is not None
    assert draws.paths.departure.shape == (1, 2, 2)


REFUSED = [
    ("a.npz", sionna(phi_t=np.zeros((1, 1, 2))), r"phi_t has receivers and paths \(1, 2\), a \(1, 3\)"),
    ("a.npz", sionna(a=np.zeros((1, 4, 1, 1, 3), complex)), "a of shape .* has several antennas"),
    ("a.npz", sionna(tau=np.zeros((1, 2, 3))), "tau has 2 transmitters; save one"),
    ("a.npz", sionna(rx_pos=np.zeros((2, 3))), r"rx_pos is of shape \(2, 3\); it should be \(1, 3\)"),
    ("a.npz", sionna(tx_pos=np.ones(3)), r"its transmitter is at \(1, 1, 1\) m, where the BS is not"),
    ("a.npz", {"x": np.zeros(2)}, "has neither theta_t"),
    ("a.npz", {k: v for k, v in sionna().items() if k != "tau"}, "tau is missing"),
    ("a.npz", deepmimo(phase=np.zeros((1, 2))), r"phase is of shape \(1, 2\), delay of \(1, 4\)"),
    ("a.json", delay_line(AnglesZoA=[90, 90]), "draw 0: AnglesZoA has 2 numbers, PathDelays 3"),
    ("a.json", delay_line(AnglesZoA="x"), "draw 0: AnglesZoA is no list of numbers"),
    ("a.json", {"AnglesAoD": [1]}, "draw 0: AnglesZoD is missing"),
    ("a.json", delay_line(PathGains=[-80, -90, -100]), r"draw 0: PathGains should be \[re, im\]"),
    ("a.json", delay_line(AnglesAoD=[10, 45, -60]), "draw 0: no path of BP is the line of sight"),
    (
        "a.json",
        delay_line(AnglesAoD=[0, 44, -60]),
        "draw 0 has 0 paths of BP over one point, and the scenario 1 targets",
    ),
]


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED)
def test_files_of_others_are_refused_in_one_line(
    tmp_path: Path, name: str, content: dict[str, object], reason: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises((ValueError, ScenarioError), match=reason) as caught:
        read_paths(path, CORNER)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def lines(tmp_path: Path) -> list[str]:
    path = tmp_path / "own.csv"
    write_paths(path, Scenario(), sample(Scenario(), DROPS, 11, 0, 2))
    return path.read_text().splitlines()


OWN_REFUSED: list[tuple[Callable[[list[str]], list[str]], str]] = [
    (lambda t: [t[0].replace("aod_rad", "aod_deg"), *t[1:]], "column 'aod_deg' is unknown"),
    (lambda t: [t[0].replace("path", "draw"), *t[1:]], "column draw is there twice"),
    (lambda t: t[:1], "no paths below the headings"),
    (lambda t: [*t[:3], t[3].replace("bistatic", "both")], "line 4, column link: 'both' is refused"),
    (lambda t: [*t[:3], t[3] + ",1"], r"line 4 has \d+ cells for \d+ headings"),
    (
        lambda t: [*t[:2], "0,bistatic,1,,1,1e-7,1,1" + "," * (t[0].count(",") - 7)],
        "line 3, column aod_rad: there is no",
    ),
    (
        lambda t: [t[0], *(row.replace("1,", "7,", 1) if row[0] == "1" else row for row in t[1:])],
        "draw 1 has no bistatic",
    ),
    (
        lambda t: [row for row in t if not row.startswith("0,monostatic,2")],
        "draw 0: no path of MS comes back from target 2",
    ),
    (
        lambda t: [row for row in t if not row.startswith("1,monostatic,0")],
        "draw 1: no path of MS comes back from the UE",
    ),
    (lambda t: [row for row in t if not row.startswith("1,bistatic,0")], "draw 1: no path of BP is the line of sight"),
    (lambda t: [row for row in t if not row.startswith("1,bistatic,3")], "draw 1 has 2 paths of BP over one point"),
]


@pytest.mark.parametrize(("change", "reason"), OWN_REFUSED)
def test_own_files_are_refused_in_one_line(
    tmp_path: Path, change: Callable[[list[str]], list[str]], reason: str
) -> None:
    path = tmp_path / "changed.csv"
    path.write_text("\n".join(change(lines(tmp_path))) + "\n")
    with pytest.raises((ValueError, ScenarioError), match=reason) as caught:
        read_paths(path, Scenario())
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_numbers_of_nuisance_paths_are_refused(tmp_path: Path) -> None:
    scenario, draws = crowded(1)
    path = tmp_path / "paths.csv"
    write_paths(path, scenario, draws)
    kept = [row for row in path.read_text().splitlines() if not row.startswith("1,bistatic,3")]
    path.write_text("\n".join(kept))
    with pytest.raises(ScenarioError, match=r"draw 1 has 0 paths of BP over no single point, .*strongest"):
        read_paths(path, scenario)
    with pytest.raises(ScenarioError, match="directions are those of space, the scenario is one of the plane"):
        read_paths(path, Scenario())
    with pytest.raises(ValueError, match="no format of a file of paths"):
        write_paths(tmp_path / "paths.txt", scenario, draws)


@pytest.mark.parametrize("suffix", ["npz", "mat", "nc", "json"])
def test_damaged_bytes_are_one_line(tmp_path: Path, suffix: str) -> None:
    """Whatever the libraries make of them: SciPy, NumPy and zlib have exceptions of their own."""
    whole, damaged = tmp_path / f"whole.{suffix}", tmp_path / f"damaged.{suffix}"
    arrays = {name: np.random.default_rng(1).standard_normal((1, 1, 300)) for name in sionna()}
    match suffix:
        case "npz":
            np.savez_compressed(whole, **arrays)
        case "mat":
            savemat(whole, arrays, do_compression=True)
        case "nc":
            write_paths(whole, CORNER, fixed_draw(CORNER))
        case "json":
            whole.write_text("[" * 100_000)
    random, said = np.random.default_rng(2), []
    for cut in range(60):
        content = bytearray(whole.read_bytes())
        if cut % 4 == 0:
            del content[random.integers(1, len(content)) :]
        else:
            content[random.integers(len(content))] ^= 255
        damaged.write_bytes(content)
        try:
            read_path_file(damaged)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 10
    assert all(text.startswith(f"{damaged}: ") and len(text.splitlines()) == 1 for text in said)
