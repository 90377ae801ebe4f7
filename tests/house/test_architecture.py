"""The house rules that a machine can check."""

import ast
import re
import subprocess
import sys
import tomllib
from itertools import chain
from zipfile import ZipFile

import pytest
from repository import ROOT

PACKAGES = ("engine", "jobs", "cluster", "results")
SOURCES = sorted(path for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py"))
PACKAGED = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "tests"]


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def sh_blocks(text):
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]


def test_all_four_packages_are_looked_at():
    assert {path.relative_to(ROOT).parts[0] for path in PACKAGED} == set(PACKAGES)


def test_import_contracts_hold():
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in answer.stdout


@pytest.mark.parametrize("path", PACKAGED, ids=names(PACKAGED))
def test_packages_do_not_print(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_files_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in zip(names(SOURCES), SOURCES, strict=True)}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def found_in_packages(kind):
    """Nodes of the packages' sources, with their places."""
    for name, path in zip(names(PACKAGED), PACKAGED, strict=True):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield f"{name}:{node.lineno}", node


def test_functions_are_short():
    lengths = {place: node.end_lineno - node.lineno + 1 for place, node in found_in_packages(ast.FunctionDef)}
    assert {place: length for place, length in lengths.items() if length > 60} == {}


def test_few_arguments_are_told_apart_by_their_order():
    counts = {place: len(node.args) for place, node in found_in_packages(ast.Call)}
    counts |= {
        place: len(node.args.posonlyargs) + len(node.args.args) for place, node in found_in_packages(ast.FunctionDef)
    }
    assert {place: count for place, count in counts.items() if count > 10} == {}


def test_tests_are_not_a_package():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_slow_tests_say_why():
    marks = [
        line
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.name != "test_architecture.py"
        for line in re.findall("mark.slow.*", path.read_text())
    ]
    assert len(marks) > 50
    assert [mark for mark in marks if not re.match(r'mark\.slow\("\w', mark)] == []


def test_every_package_folder_is_one():
    folders = {path.parent for path in PACKAGED}
    assert names(folder for folder in sorted(folders) if not (folder / "__init__.py").exists()) == []


def wheel_of(source, place):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, source], check=True)
    return next(place.glob("*.whl"))


def contents(wheel):
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "dist-info" not in name}


@pytest.mark.slow("builds the package twice")
def test_wheel_is_the_sources_and_nothing_else_and_the_sdists_is_the_same(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    for left in ("engine/left.pyc", "build/lib/engine/old.py", "engine/__pycache__/old.py"):
        (clone / left).parent.mkdir(parents=True, exist_ok=True)
        (clone / left).write_text("")
    (tmp_path / "direct").mkdir()
    direct = contents(wheel_of(clone, tmp_path / "direct"))
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=clone, capture_output=True, text=True, check=True)
    face = {"jobs/public.py": "__init__.py", "jobs/public.pyi": "__init__.pyi", "jobs/command.py": "__main__.py"}
    assert set(direct) == {
        f"crbatch/{face.get(name, name)}" for name in tracked.stdout.split() if not name.endswith(".md")
    }
    code = "from hatchling.build import build_sdist; import sys; build_sdist(sys.argv[1])"
    builder = tmp_path / "builder"
    subprocess.run([sys.executable, "-m", "venv", builder], check=True)
    subprocess.run([builder / "bin" / "pip", "install", "-q", "hatchling"], check=True)
    subprocess.run([builder / "bin" / "python", "-c", code, tmp_path], cwd=clone, check=True)
    (tmp_path / "again").mkdir()
    assert contents(wheel_of(next(tmp_path.glob("*.tar.gz")), tmp_path / "again")) == direct


def test_what_is_imported_is_what_is_listed():
    import crbatch

    assert sorted(crbatch.__all__) == dir(crbatch)
    for name in crbatch.__all__:
        assert getattr(crbatch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        crbatch.nonsense  # noqa: B018
    stub = ast.parse((ROOT / "jobs" / "public.pyi").read_text())
    listed = next(node for node in stub.body if isinstance(node, ast.Assign))
    assert sorted(ast.literal_eval(listed.value)) == dir(crbatch)


def test_links_of_an_editable_installation_lead_to_all_packages():
    links = [path for path in (ROOT / ".package" / "crbatch").iterdir() if path.is_symlink()]
    assert {link.name: link.resolve().relative_to(ROOT).as_posix() for link in links} == {
        **{name: name for name in PACKAGES},
        "__init__.py": "jobs/public.py", "__init__.pyi": "jobs/public.pyi", "__main__.py": "jobs/command.py",
    }  # fmt: skip


def test_readme_starts_with_its_two_commands():
    first, second = sh_blocks((ROOT / "README.md").read_text())[:2]
    assert "\n" not in first + second
    assert "crbatch run paper -o out/paper" in first
    assert "pytest" in second
    for command in (first, second):
        assert command.startswith("python3 -m venv .venv && ")
        assert "-c constraints.txt" in command


def test_versions_agree():
    version = pyproject()["project"]["version"]
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    released = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation is not None
    assert citation[1] == version
    assert released[0] == version


def plain_name(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("-", "_")


def test_everything_depended_on_is_pinned():
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    pins = re.findall(r"^([\w.-]+)==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert {plain_name(requirement) for requirement in wanted} <= {plain_name(pin) for pin in pins}


def test_everything_depended_on_is_used():
    text = "".join(path.read_text() for path in PACKAGED).lower()
    assert [name for name in map(plain_name, pyproject()["project"]["dependencies"]) if name not in text] == []
