"""The tables of alerts. Times are ms since the Unix epoch; bodies are JSON, see `records`.

What the schema itself holds: an alert is taken once (`alerts_taken.id`), and a notice is handed to
a channel once (UNIQUE (notice, channel)).

The migrations in `migrations/` make these tables; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from actors.runtime.migrations import Tables, no_tables

METADATA: Final = no_tables()

# What was taken over, so that it is not taken twice.
taken = Table(
    "alerts_taken",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_alerts_taken_at_ms", "at_ms"),
)

threads = Table(
    "alerts_threads",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("closed", Boolean(create_constraint=False), nullable=False),
    Column("path", String(16), nullable=False),
    Column("due_ms", BigInteger, nullable=True),
    Column("last_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_alerts_threads_name", "name"),
    Index("ix_alerts_threads_due_ms", "due_ms"),
    Index("ix_alerts_threads_last_ms", "last_ms"),
)

# The newest thread of each fault, and when people were told that the fault had begun.
faults = Table(
    "alerts_faults",
    METADATA,
    Column("fingerprint", String(32), primary_key=True),
    Column("thread", Integer, ForeignKey("alerts_threads.id", ondelete="CASCADE"), nullable=False),
    Column("begun", Text, nullable=False),  # JSON list of Unix times, s
    Index("ix_alerts_faults_thread", "thread"),
)

notices = Table(
    "alerts_notices",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("thread", Integer, ForeignKey("alerts_threads.id", ondelete="CASCADE"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_alerts_notices_thread", "thread"),
)

deliveries = Table(
    "alerts_deliveries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("notice", Integer, ForeignKey("alerts_notices.id", ondelete="CASCADE"), nullable=False),
    Column("thread", Integer, ForeignKey("alerts_threads.id", ondelete="CASCADE"), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("doubtful", Boolean(create_constraint=False), nullable=False),
    Column("why", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("done_ms", BigInteger, nullable=True),
    UniqueConstraint("notice", "channel"),
    Index("ix_alerts_deliveries_channel_state", "channel", "state"),
    Index("ix_alerts_deliveries_thread", "thread"),
)

silences = Table(
    "alerts_silences",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("ends_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

# How far a source of events was read; with it, what its next alerts are made from.
cursors = Table(
    "alerts_cursors",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("after", BigInteger, nullable=False),
    Column("view", LargeBinary, nullable=True),
)

TABLES: Final = Tables("alerts", METADATA, Path(__file__).parent / "migrations", "alerts_version")


def ms(at: float) -> int:
    """A Unix time, s, as the tables keep it."""
    return int(at * 1000)


def seconds(at_ms: int | None) -> float | None:
    """The inverse of `ms`; None stays None."""
    return None if at_ms is None else at_ms / 1000
