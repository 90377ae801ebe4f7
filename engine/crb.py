"""Cramer-Rao bounds (8), (10) from position-domain FIMs or from a link, and the equivalent FIM (14).

What is unidentifiable knows no scale: a bound is infinite where rounding leaves nothing of it. The FIM of a large cell
may have a condition number of 1e16 and good bounds, as its axes are not those of its ellipses; one of a target that
nobody can tell from the line of sight has none, whatever its size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arguments import reals, within
from .arrays import Reals, summed
from .errors import EngineError
from .fisher import FimPath, channel_fim
from .kernels.bound import designbounds
from .links import Link

# The one rule for "unidentifiable": the relative rounding to expect of a bound is this or more...
LOST = 1e-2
# ...or, at a design whose draw is identifiable, it is this many times as large as under equal powers.
SINGULAR = 1e11
# Relative asymmetry of a FIM that rounding does not explain.
_ASYMMETRY = 1e-6


@dataclass(frozen=True)
class BistaticBounds:
    """Bounds of the UE's view, one entry a draw; inf where unidentifiable.

    Attributes
    ----------
    position
        CRB_BP (8), trace over p_U, (batch,), m2.
    orientation, clock
        (batch,), rad2 and s2; 0 where known. In space the orientation's is the trace over a rotation vector.
    targets
        Mapping: bound on each target's position, (batch, K), m2.
    """

    position: Reals
    orientation: Reals
    clock: Reals
    targets: Reals


@dataclass(frozen=True)
class MonostaticBounds:
    """Bounds of the BS's view, one entry a draw; inf where unidentifiable.

    Attributes
    ----------
    position
        CRB_MS (10), trace over all positions, (batch,), m2.
    targets
        Each position's own bound, (batch, K+1), m2; 0 is the UE.
    """

    position: Reals
    targets: Reals


@dataclass(frozen=True)
class PathBounds:
    """Bounds of every path's own angles and delay, all of them free, (batch, path); inf where unidentifiable.

    Attributes
    ----------
    aod
        Of the direction at the BS, rad2; in space the trace over both its tangents.
    aoa
        Of that at the UE, rad2; none in MS, where it is the same.
    delay
        tau_k or eps_k, s2.
    """

    aod: Reals
    aoa: Reals | None
    delay: Reals


def _each(diagonal: Reals, dims: int) -> Reals:
    """Sums over the coordinates of each position, in order; (..., n D) -> (..., n)."""
    total = diagonal[..., ::dims].copy()
    for c in range(1, dims):
        total += diagonal[..., c::dims]
    return total


def bistatic_from_diagonal(diagonal: Reals, dims: int = 2) -> BistaticBounds:
    """Bounds from the leading diagonal entries of the inverse FIM, (..., [p_U, orientation, p_1..p_K, dt])."""
    turns = dims + (1 if dims == 2 else 3)
    return BistaticBounds(
        position=_each(diagonal[..., :dims], dims)[..., 0],
        orientation=_each(diagonal[..., dims:turns], turns - dims)[..., 0],
        targets=_each(diagonal[..., turns:-1], dims),
        clock=diagonal[..., -1],
    )


def monostatic_from_diagonal(diagonal: Reals, dims: int = 2) -> MonostaticBounds:
    """Bounds from the leading diagonal entries of the inverse FIM, (..., D (K+1))."""
    targets = _each(diagonal, dims)
    return MonostaticBounds(position=summed(targets), targets=targets)


def _checked_fims(fim: ArrayLike, without_targets: int, each: int) -> tuple[Reals, int]:
    """Position FIMs (batch, p, p) of p = K `each` + `without_targets` unknowns, and K.

    Refused is what no FIM can be; one that is singular or not finite belongs to a draw that is not identifiable.
    """
    j = np.ascontiguousarray(reals("a FIM", fim))
    if j.ndim == 2:
        j = j[None]
    targets, odd = divmod(j.shape[-1] - without_targets, each)
    if j.ndim != 3 or j.shape[1] != j.shape[2] or odd or targets < 0:
        raise EngineError(f"expected position FIMs (batch, p, p) with p = {each} K + {without_targets}; got {j.shape}")
    transposed = np.swapaxes(j, 1, 2)
    diagonal = np.abs(np.einsum("bii->bi", j))
    size = np.maximum(np.sqrt(diagonal[:, :, None]) * np.sqrt(diagonal[:, None, :]), np.abs(j))
    if (np.abs(j - transposed) > _ASYMMETRY * np.maximum(size, np.abs(transposed))).any():
        raise EngineError("a FIM is not symmetric; give what position_fim returns")
    return j, targets


def bistatic_bounds(fim: ArrayLike, dimensions: int = 2) -> BistaticBounds:
    """Bounds of BP from position FIMs.

    Signal model (2), unknowns [p_U, phi, p_1..p_K, dt, Re alpha, Im alpha]; the noise power, the pilots and
    the BS's position are known. The FIM is inverted after scaling to unit diagonal.

    Parameters
    ----------
    fim
        (batch, 4K+6, 4K+6) or one such matrix, as `position_fim` gives them; 5K+9 in space. Nothing is known of the
        unknowns: with known ones or a prior take `link_bounds`.
    dimensions
        2 in the plane, 3 in space.

    Returns
    -------
    BistaticBounds
        inf where rounding leaves nothing of a bound. A FIM holds fewer digits than the link that it comes from, as its
        entries are rounded; in cells of several km at small bandwidths `link_bounds` is the better way.

    Raises
    ------
    EngineError
        If the shape is not that of BP's FIMs, or a matrix is not real and symmetric.
    """
    dims = within("dimensions", dimensions, 2, 3)
    j, targets = _checked_fims(fim, 6 if dims == 2 else 9, dims + 2)
    diagonal = designbounds.inverse_diagonal(j, LOST)
    return bistatic_from_diagonal(diagonal[:, : -2 * targets - 2], dims)


def monostatic_bounds(fim: ArrayLike, dimensions: int = 2) -> MonostaticBounds:
    """Bounds of MS from position FIMs.

    Signal model (4), unknowns [p_U, p_1..p_K, Re beta, Im beta]; the noise power, the pilots and the BS's
    position are known.

    Parameters
    ----------
    fim
        (batch, 4K+4, 4K+4) or one such matrix, as `position_fim` gives them; 5K+5 in space. Without a prior.
    dimensions
        2 in the plane, 3 in space.

    Returns
    -------
    MonostaticBounds
        inf where rounding leaves nothing of a bound. A FIM holds fewer digits than the link that it comes from, as its
        entries are rounded; in cells of several km at small bandwidths `link_bounds` is the better way.

    Raises
    ------
    EngineError
        If the shape is not that of MS's FIMs, or a matrix is not real and symmetric.
    """
    dims = within("dimensions", dimensions, 2, 3)
    j, targets = _checked_fims(fim, dims + 2, dims + 2)
    diagonal = designbounds.inverse_diagonal(j, LOST)
    return monostatic_from_diagonal(diagonal[:, : -2 * targets - 2], dims)


def link_bounds(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> BistaticBounds | MonostaticBounds:
    """Bounds of a link for a covariance, from the FIM (6) of its angles, delays and gains.

    That of positions is never formed, but a triangular root of it (QR), which costs digits by the square root of its
    condition number only: right also in cells so large that `position_fim` has no digit left in some direction.

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V, (M_T, M_T) or (batch, M_T, M_T), W.
    path
        Closed form or explicit sum.

    Returns
    -------
    BistaticBounds or MonostaticBounds
        (batch,); inf where rounding leaves nothing of a bound.

    Raises
    ------
    EngineError
        If the covariance does not fit the link.
    """
    fim = channel_fim(link, covariance, path)
    diagonal = designbounds.bounds_of_channel_fims(fim, link.jacobian, link.prior, LOST)
    bounds = link.unknowns.with_known(diagonal[:, : link.unknowns.kept.size])[:, : link.unknowns.located]
    dims = int(link.unknowns.of("ue_position").sum())
    return (bistatic_from_diagonal if link.is_bistatic else monostatic_from_diagonal)(bounds, dims)


def path_bounds(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> PathBounds:
    """Bounds of the angles and delays of a link's paths, from the FIM (6) of these and the gains.

    Nothing is known of where paths lead: no geometry, no prior. Delays in BP are those on the UE's own clock.

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V, (M_T, M_T) or (batch, M_T, M_T), W.
    path
        Closed form or explicit sum.

    Returns
    -------
    PathBounds
        (batch, n), of the link's paths in order: without path 0 in BP where the line of sight is blocked.

    Raises
    ------
    EngineError
        If the covariance does not fit the link.
    """
    fim = channel_fim(link, covariance, path)
    kinds = designbounds.inverse_diagonal(fim, LOST).reshape(len(fim), -1, link.paths)
    # Angles in order, then the delay and both parts of the gain.
    angles = kinds[:, :-3]
    sides = 2 if link.is_bistatic else 1
    each = [summed(side.swapaxes(1, 2)) for side in np.split(angles, sides, axis=1)]
    return PathBounds(aod=each[0], aoa=each[1] if link.is_bistatic else None, delay=kinds[:, -3])


def equivalent_fim(fim: ArrayLike, keep: int) -> Reals:
    """Equivalent FIM (14) of the leading parameters: the Schur complement of the nuisance block.

    Parameters
    ----------
    fim
        (..., p, p), with an invertible nuisance block.
    keep
        How many leading parameters to keep; its inverse is the leading block of the inverse FIM.

    Returns
    -------
    numpy.ndarray
        (..., keep, keep), symmetric.

    Raises
    ------
    EngineError
        If these are no square matrices of real numbers, or `keep` is not from 1 to their size.
    """
    j = reals("a FIM", fim)
    if j.ndim < 2 or j.shape[-1] != j.shape[-2]:
        raise EngineError(f"expected square FIMs (..., p, p); got {j.shape}")
    keep = within("keep", keep, 1, j.shape[-1])
    scale = 1.0 / np.sqrt(np.einsum("...ii->...i", j))
    unit = j * scale[..., :, None] * scale[..., None, :]
    cross = unit[..., :keep, keep:]
    rest = np.linalg.solve(unit[..., keep:, keep:], np.swapaxes(cross, -1, -2))
    schur = unit[..., :keep, :keep] - cross @ rest
    schur = 0.5 * (schur + np.swapaxes(schur, -1, -2))
    return schur / (scale[..., :keep, None] * scale[..., None, :keep])  # type: ignore[no-any-return]
