"""The tables of the first history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "history_events",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("network", sa.String(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("link_a", sa.Text(), nullable=True),
        sa.Column("link_b", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history_events"),
        sa.UniqueConstraint(
            "source", "incarnation", "number", name="uq_history_events_source_incarnation_number"
        ),
    )
    op.create_index("ix_history_events_at_ms", "history_events", ["at_ms"], unique=False)
    op.create_table(
        "history_event_nodes",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["history_events.id"],
            name="fk_history_event_nodes_event_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("node", "event_id", name="pk_history_event_nodes"),
    )
    op.create_index(
        "ix_history_event_nodes_event_id", "history_event_nodes", ["event_id"], unique=False
    )
    op.create_table(
        "history_sources",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("view", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("source", name="pk_history_sources"),
    )
