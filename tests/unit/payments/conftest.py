"""A PostgreSQL for the session, and ledgers on it and on SQLite."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments.ledger.ledger import Ledger
from tests.unit.payments import ledgers, postgres

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


@pytest.fixture(scope="session")
def _reused(postgres_base: str) -> str:
    """A database on it that tests empty and use again: making one takes as long as a test."""
    return postgres.fresh(postgres_base).replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Either kind of database."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> str:
    """URL of a new, empty database of that kind."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    base = request.getfixturevalue("postgres_base")
    return postgres.fresh(base).replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def ledger(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger on a database of that kind."""
    if database_kind == "sqlite":
        url = ledgers.sqlite(tmp_path / "ledger.db")
    else:
        url = SecretStr(request.getfixturevalue("_reused"))
    with Ledger(url, random.Random(1)) as opened:
        ledgers.wipe(opened)
        yield opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """One ledger for all examples of a test, emptied between them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    else:
        base = request.getfixturevalue("postgres_base")
        url = f"{base}/postgres".replace("postgresql:", "postgresql+psycopg:")
    with Ledger(SecretStr(url), random.Random(1)) as opened:
        yield opened
        ledgers.wipe(opened)
