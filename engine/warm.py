"""Kernels before they are needed: whether they are compiled, and compiling or loading all of them."""

import gc
import subprocess
import sys
from pathlib import Path

from .kernels.jit.accelerate import is_compiled, note_compiled, store
from .kernels.jit.kernelstore import STAND_IN_PREFIX

__all__ = ["STAND_IN_PREFIX", "cache_folder", "cache_trouble", "is_compiled", "load_kernels", "remove_stand_in"]


def cache_folder() -> Path:
    """Where compiled kernels are kept, if they can be kept there."""
    return store.usual.path


def cache_trouble() -> str:
    """What keeps the folder of compiled kernels from being used, in one line; empty if nothing does."""
    return store.trouble()


def remove_stand_in() -> None:
    """Remove the folder that took its place in this process, if there is one."""
    store.remove_stand_in()


def load_kernels() -> None:
    """Compile or load every kernel by a tiny run through all of them; of several processes, one alone compiles."""
    if not is_compiled():
        with store.alone() as kept:
            if not is_compiled():  # the process that was waited for may have done it
                _compile(kept)
                note_compiled()
    _run_through()
    gc.freeze()  # what is loaded now stays: a worker need not look through it when it ends


def _compile(kept: bool) -> None:
    """Compile every kernel, on two cores where what another process compiled can be loaded."""
    if not kept:
        return _run_through()
    helper = subprocess.Popen([sys.executable, "-P", "-m", "crbatch.engine.warm"], stdin=subprocess.DEVNULL)
    try:
        _compile_setup()
        helper.wait()  # whatever became of it: what it did not compile is compiled here
        _run_through()
    finally:
        helper.kill()


def _run_through() -> None:
    from .beamforming.scheme import SCHEMES
    from .beamforming.schemes import design
    from .scenario import Scenario

    _ = design(Scenario(subcarriers=8), None, SCHEMES, [0.0, 0.5, 1.0]).crb_bp_fused


def _compile_solvers() -> None:
    """What turns a problem into designs and bounds, on a problem of nothing: only the types of the arrays matter."""
    import numpy as np

    from .beamforming import weighted
    from .kernels.bound import designbounds
    from .kernels.bound.problems import ProblemArrays, SeparableFim
    from .kernels.descent import curve, loop, polar
    from .kernels.designs import cleaning, extremes, mismatch

    empty, square = np.zeros((1, 0, 0)), np.zeros((1, 2, 2))
    path, weights, phasor = np.zeros(1, np.int64), np.zeros((1, 4, 4)), np.zeros((1, 1, 2))
    bistatic = SeparableFim(
        weights, empty, phasor, np.arange(4), path, np.zeros((1, 3, 4)), np.zeros((1, 4, 4)), empty, 2
    )
    monostatic = SeparableFim(weights, empty, phasor, np.array([0, 1, 1, 2]), path, empty, empty, empty, 1)
    draws = ProblemArrays(bistatic, monostatic, square, empty, square, empty, np.zeros((1, 2, 1)), square)
    rho, nobody = np.array([0.5]), np.zeros(1, np.bool_)
    powers = np.full((1, 2), 0.5)
    points, _ = loop.descend(draws, 2, polar.polar_of_powers(draws, powers, 2), rho, nobody, nobody, 1e-6)
    x, unwanted = np.zeros((1, 1, 2, 2), np.complex128), np.zeros((1, 1), np.bool_)
    cleaning.certified_covariances(draws, rho, x, points, 2, unwanted, True, 1e-6, weighted.CLEANING)
    cleaning.certified_powers(draws, rho, powers[:, None].copy(), unwanted)
    curve.balanced_powers(draws, powers, rho, nobody, nobody)
    designbounds.design_bounds(draws, x, np.ones((2, 1, 4)), 1.0)
    designbounds.ranks_of(x, weighted.CLEANING)
    settled = x[:, :1].repeat(2, axis=1)
    nobody_of_two = np.zeros((1, 2), np.bool_)
    extremes.settled_covariances(draws, np.array([1.0, 0.0]), settled, settled, nobody_of_two, 1e4)
    found = extremes.covariance_slopes(draws, rho, x, unwanted)
    extremes.power_slopes(draws, rho, powers[:, None].copy(), unwanted)
    roots = mismatch.factors_of(settled, np.zeros((1, 1, 2), np.complex128), np.array([2]), mismatch.SQRT)
    one = np.ascontiguousarray(roots[:, 0])
    mixed, norms = mismatch.mixed_factors(one, mismatch.aligned_with(one, one, np.array([2])), rho)
    mismatch.factor_changes(mixed, norms, found, one, one, rho)
    mismatch.covariance_changes(found, one, one, rho)
    mismatch.covariances_of(mixed)


def _compile_setup() -> None:
    """What sets a problem up, and the interior-point methods, which share much."""
    import numpy as np

    from .beamforming.problem import build_problem
    from .draws import fixed_draw
    from .kernels.interior import covariances as interior
    from .kernels.interior import finishing, newtonpowers
    from .kernels.interior import powers as interiorpowers
    from .scenario import Scenario

    problem = build_problem(Scenario(subcarriers=8), fixed_draw(Scenario()))
    rho, nobody = np.array([0.5]), np.zeros((1, 1), np.bool_)
    interior.interior_designs(problem.arrays, problem.apa, rho, nobody, interior.BOLD, 1e-6)
    x = problem.covariance_of_powers(problem.apa[:, None])
    finishing.finished_designs(problem.arrays, x, rho, nobody)
    interiorpowers.interior_powers(problem.arrays, problem.apa, rho, nobody, 1e-6)
    newtonpowers.centred_powers(problem.arrays, rho, problem.apa[:, None].copy(), nobody)
    newtonpowers.refined_powers(problem.arrays, rho, problem.apa[:, None].copy(), nobody)


if __name__ == "__main__":
    _compile_solvers()
