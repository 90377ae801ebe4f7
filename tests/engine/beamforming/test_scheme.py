"""Names of schemes: parsed alike in the engine and for cubes, spelled as they were read, each with a way to make it."""

from typing import get_args

import pytest
from crbatch import CUSTOM, FACTOR_SCHEMES, SCHEMES
from crbatch.engine.beamforming.scheme import FACTORS, Knowledge, Scheme
from crbatch.engine.beamforming.schemes import METHODS
from crbatch.results.schemes import scheme_of

NAMES = (*SCHEMES, *FACTOR_SCHEMES, CUSTOM)


@pytest.mark.parametrize("knowledge", [None, *get_args(Knowledge)])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_read_alike_and_spelled_as_they_were_read(name: str, knowledge: str | None) -> None:
    scheme = Scheme.parse(name).known_from(knowledge)
    label = name if knowledge is None else f"{name}@{knowledge}"
    assert str(scheme) == label
    assert Scheme.parse(label) == scheme
    assert (scheme.family, scheme.rule, scheme.factor, scheme.knowledge) == scheme_of(label)


def test_a_name_says_what_it_is_made_of() -> None:
    assert Scheme.parse("fdb-wbf:svd@nominal") == Scheme("fdb", "wbf", "svd", "nominal")
    assert Scheme.parse("fdb-wbf-aligned") == Scheme("fdb", "wbf", "aligned")
    assert Scheme.parse("cpa-wcrb@average") == Scheme("cpa", "wcrb", None, "average")
    assert Scheme.parse("apa") == Scheme("apa")


@pytest.mark.parametrize("factor", FACTORS)
def test_only_plain_fdb_wbf_takes_the_factor_asked_for(factor: str) -> None:
    given = {name: Scheme.parse(name, factor).factor for name in NAMES}  # type: ignore[arg-type]
    changed = {name for name in NAMES if given[name] != Scheme.parse(name).factor}
    assert changed == {"fdb-wbf"}
    assert given["fdb-wbf"] == factor
    assert Scheme.parse("fdb-wbf", factor).randomized == (factor == "randomization")  # type: ignore[arg-type]


def test_every_scheme_has_a_method_and_all_but_ones_own_beams_an_average() -> None:
    assert {Scheme.parse(name).method for name in NAMES} == set(METHODS)
    assert [name for name, method in METHODS.items() if method.of_mean is None] == [CUSTOM]
