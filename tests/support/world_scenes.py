"""Random scenes in space in the form of `golden/world.json`: odd arrays, any attitude, with and without priors."""

import numpy as np
from world import Array, Scene


def planar(rows: int, columns: int) -> list[list[float]]:
    """Half-wavelength planar array in the local y-z plane, centred."""
    z, y = np.meshgrid(np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2, indexing="ij")
    return np.stack([0 * y, y / 2, z / 2], axis=-1).reshape(-1, 3).tolist()


def scattered(rng: np.random.Generator, count: int) -> list[list[float]]:
    """Elements anywhere in a cube of two wavelengths: no symmetry, no plane."""
    return rng.uniform(-1, 1, (count, 3)).tolist()


def random_rotation(rng: np.random.Generator) -> Array:
    """A rotation matrix, uniform over all of them."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def random_scene(seed: int, targets: int = 3, **changes: object) -> Scene:
    """One scene of tens of metres with a planar transmitter and scattered receivers; changes replace its entries."""
    rng = np.random.default_rng([2026, seed])
    bearings = rng.uniform(-180, 180, (2, 3)) * [1, 0.4, 1]
    places = rng.uniform([-15, 5, 0], [15, 25, 6], (targets + 1, 3))
    return {
        "bs": [0.0, 0.0, 8.0],
        "bs_rot": bearings[0].tolist(),
        "tx": planar(4, 4),
        "rx": scattered(rng, 9),
        "uea": scattered(rng, 7),
        "ues": [{"pos": places[0].tolist(), "rot": bearings[1].tolist()}],
        "clock": 1e-6,
        "targets": places[1:].tolist(),
        "fc": 28e9,
        "bw": float(rng.uniform(15e6, 400e6)),
        "m": 16,
        "p_dbm": 0.0,
        "nf_db": 10.0,
        "n0_dbm": -173.855,
        "pilots": 100,
        "rcs_ue": 10.0,
        "rcs": rng.uniform(10, 200, targets).tolist(),
        "los": True,
        "known": [],
        "prior": {},
        "phases_bistatic_rad": rng.uniform(-np.pi, np.pi, targets + 1).tolist(),
        "phases_monostatic_rad": rng.uniform(-np.pi, np.pi, targets + 1).tolist(),
        **changes,
    }
