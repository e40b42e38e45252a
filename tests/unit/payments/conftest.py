"""A PostgreSQL for the session, and ledgers on it and on SQLite."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments.ledger import Ledger
from tests.unit.payments import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres_base() -> Iterator[str]:
    """URL of a server that only this session uses."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgres.server() as base:
        yield base


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    base = request.getfixturevalue("postgres_base")
    return postgres.fresh(base).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    """A ledger on it."""
    with Ledger(SecretStr(database_url), random.Random(1)) as opened:
        yield opened
