"""The databases of the unit tests, for tests with processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.payments.conftest import database_kind, database_url, postgres_base

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = str(Path(__file__).parents[3])


@pytest.fixture(scope="session", autouse=True)
def _importable() -> Iterator[None]:
    """The fork server imports the tests before it knows the path of this process."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, before]))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


__all__ = ["database_kind", "database_url", "postgres_base"]
