"""The tables of history.

Times are ms since the Unix epoch. What the schema itself holds:

- an event of a source is stored once: UNIQUE (source, incarnation, number);
- the id of an event is its place in the order in which events were stored. One writer numbers
  them without gaps, and the newest is never deleted, so no id is given twice.

The migrations in `migrations/` make these tables; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from actors.runtime.migrations import Tables, no_tables

METADATA: Final = no_tables()

events = Table(
    "history_events",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(64), nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("network", String(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("nodes", Text, nullable=False),  # JSON list
    Column("link_a", Text, nullable=True),
    Column("link_b", Text, nullable=True),
    Column("what", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON object
    UniqueConstraint("source", "incarnation", "number"),
    Index("ix_history_events_at_ms", "at_ms"),
)

# Which nodes an event is about, so that those of one node are found among millions.
event_nodes = Table(
    "history_event_nodes",
    METADATA,
    Column("node", Text, primary_key=True),
    Column(
        "event_id",
        BigInteger,
        ForeignKey("history_events.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Index("ix_history_event_nodes_event_id", "event_id"),
)

# How far each source was read; with it, what the source's next events are made from.
sources = Table(
    "history_sources",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("incarnation", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("view", LargeBinary, nullable=True),
)

TABLES: Final = Tables(
    "history", METADATA, Path(__file__).parent / "migrations", "history_alembic_version"
)
