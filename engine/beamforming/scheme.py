"""Schemes as data: what a scheme's name says, and the names that there are.

A name is a family and a rule, then ``:factor`` of the covariance that WBF mixes, then ``@knowledge`` of the beams:
``fdb-wbf:svd@nominal``. Here alone names are parsed and spelled; `schemes.METHODS` says how each is made.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

WbfFactor = Literal["sqrt", "eigen", "svd", "randomization"]
Knowledge = Literal["per-draw", "nominal", "average"]
_Scheme = Literal[
    "fdb-wcrb",
    "fdb-wbf",
    "fdb-wvm",
    "cpa-wcrb",
    "cpa-wbf",
    "cpa-wvm",
    "apa",
    "fdb-wbf-aligned",
]
# fdb-wbf with a factor of its own, whatever `wbf_factor` says of the plain one.
_FactorScheme = Literal["fdb-wbf:sqrt", "fdb-wbf:eigen", "fdb-wbf:svd", "fdb-wbf:randomization"]
SchemeName = Literal[_Scheme, _FactorScheme, "custom"]

FACTORS: tuple[WbfFactor, ...] = get_args(WbfFactor)
SCHEMES: tuple[_Scheme, ...] = get_args(_Scheme)
FACTOR_SCHEMES: tuple[_FactorScheme, ...] = get_args(_FactorScheme)
CUSTOM: Literal["custom"] = "custom"
ALIGNED = "aligned"


@dataclass(frozen=True)
class Scheme:
    """What a name says.

    Attributes
    ----------
    family
        fdb, cpa, apa or custom.
    rule
        wcrb, wbf or wvm; None for families of one scheme.
    factor
        What WBF mixes: see `beamforming.factors`; None where the name leaves it open.
    knowledge
        Which knowledge the beams are of; None where the name leaves it open.
    """

    family: str
    rule: str | None = None
    factor: str | None = None
    knowledge: str | None = None

    @classmethod
    def parse(cls, name: str, wbf_factor: WbfFactor | None = None) -> "Scheme":
        """Of a name; plain fdb-wbf gets the factor given."""
        name, _, knowledge = name.partition("@")
        method, _, factor = name.partition(":")
        family, *rest = method.split("-")
        rule, aligned = (*rest, None, None)[:2]
        open_factor = wbf_factor if (family, rule) == ("fdb", "wbf") else None
        return cls(family, rule, aligned or factor or open_factor, knowledge or None)

    def __str__(self) -> str:
        factor = "" if self.factor is None else f"-{ALIGNED}" if self.factor == ALIGNED else f":{self.factor}"
        return self.method + factor + ("" if self.knowledge is None else f"@{self.knowledge}")

    @property
    def method(self) -> str:
        """Family and rule."""
        return self.family if self.rule is None else f"{self.family}-{self.rule}"

    @property
    def randomized(self) -> bool:
        """Whether it mixes Gaussian candidates."""
        return self.factor == "randomization"

    def known_from(self, knowledge: str | None) -> "Scheme":
        """The same scheme with beams of a knowledge, or of one left open."""
        return replace(self, knowledge=knowledge)
