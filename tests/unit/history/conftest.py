"""Histories on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.history.event_store import EventStore
from actors.history.schema import TABLES
from actors.runtime.database import Database
from tests.unit.payments.conftest import database_kind, database_url, postgres_base

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["database_kind", "database_url", "postgres_base"]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of either kind, with the tables of history."""
    opened = Database(SecretStr(database_url), TABLES)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> EventStore:
    """An empty history of events."""
    return EventStore(database)
