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
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and _NAME.fullmatch(text) and not text.endswith(_FILES):
                names[text] = path
    for path in [*(ROOT / "serve_apps").rglob("*.yaml"), ROOT / "pyproject.toml"]:
        lines = (line for line in path.read_text().splitlines() if "*" not in line)
        names |= {name: path for line in lines for name in _NAME.findall(line)}
    return names


def _resolves(name: str) -> bool:
    """Whether it is a module, or what a module defines, without importing it."""
    dotted = name.replace(":", ".")
    for module, defined in ((dotted, ""), dotted.rpartition(".")[::2]):
        try:
            spec = find_spec(module)
        except ModuleNotFoundError:
            continue
        if spec is not None and spec.origin is not None:
            tree = ast.parse(Path(spec.origin).read_text())
            bound = {getattr(node, "name", None) for node in tree.body}
            targets = (
                t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets
            )
            bound |= {target.id for target in targets if isinstance(target, ast.Name)}
            return not defined or defined in bound
    return False


@pytest.mark.parametrize("name", sorted(_found()))
def test_a_name_in_a_string_is_there(name: str) -> None:
    """A module that is renamed takes the strings that name it along."""
    assert _resolves(name), _found()[name]


def test_the_names_that_ray_imports_are_among_them() -> None:
    """The search finds what it is for, and tells a wrong name."""
    found = _found()
    assert {"serve_apps.web.turnstile.middlewares", "serve_apps.gateway.app:app"} <= set(found)
    assert "cluster.start_hook.without_client_server" in found
    assert not _resolves("serve_apps.web.turnstile.nothing")
    assert not _resolves("serve_apps.nothing")
