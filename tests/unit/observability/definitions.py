"""The definitions of metrics in the code, read from its text: none is overlooked."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import actors

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(actors.__file__).parents[1]
KINDS = ("counter", "gauge", "histogram")
PACKAGES = ("actors", "cluster", "jobs", "serve_apps")
_CALL = re.compile(rf"\.({'|'.join(KINDS)})\(")


def exported() -> dict[str, tuple[str, ...]]:
    """The labels of each metric that the code counts in, by the name that Ray exports it by."""
    found: dict[str, tuple[str, ...]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            if _CALL.search(text) and path.name != "metrics.py":  # which says what a counter is
                found |= _defined(ast.parse(text))
    return found


def _defined(tree: ast.Module) -> dict[str, tuple[str, ...]]:
    values = _assigned(tree)
    found = {}
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or len(call.args) < 2:
            continue
        if isinstance(call.func, ast.Attribute) and call.func.attr in KINDS:
            given = {word.arg: word.value for word in call.keywords}
            labels = call.args[2] if len(call.args) > 2 else given.get("labels")
            found[f"ray_{_text(call.args[0], values)}"] = _texts(labels, values)
    return found


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """What names of constants, in the module or in a function, stand for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def _text(node: ast.expr, values: Mapping[str, ast.expr]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name):
        return _text(values[node.id], values)
    if isinstance(node, ast.BinOp):
        return _text(node.left, values) + _text(node.right, values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, values)
    assert isinstance(node, ast.JoinedStr), ast.unparse(node)
    return "".join(_text(part, values) for part in node.values)


def _texts(node: ast.expr | None, values: Mapping[str, ast.expr]) -> tuple[str, ...]:
    if node is None:
        return ()
    if isinstance(node, ast.Name):
        return _texts(values[node.id], values)
    assert isinstance(node, ast.Tuple | ast.List), ast.unparse(node)
    return tuple(_text(part, values) for part in node.elts)
