"""How far from the boundary the steps of the interior-point methods keep, the same for covariances and for powers.

Test: tests/engine/beamforming/test_interior.py.
"""

from ..jit.accelerate import unmanaged
from ..jit.lanes import root, where_less

_FIRST_MU = 0.8  # times the spread of N at the start, which is about the gap there
_LEAST_MU = 1e-4
_LEAST_SIGMA, _LARGEST_SIGMA = 1e-4, 0.5


@unmanaged
def first_mu(spread, n):
    """Mu to begin with, from sqrt(spread), spread = tr x N^2 - 1: at an optimum N is the identity where x is."""
    mu = (_FIRST_MU / n) * root(where_less(0.0, spread, spread, 0.0))
    return where_less(_LEAST_MU, mu, mu, _LEAST_MU)


@unmanaged
def centring(ahead, product):
    """Sigma of the corrector, by Mehrotra's rule: from x s at the end of the predictor's step, and where it began."""
    share = where_less(0.0, ahead, ahead / product, 0.0)
    sigma = share * share * share
    sigma = where_less(sigma, _LARGEST_SIGMA, sigma, _LARGEST_SIGMA)
    return where_less(_LEAST_SIGMA, sigma, sigma, _LEAST_SIGMA)
