"""Names of schemes as they are printed, and which belong together."""

from crbatch import SCHEMES
from crbatch.results.schemes import label_of, wbf_schemes


def test_labels_differ():
    factors = [f"fdb-wbf:{factor}" for factor in ("sqrt", "eigen", "svd", "randomization")]
    schemes = [*SCHEMES, "custom", *factors]
    schemes += [f"{scheme}@{knowledge}" for scheme in schemes for knowledge in ("nominal", "average")]
    labels = {label_of(scheme) for scheme in schemes}
    assert len(labels) == len(schemes)
    assert {"FDB-WBF (aligned)", "APA", "Custom", "FDB-WBF (SVD) (nominal)"} < labels


def test_wbf_schemes_of_a_family():
    names = ["fdb-wbf", "fdb-wbf@nominal", "cpa-wbf", "fdb-wvm", "fdb-wbf-aligned", "fdb-wbf:svd"]
    assert wbf_schemes(names, "fdb") == ["fdb-wbf", "fdb-wbf-aligned", "fdb-wbf:svd"]
    assert wbf_schemes(names, "cpa") == ["cpa-wbf"]
