"""Unit tests need no Ray: one that starts it fails."""

from __future__ import annotations

import sys
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `ray.init` raise, without importing Ray where nobody else does."""

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise AssertionError("a unit test called ray.init: move it to tests/integration")

    if "ray" in sys.modules:
        monkeypatch.setattr(sys.modules["ray"], "init", refuse)
    else:
        monkeypatch.setitem(sys.modules, "ray", None)  # an import fails
