"""The files around the code say the same: what is needed, what is checked, what is cited."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from experiment.tracking import TRACKERS
from serving.onnx_programs import NEEDED

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def parsed(name: str):
    return yaml.safe_load(read(name))


PYPROJECT = tomllib.loads(read("pyproject.toml"))
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def plain(name: str) -> str:
    """The name of a package without its release, as an index compares it.

    >>> plain("PyYAML==6.0.4"), plain("torch_rechub")
    ('pyyaml', 'torch-rechub')
    """
    return re.split(r"[=<>\[ ]", name)[0].lower().replace("_", "-")


def names(requirements: Iterable[str]) -> set[str]:
    return set(map(plain, requirements))


def flat(extra: str) -> list[str]:
    """What an extra installs, with the extras that it names."""
    found: list[str] = []
    for entry in EXTRAS[extra]:
        inner = re.fullmatch(rf"{PROJECT['name']}\[(\w+)\]", entry)
        found += flat(inner[1]) if inner else [entry]
    return found


def lines(name: str) -> list[str]:
    """Of a file of requirements, without comments."""
    return [line.partition("#")[0].strip() for line in read(name).splitlines()]


class TestRequirements:
    def test_what_is_needed_to_run(self):
        assert lines("requirements.txt") == PROJECT["dependencies"]

    def test_what_is_needed_to_develop(self):
        assert lines("requirements-dev.txt") == ["-r requirements.txt", *flat("dev")]

    def test_one_release_each_but_for_trackers(self):
        loose = [entry for entry in (*PROJECT["dependencies"], *flat("dev")) if not re.search(r"==[\d.]+$", entry)]
        assert loose == []

    def test_an_extra_for_each_tracker(self):
        assert {name: [package] for name, (_, _, package) in TRACKERS.items()} == {
            name: EXTRAS[name] for name in EXTRAS.keys() - {"onnx", "dev"}
        }

    def test_the_extra_for_the_export_is_what_the_export_asks_for(self):
        assert names(EXTRAS["onnx"]) == set(NEEDED)


# Where a package is imported by another name than it is installed by.
INSTALLED_AS = {
    "PIL": "pillow",
    "faiss": "faiss-cpu",
    "markdown_it": "markdown-it-py",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
UNNAMED = {"requests"}  # what a dependency needs without saying so
FOLDERS = sorted({path.parent.name for path in ROOT.glob("*/*.py")})
ASIDE = ("tests", "benchmarks")
OWN = {*FOLDERS, *(path.stem for path in (*ROOT.glob("*.py"), *ROOT.glob("tests/**/*.py")))}


def sources(folders: Iterable[str]) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


RUNNING = sorted(ROOT.glob("*.py")) + sources(folder for folder in FOLDERS if folder not in ASIDE)


def imported(tree: ast.AST) -> Iterator[str]:
    """The packages of others that a piece of code imports, by the names they are installed by."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        else:
            continue
        for package in {module.partition(".")[0] for module in modules}:
            is_own = package in OWN and package != "deepctr_torch"  # a folder before the package of that name
            if not is_own and package not in sys.stdlib_module_names:
                yield INSTALLED_AS.get(package, plain(package))


def undeclared(paths: Iterable[Path], declared: set[str]) -> list[str]:
    found = []
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(ROOT)}: {name}" for name in imported(tree) if name not in declared]
    return found


