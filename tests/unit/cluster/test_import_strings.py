"""Names of code that stand in strings: Ray imports them, and no type checker follows them."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_FILES = (".json", ".lock", ".py", ".yaml")
PACKAGES = ("actors", "serve_apps", "jobs", "cluster", "loadtests")
_NAME = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.[a-z_]\w*)+(?::\w+)?")


def _found() -> dict[str, Path]:
    """Each name in a string of the sources, or anywhere in a YAML or TOML file, and its file."""
    names: dict[str, Path] = {}
    for path in (p for package in PACKAGES for p in (ROOT / package).rglob("*.py")):
        names |= dict.fromkeys(filter(_NAME.fullmatch, _strings(path)), path)
    for path in [*(ROOT / "serve_apps").rglob("*.yaml"), ROOT / "pyproject.toml"]:
        lines = (line for line in path.read_text().splitlines() if "*" not in line)
        names |= {name: path for line in lines for name in _NAME.findall(line)}
    return names


def _strings(path: Path) -> list[str]:
    """The strings of a source that are not names of files."""
    constants = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant))
    texts = (one.value for one in constants if isinstance(one.value, str))
    return [text for text in texts if not text.endswith(_FILES)]


def _resolves(name: str) -> bool:
    """Whether it is a module, or what a module defines, without importing it."""
    dotted = name.replace(":", ".")
    if _source(dotted) is not None:
        return True
    module, _, defined = dotted.rpartition(".")
    path = _source(module)
    return path is not None and defined in _defined(path)


def _source(module: str) -> Path | None:
    """The file of a module, if there is such a module."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def _defined(path: Path) -> set[str | None]:
    """What the module in a file defines at its top."""
    tree = ast.parse(path.read_text())
    assigned = (t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets)
    names = {target.id for target in assigned if isinstance(target, ast.Name)}
    return names | {getattr(node, "name", None) for node in tree.body}


@pytest.mark.parametrize("name", sorted(_found()))
def test_a_name_in_a_string_is_there(name: str) -> None:
    """A module that is renamed takes the strings that name it along."""
    assert _resolves(name), _found()[name]


def test_the_names_that_ray_imports_are_among_them() -> None:
    """The search finds what it is for, and tells a wrong name."""
    found = _found()
    assert {"serve_apps.web.turnstile.middlewares", "serve_apps.gateway.app:app"} <= set(found)
    assert "cluster.head" in found
    assert not _resolves("serve_apps.web.turnstile.nothing")
    assert not _resolves("serve_apps.nothing")
