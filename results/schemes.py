"""Schemes by their names in the cube: how they are printed, and which belong together.

A name is a family and a method, then ``:factor`` of the covariance that WBF mixes, then ``@knowledge`` of the beams:
``fdb-wbf:svd@nominal``.
"""

from collections.abc import Iterable

FAMILIES = ("fdb", "cpa")
_SPECIAL = {"fdb-wbf-aligned": "FDB-WBF (aligned)", "custom": "Custom"}
_FACTORS = {"sqrt": "root", "eigen": "eigenvectors", "svd": "SVD", "randomization": "randomised"}

FACTOR_WORDS = {
    "sqrt": "principal roots of V",
    "eigen": "eigenvectors of V times root eigenvalues",
    "svd": "singular vectors of V, at random phases, times root singular values",
    "randomization": "the best of 100 Gaussian candidates with V in the mean",
}


def label_of(scheme: str) -> str:
    """Name of a scheme as it is printed: FDB-WBF (SVD) of fdb-wbf:svd."""
    name, _, knowledge = scheme.partition("@")
    base, _, factor = name.partition(":")
    words = [_FACTORS.get(factor, factor), knowledge]
    return " ".join([_SPECIAL.get(base, base.upper()), *(f"({word})" for word in words if word)])


def wbf_schemes(schemes: Iterable[str], family: str) -> list[str]:
    """Those that mix beamformers, one for each factor: of family "fdb" or "cpa", made for every draw."""
    return [name for name in schemes if name.startswith(f"{family}-wbf") and "@" not in name]
