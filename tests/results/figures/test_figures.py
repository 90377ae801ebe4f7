"""What the figures show, read back from the drawn artists; and that files are the same bytes every time."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from crbatch import CUSTOM, FACTOR_SCHEMES, SCHEMES
from crbatch.results.figures import panels as figures
from crbatch.results.figures.tradeoff import tradeoff
from crbatch.results.schemes import label_of
from cube_cases import RHO, made_cube, paper_cube
from drawn import legend_of, overlaps, panels, rendered

DRAWS_X_RHO = 20  # of one scheme in one panel


def curve(axes, label):
    """Points of the one line with a label, (2, points)."""
    lines = [line for line in axes.lines if line.get_label() == label]
    assert len(lines) == 1
    return np.array(lines[0].get_data())


def words(axes):
    """Every text in a panel."""
    return [text.get_text() for text in axes.texts]


def rings(axes):
    """Places of the rings around the ends of curves."""
    lines = [line for line in axes.lines if line.get_markersize() == 7.0 and line.get_markerfacecolor() == "none"]
    return [tuple(np.round(np.ravel(line.get_data()), 6)) for line in lines]


def test_every_scheme_has_a_style_that_survives_without_colour():
    assert set(figures._SCHEME_STYLES) == {*SCHEMES, *FACTOR_SCHEMES, CUSTOM}
    looks = [
        (style["marker"], str(style["linestyle"]), style.get("markerfacecolor"))
        for style in figures._SCHEME_STYLES.values()
    ]
    assert len(set(looks)) == len(looks)


def test_tradeoff_draws_median_root_bounds():
    cube = paper_cube()
    figure = tradeoff(cube)
    assert [axes.get_title() for axes in panels(figure)] == ["(a) $K = 2$", "(b) $K = 3$"]
    for i, axes in enumerate(panels(figure)):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert "MS" in axes.get_xlabel()
        assert "(cm)" in axes.get_xlabel()
        for s, scheme in enumerate(SCHEMES):
            if scheme != "apa":
                ms, bp = (100.0 * np.median(np.sqrt(cube[v].values[i, :, s]), axis=0) for v in ("crb_ms", "crb_bp"))
                np.testing.assert_allclose(curve(axes, scheme), [ms, bp], rtol=1e-12)
        assert curve(axes, "apa").shape == (2, 1)
        assert "designs" not in "".join(words(axes))
    assert sorted(legend_of(figure)) == sorted(label_of(scheme) for scheme in SCHEMES)


def test_tradeoff_names_the_ends_once():
    for axes in panels(tradeoff(paper_cube())):
        ends = [text for text in words(axes) if text.startswith("$")]
        assert sorted(ends) == [r"$\rho = 0$"] * 2 + [r"$\rho = 1$"] * 2  # of FDB and of CPA
        drawn = rings(axes)
        assert len(drawn) == 4
        fdb, cpa = (np.round(curve(axes, scheme)[:, [0, -1]], 6).T for scheme in ("fdb-wcrb", "cpa-wcrb"))
        assert set(drawn) == {tuple(point) for point in (*fdb, *cpa)}


def test_tradeoff_names_ends_that_are_close_once_but_rings_each():
    cube = paper_cube().sel(targets=2, scheme=["fdb-wcrb", "cpa-wcrb"]).copy(deep=True)
    for name in ("crb_bp", "crb_ms"):
        cube[name].loc[{"scheme": "cpa-wcrb"}] = 1.04 * cube[name].sel(scheme="fdb-wcrb")
    (axes,) = panels(tradeoff(cube.drop_vars("targets")))
    assert len(rings(axes)) == 4
    assert [text for text in words(axes) if text.startswith("$")] == [r"$\rho = 0$", r"$\rho = 1$"]


def test_tradeoff_without_the_extreme_weights_names_no_ends():
    cube = paper_cube().sel(rho=[0.25, 0.5, 0.75])
    for axes in panels(tradeoff(cube)):
        assert not [text for text in words(axes) if text.startswith("$")]


def test_tradeoff_follows_rho_whatever_its_order():
    cube = paper_cube()
    shuffled = cube.isel(rho=[3, 0, 4, 2, 1])
    for expected, axes in zip(panels(tradeoff(cube)), panels(tradeoff(shuffled)), strict=True):
        np.testing.assert_array_equal(curve(axes, "cpa-wvm"), curve(expected, "cpa-wvm"))


def test_tradeoff_leaves_out_the_uncertified_and_says_so():
    cube = paper_cube().copy(deep=True)
    cube["status"].loc[{"targets": 3, "scheme": "fdb-wcrb", "rho": 0.5, "draw": [0, 1]}] = 1
    cube["crb_bp"].loc[{"targets": 3, "scheme": "fdb-wcrb", "rho": 0.5, "draw": 0}] = 1e9
    first, second = panels(tradeoff(cube))
    assert not [text for text in words(first) if "designs" in text]
    total = len(SCHEMES) * DRAWS_X_RHO
    assert f"2 of {total} designs left out (no certificate)" in words(second)
    kept = cube["crb_bp"].sel(targets=3, scheme="fdb-wcrb", rho=0.5, draw=[2, 3]).values
    assert curve(second, "fdb-wcrb")[1, 2] == pytest.approx(100.0 * np.median(np.sqrt(kept)))


def test_tradeoff_counts_infinite_bounds_as_infinite():
    cube = paper_cube().sel(targets=2, drop=True).copy(deep=True)
    cube["crb_bp"].loc[{"scheme": "fdb-wcrb", "rho": 0.5, "draw": 0}] = np.inf
    cube["crb_bp"].loc[{"scheme": "cpa-wcrb", "rho": 0.0, "draw": [0, 1, 2]}] = np.inf
    (axes,) = panels(tradeoff(cube))
    (note,) = [text for text in words(axes) if "designs" in text]
    assert note.splitlines() == [
        f"4 of {len(SCHEMES) * DRAWS_X_RHO} designs infinite (in the medians)",
        f"1 of {len(SCHEMES) * len(RHO)} points not drawn (no finite median)",
    ]
    finite = np.sort(cube["crb_bp"].sel(scheme="fdb-wcrb", rho=0.5).values)
    assert curve(axes, "fdb-wcrb")[1, 2] == pytest.approx(50.0 * (np.sqrt(finite[1]) + np.sqrt(finite[2])))
    assert np.isnan(curve(axes, "cpa-wcrb")[:, 0]).all()
    assert np.isfinite(curve(axes, "cpa-wcrb")[:, 1:]).all()


def test_tradeoff_of_nothing_finite_says_so():
    cube = made_cube({"fdb-wcrb": 1.0}, sweep={})
    cube["crb_bp"][:] = np.inf
    cube["status"].loc[{"rho": RHO[1:]}] = 2
    (axes,) = panels(tradeoff(cube))
    (note,) = [text for text in words(axes) if "designs" in text]
    assert "20 of 20 designs infinite" in note
    assert "5 of 5 points not drawn" in note


def test_tradeoff_of_long_bounds_is_in_metres():
    (axes,) = panels(tradeoff(made_cube({"apa": 9.0}, sweep={})))
    assert "(m)" in axes.get_ylabel()
    np.testing.assert_allclose(curve(axes, "apa"), [[3.0], [3.0]])


def test_tradeoff_says_which_point_of_another_sweep_it_shows():
    cube = made_cube(sweep={"tx_antennas": [8, 16], "targets": [1, 2, 3, 4]})
    figure = tradeoff(cube)
    assert figure.get_suptitle() == "tx_antennas = 8"
    assert len(panels(figure)) == 4
    assert [bool(axes.get_xlabel()) for axes in panels(figure)] == [False, True, True, True]


@pytest.mark.parametrize("kind", ["tradeoff", "single tradeoff"])
def test_texts_stay_on_the_page_and_apart(kind):
    cube = paper_cube() if kind == "tradeoff" else paper_cube().isel(targets=0, drop=True)
    outside, touching = overlaps(rendered(tradeoff(cube)))
    assert outside == []
    assert touching == []


def test_columns_of_a_paper():
    assert tradeoff(paper_cube()).get_size_inches()[0] == 7.16
    assert tradeoff(paper_cube().isel(targets=0, drop=True)).get_size_inches()[0] == 3.5


def test_no_global_state_is_touched(tmp_path):
    before = dict(mpl.rcParams)
    figures.save(tradeoff(made_cube()), tmp_path, "a")
    assert dict(mpl.rcParams) == before
    code = "import sys, crbatch.results.figures.tradeoff; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_saved_files_are_the_same_bytes_every_time(tmp_path):
    for folder in ("one", "two"):
        paths = figures.save(tradeoff(made_cube()), tmp_path / folder, "tradeoff")
        figures.save(tradeoff(paper_cube()), tmp_path / folder, "paper")
        assert [path.name for path in paths] == ["tradeoff.png", "tradeoff.pdf", "tradeoff.svg"]
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 6
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes()
        assert not any(word in content for word in (b"CreationDate", b"dc:date", b"Software"))


def test_saving_the_same_figure_again_changes_nothing(tmp_path):
    figure = tradeoff(made_cube())
    first = [path.read_bytes() for path in figures.save(figure, tmp_path, "a")]
    assert [path.read_bytes() for path in figures.save(figure, tmp_path, "a")] == first


def test_png_has_print_resolution(tmp_path):
    png = figures.save(tradeoff(made_cube(sweep={})), tmp_path, "a")[0].read_bytes()
    assert int.from_bytes(png[16:20], "big") == 1050  # 3.5 in at 300 dpi


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    figure = tradeoff(made_cube())
    kept = figures.save(figure, tmp_path, "a")[0].read_bytes()

    def fail(path, **_):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(figure, tmp_path, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]
    assert (tmp_path / "a.png").read_bytes() == kept


def test_all_figures_are_saved_whoever_saves_them(tmp_path, monkeypatch):
    made = {stem: tradeoff(made_cube({"apa": value}, sweep={})) for stem, value in (("a", 1.0), ("b", 4.0))}
    with figures.saving(made, tmp_path / "all"):
        assert (tmp_path / "all" / "b.svg").exists()
    for stem, figure in made.items():
        for path in figures.save(figure, tmp_path / "each", stem):
            assert (tmp_path / "all" / path.name).read_bytes() == path.read_bytes()

    monkeypatch.setattr(figures.os, "fork", lambda: (_ for _ in ()).throw(OSError("no more processes")))
    with pytest.raises(OSError, match="no more processes"), figures.saving(made, tmp_path / "none"):
        pass


def test_what_fails_in_the_child_is_told_by_its_parent(tmp_path, monkeypatch):
    made = {stem: tradeoff(made_cube({"apa": 1.0}, sweep={})) for stem in "ab"}

    draw = made["b"].savefig

    def fail(path, **options):
        if path.suffix == ".pdf":
            raise OSError("disk full")
        draw(path, **options)

    monkeypatch.setattr(made["b"], "savefig", fail)
    with pytest.raises(OSError, match="disk full"), figures.saving(made, tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"a.pdf", "a.png", "a.svg", "b.png", "b.svg"}


def test_a_report_that_fails_leaves_no_child(tmp_path, monkeypatch):
    children, fork = [], os.fork
    monkeypatch.setattr(figures.os, "fork", lambda: children.append(fork()) or children[-1])
    made = {"a": tradeoff(made_cube())}
    with pytest.raises(ZeroDivisionError), figures.saving(made, tmp_path):
        raise ZeroDivisionError
    with pytest.raises(ChildProcessError):
        os.waitpid(children[0], os.WNOHANG)
