"""The reference against golden values, against a literal sum over subcarriers and antennas, and on singular scenes."""

from __future__ import annotations

import math
from dataclasses import replace

import precise
import pytest
from engine_cases import GOLDEN
from mpmath import mp, mpc, mpf
from precise import Scene, bounds, null_parameters, unit_eigenvalue

pytestmark = pytest.mark.slow("extended precision")

PAPER = Scene()
TINY = Scene(
    bs=(0.5, -1.0),
    broadside_deg=70.0,
    ue=(-5.0, 20.0),
    phi_rad=0.4,
    targets=[(-10.0, 15.0)],
    target_rcs=[30.0],
    phase_bistatic=[0.3, 1.1],
    phase_monostatic=[-0.7, 2.0],
    subcarriers=3,
    tx_antennas=3,
    rx_antennas=2,
    ue_antennas=4,
)


def golden_scene(case: dict) -> Scene:
    given = case["scenario"]
    rcs = given["rcs"] if isinstance(given["rcs"], list) else [given["rcs"]] * len(given["targets"])
    # As printed, the gain has sigma where the radar equation has its root.
    law = (lambda sigma: sigma**2) if given["literal"] else (lambda sigma: sigma)
    return Scene(
        bs=given["bs"],
        broadside_deg=math.degrees(given["bs_broadside"]),
        ue=given["ue"],
        phi_rad=given["phi"],
        targets=given["targets"],
        target_rcs=[law(sigma) for sigma in rcs],
        ue_rcs=law(given["rcs_ue"]),
        phase_bistatic=given["phase_bp"],
        phase_monostatic=given["phase_ms"],
        carrier_hz=given["fc"],
        bandwidth_hz=given["bw"],
        subcarriers=given["m"],
        pilots_per_slot=given["pilots"],
        power_dbm=given["p_dbm"],
        noise_figure_db=given["nf_db"],
        noise_psd_dbm_hz=given["n0_dbm"],
        tx_antennas=given["mt"],
        rx_antennas=given["mr"],
        ue_antennas=given["mu"],
        clock_bias_s=given["clock"],
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_equal_powers_give_the_golden_bounds(name: str) -> None:
    found, expected = bounds(golden_scene(GOLDEN[name])), GOLDEN[name]["apa_crb"]
    assert float(found.position) == pytest.approx(expected["bistatic_m2"], rel=1e-8)
    assert float(found.monostatic) == pytest.approx(expected["monostatic_m2"], rel=1e-8)


@pytest.mark.parametrize("name", ["paper-k3", "moved-ue-mt12"])
def test_given_powers_give_the_golden_objective(name: str) -> None:
    for optimum in GOLDEN[name]["optimum"]:
        found, rho = bounds(golden_scene(GOLDEN[name]), optimum["cpa_power"]), optimum["rho"]
        objective = sum(w * float(b) for w, b in ((rho, found.position), (1 - rho, found.monostatic)) if w)
        assert objective == pytest.approx(optimum["cpa_objective_m2"], rel=1e-6)


def steering(antennas: int, angle: mpf) -> mp.matrix:
    return mp.matrix([mp.expj(mp.pi * (i - mpf(antennas - 1) / 2) * mp.sin(angle)) for i in range(antennas)])


def polar(v: mpc, array: mpf) -> mpf:
    return mp.arg(v) - array


def literal_channel(scene: Scene, link: str, eta: dict[str, mpf], m: int) -> mp.matrix:
    """H_m of the position-domain parameters, as the model is written."""
    bs, broadside = mpc(*scene.bs), mp.radians(mpf(scene.broadside_deg))
    count, ue = len(scene.targets) + 1, mpc(eta["ue_x"], eta["ue_y"])
    total = mp.matrix(scene.ue_antennas if link == "bistatic" else scene.rx_antennas, scene.tx_antennas)
    for k in range(count):
        place = mpc(eta[f"target{k}_x"], eta[f"target{k}_y"]) if k else ue
        aod = polar(place - bs, broadside)
        if link == "bistatic":
            receive = steering(scene.ue_antennas, polar((place if k else bs) - ue, -eta["orientation"]))
            delay = (abs(place - bs) + abs(ue - place)) / 299792458 + eta["clock"]
        else:
            receive = steering(scene.rx_antennas, aod)
            delay = 2 * abs(place - bs) / 299792458
        turn = mp.expj(-2 * mp.pi * m * mpf(scene.bandwidth_hz) / scene.subcarriers * delay)
        total += mpc(eta[f"gain{k}_re"], eta[f"gain{k}_im"]) * turn * receive * steering(scene.tx_antennas, aod).H
    return total


def literal_parameters(scene: Scene, link: str) -> dict[str, mpf]:
    bs, places = mpc(*scene.bs), [mpc(*scene.ue), *(mpc(*xy) for xy in scene.targets)]
    wavelength, phases = 299792458 / mpf(scene.carrier_hz), scene.phase_bistatic
    eta = {"orientation": mpf(scene.phi_rad), "clock": mpf(scene.clock_bias_s)}
    for k, place in enumerate(places):
        name, first = f"target{k}" if k else "ue", abs(place - bs)
        sigma = mpf(scene.target_rcs[k - 1] if k else scene.ue_rcs)
        second = abs(place - places[0]) if link == "bistatic" else first
        if link == "bistatic" and k == 0:
            size = wavelength / (4 * mp.pi * first)
        else:
            size = mp.sqrt(sigma) * wavelength / ((4 * mp.pi) ** mpf("1.5") * first * second)
        phases = scene.phase_bistatic if link == "bistatic" else scene.phase_monostatic
        gain = size * mp.expj(mpf(phases[k]))
        eta |= {f"{name}_x": place.real, f"{name}_y": place.imag, f"gain{k}_re": gain.real, f"gain{k}_im": gain.imag}
    return eta


def literal_covariance(scene: Scene, powers: list[float]) -> mp.matrix:
    broadside, bs = mp.radians(mpf(scene.broadside_deg)), mpc(*scene.bs)
    angles = [polar(mpc(*xy) - bs, broadside) for xy in (scene.ue, *scene.targets)]
    step = mpf(10) ** -30
    columns = [steering(scene.tx_antennas, a) for a in angles]
    columns += [steering(scene.tx_antennas, a + step) - steering(scene.tx_antennas, a - step) for a in angles]
    total = mp.matrix(scene.tx_antennas)
    for share, column in zip(powers, columns, strict=True):
        total += mpf(share) * column * column.H / mp.norm(column) ** 2
    return total * mpf(10) ** ((mpf(scene.power_dbm) - 30) / 10) / scene.subcarriers


@pytest.mark.parametrize("link", ["bistatic", "monostatic"])
def test_fim_is_the_literal_sum_over_subcarriers_and_antennas(link: str) -> None:
    powers, step = [0.5, 0.125, 0.25, 0.125], mpf(10) ** -30
    with mp.workdps(100):
        names, fim, _ = precise.position_fim(TINY, powers, link)
        eta, covariance = literal_parameters(TINY, link), literal_covariance(TINY, powers)
        noise = mpf(10) ** ((mpf(TINY.noise_figure_db) + mpf(TINY.noise_psd_dbm_hz) - 30) / 10)
        noise *= mpf(TINY.bandwidth_hz) / TINY.subcarriers
        expected = mp.matrix(len(names))
        for m in range(1, TINY.subcarriers + 1):
            slopes = []
            for name in names:
                ahead, behind = ({**eta, name: eta[name] + d} for d in (step, -step))
                difference = literal_channel(TINY, link, ahead, m) - literal_channel(TINY, link, behind, m)
                slopes.append(difference / (2 * step))
            for i, left in enumerate(slopes):
                for j, right in enumerate(slopes):
                    product = right * covariance * left.H
                    trace = mp.fsum(product[a, a] for a in range(product.rows))
                    expected[i, j] += 2 * TINY.pilots_per_slot / noise * mp.re(trace)
        for i in range(len(names)):
            for j in range(len(names)):
                scale = mp.sqrt(expected[i, i] * expected[j, j])
                # The clock is of the order of 1e-6 s, so a step of 1e-30 costs the square of its phase, 2e9 x 1e-30.
                assert abs(fim[i, j] - expected[i, j]) < mpf(10) ** -38 * scale, (names[i], names[j])


@pytest.mark.parametrize("link", ["bistatic", "monostatic"])
def test_bounds_are_the_diagonal_of_the_plain_inverse(link: str) -> None:
    found = precise.variances(PAPER, None, link)
    with mp.workdps(60):
        names, fim, _ = precise.position_fim(PAPER, None, link)
        inverse = mp.inverse(fim)
        assert all(abs(found[name] / inverse[i, i] - 1) < mpf(10) ** -30 for i, name in enumerate(names))


def test_more_digits_change_nothing() -> None:
    near = replace(PAPER, targets=[(-10.0, 15.0), (5.0, 15.0), (-4.99, 20.0)], bandwidth_hz=120.0)
    for scene in (PAPER, near):
        fifty, eighty = bounds(scene), bounds(scene, digits=80)
        for a, b in ((fifty.position, eighty.position), (fifty.monostatic, eighty.monostatic)):
            assert abs(a / b - 1) < mpf(10) ** -14


def test_a_target_on_the_segment_hides_with_the_direct_path() -> None:
    scene = replace(PAPER, targets=[(-2.5, 10.0), (5.0, 15.0), (0.0, 17.0)])
    for phases in ([0.0] * 4, [0.3, 1.1, 2.0, -0.7]):
        hidden = replace(scene, phase_bistatic=phases)
        null = null_parameters(hidden, None, "bistatic")
        assert {"gain0_re", "gain1_re", "gain0_im", "gain1_im"} <= set(null)
        assert unit_eigenvalue(hidden, None, "bistatic") == 0
        assert bounds(hidden).targets[0] == mp.inf


def test_a_target_on_the_array_axis_hides_its_angle_from_the_bs() -> None:
    scene = replace(PAPER, targets=[(-10.0, 15.0), (5.0, 15.0), (12.0, 0.0)])
    found = bounds(scene)
    assert null_parameters(scene, None, "monostatic") == ["target3_y"]
    assert [p == mp.inf for p in found.monostatic_paths] == [False, False, False, True]


def test_one_antenna_and_one_subcarrier_bound_nothing() -> None:
    found = bounds(replace(PAPER, targets=[], tx_antennas=1, ue_antennas=1, subcarriers=1))
    assert found.position == found.orientation == found.clock == mp.inf
    assert found.targets == []


def test_without_transmit_angles_powers_of_derivative_columns_are_lost() -> None:
    scene = replace(PAPER, targets=[], tx_antennas=1)
    assert bounds(scene).monostatic == bounds(scene, [1.0, 0.0]).monostatic
    halved = bounds(scene, [0.5, 0.5]).monostatic
    assert abs(halved / bounds(scene).monostatic - 2) < mpf(10) ** -40


def test_bounds_follow_the_power() -> None:
    louder = replace(PAPER, power_dbm=PAPER.power_dbm + 10)
    assert abs(bounds(PAPER).position / bounds(louder).position - 10) < mpf(10) ** -25
