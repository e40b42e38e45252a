"""The page about a new kind of actor: its code works, in a tree where it is applied."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "a-new-kind-of-actor.md"
BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = ("actors", "serve_apps", "jobs", "cluster", "loadtests")


def blocks(language: str) -> list[tuple[str, str]]:
    """File and text of each block of the page in that language."""
    return [
        (path, text) for kind, path, text in BLOCK.findall(PAGE.read_text()) if kind == language
    ]


def applied(text: str, diff: str) -> str:
    """The text after a diff whose lines to remove stand in the text as they are."""
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        before, after = (re.sub(r"^.", "", part, flags=re.MULTILINE) for part in (old, new))
        assert text.count(before) == 1, f"the page speaks of what is not there: {before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the page applied."""
    root = tmp_path_factory.mktemp("tree")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    if (ROOT / ".mypy_cache").is_dir():  # it saves half a minute
        shutil.copytree(ROOT / ".mypy_cache", root / ".mypy_cache")
    for path, text in blocks("python"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "actors" / "uplink" / "__init__.py").write_text('"""Who reaches the uplink."""\n')
    for path, diff in blocks("diff"):
        (root / path).write_text(applied((root / path).read_text(), diff))
    return root


def check(tree: Path, *command: str) -> None:
    """Run a tool of this environment in the tree; it must find nothing."""
    tool = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    done = subprocess.run(tool, cwd=tree, text=True, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_that_the_page_lists_is_on_it() -> None:
    """No block has lost its path, and each file of code is shown."""
    page = PAGE.read_text()
    assert page.count("```python\n") == len(blocks("python"))
    assert page.count("```diff\n") == len(blocks("diff"))
    listed = set(re.findall(r"^(\S+\.py) {2,}", page, re.MULTILINE))
    shown = {path for path, _ in blocks("python")}
    assert listed - shown == {"actors/uplink/__init__.py"}


def test_its_tests_pass(tree: Path) -> None:
    """The tests that the page owes are run against the actor that it shows."""
    check(tree, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/uplink")


def test_it_is_typed_and_keeps_the_import_contracts(tree: Path) -> None:
    """As `make lint` would say of it."""
    check(tree, "mypy", "-p", "actors.uplink", "-p", "jobs.launch", "-p", "serve_apps")
    check(tree, "lint-imports")
    check(tree, "ruff", "check", *(path for path, _ in blocks("python")))
    check(tree, "ruff", "format", "--check", *(path for path, _ in blocks("python")))


def test_its_route_is_served(tree: Path) -> None:
    """The application has the operation under the name that the page gives."""
    code = (
        "from serve_apps.gateway.http.application import build;"
        "from serve_apps.gateway.gateway_state import Gateway;"
        "paths = build(Gateway('t' * 43)).openapi()['paths'];"
        "assert paths['/v1/uplink/reach']['get']['operationId'] == 'getUplinkReach'"
    )
    check(tree, "python", "-c", code)
