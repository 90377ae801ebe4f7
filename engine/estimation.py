"""Maximum-likelihood estimation of the positions from simulated observations: a check of the bounds themselves.

The observations are those of (2) and (4): y_m = H_m W + noise on every subcarrier, N pilots averaged. All unknowns
of (7) or (9) are estimated together by Fisher scoring (Gauss-Newton with the FIM as metric), started at the true
values: this shows that a local estimator reaches the bound, not that the truth can be found from nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from .addresses import Purpose, pairs_of_words
from .arguments import within
from .arrays import Complexes, Flags, Reals, summed
from .channel import channel_of
from .covariances import checked_beamformers, covariance_of
from .draws import Draws
from .errors import EngineError
from .fisher import position_fim_at
from .kernels.model import likelihood as kernels
from .links import Link, bistatic_link, monostatic_link
from .scenario import Prior, Scenario

_MOST_STEPS = 60
_CLOSE = 1e-8  # squared length of a step in standard deviations, at which to stop
_SHORTEST = 2.0**-12


@dataclass(frozen=True)
class Errors:
    """Errors of the estimates, every array (batch,); NaN where the iteration did not converge or the FIM is singular.

    Attributes
    ----------
    bistatic, monostatic
        Squared error of the UE's position, and of all sensed positions together, m2.
    nees_bistatic, nees_monostatic
        Normalised estimation error squared, e^T C^-1 e / d with C the bound's block of the inverse FIM at the truth;
        1 in the mean for an efficient estimator.
    """

    bistatic: Reals
    monostatic: Reals
    nees_bistatic: Reals
    nees_monostatic: Reals


@dataclass(frozen=True)
class _State:
    """Values of all unknowns of both links, batch axis first."""

    draws: Draws
    clock: Reals
    gain_bistatic: Complexes
    gain_monostatic: Complexes


_LinkOf = Callable[[Scenario, _State], Link]
_Moved = Callable[[_State, Reals], _State]


def estimate(scenario: Scenario, draws: Draws, factors: ArrayLike, seed: int, start: int) -> Errors:
    """Simulate one observation of each draw, estimate all unknowns, and return the errors.

    `scenario`, `draws`: the truth. `factors`: a factor of V = W W^H for every draw, (batch, M_T, columns), W^0.5.
    `seed`, `start`: address of the noise: of these draws the first has index `start`. Result: the noise of a draw
    depends on seed, index and number of columns alone. Raises EngineError if scenario, draws and factors do not fit
    each other, or seed or start is no whole number from 0 on.

    Notes
    -----
    S. M. Kay, Fundamentals of Statistical Signal Processing: Estimation Theory, 1993, section 7.7 (scoring).
    """
    _check_model(scenario, draws)
    channel = channel_of(scenario, draws)
    batch = len(draws)
    w = checked_beamformers("factors", factors, (batch, scenario.tx_antennas, "columns"))
    seed, start = within("seed", seed, 0, 2**63 - 1), within("start", start, 0, 2**63 - 1)
    truth = _State(draws, np.full(batch, scenario.clock_bias_s), channel.gain_bistatic, channel.gain_monostatic)
    v = covariance_of(w)
    errors, scaled = [], []
    links: tuple[tuple[_LinkOf, _Moved, int, Purpose], ...] = (
        (_bistatic, _moved_bistatic, 1, Purpose.NOISE_BISTATIC),
        (_monostatic, _moved_monostatic, scenario.targets + 1, Purpose.NOISE_MONOSTATIC),
    )
    for link, moved, sensed, purpose in links:
        found, converged = _maximum(scenario, truth, w, v, (link, moved), (seed, start, purpose))
        error = (found.draws.places[:, :sensed] - draws.places[:, :sensed]).reshape(batch, -1)
        fim = position_fim_at(link(scenario, truth), v)
        errors.append(np.where(converged, summed(error**2), np.nan))
        scaled.append(np.where(converged, kernels.normalised_error(fim, error), np.nan))
    return Errors(errors[0], errors[1], scaled[0], scaled[1])


def _check_model(scenario: Scenario, draws: Draws) -> None:
    """Refuse what the estimator does not know how to move along, or to weigh."""
    reasons = {
        "positions of three numbers": scenario.dimensions == 3,
        "known": bool(scenario.known),
        "a prior": scenario.prior != Prior(),
        "line_of_sight = false": not scenario.line_of_sight,
        "draws that bring their paths": draws.paths is not None,
    }
    for what, there in reasons.items():
        if there:
            raise EngineError(f"the estimator does not take {what}; it is for the plane, where nothing is known")


def _maximum(
    scenario: Scenario,
    truth: _State,
    w: Complexes,
    v: Complexes,
    model: tuple[_LinkOf, _Moved],
    address: tuple[int, int, Purpose],
) -> tuple[_State, Flags]:
    """Observe one link, and climb its likelihood from the truth; the estimates, and which of them converged."""
    link_of, moved = model
    link = link_of(scenario, truth)
    noise = _noise(link, w, address)
    seen = _mean(link, w) + noise
    state, share, converged = truth, np.ones(len(w)), np.zeros(len(w), bool)
    residual, height = noise, kernels.squared_length(noise, link.scale)
    for _ in range(_MOST_STEPS):
        gradient = kernels.score(*link.derivatives, link.rx_columns, link.tx_columns, w, residual, link.scale)
        step, length2 = kernels.scoring_step(link.jacobian, gradient, position_fim_at(link, v))
        converged |= length2 < _CLOSE
        if (converged | np.isnan(length2) | (share < _SHORTEST)).all():
            break
        length = np.where(converged, 0.0, share)[:, None]
        state = moved(state, length * step)
        link = link_of(scenario, state)
        residual = seen - _mean(link, w)
        fresh = kernels.squared_length(residual, link.scale)
        better = fresh <= height
        if not better.all():
            # A step that made it worse is taken back by its negative, and tried again at half its length.
            state = moved(state, np.where(better[:, None], 0.0, -length) * step)
            link = link_of(scenario, state)
            residual = seen - _mean(link, w)
            fresh = kernels.squared_length(residual, link.scale)
        share, height = np.where(better, 1.0, 0.5 * share), fresh
    return state, converged


def _mean(link: Link, w: Complexes) -> Complexes:
    return kernels.observation_mean(  # type: ignore[no-any-return]
        link.gain, link.delay, link.spacing_hz, link.subcarriers, link.rx_columns, link.tx_columns, w
    )


def _noise(link: Link, w: Complexes, address: tuple[int, int, Purpose]) -> Complexes:
    """Noise of variance sigma^2 / N in every entry; scale is 2 N / sigma^2."""
    seed, start, purpose = address
    shape = (w.shape[2], link.subcarriers, link.rx_columns.shape[1])
    each = [
        kernels.normals(pairs_of_words(seed, purpose, start + b, int(np.prod(shape)))).reshape(shape)
        for b in range(w.shape[0])
    ]
    # Columns slowest in the address: more of them leave the noise of the first as it is.
    noise: Complexes = np.sqrt(2.0 / link.scale) * np.moveaxis(np.stack(each), 1, 3)
    return noise


def _bistatic(scenario: Scenario, state: _State) -> Link:
    channel = channel_of(scenario, state.draws)
    delay = channel.delay_bistatic + (state.clock - scenario.clock_bias_s)[:, None]
    return bistatic_link(
        scenario, state.draws, replace(channel, delay_bistatic=delay, gain_bistatic=state.gain_bistatic)
    )


def _monostatic(scenario: Scenario, state: _State) -> Link:
    channel = channel_of(scenario, state.draws)
    return monostatic_link(scenario, state.draws, replace(channel, gain_monostatic=state.gain_monostatic))


def _moved_bistatic(state: _State, step: Reals) -> _State:
    """The state a step further, along [p_U, phi, p_1..p_K, dt, Re alpha, Im alpha]."""
    paths = state.gain_bistatic.shape[1]
    gains = step[:, -2 * paths :]
    draws = state.draws.changed(
        ue_position=state.draws.ue_position + step[:, :2],
        ue_orientation=state.draws.ue_orientation + step[:, 2],
        target_position=state.draws.target_position + step[:, 3 : 2 * paths + 1].reshape(len(step), -1, 2),
    )
    gain = state.gain_bistatic + gains[:, :paths] + 1j * gains[:, paths:]
    return replace(state, draws=draws, clock=state.clock + step[:, 2 * paths + 1], gain_bistatic=gain)


def _moved_monostatic(state: _State, step: Reals) -> _State:
    """The state a step further, along [p_U, p_1..p_K, Re beta, Im beta]."""
    paths = state.gain_monostatic.shape[1]
    gains = step[:, 2 * paths :]
    draws = state.draws.changed(
        ue_position=state.draws.ue_position + step[:, :2],
        target_position=state.draws.target_position + step[:, 2 : 2 * paths].reshape(len(step), -1, 2),
    )
    gain = state.gain_monostatic + gains[:, :paths] + 1j * gains[:, paths:]
    return replace(state, draws=draws, gain_monostatic=gain)