class TestImports:
    def test_running_needs_what_is_declared_for_it(self):
        optional = {entry for name in EXTRAS.keys() - {"dev"} for entry in flat(name)}
        assert undeclared(RUNNING, names(PROJECT["dependencies"]) | names(optional)) == []

    def test_what_is_optional_is_not_imported_with_a_module(self):
        needed = names(PROJECT["dependencies"])
        for path in RUNNING:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            at_once = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
            assert set(imported(ast.Module(at_once, []))) <= needed, path

    def test_tests_and_benchmarks_need_what_is_declared_at_all(self):
        everything = names((*PROJECT["dependencies"], *(entry for name in EXTRAS for entry in flat(name))))
        assert undeclared(sources(ASIDE), everything) == []

    def test_nothing_is_declared_that_is_not_imported(self):
        used = {name for path in RUNNING for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
        assert names(PROJECT["dependencies"]) - used == UNNAMED

    @pytest.mark.parametrize(
        ("code", "found"),
        [
            ("import yaml.nodes", ["pyyaml"]),
            ("def f():\n    from sklearn.metrics import roc_auc_score", ["scikit-learn"]),
            ("import os, model.base\nfrom . import base", []),
            ("from deepctr_torch.inputs import SparseFeat", ["deepctr-torch"]),
        ],
    )
    def test_of_a_piece_of_code(self, code, found):
        assert list(imported(ast.parse(code))) == found


class TestPackage:
    def test_it_has_every_package_but_the_one_before_another_of_its_name(self):
        folders = [path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")]
        own = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
        assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == own - {"deepctr_torch"}

    def test_it_has_every_script(self):
        assert PYPROJECT["tool"]["setuptools"]["py-modules"] == sorted(path.stem for path in ROOT.glob("*.py"))

    def test_python_is_that_of_the_type_checker_and_the_oldest_of_ci(self):
        oldest = PYPROJECT["tool"]["mypy"]["python_version"]
        assert PROJECT["requires-python"] == f">={oldest}"
        assert parsed(WORKFLOW)["jobs"]["check"]["strategy"]["matrix"]["python-version"][0] == oldest


WORKFLOW, HOOKS = ".github/workflows/ci.yml", ".pre-commit-config.yaml"
COMMANDS = read(".ci/run").partition('activate"\n')[2].splitlines()  # behind the virtual environment
CHECKS = COMMANDS[1:]
STEPS = parsed(WORKFLOW)["jobs"]["check"]["steps"]
HOOK_LIST = [hook for repo in parsed(HOOKS)["repos"] for hook in repo["hooks"]]


class TestChecks:
    def test_the_workflow_runs_what_the_script_runs(self):
        assert COMMANDS[0].startswith("pip install")
        assert [step["run"] for step in STEPS if "run" in step] == COMMANDS

    def test_hooks_are_its_checks_but_for_the_tests(self):
        assert [hook["entry"] for hook in HOOK_LIST] == [check for check in CHECKS if "pytest" not in check]

    def test_hooks_run_the_tools_of_the_requirements(self):
        assert {repo["repo"] for repo in parsed(HOOKS)["repos"]} == {"local"}
        for hook in HOOK_LIST:
            assert (hook["language"], hook["pass_filenames"]) == ("system", False)
            assert hook["entry"].split()[0] in names(flat("dev"))

    @pytest.mark.parametrize("page", ["CONTRIBUTING.md", ".github/pull_request_template.md"])
    def test_pages_name_them(self, page):
        assert " && ".join(CHECKS) in read(page)


FORMS = sorted(path.name for path in (ROOT / ".github/ISSUE_TEMPLATE").iterdir())


@pytest.mark.parametrize("form", FORMS)
def test_an_issue_form_asks_something(form):
    content = parsed(f".github/ISSUE_TEMPLATE/{form}")
    assert content["name"]
    assert content["description"]
    asked = [entry for entry in content["body"] if entry["type"] != "markdown"]
    assert {entry["type"] for entry in asked} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(entry["attributes"]["label"] for entry in asked)
    assert len({entry["id"] for entry in asked}) == len(asked) > 0


class TestCitation:
    citation = parsed("CITATION.cff")

    def test_it_has_both_papers(self):
        found = {entry["identifiers"][0]["value"]: entry["authors"][0] for entry in self.citation["references"]}
        assert {number: author["family-names"] for number, author in found.items()} == {
            "arXiv:2210.09890": "Li",
            "arXiv:2505.19849": "Yang",
        }

    def test_it_is_of_this_version(self):
        assert (self.citation["version"], self.citation["license"]) == (PROJECT["version"], PROJECT["license"])
        newest = re.search(r"^## \[(.*)\] - (.*)$", read("CHANGELOG.md"), flags=re.MULTILINE)
        assert newest.groups() == (self.citation["version"], str(self.citation["date-released"]))
