"""Bounds of every path's angles and delay, against a literal FIM of the channel's own parameters."""

import numpy as np
import pytest
from crbatch import Scenario, bistatic_link, fixed_draw, monostatic_link, path_bounds
from world import WORLD, Array, Scene, World, inverse, length, tangents
from world_engine import engine_scene
from world_scenes import planar, random_scene, scattered

ODD = scattered(np.random.default_rng(5), 12)
SCENES: dict[str, Scene] = {
    "space": random_scene(0),
    "odd": random_scene(1, tx=ODD),
    "prior and knowledge do not count": random_scene(2, prior={"ue_position": 0.1}, known=["clock"]),
    "blocked": random_scene(2, los=False),
    "one antenna at the UE": random_scene(3, uea=[[0.0, 0.0, 0.0]]),
    "a row at the UE": random_scene(3, uea=planar(1, 8)),
    "plane": WORLD["2d-circle"]["scenario"],
}


def any_covariance(world: World) -> Array:
    rng = np.random.default_rng(3)
    w = rng.normal(size=(len(world.tx), len(world.tx), 2)) @ [1, 1j]
    return w @ w.conj().T * world.power / np.sum(np.abs(w) ** 2)


def literal_bounds(world: World, link: str, v: Array) -> list[Array]:
    """Bounds of departures, arrivals (BP) and delays, [path] each: summed over every subcarrier and antenna."""
    seen, q = list(world.visible(link)), world.d - 1
    points = np.vstack([world.ue, world.targets])
    ahead, back = points - world.bs, np.vstack([world.bs, world.targets]) - world.ue
    leaving = tangents(ahead / length(ahead)[:, None] @ world.bs_frame)[:q]
    coming = tangents(back / length(back)[:, None] @ world.ue_frame)[:q]
    frequency = world.spacing * np.arange(1, world.scene["m"] + 1)
    slopes = {"aod": [], "aoa": [], "delay": []}
    for k in seen:
        sent = [-2 * np.pi * (world.tx @ e[k])[None, None, :] for e in leaving]
        if link == "ms":
            sent = [s + 2 * np.pi * (world.rx @ e[k])[None, :, None] for s, e in zip(sent, leaving, strict=True)]
        else:
            slopes["aoa"].append([2 * np.pi * (world.uea @ e[k])[None, :, None] for e in coming])
        slopes["aod"].append(sent)
        slopes["delay"].append([-2 * np.pi * frequency[:, None, None]])
    waves = [np.exp(1j * phase) for phase in world.path_phases(link, world.eta)]
    rows, owners = [], []
    for kind, paths in slopes.items():
        for k, (each, wave) in enumerate(zip(paths, waves, strict=True) if paths else ()):
            rows += [1j * world.gains[link][seen[k]] * slope * wave for slope in each]
            owners += [(kind, k)] * len(each)
    for wave in waves:
        rows += [wave, 1j * wave]
        owners += [("gain", 0)] * 2
    d = np.array(rows).reshape(len(rows), -1, len(world.tx))
    fim = (d @ v).reshape(len(rows), -1) @ d.reshape(len(rows), -1).conj().T
    variances = np.diag(inverse(world.snr_factor * fim.real))
    return [
        np.array(
            [sum(x for x, owner in zip(variances, owners, strict=True) if owner == (kind, k)) for k in range(len(seen))]
        )
        for kind in slopes
    ]


@pytest.mark.parametrize("path", ["separable", "explicit"])
@pytest.mark.parametrize("name", SCENES)
def test_bounds_of_paths_are_the_literal_ones(name: str, path: str) -> None:
    world = World(SCENES[name])
    v, given = any_covariance(world), engine_scene(SCENES[name])
    for key, link in (("bp", bistatic_link(*given)), ("ms", monostatic_link(*given))):
        found = path_bounds(link, v, path)  # type: ignore[arg-type]
        aod, aoa, delay = literal_bounds(world, key, v)
        np.testing.assert_allclose(found.aod[0], aod, rtol=1e-8)
        np.testing.assert_allclose(found.delay[0], delay, rtol=1e-8)
        if found.aoa is not None:
            blind = len(world.uea) == 1 or (world.d == 3 and name == "a row at the UE")
            np.testing.assert_allclose(found.aoa[0], np.full(len(aod), np.inf) if blind else aoa, rtol=1e-8)
        assert (found.aoa is None) == (key == "ms")
        assert found.delay.shape == (1, len(world.visible(key)))
        assert np.isfinite(found.aod).all()


def test_a_single_antenna_sends_no_direction() -> None:
    scenario = Scenario(tx_antennas=1)
    found = path_bounds(bistatic_link(scenario, fixed_draw(scenario)), np.full((1, 1), scenario.power_per_subcarrier_w))
    assert np.isinf(found.aod).all()
    assert np.isfinite(found.delay).all()
