"""Maximum-likelihood estimation of the positions from simulated observations: a check of the bounds themselves.

The observations are those of (2) and (4): y_m = H_m W + noise on every subcarrier, N pilots averaged. All unknowns
of (7) or (9) are estimated together by Fisher scoring (Gauss-Newton with the FIM as metric), started at the true
values: this shows that a local estimator reaches the bound, not that the truth can be found from nothing. With a prior
the estimate is the maximum a posteriori; in each trial the prior's mean is drawn around the truth.
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
from .scenario import Scenario
from .turns import turned
from .unknowns import bistatic_paths, bistatic_unknowns

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
_Moved = Callable[[Scenario, _State, Reals], _State]


@dataclass(frozen=True)
class _Model:
    """One link: how it is made, how its state moves, how many positions it senses, what its randomness is for."""

    link_of: _LinkOf
    moved: _Moved
    sensed: int
    noise: Purpose
    prior: Purpose


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
    channel = channel_of(scenario, draws)
    if draws.paths is not None:
        raise EngineError("the estimator does not take draws that bring their paths, as it moves positions")
    batch = len(draws)
    w = checked_beamformers("factors", factors, (batch, scenario.tx_antennas, "columns"))
    seed, start = within("seed", seed, 0, 2**63 - 1), within("start", start, 0, 2**63 - 1)
    truth = _State(draws, np.full(batch, scenario.clock_bias_s), channel.gain_bistatic, channel.gain_monostatic)
    v = covariance_of(w)
    errors, scaled = [], []
    models = (
        _Model(_bistatic, _moved_bistatic, 1, Purpose.NOISE_BISTATIC, Purpose.PRIOR_BISTATIC),
        _Model(
            _monostatic, _moved_monostatic, scenario.targets + 1, Purpose.NOISE_MONOSTATIC, Purpose.PRIOR_MONOSTATIC
        ),
    )
    for model in models:
        found, converged = _maximum(scenario, truth, w, v, model, (seed, start))
        error = (found.draws.places[:, : model.sensed] - draws.places[:, : model.sensed]).reshape(batch, -1)
        metric = _metric(model.link_of(scenario, truth), v)
        errors.append(np.where(converged, summed(error**2), np.nan))
        scaled.append(np.where(converged, kernels.normalised_error(metric, error), np.nan))
    return Errors(errors[0], errors[1], scaled[0], scaled[1])


def _metric(link: Link, v: Complexes) -> Reals:
    """What observation and prior know together, (batch, p, p)."""
    return position_fim_at(link, v) + np.diag(link.prior)


def _prior_means(link: Link, batch: int, address: tuple[int, int, Purpose]) -> Reals:
    """How far the prior's mean is from the truth in each trial, (batch, p); 0 of what no prior tells of."""
    seed, start, purpose = address
    deviation = np.divide(1.0, np.sqrt(link.prior), out=np.zeros_like(link.prior), where=link.prior > 0.0)
    if not deviation.any():
        return np.zeros((batch, deviation.size))
    words = [pairs_of_words(seed, purpose, start + b, deviation.size) for b in range(batch)]
    unit: Reals = np.sqrt(2.0) * np.stack([kernels.normals(each).real for each in words])
    return deviation * unit


def _maximum(
    scenario: Scenario, truth: _State, w: Complexes, v: Complexes, model: _Model, address: tuple[int, int]
) -> tuple[_State, Flags]:
    """Observe one link, and climb its posterior from the truth; the estimates, and which of them converged."""
    link = model.link_of(scenario, truth)
    noise = _noise(link, w, (*address, model.noise))
    seen = _mean(link, w) + noise
    means = _prior_means(link, len(w), (*address, model.prior))
    state, share, converged = truth, np.ones(len(w)), np.zeros(len(w), bool)
    way = np.zeros_like(means)  # from the truth
    residual, height = noise, _height(link, noise, way - means)
    for _ in range(_MOST_STEPS):
        gradient = kernels.score(*link.derivatives, link.rx_columns, link.tx_columns, w, residual, link.scale)
        pull = link.prior * (means - way)
        step, length2 = kernels.scoring_step(link.jacobian, gradient, pull, _metric(link, v))
        converged |= length2 < _CLOSE
        if (converged | np.isnan(length2) | (share < _SHORTEST)).all():
            break
        # A step that made it worse is taken back by its negative, and tried again at half its length.
        ahead = np.where(converged, 0.0, share)[:, None] * step
        state, link, residual, fresh = _taken(scenario, state, ahead, (model, seen, w), way + ahead - means)
        better = fresh <= height
        if not better.all():
            back = np.where(better[:, None], 0.0, -ahead)
            ahead = np.where(better[:, None], ahead, 0.0)
            state, link, residual, fresh = _taken(scenario, state, back, (model, seen, w), way + ahead - means)
        way = way + ahead
        share, height = np.where(better, 1.0, 0.5 * share), fresh
    return state, converged


def _taken(
    scenario: Scenario, state: _State, step: Reals, observed: tuple[_Model, Complexes, Complexes], from_prior: Reals
) -> tuple[_State, Link, Complexes, Reals]:
    """The state a step further, its link, what it leaves of the observation, and minus its log posterior."""
    model, seen, w = observed
    state = model.moved(scenario, state, step)
    link = model.link_of(scenario, state)
    residual = seen - _mean(link, w)
    return state, link, residual, _height(link, residual, from_prior)


def _height(link: Link, residual: Complexes, from_prior: Reals) -> Reals:
    """Minus the log posterior, up to a constant, (batch,)."""
    height: Reals = kernels.squared_length(residual, link.scale)
    return height + 0.5 * summed(link.prior * from_prior**2) if link.prior.any() else height


def _mean(link: Link, w: Complexes) -> Complexes:
    return kernels.observation_mean(  # type: ignore[no-any-return]
        link.gain, link.delay, link.spacing_hz, link.subcarriers, link.rx_columns, link.sent_columns, w
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


def _moved_bistatic(scenario: Scenario, state: _State, step: Reals) -> _State:
    """The state a step further, along what is unknown of [p_U, orientation, p_1..p_K, dt, Re alpha, Im alpha]."""
    unknowns, own, dims = bistatic_unknowns(scenario), list(bistatic_paths(scenario)), scenario.dimensions
    turns = 1 if dims == 2 else 3
    whole = np.zeros((len(step), len(unknowns.groups)))
    whole[:, unknowns.kept] = step[:, : unknowns.kept.size]
    draws = turned(scenario, state.draws, whole[:, dims : dims + turns]).changed(
        ue_position=state.draws.ue_position + whole[:, :dims],
        target_position=state.draws.target_position + whole[:, dims + turns : -1].reshape(len(step), -1, dims),
    )
    gain = state.gain_bistatic.copy()
    gain[:, own] += step[:, -2 * len(own) : -len(own)] + 1j * step[:, -len(own) :]
    return replace(state, draws=draws, clock=state.clock + whole[:, -1], gain_bistatic=gain)


def _moved_monostatic(scenario: Scenario, state: _State, step: Reals) -> _State:
    """The state a step further, along [p_U, p_1..p_K, Re beta, Im beta]."""
    paths, dims = state.gain_monostatic.shape[1], scenario.dimensions
    gains = step[:, dims * paths :]
    draws = state.draws.changed(
        ue_position=state.draws.ue_position + step[:, :dims],
        target_position=state.draws.target_position + step[:, dims : dims * paths].reshape(len(step), -1, dims),
    )
    gain = state.gain_monostatic + gains[:, :paths] + 1j * gains[:, paths:]
    return replace(state, draws=draws, gain_monostatic=gain)
