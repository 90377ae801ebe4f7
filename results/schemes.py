"""Schemes by their names in the cube: how they are printed, and which belong together.

A name is a family and a rule, then ``:factor`` of the covariance that WBF mixes, then ``@knowledge`` of the beams:
``fdb-wbf:svd@nominal``. Here alone the names of a cube are parsed.
"""

from collections.abc import Iterable
from typing import NamedTuple

FAMILIES = ("fdb", "cpa")
_FACTORS = {"sqrt": "root", "eigen": "eigenvectors", "svd": "SVD", "randomization": "randomised"}

FACTOR_WORDS = {
    "sqrt": "principal roots of V",
    "eigen": "eigenvectors of V times root eigenvalues",
    "svd": "singular vectors of V, at random phases, times root singular values",
    "randomization": "the best of 100 Gaussian candidates with V in the mean",
}


class Scheme(NamedTuple):
    """What a name says; None where it says nothing."""

    family: str
    rule: str | None
    factor: str | None
    knowledge: str | None


def scheme_of(name: str) -> Scheme:
    """What a name in the cube says."""
    scheme, _, knowledge = name.partition("@")
    method, _, factor = scheme.partition(":")
    family, *rest = method.split("-")
    rule, aligned = (*rest, None, None)[:2]
    return Scheme(family, rule, aligned or factor or None, knowledge or None)


def label_of(name: str) -> str:
    """Name of a scheme as it is printed: FDB-WBF (SVD) of fdb-wbf:svd."""
    family, rule, factor, knowledge = scheme_of(name)
    method = family.capitalize() if family == "custom" else "-".join(filter(None, (family, rule))).upper()
    words = [_FACTORS.get(factor, factor) if factor else None, knowledge]
    return " ".join([method, *(f"({word})" for word in words if word)])


def wbf_schemes(schemes: Iterable[str], family: str) -> list[str]:
    """Those that mix beamformers, one for each factor: of family "fdb" or "cpa", made for every draw."""
    parsed = ((name, scheme_of(name)) for name in schemes)
    return [name for name, one in parsed if (one.family, one.rule, one.knowledge) == (family, "wbf", None)]
